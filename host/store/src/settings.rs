//! Revisions of the settings document in SQL. A revision is never changed; an older one is put again to go back.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::api::Revision;
use crate::error::StoreError;
use crate::numbers::{integer, natural};
use crate::reader::ReadError;
use crate::writer::Turn;

/// Adds a revision, if the newest is the expected one.
pub(crate) fn put(turn: &mut Turn<'_>, new: &Revision, expected: Option<u64>) -> Result<u64, StoreError> {
    let found = newest(turn.connection).map_err(|error| turn.failed(&error))?;
    if let Some(expected) = expected.filter(|expected| *expected != found) {
        return Err(StoreError::Conflict { expected, found });
    }
    let revision = found + 1;
    turn.connection
        .execute(
            "INSERT INTO settings (revision, at, by, note, document) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![integer(revision), integer(new.at), new.by, new.note, new.document],
        )
        .map_err(|error| turn.failed(&error))?;
    turn.effects.revision = Some(revision);
    Ok(revision)
}

/// The newest revision's number; 0 before the first.
pub(crate) fn newest(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT coalesce(max(revision), 0) FROM settings", [], |row| row.get(0).map(natural))
}

/// A revision, or the newest.
pub(crate) fn get(connection: &Connection, revision: Option<u64>) -> Result<Option<Revision>, ReadError> {
    let found = connection
        .prepare_cached(
            "SELECT revision, at, by, note, document FROM settings
             WHERE revision = coalesce(?1, (SELECT max(revision) FROM settings))",
        )?
        .query_row([revision.map(integer)], |row| read(row, row.get(4)?))
        .optional()?;
    Ok(found)
}

/// The newest revisions without their documents.
pub(crate) fn list(connection: &Connection, limit: usize) -> Result<Vec<Revision>, ReadError> {
    let mut statement =
        connection.prepare_cached("SELECT revision, at, by, note FROM settings ORDER BY revision DESC LIMIT ?1")?;
    let rows = statement.query_map([integer(limit as u64)], |row| read(row, String::new()))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>, document: String) -> rusqlite::Result<Revision> {
    Ok(Revision {
        revision: natural(row.get(0)?),
        at: natural(row.get(1)?),
        by: row.get(2)?,
        note: row.get(3)?,
        document,
    })
}
