//! What a store holds once it has been opened again, and what must hold of every store whatever happened before.
//!
//! The store is opened as the relay opens it. Two stores that look the same here are the same to a client, a next hop
//! and an operator; only leases and the count of openings are left out, for opening ends the former and adds to the
//! latter.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, Row};
use sealwire_core::audit::Walk;
use tokio::runtime::Runtime;

use super::scenarios::ACT;
use crate::{SqliteStore, Store, audit};

/// All rows and all contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) entries: BTreeMap<String, SeenEntry>,
    /// Number and record.
    pub(super) ledger: Vec<(i64, String)>,
    /// By revision.
    pub(super) settings: BTreeMap<u64, String>,
    /// By kind and key.
    pub(super) known: BTreeMap<String, String>,
    /// Pieces of settings, by digest.
    pub(super) pieces: BTreeMap<String, String>,
    /// The audit log, by number, behind this one.
    pub(super) audit: BTreeMap<u64, String>,
    pub(super) anchor: u64,
}

/// An entry with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SeenEntry {
    times: (i64, i64, i64),
    file: Option<String>,
    at: Option<i64>,
    pub(super) meta: String,
    pub(super) header: Vec<u8>,
    pub(super) body: Arc<[u8]>,
    /// Mailbox, and what changes: status, due time, progress.
    pub(super) recipients: Vec<(String, String)>,
}

impl Seen {
    /// Shares the bodies that are the same in an earlier look.
    pub(super) fn share_bodies(&mut self, earlier: &Seen) {
        for (id, entry) in &mut self.entries {
            if let Some(same) = earlier.entries.get(id).filter(|earlier| earlier.body == entry.body) {
                entry.body = Arc::clone(&same.body);
            }
        }
    }

    /// An act of [`super::scenarios::acts`] is there with its audit entry, and no entry without its act.
    pub(super) fn check_acts(&self) -> Result<(), String> {
        let member = |text: &str, pointer: &str| {
            let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
            value.pointer(pointer).and_then(|value| value.as_str()).map(ToOwned::to_owned)
        };
        let moved = self.ledger.iter().filter_map(|(_, record)| member(record, "/by"));
        let learned =
            self.known.keys().filter_map(|place| place.strip_prefix(&format!("{ACT} ")).map(ToOwned::to_owned));
        let done: BTreeSet<_> = moved.filter(|by| by.starts_with("act-")).chain(learned).collect();
        let entries = self.audit.values().filter(|text| member(text, "/action").as_deref() == Some(ACT));
        let told: BTreeSet<_> = entries.filter_map(|text| member(text, "/object")).collect();
        if done == told { Ok(()) } else { Err(format!("done were {done:?}, and the audit log tells of {told:?}")) }
    }

    /// In a few words, for a person who looks for what is wrong.
    pub(super) fn summary(&self) -> String {
        let entry = |(id, entry): (&String, &SeenEntry)| {
            let states: Vec<_> = entry.recipients.iter().map(|(_, state)| state.as_str()).collect();
            format!("{id} [{}] {} octets", states.join(", "), entry.body.len())
        };
        let mut entries: Vec<_> = self.entries.iter().map(entry).collect();
        if entries.len() > 12 {
            entries.truncate(12);
            entries.push("...".into());
        }
        let (count, last) = (self.ledger.len(), self.ledger.last().map_or(0, |(number, _)| *number));
        format!(
            "{} entries ({}), {count} records up to {last}, settings {:?} in {} pieces, audit {:?}, {} known",
            self.entries.len(),
            entries.join("; "),
            self.settings.keys().next_back(),
            self.pieces.len(),
            self.audit.keys().next_back(),
            self.known.len()
        )
    }
}

/// Opens the store at `place`, looks at everything, and closes it.
pub(super) fn look(place: &Path, runtime: &Runtime) -> Result<Seen, String> {
    let (seen, _) = look_once(place, runtime)?;
    Ok(seen)
}

/// Opens it twice: the second opening finds nothing left to do and the same store.
pub(super) fn look_twice(place: &Path, runtime: &Runtime) -> Result<Seen, String> {
    let (first, _) = look_once(place, runtime)?;
    let (second, mended) = look_once(place, runtime)?;
    if mended != 0 {
        return Err(format!("the second opening still swept or cleared {mended}"));
    }
    if first != second {
        return Err(format!("the second opening shows {}, the first {}", second.summary(), first.summary()));
    }
    Ok(first)
}

