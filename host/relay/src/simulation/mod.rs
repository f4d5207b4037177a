//! The whole relay in virtual time, with faults that a seed decides.
//!
//! Sessions, spine, rounds, scheduler, delivery and pool are the real ones, and so are the policies in their sandbox and
//! TLS on both legs; around them are a [`scene`] with a clock that jumps to the next timer, hosts and senders that
//! misbehave, names that fail, and a store that errs and outlives crashes. [`run`] plays one seed, the [`oracle`] judges.
//!
//!     cargo test --package sealwire-relay --lib simulation
//!     SEALWIRE_SEED=7      one seed, with its trace
//!     SEALWIRE_SEEDS=1000000 [SEALWIRE_FIRST_SEED=N]   so many, on all cores; build with --release

mod chance;
mod content;
mod fault;
mod hop;
mod names;
mod one_attempt;
mod oracle;
mod peer;
mod pipe;
pub(crate) mod planted;
mod run;
mod scene;
mod search;
mod sender;
mod shared;
mod store;
mod trouble;
mod witness;

pub(crate) use pipe::{Pipe, pipe};
pub(crate) use shared::guest;

use planted::Bug;

/// Seeds of an ordinary test run; see `docs/reliability.md`.
const SEEDS: u64 = 3_000;

/// Every promise holds in every seed.
#[test]
fn promises_hold_whatever_goes_wrong() {
    if let Some(seed) = search::number("SEALWIRE_SEED") {
        return search::replay(seed);
    }
    let seeds = search::number("SEALWIRE_SEEDS").unwrap_or(SEEDS);
    let first = search::number("SEALWIRE_FIRST_SEED").unwrap_or(1);
    search::search(first, seeds);
}

/// A seed is worth printing: it plays the same course again.
#[test]
fn a_seed_plays_the_same_course_again() {
    for seed in 1..30 {
        let (once, again) = (run::run(seed), run::run(seed));
        for (first, second) in once.trace.iter().zip(&again.trace) {
            assert_eq!(first, second, "seed {seed}");
        }
        assert_eq!(once.trace.len(), again.trace.len(), "seed {seed}");
    }
}

/// The test of the test: each bug is found, by what it breaks and within an ordinary run.
#[test]
fn planted_bugs_are_found() {
    let bugs = [
        (Bug::PermitSkipped, "in clear"),
        (Bug::OutcomeLost, "has 0 ends"),
        (Bug::BufferKept, "answered behind it"),
        (Bug::DaneIgnored, ".dane.test ("),
        (Bug::TlsaFailureIsAbsence, ".dane.test ("),
        (Bug::StsIgnored, ".sts.test ("),
        (Bug::RequireTlsDropped, "came with REQUIRETLS"),
    ];
    for (bug, sign) in bugs {
        planted::plant(Some(bug));
        let found = (1..=SEEDS).find(|seed| run::run(*seed).violations.iter().any(|wrong| wrong.contains(sign)));
        planted::plant(None);
        assert!(found.is_some(), "{bug:?} is not found in {SEEDS} seeds");
    }
}
