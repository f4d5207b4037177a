//! What an operator tries again, in SQL: all at once, or some of the entries that it comes to, named beforehand.

use rusqlite::{Connection, ToSql, named_params};

use crate::api::{Retried, Retry};
use crate::error::StoreError;
use crate::numbers::{integer, natural};
use crate::operate::record;
use crate::reader::ReadError;
use crate::writer::Turn;
use crate::{ledger, units};

/// Id of an entry, and its message's unit.
type Named = (String, Vec<String>);

/// Which recipients, as the condition asks it.
struct Asked<'a> {
    clause: &'static str,
    id: Option<&'a str>,
    within: Option<String>,
    /// Ids as a JSON array.
    among: Option<String>,
}

impl Asked<'_> {
    /// Of conditions of one kind within each other the outermost counts: it is the one who may no more than that.
    fn of(which: &Retry) -> Asked<'_> {
        let (clause, id, mut within, mut among) = ("1", None, None, None);
        let mut asked = which;
        loop {
            let (clause, id) = match asked {
                Retry::Within(units, inner) => {
                    within = within.or_else(|| Some(units::parameter(units)));
                    asked = inner;
                    continue;
                }
                Retry::Among(ids, inner) => {
                    among = among.or_else(|| Some(serde_json::Value::from(ids.clone()).to_string()));
                    asked = inner;
                    continue;
                }
                Retry::All => (clause, id),
                Retry::Entry(one) => (clause, Some(one.as_str())),
                Retry::FailedDecisions => ("failing", id),
                Retry::Held => ("status = 'held'", id),
            };
            return Asked { clause, id, within, among };
        }
    }

    /// Of rows of `recipients`.
    fn condition(&self) -> String {
        let of_units = units::condition("json_extract(meta, '$.unit')", ":within");
        format!(
            "status IN ('queued', 'held') AND {}
             AND (:id IS NULL OR entry = (SELECT number FROM entries WHERE id = :id))
             AND (:within IS NULL OR entry IN (SELECT messages.entry FROM messages WHERE {of_units}))
             AND (:among IS NULL OR entry IN
                  (SELECT number FROM entries WHERE id IN (SELECT value FROM json_each(:among))))",
            self.clause
        )
    }

    fn parameters(&self) -> [(&str, &dyn ToSql); 3] {
        [(":id", &self.id), (":within", &self.within), (":among", &self.among)]
    }
}

/// Entries that have such recipients, on hold or not, in the order of arrival.
pub(crate) fn entries(connection: &Connection, which: &Retry) -> Result<Vec<String>, ReadError> {
    let asked = Asked::of(which);
    let condition = asked.condition();
    let mut statement = connection.prepare(&format!(
        "SELECT id FROM entries WHERE number IN (SELECT entry FROM recipients WHERE {condition}) ORDER BY number"
    ))?;
    let ids = statement.query_map(&asked.parameters()[..], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// Makes recipients due now, but for those that an operator holds. An entry under a lease keeps its lease: the round under way
/// ends first.
pub(crate) fn retry(turn: &mut Turn<'_>, which: &Retry, now_ms: u64, by: &str) -> Result<Retried, StoreError> {
    let asked = Asked::of(which);
    let condition = asked.condition();
    let (now, connection) = (integer(now_ms / 1000), turn.connection);
    let act = || -> rusqlite::Result<(Vec<Named>, usize, i64)> {
        let mut statement = connection.prepare(&format!(
            "SELECT id, {} FROM entries
             WHERE number IN (SELECT entry FROM recipients WHERE {condition} AND hold IS NULL)",
            units::OF_ENTRY
        ))?;
        let of_row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, units::read(row.get(1)?)));
        let ids = statement.query_map(&asked.parameters()[..], of_row)?.collect::<Result<_, _>>()?;
        let recipients = connection.execute(
            &format!(
                "UPDATE recipients SET due_at = iif(status = 'held', :now, min(due_at, :now)), status = 'queued'
                 WHERE {condition} AND hold IS NULL"
            ),
            named_params! { ":id": asked.id, ":within": asked.within, ":among": asked.among, ":now": now },
        )?;
        let on_hold = connection.query_row(
            &format!("SELECT count(*) FROM recipients WHERE {condition} AND hold IS NOT NULL"),
            &asked.parameters()[..],
            |row| row.get(0),
        )?;
        connection.execute(
            "UPDATE entries SET ready_at = min(ready_at, ?1) WHERE lease IS NULL
             AND number IN (SELECT entry FROM recipients WHERE status = 'queued' AND due_at <= ?1)",
            [now],
        )?;
        Ok((ids, recipients, on_hold))
    };
    let (ids, recipients, on_hold) = act().map_err(|error| turn.failed(&error))?;
    let records = ids.into_iter().map(|id| record(id, now_ms, "retry", by)).collect();
    ledger::append(turn, &ledger::rows(records)?)?;
    turn.effects.sooner = true;
    Ok(Retried { recipients: recipients as u64, on_hold: natural(on_hold) })
}
