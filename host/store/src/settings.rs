//! Revisions of the settings document in SQL. A revision is never changed; an older one is put again to go back. A large
//! document lies in a file of its own, as a large body does.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};
use sealwire_core::audit::{Hash, NewAudit};

use crate::api::Revision;
use crate::content::{CONTENT_INLINE_MAX, Content, Kept};
use crate::error::StoreError;
use crate::folder::{Folder, StagedFile};
use crate::numbers::{integer, natural};
use crate::reader::ReadError;
use crate::writer::{Staged, Turn};
use crate::{Piece, audit, pieces};

/// A revision of the settings on its way in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewRevision {
    /// The whole document but for its pieces. The store does not look into it.
    pub document: String,
    /// Texts that it refers to by their digests and that may not be there yet; those that are there already are left as they
    /// are. They are written ahead of the revision, some at a time, so that no mail waits for all of them; what no revision
    /// needs in the end is removed when the store is opened again.
    pub pieces: Vec<Piece>,
    /// All that it refers to, among them those that are there already. [`StoreError::NoPiece`] where one is missing.
    pub needs: Vec<Hash>,
    /// Who puts it.
    pub by: String,
    /// What for.
    pub note: String,
    /// Seconds since the Unix epoch.
    pub now: u64,
    /// The newest revision must be this one (0: there is none yet), else [`StoreError::Conflict`].
    pub expected: Option<u64>,
    /// Written with it, its `revision` filled in.
    pub audit: Option<NewAudit>,
}

/// A revision ready to be bound to statements, its pieces written ahead.
pub(crate) struct Ready {
    new: NewRevision,
    /// Its document, where that is large; the revision's is empty then.
    file: Option<StagedFile>,
}

impl Ready {
    /// Writes a large document apart.
    pub(crate) async fn of(mut new: NewRevision, folder: &Arc<Folder>) -> Result<Ready, StoreError> {
        if new.document.len() <= CONTENT_INLINE_MAX {
            return Ok(Ready { new, file: None });
        }
        let document = std::mem::take(&mut new.document);
        match Content::from(document.into_bytes()).apart(folder).await?.kept {
            Kept::File(file) => Ok(Ready { new, file: Some(file) }),
            Kept::Memory(_) => Err(StoreError::Closed),
        }
    }

    /// About what it writes.
    pub(crate) fn octets(&self) -> usize {
        self.new.document.len() + self.new.needs.len() * size_of::<Hash>()
    }
}

/// Adds a revision, if the newest is the expected one and all its pieces are there, and the audit entry of it.
pub(crate) fn put(turn: &mut Turn<'_>, ready: Ready) -> Result<u64, StoreError> {
    let Ready { new, file } = ready;
    let found = newest(turn.connection).map_err(|error| turn.failed(&error))?;
    if let Some(expected) = new.expected.filter(|expected| *expected != found) {
        return Err(StoreError::Conflict { expected, found });
    }
    pieces::need(turn, &new.needs)?;
    let revision = found + 1;
    turn.connection
        .execute(
            "INSERT INTO settings (revision, at, by, note, document, file) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                integer(revision),
                integer(new.now),
                new.by,
                new.note,
                new.document,
                file.as_ref().map(StagedFile::name)
            ],
        )
        .map_err(|error| turn.failed(&error))?;
    if let Some(act) = new.audit {
        audit::append(turn, &NewAudit { revision: Some(revision), ..act })?;
    }
    turn.effects.kept.extend(file.map(Staged::File));
    turn.effects.revision = Some(revision);
    Ok(revision)
}

/// The newest revision's number; 0 before the first.
pub(crate) fn newest(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT coalesce(max(revision), 0) FROM settings", [], |row| row.get(0).map(natural))
}

/// A revision, or the newest.
pub(crate) fn get(
    connection: &Connection,
    folder: &Arc<Folder>,
    revision: Option<u64>,
) -> Result<Option<Revision>, ReadError> {
    let found: Option<(Revision, Option<String>)> = connection
        .prepare_cached(
            "SELECT revision, at, by, note, document, file FROM settings
             WHERE revision = coalesce(?1, (SELECT max(revision) FROM settings))",
        )?
        .query_row([revision.map(integer)], |row| Ok((read(row, row.get(4)?)?, row.get(5)?)))
        .optional()?;
    let Some((mut revision, file)) = found else { return Ok(None) };
    if let Some(name) = file {
        revision.document = folder.read_text(&name)?;
    }
    Ok(Some(revision))
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
