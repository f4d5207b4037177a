//! What must hold at the end of a run, whatever went wrong in it. It believes the peers and the store, not the relay.
//!
//! 1. Every 250 at the end of data was durable, and a refusal leaves nothing ([`door`]).
//! 2. Every recipient of every entry is exactly one of delivered, reported, held, queued ([`accounts`]).
//! 3. What is called delivered is at a host; what is there twice has one of few excuses ([`copies`]).
//! 4. A replay of every decision, by the generation that made it, gives the same again ([`replays`]).
//! 5. A report never causes a report (H5), and H9 holds exactly ([`super::one_attempt`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwire_core::address::Mailbox;
use sealwire_core::entry::RecipientStatus;
use sealwire_core::ledger::{DecisionRecord, LedgerEvent, LedgerRecord};
use sealwire_core::outcome::Outcome;
use sealwire_policy::Replayed;
use sealwire_store::{LedgerQuery, MemoryStore, QueueFilter, QueueItem, Store};

use super::fault::Fault;
use super::one_attempt;
use super::scene::Scene;
use super::shared::{WANTS_EVERY_REPORT, WANTS_NO_REPORT};
use super::witness::{CopySeen, Seen};

/// Every so many-th seed's decisions are replayed: each takes as long as it took in the run.
const REPLAYED_SEEDS: u64 = 20;

/// Everything the ledger and the queue tell of one entry.
pub(super) struct Account {
    pub(super) id: String,
    /// Of the message: its Message-ID.
    token: String,
    pub(super) queued_at_ms: u64,
    pub(super) recipients: Vec<String>,
    sender: Option<String>,
    is_report: bool,
    /// None: it is no longer queued.
    queued: Option<QueueItem>,
    pub(super) records: Vec<LedgerRecord>,
}

/// Everything that is wrong.
pub(super) async fn judge(scene: &Scene, store: &MemoryStore) -> Vec<String> {
    let lines = store.ledger(LedgerQuery { limit: usize::MAX, ..LedgerQuery::default() }).await.unwrap_or_default();
    let records: Vec<LedgerRecord> = lines.into_iter().map(|line| line.record).collect();
    let queue = store.list(QueueFilter { limit: usize::MAX, ..QueueFilter::default() }).await.unwrap_or_default();
    let mut wrong = Vec::new();
    if scene.seed.is_multiple_of(REPLAYED_SEEDS) {
        replays(scene, &records, &mut wrong).await;
    }
    let mut seen = scene.witness.seen();
    for record in &records {
        count_failed_decision(&mut seen, record);
    }
    let accounts = accounts(&seen, &records, queue, &mut wrong);
    door(&seen, &accounts, &mut wrong);
    for account in accounts.values() {
        recipients(account, &seen, &mut wrong);
        reports(account, &accounts, &records, &mut wrong);
        notices(account, &mut wrong);
        one_attempt::judge(account, &seen, &mut wrong);
    }
    wrong
}

/// Nothing but what is on record is needed to decide the same again.
async fn replays(scene: &Scene, records: &[LedgerRecord], wrong: &mut Vec<String>) {
    for record in records {
        let LedgerEvent::Decision(before) = &record.event else { continue };
        let live = if before.generation == 1 { &scene.shared.sound } else { &scene.shared.broken };
        let asked = live.scopes.asked_again(&record.message, before.clone());
        let again = scene.shared.sandbox.replay(&live.generation, asked.into(), Arc::default()).await;
        let same = matches!(&again[..], [Replayed::Decided(after)]
            if DecisionRecord { took_us: before.took_us, ..(**after).clone() } == *before);
        if !same {
            wrong.push(format!("message {}: a replay gives {again:?} for {before:?}", record.message));
        }
    }
}

fn count_failed_decision(seen: &mut Seen, record: &LedgerRecord) {
    let LedgerEvent::Decision(decision) = &record.event else { return };
    if decision.result.get("failed").is_some() {
        seen.struck.add(match decision.hook.as_str() {
            "receive" => Fault::DecisionFailedOnReceive,
            "plan" => Fault::DecisionFailedOnPlan,
            _ => Fault::DecisionFailedOnJudge,
        });
    }
}

