//! Holds of operators, in SQL: hold, release, and the end of what has run out.
//!
//! A hold is a word of its own beside the status, so that neither a settlement nor its own end takes away what a policy
//! holds. Every act leaves an `Operator` record in the ledger, in the transaction of the act.

use rusqlite::{Connection, ToSql, named_params};
use schemars::JsonSchema;
use sealwire_core::address::{Domain, Mailbox};
use sealwire_core::entry::OperatorHold;
use sealwire_core::ledger::{LedgerEvent, LedgerRecord};
use sealwire_core::units::Within;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::numbers::{integer, natural};
use crate::writer::Turn;
use crate::{ledger, operate, units};

/// Which recipients an operator means; only what is in the queue already, nothing that is yet to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Selection {
    /// Every one.
    All,
    /// Those of one entry.
    Entry(String),
    /// Those that match all that is given.
    Matching {
        /// The recipient's domain is this one; those below it are others.
        domain: Option<Domain>,
        /// The envelope sender is this.
        sender: Option<Sender>,
    },
    /// Of these, those of messages of some organizational units.
    #[serde(skip)]
    Within(Within, Box<Selection>),
}

/// An envelope sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sender {
    /// The null reverse-path: reports.
    Null,
    /// Any of this domain.
    OfDomain(Domain),
    /// This one; case counts in the local part alone, as in RFC 5321 §2.4.
    Mailbox(Mailbox),
}

/// How to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewHold {
    /// Why.
    pub reason: String,
    /// When the mail goes on, seconds since the Unix epoch. None, and a time behind the message's expiry: it does not.
    pub until: Option<u64>,
    /// By the schedule: a message expires so many seconds after its arrival.
    pub expire_after_secs: u64,
}

/// What a hold came to, in recipients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Held {
    /// On hold now.
    pub recipients: u64,
    /// Of these, in a round that is under way and may still deliver them.
    pub in_delivery: u64,
    /// Of these, of messages that expire before the end that was asked for, or just then: they are reported at their expiry and
    /// not tried once more.
    #[serde(default)]
    pub expire_before: u64,
}

impl Held {
    /// So many recipients of one message, which is in a round or not, with the end that was asked for and its expiry, seconds
    /// since the Unix epoch.
    pub(crate) fn add(&mut self, count: u64, in_delivery: bool, asked_until: Option<u64>, expiry: u64) {
        self.recipients += count;
        self.in_delivery += if in_delivery { count } else { 0 };
        self.expire_before += if asked_until.is_some_and(|until| until >= expiry) { count } else { 0 };
    }
}

#[cfg(any(test, feature = "memory"))]
impl Selection {
    pub(crate) fn is_of_entry(&self, entry: &sealwire_core::entry::Entry) -> bool {
        match self {
            Selection::All | Selection::Matching { sender: None, .. } => true,
            Selection::Entry(id) => *id == entry.id,
            Selection::Within(within, which) => within.holds(&entry.unit) && which.is_of_entry(entry),
            Selection::Matching { sender: Some(sender), .. } => match (sender, &entry.envelope_sender) {
                (Sender::Null, found) => found.is_none(),
                (Sender::OfDomain(domain), found) => found.as_ref().is_some_and(|found| found.domain == *domain),
                (Sender::Mailbox(mailbox), found) => found.as_ref() == Some(mailbox),
            },
        }
    }

    pub(crate) fn is_of_recipient(&self, mailbox: &Mailbox) -> bool {
        match self {
            Selection::Matching { domain: Some(domain), .. } => *domain == mailbox.domain,
            Selection::Within(_, which) => which.is_of_recipient(mailbox),
            _ => true,
        }
    }
}

/// `entries` joined with what the selection reads: rows of recipients that wait.
const SELECTED: &str = "
    SELECT recipients.entry, recipients.position FROM recipients
    JOIN entries ON entries.number = recipients.entry JOIN messages ON messages.entry = recipients.entry
    WHERE status IN ('queued', 'held')
      AND (:id IS NULL OR entries.id = :id)
      AND (:domain IS NULL OR recipients.domain = :domain)
      AND (NOT :null OR json_extract(meta, '$.envelope_sender') IS NULL)
      AND (:sender_local IS NULL OR json_extract(meta, '$.envelope_sender.local') = :sender_local)
      AND (:sender_domain IS NULL OR json_extract(meta, '$.envelope_sender.domain') = :sender_domain)";

/// A selection as the parameters of [`SELECTED`].
#[derive(Default)]
struct Asked<'a> {
    id: Option<&'a str>,
    domain: Option<&'a str>,
    null: bool,
    sender_local: Option<&'a str>,
    sender_domain: Option<&'a str>,
    within: Option<String>,
}

