//! What the answers promise: which entries, records, revisions, audit entries and knowledge must be there, and which must not come back.
//!
//! A request that was asked and not answered may have been done or not, but not by half.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sealwire_core::audit::NewAudit;

use super::recorder::Event;
use super::seen::{Seen, SeenEntry};
use super::witness::{Ask, Outcome, Put, Sent};

/// What is known from the answers so far.
#[derive(Default)]
pub(super) struct Model {
    open: BTreeMap<u64, Ask>,
    entries: BTreeMap<String, Promise>,
    /// Touched by a request that failed: after a failed sync nobody knows what is on the disk. Or learned by two at once.
    unknown: BTreeSet<String>,
    records: BTreeMap<String, usize>,
    settings: BTreeMap<u64, String>,
    known: BTreeMap<String, String>,
    /// Every revision that was asked for.
    puts: Vec<Put>,
    /// By number.
    audit: BTreeMap<u64, String>,
    pruned: bool,
    settings_unknown: bool,
    /// Whether an error may mean that a change was made all the same.
    errors_leave_doubt: bool,
}

/// How often the unanswered requests name an entry or a record, and the ledger a record.
struct Open<'a> {
    touched: HashMap<&'a str, usize>,
    asked: HashMap<&'a str, usize>,
    written: HashMap<&'a str, usize>,
}

fn counted<'a>(words: impl Iterator<Item = &'a str>) -> HashMap<&'a str, usize> {
    let mut counts = HashMap::new();
    for word in words {
        *counts.entry(word).or_default() += 1;
    }
    counts
}

enum Promise {
    There {
        sent: Sent,
        /// By index; None after an operator's retry.
        states: Vec<Option<String>>,
    },
    Gone,
}

impl Model {
    pub(super) fn new(found: &[Sent], errors_leave_doubt: bool) -> Model {
        let mut model = Model { errors_leave_doubt, ..Model::default() };
        found.iter().for_each(|sent| model.queued(sent.clone()));
        model
    }

    /// Takes over the next event.
    pub(super) fn learn(&mut self, event: &Event) {
        match event {
            Event::Changed(_) | Event::Failed => {}
            Event::Asked { request, ask } => {
                self.pruned |= matches!(ask, Ask::Prune);
                self.puts.extend(if let Ask::Settings(put) = ask { Some((**put).clone()) } else { None });
                self.open.insert(*request, ask.clone());
            }
            Event::Answered { request, outcome } => {
                let Some(ask) = self.open.remove(request) else { return };
                match outcome {
                    Outcome::Done(count) => self.done(ask, *count),
                    Outcome::Refused(_) if self.errors_leave_doubt => {
                        self.unknown.extend(touched(&ask).into_iter().map(str::to_owned));
                        self.settings_unknown |= matches!(ask, Ask::Settings(_));
                        if matches!(ask, Ask::Move) {
                            self.forget_states();
                        }
                    }
                    Outcome::Refused(_) => {}
                }
            }
        }
    }

    fn done(&mut self, ask: Ask, count: u64) {
        match ask {
            Ask::Commit(sent) => self.queued(sent),
            Ask::Settle { id, recipients, reports, records } => {
                if !self.entries.contains_key(&id) {
                    // Committed by a process that was killed before it could answer.
                    self.unknown.insert(id.clone());
                }
                if let Some(Promise::There { states, .. }) = self.entries.get_mut(&id) {
                    for (index, state) in recipients {
                        states[index as usize] = state;
                    }
                    if states.iter().all(|state| state.as_deref().is_some_and(is_final)) {
                        self.entries.insert(id, Promise::Gone);
                    }
                }
                reports.into_iter().for_each(|report| self.queued(report));
                self.recorded(records);
            }
            Ask::Move => self.forget_states(),
            Ask::Remove { id } if count > 0 => drop(self.entries.insert(id, Promise::Gone)),
            Ask::Append { records } => self.recorded(records),
            Ask::Settings(put) => drop(self.settings.insert(count, put.row)),
            Ask::Audit { text } => drop(self.audit.insert(count, text)),
            Ask::Knowledge { rows } => rows.into_iter().for_each(|(place, row)| self.knows(place, row)),
            Ask::Remove { .. } | Ask::Prune | Ask::AuditPrune => {}
        }
    }

    fn knows(&mut self, place: String, row: Option<String>) {
        if self.open.values().any(|ask| touched(ask).contains(&place.as_str())) {
            // Answers do not tell which of two came last.
            self.unknown.insert(place.clone());
        }
        match row {
            Some(row) => drop(self.known.insert(place, row)),
            None => drop(self.known.remove(&place)),
        }
    }

