//! One round of an entry: what its steps read, and how its end is written.
//!
//! The steps themselves are in [`crate::spine`].

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealwire_core::address::Mailbox;
use sealwire_core::decision::{FailedDecision, FailureCause, FallbackStep};
use sealwire_core::entry::{Entry, QueuedRecipient, RecipientStatus};
use sealwire_core::facts::MessageFacts;
use sealwire_core::floor::Sourced;
use sealwire_core::ledger::{DecisionRecord, LedgerEvent, LedgerRecord};
use sealwire_core::outcome::Outcome;
use sealwire_core::plan::{Attempt, NextHop};
use sealwire_core::reason::Reason;
use sealwire_core::report::{Action, Recipient};
use sealwire_core::settle::{Failure, Progress, Settlement, expired};
use sealwire_store::{CONTENT_INLINE_MAX, Claim, LedgerQuery, Settled, StoreError};

use crate::evaluate::decision_records;
use crate::lanes::{NoPlace, Place};
use crate::live::Live;
use crate::relay::Relay;
use crate::scopes::Scope;
use crate::spine::report;

/// How long a store that cannot settle is waited for, try by try; in all about as long as a lease.
fn store_pauses() -> impl Iterator<Item = Duration> {
    [1, 2].into_iter().chain([5; 48]).map(Duration::from_secs)
}

/// A disk without room, or a folder without rights, is waited for as long as it takes, and is asked so often: nothing can be
/// claimed meanwhile either.
const DISK_PAUSE: Duration = Duration::from_secs(5);

/// How long to wait after this error before the store is asked again; None: no more.
fn pause_after(error: &StoreError, pauses: &mut impl Iterator<Item = Duration>) -> Option<Duration> {
    match error {
        StoreError::LeaseLost { .. } | StoreError::Closed => None,
        StoreError::Full(_) | StoreError::ReadOnly(_) => Some(DISK_PAUSE),
        _ => pauses.next(),
    }
}

/// How long mail goes back into the queue whose destination is crowded: as long as it would have to wait, within these.
const PUT_BACK_SECS: u64 = 60;
const PUT_BACK_MAX_SECS: u64 = 600;

/// When mail to a crowded destination is to come back, seconds since the Unix epoch. Spread, so that not all comes at once.
pub(crate) fn crowded_until(relay: &Relay, hop: &NextHop) -> u64 {
    let least = relay.lanes.wait(hop).as_secs().clamp(PUT_BACK_SECS, PUT_BACK_MAX_SECS);
    relay.world.now() + least + (relay.world.jitter() * PUT_BACK_SECS as f64) as u64
}

/// What every step of one round reads.
pub(crate) struct Round<'a> {
    pub(crate) relay: &'a Arc<Relay>,
    pub(crate) live: &'a Arc<Live>,
    pub(crate) claim: &'a Claim,
    pub(crate) message: &'a Arc<MessageFacts>,
    /// Decisions that no transaction has taken along yet.
    records: Mutex<Vec<LedgerRecord>>,
    /// Recipients that are due.
    due: usize,
    /// Of these, how many are written.
    settled: AtomicUsize,
    /// The claim has ended with the last of them.
    released: AtomicBool,
    /// Something could not be written.
    unsettled: AtomicBool,
}

/// One recipient's end of an attempt.
pub(crate) struct Ended<'a> {
    pub(crate) recipient: &'a QueuedRecipient,
    pub(crate) outcome: Outcome,
    pub(crate) fallback: Vec<FallbackStep>,
    pub(crate) reasons: Vec<Reason>,
    pub(crate) route: String,
    pub(crate) floor: Vec<Sourced>,
    pub(crate) took_ms: u64,
}

