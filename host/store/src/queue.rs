//! The queue in SQL: commit, claim, renew, settle. Runs on the writing thread, inside its transaction.
//!
//! `ready_at` of an entry is the earliest due time of a recipient that is not final, or the end of the lease while there
//! is one; whoever changes either, sets it.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Row, params};
use sealwire_core::address::Mailbox;
use sealwire_core::entry::{Entry, QueuedRecipient, RecipientStatus};
use sealwire_core::settle::Progress;

use crate::api::{Claim, ClaimToken, NewEntry, Settled};
use crate::content::Kept;
use crate::error::StoreError;
use crate::extents::{EXTENT_MIN, Extent};
use crate::folder::{Apart, Folder};
use crate::holds;
use crate::ledger;
use crate::numbers::{integer, natural};
use crate::reader::ReadError;
use crate::rows;
use crate::writer::{Staged, Turn};

/// Octets a request is taken to write beside its content: rows, indexes, records.
const ROWS_OCTETS: usize = 4096;

pub(crate) const NO_LEASE: StoreError = StoreError::Refused("a lease must end after it begins");

/// An entry ready to be bound to statements.
pub(crate) struct Arrival {
    id: String,
    arrived_at: u64,
    meta: String,
    header: Vec<u8>,
    octets: u64,
    content: Kept,
    recipients: Vec<Mailbox>,
    records: Vec<ledger::Row>,
}

impl Arrival {
    /// Encodes an entry; content that is large and came in memory is written apart first.
    pub(crate) async fn of(new: NewEntry, folder: &Arc<Folder>) -> Result<Arrival, StoreError> {
        if new.recipients.is_empty() {
            return Err(StoreError::Refused("an entry without recipients would never leave the queue"));
        }
        let content = new.content.apart(folder).await?;
        let meta = rows::meta(&new.entry)?;
        Ok(Arrival {
            arrived_at: new.entry.arrived_at,
            meta,
            octets: content.octets(),
            content: content.kept,
            recipients: new.recipients,
            records: ledger::rows(new.records)?,
            id: new.entry.id,
            header: new.entry.header,
        })
    }

    /// The claim that its commit gives, once there is a token.
    pub(crate) fn claim(&self, entry: Entry) -> impl FnOnce(ClaimToken) -> Claim + Send + use<> {
        let queued = |(index, mailbox): (usize, &Mailbox)| QueuedRecipient {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            mailbox: mailbox.clone(),
            status: RecipientStatus::Queued,
            due_at: self.arrived_at,
            progress: Progress::default(),
            hold: None,
        };
        let recipients = self.recipients.iter().enumerate().map(queued).collect();
        let body = if let Kept::Memory(octets) = &self.content { Some(octets.clone()) } else { None };
        move |token| Claim { token, entry, recipients, body }
    }

    /// About what it writes.
    pub(crate) fn weight(&self) -> usize {
        let body = if let Kept::Memory(octets) = &self.content { octets.len() } else { 0 };
        ROWS_OCTETS + self.meta.len() + self.header.len() + body
    }
}

