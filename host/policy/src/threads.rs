//! The threads decisions run on: as many as cores, never the mail runtime's workers, behind a semaphore.
//!
//! A guest that burns its whole time limit then delays other decisions, but no session and no delivery. The semaphore
//! keeps the queue in front of them short, so that waiting happens where it is fair and can be given up.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::{Semaphore, oneshot};

use crate::limits::THREAD_STACK;

/// A piece of work.
type Job = Box<dyn FnOnce() + Send>;

/// Jobs let in per thread: the one that runs, and one that waits so that the thread need not.
const PER_THREAD: usize = 2;

pub(crate) struct Threads {
    queue: Arc<Queue>,
    permits: Arc<Semaphore>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<Waiting>,
    ready: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Threads {
    /// So many of this name. `niceness` 0 is that of the process; more is lower priority.
    pub(crate) fn start(name: &str, count: usize, niceness: i32) -> std::io::Result<Threads> {
        let threads =
            Threads { queue: Arc::default(), permits: Arc::new(Semaphore::new(count.saturating_mul(PER_THREAD))) };
        for number in 0..count {
            let queue = Arc::clone(&threads.queue);
            let named = thread::Builder::new().name(format!("{name}-{number}")).stack_size(THREAD_STACK);
            named.spawn(move || {
                if niceness > 0 {
                    // Of this thread alone, on Linux. It may be forbidden; then it competes.
                    let _ = rustix::process::nice(niceness);
                }
                queue.work();
            })?;
        }
        Ok(threads)
    }

    /// Runs `job` on one of the threads. Err: it panicked, and this is what it said.
    pub(crate) async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| "the sandbox is closed".to_owned())?;
        let (answer, answered) = oneshot::channel();
        self.queue.push(Box::new(move || {
            let result = caught(job);
            drop(permit);
            // Nobody may be waiting any more: a session that was closed.
            let _ = answer.send(result);
        }));
        answered.await.unwrap_or_else(|_| Err("the sandbox is closed".to_owned()))
    }
}

/// Runs something that must not take the thread down with it.
pub(crate) fn caught<T>(job: impl FnOnce() -> T) -> Result<T, String> {
    panic::catch_unwind(AssertUnwindSafe(job)).map_err(|panic| format!("the host panicked: {}", said(panic.as_ref())))
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}

impl Queue {
    fn push(&self, job: Job) {
        self.lock().jobs.push_back(job);
        self.ready.notify_one();
    }

    fn work(&self) {
        loop {
            let mut waiting = self.lock();
            let job = loop {
                if let Some(job) = waiting.jobs.pop_front() {
                    break job;
                }
                if waiting.closed {
                    return;
                }
                waiting = self.ready.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            };
            drop(waiting);
            job();
        }
    }

    /// No job runs under the lock, so a poisoned one is still whole.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.ready.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_the_job_and_not_the_thread() {
        let threads = Threads::start("test", 1, 0).expect("a thread");
        let panicked = threads.run(|| -> u8 { panic!("on purpose") }).await;
        assert_eq!(panicked, Err("the host panicked: on purpose".to_owned()));
        assert_eq!(threads.run(|| 7).await, Ok(7));
    }

    /// Of any number of jobs at once as many run as there are threads, one for each waits in the queue, and the rest wait
    /// where they can be given up.
    #[tokio::test(flavor = "multi_thread")]
    async fn so_many_run_at_once_and_no_more() {
        const THREADS: usize = 2;
        const LET_IN: usize = THREADS * PER_THREAD;
        const JOBS: usize = 50;
        let threads = Arc::new(Threads::start("test", THREADS, 0).expect("threads"));
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let started = Arc::new(Semaphore::new(0));
        let jobs: Vec<_> = (0..JOBS)
            .map(|job| {
                let (threads, gate, started) = (Arc::clone(&threads), Arc::clone(&gate), Arc::clone(&started));
                tokio::spawn(async move {
                    let work = move || {
                        started.add_permits(1);
                        // Nobody opens for a job that should not have been started; the test has ended then.
                        let _ = gate.lock().map(|gate| gate.recv());
                        job
                    };
                    threads.run(work).await
                })
            })
            .collect();
        let waiting = || threads.queue.lock().jobs.len();
        for done in 0..JOBS {
            started.acquire().await.expect("open").forget();
            // Until as many are let in as may be; a queue that grows beyond that ends the wait too.
            while done + LET_IN < JOBS && threads.permits.available_permits() > 0 && waiting() <= LET_IN {
                tokio::task::yield_now().await;
            }
            assert!(waiting() < LET_IN, "the queue grows");
            assert!(started.available_permits() < THREADS, "more run than there are threads");
            open.send(()).expect("a job waits");
        }
        for (job, ended) in jobs.into_iter().enumerate() {
            assert_eq!(ended.await.expect("no panic"), Ok(job));
        }
    }
}