impl<'a> Ended<'a> {
    /// Of a recipient whose plan did not come about.
    pub(crate) fn unplanned(recipient: &'a QueuedRecipient) -> Ended<'a> {
        Ended {
            recipient,
            outcome: Outcome::Inconclusive { host: None, why: String::new(), reply: None },
            fallback: Vec::new(),
            reasons: Vec::new(),
            route: String::new(),
            floor: Vec::new(),
            took_ms: 0,
        }
    }
}

impl<'a> Round<'a> {
    /// A round of a claimed entry, of which so many recipients are due.
    pub(crate) fn new(
        relay: &'a Arc<Relay>,
        live: &'a Arc<Live>,
        claim: &'a Claim,
        message: &'a Arc<MessageFacts>,
        due: usize,
    ) -> Round<'a> {
        Round {
            relay,
            live,
            claim,
            message,
            records: Mutex::default(),
            due,
            settled: AtomicUsize::new(0),
            released: AtomicBool::new(false),
            unsettled: AtomicBool::new(false),
        }
    }

    /// Whose settings this copy's way out goes by.
    pub(crate) fn scopes(&self, recipient: &Mailbox) -> Vec<Scope> {
        self.live.scopes.of(self.live.scopes.client_of(&self.claim.entry).as_ref(), recipient)
    }

    /// A recipient whose time is over is reported; a held one whose time was meant otherwise waits on.
    pub(crate) async fn end_by_time(&self, recipient: &QueuedRecipient, now: u64) {
        let schedule = &self.live.config.schedule;
        let arrived_at = self.claim.entry.arrived_at;
        let by_operator = recipient.hold.is_some();
        if let Some(failure) = expired(&recipient.progress, by_operator, arrived_at, now, schedule) {
            let ended = QueuedRecipient { status: RecipientStatus::Reported, ..recipient.clone() };
            self.write(vec![ended], vec![told(recipient, Action::Failed(failure))], Vec::new()).await;
        } else {
            let hold_ends = recipient.hold.as_ref().and_then(|hold| hold.until).unwrap_or(u64::MAX);
            // What a policy holds is not freed by the end of an operator's hold.
            let ends = if recipient.status == RecipientStatus::Held { u64::MAX } else { hold_ends };
            let due_at = schedule.expires_at(arrived_at).min(ends);
            self.write(vec![QueuedRecipient { due_at, ..recipient.clone() }], Vec::new(), Vec::new()).await;
        }
    }

    /// A place for an attempt that does not go where its round began, waited for, but not for long. None: nothing was tried, and
    /// its recipients wait in the queue. That is no round, and uses nothing up (H9).
    pub(crate) async fn place(&self, attempt: &Attempt) -> Option<Place> {
        let (limits, hop, lanes) = (self.live.config.limits, &attempt.next_hop, &self.relay.lanes);
        let large = self.claim.entry.size > CONTENT_INLINE_MAX as u64;
        let place = match lanes.is_crowded(hop, limits.deliveries as usize) {
            true => Err(NoPlace::Crowded),
            false => lanes.place(Some(hop.clone()), large, limits.deliveries_per_destination).await,
        };
        match place {
            Ok(place) => Some(place),
            Err(NoPlace::Crowded) => {
                self.put_back(attempt).await;
                None
            }
            // They are due at the next start.
            Err(NoPlace::Stopping) => None,
        }
    }

    async fn put_back(&self, attempt: &Attempt) {
        let now = self.relay.world.now();
        let due_at = crowded_until(self.relay, &attempt.next_hop);
        let is_over = self.live.config.schedule.expires_at(self.claim.entry.arrived_at) <= now;
        let is_of_attempt = |r: &&QueuedRecipient| attempt.recipients.iter().any(|planned| planned.index == r.index);
        let waiting = self.claim.recipients.iter().filter(is_of_attempt);
        if !is_over {
            let recipients = waiting.map(|r| QueuedRecipient { due_at, ..r.clone() }).collect();
            return self.write(recipients, Vec::new(), Vec::new()).await;
        }
        for recipient in waiting {
            self.end_by_time(recipient, now).await;
        }
    }