/// Puts an entry into the queue, claimed until then.
pub(crate) fn commit(
    turn: &mut Turn<'_>,
    arrival: Arrival,
    lease_until: Option<u64>,
) -> Result<Option<ClaimToken>, StoreError> {
    if lease_until.is_some_and(|until| until <= arrival.arrived_at) {
        return Err(NO_LEASE);
    }
    let lease = lease_until.map(|until| (turn.new_lease(), until));
    let Some(number) = insert(turn, &arrival, lease).map_err(|error| turn.failed(&error))? else {
        return Err(StoreError::Exists { id: arrival.id });
    };
    let (file, place, body) = match &arrival.content {
        Kept::Memory(octets) if octets.len() >= EXTENT_MIN => (None, Some(put(turn, octets)?), None),
        Kept::Memory(octets) => (None, None, Some(&octets[..])),
        Kept::File(staged) => (Some(staged.name()), None, None),
    };
    let (at, tag) = place.unzip();
    turn.connection
        .prepare_cached(
            "INSERT INTO messages (entry, meta, octets, file, at, tag, header, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )
        .and_then(|mut statement| {
            let octets = integer(arrival.octets);
            statement.execute(params![number, arrival.meta, octets, file, at, tag, arrival.header, body])
        })
        .map_err(|error| turn.failed(&error))?;
    ledger::append(turn, &arrival.records)?;
    if let Kept::File(staged) = arrival.content {
        turn.effects.kept.push(Staged::File(staged));
    }
    // Whoever claimed it knows of it.
    turn.effects.sooner |= lease.is_none();
    Ok(lease.map(|(lease, _)| ClaimToken { entry: arrival.id, lease }))
}

/// Puts a body into the file of bodies; where, and the number it has there.
fn put(turn: &mut Turn<'_>, body: &[u8]) -> Result<(i64, i64), StoreError> {
    let staged = turn.folder.extents.put(body)?;
    let place = (integer(staged.extent().at), integer(staged.tag()));
    turn.effects.kept.push(Staged::Extent(staged));
    Ok(place)
}

/// The entry's number; None if its id is taken.
fn insert(turn: &Turn<'_>, arrival: &Arrival, lease: Option<(i64, u64)>) -> rusqlite::Result<Option<i64>> {
    let arrived_at = integer(arrival.arrived_at);
    let (lease, lease_until) = lease.map(|(lease, until)| (lease, integer(until))).unzip();
    let added = turn
        .connection
        .prepare_cached(
            "INSERT INTO entries (id, arrived_at, ready_at, lease, lease_until) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![arrival.id, arrived_at, lease_until.unwrap_or(arrived_at), lease, lease_until])?;
    if added == 0 {
        return Ok(None);
    }
    let number = turn.connection.last_insert_rowid();
    let mut statement = turn.connection.prepare_cached(
        "INSERT INTO recipients (entry, position, local, domain, status, due_at, failing)
         VALUES (?1, ?2, ?3, ?4, 'queued', ?5, 0)",
    )?;
    for (position, mailbox) in arrival.recipients.iter().enumerate() {
        let position = integer(position as u64);
        statement.execute(params![number, position, mailbox.local, mailbox.domain.as_str(), arrived_at])?;
    }
    Ok(Some(number))
}

/// Leases what is due; the entries themselves are read afterwards, on another thread ([`read_claims`]).
pub(crate) fn claim(
    turn: &mut Turn<'_>,
    now: u64,
    lease_until: u64,
    limit: usize,
) -> Result<Vec<ClaimToken>, StoreError> {
    if lease_until <= now {
        return Err(NO_LEASE);
    }
    let mut due = || -> rusqlite::Result<Vec<(i64, ClaimToken)>> {
        holds::end(turn.connection, now)?;
        let mut statement = turn
            .connection
            .prepare_cached("SELECT number, id FROM entries WHERE ready_at <= ?1 ORDER BY ready_at, number LIMIT ?2")?;
        let mut rows = statement.query([integer(now), integer(limit as u64)])?;
        let mut due = Vec::new();
        while let Some(row) = rows.next()? {
            due.push((row.get(0)?, ClaimToken { entry: row.get(1)?, lease: turn.new_lease() }));
        }
        let mut lease = turn
            .connection
            .prepare_cached("UPDATE entries SET lease = ?2, lease_until = ?3, ready_at = ?3 WHERE number = ?1")?;
        for (number, token) in &due {
            lease.execute(params![number, token.lease, integer(lease_until)])?;
        }
        Ok(due)
    };
    let due = due().map_err(|error| turn.failed(&error))?;
    Ok(due.into_iter().map(|(_, token)| token).collect())
}

/// Reads what was leased. An entry that cannot be read is told and left to its lease: it must not stop the others.
pub(crate) fn read_claims(connection: &rusqlite::Connection, tokens: Vec<ClaimToken>) -> Result<Vec<Claim>, ReadError> {
    let mut claims = Vec::with_capacity(tokens.len());
    for token in tokens {
        let read = rows::entry(connection, &token.entry, true)
            .and_then(|entry| Ok(entry.zip(Some(rows::recipients(connection, &token.entry)?))));
        match read {
            Ok(Some((entry, recipients))) => claims.push(Claim { token, entry, recipients, body: None }),
            Ok(None) => {} // Its lease was so short that another has settled it.
            Err(ReadError::Store(error)) => tracing::error!(%error, "a queued entry cannot be delivered"),
            Err(error) => return Err(error),
        }
    }
    Ok(claims)
}

/// Moves the end of a lease that is still held.
pub(crate) fn renew(turn: &Turn<'_>, token: &ClaimToken, lease_until: u64) -> Result<bool, StoreError> {
    turn.connection
        .prepare_cached("UPDATE entries SET lease_until = ?3, ready_at = ?3 WHERE id = ?1 AND lease = ?2")
        .and_then(|mut statement| statement.execute(params![token.entry, token.lease, integer(lease_until)]))
        .map(|renewed| renewed > 0)
        .map_err(|error| turn.failed(&error))
}

/// A settlement ready to be bound to statements.
pub(crate) struct Settlement {
    token: ClaimToken,
    recipients: Vec<(QueuedRecipient, Option<String>)>,
    reports: Vec<Arrival>,
    records: Vec<ledger::Row>,
    release: bool,
}

impl Settlement {
    /// Encodes it.
    pub(crate) async fn of(settled: Settled, folder: &Arc<Folder>) -> Result<Settlement, StoreError> {
        let id = settled.token.entry();
        let mut recipients = Vec::with_capacity(settled.recipients.len());
        for recipient in settled.recipients {
            let progress = rows::progress(id, &recipient.progress)?;
            recipients.push((recipient, progress));
        }
        let mut reports = Vec::with_capacity(settled.reports.len());
        for report in settled.reports {
            reports.push(Arrival::of(report, folder).await?);
        }
        let records = ledger::rows(settled.records)?;
        Ok(Settlement { token: settled.token, recipients, reports, records, release: settled.release })
    }

    /// About what it writes.
    pub(crate) fn weight(&self) -> usize {
        ROWS_OCTETS + self.reports.iter().map(Arrival::weight).sum::<usize>()
    }
}

/// Writes what became of a round.
pub(crate) fn settle(turn: &mut Turn<'_>, settled: Settlement) -> Result<(), StoreError> {
    let ClaimToken { entry: id, lease } = settled.token;
    let number: Option<i64> = turn
        .connection
        .prepare_cached("SELECT number FROM entries WHERE id = ?1 AND lease = ?2")
        .and_then(|mut statement| statement.query_row(params![id, lease], |row| row.get(0)).optional())
        .map_err(|error| turn.failed(&error))?;
    let Some(number) = number else { return Err(StoreError::LeaseLost { id }) };
    for (recipient, progress) in &settled.recipients {
        if !update(turn, number, recipient, progress.as_deref()).map_err(|error| turn.failed(&error))? {
            return Err(StoreError::Refused("the entry has no recipient of that index"));
        }
    }
    for report in settled.reports {
        commit(turn, report, None)?;
    }
    ledger::append(turn, &settled.records)?;
    conclude(turn, number, settled.release)
}

fn update(turn: &Turn<'_>, number: i64, recipient: &QueuedRecipient, progress: Option<&str>) -> rusqlite::Result<bool> {
    let mut statement = turn.connection.prepare_cached(
        "UPDATE recipients SET status = ?3, failing = ?5, progress = ?6,
           due_at = CASE WHEN NOT (?7 AND ?3 = 'queued') THEN ?4
                         WHEN hold IS NULL THEN min(due_at, ?4)
                         ELSE coalesce(hold_until, ?4) END
         WHERE entry = ?1 AND position = ?2",
    )?;
    // One that was moved because an operator holds it: he may have released it meanwhile, or held it until another time.
    let was_held = recipient.hold.is_some();
    let failing = recipient.progress.failing_since.is_some();
    let due_at = integer(recipient.due_at);
    let changed = statement.execute(params![
        number,
        recipient.index,
        rows::word(recipient.status),
        due_at,
        failing,
        progress,
        was_held
    ])?;
    Ok(changed > 0)
}

/// Lets go of an entry: for good where every recipient is final.
fn conclude(turn: &mut Turn<'_>, number: i64, release: bool) -> Result<(), StoreError> {
    let next: Option<i64> = turn
        .connection
        .prepare_cached("SELECT min(due_at) FROM recipients WHERE entry = ?1 AND status IN ('queued', 'held')")
        .and_then(|mut statement| statement.query_row([number], |row| row.get(0)))
        .map_err(|error| turn.failed(&error))?;
    let Some(ready_at) = next else { return forget(turn, number) };
    if release {
        turn.connection
            .prepare_cached("UPDATE entries SET lease = NULL, lease_until = NULL, ready_at = ?2 WHERE number = ?1")
            .and_then(|mut statement| statement.execute([number, ready_at]))
            .map_err(|error| turn.failed(&error))?;
        turn.effects.sooner = true;
    }
    Ok(())
}

/// Deletes an entry with everything of it but its ledger records; its content is freed once that is durable.
pub(crate) fn forget(turn: &mut Turn<'_>, number: i64) -> Result<(), StoreError> {
    let apart = |row: &Row<'_>| {
        let (file, at, octets): (Option<String>, Option<i64>, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let extent = at.map(|at| Apart::Extent(Extent { at: natural(at), octets: natural(octets) }));
        Ok(file.map(Apart::File).or(extent))
    };
    let delete = || -> rusqlite::Result<Option<Apart>> {
        let content = turn
            .connection
            .prepare_cached("DELETE FROM messages WHERE entry = ?1 RETURNING file, at, octets")?
            .query_row([number], apart)
            .optional()?;
        turn.connection.prepare_cached("DELETE FROM recipients WHERE entry = ?1")?.execute([number])?;
        turn.connection.prepare_cached("DELETE FROM entries WHERE number = ?1")?.execute([number])?;
        Ok(content.flatten())
    };
    let content = delete().map_err(|error| turn.failed(&error))?;
    turn.effects.freed.extend(content);
    Ok(())
}

/// The earliest `ready_at`.
pub(crate) fn next_due(connection: &rusqlite::Connection) -> Result<Option<u64>, ReadError> {
    let next: Option<i64> =
        connection.prepare_cached("SELECT min(ready_at) FROM entries")?.query_row([], |row| row.get(0))?;
    Ok(next.map(natural))
}
