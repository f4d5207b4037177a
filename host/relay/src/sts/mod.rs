//! MTA-STS policies (RFC 8461): discovered, fetched, kept across restarts, refreshed ahead of their end.
//!
//! 1. The record of a domain is looked up before mail goes there, at most once in [`RECORD_TIME`]. A new id has the policy
//!    fetched; while it cannot be, one that still holds goes on to count (§3.3, §5.1), whatever became of the record.
//! 2. A domain without a record, or whose first policy cannot be fetched, has none: that is the standard's choice (§3.3).
//!    Whoever wants more lists the domain.
//! 3. [`refresh`] fetches every policy anew each day, so that it does not end while nobody looks.
//!
//! Policies in memory are the store's; a store that fails costs a fetch after the next start.

mod fetch;
mod refresh;

pub(crate) use fetch::{FetchFault, Fetching};
pub(crate) use refresh::run as refresh;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealwire_core::address::Domain;
use sealwire_core::sts::{Mode, StsPolicy, record_id};
use sealwire_store::{Known, Store, StoreError};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::dns::{DnsError, Resolver};

/// For the look-up of a record; mail that waits for it goes by what is in hand afterwards.
const LOOK_UP_TIME: Duration = Duration::from_secs(20);
/// How long a record counts as looked up.
const RECORD_TIME: Duration = Duration::from_secs(60);
/// How long a policy that could not be fetched is not asked for again (§3.3).
const FETCH_AGAIN: Duration = Duration::from_secs(300);
/// Domains of which something is known; beyond, those without a policy are forgotten.
const DOMAINS_MAX: usize = 10_000;
/// How the store knows these.
const KIND: &str = "mta-sts";

/// A policy in hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Held {
    /// From the record, when it was fetched.
    pub(crate) id: String,
    #[serde(flatten)]
    pub(crate) policy: StsPolicy,
    /// Seconds since the Unix epoch.
    pub(crate) fetched_at: u64,
    /// Mail went there last; within a day.
    pub(crate) used_at: u64,
}

impl Held {
    /// One that was fetched later than `now`, before a clock was set back, holds too, and is fetched anew.
    fn holds(&self, now: u64) -> bool {
        now < self.ends_at()
    }

    /// Seconds since the Unix epoch.
    pub(crate) fn ends_at(&self) -> u64 {
        self.fetched_at.saturating_add(self.policy.max_age)
    }
}

/// What a domain's MTA-STS comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sts {
    /// It has none, or takes it back.
    None,
    /// It has one that enforces or tests.
    Policy(Arc<Held>),
    /// It announces one, or may do so, and it is not to be had; none was in hand.
    Fault(FetchFault),
}

/// What is known of one domain.
#[derive(Debug, Default)]
struct OfDomain {
    held: Option<Arc<Held>>,
    /// When the record was last looked up, by the time that passes and by the clock.
    looked: Option<(Instant, u64)>,
    /// Of the latest fetch, if it failed: when, why.
    failed: Option<(Instant, FetchFault)>,
    /// Why the record could not be looked up, the last time.
    unknown: Option<String>,
}

/// The policies of all domains.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    domains: Mutex<HashMap<Domain, Arc<tokio::sync::Mutex<OfDomain>>>>,
    /// A policy has come that may be due sooner than any other.
    fetched: Notify,
}

impl Policies {
    /// Those that the store holds.
    pub(crate) async fn of_store(store: &dyn Store) -> Result<Policies, StoreError> {
        let mut policies = HashMap::new();
        for Known { key, value, .. } in store.known(KIND).await? {
            // What a later version wrote, or nobody, is fetched again.
            if let (Ok(domain), Ok(held)) = (Domain::parse(&key), serde_json::from_str::<Held>(&value)) {
                let known = OfDomain { held: Some(Arc::new(held)), ..OfDomain::default() };
                policies.insert(domain, Arc::new(tokio::sync::Mutex::new(known)));
            }
        }
        Ok(Policies { domains: Mutex::new(policies), fetched: Notify::new() })
    }

    /// This one alone.
    #[cfg(test)]
    pub(crate) fn holding(domain: &Domain, held: Held) -> Policies {
        let known = OfDomain { held: Some(Arc::new(held)), ..OfDomain::default() };
        let domains = HashMap::from([(domain.clone(), Arc::new(tokio::sync::Mutex::new(known)))]);
        Policies { domains: Mutex::new(domains), fetched: Notify::new() }
    }

    fn of(&self, domain: &Domain) -> Arc<tokio::sync::Mutex<OfDomain>> {
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        if domains.len() >= DOMAINS_MAX && !domains.contains_key(domain) {
            // One that is in use right now is not forgotten.
            domains.retain(|_, known| {
                Arc::strong_count(known) > 1 || known.try_lock().map_or(true, |known| known.held.is_some())
            });
        }
        Arc::clone(domains.entry(domain.clone()).or_default())
    }

