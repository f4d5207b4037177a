//! What the engine in memory holds, and what each request makes of it: the same answers as [`crate::queue`] gives in SQL.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use sealwire_core::audit::{Hash, NewAudit, hexadecimal};
use sealwire_core::entry::{Entry, OperatorHold, QueuedRecipient, RecipientStatus};
use sealwire_core::ledger::LedgerRecord;
use sealwire_core::settle::Progress;

use super::audit::AuditLog;
use crate::api::{
    Claim, ClaimToken, LedgerLine, LedgerQuery, NewEntry, QueueCounts, QueueFilter, QueueItem, Retried, Retry,
    Revision, Settled,
};
use crate::content::Kept;
use crate::error::StoreError;
use crate::holds::{self, Held, NewHold, Selection};
use crate::knowledge::Known;
use crate::queue::NO_LEASE;
use crate::settings::NewRevision;
use crate::{ledger, operate, pieces};

#[derive(Default)]
pub(super) struct State {
    /// By a number that grows with each commit.
    pub(super) queue: BTreeMap<u64, Queued>,
    last_number: u64,
    last_lease: i64,
    pub(super) ledger: Vec<LedgerLine>,
    last_line: u64,
    pub(super) settings: Vec<Revision>,
    pub(super) pieces: BTreeMap<Hash, String>,
    pub(super) audit: AuditLog,
    /// By kind and key.
    pub(super) known: BTreeMap<(String, String), Known>,
}

#[derive(Clone)]
pub(super) struct Queued {
    entry: Entry,
    recipients: Vec<QueuedRecipient>,
    pub(super) body: Bytes,
    pub(super) lease: Option<Lease>,
}

#[derive(Clone, Copy)]
pub(super) struct Lease {
    number: i64,
    pub(super) until: u64,
}

impl Queued {
    /// The earliest due time, or the end of the lease; None: every recipient is final.
    pub(super) fn ready_at(&self) -> Option<u64> {
        let due = self.recipients.iter().filter(|r| is_open(r.status)).map(|r| r.due_at).min()?;
        Some(self.lease.map_or(due, |lease| lease.until))
    }

    pub(super) fn item(&self, with_header: bool) -> QueueItem {
        let mut entry = self.entry.clone();
        if !with_header {
            entry.header.clear();
        }
        QueueItem { entry, recipients: self.recipients.clone(), claimed: self.lease.is_some() }
    }

    pub(super) fn is_held_by(&self, token: &ClaimToken) -> bool {
        self.entry.id == token.entry && self.lease.is_some_and(|lease| lease.number == token.lease)
    }
}

fn is_open(status: RecipientStatus) -> bool {
    matches!(status, RecipientStatus::Queued | RecipientStatus::Held)
}

impl State {
    pub(super) fn of_id(&self, id: &str) -> Option<&Queued> {
        self.queue.values().find(|queued| queued.entry.id == id)
    }

    fn number_of(&self, id: &str) -> Option<u64> {
        self.queue.iter().find(|(_, queued)| queued.entry.id == id).map(|(number, _)| *number)
    }

    pub(super) fn newest(&self) -> u64 {
        self.settings.last().map_or(0, |revision| revision.revision)
    }

    pub(super) fn put_settings(&mut self, new: NewRevision) -> Result<u64, StoreError> {
        let found = self.newest();
        if let Some(expected) = new.expected.filter(|expected| *expected != found) {
            return Err(StoreError::Conflict { expected, found });
        }
        let brought: BTreeMap<Hash, String> =
            pieces::batches(new.pieces)?.into_iter().flatten().map(|piece| (piece.digest, piece.text)).collect();
        if let Some(digest) =
            new.needs.iter().find(|digest| !self.pieces.contains_key(*digest) && !brought.contains_key(*digest))
        {
            return Err(StoreError::NoPiece { digest: hexadecimal(digest) });
        }
        let revision = found + 1;
        if let Some(act) = new.audit {
            self.audit.append(&NewAudit { revision: Some(revision), ..act })?;
        }
        for (digest, text) in brought.into_iter().filter(|(digest, _)| new.needs.contains(digest)) {
            self.pieces.entry(digest).or_insert(text);
        }
        self.settings.push(Revision { revision, at: new.now, by: new.by, note: new.note, document: new.document });
        Ok(revision)
    }