fn look_once(place: &Path, runtime: &Runtime) -> Result<(Seen, u64), String> {
    let store = SqliteStore::open(place).map_err(|error| format!("it does not open: {error}"))?;
    let status = store.status();
    let folder = place.to_owned();
    let all = store.people.read(move |connection| Ok(read_all(connection, &folder)));
    let seen = runtime.block_on(all).map_err(|error| format!("it cannot be read: {error}"))??;
    drop(store);
    nothing_else_is_in_bodies(&seen, place)?;
    Ok((seen, status.orphans_swept + status.leases_cleared))
}

fn read_all(connection: &Connection, place: &Path) -> Result<Seen, String> {
    let failed = |error: rusqlite::Error| format!("it cannot be read: {error}");
    let integrity: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).map_err(failed)?;
    if integrity != "ok" {
        return Err(format!("integrity_check: {integrity}"));
    }
    let mut seen = Seen {
        entries: rows(connection, ENTRIES, entry).map_err(failed)?.into_iter().collect(),
        ledger: rows(connection, "SELECT number, record FROM ledger ORDER BY number", |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .map_err(failed)?,
        known: rows(connection, KNOWN, |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed)?.into_iter().collect(),
        pieces: rows(connection, PIECES, |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed)?.into_iter().collect(),
        ..Seen::default()
    };
    read_audit(&mut seen, connection)?;
    let mut named = BTreeSet::new();
    let revisions = "SELECT revision, at, by, note, document, file FROM settings";
    for (number, mut row, file) in rows(connection, revisions, revision).map_err(failed)? {
        if let Some(name) = file {
            let text = fs::read_to_string(place.join("content").join(&name));
            row.push_str(&text.map_err(|error| format!("settings {number} in {name}: {error}"))?);
            named.insert(name);
        }
        seen.settings.insert(number, row);
    }
    for (id, mailbox, state) in rows(connection, RECIPIENTS, recipient).map_err(failed)? {
        let entry = id.as_ref().and_then(|id| seen.entries.get_mut(id));
        entry.ok_or_else(|| format!("{mailbox} is a recipient of no entry"))?.recipients.push((mailbox, state));
    }
    for (what, sql) in NONE_OF_THESE {
        let count: i64 = connection.query_row(sql, [], |row| row.get(0)).map_err(failed)?;
        if count != 0 {
            return Err(format!("{count} {what}"));
        }
    }
    read_contents(&mut seen, &place.join("content"), named)?;
    read_bodies(&mut seen, place)?;
    Ok(seen)
}

/// The audit log is one whole chain behind its anchor.
fn read_audit(seen: &mut Seen, connection: &Connection) -> Result<(), String> {
    let failed = |_| "the audit log cannot be read".to_owned();
    let (anchor, mut lines) = audit::next(connection, 0).map_err(failed)?;
    let mut walk = Walk::from(anchor, None);
    seen.anchor = anchor.number;
    while !lines.is_empty() {
        lines.iter().for_each(|line| walk.step(line));
        seen.audit.extend(lines.into_iter().map(|line| (line.number, line.text)));
        lines = audit::next(connection, walk.at()).map_err(failed)?.1;
    }
    match walk.end().faults {
        faults if faults.is_empty() => Ok(()),
        faults => Err(format!("the audit log is broken: {faults:?}")),
    }
}

/// Every body that a row names lies in the file of bodies.
fn read_bodies(seen: &mut Seen, place: &Path) -> Result<(), String> {
    let file = fs::read(place.join("bodies")).map_err(|error| format!("the file of bodies: {error}"))?;
    for (id, entry) in &mut seen.entries {
        let Some(at) = entry.at else { continue };
        let body = file.get(at as usize..(at + entry.times.2) as usize);
        entry.body = body.ok_or_else(|| format!("the body of {id} lies behind the file's end"))?.into();
    }
    Ok(())
}

