//! The leases of the rounds under way: renewed while a round runs, when one is near its end, and when the machine's clock is
//! set.
//!
//! A lease ends by the system's clock, since the store outlives the process. A clock that is set on by an hour would end
//! all of them at once, and a disk that was full for minutes keeps them from being renewed; a message that is on the wire
//! would then be taken up a second time. So whoever claims asks first ([`Leases::all_alive`]): where a lease may have run
//! out it is renewed before anything is claimed, and where that fails nothing is claimed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use sealwire_store::{ClaimToken, StoreError};
use tokio::time::Instant;

use crate::relay::Relay;

/// How long a claim is ours without renewal; longer than any stall of this process that is worth waiting for.
pub(crate) const LEASE_SECS: u64 = 300;
/// A round renews its lease so often, and again after so long where that failed.
const RENEW_EVERY: Duration = Duration::from_secs(LEASE_SECS / 3);
const RENEW_AGAIN: Duration = Duration::from_secs(5);
/// With less left than this a lease is renewed before anything is claimed.
const NEAR_ITS_END_SECS: u64 = LEASE_SECS / 3;
/// How far the clock may go astray between two looks before it counts as set: beyond what a clock that is slewed does
/// in an hour (500 ppm), far below a lease.
const ASTRAY_SECS: u64 = 30;

/// Of one scheduler.
pub(crate) struct Leases {
    under_way: Mutex<BTreeMap<String, Lease>>,
    /// The clock at the last look, and the moment of it.
    looked: Mutex<(u64, Instant)>,
}

#[derive(Clone)]
struct Lease {
    token: ClaimToken,
    ends: u64,
}

impl Leases {
    /// None yet; `now` is what the clock shows.
    pub(crate) fn new(now: u64) -> Leases {
        Leases { under_way: Mutex::default(), looked: Mutex::new((now, Instant::now())) }
    }

    /// Renews what may have run out; what the clock shows, once no round under way can lose its claim to the next one.
    /// Err: the store could not renew.
    pub(crate) async fn all_alive(&self, relay: &Relay) -> Result<u64, ()> {
        let (now, moment) = (relay.world.now(), Instant::now());
        let astray = self.astray(now, moment);
        let wanting = |lease: &&Lease| astray.is_some() || lease.ends < now + NEAR_ITS_END_SECS;
        let wanting: Vec<ClaimToken> =
            lock(&self.under_way).values().filter(wanting).map(|l| l.token.clone()).collect();
        let renewed = join_all(wanting.iter().map(|token| self.renew(relay, token, now))).await;
        if renewed.iter().any(Result::is_err) {
            return Err(());
        }
        if let Some(expected) = astray {
            tracing::warn!(from = expected, to = now, rounds = wanting.len(), "the clock was set; leases are renewed");
        }
        *lock(&self.looked) = (now, moment);
        Ok(now)
    }

    /// What the clock should show, where it did not go on as time did since the last look.
    fn astray(&self, now: u64, moment: Instant) -> Option<u64> {
        let (clock, at) = *lock(&self.looked);
        let expected = clock + moment.duration_since(at).as_secs();
        (expected.abs_diff(now) > ASTRAY_SECS).then_some(expected)
    }

    /// Does `work` under a lease that has just begun, and renews it meanwhile.
    pub(crate) async fn keep(self: Arc<Leases>, relay: Arc<Relay>, token: ClaimToken, work: impl Future<Output = ()>) {
        let lease = Lease { token: token.clone(), ends: relay.world.now() + LEASE_SECS };
        lock(&self.under_way).insert(token.entry().to_owned(), lease);
        let keep = async {
            let mut pause = RENEW_EVERY;
            loop {
                tokio::time::sleep(pause).await;
                let renewed = self.renew(&relay, &token, relay.world.now()).await;
                pause = if renewed.is_ok() { RENEW_EVERY } else { RENEW_AGAIN };
            }
        };
        tokio::select! {
            biased;
            () = work => {}
            () = keep => {}
        }
        // Where the claim was lost another round may have it.
        let mut under_way = lock(&self.under_way);
        if under_way.get(token.entry()).is_some_and(|lease| lease.token == token) {
            under_way.remove(token.entry());
        }
    }

    async fn renew(&self, relay: &Relay, token: &ClaimToken, now: u64) -> Result<(), StoreError> {
        let ends = now + LEASE_SECS;
        if !relay.store.renew(token, ends).await? {
            tracing::warn!(message = token.entry(), "the claim was lost; its round goes on and will not be settled");
        }
        // One that was lost is not asked for at every claim.
        if let Some(lease) = lock(&self.under_way).get_mut(token.entry()).filter(|lease| lease.token == *token) {
            lease.ends = ends;
        }
        Ok(())
    }
}

/// No panic leaves half a change under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_is_astray_where_it_did_not_go_on_as_time_did() {
        // Seconds that pass, seconds by which the clock goes on, whether it was set.
        let rows = [
            (3_600, 3_600, false),
            (3_600, 3_598, false),
            (0, 30, false),
            (0, 31, true),
            (10, 3_610, true),
            (3_600, 0, true),
            (60, -3_540, true),
        ];
        for (passed, gone_on, set) in rows {
            let leases = Leases::new(1_000_000);
            tokio::time::advance(Duration::from_secs(passed)).await;
            let now = 1_000_000_u64.saturating_add_signed(gone_on);
            assert_eq!(leases.astray(now, Instant::now()).is_some(), set, "{passed} s, clock {gone_on} s");
        }
    }
}