    /// The entry of an act.
    pub(super) fn act(&mut self, act: Option<NewAudit>) -> Result<(), StoreError> {
        act.map_or(Ok(()), |act| self.audit.append(&act).map(drop))
    }

    /// Whether these may be queued together.
    pub(super) fn check(&self, arrivals: &[NewEntry]) -> Result<(), StoreError> {
        let mut ids = HashSet::new();
        for NewEntry { entry, recipients, .. } in arrivals {
            if recipients.is_empty() {
                return Err(StoreError::Refused("an entry without recipients would never leave the queue"));
            }
            if self.of_id(&entry.id).is_some() || !ids.insert(&entry.id) {
                return Err(StoreError::Exists { id: entry.id.clone() });
            }
        }
        Ok(())
    }

    /// Queues what was checked.
    pub(super) fn add(&mut self, arrival: NewEntry) -> u64 {
        let NewEntry { entry, recipients, content, records } = arrival;
        // This engine makes no other content.
        let body = if let Kept::Memory(body) = content.kept { body } else { Bytes::new() };
        let queued = |(index, mailbox): (usize, _)| QueuedRecipient {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            mailbox,
            status: RecipientStatus::Queued,
            due_at: entry.arrived_at,
            progress: Progress::default(),
            hold: None,
        };
        let recipients = recipients.into_iter().enumerate().map(queued).collect();
        self.last_number += 1;
        self.queue.insert(self.last_number, Queued { entry, recipients, body, lease: None });
        self.tell(records);
        self.last_number
    }

    /// Leases one entry.
    pub(super) fn lease(&mut self, number: u64, until: u64, with_body: bool) -> Option<Claim> {
        let queued = self.queue.get_mut(&number)?;
        self.last_lease += 1;
        queued.lease = Some(Lease { number: self.last_lease, until });
        Some(Claim {
            token: ClaimToken { entry: queued.entry.id.clone(), lease: self.last_lease },
            entry: queued.entry.clone(),
            recipients: queued.recipients.clone(),
            body: with_body.then(|| queued.body.clone()),
        })
    }

    pub(super) fn tell(&mut self, records: Vec<LedgerRecord>) {
        for record in records {
            self.last_line += 1;
            self.ledger.push(LedgerLine { number: self.last_line, record });
        }
    }

    pub(super) fn claim(&mut self, now: u64, lease_until: u64, limit: usize) -> Result<Vec<Claim>, StoreError> {
        if lease_until <= now {
            return Err(NO_LEASE);
        }
        self.end_holds(now);
        let ready = self.queue.iter().filter_map(|(number, queued)| Some((queued.ready_at()?, *number)));
        let mut due: Vec<_> = ready.filter(|(at, _)| *at <= now).collect();
        due.sort_unstable();
        Ok(due.into_iter().take(limit).filter_map(|(_, number)| self.lease(number, lease_until, false)).collect())
    }

    pub(super) fn settle(&mut self, settled: Settled) -> Result<(), StoreError> {
        let found = self.queue.iter().find(|(_, queued)| queued.is_held_by(&settled.token));
        let Some((number, queued)) = found else {
            return Err(StoreError::LeaseLost { id: settled.token.entry });
        };
        let (number, mut queued) = (*number, queued.clone());
        for recipient in settled.recipients {
            let known = queued.recipients.iter_mut().find(|known| known.index == recipient.index);
            let known = known.ok_or(StoreError::Refused("the entry has no recipient of that index"))?;
            let due_at = match (&known.hold, recipient.hold.is_some() && recipient.status == RecipientStatus::Queued) {
                (_, false) => recipient.due_at,
                (None, true) => known.due_at.min(recipient.due_at),
                (Some(hold), true) => hold.until.unwrap_or(recipient.due_at),
            };
            (known.status, known.due_at, known.progress) = (recipient.status, due_at, recipient.progress);
        }
        self.check(&settled.reports)?;
        for report in settled.reports {
            self.add(report);
        }
        self.tell(settled.records);
        if settled.release {
            queued.lease = None;
        }
        if queued.ready_at().is_some() {
            self.queue.insert(number, queued);
        } else {
            self.queue.remove(&number);
        }
        Ok(())
    }

