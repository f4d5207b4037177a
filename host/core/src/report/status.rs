//! The fields for a program: message/delivery-status (RFC 3464 §2) and the status codes (RFC 3463, RFC 5248).

use crate::address::Mailbox;
use crate::dsn::{Dsn, seven_bit};
use crate::facts::ChannelState;
use crate::floor::{Demand, Source};
use crate::outcome::{FloorUnmet, HostUnmet, Outcome};
use crate::reply::{Enhanced, Reply};
use crate::report::encode::{fold, tame_ascii};
use crate::report::{Action, Recipient, ReportRequest};
use crate::settle::{Ending, Failure};
use crate::time::rfc5322;

/// Most characters of a peer's reply that are quoted.
const DIAGNOSTIC_MAX: usize = 1000;

/// The status of a recipient, whose class says what is told: 5 it is over, whatever class the last reply had (RFC 2034 §4);
/// 4 it is late; 2 it was handed on.
pub fn status_of(action: &Action) -> Enhanced {
    match action {
        Action::Failed(Failure { ending: Ending::Expired { .. }, outcome, .. }) => match outcome {
            Outcome::FailedDecision(_) => Enhanced(5, 3, 0),
            // "Delivery time expired."
            _ => Enhanced(5, 4, 7),
        },
        Action::Failed(failure) => of_outcome(&failure.outcome, 5),
        Action::Delayed(delay) => of_outcome(&delay.last.outcome, 4),
        // "Message relayed to non-compliant mailer."
        Action::Relayed(_) => Enhanced(2, 1, 9),
    }
}

fn of_outcome(outcome: &Outcome, class: u8) -> Enhanced {
    let Enhanced(_, subject, detail) = match outcome {
        Outcome::Refused { reply, .. } | Outcome::Inconclusive { reply: Some(reply), .. } => {
            permanent(reply, Enhanced(5, 0, 0))
        }
        Outcome::FloorUnmet(unmet) => telling_host(unmet).map_or(Enhanced(5, 7, 10), status_of_host),
        // "No answer from host"; where none was found, "directory server failure".
        Outcome::Inconclusive { host: Some(_), .. } if class == 4 => Enhanced(4, 4, 1),
        Outcome::Inconclusive { host: None, .. } if class == 4 => Enhanced(4, 4, 3),
        Outcome::FailedDecision(_) if class == 4 => Enhanced(4, 3, 0),
        Outcome::Delivered(_) | Outcome::Inconclusive { .. } | Outcome::FailedDecision(_) => Enhanced(5, 0, 0),
    };
    Enhanced(class, subject, detail)
}

fn status_of_host(host: &HostUnmet) -> Enhanced {
    if let Some((reply, _)) = &host.objection {
        return permanent(reply, Enhanced(5, 7, 1));
    }
    // RFC 8689 §4.2.1: the host is secure and does not pass the demand on, or is not secure enough to be asked.
    if host.unmet.iter().any(|(_, source)| *source == Source::RequireTls) {
        let asked = host.channel == ChannelState::Secured;
        let refused = asked && host.unmet.iter().any(|(demand, _)| *demand == Demand::RequireTls);
        return if refused { Enhanced(5, 7, 30) } else { Enhanced(5, 7, 10) };
    }
    match host.channel {
        // "Encryption needed."
        ChannelState::NotOffered | ChannelState::Refused | ChannelState::Inconclusive => Enhanced(5, 7, 10),
        // "Cryptographic failure": no handshake, or one that did not yield what was demanded.
        ChannelState::Failed | ChannelState::Secured => Enhanced(5, 7, 5),
    }
}

fn permanent(reply: &Reply, otherwise: Enhanced) -> Enhanced {
    reply.enhanced.map_or(otherwise, |Enhanced(_, subject, detail)| Enhanced(5, subject, detail))
}

