//! Revocation lists that are out of date or soon will be: an operator hears of it before mail waits for one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::relay::Relay;

/// Between two looks: some authorities give out a list each hour, which then lasts for days.
const LOOK: Duration = Duration::from_secs(60);

/// Runs until the relay stops.
pub(crate) async fn run(relay: Arc<Relay>, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        for trouble in relay.list_troubles() {
            relay.alert_once(&trouble, trouble.clone());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stopping.changed() => {}
        }
    }
}

impl Relay {
    /// Each that is out of date or soon will be, in words.
    pub(crate) fn list_troubles(&self) -> BTreeSet<String> {
        let (live, now) = (self.live(), self.world.now());
        live.revocation_lists().filter_map(|list| list.trouble(now)).collect()
    }
}