    fn queued(&mut self, mut sent: Sent) {
        self.recorded(std::mem::take(&mut sent.records));
        let state = format!("queued {} {:?}", sent.arrived_at, None::<String>);
        let states = vec![Some(state); sent.mailboxes.len()];
        self.entries.insert(sent.id.clone(), Promise::There { sent, states });
    }

    fn recorded(&mut self, records: Vec<String>) {
        for record in records {
            *self.records.entry(record).or_default() += 1;
        }
    }

    /// A retry, a hold, a release moves whatever waits.
    fn forget_states(&mut self) {
        for known in self.entries.values_mut() {
            let Promise::There { states, .. } = known else { continue };
            for state in states.iter_mut().filter(|state| !state.as_deref().is_some_and(is_final)) {
                *state = None;
            }
        }
    }

    /// Says what a store lacks, or has too much.
    pub(super) fn check(&self, seen: &Seen) -> Result<(), String> {
        let open = counted(self.open.values().flat_map(touched));
        let moving = self.open.values().any(|ask| matches!(ask, Ask::Move));
        let is_open = |id: &str| open.contains_key(id) || self.unknown.contains(id);
        for (id, known) in self.entries.iter().filter(|(id, _)| !is_open(id)) {
            match (known, seen.entries.get(id)) {
                (Promise::Gone, None) => {}
                (Promise::Gone, Some(_)) => return Err(format!("{id} was answered as gone and is back")),
                (Promise::There { .. }, None) => return Err(format!("{id} was answered and is lost")),
                (Promise::There { sent, states }, Some(entry)) => {
                    same(sent, states, moving, entry).map_err(|what| format!("{id} has another {what}"))?;
                }
            }
        }
        if let Some(id) = seen.entries.keys().find(|id| !self.entries.contains_key(*id) && !is_open(id)) {
            return Err(format!("{id} comes from nowhere"));
        }
        let written = counted(seen.ledger.iter().map(|(_, record)| record.as_str()));
        if !self.pruned
            && let Some((record, _)) =
                self.records.iter().find(|(record, count)| written.get(record.as_str()).unwrap_or(&0) < count)
        {
            return Err(format!("the ledger lacks {record}"));
        }
        if let Some((revision, _)) =
            self.settings.iter().find(|(revision, row)| seen.settings.get(revision) != Some(row))
        {
            return Err(format!("revision {revision} of the settings was answered and is not there"));
        }
        let putting = self.settings_unknown || self.open.values().any(|ask| matches!(ask, Ask::Settings(_)));
        if !putting && seen.settings.len() != self.settings.len() {
            return Err(format!("{} revisions, {} were answered", seen.settings.len(), self.settings.len()));
        }
        self.check_revisions(seen)?;
        seen.check_acts()?;
        let mut places = self.known.keys().chain(seen.known.keys()).filter(|place| !is_open(place));
        if let Some(place) = places.find(|place| self.known.get(*place) != seen.known.get(*place)) {
            let (answered, found) = (self.known.get(place), seen.known.get(place));
            return Err(format!("of {place} was answered {answered:?} and is known {found:?}"));
        }
        let asked = counted(self.open.values().flat_map(records_of));
        let open = Open { touched: open, asked, written };
        self.open.values().try_for_each(|ask| self.whole(ask, seen, &open))
    }

    /// A revision comes with its pieces and its audit entry, and neither without it; the log keeps what was answered.
    fn check_revisions(&self, seen: &Seen) -> Result<(), String> {
        let mut needed = BTreeSet::new();
        // The first text stays.
        let texts: BTreeMap<_, _> = self.puts.iter().rev().flat_map(|put| &put.pieces).collect();
        let written: BTreeSet<_> = seen.audit.values().map(String::as_str).collect();
        for (revision, row) in &seen.settings {
            let Some(put) = self.puts.iter().find(|put| put.row == *row) else { continue };
            for digest in &put.needs {
                if seen.pieces.get(digest) != texts.get(digest).copied() {
                    return Err(format!("revision {revision} lacks its piece {digest}"));
                }
                needed.insert(digest);
            }
            let act = put.audit.clone().map(|act| NewAudit { revision: Some(*revision), ..act });
            if act.is_some_and(|act| !written.contains(act.text().unwrap_or_default().as_str())) {
                return Err(format!("revision {revision} has no audit entry"));
            }
        }
        if let Some(digest) = seen.pieces.keys().find(|digest| !needed.contains(digest)) {
            return Err(format!("no revision needs the piece {digest}"));
        }
        for (number, text) in &seen.audit {
            let act: NewAudit = serde_json::from_str(text).map_err(|error| format!("audit entry {number}: {error}"))?;
            if act.revision.is_some_and(|revision| !seen.settings.contains_key(&revision)) {
                return Err(format!("audit entry {number} is of a revision that is not there"));
            }
        }
        let mut kept = self.audit.iter().filter(|(number, _)| **number > seen.anchor);
        match kept.find(|(number, text)| seen.audit.get(number) != Some(text)) {
            Some((number, _)) => Err(format!("audit entry {number} was answered and is not there")),
            None => Ok(()),
        }
    }

