//! The ledger in SQL: rows are added, read and, once their time has passed, forgotten; none is ever changed.

use std::fmt::Write;

use memchr::memmem;
use rusqlite::{Connection, params, params_from_iter, types::Value};
use sealwire_core::address::Mailbox;
use sealwire_core::ledger::{LedgerEvent, LedgerRecord};
use sealwire_core::units::Within;

use crate::api::{LedgerLine, LedgerQuery};
use crate::error::StoreError;
use crate::numbers::{integer, natural};
use crate::reader::ReadError;
use crate::units;
use crate::writer::Turn;

/// Lines in one answer: what a person or a page can use.
pub(crate) const LINES_MAX: usize = 10_000;

/// Records forgotten in one transaction: mail that waits for its 250 must not wait for years of ledger.
pub(crate) const PRUNED_AT_ONCE: u64 = 1000;

/// A record as its row has it; made by whoever asks, so that the writing thread formats nothing.
pub(crate) struct Row {
    at_ms: i64,
    message: String,
    event: &'static str,
    recipients: String,
    record: String,
}

/// Makes rows of records.
pub(crate) fn rows(records: Vec<LedgerRecord>) -> Result<Vec<Row>, StoreError> {
    records.into_iter().map(row).collect()
}

fn row(record: LedgerRecord) -> Result<Row, StoreError> {
    let unreadable = |error: serde_json::Error| StoreError::Unreadable {
        what: format!("a ledger record of message {:?}", record.message),
        detail: error.to_string(),
    };
    let json = serde_json::to_string(&record).map_err(unreadable)?;
    let (event, recipients) = (kind(&record.event), searched(&record.event));
    Ok(Row { at_ms: integer(record.at_ms), message: record.message, event, recipients, record: json })
}

/// The kind as it is written in the record itself.
pub(crate) fn kind(event: &LedgerEvent) -> &'static str {
    match event {
        LedgerEvent::Decision(_) => "decision",
        LedgerEvent::Accepted(_) => "accepted",
        LedgerEvent::TurnedAway { .. } => "turned-away",
        LedgerEvent::Attempted { .. } => "attempted",
        LedgerEvent::Reported { .. } => "reported",
        LedgerEvent::Notified { .. } => "notified",
        LedgerEvent::TlsReport { .. } => "tls-report",
        LedgerEvent::TlsReportReceived { .. } => "tls-report-received",
        LedgerEvent::Operator { .. } => "operator",
        LedgerEvent::Alert { .. } => "alert",
    }
}

/// Mailboxes a record is found by, lower case, one a line.
pub(crate) fn searched(event: &LedgerEvent) -> String {
    let (mailboxes, more): (&[Mailbox], &[Mailbox]) = match event {
        LedgerEvent::Accepted(arrival) | LedgerEvent::TurnedAway { arrival, .. } => (&arrival.recipients, &[]),
        LedgerEvent::Attempted { recipient, .. } => (std::slice::from_ref(recipient), &[]),
        LedgerEvent::Reported { recipients, .. } => (recipients, &[]),
        LedgerEvent::Notified { delayed, relayed, .. } => (delayed, relayed),
        LedgerEvent::Decision(_)
        | LedgerEvent::TlsReport { .. }
        | LedgerEvent::TlsReportReceived { .. }
        | LedgerEvent::Operator { .. }
        | LedgerEvent::Alert { .. } => (&[], &[]),
    };
    let mut text = String::new();
    for mailbox in mailboxes.iter().chain(more) {
        let _ = writeln!(text, "{}@{}", mailbox.local.to_ascii_lowercase(), mailbox.domain.as_str());
    }
    text
}

/// Adds rows.
pub(crate) fn append(turn: &Turn<'_>, rows: &[Row]) -> Result<(), StoreError> {
    let add = || {
        let mut statement = turn.connection.prepare_cached(
            "INSERT INTO ledger (at_ms, message, event, recipients, record) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for row in rows {
            statement.execute(params![row.at_ms, row.message, row.event, row.recipients, row.record])?;
        }
        Ok(())
    };
    add().map_err(|error: rusqlite::Error| turn.failed(&error))
}

