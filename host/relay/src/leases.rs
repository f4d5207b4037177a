//! The leases of the rounds under way: renewed while a round runs, and when the machine's clock is set.
//!
//! A lease ends by the system's clock, since the store outlives the process. A clock that is set on by an hour would end
//! all of them at once, and a message that is on the wire would be taken up a second time. So whoever claims looks at the
//! clock first ([`Leases::mind_the_clock`]): where it did not go on as time did, every lease is renewed before anything is
//! claimed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use sealwire_store::{Claim, ClaimToken};
use tokio::time::Instant;

use crate::relay::Relay;
use crate::spine::attempt;

/// How long a claim is ours without renewal; longer than any stall of this process that is worth waiting for.
pub(crate) const LEASE_SECS: u64 = 300;
/// How far the clock may go astray between two looks before it counts as set: beyond what a clock that is slewed does
/// in an hour (500 ppm), far below a lease.
const ASTRAY_SECS: u64 = 30;

/// Of one scheduler.
pub(crate) struct Leases {
    under_way: Mutex<BTreeMap<String, ClaimToken>>,
    /// The clock at the last look, and the moment of it.
    looked: Mutex<(u64, Instant)>,
}

impl Leases {
    /// None yet; `now` is what the clock shows.
    pub(crate) fn new(now: u64) -> Leases {
        Leases { under_way: Mutex::default(), looked: Mutex::new((now, Instant::now())) }
    }

    /// Renews every lease if the clock was set since the last look.
    pub(crate) async fn mind_the_clock(&self, relay: &Relay) {
        let Some((expected, now)) = self.astray(relay.world.now()) else { return };
        let rounds: Vec<ClaimToken> = lock(&self.under_way).values().cloned().collect();
        tracing::warn!(from = expected, to = now, rounds = rounds.len(), "the clock was set; leases are renewed");
        // One that cannot be renewed is told of by its round, which renews it too.
        let _ = join_all(rounds.iter().map(|token| relay.store.renew(token, now + LEASE_SECS))).await;
    }

    /// What the clock should show and what it shows, where the two differ by more than a little.
    fn astray(&self, now: u64) -> Option<(u64, u64)> {
        let mut looked = lock(&self.looked);
        let moment = Instant::now();
        let expected = looked.0 + moment.duration_since(looked.1).as_secs();
        *looked = (now, moment);
        (expected.abs_diff(now) > ASTRAY_SECS).then_some((expected, now))
    }

    /// One round of a claimed entry under its lease.
    pub(crate) async fn round(self: Arc<Leases>, relay: Arc<Relay>, claim: Claim) {
        let token = claim.token.clone();
        lock(&self.under_way).insert(token.entry().to_owned(), token.clone());
        let keep = async {
            loop {
                tokio::time::sleep(Duration::from_secs(LEASE_SECS / 3)).await;
                if let Ok(false) = relay.store.renew(&token, relay.world.now() + LEASE_SECS).await {
                    tracing::warn!(
                        message = token.entry(),
                        "the claim was lost; its round goes on and will not be settled"
                    );
                }
            }
        };
        tokio::select! {
            biased;
            () = attempt(&relay, claim) => {}
            () = keep => {}
        }
        lock(&self.under_way).remove(token.entry());
    }
}

/// No panic leaves half a change under these locks.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_is_astray_where_it_did_not_go_on_as_time_did() {
        let leases = Leases::new(1_000_000);
        // Seconds that pass, seconds by which the clock goes on, whether it was set.
        let rows = [
            (3_600, 3_600, false),
            (3_600, 3_598, false),
            (0, 30, false),
            (0, 31, true),
            (10, 3_610, true),
            (3_600, 0, true),
            (60, -3_540, true),
            (60, 60, false),
        ];
        let mut clock: i64 = 1_000_000;
        for (passed, gone_on, set) in rows {
            tokio::time::advance(Duration::from_secs(passed)).await;
            clock += gone_on;
            let now = u64::try_from(clock).expect("after 1970");
            assert_eq!(leases.astray(now).is_some(), set, "{passed} s, clock {gone_on} s");
        }
    }
}
