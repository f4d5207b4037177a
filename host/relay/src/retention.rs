//! Retention: what the ledger and the audit log keep no longer than the configuration says is removed, once a day.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::audit::{Act, Actor};
use crate::relay::Relay;

/// From one look to the next; the first is at the start.
const EVERY: Duration = Duration::from_secs(86_400);

/// Runs until the relay stops.
pub(crate) async fn run(relay: Arc<Relay>, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        tokio::select! {
            () = forget(&relay) => {}
            _ = stopping.changed() => break,
        }
        tokio::select! {
            () = sleep(EVERY) => {}
            _ = stopping.changed() => {}
        }
    }
}

/// Removes what is too old. What the store cannot remove today it removes tomorrow; an alert says so.
pub(crate) async fn forget(relay: &Relay) {
    let (keep, now_ms) = (relay.live().config.keep, relay.world.now_ms());
    let before = |secs: u64| now_ms.saturating_sub(secs.saturating_mul(1000));
    let upkeep = Actor::new("relay", "upkeep");
    if let Some(secs) = keep.ledger_secs {
        let before_ms = before(secs);
        match relay.store.prune(before_ms).await {
            Ok(0) => {}
            Ok(removed) => {
                let after = json!({ "before-ms": before_ms, "removed": removed });
                relay.audit(&upkeep, Act::of("ledger-prune", "").changing(json!(null), after)).await;
            }
            Err(error) => relay.alert_once("retention", format!("old ledger records were not removed: {error}")),
        }
    }
    if let Some(secs) = keep.audit_secs {
        let entry = relay.entry(&upkeep, Act::default(), None);
        if let Err(error) = relay.store.audit_prune(before(secs), entry).await {
            relay.alert_once("retention", format!("old entries of the audit log were not removed: {error}"));
        }
    }
}