/// Forgets some of what is older; fewer than [`PRUNED_AT_ONCE`] when there is no more.
pub(crate) fn prune(turn: &Turn<'_>, before_ms: u64) -> Result<u64, StoreError> {
    turn.connection
        .prepare_cached("DELETE FROM ledger WHERE number IN (SELECT number FROM ledger WHERE at_ms < ?1 LIMIT ?2)")
        .and_then(|mut statement| statement.execute([integer(before_ms), integer(PRUNED_AT_ONCE)]))
        .map(|rows| rows as u64)
        .map_err(|error| turn.failed(&error))
}

/// Answers a query.
pub(crate) fn query(connection: &Connection, query: &LedgerQuery) -> Result<Vec<LedgerLine>, ReadError> {
    let mut sql = "SELECT number, record FROM ledger WHERE 1".to_owned();
    let mut values = Vec::new();
    let mut restrict = |clause: &str, value: Value| {
        sql.push_str(clause);
        values.push(value);
    };
    if let Some(message) = &query.message {
        restrict(" AND message = ?", message.clone().into());
    }
    // Whoever pages goes by number; the index of times would be sorted anew for every page.
    let at_ms = if query.after.is_some() { "+at_ms" } else { "at_ms" };
    if let Some(since_ms) = query.since_ms {
        restrict(&format!(" AND {at_ms} >= ?"), integer(since_ms).into());
    }
    if let Some(until_ms) = query.until_ms {
        restrict(&format!(" AND {at_ms} < ?"), integer(until_ms).into());
    }
    if let Some(after) = query.after {
        restrict(" AND number > ?", integer(after).into());
    }
    if let Some(recipient) = &query.recipient {
        restrict(" AND instr(recipients, ?) > 0", recipient.to_ascii_lowercase().into());
    }
    if let Some(within) = &query.within {
        let parameter = format!("?{}", values.len() + 1);
        let _ = write!(sql, " AND {}", units::of_record(&parameter));
        values.push(units::parameter(within).into());
    }
    if !query.events.is_empty() {
        let marks = vec!["?"; query.events.len()].join(",");
        let _ = write!(sql, " AND event IN ({marks})");
        values.extend(query.events.iter().map(|event| Value::from(event.clone())));
    }
    let order = if query.last { "DESC" } else { "ASC" };
    let limit = query.limit.min(LINES_MAX);
    let _ = write!(sql, " ORDER BY number {order}");
    // Where records are looked into, it is seen here when there are enough.
    let reason = query.rule.as_deref().map(of_rule);
    let finder = reason.as_ref().map(memmem::Finder::new);
    if finder.is_none() {
        let _ = write!(sql, " LIMIT {limit}");
    }
    let mut statement = connection.prepare(&sql)?;
    let mut found = statement.query(params_from_iter(values))?;
    let mut lines = Vec::new();
    while lines.len() < limit {
        let Some(row) = found.next()? else { break };
        let record = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        if finder.as_ref().is_none_or(|finder| finder.find(record.as_bytes()).is_some()) {
            lines.extend(seen(line(row.get(0)?, record)?, query.within.as_ref()));
        }
    }
    if query.last {
        lines.reverse();
    }
    Ok(lines)
}

/// As who asks for these units may see it.
pub(crate) fn seen(line: LedgerLine, within: Option<&Within>) -> Option<LedgerLine> {
    let Some(within) = within else { return Some(line) };
    let LedgerLine { number, record } = line;
    let event = record.event.seen_from(within)?;
    Some(LedgerLine { number, record: LedgerRecord { event, ..record } })
}

/// What a record with a reason of this rule holds. In a text within a record a quotation mark is escaped, so that nothing else
/// holds it.
pub(crate) fn of_rule(rule: &str) -> String {
    format!("\"rule\":{}", serde_json::Value::from(rule))
}

fn line(number: i64, json: &str) -> Result<LedgerLine, StoreError> {
    let record = serde_json::from_str(json).map_err(|error| StoreError::Unreadable {
        what: format!("ledger record {number}"),
        detail: error.to_string(),
    })?;
    Ok(LedgerLine { number: natural(number), record })
}
