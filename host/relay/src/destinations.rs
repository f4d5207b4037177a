//! What protection destinations have given: kept over restarts, compared at each new connection, told where it lessens.
//!
//! The comparison is core's ([`sealwire_core::downgrade`]). Memory and store hold one row for each destination: a domain by its
//! mail exchangers, or a route with hosts of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemars::JsonSchema;
use sealwire_core::downgrade::{Destination, Protection};
use sealwire_core::plan::{NextHop, Target};
use sealwire_store::{Known, Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::relay::Relay;

/// How the store knows these.
const KIND: &str = "destination";
/// Destinations that are remembered; beyond, no new one is until others are forgotten.
const DESTINATIONS_MAX: usize = 100_000;

/// Of all destinations.
#[derive(Default)]
pub(crate) struct Destinations(Mutex<HashMap<String, Destination>>);

/// A host that gives less than it gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Downgrade {
    /// A domain, or `route NAME`.
    pub destination: String,
    /// Its host.
    pub host: String,
    /// The best that is remembered.
    pub gave: Protection,
    /// When that was seen last; seconds since the Unix epoch.
    pub gave_at: u64,
    /// What it gives now.
    pub gives: Protection,
    /// Since when; seconds since the Unix epoch.
    pub since: u64,
}

impl Destinations {
    /// What the store holds.
    pub(crate) async fn of_store(store: &dyn Store) -> Result<Destinations, StoreError> {
        let known = store.known(KIND).await?.into_iter();
        // What a later version wrote, or nobody, is learned again.
        let read = known.filter_map(|row| Some((row.key, serde_json::from_str(&row.value).ok()?)));
        Ok(Destinations(Mutex::new(read.collect())))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Destination>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a host of this next hop gave; where it is less than before, `relay` raises an alert.
    pub(crate) fn note(&self, relay: &Relay, next_hop: &NextHop, host: &str, protection: Protection) {
        let (key, now, mut forgotten) = (key_of(next_hop), relay.world.now(), Vec::new());
        let (noted, value) = {
            let mut known = self.lock();
            if known.len() >= DESTINATIONS_MAX && !known.contains_key(&key) {
                forgotten.extend(known.iter().filter(|(_, it)| it.is_forgotten(now)).map(|(key, _)| key.clone()));
                forgotten.iter().for_each(|key| drop(known.remove(key)));
                if forgotten.is_empty() {
                    return tracing::warn!(max = DESTINATIONS_MAX, "no more destinations are remembered");
                }
            }
            let destination = known.entry(key.clone()).or_default();
            let noted = destination.note(host, protection, now);
            let value = if noted.changed { serde_json::to_string(destination).ok() } else { None };
            (noted, value)
        };
        if let Some(lost) = noted.lost {
            let text = format!(
                "{key} has lost protection: {lost}. Its owner has changed it, or somebody stands in between; ask them, then \
                 `sealwire downgrades accept`"
            );
            relay.alert_once(&format!("downgrade {key} {host}"), text);
        }
        if let Some(value) = value {
            keep(relay, Known { kind: KIND.into(), key, value, at: now });
        }
        if !forgotten.is_empty() {
            let store = Arc::clone(&relay.store);
            tokio::spawn(async move {
                if let Err(error) = store.forget(KIND, forgotten).await {
                    tracing::error!(%error, "destinations could not be forgotten");
                }
            });
        }
    }

    /// Hosts that give less than they gave, by destination.
    pub(crate) fn downgrades(&self) -> Vec<Downgrade> {
        let known = self.lock();
        let of = |(destination, hosts): (&String, &Destination)| {
            let lessened = hosts.lessened().filter_map(|(host, seen)| {
                let less = seen.less.as_ref()?;
                Some(Downgrade {
                    destination: destination.clone(),
                    host: host.clone(),
                    gave: seen.best,
                    gave_at: seen.best_at,
                    gives: less.protection,
                    since: less.since,
                })
            });
            lessened.collect::<Vec<_>>()
        };
        let mut downgrades: Vec<Downgrade> = known.iter().flat_map(of).collect();
        downgrades.sort_by(|a, b| (&a.destination, &a.host).cmp(&(&b.destination, &b.host)));
        downgrades
    }

    /// What this destination gives now is what is expected of it from now on; what gave more, none where it gives no less.
    pub(crate) fn accept(&self, relay: &Relay, destination: &str) -> Vec<Downgrade> {
        let now = relay.world.now();
        let accepted: Vec<Downgrade> =
            self.downgrades().into_iter().filter(|downgrade| downgrade.destination == destination).collect();
        let value = self.lock().get_mut(destination).filter(|_| !accepted.is_empty()).and_then(|hosts| {
            hosts.accept(now);
            serde_json::to_string(hosts).ok()
        });
        if let Some(value) = value {
            keep(relay, Known { kind: KIND.into(), key: destination.to_owned(), value, at: now });
        }
        accepted
    }
}

/// Mail does not wait for it. What is not kept is learned again after the next start.
fn keep(relay: &Relay, known: Known) {
    let store = Arc::clone(&relay.store);
    tokio::spawn(async move {
        if let Err(error) = store.learn(vec![known]).await {
            tracing::error!(%error, "what a destination gave could not be kept");
        }
    });
}

fn key_of(next_hop: &NextHop) -> String {
    match &next_hop.target {
        Target::Mx { domain, .. } => domain.to_string(),
        Target::Hosts(_) => format!("route {}", next_hop.route),
    }
}
