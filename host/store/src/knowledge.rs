//! What was learned about the world outside, in SQL: one row for each kind and key, written over, read by kind, forgotten.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::numbers::{integer, natural};
use crate::reader::ReadError;
use crate::writer::Turn;

/// One thing learned about the world outside, kept until it is forgotten. Whoever learns bounds how much there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// A word for what sort of thing it is.
    pub kind: String,
    /// What it is about: a domain, a host, a day.
    pub key: String,
    /// JSON, written and read by whoever knows the kind; the store does not look into it.
    pub value: String,
    /// When it was learned, in seconds since the Unix epoch.
    pub at: u64,
}

/// Writes rows, each in the place of the one before it.
pub(crate) fn learn(turn: &Turn<'_>, known: &[Known]) -> Result<(), StoreError> {
    let write = || {
        let mut statement = turn
            .connection
            .prepare_cached("INSERT OR REPLACE INTO known (kind, key, value, at) VALUES (?1, ?2, ?3, ?4)")?;
        for Known { kind, key, value, at } in known {
            statement.execute(params![kind, key, value, integer(*at)])?;
        }
        Ok(())
    };
    write().map_err(|error: rusqlite::Error| turn.failed(&error))
}

/// All rows of a kind.
pub(crate) fn of_kind(connection: &Connection, kind: &str) -> Result<Vec<Known>, ReadError> {
    let mut statement =
        connection.prepare_cached("SELECT kind, key, value, at FROM known WHERE kind = ?1 ORDER BY key")?;
    let rows = statement.query_map([kind], |row| {
        Ok(Known { kind: row.get(0)?, key: row.get(1)?, value: row.get(2)?, at: natural(row.get(3)?) })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Removes rows.
pub(crate) fn forget(turn: &Turn<'_>, kind: &str, keys: &[String]) -> Result<(), StoreError> {
    let remove = || {
        let mut statement = turn.connection.prepare_cached("DELETE FROM known WHERE kind = ?1 AND key = ?2")?;
        for key in keys {
            statement.execute([kind, key])?;
        }
        Ok(())
    };
    remove().map_err(|error: rusqlite::Error| turn.failed(&error))
}