/// In a store that is closed, what no row names has been overwritten, and the file ends with the last body.
fn nothing_else_is_in_bodies(seen: &Seen, place: &Path) -> Result<(), String> {
    let mut file = fs::read(place.join("bodies")).map_err(|error| format!("the file of bodies: {error}"))?;
    let mut end = 0;
    for entry in seen.entries.values() {
        let Some(at) = entry.at else { continue };
        // With the number behind it.
        let to = (at + entry.times.2) as usize + 8;
        file[at as usize..to].fill(0);
        end = end.max(to);
    }
    if let Some(at) = file.iter().position(|octet| *octet != 0) {
        return Err(format!("at {at} the file of bodies holds what no row names"));
    }
    if file.len() >= end + 2 * 4096 {
        return Err(format!("the file of bodies has {} octets and is used up to {end}", file.len()));
    }
    Ok(())
}

/// Every file that a row names is whole, and there is no other; `named` are those of the settings.
fn read_contents(seen: &mut Seen, contents: &Path, mut named: BTreeSet<String>) -> Result<(), String> {
    for (id, entry) in &mut seen.entries {
        if entry.recipients.is_empty() {
            return Err(format!("entry {id} has no recipients"));
        }
        let Some(name) = entry.file.clone() else { continue };
        let octets = fs::read(contents.join(&name)).map_err(|error| format!("content {name} of {id}: {error}"))?;
        if octets.len() as i64 != entry.times.2 {
            return Err(format!("content {name} of {id} has {} octets of {}", octets.len(), entry.times.2));
        }
        entry.body = octets.into();
        named.insert(name);
    }
    for file in fs::read_dir(contents).map_err(|error| error.to_string())? {
        let name = file.map_err(|error| error.to_string())?.file_name();
        if !name.to_str().is_some_and(|name| named.contains(name)) {
            return Err(format!("the orphan {} was not swept", name.display()));
        }
    }
    Ok(())
}

/// What no store holds that has just been opened.
const NONE_OF_THESE: [(&str, &str); 4] = [
    ("pieces written ahead", "SELECT count(*) FROM pieces_ahead"),
    ("more entries than messages", "SELECT (SELECT count(*) FROM entries) - (SELECT count(*) FROM messages)"),
    ("leases", "SELECT count(*) FROM entries WHERE lease IS NOT NULL OR lease_until IS NOT NULL"),
    (
        "entries that are due at another time than their recipients",
        "SELECT count(*) FROM entries WHERE ready_at IS NOT
           (SELECT min(due_at) FROM recipients WHERE entry = number AND status IN ('queued', 'held'))",
    ),
];
const ENTRIES: &str = "SELECT id, arrived_at, ready_at, octets, file, meta, header, body, at
    FROM entries JOIN messages ON messages.entry = entries.number";
const RECIPIENTS: &str = "SELECT id, local || '@' || domain, status, due_at, progress
    FROM recipients LEFT JOIN entries ON entries.number = recipients.entry ORDER BY recipients.entry, position";
const PIECES: &str = "SELECT lower(hex(digest)), text FROM pieces";
const KNOWN: &str = "SELECT kind || ' ' || key, at || ' ' || value FROM known";

fn rows<T>(connection: &Connection, sql: &str, read: fn(&Row<'_>) -> rusqlite::Result<T>) -> rusqlite::Result<Vec<T>> {
    connection.prepare_cached(sql)?.query_map([], read)?.collect()
}

fn entry(row: &Row<'_>) -> rusqlite::Result<(String, SeenEntry)> {
    let body: Option<Vec<u8>> = row.get(7)?;
    let entry = SeenEntry {
        times: (row.get(1)?, row.get(2)?, row.get(3)?),
        file: row.get(4)?,
        at: row.get(8)?,
        meta: row.get(5)?,
        header: row.get(6)?,
        body: body.unwrap_or_default().into(),
        recipients: Vec::new(),
    };
    Ok((row.get(0)?, entry))
}

fn recipient(row: &Row<'_>) -> rusqlite::Result<(Option<String>, String, String)> {
    let (status, due_at, progress): (String, i64, Option<String>) = (row.get(2)?, row.get(3)?, row.get(4)?);
    Ok((row.get(0)?, row.get(1)?, format!("{status} {due_at} {progress:?}")))
}

fn revision(row: &Row<'_>) -> rusqlite::Result<(u64, String, Option<String>)> {
    let (at, by, note, document): (i64, String, String, String) = (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
    Ok((row.get::<_, i64>(0)? as u64, format!("{at} {by} {note} {document}"), row.get(5)?))
}