/// The host whose answer the report goes by: the best one that gave a final answer.
pub(super) fn telling_host(unmet: &FloorUnmet) -> Option<&HostUnmet> {
    unmet.hosts.iter().find(|host| host.conclusive).or(unmet.hosts.first())
}

/// The whole part, CR LF line ends.
pub(super) fn write(request: &ReportRequest<'_>, recipients: &[&Recipient]) -> String {
    let mut out = String::new();
    // RFC 3464 §2.2.1: first of all, and as it was given.
    if let Some(envid) = &request.entry.dsn.envid {
        out.push_str(&fold("Original-Envelope-Id", &tame_ascii(envid, envid.len())));
    }
    out.push_str(&fold("Reporting-MTA", &format!("dns; {}", request.reporting_host)));
    out.push_str(&fold("Arrival-Date", &rfc5322(request.entry.arrived_at)));
    for it in recipients {
        out.push_str("\r\n");
        out.push_str(&recipient(it, &request.entry.dsn));
    }
    out
}

fn recipient(recipient: &Recipient, dsn: &Dsn) -> String {
    let mut out = String::new();
    let orcpt = dsn.recipients.get(&recipient.index).and_then(|asked| asked.orcpt.as_ref());
    if let Some(orcpt) = orcpt {
        let typed = orcpt.typed();
        out.push_str(&fold("Original-Recipient", &tame_ascii(&typed, typed.len())));
    }
    out.push_str(&fold("Final-Recipient", &typed_address(&recipient.mailbox)));
    out.push_str(match recipient.action {
        Action::Failed(_) => "Action: failed\r\n",
        Action::Delayed(_) => "Action: delayed\r\n",
        Action::Relayed(_) => "Action: relayed\r\n",
    });
    out.push_str(&fold("Status", &status_of(&recipient.action).to_string()));
    let Contact { host, quoted, at } = contact(&recipient.action);
    if let Some(host) = host {
        out.push_str(&fold("Remote-MTA", &format!("dns; {}", remote_name(host))));
    }
    if let Some(reply) = quoted {
        out.push_str(&fold("Diagnostic-Code", &format!("smtp; {}", tame_ascii(&reply.to_string(), DIAGNOSTIC_MAX))));
    }
    if let Some(at) = at {
        out.push_str(&fold("Last-Attempt-Date", &rfc5322(at)));
    }
    if let Action::Delayed(delay) = &recipient.action {
        out.push_str(&fold("Will-Retry-Until", &rfc5322(delay.until)));
    }
    out
}

/// The last attempt.
struct Contact<'a> {
    host: Option<&'a str>,
    /// What the host said, if its own words are quoted. A decision of ours is no peer's reply.
    quoted: Option<&'a Reply>,
    /// Seconds since the Unix epoch. Where no policy decided, nobody was contacted: there was no attempt to date.
    at: Option<u64>,
}

fn contact(action: &Action) -> Contact<'_> {
    let (outcome, at) = match action {
        Action::Failed(failure) => (&failure.outcome, failure.at),
        Action::Delayed(delay) => (&delay.last.outcome, delay.last.at),
        Action::Relayed(delivery) => {
            return Contact { host: Some(&delivery.host), quoted: Some(&delivery.reply), at: None };
        }
    };
    let (host, quoted) = spoken(outcome);
    let was_made = at > 0 && !matches!(outcome, Outcome::FailedDecision(_));
    Contact { host, quoted, at: was_made.then_some(at) }
}

/// The host that was contacted, and what it said.
fn spoken(outcome: &Outcome) -> (Option<&str>, Option<&Reply>) {
    match outcome {
        Outcome::Refused { host: Some(host), reply, by_peer: true } => (Some(host), Some(reply)),
        Outcome::Inconclusive { host: Some(host), reply: Some(reply), .. } => (Some(host), Some(reply)),
        // RFC 3464 §2.3.5: only of a host that was contacted; one that was barred has no address.
        Outcome::FloorUnmet(unmet) => {
            let contacted = telling_host(unmet).filter(|host| !host.address.is_empty());
            (contacted.map(|host| host.host.as_str()), None)
        }
        Outcome::Delivered(_) | Outcome::Refused { .. } | Outcome::Inconclusive { .. } | Outcome::FailedDecision(_) => {
            (None, None)
        }
    }
}