    pub(crate) fn attempted(&self, end: &Ended<'_>, settlement: &Settlement) -> LedgerRecord {
        let event = LedgerEvent::Attempted {
            unit: self.claim.entry.unit.clone(),
            recipient: end.recipient.mailbox.clone(),
            generation: self.live.generation.number(),
            round: end.recipient.progress.rounds.saturating_add(1),
            route: end.route.clone(),
            floor: end.floor.clone(),
            fallback: end.fallback.clone(),
            reasons: end.reasons.clone(),
            result: end.outcome.clone(),
            settlement: settlement.to_string(),
            took_ms: end.took_ms,
        };
        LedgerRecord { at_ms: self.relay.world.now_ms(), message: self.claim.entry.id.clone(), event }
    }

    /// An alert goes out once failed decisions alone have kept mail waiting for long enough.
    pub(crate) fn alert_if_failing(&self, before: &QueuedRecipient, after: &Progress, now: u64) {
        let schedule = &self.live.config.schedule;
        let Some(at) = after.alert_at(schedule) else { return };
        if now >= at {
            let key = format!("waits {} {}", self.claim.entry.id, before.mailbox);
            self.relay.alert_once_to(
                self.relay.audience_of(&before.mailbox),
                &key,
                format!("message {} to {} waits: {}", self.claim.entry.id, before.mailbox, after.last),
            );
        }
    }

    /// One store transaction: recipients, the report of those of whom the sender is told, and the ledger's records. A store that fails
    /// is asked again: what was delivered must not be delivered twice for a full disk.
    pub(crate) async fn write(
        &self,
        recipients: Vec<QueuedRecipient>,
        told: Vec<Recipient>,
        mut records: Vec<LedgerRecord>,
    ) {
        // H5: what nobody can be told of ends in the ledger with an alert, in the transaction that ends it.
        let untold = unreportable(&self.claim.entry, &told);
        records.splice(0..0, self.take_records());
        // One id for every try: a report that was written after all and still waits is not written twice.
        let id = self.relay.world.new_id();
        // The last settlement ends the claim in the same step. Of two that are under way at once neither is the last.
        let release = self.settled.load(Ordering::Relaxed) + recipients.len() >= self.due;
        let (mut pauses, mut tried) = (store_pauses(), Vec::new());
        loop {
            let mut with_report = records.clone();
            let reports = report(self.relay, self.live, &id, &self.claim.entry, &told, &mut with_report);
            with_report.extend(untold.iter().map(|text| self.relay.alert_record(text.clone())));
            tried.extend(with_report.iter().find(|record| is_unique(record)).cloned());
            let (token, recipients_now) = (self.claim.token.clone(), recipients.clone());
            let settled = Settled { token, recipients: recipients_now, reports, records: with_report, release };
            let Err(error) = self.relay.store.settle(settled).await else { break };
            let message = &self.claim.entry.id;
            self.relay.alert_once("settle", format!("the round of message {message} cannot be settled: {error}"));
            let Some(pause) = pause_after(&error, &mut pauses) else {
                // What happened is told all the same, though nothing follows from it any more (H8).
                self.relay.append(records);
                // Not released: the lease runs out first, so that a store that stays broken sends no mail round and round.
                return self.unsettled.store(true, Ordering::Relaxed);
            };
            tokio::time::sleep(pause).await;
            if self.is_written(&tried, &recipients).await {
                break;
            }
        }
        self.settled.fetch_add(recipients.len(), Ordering::Relaxed);
        self.released.fetch_or(release, Ordering::Relaxed);
        let reported = failures(&told).filter(|(recipient, _)| recipient.is_wanted(&self.claim.entry)).count();
        self.relay.counters.reported(if untold.is_empty() { reported } else { 0 });
        // They are in the ledger already, by the settlement.
        for (text, recipient) in untold.into_iter().zip(failures(&told).map(|(recipient, _)| &recipient.mailbox)) {
            let audience = self.relay.audience_of(recipient);
            self.relay.alerts.give(&text, &text, self.relay.world.now_ms(), audience);
        }
    }

