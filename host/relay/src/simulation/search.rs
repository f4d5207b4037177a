//! Many seeds, on as many threads as there are cores, and one seed again.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::fault::Struck;
use super::run::{Ran, run};
use super::shared::shared;

/// Failures told before the search is given up: one fault in the code fails many seeds.
const FAILURES_MAX: usize = 5;
/// Stack of a searching thread: guests run on it.
const STACK: usize = 8 << 20;
/// From so many seeds on, a kind of fault must have struck once in a thousand of them.
const COUNTED_FROM: u64 = 1_000;

/// A number from the environment.
pub(super) fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text:?}")))
}

/// Plays one seed and tells its whole course.
pub(super) fn replay(seed: u64) {
    let Ran { violations, trace, .. } = run(seed);
    for line in trace {
        tell(&line);
    }
    assert!(violations.is_empty(), "seed {seed}: {violations:#?}");
}

/// Plays so many seeds; panics with the seeds that fail.
pub(super) fn search(first: u64, seeds: u64) {
    shared();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, done, began) = (AtomicU64::new(first), AtomicU64::new(0), Instant::now());
    let failures = Mutex::new(Vec::new());
    let struck = Mutex::new(Struck::default());
    let give_up =
        || failures.lock().is_ok_and(|failures: std::sync::MutexGuard<'_, Vec<String>>| failures.len() >= FAILURES_MAX);
    let work = || {
        let mut mine = Struck::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds || give_up() {
                break;
            }
            match catch_unwind(AssertUnwindSafe(|| run(seed))) {
                Ok(ran) => {
                    mine.join(&ran.struck);
                    if !ran.violations.is_empty() {
                        let told = format!("SEALWIRE_SEED={seed}: {:#?}", ran.violations);
                        tell(&told);
                        failures.lock().expect("no panic under it").push(told);
                    }
                }
                Err(_) => failures.lock().expect("no panic under it").push(format!("SEALWIRE_SEED={seed}: a panic")),
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
        struck.lock().expect("no panic under it").join(&mine);
    };
    std::thread::scope(|scope| {
        let named = |number: usize| std::thread::Builder::new().name(format!("seeds-{number}")).stack_size(STACK);
        let workers: Vec<_> =
            (0..threads).map(|number| named(number).spawn_scoped(scope, work).expect("a thread")).collect();
        let mut told = Instant::now();
        while !workers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            std::thread::park_timeout(Duration::from_millis(200));
            if told.elapsed() > Duration::from_secs(10) {
                told = Instant::now();
                progress(done.load(Ordering::Relaxed), seeds, began);
            }
        }
    });
    progress(done.load(Ordering::Relaxed), seeds, began);
    let failures = failures.into_inner().expect("no panic under it");
    let struck = struck.into_inner().expect("no panic under it");
    for (fault, count) in struck.counts() {
        tell(&format!("{count:>10}  {fault:?}"));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let rare = |(_, count): &(_, u64)| seeds >= COUNTED_FROM && *count < (seeds / 1_000).min(1_000);
    let rare: Vec<_> = struck.counts().filter(rare).collect();
    assert!(rare.is_empty(), "too rare for what they are there for: {rare:?}");
}

fn progress(done: u64, seeds: u64, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    let rate = f64::from(u32::try_from(done).unwrap_or(u32::MAX)) / seconds.max(0.001);
    tell(&format!("{done} of {seeds} seeds in {seconds:.0} s, {rate:.0} a second"));
}

/// To standard error, past the harness that keeps what tests print: a long run is watched.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