fn remote_name(host: &str) -> String {
    match host.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(v4)) => format!("[{v4}]"),
        Ok(std::net::IpAddr::V6(v6)) => format!("[IPv6:{v6}]"),
        Err(_) => tame_ascii(host, 255),
    }
}

/// An address with its type: `rfc822`, or `utf-8` in its seven-bit form (RFC 6533 §3).
fn typed_address(mailbox: &Mailbox) -> String {
    let text = mailbox.to_string();
    if text.is_ascii() {
        return format!("rfc822; {}", tame_ascii(&text, text.len()));
    }
    format!("utf-8; {}", seven_bit(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Domain;

    #[test]
    fn the_class_is_always_permanent() {
        let refused = |code, enhanced| {
            Action::Failed(Failure {
                ending: Ending::Refused,
                outcome: Outcome::Refused {
                    host: None,
                    reply: Reply { code, enhanced, text: String::new() },
                    by_peer: true,
                },
                reasons: Vec::new(),
                rounds: 1,
                route: None,
                at: 0,
            })
        };
        let rows = [
            (Some(Enhanced(5, 1, 1)), "5.1.1"),
            (Some(Enhanced(4, 7, 1)), "5.7.1"),
            (Some(Enhanced(2, 0, 0)), "5.0.0"),
            (None, "5.0.0"),
        ];
        for (enhanced, expected) in rows {
            assert_eq!(status_of(&refused(550, enhanced)).to_string(), expected);
        }
    }

    /// RFC 3464 §2.3.5, §2.3.6: a decision of ours is no peer's word, and a host that was not connected no remote MTA.
    #[test]
    fn only_a_host_that_was_contacted_is_named_and_only_its_own_words_are_quoted() {
        let reply = || Reply::new(550, (1, 1), "no such user");
        let unmet = |address: &str| {
            let host = HostUnmet {
                withdrawn: false,
                host: "mx.test".into(),
                address: address.into(),
                channel: ChannelState::Inconclusive,
                unmet: vec![(Demand::Tls, Source::RequireTls)],
                objection: None,
                found: "could not be asked: 454 4.7.0 not now".into(),
                conclusive: true,
            };
            Outcome::FloorUnmet(FloorUnmet { hosts: vec![host], not_asked: Vec::new() })
        };
        let refused = |by_peer| Outcome::Refused { host: Some("mx.test".into()), reply: reply(), by_peer };
        let inconclusive = |reply| Outcome::Inconclusive { host: Some("mx.test".into()), why: "why".into(), reply };
        let rows = [
            (refused(true), true, true),
            (refused(false), false, false),
            (Outcome::Refused { host: None, reply: reply(), by_peer: false }, false, false),
            (inconclusive(Some(Reply::new(451, (7, 1), "later"))), true, true),
            (inconclusive(None), false, false),
            (unmet("192.0.2.1:25"), true, false),
            (unmet(""), false, false),
        ];
        for (outcome, named, quoted) in rows {
            let (host, words) = spoken(&outcome);
            assert_eq!((host.is_some(), words.is_some()), (named, quoted), "{outcome:?}");
        }
    }

    #[test]
    fn addresses_are_typed() {
        let domain = Domain::parse("example.com").expect("a domain");
        let rows = [
            ("bob", "rfc822; bob@example.com"),
            ("a b", "rfc822; \"a b\"@example.com"),
            ("b\u{f6}b+x", "utf-8; b\\x{F6}b\\x{2B}x@example.com"),
            ("a\r\nX: y", "rfc822; \"a  X: y\"@example.com"),
        ];
        for (local, expected) in rows {
            assert_eq!(typed_address(&Mailbox::new(local, domain.clone())), expected);
        }
    }
}
