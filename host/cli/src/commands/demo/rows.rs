//! One row of the table: a scene, its story in a person's words, and whether it went as it must.

use sealwire_core::outcome::{Outcome, TlsEvidence};
use serde::Serialize;

use super::scenes::{Expected, Scene};
use super::story::{Attempt, End, Story};
use super::world::{HOME, World};

/// What `--json` lists and the table shows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Row {
    pub(super) number: usize,
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    /// The sender used TLS.
    pub(super) sent_over_tls: bool,
    pub(super) shows: &'static str,
    /// `delivered`, `refused`, `returned`, or `unfinished`.
    pub(super) end: &'static str,
    pub(super) happened: String,
    pub(super) rules: Vec<String>,
    pub(super) why: String,
    /// The next hop that took it.
    pub(super) host: Option<String>,
    /// Of the delivery; none: in clear, or not delivered.
    pub(super) tls: Option<TlsEvidence>,
    /// The relay's reply to the sender.
    pub(super) reply: String,
    /// The report's text.
    pub(super) report: Option<String>,
    /// From the sender's connection to the ledger's last record.
    pub(super) took_ms: u64,
    pub(super) message: String,
    /// What is not as it must be.
    pub(super) wrong: Option<String>,
}

/// What is known of a message once it has ended.
pub(super) struct Ended {
    pub(super) story: Story,
    pub(super) reply: String,
    pub(super) sent_at_ms: u64,
}

impl Row {
    /// Tells the story, and compares it with what must be, and with what the next hops saw.
    pub(super) fn new(number: usize, scene: &Scene, ended: Ended, world: &World) -> Row {
        let Ended { story, reply, sent_at_ms } = ended;
        let (end, happened) = happened(&story);
        let (host, tls, report) = match &story.end {
            Some(End::Delivered(delivery)) => (Some(delivery.host.clone()), delivery.tls.as_deref().cloned(), None),
            Some(End::Reported(text)) => (None, None, Some(text.clone())),
            Some(End::TurnedAway { .. }) | None => (None, None, None),
        };
        let mut row = Row {
            number,
            from: scene.from,
            to: scene.to,
            sent_over_tls: scene.secured,
            shows: scene.shows,
            end,
            happened,
            rules: story.rules(),
            why: why(&story),
            host,
            tls,
            reply,
            report,
            took_ms: story.ended_at_ms.saturating_sub(sent_at_ms),
            message: story.message,
            wrong: None,
        };
        row.wrong = row.differs(scene.expected).or_else(|| row.contradicted(world));
        row
    }

    fn differs(&self, expected: Expected) -> Option<String> {
        let has = |rule: &str| self.rules.iter().any(|id| id == rule);
        let at = |host: &str| self.host.as_deref() == Some(host);
        let as_expected = match expected {
            Expected::InClear(host) => at(host) && self.tls.is_none(),
            Expected::OverTls(host) => at(host) && self.tls.is_some(),
            Expected::ComesBack(rule) => self.end == "returned" && has(rule),
            Expected::Refused(rule) => self.end == "refused" && has(rule) && self.reply.starts_with("550 5.7.10 "),
        };
        (!as_expected).then(|| match expected {
            Expected::InClear(host) => format!("must be delivered to {host} in clear"),
            Expected::OverTls(host) => format!("must be delivered to {host} over TLS"),
            Expected::ComesBack(rule) => format!("must come back by {rule}"),
            Expected::Refused(rule) => format!("must be refused by {rule} with 550 5.7.10, not `{}`", self.reply),
        })
    }

    /// The ledger's word against the next hops' own.
    fn contradicted(&self, world: &World) -> Option<String> {
        let subject = format!("Subject: {}\r\n", self.subject());
        for hop in world.hops.iter().filter(|hop| hop.name != HOME) {
            let received = hop.received();
            let found = received.iter().find(|message| {
                message.text.contains(&subject) && message.recipients.iter().any(|to| to.to_string() == self.to)
            });
            let ours = self.host.as_deref() == Some(hop.name);
            match found {
                Some(message) if ours && message.secured == self.tls.is_some() => {}
                None if !ours => {}
                Some(_) => return Some(format!("{} got it in another way than the ledger says", hop.name)),
                None => return Some(format!("{} never got what the ledger calls delivered", hop.name)),
            }
        }
        None
    }

    fn subject(&self) -> String {
        subject(self.number, self.shows)
    }
}

/// The subject of a message of the demo.
pub(super) fn subject(number: usize, shows: &str) -> String {
    format!("message {number}, {shows}")
}

fn happened(story: &Story) -> (&'static str, String) {
    match &story.end {
        Some(End::Delivered(delivery)) => {
            let way = match (&delivery.tls, story.attempts.as_slice()) {
                (None, _) => "delivered in clear".to_owned(),
                (Some(tls), [_]) => format!("delivered over {}", version(tls)),
                (Some(tls), attempts) => {
                    let route = attempts.last().map_or("", |attempt| attempt.route.as_str());
                    format!("delivered over {} by route {route}", version(tls))
                }
            };
            ("delivered", way)
        }
        Some(End::Reported(_)) => ("returned", "came back, unsent".to_owned()),
        Some(End::TurnedAway { .. }) => ("refused", "refused at the door".to_owned()),
        None => ("unfinished", "nothing yet".to_owned()),
    }
}

