//! The one place where the tests wait for another process: ask, pause briefly, ask again, until a deadline.
//!
//! Nothing else in the tests pauses. A test that fails here says what it waited for and how long.

use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a loaded two-core machine to start any peer; a passing test never gets near it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Short enough not to be felt, long enough not to be a busy loop.
const PAUSE: Duration = Duration::from_millis(15);

/// What `ask` answers once it is `Some`.
///
/// # Panics
/// After `limit`, naming `what`.
#[track_caller]
pub fn until<T>(limit: Duration, what: &str, ask: impl FnMut() -> Option<T>) -> T {
    match within(limit, ask) {
        Some(answer) => answer,
        None => panic!("waited {} s in vain for: {what}", limit.as_secs_f32()),
    }
}

/// What `ask` answers once it is `Some`, or `None` after `limit`. It is asked at least once.
pub fn within<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::park_timeout(PAUSE);
    }
}
