//! Looks time and again, from the start on, whether the DNS still proves what it says: neither `status` nor an alert waits for mail.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::relay::Relay;

/// Between two looks; how often servers are asked is the resolver's business.
const LOOK: Duration = Duration::from_secs(5);

/// Runs until the relay stops.
pub(crate) async fn run(relay: Arc<Relay>, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        let live = relay.live();
        tokio::select! {
            trouble = live.resolver.trouble() => {
                if let Some(why) = trouble {
                    let text = format!(
                        "the DNS no longer proves what it says (DNSSEC): {why}. Mail that needs the DNS waits until the name \
                         servers of this machine validate again; `sealwire reload` goes on without proofs"
                    );
                    relay.alert_once("dnssec", text);
                }
            }
            _ = stopping.changed() => break,
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stopping.changed() => {}
        }
    }
}
