//! The clock that stops endless loops: one thread that advances the engines' epoch while something runs.
//!
//! It is never a task of the mail runtime, whose late, bursting ticks would stop innocent policies. It sleeps between
//! ticks, so that a late one is followed by a whole interval, and parks once nothing has run for a while: waking it for
//! each decision of a busy relay would cost more than a tick does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

use crate::limits::TICK;

/// Ticks without a decision before the thread parks.
const LINGER_TICKS: u32 = 10;

/// Advances epochs as long as a [`Running`] is alive.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    running: AtomicUsize,
    parked: AtomicBool,
    over: AtomicBool,
}

/// Something runs and must be stoppable.
pub(crate) struct Running<'a>(&'a Ticker);

impl Ticker {
    pub(crate) fn start(engines: &[&Engine]) -> std::io::Result<Ticker> {
        let engines: Vec<EngineWeak> = engines.iter().map(|engine| engine.weak()).collect();
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let handle = thread::Builder::new().name("policy-clock".into()).spawn(move || tick(&of_thread, &engines))?;
        Ok(Ticker { shared, thread: handle.thread().clone() })
    }

    pub(crate) fn running(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running(self)
    }
}

/// Epochs that must pass before `time` is over for certain: the first tick may come at once.
pub(crate) fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u64::MAX - 1) + 1
}

fn tick(shared: &Shared, engines: &[EngineWeak]) {
    let mut idle = 0;
    while !shared.over.load(Ordering::SeqCst) {
        idle = if shared.running.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
        if idle > LINGER_TICKS {
            shared.parked.store(true, Ordering::SeqCst);
            // Whoever starts now either sees `parked`, or is seen here.
            if shared.running.load(Ordering::SeqCst) == 0 && !shared.over.load(Ordering::SeqCst) {
                thread::park();
            }
            shared.parked.store(false, Ordering::SeqCst);
            idle = 0;
        }
        thread::sleep(TICK);
        for engine in engines.iter().filter_map(EngineWeak::upgrade) {
            engine.increment_epoch();
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.shared.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_whole_number_of_ticks_and_one_more() {
        for (ms, expected) in [(5, 2), (100, 21), (101, 22), (500, 101)] {
            assert_eq!(ticks(Duration::from_millis(ms)), expected, "{ms} ms");
        }
    }
}