impl<'a> Asked<'a> {
    fn of(which: &'a Selection) -> Asked<'a> {
        let (domain, sender) = match which {
            Selection::All => return Asked::default(),
            Selection::Entry(id) => return Asked { id: Some(id), ..Asked::default() },
            Selection::Within(within, which) => {
                return Asked { within: Some(units::parameter(within)), ..Asked::of(which) };
            }
            Selection::Matching { domain, sender } => (domain, sender),
        };
        let domain = domain.as_ref().map(Domain::as_str);
        match sender {
            None => Asked { domain, ..Asked::default() },
            Some(Sender::Null) => Asked { domain, null: true, ..Asked::default() },
            Some(Sender::OfDomain(of)) => Asked { domain, sender_domain: Some(of.as_str()), ..Asked::default() },
            Some(Sender::Mailbox(of)) => {
                let (sender_local, sender_domain) = (Some(&*of.local), Some(of.domain.as_str()));
                Asked { domain, sender_local, sender_domain, ..Asked::default() }
            }
        }
    }

    fn parameters(&self) -> [(&str, &dyn ToSql); 6] {
        [
            (":id", &self.id),
            (":domain", &self.domain),
            (":null", &self.null),
            (":sender_local", &self.sender_local),
            (":sender_domain", &self.sender_domain),
            (":within", &self.within),
        ]
    }
}

/// One entry with something selected.
struct Touched {
    number: i64,
    id: String,
    unit: Vec<String>,
    arrived_at: u64,
    in_delivery: bool,
    positions: Vec<u32>,
}

/// What is selected, and `and` holds for, entry by entry.
fn touched(connection: &Connection, which: &Selection, and: &str, now: u64) -> rusqlite::Result<Vec<Touched>> {
    let within = units::condition("json_extract(meta, '$.unit')", ":within");
    let mut statement = connection.prepare(&format!(
        "SELECT number, id, arrived_at, coalesce(lease_until > {now}, 0), json_group_array(position), {}
         FROM entries JOIN ({SELECTED} AND {within} AND {and}) AS selected ON selected.entry = number GROUP BY number",
        units::OF_ENTRY
    ))?;
    let of_row = |row: &rusqlite::Row<'_>| {
        let positions: String = row.get(4)?;
        Ok(Touched {
            number: row.get(0)?,
            id: row.get(1)?,
            arrived_at: natural(row.get(2)?),
            in_delivery: row.get(3)?,
            positions: serde_json::from_str(&positions).unwrap_or_default(),
            unit: units::read(row.get(5)?),
        })
    };
    statement.query_map(&Asked::of(which).parameters()[..], of_row)?.collect()
}

/// Holds what is selected.
pub(crate) fn hold(
    turn: &mut Turn<'_>,
    which: &Selection,
    new: &NewHold,
    now_ms: u64,
    by: &str,
) -> Result<Held, StoreError> {
    let now = now_ms / 1000;
    let text = OperatorHold { reason: new.reason.clone(), by: by.to_owned(), at: now, until: None };
    let text = serde_json::to_string(&text)
        .map_err(|error| StoreError::Unreadable { what: "a hold".into(), detail: error.to_string() })?;
    let (mut held, mut records) = (Held::default(), Vec::new());
    for entry in touched(turn.connection, which, "1", now).map_err(|error| turn.failed(&error))? {
        let expiry = entry.arrived_at.saturating_add(new.expire_after_secs);
        let until = new.until.filter(|until| *until < expiry);
        let count = entry.positions.len() as u64;
        held.add(count, entry.in_delivery, new.until, expiry);
        let work = || -> rusqlite::Result<()> {
            let mut statement = turn.connection.prepare_cached(
                "UPDATE recipients SET hold = :hold, hold_until = :until, due_at = iif(status = 'queued', :due, due_at)
                 WHERE entry = :entry AND position = :position",
            )?;
            let (due, until) = (integer(until.unwrap_or(expiry)), until.map(integer));
            for position in &entry.positions {
                statement.execute(named_params! {
                    ":hold": text, ":until": until, ":due": due, ":entry": entry.number, ":position": position,
                })?;
            }
            make_ready(turn.connection, entry.number)
        };
        work().map_err(|error| turn.failed(&error))?;
        records.push(record((entry.id, entry.unit), now_ms, by, &new.reason, until));
    }
    ledger::append(turn, &ledger::rows(records)?)?;
    turn.effects.sooner = true;
    Ok(held)
}

/// Ends the holds of what is selected.
pub(crate) fn release(turn: &mut Turn<'_>, which: &Selection, now_ms: u64, by: &str) -> Result<u64, StoreError> {
    let now = now_ms / 1000;
    let (mut released, mut records) = (0, Vec::new());
    for entry in touched(turn.connection, which, "hold IS NOT NULL", now).map_err(|error| turn.failed(&error))? {
        released += entry.positions.len() as u64;
        let work = || -> rusqlite::Result<()> {
            let mut statement = turn.connection.prepare_cached(
                "UPDATE recipients SET hold = NULL, hold_until = NULL,
                   due_at = iif(status = 'queued', min(due_at, :now), due_at)
                 WHERE entry = :entry AND position = :position",
            )?;
            for position in &entry.positions {
                let (now, entry) = (integer(now), entry.number);
                statement.execute(named_params! { ":now": now, ":entry": entry, ":position": position })?;
            }
            make_ready(turn.connection, entry.number)
        };
        work().map_err(|error| turn.failed(&error))?;
        records.push(operate::record((entry.id, entry.unit), now_ms, "release", by));
    }
    ledger::append(turn, &ledger::rows(records)?)?;
    turn.effects.sooner = true;
    Ok(released)
}

/// What has run out is no hold any more.
pub(crate) fn end(connection: &Connection, now: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE recipients SET hold = NULL, hold_until = NULL WHERE hold_until <= ?1")?
        .execute([integer(now)])
        .map(drop)
}

/// Under a lease its end stays the moment.
fn make_ready(connection: &Connection, number: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE entries SET ready_at =
               (SELECT min(due_at) FROM recipients WHERE entry = ?1 AND status IN ('queued', 'held'))
             WHERE number = ?1 AND lease IS NULL",
        )?
        .execute([number])
        .map(drop)
}

pub(crate) fn record(
    (message, unit): (String, Vec<String>),
    at_ms: u64,
    by: &str,
    reason: &str,
    until: Option<u64>,
) -> LedgerRecord {
    let (action, reason) = ("hold".to_owned(), Some(reason.to_owned()));
    LedgerRecord { at_ms, message, event: LedgerEvent::Operator { unit, action, by: by.to_owned(), reason, until } }
}