    pub(super) fn to_retry(&self, which: &Retry) -> Vec<String> {
        let open =
            |queued: &&Queued| queued.recipients.iter().any(|r| is_open(r.status) && which.asks(&queued.entry, r));
        self.queue.values().filter(open).map(|queued| queued.entry.id.clone()).collect()
    }

    pub(super) fn retry(&mut self, which: &Retry, now_ms: u64, by: &str) -> Retried {
        let (now, mut retried, mut touched) = (now_ms / 1000, Retried::default(), Vec::new());
        for queued in self.queue.values_mut() {
            let (id, entry) = (&queued.entry.id, &queued.entry);
            let asked = |recipient: &QueuedRecipient| which.asks(entry, recipient);
            let before = retried.recipients;
            for recipient in queued.recipients.iter_mut().filter(|r| is_open(r.status) && asked(r)) {
                if recipient.hold.is_some() {
                    retried.on_hold += 1;
                    continue;
                }
                let held = recipient.status == RecipientStatus::Held;
                recipient.due_at = if held { now } else { recipient.due_at.min(now) };
                recipient.status = RecipientStatus::Queued;
                retried.recipients += 1;
            }
            if retried.recipients > before {
                touched.push(operate::record((id.clone(), queued.entry.unit.clone()), now_ms, "retry", by));
            }
        }
        self.tell(touched);
        retried
    }

    pub(super) fn hold(&mut self, which: &Selection, new: &NewHold, now_ms: u64, by: &str) -> Held {
        let (now, mut held, mut touched) = (now_ms / 1000, Held::default(), Vec::new());
        for queued in self.queue.values_mut().filter(|queued| which.is_of_entry(&queued.entry)) {
            let expiry = queued.entry.arrived_at.saturating_add(new.expire_after_secs);
            let until = new.until.filter(|until| *until < expiry);
            let mut selected: Vec<_> = queued
                .recipients
                .iter_mut()
                .filter(|r| is_open(r.status) && which.is_of_recipient(&r.mailbox))
                .collect();
            for recipient in &mut selected {
                recipient.hold = Some(OperatorHold { reason: new.reason.clone(), by: by.to_owned(), at: now, until });
                if recipient.status == RecipientStatus::Queued {
                    recipient.due_at = until.unwrap_or(expiry);
                }
            }
            let count = selected.len() as u64;
            held.add(count, queued.lease.is_some_and(|lease| lease.until > now), new.until, expiry);
            if count > 0 {
                touched.push(holds::record(
                    (queued.entry.id.clone(), queued.entry.unit.clone()),
                    now_ms,
                    by,
                    &new.reason,
                    until,
                ));
            }
        }
        self.tell(touched);
        held
    }

    pub(super) fn release(&mut self, which: &Selection, now_ms: u64, by: &str) -> u64 {
        let (now, mut released, mut touched) = (now_ms / 1000, 0, Vec::new());
        for queued in self.queue.values_mut().filter(|queued| which.is_of_entry(&queued.entry)) {
            let before = released;
            let on_hold = |r: &&mut QueuedRecipient| r.hold.is_some() && which.is_of_recipient(&r.mailbox);
            for recipient in queued.recipients.iter_mut().filter(on_hold) {
                recipient.hold = None;
                if recipient.status == RecipientStatus::Queued {
                    recipient.due_at = recipient.due_at.min(now);
                }
                released += 1;
            }
            if released > before {
                touched.push(operate::record(
                    (queued.entry.id.clone(), queued.entry.unit.clone()),
                    now_ms,
                    "release",
                    by,
                ));
            }
        }
        self.tell(touched);
        released
    }

    /// What has run out is no hold any more.
    fn end_holds(&mut self, now: u64) {
        for recipient in self.queue.values_mut().flat_map(|queued| &mut queued.recipients) {
            recipient.hold.take_if(|hold| hold.until.is_some_and(|until| until <= now));
        }
    }

    pub(super) fn remove(&mut self, id: &str, now_ms: u64, by: &str) -> Result<bool, StoreError> {
        let Some(number) = self.number_of(id) else { return Ok(false) };
        let lease = self.queue.get(&number).and_then(|queued| queued.lease);
        if lease.is_some_and(|lease| lease.until > now_ms / 1000) {
            return Err(StoreError::InDelivery { id: id.to_owned() });
        }
        let removed = self.queue.remove(&number).map(|queued| (id.to_owned(), queued.entry.unit));
        self.tell(removed.into_iter().map(|removed| operate::record(removed, now_ms, "remove", by)).collect());
        Ok(true)
    }

