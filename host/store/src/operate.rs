//! The queue as an operator sees and moves it, in SQL: list, show, counts, remove.
//!
//! Every act leaves an `Operator` record in the ledger, in the transaction of the act.

use rusqlite::{Connection, OptionalExtension, params};
use sealwire_core::ledger::{LedgerEvent, LedgerRecord};

use crate::api::{QueueCounts, QueueFilter, QueueItem};
use crate::content::BodyReader;
use crate::error::StoreError;
use crate::extents::Extent;
use crate::folder::Folder;
use crate::numbers::{integer, natural};
use crate::reader::ReadError;
use crate::writer::Turn;
use crate::{ledger, queue, rows, units};

/// Entries in one answer: what a person or a page can use.
const ITEMS_MAX: usize = 10_000;

/// Entries in the order of arrival.
pub(crate) fn list(connection: &Connection, filter: &QueueFilter) -> Result<Vec<QueueItem>, ReadError> {
    let within = units::condition(units::OF_ENTRY, "?7");
    let mut statement = connection.prepare_cached(&format!(
        "SELECT id FROM entries
         WHERE number > coalesce((SELECT number FROM entries WHERE id = ?1), 0)
           AND (?2 IS NULL OR EXISTS (SELECT 1 FROM recipients
                WHERE entry = number AND instr(lower(local || '@' || domain), ?2) > 0))
           AND (?3 IS NULL OR EXISTS (SELECT 1 FROM recipients WHERE entry = number AND status = ?3))
           AND (?4 IS NULL OR EXISTS (SELECT 1 FROM messages
                WHERE entry = number AND instr(lower(json_extract(meta, '$.envelope_sender.local') || '@' ||
                                                     json_extract(meta, '$.envelope_sender.domain')), ?4) > 0))
           AND (NOT ?6 OR EXISTS (SELECT 1 FROM recipients WHERE entry = number AND hold IS NOT NULL))
           AND {within}
         ORDER BY number LIMIT ?5"
    ))?;
    let lower = |text: &Option<String>| text.as_ref().map(|text| text.to_ascii_lowercase());
    let values = params![
        filter.after,
        lower(&filter.recipient),
        filter.status.map(rows::word),
        lower(&filter.sender),
        integer(filter.limit.min(ITEMS_MAX) as u64),
        filter.on_hold,
        filter.within.as_ref().map(units::parameter),
    ];
    let ids = statement.query_map(values, |row| row.get::<_, String>(0))?;
    let mut items = Vec::new();
    for id in ids {
        items.extend(item(connection, &id?, false)?);
    }
    Ok(items)
}

/// One entry with its recipients.
pub(crate) fn item(connection: &Connection, id: &str, with_header: bool) -> Result<Option<QueueItem>, ReadError> {
    let Some(entry) = rows::entry(connection, id, with_header)? else { return Ok(None) };
    let claimed = connection
        .prepare_cached("SELECT lease IS NOT NULL FROM entries WHERE id = ?1")?
        .query_row([id], |row| row.get(0))?;
    Ok(Some(QueueItem { entry, recipients: rows::recipients(connection, id)?, claimed }))
}

/// The content of an entry.
pub(crate) fn body(
    connection: &Connection,
    folder: &std::sync::Arc<Folder>,
    id: &str,
) -> Result<BodyReader, ReadError> {
    type Found = (Option<Vec<u8>>, Option<String>, Option<(i64, i64)>, i64);
    let reading = folder.extents.reading();
    let found: Option<Found> = connection
        .prepare_cached(
            "SELECT body, file, at, tag, octets FROM messages JOIN entries ON entries.number = messages.entry
             WHERE entries.id = ?1",
        )?
        .query_row([id], |row| {
            let (at, tag): (Option<i64>, Option<i64>) = (row.get(2)?, row.get(3)?);
            Ok((row.get(0)?, row.get(1)?, at.zip(tag), row.get(4)?))
        })
        .optional()?;
    let gone = || StoreError::NoEntry { id: id.to_owned() };
    match found.ok_or_else(gone)? {
        (_, Some(name), _, octets) => {
            let (file, open) = folder.read(&name)?.ok_or_else(gone)?;
            Ok(BodyReader::file(file, open, natural(octets)))
        }
        (_, None, Some((at, tag)), octets) => {
            let body = reading.read(Extent { at: natural(at), octets: natural(octets) }, natural(tag))?;
            Ok(BodyReader::memory(body.into()))
        }
        (body, None, None, _) => Ok(BodyReader::memory(body.unwrap_or_default().into())),
    }
}

/// How much there is.
pub(crate) fn counts(connection: &Connection) -> Result<QueueCounts, ReadError> {
    let (entries, claimed, oldest): (i64, i64, Option<i64>) = connection
        .prepare_cached("SELECT count(*), count(lease), min(arrived_at) FROM entries")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let (queued, held, failing, on_hold): (i64, i64, i64, i64) = connection
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE status = 'queued'), count(*) FILTER (WHERE status = 'held'),
                    count(*) FILTER (WHERE failing AND status IN ('queued', 'held')),
                    count(*) FILTER (WHERE hold IS NOT NULL AND status IN ('queued', 'held')) FROM recipients",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    Ok(QueueCounts {
        entries: natural(entries),
        claimed: natural(claimed),
        queued: natural(queued),
        held: natural(held),
        on_hold: natural(on_hold),
        failed_decisions: natural(failing),
        oldest_arrived_at: oldest.map(natural),
    })
}

/// Takes an entry out.
pub(crate) fn remove(turn: &mut Turn<'_>, id: &str, now_ms: u64, by: &str) -> Result<bool, StoreError> {
    // A lease that ran out no longer protects: whoever held it will be told that it is lost.
    let asked = format!("SELECT number, coalesce(lease_until > ?2, 0), {} FROM entries WHERE id = ?1", units::OF_ENTRY);
    let of_row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, units::read(row.get(2)?)));
    let found: Option<(i64, bool, Vec<String>)> = turn
        .connection
        .prepare_cached(&asked)
        .and_then(|mut statement| statement.query_row(params![id, integer(now_ms / 1000)], of_row).optional())
        .map_err(|error| turn.failed(&error))?;
    match found {
        None => Ok(false),
        Some((_, true, _)) => Err(StoreError::InDelivery { id: id.to_owned() }),
        Some((number, false, unit)) => {
            queue::forget(turn, number)?;
            ledger::append(turn, &ledger::rows(vec![record((id.to_owned(), unit), now_ms, "remove", by)])?)?;
            Ok(true)
        }
    }
}

/// Of a message by its id, of this unit.
pub(crate) fn record((message, unit): (String, Vec<String>), at_ms: u64, action: &str, by: &str) -> LedgerRecord {
    let event = LedgerEvent::Operator { unit, action: action.into(), by: by.into(), reason: None, until: None };
    LedgerRecord { at_ms, message, event }
}
