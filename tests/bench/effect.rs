//! From a command to its effect, as a session sees it that was open before and stays so.
//!
//! The session sends a probe every hundredth of a second, in clear, From a mailbox that the change puts on a list or takes from one: the
//! effect is there when their reply is another. Those that are accepted reach the sink, which counts them as strange.

use std::time::{Duration, Instant};

use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::relay::{Relay, Said};

/// Between probes: a session may send 1,000 messages.
const PAUSE: Duration = Duration::from_millis(10);

/// An open session.
pub(crate) struct Session {
    dialogue: Dialogue,
    /// Probes that were accepted so far.
    pub(crate) accepted: u64,
}

/// Whose mail is probed: sender and recipient.
pub(crate) type Probe<'a> = (&'a str, &'a str);

impl Session {
    pub(crate) fn open(relay: &Relay) -> Session {
        Session { dialogue: Dialogue::open(relay.smtp()).expect("a session"), accepted: 0 }
    }

    /// Whether a message is refused for want of TLS; anything else but its acceptance is no measurement.
    pub(crate) fn refuses(&mut self, (from, to): Probe<'_>) -> bool {
        let content = format!("From: <{from}>\nSubject: a probe\n\nOne line.\n");
        let reply = self.dialogue.submit(from, &[to], &content).expect("the session is not dropped");
        assert!(reply.starts_with("250") || reply.starts_with("550"), "{reply}");
        self.accepted += u64::from(reply.starts_with("250"));
        reply.starts_with("550")
    }

    /// Seconds from the beginning of the change to the first probe that is refused; the change must end well besides.
    pub(crate) fn until_refused(&mut self, probe: Probe<'_>, change: impl FnOnce() + Send) -> f64 {
        assert!(!self.refuses(probe), "{probe:?} is refused before the change");
        let started = Instant::now();
        std::thread::scope(|threads| {
            let change = threads.spawn(change);
            while !self.refuses(probe) {
                // A change that failed has no effect to wait for.
                assert!(!change.is_finished() || self.refuses(probe), "the change has ended without an effect");
                std::thread::park_timeout(PAUSE);
            }
            let took = started.elapsed().as_secs_f64();
            change.join().expect("the change was made");
            took
        })
    }
}

/// A command that must end well, and the seconds it took.
pub(crate) fn timed(relay: &Relay, arguments: &[&str]) -> (Said, f64) {
    let started = Instant::now();
    let said = relay.run(arguments);
    let took = started.elapsed().as_secs_f64();
    assert!(said.status.success(), "sealwire {}: {}", arguments.join(" "), said.err);
    (said, took)
}
