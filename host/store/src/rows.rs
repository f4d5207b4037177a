//! Entries and recipients as rows: what is written once is one JSON text, what changes has columns.
//!
//! Encoding happens where the request is made and decoding on a reading thread; the writing thread only binds.

use rusqlite::{Connection, OptionalExtension, Row};
use sealwire_core::address::{Domain, Mailbox};
use sealwire_core::entry::{Entry, OperatorHold, QueuedRecipient, RecipientStatus};
use sealwire_core::settle::Progress;

use crate::error::StoreError;
use crate::numbers::natural;
use crate::reader::ReadError;

/// The word a status is stored as.
pub(crate) fn word(status: RecipientStatus) -> &'static str {
    match status {
        RecipientStatus::Queued => "queued",
        RecipientStatus::Held => "held",
        RecipientStatus::Delivered => "delivered",
        RecipientStatus::Reported => "reported",
        RecipientStatus::Removed => "removed",
    }
}

fn status(word: &str) -> Option<RecipientStatus> {
    use RecipientStatus::{Delivered, Held, Queued, Removed, Reported};
    [Queued, Held, Delivered, Reported, Removed].into_iter().find(|status| self::word(*status) == word)
}

/// The part of an entry that is stored as JSON; everything but the header.
pub(crate) fn meta(entry: &Entry) -> Result<String, StoreError> {
    serde_json::to_string(entry).map_err(|error| unreadable(&entry.id, &error))
}

/// None for the default, which needs no text: most recipients are delivered in their first round.
pub(crate) fn progress(id: &str, progress: &Progress) -> Result<Option<String>, StoreError> {
    if *progress == Progress::default() {
        return Ok(None);
    }
    serde_json::to_string(progress).map(Some).map_err(|error| unreadable(id, &error))
}

/// Reads an entry; None if it is no longer queued.
pub(crate) fn entry(connection: &Connection, id: &str, with_header: bool) -> Result<Option<Entry>, ReadError> {
    let header = if with_header { "header" } else { "x''" };
    let sql = format!(
        "SELECT meta, {header} FROM messages JOIN entries ON entries.number = messages.entry WHERE entries.id = ?1"
    );
    let found: Option<(String, Vec<u8>)> =
        connection.prepare_cached(&sql)?.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((meta, header)) = found else { return Ok(None) };
    let mut entry: Entry = serde_json::from_str(&meta).map_err(|error| unreadable(id, &error))?;
    entry.header = header;
    Ok(Some(entry))
}

/// Reads the recipients of an entry, by index.
pub(crate) fn recipients(connection: &Connection, id: &str) -> Result<Vec<QueuedRecipient>, ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT position, local, domain, status, due_at, progress, hold, hold_until FROM recipients
         JOIN entries ON entries.number = recipients.entry WHERE entries.id = ?1 ORDER BY position",
    )?;
    let mut rows = statement.query([id])?;
    let mut recipients = Vec::new();
    while let Some(row) = rows.next()? {
        recipients.push(recipient(id, row)?);
    }
    Ok(recipients)
}

fn recipient(id: &str, row: &Row<'_>) -> Result<QueuedRecipient, ReadError> {
    let index: u32 = row.get(0)?;
    let domain: String = row.get(2)?;
    let status_word: String = row.get(3)?;
    let (progress, hold): (Option<String>, Option<String>) = (row.get(5)?, row.get(6)?);
    let until: Option<i64> = row.get(7)?;
    let wrong = |detail: String| StoreError::Unreadable { what: format!("recipient {index} of entry {id}"), detail };
    let domain = Domain::parse(&domain).map_err(|_| wrong(format!("domain {domain:?}")))?;
    let progress = match progress {
        Some(text) => serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?,
        None => Progress::default(),
    };
    let read = |text: String| serde_json::from_str(&text).map_err(|error| wrong(error.to_string()));
    let hold: Option<OperatorHold> = hold.map(read).transpose()?;
    Ok(QueuedRecipient {
        index,
        mailbox: Mailbox::new(row.get::<_, String>(1)?, domain),
        status: status(&status_word).ok_or_else(|| wrong(format!("status {status_word:?}")))?,
        due_at: natural(row.get(4)?),
        progress,
        hold: hold.map(|hold| OperatorHold { until: until.map(natural), ..hold }),
    })
}

fn unreadable(id: &str, error: &serde_json::Error) -> StoreError {
    StoreError::Unreadable { what: format!("entry {id}"), detail: error.to_string() }
}
