//! The schema and how an older store becomes the newest one.
//!
//! `user_version` names the schema. Each migration is applied once, in order, all of them in one transaction; a
//! migration that was released is never edited. A store made by a newer program is refused, never guessed at.

use std::path::Path;

use rusqlite::Connection;

use crate::error::StoreError;

/// "seal", so that a stray database is not taken for a store.
const APPLICATION_ID: i32 = 0x7365_616c;

/// Version 1.
///
/// What changes with every round (`entries`, `recipients`) lies apart from what is written once (`messages`), so that a
/// claim rewrites a few octets and not the header and the body behind them.
///
/// `ready_at` is the one column the scheduler reads: the earliest due time of a recipient that is not final, or the end
/// of the lease while there is one. A claim is therefore a range of one index, lost leases included.
const VERSION_1: &str = "
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO counters VALUES ('openings', 0);

CREATE TABLE entries (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  arrived_at INTEGER NOT NULL,
  ready_at INTEGER NOT NULL,
  lease INTEGER,
  lease_until INTEGER
) STRICT;
CREATE INDEX entries_ready ON entries (ready_at);

CREATE TABLE recipients (
  entry INTEGER NOT NULL,
  position INTEGER NOT NULL,
  local TEXT NOT NULL,
  domain TEXT NOT NULL,
  status TEXT NOT NULL,
  due_at INTEGER NOT NULL,
  failing INTEGER NOT NULL,
  progress TEXT,
  PRIMARY KEY (entry, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
  entry INTEGER PRIMARY KEY,
  meta TEXT NOT NULL,
  octets INTEGER NOT NULL,
  file TEXT,
  header BLOB NOT NULL,
  body BLOB
) STRICT;

CREATE TABLE ledger (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ms INTEGER NOT NULL,
  message TEXT NOT NULL,
  event TEXT NOT NULL,
  recipients TEXT NOT NULL,
  record TEXT NOT NULL
) STRICT;
CREATE INDEX ledger_message ON ledger (message) WHERE message <> '';

CREATE TABLE settings (
  revision INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  by TEXT NOT NULL,
  note TEXT NOT NULL,
  document TEXT NOT NULL
) STRICT;
";

/// Version 2: reading and pruning by time no longer walk the whole ledger, nor does the sweep walk every message.
const VERSION_2: &str = "
CREATE INDEX ledger_at ON ledger (at_ms);
CREATE INDEX messages_file ON messages (file) WHERE file IS NOT NULL;
";

/// Version 3: middling bodies lie in a file that they share, `at` so many octets; a large settings document lies in a file
/// as a large body does, so that no mail waits for its megabytes.
const VERSION_3: &str = "
ALTER TABLE messages ADD COLUMN at INTEGER;
ALTER TABLE messages ADD COLUMN tag INTEGER;
CREATE INDEX messages_at ON messages (at, octets) WHERE at IS NOT NULL;
ALTER TABLE settings ADD COLUMN file TEXT;
";

/// Version 4: what was learned about the world outside.
const VERSION_4: &str = "
CREATE TABLE known (
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
";

/// Version 5: an operator's hold, `hold_until` apart from the rest for the claim that ends it.
const VERSION_5: &str = "
ALTER TABLE recipients ADD COLUMN hold TEXT;
ALTER TABLE recipients ADD COLUMN hold_until INTEGER;
CREATE INDEX recipients_hold_until ON recipients (hold_until) WHERE hold_until IS NOT NULL;
";

/// Version 6: pieces of settings documents, those that no revision needs yet beside them; the audit log, and the last entry
/// that was removed from it.
const VERSION_6: &str = "
CREATE TABLE pieces (digest BLOB NOT NULL UNIQUE, text TEXT NOT NULL) STRICT;
CREATE TABLE pieces_ahead (digest BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE audit (
  number INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  record TEXT NOT NULL,
  hash BLOB NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit (at_ms);
CREATE TABLE audit_anchor (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
INSERT INTO audit_anchor VALUES (1, 0, zeroblob(32));
";

/// What leads from one version to the next; the first makes version 1 from nothing.
const MIGRATIONS: &[&str] = &[VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5, VERSION_6];

/// The schema this program writes.
pub(crate) const NEWEST: u32 = MIGRATIONS.len() as u32;

/// Brings the store at `path` to the newest schema. Data is kept; a crash in between leaves the older schema whole.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| StoreError::sqlite(path, &error);
    let (found, application) = versions(connection).map_err(failed)?;
    let foreign = || StoreError::Corrupt { path: path.to_owned(), detail: "it is no store of sealwire's".into() };
    if application != APPLICATION_ID && (application != 0 || found != 0 || has_tables(connection).map_err(failed)?) {
        return Err(foreign());
    }
    let found = u32::try_from(found).map_err(|_| foreign())?;
    if found > NEWEST {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: NEWEST });
    }
    if found < NEWEST {
        apply(connection, found as usize).map_err(failed)?;
        tracing::info!(store = %path.display(), from = found, to = NEWEST, "schema migrated");
    }
    Ok(())
}

fn versions(connection: &Connection) -> rusqlite::Result<(i64, i32)> {
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    Ok((version, application))
}

fn has_tables(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))
}