/// One account for each entry there ever was: arrivals that were accepted, and reports.
fn accounts(
    seen: &Seen,
    records: &[LedgerRecord],
    queue: Vec<QueueItem>,
    wrong: &mut Vec<String>,
) -> BTreeMap<String, Account> {
    let mut accounts = BTreeMap::new();
    let mut queue: BTreeMap<String, QueueItem> = queue.into_iter().map(|item| (item.entry.id.clone(), item)).collect();
    let of = |id: &str| records.iter().filter(|record| record.message == id).cloned().collect::<Vec<_>>();
    for record in records {
        let account = match &record.event {
            LedgerEvent::Accepted(arrival) => {
                let commit = seen.commits.iter().find(|commit| commit.id == record.message);
                Account {
                    id: record.message.clone(),
                    queued_at_ms: record.at_ms,
                    token: commit.map(|commit| commit.token.clone()).unwrap_or_default(),
                    recipients: arrival.recipients.iter().map(ToString::to_string).collect(),
                    sender: arrival.envelope_sender.as_ref().map(ToString::to_string),
                    is_report: false,
                    queued: queue.remove(&record.message),
                    records: of(&record.message),
                }
            }
            // One report may tell of failures and of delays; it is one entry.
            LedgerEvent::Notified { report: id, .. } if accounts.contains_key(id) => continue,
            LedgerEvent::Reported { report: Some(id), .. } | LedgerEvent::Notified { report: id, .. } => {
                let original: Option<&Account> = accounts.get(&record.message);
                Account {
                    id: id.clone(),
                    queued_at_ms: record.at_ms,
                    token: format!("{id}@{}", super::shared::RELAY),
                    recipients: original.and_then(|original| original.sender.clone()).into_iter().collect(),
                    sender: None,
                    is_report: true,
                    queued: queue.remove(id),
                    records: of(id),
                }
            }
            _ => continue,
        };
        if let Some(twice) = accounts.insert(account.id.clone(), account) {
            wrong.push(format!("{} was queued twice", twice.id));
        }
    }
    wrong.extend(queue.keys().map(|id| format!("{id} is queued and nothing says why")));
    accounts
}

/// H1, and nothing of what was refused.
fn door(seen: &Seen, accounts: &BTreeMap<String, Account>, wrong: &mut Vec<String>) {
    for (token, submission) in &seen.submissions {
        let commit = seen.commits.iter().find(|commit| commit.token == *token);
        match &submission.answer {
            Some((250, Some(id))) => {
                if !commit.is_some_and(|commit| commit.written && commit.answered_ok && commit.id == *id) {
                    wrong.push(format!("{token} got 250 and was not durable (H1)"));
                }
                if accounts.get(id).is_none_or(|account| account.recipients != submission.accepted) {
                    wrong.push(format!("{token} got 250 for {:?}, and the ledger has not", submission.accepted));
                }
            }
            // What was written though an error was told is the store's lie, not the relay's.
            Some((code, _)) if commit.is_some_and(|commit| commit.written && commit.answered_ok) => {
                wrong.push(format!("{token} was refused with {code} and is ours all the same"));
            }
            // Refused, and nothing is left; or nobody heard an answer, and both are right.
            _ => {}
        }
        let written = commit.is_some_and(|commit| commit.written);
        if !written && seen.copies.iter().any(|copy| copy.token == *token) {
            wrong.push(format!("{token} was never queued and yet delivered"));
        }
    }
}

/// Each recipient is exactly one of delivered, reported, held, queued; and the hosts agree.
fn recipients(account: &Account, seen: &Seen, wrong: &mut Vec<String>) {
    for recipient in &account.recipients {
        let who = format!("{} ({}) to {recipient}", account.id, account.token);
        let open = account.queued.as_ref().is_some_and(|item| {
            let known = item.recipients.iter().find(|known| known.mailbox.to_string() == *recipient);
            known.is_some_and(|r| matches!(r.status, RecipientStatus::Queued | RecipientStatus::Held))
        });
        let deliveries: Vec<bool> = account.records.iter().filter_map(|record| delivery(record, recipient)).collect();
        let reported = account.records.iter().filter(|record| is_report_of(record, recipient)).count();
        let ends = usize::from(open) + deliveries.len() + reported;
        if ends != 1 {
            let counts = format!("queued or held {open}, delivered {}, reported {reported}", deliveries.len());
            wrong.push(format!("{who} has {ends} ends and not one: {counts}"));
        }
        let copies: Vec<&CopySeen> =
            seen.copies.iter().filter(|copy| copy.token == account.token && copy.recipient == *recipient).collect();
        // The last copy is the delivery, if there was one; every other needs an excuse.
        let (delivered, others) = match (deliveries.first(), copies.split_last()) {
            (Some(by_tls), Some((last, others))) => (Some((*by_tls, *last)), others),
            (Some(_), None) => {
                wrong.push(format!("{who} is called delivered, and no host has it"));
                (None, &[][..])
            }
            (None, _) => (None, &copies[..]),
        };
        if let Some((by_tls, copy)) = delivered
            && by_tls != copy.by_tls
        {
            wrong.push(format!("{who} is said to have gone by TLS: {by_tls}; the host saw the contrary"));
        }
        for (number, copy) in others.iter().enumerate() {
            let until = copies.get(number + 1).map_or(u64::MAX, |next| next.at_ms);
            if !is_excused(account, copy, until, seen) {
                wrong.push(format!("{who} is at a host that was not forgotten, and went out again or was reported"));
            }
        }
    }
}

