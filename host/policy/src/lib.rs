//! The only crate that runs WebAssembly: the sandbox, the generations, the decisions.
//!
//! 1. A policy is a component behind the contract of `wit/`. [`Sandbox::build`] takes components, settings, lists and
//!    routes, and makes a [`Generation`]: each component is configured once, its memory becomes the image every decision
//!    starts from ([`configured`]).
//! 2. [`Sandbox::receive`], [`Sandbox::plan`] and [`Sandbox::judge`] ask the whole chain on a decision thread; each policy
//!    runs in a fresh instance, once ([`decide`]). It reads facts and says what it decides by calling host methods
//!    ([`host`]); every fact read is kept for the ledger (H8).
//! 3. Whatever goes wrong is a failed decision, bounded in time, memory and words ([`limits`]): it never accepts and
//!    never sends (H3).
//! 4. [`Sandbox::replay`] asks a generation what the ledger says another was asked, by the facts on record alone
//!    ([`recorded`], [`replay`]).
//! 5. [`Sandbox::explain`] asks policies, for whoever wants to know why, which rules they tried ([`explain`]).
//!
//! Nothing here opens a socket or a file, or reads a clock other than for limits.

#![allow(rustdoc::private_intra_doc_links, reason = "the reading order names private modules")]

mod bindings;
mod build;
mod calls;
mod configured;
mod decide;
mod engine;
mod explain;
mod generation;
mod host;
mod images;
pub mod limits;
mod memory;
mod probe;
mod problem;
mod reads;
mod recorded;
mod replay;
mod sandbox;
mod snapshot;
mod state;
mod threads;
mod ticker;
mod wasi;
mod world;

#[doc(hidden)]
pub mod bench;

pub use configured::Mode;
pub use explain::{AskedFacts, Explainable};
pub use generation::{ChainId, Generation, GenerationSource, GenerationStatus, ListStatus, PolicySource, PolicyStatus};
pub use limits::Profile;
pub use problem::{BuildProblem, SandboxError};
pub use replay::{Replayable, Replayed};
pub use sandbox::{Asked, Decided, Sandbox, SandboxConfig, SandboxStatus};
pub use state::RouteFacts;

/// Who stands for the sender's own demand among those who require secure transport (RFC 8689).
const REQUIRETLS: &str = "requiretls";

fn hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    octets.iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]).collect()
}