    pub(super) fn list(&self, filter: &QueueFilter) -> Vec<QueueItem> {
        let has = |text: String, part: &Option<String>| {
            part.as_ref().is_none_or(|part| text.to_ascii_lowercase().contains(&part.to_ascii_lowercase()))
        };
        let after = filter.after.as_ref().and_then(|id| self.number_of(id)).unwrap_or(0);
        let behind = self.queue.range(after + 1..).map(|(_, queued)| queued);
        let asked = behind.filter(|Queued { entry, recipients, .. }| {
            let sender = entry.envelope_sender.as_ref().map(ToString::to_string).unwrap_or_default();
            recipients.iter().any(|r| has(r.mailbox.to_string(), &filter.recipient))
                && recipients.iter().any(|r| filter.status.is_none_or(|status| status == r.status))
                && (!filter.on_hold || recipients.iter().any(|r| r.hold.is_some()))
                && filter.within.as_ref().is_none_or(|within| within.holds(&entry.unit))
                && has(sender, &filter.sender)
        });
        asked.take(filter.limit).map(|queued| queued.item(false)).collect()
    }

    pub(super) fn counts(&self) -> QueueCounts {
        let mut counts = QueueCounts::default();
        for queued in self.queue.values() {
            counts.entries += 1;
            counts.claimed += u64::from(queued.lease.is_some());
            let arrived_at = queued.entry.arrived_at;
            counts.oldest_arrived_at = Some(counts.oldest_arrived_at.map_or(arrived_at, |at| at.min(arrived_at)));
            for recipient in queued.recipients.iter().filter(|r| is_open(r.status)) {
                let held = recipient.status == RecipientStatus::Held;
                *if held { &mut counts.held } else { &mut counts.queued } += 1;
                counts.on_hold += u64::from(recipient.hold.is_some());
                counts.failed_decisions += u64::from(recipient.progress.failing_since.is_some());
            }
        }
        counts
    }

    pub(super) fn lines(&self, query: &LedgerQuery) -> Vec<LedgerLine> {
        let asked = |line: &&LedgerLine| {
            let LedgerRecord { at_ms, message, event } = &line.record;
            let recipient = query.recipient.as_ref().map(|part| part.to_ascii_lowercase());
            let has = |rule: &String| {
                serde_json::to_string(&line.record).is_ok_and(|record| record.contains(&ledger::of_rule(rule)))
            };
            query.message.as_ref().is_none_or(|asked| asked == message)
                && query.since_ms.is_none_or(|since| *at_ms >= since)
                && query.until_ms.is_none_or(|until| *at_ms < until)
                && query.after.is_none_or(|after| line.number > after)
                && recipient.is_none_or(|part| ledger::searched(event).contains(&part))
                && query.rule.as_ref().is_none_or(has)
                && query.within.as_ref().is_none_or(|within| event.clone().seen_from(within).is_some())
                && (query.events.is_empty() || query.events.iter().any(|kind| kind == ledger::kind(event)))
        };
        let mut lines: Vec<LedgerLine> = if query.last {
            self.ledger.iter().rev().filter(asked).take(query.limit).cloned().collect()
        } else {
            self.ledger.iter().filter(asked).take(query.limit).cloned().collect()
        };
        if query.last {
            lines.reverse();
        }
        lines.into_iter().filter_map(|line| ledger::seen(line, query.within.as_ref())).collect()
    }
}

impl Retry {
    /// Whether it is for this recipient of this entry.
    fn asks(&self, entry: &Entry, recipient: &QueuedRecipient) -> bool {
        match self {
            Retry::All => true,
            Retry::Entry(id) => *id == entry.id,
            Retry::FailedDecisions => recipient.progress.failing_since.is_some(),
            Retry::Held => recipient.status == RecipientStatus::Held,
            Retry::Within(within, which) => within.holds(&entry.unit) && which.asks(entry, recipient),
            Retry::Among(ids, which) => ids.contains(&entry.id) && which.asks(entry, recipient),
        }
    }
}
