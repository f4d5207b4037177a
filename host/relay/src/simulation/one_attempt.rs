//! H9, once more and on its own: what a recipient's rounds, one by one, may lead to.
//!
//! The ledger says what each round found and what followed. Whether the finding is true is compared with what the hosts
//! gave; whether the consequence is right is decided here by the promise's words, not by the code that keeps it: one
//! conclusive round ends in the fallback; while some host was inconclusive it repeats at most three times within an hour;
//! a round in which no host answered EHLO uses nothing up.

use sealwire_core::facts::ChannelState;
use sealwire_core::floor::{Demand, Source};
use sealwire_core::ledger::LedgerEvent;
use sealwire_core::outcome::{FloorUnmet, HostUnmet, Outcome};

use sealwire_core::time::rfc3339;

use super::hop::{DANE, STS};
use super::oracle::Account;
use super::shared::EXPIRE_AFTER_SECS;
use super::witness::{ChannelSeen, Seen};

const REPEATS: u32 = 3;
const WINDOW_SECS: u64 = 3_600;

/// What followed a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Followed {
    Again,
    Ended,
    Expired,
}

/// Judges every recipient of an entry.
pub(super) fn judge(account: &Account, seen: &Seen, wrong: &mut Vec<String>) {
    let arrived_at = account.queued_at_ms / 1000;
    for recipient in &account.recipients {
        let (mut window, mut in_cascade) = (None::<(u64, u32)>, false);
        for record in &account.records {
            let LedgerEvent::Attempted { recipient: whose, result, settlement, fallback, took_ms, .. } = &record.event
            else {
                continue;
            };
            if whose.to_string() != *recipient {
                continue;
            }
            let now = record.at_ms / 1000;
            let followed = followed(settlement, now);
            let mut expect = |right: bool, what: &str| {
                if !right {
                    wrong.push(format!("H9: {} to {recipient}: {what}: {result} led to {settlement:?}", account.id));
                }
            };
            if followed == Followed::Expired {
                // A message arrives when its header is complete; its content and the commit take their time.
                expect(now + 600 >= arrived_at + EXPIRE_AFTER_SECS, "it was given up too soon");
                continue;
            }
            let Outcome::FloorUnmet(unmet) = result else {
                let right = match result {
                    Outcome::Delivered(_) | Outcome::Refused { .. } => Followed::Ended,
                    _ => Followed::Again,
                };
                expect(followed == right, "not an unmet floor");
                continue;
            };
            for host in &unmet.hosts {
                expect(is_true(host, record.at_ms, *took_ms, seen), &format!("{} gave something else", host.host));
            }
            if unmet.hosts.iter().all(by_their_side) {
                expect(followed == Followed::Again, "what is published is looked up again");
                continue;
            }
            let falls_back = in_cascade || !fallback.is_empty() || unmet.hosts.iter().any(by_requiretls);
            if unmet.hosts.is_empty() || !falls_back {
                expect(followed == Followed::Again, "nobody was asked, or nothing was named to fall back to");
                continue;
            }
            let (since, rounds) = window.map_or((now, 1), |(since, rounds)| (since, rounds + 1));
            let may_repeat = !is_conclusive(unmet) && rounds <= REPEATS && now < since + WINDOW_SECS;
            expect(followed == if may_repeat { Followed::Again } else { Followed::Ended }, "an unmet floor");
            window = may_repeat.then_some((since, rounds));
            in_cascade |= !may_repeat;
        }
    }
}

/// What a settlement says in words.
fn followed(settlement: &str, now: u64) -> Followed {
    // The route that a cascade has reached is named with every retry on it; it was reached just now if it is due at once.
    let is_due = settlement.ends_with(&rfc3339(now));
    match settlement {
        _ if settlement.contains("expired") => Followed::Expired,
        _ if settlement.starts_with("again at ") => Followed::Again,
        _ if settlement.starts_with("by route ") && !is_due => Followed::Again,
        _ => Followed::Ended,
    }
}

/// Unmet by what is published alone: DANE, MTA-STS.
fn by_their_side(host: &HostUnmet) -> bool {
    let published = |source: &Source| matches!(source, Source::Dane { .. } | Source::MtaSts { .. });
    host.objection.is_none() && host.unmet.iter().all(|(_, source)| published(source))
}

/// What REQUIRETLS asks for besides TLS ends in a report where nothing else is named.
fn by_requiretls(host: &HostUnmet) -> bool {
    host.unmet.iter().any(|(demand, source)| *source == Source::RequireTls && *demand != Demand::Tls)
}

fn is_conclusive(unmet: &FloorUnmet) -> bool {
    let is_final = |host: &HostUnmet| host.channel != ChannelState::Inconclusive || host.barred_by().is_some();
    unmet.not_asked.is_empty() && unmet.hosts.iter().all(is_final)
}

/// A host gave what the ledger says it gave, on a connection of that round.
fn is_true(host: &HostUnmet, at_ms: u64, took_ms: u64, seen: &Seen) -> bool {
    // One that was not connected: the host no policy lists, or whose name nothing proves.
    if let Some(demand) = host.barred_by() {
        let unlisted = host.host == format!("mx2.{STS}");
        return if *demand == Demand::ListedHost { unlisted } else { !host.host.ends_with(DANE) };
    }
    let began = at_ms.saturating_sub(took_ms);
    let offset = super::scene::BEGINNING * 1000;
    seen.connections.iter().any(|connection| {
        let opened = connection.opened_ms + offset;
        let in_time = opened + 1 >= began && opened <= at_ms;
        let alike = match host.channel {
            ChannelState::NotOffered => connection.channel == ChannelSeen::NotOffered,
            ChannelState::Refused => connection.channel == ChannelSeen::Refused,
            ChannelState::Inconclusive => connection.channel == ChannelSeen::Deferred || connection.faulty,
            ChannelState::Failed => connection.channel == ChannelSeen::Broken || connection.faulty,
            ChannelState::Secured => connection.channel == ChannelSeen::Secured,
        };
        connection.address == host.address && in_time && alike
    })
}
