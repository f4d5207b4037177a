//! Fetches policies anew ahead of their end (RFC 8461 §3.3, §10.2), and tells of those that are about to end.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use sealwire_core::address::Domain;
use sealwire_core::sts::StsPolicy;
use tokio::sync::watch;
use tokio::time::sleep;

use super::{FetchFault, Fetching, Held, KIND, OfDomain, look_up};
use crate::relay::Relay;

/// A policy is fetched anew when it is this old, or has spent half of its time.
const DAY: u64 = 86_400;
/// After a fetch that failed.
const TRY_AGAIN: Duration = Duration::from_secs(3600);
/// A policy nobody has needed for so long is let go.
const UNUSED: u64 = 30 * DAY;
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
                known.lock().await.fetched(&domain, id, fetched, &*relay.store, now).await;
                if let Some(fault) = fault.filter(|_| held.ends_at().saturating_sub(now) < DAY) {
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

impl Held {
    /// When it is to be fetched anew, seconds since the Unix epoch.
    fn refresh_at(&self) -> u64 {
        self.fetched_at.saturating_add(DAY.min(self.policy.max_age / 2))
    }

    fn ends_at(&self) -> u64 {
        self.fetched_at.saturating_add(self.policy.max_age)
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
    let id = look_up(domain, fetching.resolver).await.ok().flatten().unwrap_or_else(|| held.id.clone());
    (id, fetching.fetch(domain).await)
}

impl OfDomain {
    /// Forgets a policy that has ended.
    async fn due(&mut self, relay: &Relay, domain: &Domain, now: u64) -> Due {
        let Some(held) = self.held.clone() else { return Due::In(LOOK) };
        if !held.holds(now) {
            (self.held, self.looked) = (None, None);
            if let Err(error) = relay.store.forget(KIND, vec![domain.to_string()]).await {
                tracing::error!(%domain, %error, "an MTA-STS policy that has ended cannot be forgotten");
            }
            return Due::In(LOOK);
        }
        let wait = held.refresh_at().saturating_sub(now);
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
