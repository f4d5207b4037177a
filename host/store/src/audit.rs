//! The audit log in SQL: entries are added behind each other, each hash made from the one before; none is ever changed.
//!
//! What retention removes is the beginning alone. The last entry to go stays as the anchor, from the same transaction on that
//! writes of it; the rows behind are removed after that, some at a time, and no reader sees them meanwhile.

use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter, types::Value};
use sealwire_core::audit::{AuditLine, Hash, Head, NewAudit, PRUNE, Verified, Walk, chain};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::StoreError;
use crate::ledger::{LINES_MAX, PRUNED_AT_ONCE};
use crate::numbers::{integer, natural};
use crate::reader::ReadError;
use crate::writer::Turn;

/// Entries read at once on a walk: a search by a person does not wait for the whole of it.
const WALKED_AT_ONCE: i64 = 1000;

/// What to read from the audit log; the default is the first thousand entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct AuditQuery {
    /// Not before.
    pub since_ms: Option<u64>,
    /// Before.
    pub until_ms: Option<u64>,
    /// Part of who did it, any case.
    pub by: Option<String>,
    /// The action, as it is written.
    pub action: Option<String>,
    /// Part of what it touched, any case.
    pub object: Option<String>,
    /// Part of the record as it is written, JSON, any case.
    pub text: Option<String>,
    /// Only entries with a greater number; to follow the log.
    pub after: Option<u64>,
    /// At most so many.
    pub limit: usize,
    /// The last `limit` that match instead of the first. The answer is in the order of writing either way.
    pub last: bool,
}

impl Default for AuditQuery {
    fn default() -> AuditQuery {
        AuditQuery {
            since_ms: None,
            until_ms: None,
            by: None,
            action: None,
            object: None,
            text: None,
            after: None,
            limit: 1000,
            last: false,
        }
    }
}

/// Who acts on the queue, and what the audit log is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct By {
    /// As the ledger names him.
    pub name: String,
    /// Written in the transaction of the act, if that moves anything: never one without the other. Where its `after` is null,
    /// what came of the act stands there. None: the log is told of nothing.
    pub audit: Option<NewAudit>,
}

impl<T: Into<String>> From<T> for By {
    fn from(name: T) -> By {
        By { name: name.into(), audit: None }
    }
}

/// The entry of an act, once it is known what came of it; None where nothing was moved or nothing is to be told.
pub(crate) fn came_of(act: Option<NewAudit>, moved: bool, after: impl Serialize) -> Option<NewAudit> {
    let act = act.filter(|_| moved)?;
    let after = if act.after.is_null() { json!(after) } else { act.after };
    Some(NewAudit { after, ..act })
}

/// The text of an act.
pub(crate) fn text(act: &NewAudit) -> Result<String, StoreError> {
    let unreadable = |error: serde_json::Error| StoreError::Unreadable {
        what: format!("an audit entry of {:?}", act.action),
        detail: error.to_string(),
    };
    act.text().map_err(unreadable)
}

