//! Sends alerts to where the operator wants them: by mail through the queue, and to a webhook by HTTPS.
//!
//! What comes within [`COLLECT`] goes out together, and the next batch no sooner than [`BETWEEN`] later; the same alert goes out once in `alerts.repeat-after`. A webhook that does not
//! take it is tried for a day. Nobody but the addresses of the configuration is told, and no alert about the mail of alerts goes by
//! mail: it would beget the next one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use sealwire_core::address::Mailbox;
use sealwire_core::alert_mail;
use sealwire_core::time::rfc3339;
use sealwire_core::tlsrpt::{Destination, Url};
use sealwire_core::units::UnitPath;
use sealwire_store::{Content, NewEntry};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Alert, Pending};

use crate::https::Web;
use crate::live::Live;
use crate::relay::Relay;

/// How long the first of several alerts waits for the others.
const COLLECT: Duration = Duration::from_secs(10);
/// From one batch to the next: a bad day must not be a hundred mails.
const BETWEEN: Duration = Duration::from_secs(300);
/// Between two tries of a webhook: the first, and the longest; doubled in between.
const FIRST_RETRY: Duration = Duration::from_secs(60);
const LONGEST_RETRY: Duration = Duration::from_secs(3600);
/// Then it is given up.
const GIVE_UP: Duration = Duration::from_secs(86_400);
/// Batches that wait for webhooks.
const BATCHES_MAX: usize = 100;

/// When each alert was sent last, by its key; milliseconds since the Unix epoch.
#[derive(Default)]
struct Sent(HashMap<String, u64>);

impl Sent {
    /// Those that have not been sent for so long; now they are. What is raised again meanwhile does not put off the next time.
    fn fresh(&mut self, alerts: Vec<Alert>, now_ms: u64, repeat_after_secs: u64) -> Vec<Alert> {
        let lately = repeat_after_secs.saturating_mul(1000);
        self.0.retain(|_, at_ms| now_ms.abs_diff(*at_ms) < lately);
        let is_fresh = |alert: &Alert| match self.0.entry(alert.key.clone()) {
            Entry::Occupied(_) => false,
            Entry::Vacant(none) => {
                none.insert(now_ms);
                true
            }
        };
        alerts.into_iter().filter(is_fresh).collect()
    }
}

/// Runs until the relay stops.
pub(crate) async fn run(relay: Arc<Relay>, mut stopping: watch::Receiver<bool>) {
    let mut sent = Sent::default();
    // Each batch on its own: neither mail nor another webhook waits for one that does not answer. They end with this function.
    let mut posts = JoinSet::new();
    let mut quiet_until = Instant::now();
    while !*stopping.borrow() {
        tokio::select! {
            () = relay.alerts.raised() => {
                tokio::select! {
                    () = sleep_until(quiet_until.max(Instant::now() + COLLECT)) => {}
                    _ = stopping.changed() => {}
                }
                send(&relay, &mut sent, &mut posts).await;
                quiet_until = Instant::now() + BETWEEN;
            }
            Some(_) = posts.join_next() => {}
            _ = stopping.changed() => {}
        }
    }
}

/// Mail is queued, and a post is due, for what is pending and was not told of lately.
async fn send(relay: &Arc<Relay>, sent: &mut Sent, posts: &mut JoinSet<()>) {
    let Pending { alerts, dropped } = relay.alerts.take_pending();
    let live = relay.live();
    let config = &live.config.alerts;
    let fresh = sent.fresh(alerts, relay.world.now_ms(), config.repeat_after_secs);
    let line = |alert: &Alert| format!("{}  {}", rfc3339(alert.at_ms / 1000), alert.text);
    let all: Vec<String> = fresh.iter().map(line).collect();
    let for_mail: Vec<String> = fresh.iter().filter(|alert| alert.by_mail).map(line).collect();
    for to in &config.to {
        match to {
            Destination::Mail(mailbox) if !for_mail.is_empty() => {
                queue(relay, &live, mailbox, &for_mail, dropped).await
            }
            Destination::Https(url) if !all.is_empty() => {
                let body = body(live.config.hostname.as_str(), &all, dropped);
                if posts.len() < BATCHES_MAX {
                    posts.spawn(post(Arc::clone(relay), url.clone(), body));
                } else {
                    tracing::error!(to = %url, "alerts are not sent: too many wait for webhooks");
                }
            }
            Destination::Mail(_) | Destination::Https(_) => {}
        }
    }
}

/// One more entry of the queue.
async fn queue(relay: &Relay, live: &Live, to: &Mailbox, lines: &[String], dropped: usize) {
    let (id, now) = (relay.world.new_id(), relay.world.now());
    let root = UnitPath::root();
    let request = alert_mail::Request {
        hostname: &live.config.hostname,
        to,
        lines,
        dropped,
        id: &id,
        unit: root.names(),
        generation: live.generation.number(),
        now,
    };
    let (entry, body) = alert_mail::write(&request);
    let mail = NewEntry { entry, recipients: vec![to.clone()], content: Content::from(body), records: Vec::new() };
    if let Err(error) = relay.store.commit(mail).await {
        tracing::error!(%to, %error, "an alert cannot be queued for its mailbox");
    }
}

/// `text` is what chat services show.
fn body(relay: &str, lines: &[String], dropped: usize) -> Bytes {
    let text = format!("sealwire on {relay}:\n{}", lines.join("\n"));
    let json = serde_json::json!({ "relay": relay, "text": text, "alerts": lines, "left-out": dropped });
    Bytes::from(json.to_string())
}

/// Until it is taken, for a day.
async fn post(relay: Arc<Relay>, url: Url, body: Bytes) {
    let (since, mut wait) = (Instant::now(), FIRST_RETRY);
    while let Err(why) = post_once(&relay, &url, &body).await {
        if since.elapsed() >= GIVE_UP {
            return tracing::error!(to = %url, why, "alerts for a webhook are given up");
        }
        tracing::warn!(to = %url, why, "a webhook did not take alerts; they are sent again");
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST_RETRY);
    }
}

async fn post_once(relay: &Arc<Relay>, url: &Url, body: &Bytes) -> Result<(), String> {
    let live = relay.live();
    let status = Web::of(relay, &live).post(url, "application/json", body.clone()).await?;
    if status.is_success() { Ok(()) } else { Err(format!("the web server answered {status}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What lasts is raised again and again; it is sent again when the time is over that counts from when it was sent.
    #[test]
    fn the_same_alert_is_sent_once_in_repeat_after() {
        const HOUR_MS: u64 = 3_600_000;
        // (milliseconds, key, whether it is sent)
        let course = [
            (0, "disk", true),
            (300_000, "disk", false),
            (300_000, "door", true),
            (HOUR_MS - 1, "disk", false),
            (HOUR_MS, "disk", true),
            (HOUR_MS, "door", false),
            (2 * HOUR_MS - 1, "disk", false),
            (2 * HOUR_MS, "disk", true),
        ];
        let mut sent = Sent::default();
        for (after, key, goes_out) in course {
            let at_ms = 1_000_000_000 + after;
            let alert = || Alert { at_ms, text: String::new(), key: key.to_owned(), by_mail: true };
            assert_eq!(
                sent.fresh(vec![alert(), alert()], at_ms, 3_600).len(),
                usize::from(goes_out),
                "{key} at {after}"
            );
        }
    }
}
