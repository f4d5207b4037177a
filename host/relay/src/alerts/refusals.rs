//! What the policies refuse at the door because somebody is listed, as alerts, where `alerts.refusals` asks for it: the first of a
//! sender's domain at once, what follows as one sum an hour. A sender who tries all day is no more than 25 alerts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealwire_core::address::Mailbox;
use sealwire_core::reason::Reason;
use sealwire_core::time::rfc3339;
use tokio::sync::watch;

use super::lock;
use crate::relay::Relay;

/// What is summed up in one alert.
const SUM_SECS: u64 = 3_600;
/// How soon after that it is given.
const LOOK: Duration = Duration::from_secs(60);
/// Domains with a sum of their own. A list may have a million; all beyond are one.
const DOMAINS_MAX: usize = 100;
const OTHERS: &str = "other domains";

/// Sums that are not over.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<String, Sum>>);

/// Of one domain.
struct Sum {
    /// Seconds since the Unix epoch.
    since: u64,
    /// Besides what was told when it began.
    more: u64,
    /// Of the last one.
    why: String,
}

/// An alert, and by what it is known for the same.
type Told = (String, String);

/// Runs until the relay stops.
pub(crate) async fn run(relay: Arc<Relay>, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stopping.changed() => {}
        }
        for (key, text) in relay.alerts.refusals.due(relay.world.now()) {
            relay.alert_once(&key, text);
        }
    }
}

impl Relay {
    /// A policy has refused a message of these senders for good. Reasons that name what was met on a list count.
    pub(crate) fn note_refusal(&self, senders: &[Mailbox], reasons: &[Reason]) {
        let Some(reason) = reasons.iter().find(|reason| reason.matched.is_some()) else { return };
        let Some(sender) = senders.first() else { return };
        let why = format!("{} (rule {} of policy {})", reason.text, reason.rule, reason.policy);
        if let Some((key, text)) = self.alerts.refusals.refused(sender.domain.as_str(), why, self.world.now()) {
            self.alert_once(&key, text);
        }
    }
}

impl Refusals {
    /// One more; what is told at once.
    fn refused(&self, domain: &str, why: String, now: u64) -> Option<Told> {
        let mut sums = lock(&self.0);
        let domain = if sums.len() < DOMAINS_MAX || sums.contains_key(domain) { domain } else { OTHERS };
        if let Some(sum) = sums.get_mut(domain) {
            sum.more += 1;
            sum.why = why;
            return None;
        }
        let text = format!("mail from {domain} is refused: {why}; more of it is summed up by the hour");
        sums.insert(domain.to_owned(), Sum { since: now, more: 0, why });
        Some((format!("refused {domain} {now}"), text))
    }

    /// Sums that are over; a domain of which more was refused begins the next one.
    fn due(&self, now: u64) -> Vec<Told> {
        let mut told = Vec::new();
        lock(&self.0).retain(|domain, sum| {
            if now.saturating_sub(sum.since) < SUM_SECS {
                return true;
            }
            let Sum { since, more, why } = sum;
            let since = rfc3339(*since);
            if *more > 0 {
                let text = format!("{more} more messages from {domain} were refused since {since}: {why}");
                told.push((format!("refused {domain} {now}"), text));
            }
            let goes_on = *more > 0;
            *sum = Sum { since: now, more: 0, why: std::mem::take(&mut sum.why) };
            goes_on
        });
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_others_by_the_hour() {
        const HOUR: u64 = SUM_SECS;
        let refusals = Refusals::default();
        let refused = |domain: &str, now| refusals.refused(domain, "clear text".into(), now).map(|(_, text)| text);
        let due = |now| refusals.due(now).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        assert!(refused("a.test", 0).is_some_and(|text| text.starts_with("mail from a.test is refused: clear text")));
        assert!((1..500).all(|now| refused("a.test", now).is_none()));
        assert!(refused("b.test", 500).is_some(), "each has its own");
        assert!(due(HOUR - 1).is_empty());
        let texts = due(HOUR);
        assert!(texts.len() == 1 && texts[0].starts_with("499 more messages from a.test were refused"), "{texts:?}");
        assert!(refused("a.test", HOUR + 1).is_none(), "the next sum has begun");
        assert_eq!(due(HOUR + 500), Vec::<String>::new(), "nothing more of b.test");
        assert!(refused("b.test", HOUR + 501).is_some(), "and that is its first again");
        assert_eq!(due(2 * HOUR).len(), 1);
        assert!(due(3 * HOUR).is_empty(), "a sum of nothing is none");
        assert!(refused("a.test", 3 * HOUR + 1).is_some());
    }

    #[test]
    fn beyond_a_hundred_domains_there_is_one_more_sum() {
        let refusals = Refusals::default();
        let told: Vec<Told> = (0..2 * DOMAINS_MAX)
            .filter_map(|number| refusals.refused(&format!("d{number}.test"), "x".into(), 0))
            .collect();
        assert_eq!(told.len(), DOMAINS_MAX + 1);
        assert!(told[DOMAINS_MAX].1.contains(OTHERS));
        let texts = refusals.due(SUM_SECS);
        assert!(texts.len() == 1 && texts[0].1.starts_with(&format!("{} more", DOMAINS_MAX - 1)), "{texts:?}");
    }
}