/// Adds an entry; returns its number.
pub(crate) fn append(turn: &Turn<'_>, act: &NewAudit) -> Result<u64, StoreError> {
    let text = text(act)?;
    let add = || {
        let head = head(turn.connection)?;
        let (number, hash) = (head.number + 1, chain(&head.hash, &text));
        turn.connection
            .prepare_cached("INSERT INTO audit (number, at_ms, record, hash) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![integer(number), integer(act.at_ms), text, &hash[..]])?;
        Ok(number)
    };
    add().map_err(|error: rusqlite::Error| turn.failed(&error))
}

/// The last entry, or the anchor.
pub(crate) fn head(connection: &Connection) -> rusqlite::Result<Head> {
    let last = connection
        .prepare_cached("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1")?
        .query_row([], read_head)
        .optional()?;
    let anchor = anchor(connection)?;
    Ok(last.filter(|last| last.number > anchor.number).unwrap_or(anchor))
}

/// The last entry that was removed.
pub(crate) fn anchor(connection: &Connection) -> rusqlite::Result<Head> {
    connection.prepare_cached("SELECT number, hash FROM audit_anchor")?.query_row([], read_head)
}

fn read_head(row: &Row<'_>) -> rusqlite::Result<Head> {
    Ok(Head { number: natural(row.get(0)?), hash: read_hash(row, 1)? })
}

/// A hash of another length is somebody else's; as zeros it follows from nothing.
fn read_hash(row: &Row<'_>, column: usize) -> rusqlite::Result<Hash> {
    Ok(row.get_ref(column)?.as_blob()?.try_into().unwrap_or_default())
}

fn read_line(row: &Row<'_>) -> rusqlite::Result<AuditLine> {
    Ok(AuditLine { number: natural(row.get(0)?), hash: read_hash(row, 1)?, text: row.get(2)? })
}

/// Answers a query.
pub(crate) fn query(connection: &Connection, query: &AuditQuery) -> Result<Vec<AuditLine>, ReadError> {
    let mut sql = "SELECT number, hash, record FROM audit WHERE number > (SELECT number FROM audit_anchor)".to_owned();
    let mut values = Vec::new();
    let mut restrict = |clause: &str, value: Value| {
        sql.push_str(clause);
        values.push(value);
    };
    if let Some(since_ms) = query.since_ms {
        restrict(" AND at_ms >= ?", integer(since_ms).into());
    }
    if let Some(until_ms) = query.until_ms {
        restrict(" AND at_ms < ?", integer(until_ms).into());
    }
    if let Some(after) = query.after {
        restrict(" AND number > ?", integer(after).into());
    }
    if let Some(by) = &query.by {
        restrict(&format!(" AND instr(lower({}), ?) > 0", member("by")), by.to_ascii_lowercase().into());
    }
    if let Some(action) = &query.action {
        restrict(&format!(" AND {} = ?", member("action")), action.clone().into());
    }
    if let Some(object) = &query.object {
        restrict(&format!(" AND instr(lower({}), ?) > 0", member("object")), object.to_ascii_lowercase().into());
    }
    if let Some(text) = &query.text {
        restrict(" AND instr(lower(record), ?) > 0", text.to_ascii_lowercase().into());
    }
    let order = if query.last { "DESC" } else { "ASC" };
    sql.push_str(&format!(" ORDER BY number {order} LIMIT {}", query.limit.min(LINES_MAX)));
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map(params_from_iter(values), read_line)?;
    let mut lines = rows.collect::<Result<Vec<_>, _>>()?;
    if query.last {
        lines.reverse();
    }
    Ok(lines)
}

/// In SQL; a record that was damaged is found by none, and keeps no other from being found.
fn member(name: &str) -> String {
    format!("iif(json_valid(record), json_extract(record, '$.{name}'), '')")
}

/// The anchor, and what comes next behind `after`.
pub(crate) fn next(connection: &Connection, after: u64) -> Result<(Head, Vec<AuditLine>), ReadError> {
    let anchor = anchor(connection)?;
    let mut statement = connection
        .prepare_cached("SELECT number, hash, record, at_ms FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2")?;
    let rows = statement.query_map([integer(after.max(anchor.number)), WALKED_AT_ONCE], |row| {
        let mut line = read_line(row)?;
        // What is found by another time than it tells was changed too, and so is no text that any hash follows from.
        let at_ms: i64 = row.get(3)?;
        if !line.record().is_ok_and(|record| integer(record.at_ms) == at_ms) {
            line.text.clear();
        }
        Ok(line)
    })?;
    Ok((anchor, rows.collect::<Result<_, _>>()?))
}

/// Walks along what `next` gives.
pub(crate) async fn verify<F>(told: Option<Head>, next: impl Fn(u64) -> F) -> Result<Verified, StoreError>
where
    F: Future<Output = Result<(Head, Vec<AuditLine>), StoreError>>,
{
    let (anchor, mut lines) = next(0).await?;
    let mut walk = Walk::from(anchor, told);
    while !lines.is_empty() {
        lines.iter().for_each(|line| walk.step(line));
        let (anchor, more) = next(walk.at()).await?;
        if anchor.number > walk.at() {
            // What lay ahead was removed meanwhile.
            walk = Walk::from(anchor, told);
        }
        lines = more;
    }
    Ok(walk.end())
}

/// What an act of pruning says.
pub(crate) fn pruning(anchor: Head, removed: u64, act: NewAudit) -> NewAudit {
    NewAudit { action: PRUNE.into(), object: anchor.to_string(), after: json!({ "removed": removed }), ..act }
}

/// Has the log begin with the first entry that is not older, and writes of it.
pub(crate) fn move_anchor(turn: &mut Turn<'_>, before_ms: u64, act: NewAudit) -> Result<(), StoreError> {
    let find = || {
        let anchor = anchor(turn.connection)?;
        let last = turn
            .connection
            .prepare_cached(
                "SELECT number, hash FROM audit WHERE number > ?1
                   AND number < coalesce((SELECT min(number) FROM audit WHERE at_ms >= ?2 AND number > ?1), 1 << 62)
                 ORDER BY number DESC LIMIT 1",
            )?
            .query_row([integer(anchor.number), integer(before_ms)], read_head)
            .optional()?;
        if let Some(last) = last {
            let sql = "UPDATE audit_anchor SET number = ?1, hash = ?2";
            turn.connection.prepare_cached(sql)?.execute(params![integer(last.number), &last.hash[..]])?;
        }
        Ok(last.map(|last| (last, last.number - anchor.number)))
    };
    match find().map_err(|error: rusqlite::Error| turn.failed(&error))? {
        Some((last, removed)) => append(turn, &pruning(last, removed, act)).map(drop),
        None => Ok(()),
    }
}

/// Removes rows that the anchor stands for; returns how many.
pub(crate) fn remove_some(turn: &mut Turn<'_>) -> Result<u64, StoreError> {
    turn.connection
        .prepare_cached(
            "DELETE FROM audit WHERE number IN
               (SELECT number FROM audit WHERE number <= (SELECT number FROM audit_anchor) ORDER BY number LIMIT ?1)",
        )
        .and_then(|mut statement| statement.execute([integer(PRUNED_AT_ONCE)]))
        .map(|rows| rows as u64)
        .map_err(|error| turn.failed(&error))
}