fn why(story: &Story) -> String {
    let arrived = match &story.arrived_by {
        Some(tls) => {
            let (version, _suite) = tls.split_once(' ').unwrap_or((tls, ""));
            format!("Came in over {}, as R1 asks. ", plain(version))
        }
        None => String::new(),
    };
    match &story.end {
        Some(End::Delivered(delivery)) => {
            let before = story.attempts.split_last().map_or(&[][..], |(_, before)| before);
            let detour: String = before.iter().filter_map(|attempt| detour(attempt, story)).collect();
            let asked = match story.rules().as_slice() {
                [] => "No rule asks for TLS on the way out".to_owned(),
                rules => format!("{} met", rules.join(", ")),
            };
            match &delivery.tls {
                None => format!("{arrived}{asked}, and {} offers none.", delivery.host),
                Some(tls) => format!("{arrived}{detour}{asked}; {}.", evidence(tls)),
            }
        }
        Some(End::TurnedAway { reply, .. }) => {
            let enhanced = reply.enhanced.map(|code| format!(" {code}")).unwrap_or_default();
            format!("{}{enhanced}. {}", reply.code, sentences(story))
        }
        Some(End::Reported(_)) => {
            format!("{} {}", sentences(story), story.attempts.last().map_or(String::new(), found))
        }
        None => match story.attempts.last() {
            Some(attempt) => format!("Last: {}.", attempt.result),
            None if story.message.is_empty() => "The relay has not accepted it.".to_owned(),
            None => "It waits in the queue.".to_owned(),
        },
    }
}

/// Why the message did not go by its own way.
fn detour(attempt: &Attempt, story: &Story) -> Option<String> {
    let Outcome::FloorUnmet(_) = &attempt.result else { return None };
    let by = story.sentence("R7").map_or("", |_| ", so R7: by the alternate secure route");
    Some(format!("{}{by}. ", found(attempt).trim_end_matches('.')))
}

/// What the first host gave.
fn found(attempt: &Attempt) -> String {
    match &attempt.result {
        Outcome::FloorUnmet(unmet) => {
            let host = unmet.hosts.first();
            host.map_or(String::new(), |host| format!("{} {}.", host.host, host.found))
        }
        other => format!("{other}."),
    }
}

fn sentences(story: &Story) -> String {
    let told = |rule: &String| match story.sentence(rule) {
        Some(sentence) => format!("{rule}: {sentence}"),
        None => format!("{rule}."),
    };
    story.rules().iter().map(told).collect::<Vec<_>>().join(" ")
}

fn evidence(tls: &TlsEvidence) -> String {
    let chain = if tls.chain == "trusted" { "chain trusted" } else { "chain not trusted" };
    let name = if tls.name_matches { "name right" } else { "name wrong" };
    format!("{}, {chain}, {name}", tls.cipher_suite)
}

fn version(tls: &TlsEvidence) -> String {
    plain(&tls.version)
}

/// `TLSv1.3` as people write it.
fn plain(version: &str) -> String {
    version.replace("TLSv", "TLS ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(end: &'static str, host: Option<&str>, tls: bool, rules: &[&str], reply: &str) -> Row {
        let evidence = TlsEvidence {
            version: "TLSv1.3".into(),
            cipher_suite: String::new(),
            key_exchange: String::new(),
            chain: "trusted".into(),
            name_matches: true,
            names: Vec::new(),
            sha256: String::new(),
            resumed: false,
            requiretls: false,
            dane: None,
            revocation: String::new(),
        };
        Row {
            number: 1,
            from: "",
            to: "",
            sent_over_tls: false,
            shows: "",
            end,
            happened: String::new(),
            rules: rules.iter().map(|rule| (*rule).to_owned()).collect(),
            why: String::new(),
            host: host.map(str::to_owned),
            tls: tls.then_some(evidence),
            reply: reply.to_owned(),
            report: None,
            took_ms: 0,
            message: String::new(),
            wrong: None,
        }
    }

    /// Each row is what one expectation wants, and no other.
    #[test]
    fn what_is_not_as_expected_is_told() {
        let expected =
            [Expected::InClear("a"), Expected::OverTls("a"), Expected::ComesBack("R2"), Expected::Refused("R1")];
        let fitting = [
            row("delivered", Some("a"), false, &[], "250 2.0.0 Queued"),
            row("delivered", Some("a"), true, &["R2"], "250 2.0.0 Queued"),
            row("returned", None, false, &["R2"], "250 2.0.0 Queued"),
            row("refused", None, false, &["R1"], "550 5.7.10 Encryption needed"),
        ];
        for (index, row) in fitting.iter().enumerate() {
            for (other, expected) in expected.iter().enumerate() {
                assert_eq!(row.differs(*expected).is_none(), index == other, "{row:?} {expected:?}");
            }
        }
        let misfits = [
            (row("delivered", Some("b"), true, &[], ""), Expected::OverTls("a")),
            (row("returned", None, false, &["R4"], ""), Expected::ComesBack("R2")),
            (row("refused", None, false, &["R1"], "550 5.7.1 no"), Expected::Refused("R1")),
            (row("unfinished", None, false, &[], ""), Expected::InClear("a")),
        ];
        misfits.iter().for_each(|(row, expected)| assert!(row.differs(*expected).is_some(), "{row:?}"));
    }
}