    /// An unanswered request has left all of its traces or none.
    fn whole(&self, ask: &Ask, seen: &Seen, open: &Open<'_>) -> Result<(), String> {
        let nothing = BTreeMap::new();
        let (entries, records, rows): (Vec<&Sent>, Vec<&String>, _) = match ask {
            Ask::Commit(sent) => (vec![sent], Vec::new(), &nothing),
            Ask::Settle { reports, records, .. } => (reports.iter().collect(), records.iter().collect(), &nothing),
            Ask::Knowledge { rows } => (Vec::new(), Vec::new(), rows),
            _ => return Ok(()),
        };
        let records = entries.iter().flat_map(|sent| &sent.records).chain(records);
        // A trace can be told from others only where nobody else has asked for the same.
        let is_new = |record: &&String| {
            (open.asked.get(record.as_str()) == Some(&1) && !self.pruned)
                .then(|| open.written.get(record.as_str()).unwrap_or(&0) > self.records.get(*record).unwrap_or(&0))
        };
        let alone = |id: &str| !self.unknown.contains(id) && open.touched.get(id) == Some(&1);
        let is_told = |sent: &&&Sent| !self.entries.contains_key(&sent.id) && alone(&sent.id);
        let is_news =
            |(place, row): &(&String, &Option<String>)| self.known.get(*place) != row.as_ref() && alone(place);
        let mut traces: Vec<bool> = records.collect::<Vec<_>>().iter().filter_map(is_new).collect();
        traces.extend(entries.iter().filter(is_told).map(|sent| seen.entries.contains_key(&sent.id)));
        traces.extend(rows.iter().filter(is_news).map(|(place, row)| seen.known.get(place) == row.as_ref()));
        if traces.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(format!("half of a request: {traces:?} of {:?}", touched(ask)));
        }
        Ok(())
    }
}

fn same(sent: &Sent, states: &[Option<String>], moving: bool, entry: &SeenEntry) -> Result<(), &'static str> {
    let recipients = &entry.recipients;
    let cases = [
        (sent.meta == entry.meta, "envelope"),
        (sent.header == entry.header, "header"),
        (sent.body == entry.body, "body"),
        (sent.mailboxes.iter().eq(recipients.iter().map(|(mailbox, _)| mailbox)), "list of recipients"),
        (
            states.len() == recipients.len()
                && states.iter().zip(recipients).all(|(known, (_, state))| match known {
                    Some(known) => known == state || (moving && !is_final(known)),
                    None => !is_final(state),
                }),
            "state of a recipient",
        ),
    ];
    cases.into_iter().find(|(same, _)| !same).map_or(Ok(()), |(_, what)| Err(what))
}

fn is_final(state: &str) -> bool {
    ["delivered", "reported", "removed"].iter().any(|word| state.starts_with(word))
}

/// Ids of the entries a request may change, and places of what is known.
fn touched(ask: &Ask) -> Vec<&str> {
    match ask {
        Ask::Commit(sent) => vec![&sent.id],
        Ask::Settle { id, reports, .. } => {
            std::iter::once(id.as_str()).chain(reports.iter().map(|report| report.id.as_str())).collect()
        }
        Ask::Remove { id } => vec![id],
        Ask::Knowledge { rows } => rows.keys().map(String::as_str).collect(),
        Ask::Move | Ask::Append { .. } | Ask::Prune | Ask::Settings(_) | Ask::Audit { .. } | Ask::AuditPrune => {
            Vec::new()
        }
    }
}

fn records_of(ask: &Ask) -> Vec<&str> {
    match ask {
        Ask::Commit(sent) => sent.records.iter().map(String::as_str).collect(),
        Ask::Settle { reports, records, .. } => {
            reports.iter().flat_map(|report| &report.records).chain(records).map(String::as_str).collect()
        }
        Ask::Append { records } => records.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}