fn apply(connection: &mut Connection, found: usize) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for sql in &MIGRATIONS[found..] {
        transaction.execute_batch(sql)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", NEWEST)?;
    transaction.commit()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Makes a store as version `version` of the schema left it.
    pub(crate) fn at_version(connection: &Connection, version: usize) {
        for sql in &MIGRATIONS[..version] {
            connection.execute_batch(sql).expect("released migrations apply");
        }
        connection.pragma_update(None, "application_id", APPLICATION_ID).expect("pragma");
        connection.pragma_update(None, "user_version", version as u32).expect("pragma");
    }

    fn schema(connection: &Connection) -> Vec<String> {
        let mut statement =
            connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").expect("schema");
        let rows = statement.query_map([], |row| row.get(0)).expect("schema");
        rows.collect::<Result<_, _>>().expect("schema")
    }

    #[test]
    fn every_older_version_becomes_the_newest_with_its_data() {
        let mut fresh = Connection::open_in_memory().expect("memory");
        migrate(&mut fresh, Path::new("fresh")).expect("migrates");
        for version in 1..=MIGRATIONS.len() {
            let mut store = Connection::open_in_memory().expect("memory");
            at_version(&store, version);
            store
                .execute_batch(
                    "INSERT INTO entries VALUES (7, 'seven', 100, 160, 1, 160);
                     INSERT INTO recipients (entry, position, local, domain, status, due_at, failing, progress)
                       VALUES (7, 0, 'b', 'y.example', 'queued', 100, 0, NULL);
                     INSERT INTO messages (entry, meta, octets, file, header, body)
                       VALUES (7, '{}', 2, NULL, x'0d0a', x'6869');
                     INSERT INTO ledger VALUES (3, 100000, 'seven', 'alert', '', '{}');
                     INSERT INTO settings (revision, at, by, note, document)
                       VALUES (1, 100, 'root', '', 'units = []');",
                )
                .expect("data of an older version");
            migrate(&mut store, Path::new("older")).expect("migrates");
            assert_eq!(versions(&store).expect("versions").0, i64::from(NEWEST), "from {version}");
            assert_eq!(schema(&store), schema(&fresh), "from {version}");
            let kept: (String, Vec<u8>, i64, String) = store
                .query_row(
                    "SELECT id, body, (SELECT number FROM ledger), (SELECT document FROM settings)
                     FROM entries JOIN messages ON entry = entries.number",
                    [],
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
                )
                .expect("data is kept");
            assert_eq!(kept, ("seven".into(), b"hi".to_vec(), 3, "units = []".into()), "from {version}");
        }
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        let newer = "PRAGMA application_id = 1936023916; PRAGMA user_version = 7;";
        let cases = [
            (newer, "made by a newer sealwire: schema 7, this one knows 6"),
            ("CREATE TABLE recipes (name TEXT);", "no store of sealwire's"),
            ("PRAGMA application_id = 5;", "no store of sealwire's"),
            ("PRAGMA user_version = 1;", "no store of sealwire's"),
        ];
        for (sql, why) in cases {
            let mut store = Connection::open_in_memory().expect("memory");
            store.execute_batch(sql).expect("fixture");
            let error = migrate(&mut store, Path::new("stray.db")).expect_err(sql);
            assert!(error.to_string().contains(why), "{sql}: {error}");
        }
    }
}
