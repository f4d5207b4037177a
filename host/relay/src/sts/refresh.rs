//! Fetches policies anew ahead of their end (RFC 8461 §3.3, §10.2), and tells of those that are about to end.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use sealwire_core::address::Domain;
use sealwire_core::sts::{Mode, StsPolicy};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{FetchFault, Fetching, Held, KIND, OfDomain, Policies, look_up};
use crate::relay::Relay;

/// A policy is fetched anew when it is this old, or has spent half of its time.
const DAY: u64 = 86_400;
/// After a fetch that failed.
const TRY_AGAIN: Duration = Duration::from_secs(3600);
/// A policy nobody has needed for so long is not fetched anew: it holds to its end.
const UNUSED: u64 = 30 * DAY;
/// A policy that has ended is kept for so long: a clock that was set on by mistake must not cost what is known.
const KEPT_ENDED: u64 = 30 * DAY;
/// Policies in hand; beyond, those that mail needed longest ago are let go.
const HELD_MAX: usize = 100_000;
/// Fetches side by side.
const AT_ONCE: usize = 8;
/// The longest between two looks at what is due.
const LOOK: Duration = Duration::from_secs(300);

/// Runs until the relay stops.
pub(crate) async fn run(relay: Arc<Relay>, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        let wait = tokio::select! {
            wait = round(&relay) => wait,
            _ = stopping.changed() => break,
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = relay.sts.fetched.notified() => {}
            _ = stopping.changed() => {}
        }
    }
}

/// Refreshes what is due; returns how long until something may be.
async fn round(relay: &Relay) -> Duration {
    let now = relay.world.now();
    relay.sts.let_go(HELD_MAX);
    let known: Vec<_> = {
        let domains = relay.sts.domains.lock().unwrap_or_else(PoisonError::into_inner);
        domains.iter().map(|(domain, known)| (domain.clone(), Arc::clone(known))).collect()
    };
    let waits = stream::iter(known).map(|(domain, known)| async move {
        let due = match known.try_lock() {
            Ok(mut known) => known.due(relay, &domain, now).await,
            // One that is in use is looked at the next time.
            Err(_) => Due::In(LOOK),
        };
        match due {
            Due::In(wait) => wait,
            Due::Now(held) => {
                // Mail does not wait for this: what is in hand still holds.
                let (id, fetched) = fetch_anew(relay, &domain, &held).await;
                let fault = fetched.as_ref().err().cloned();
                let mut known = known.lock().await;
                // Mail may have fetched another in the meantime.
                if known.held.as_ref().is_some_and(|current| current.is_the_same_fetch(&held)) {
                    known.fetched(&domain, id, fetched, &*relay.store, now).await;
                }
                if let Some(fault) = fault.filter(|_| held.is_missed_soon(now)) {
                    let text =
                        format!("the MTA-STS policy of {domain} ends within a day and cannot be refreshed: {fault}");
                    relay.alert_once(&format!("mta-sts {domain}"), text);
                }
                LOOK
            }
        }
    });
    waits.buffer_unordered(AT_ONCE).fold(LOOK, async |least, wait| least.min(wait)).await.max(Duration::from_secs(1))
}

impl Policies {
    /// Of more than `max` policies forgets those that mail needed longest ago; the store keeps them until their end.
    fn let_go(&self, max: usize) {
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        let used_at = |known: &Arc<tokio::sync::Mutex<OfDomain>>| {
            known.try_lock().ok().and_then(|known| known.held.as_ref().map(|held| held.used_at))
        };
        let mut held: Vec<(u64, Domain)> =
            domains.iter().filter_map(|(domain, known)| Some((used_at(known)?, domain.clone()))).collect();
        let beyond = held.len().saturating_sub(max);
        if beyond > 0 {
            held.sort_unstable();
            held.iter().take(beyond).for_each(|(_, domain)| drop(domains.remove(domain)));
            tracing::warn!(beyond, max, "more MTA-STS policies than are held; those used longest ago are let go");
        }
    }
}

impl Held {
    /// Seconds until it is to be fetched anew; none where the clock was set back behind its fetch.
    fn refresh_in(&self, now: u64) -> u64 {
        let age = now.checked_sub(self.fetched_at);
        age.map_or(0, |age| DAY.min(self.policy.max_age / 2).saturating_sub(age))
    }

    /// It protects mail, and ends within a day or the last quarter of its time, whichever is shorter.
    fn is_missed_soon(&self, now: u64) -> bool {
        self.policy.mode != Mode::None && self.ends_at().saturating_sub(now) < DAY.min(self.policy.max_age / 4)
    }