fn delivery(record: &LedgerRecord, recipient: &str) -> Option<bool> {
    match &record.event {
        LedgerEvent::Attempted { recipient: whose, result: Outcome::Delivered(delivery), .. }
            if whose.to_string() == recipient =>
        {
            Some(delivery.tls.is_some())
        }
        _ => None,
    }
}

fn is_delivery_without_dsn(record: &LedgerRecord, recipient: &str) -> bool {
    matches!(&record.event, LedgerEvent::Attempted { recipient: whose, result: Outcome::Delivered(delivery), .. }
        if whose.to_string() == recipient && !delivery.dsn)
}

fn is_report_of(record: &LedgerRecord, recipient: &str) -> bool {
    matches!(&record.event, LedgerEvent::Reported { recipients, .. }
        if recipients.iter().any(|whose| whose.to_string() == recipient))
}

/// Why the relay could not know that a host has this copy: the 250 was lost on the way; it died before the settlement;
/// the store would not take the settlement, or not keep the lease.
fn is_excused(account: &Account, copy: &CopySeen, until: u64, seen: &Seen) -> bool {
    let lost = !copy.confirmed && seen.connections[copy.connection].faulty;
    let within = |at: &u64| *at >= copy.at_ms && *at <= until;
    let settled = seen
        .delivered
        .iter()
        .find(|(at, id, whose)| *at >= copy.at_ms && *id == account.id && *whose == copy.recipient);
    let settled_at = settled.map_or(u64::MAX, |(at, ..)| *at);
    let died = seen.crashes.iter().any(|at| within(at) && *at <= settled_at);
    let store = seen.store_errors.iter().any(|(at, id)| within(at) && *id == account.id);
    lost || died || store
}

/// H5: neither a report nor a message from the null sender is answered; where nobody can be told, an alert is given.
fn reports(account: &Account, accounts: &BTreeMap<String, Account>, records: &[LedgerRecord], wrong: &mut Vec<String>) {
    for record in &account.records {
        let (report, text) = match &record.event {
            LedgerEvent::Reported { report, text, .. } => (report.as_ref(), text.as_str()),
            LedgerEvent::Notified { report, .. } => (Some(report), ""),
            _ => continue,
        };
        match report {
            Some(_) if account.is_report => wrong.push(format!("a report on the report {} (H5)", account.id)),
            Some(_) if account.sender.is_none() => wrong.push(format!("a report to nobody on {} (H5)", account.id)),
            Some(report) if !accounts.contains_key(report) => wrong.push(format!("{report} was never queued")),
            Some(_) => {}
            None if !text.is_empty() && account.sender.as_deref() == Some(WANTS_NO_REPORT) => {}
            None if account.sender.is_some() => wrong.push(format!("the sender of {} was not told", account.id)),
            None => {
                let alert =
                    |r: &LedgerRecord| matches!(&r.event, LedgerEvent::Alert { text } if text.contains(&account.id));
                if !records.iter().any(alert) {
                    wrong.push(format!("{} ended with nobody told and no alert (H5)", account.id));
                }
            }
        }
    }
}

/// RFC 3461: who wants to hear of success hears of each delivery to a host that does not tell, once; nobody hears of a delay twice, or against his will.
fn notices(account: &Account, wrong: &mut Vec<String>) {
    let sender = account.sender.as_deref();
    for recipient in &account.recipients {
        let is_whose = |whose: &[Mailbox]| whose.iter().any(|mailbox| mailbox.to_string() == *recipient);
        let (mut late, mut handed_on, mut delivered) = (0, 0, 0);
        for record in &account.records {
            if let LedgerEvent::Notified { delayed, relayed, .. } = &record.event {
                late += usize::from(is_whose(delayed));
                handed_on += usize::from(is_whose(relayed));
            }
            delivered += usize::from(is_delivery_without_dsn(record, recipient));
        }
        let most = usize::from(!account.is_report && sender.is_some_and(|sender| sender != WANTS_NO_REPORT));
        let due = if sender == Some(WANTS_EVERY_REPORT) { delivered } else { 0 };
        if late > most || handed_on != due {
            let told = format!("late {late}, handed on {handed_on} of {delivered}");
            wrong.push(format!("the sender {sender:?} of {} is told of {recipient}: {told}", account.id));
        }
    }
}