    /// A store that told of an error may have written all the same. Whoever then settles once more tells the sender
    /// twice, for the first report may have left the queue, and with it the id that would have been refused.
    /// Nor does it help to ask how the recipients stand: the next round may have begun.
    async fn is_written(&self, tried: &[LedgerRecord], recipients: &[QueuedRecipient]) -> bool {
        let id = &self.claim.entry.id;
        // A settlement is written whole or not at all, and the ledger keeps its records.
        if let Some(LedgerRecord { at_ms, .. }) = tried.first() {
            let since_ms = Some(*at_ms);
            let (message, events) = (Some(id.clone()), vec!["attempted".to_owned(), "reported".to_owned()]);
            let of_message = LedgerQuery { message, since_ms, events, limit: usize::MAX, ..LedgerQuery::default() };
            let found = self.relay.store.ledger(of_message).await;
            return found.is_ok_and(|lines| lines.iter().any(|line| tried.contains(&line.record)));
        }
        // Without records it only moved the time of a hold.
        let found = self.relay.store.show(id).await;
        found.is_ok_and(|item| item.is_none_or(|item| recipients.iter().any(|r| item.recipients.contains(r))))
    }

    /// Ends the claim, unless the last settlement has.
    pub(crate) async fn release(&self) {
        if self.unsettled.load(Ordering::Relaxed) {
            return;
        }
        let records = self.take_records();
        if self.released.load(Ordering::Relaxed) {
            return self.relay.append(records);
        }
        let mut pauses = store_pauses();
        loop {
            let (token, records_now) = (self.claim.token.clone(), records.clone());
            let (recipients, reports) = (Vec::new(), Vec::new());
            let nothing = Settled { token, recipients, reports, records: records_now, release: true };
            let error = match self.relay.store.settle(nothing).await {
                Ok(()) => return,
                // The entry is gone once its last recipient is final, and its lease with it.
                Err(StoreError::LeaseLost { .. }) => return self.relay.append(records),
                Err(error) => error,
            };
            // A claim that is not ended keeps the entry from its next round until the lease has run out.
            let Some(pause) = pause_after(&error, &mut pauses) else {
                return tracing::error!(message = %self.claim.entry.id, %error, "the claim could not be ended");
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Decisions are written with what follows from them (H8).
    pub(crate) fn record(&self, decisions: Vec<DecisionRecord>) {
        self.relay.counters.decisions(&decisions);
        if let Ok(mut records) = self.records.lock() {
            records.extend(decision_records(&self.claim.entry.id, decisions, self.live, self.relay.world.now_ms()));
        }
    }

    fn take_records(&self) -> Vec<LedgerRecord> {
        self.records.lock().map(|mut records| std::mem::take(&mut *records)).unwrap_or_default()
    }
}

/// No other settlement of the message writes the same: it names a recipient's round, or a report.
fn is_unique(record: &LedgerRecord) -> bool {
    matches!(record.event, LedgerEvent::Attempted { .. } | LedgerEvent::Reported { .. })
}

/// What alerts say of failures that nobody can be told of, one each.
fn unreportable(entry: &Entry, told: &[Recipient]) -> Vec<String> {
    if entry.envelope_sender.is_some() && !entry.is_report {
        return Vec::new();
    }
    let what = if entry.is_report { "report" } else { "message from the null sender" };
    let words = |(recipient, failure): (&Recipient, &Failure)| {
        format!("{what} {} to {} could not be delivered: {}", entry.id, recipient.mailbox, failure.outcome)
    };
    failures(told).map(words).collect()
}

fn failures(told: &[Recipient]) -> impl Iterator<Item = (&Recipient, &Failure)> {
    told.iter().filter_map(|recipient| match &recipient.action {
        Action::Failed(failure) => Some((recipient, failure)),
        Action::Delayed(_) | Action::Relayed(_) => None,
    })
}

/// A route that a plan or a cascade names and the configuration no longer has: mail waits for it, it goes no other way.
pub(crate) fn gone(route: &str) -> FailedDecision {
    let detail = format!("route {route:?} is no longer in the configuration");
    FailedDecision { policy: String::new(), cause: FailureCause::Unavailable, detail }
}

/// What the sender is told of this recipient.
pub(crate) fn told(recipient: &QueuedRecipient, action: Action) -> Recipient {
    Recipient { index: recipient.index, mailbox: recipient.mailbox.clone(), action }
}