    fn is_the_same_fetch(&self, other: &Held) -> bool {
        (self.fetched_at, &self.id) == (other.fetched_at, &other.id)
    }
}

/// When a policy is to be fetched anew.
enum Due {
    Now(Arc<Held>),
    In(Duration),
}

async fn fetch_anew(relay: &Relay, domain: &Domain, held: &Held) -> (String, Result<StsPolicy, FetchFault>) {
    let live = relay.live();
    let fetching = Fetching::of(relay, &live);
    // The record may have changed, or may be gone while the policy stands.
    let id = look_up(domain, fetching.web.resolver).await.ok().flatten().unwrap_or_else(|| held.id.clone());
    (id, fetching.fetch(domain).await)
}

impl OfDomain {
    /// Forgets a policy that has ended long ago.
    async fn due(&mut self, relay: &Relay, domain: &Domain, now: u64) -> Due {
        let Some(held) = self.held.clone() else { return Due::In(LOOK) };
        if !held.holds(now) {
            if now.saturating_sub(held.ends_at()) < KEPT_ENDED {
                return Due::In(LOOK);
            }
            self.held = None;
            if let Err(error) = relay.store.forget(KIND, vec![domain.to_string()]).await {
                tracing::error!(%domain, %error, "an MTA-STS policy that has ended cannot be forgotten");
            }
            return Due::In(LOOK);
        }
        let wait = held.refresh_in(now);
        if wait > 0 {
            return Due::In(Duration::from_secs(wait).min(LOOK));
        }
        let unused = now.saturating_sub(held.used_at) >= UNUSED;
        if unused || self.failed.as_ref().is_some_and(|(since, _)| since.elapsed() < TRY_AGAIN) {
            return Due::In(LOOK);
        }
        Due::Now(held)
    }
}

#[cfg(test)]
mod tests {
    use sealwire_core::sts::MxPattern;

    use super::*;

    const NOW: u64 = 1_000 * DAY;

    fn held(fetched_at: u64, mode: Mode, max_age: u64) -> Held {
        let mx = vec![MxPattern::Host(Domain::parse("mx.d.test").expect("a domain"))];
        Held { id: "1".into(), policy: StsPolicy { mode, max_age, mx }, fetched_at, used_at: fetched_at }
    }

    #[test]
    fn a_policy_is_fetched_anew_each_day_or_at_half_its_time_or_behind_a_clock_that_was_set_back() {
        for (age, max_age, expected) in
            [(0, 10 * DAY, DAY), (DAY - 1, 10 * DAY, 1), (2 * DAY, 10 * DAY, 0), (0, DAY, DAY / 2), (0, 2, 1)]
        {
            assert_eq!(held(NOW - age, Mode::Enforce, max_age).refresh_in(NOW), expected, "{age} {max_age}");
        }
        let later = held(NOW + 300 * DAY, Mode::Enforce, 10 * DAY);
        assert!(later.holds(NOW));
        assert_eq!(later.refresh_in(NOW), 0);
    }

    #[test]
    fn only_a_policy_that_protects_and_is_near_its_end_is_missed() {
        for (mode, max_age, left, expected) in [
            (Mode::Enforce, 10 * DAY, DAY - 1, true),
            (Mode::Enforce, 10 * DAY, 2 * DAY, false),
            (Mode::Enforce, DAY, DAY / 2, false),
            (Mode::Enforce, DAY, DAY / 8, true),
            (Mode::Testing, 10 * DAY, 10, true),
            (Mode::None, 10 * DAY, 10, false),
        ] {
            let held = held(NOW - (max_age - left), mode, max_age);
            assert_eq!(held.is_missed_soon(NOW), expected, "{mode:?} {max_age} {left}");
        }
    }

    #[test]
    fn of_too_many_policies_those_used_longest_ago_go() {
        let policies = Policies::default();
        for day in 0..5 {
            let domain = Domain::parse(&format!("d{day}.test")).expect("a domain");
            let known = policies.of(&domain);
            let mut known = known.try_lock().expect("nobody else has it");
            known.held = Some(Arc::new(held(NOW + day, Mode::Enforce, DAY)));
        }
        policies.let_go(2);
        let mut left: Vec<String> = policies.domains.lock().expect("sound").keys().map(ToString::to_string).collect();
        left.sort();
        assert_eq!(left, ["d3.test", "d4.test"]);
    }
}