    /// What holds for mail to this domain at `now`, seconds since the Unix epoch. Looks up and fetches what is due; `store`
    /// gets what was fetched.
    pub(crate) async fn look(&self, domain: &Domain, fetching: &Fetching<'_>, store: &dyn Store, now: u64) -> Sts {
        let known = self.of(domain);
        // Others who want the same wait for the one fetch.
        let mut known = known.lock().await;
        if known.is_to_be_looked_up(now) {
            // Until all is done it counts as not looked up: whoever waits may be gone before.
            known.looked = None;
            let looked_up = look_up(domain, fetching.web.resolver).await;
            known.unknown = looked_up.as_ref().err().cloned();
            let id = looked_up.unwrap_or_default();
            if known.unknown.is_none() && id.is_none() {
                // There is nothing any more that could have been fetched.
                known.failed = None;
            }
            let in_hand = known.held.as_ref().filter(|held| held.holds(now)).map(|held| held.id.clone());
            if let Some(id) = id
                && in_hand.as_ref() != Some(&id)
                && !known.has_failed()
            {
                let fetched = fetching.fetch(domain).await;
                known.fetched(domain, id, fetched, store, now).await;
                self.fetched.notify_one();
            }
            known.looked = Some((Instant::now(), now));
        }
        known.verdict(now)
    }
}

impl OfDomain {
    /// A policy that held at the last look-up and has ended since is not as good as none.
    fn is_to_be_looked_up(&self, now: u64) -> bool {
        self.looked.is_none_or(|(since, clock)| {
            let ended = self.held.as_ref().is_some_and(|held| held.holds(clock) && !held.holds(now));
            ended || since.elapsed() >= RECORD_TIME
        })
    }

    /// Under whichever id: a name server with a new one each time must not hold mail up each time.
    fn has_failed(&self) -> bool {
        self.failed.as_ref().is_some_and(|(since, _)| since.elapsed() < FETCH_AGAIN)
    }

    async fn fetched(
        &mut self,
        domain: &Domain,
        id: String,
        fetched: Result<StsPolicy, FetchFault>,
        store: &dyn Store,
        now: u64,
    ) {
        match fetched {
            Ok(policy) => {
                let used_at = self.held.as_ref().map_or(now, |held| held.used_at);
                let held = Held { id, policy, fetched_at: now, used_at };
                tracing::info!(%domain, id = held.id, mode = ?held.policy.mode, "MTA-STS policy fetched");
                keep(store, domain, &held, now).await;
                self.held = Some(Arc::new(held));
                self.failed = None;
            }
            Err(fault) => {
                tracing::warn!(%domain, %fault, "the MTA-STS policy is not to be had");
                self.failed = Some((Instant::now(), fault));
            }
        }
    }

    /// What counts now.
    fn verdict(&mut self, now: u64) -> Sts {
        match &mut self.held {
            Some(held) if held.holds(now) => {
                if held.used_at < now {
                    Arc::make_mut(held).used_at = now;
                }
                if held.policy.mode == Mode::None { Sts::None } else { Sts::Policy(Arc::clone(held)) }
            }
            _ => {
                let failed = self.failed.as_ref().map(|(_, fault)| fault.clone());
                let fault = failed.or_else(|| self.unknown.clone().map(FetchFault::Fetch));
                fault.map_or(Sts::None, Sts::Fault)
            }
        }
    }
}

/// The id of the domain's record, or why it could not be looked up; either way what is in hand goes on to count.
async fn look_up(domain: &Domain, resolver: &dyn Resolver) -> Result<Option<String>, String> {
    let late = |_| Err(DnsError::Inconclusive(format!("no answer within {} s", LOOK_UP_TIME.as_secs())));
    match timeout(LOOK_UP_TIME, resolver.txt(&format!("_mta-sts.{domain}"))).await.unwrap_or_else(late) {
        Ok(answer) => Ok(record_id(&answer.found)),
        Err(DnsError::NoSuchName) => Ok(None),
        Err(error @ DnsError::Inconclusive(_)) => {
            tracing::info!(%domain, %error, "the record of MTA-STS cannot be looked up");
            Err(error.to_string())
        }
    }
}

async fn keep(store: &dyn Store, domain: &Domain, held: &Held, now: u64) {
    let Ok(value) = serde_json::to_string(held) else { return };
    let known = Known { kind: KIND.into(), key: domain.to_string(), value, at: now };
    if let Err(error) = store.learn(vec![known]).await {
        tracing::error!(%domain, %error, "an MTA-STS policy cannot be kept; it is fetched again after the next start");
    }
}

#[cfg(test)]
mod tests {
    use sealwire_store::MemoryPlace;

    use super::*;

    /// RFC 8461 §3.3: five minutes at least, under whichever id.
    #[tokio::test(start_paused = true)]
    async fn a_policy_that_is_not_to_be_had_is_not_asked_for_again_at_once() {
        let store = MemoryPlace::default().open();
        let domain = Domain::parse("d.test").expect("a domain");
        let mut known = OfDomain::default();
        assert!(!known.has_failed());
        known.fetched(&domain, "1".into(), Err(FetchFault::Fetch("why".into())), &store, 7).await;
        assert_eq!(known.verdict(7), Sts::Fault(FetchFault::Fetch("why".into())));
        tokio::time::advance(Duration::from_secs(299)).await;
        assert!(known.has_failed());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(!known.has_failed());
    }
}
