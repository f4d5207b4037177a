//! What any engine must do, as checks against [`Store`] alone; a second engine passes all of them or is none.
//!
//! Each check gets a place of its own, can close it and open it again, and never waits for a clock: time is an argument.

use std::sync::Arc;

use sealwire_core::address::Mailbox;
use sealwire_core::audit::{AuditResult, NewAudit};
use sealwire_core::dsn::{Dsn, RecipientDsn};
use sealwire_core::entry::{Entry, QueuedRecipient, RecipientStatus};
use sealwire_core::ledger::{LedgerEvent, LedgerRecord};

use crate::{Claim, Content, Known, LedgerQuery, NewEntry, NewRevision, Piece, Settled, Store};

mod audit;
mod contents;
mod holds;
mod knowledge;
mod ledger;
mod operating;
mod queue;
mod settings;
mod units;

/// Somewhere an engine keeps its data.
pub(crate) trait Place {
    /// Opens it; a former store of the same place has been dropped.
    fn open(&self) -> Arc<dyn Store>;
}

/// Runs every check, each in a fresh place.
pub(crate) async fn run(fresh: impl Fn() -> Box<dyn Place>) {
    queue::run(&fresh).await;
    operating::run(&fresh).await;
    holds::run(&fresh).await;
    contents::run(&fresh).await;
    ledger::run(&fresh).await;
    settings::run(&fresh).await;
    units::run(&fresh).await;
    knowledge::run(&fresh).await;
    audit::run(&fresh).await;
}

/// The moment at which every entry of these checks arrives.
pub(crate) const NOW: u64 = 1_700_000_000;
/// How long a claim lasts here.
pub(crate) const LEASE: u64 = 60;

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).expect("a mailbox")
}

pub(crate) fn arrival(id: &str, recipients: &[&str], body: &[u8]) -> NewEntry {
    let entry = Entry {
        id: id.into(),
        arrived_at: NOW,
        envelope_sender: Some(mailbox("Sender@a.example")),
        trace: "Received: from a.example\r\n".into(),
        header: format!("Subject: {id}\r\nX: caf\u{e9}\r\n").into_bytes(),
        eight_bit: true,
        declared_size: Some(77),
        size: body.len() as u64,
        client: None,
        sender_is_ours: false,
        is_report: false,
        report_of_tls: false,
        require_tls: false,
        smtp_utf8: true,
        dsn: Dsn { envid: Some("as given".into()), recipients: [(1, RecipientDsn::never())].into(), ..Dsn::default() },
        unit: vec!["root".into()],
        flagged_by: vec!["secure-transport".into()],
        generation: 3,
    };
    NewEntry {
        entry,
        recipients: recipients.iter().map(|text| mailbox(text)).collect(),
        content: Content::from(body.to_vec()),
        records: vec![alert(id, NOW * 1000, "committed")],
    }
}

pub(crate) fn alert(id: &str, at_ms: u64, text: &str) -> LedgerRecord {
    LedgerRecord { at_ms, message: id.into(), event: LedgerEvent::Alert { text: text.into() } }
}

pub(crate) fn known(kind: &str, key: &str, value: &str, at: u64) -> Known {
    Known { kind: kind.into(), key: key.into(), value: value.into(), at }
}

/// A revision without pieces, by root.
pub(crate) fn put(document: String, note: String, expected: Option<u64>) -> NewRevision {
    NewRevision { document, by: "root".into(), note, now: NOW, expected, ..NewRevision::default() }
}

/// A piece of so many octets.
pub(crate) fn piece(fill: u8, octets: usize) -> Piece {
    Piece { digest: [fill; 32], text: char::from(b'0' + fill).to_string().repeat(octets) }
}

pub(crate) fn act(at_ms: u64, action: &str, object: &str) -> NewAudit {
    NewAudit {
        at_ms,
        by: "ann (uid 1000)".into(),
        from: "socket".into(),
        action: action.into(),
        object: object.into(),
        before: serde_json::Value::Null,
        after: serde_json::json!({ "to": object }),
        note: String::new(),
        revision: None,
        generation: Some(1),
        result: AuditResult::Done,
    }
}

async fn commit(store: &dyn Store, id: &str, recipients: &[&str]) {
    store.commit(arrival(id, recipients, b"body\r\n")).await.expect("committed");
}

pub(crate) async fn claim(store: &dyn Store, now: u64) -> Vec<Claim> {
    store.claim(now, now + LEASE, 10).await.expect("claimed")
}

/// The one entry that is due.
async fn claim_one(store: &dyn Store, now: u64) -> Claim {
    let mut claims = claim(store, now).await;
    assert_eq!(claims.len(), 1, "one entry is due");
    claims.remove(0)
}

fn ids(claims: &[Claim]) -> Vec<&str> {
    claims.iter().map(|claim| claim.entry.id.as_str()).collect()
}

/// The recipients of a claim, each with another status and due time.
pub(crate) fn moved(claim: &Claim, status: RecipientStatus, due_at: u64) -> Vec<QueuedRecipient> {
    claim.recipients.iter().map(|recipient| QueuedRecipient { status, due_at, ..recipient.clone() }).collect()
}

pub(crate) fn settled(claim: &Claim, recipients: Vec<QueuedRecipient>) -> Settled {
    let id = &claim.entry.id;
    let records = vec![alert(id, NOW * 1000 + 1, "settled")];
    Settled { token: claim.token.clone(), recipients, reports: Vec::new(), records, release: true }
}

/// Texts of the alerts of a message, in order.
async fn told(store: &dyn Store, id: &str) -> Vec<String> {
    let query = LedgerQuery { message: Some(id.into()), ..LedgerQuery::default() };
    let lines = store.ledger(query).await.expect("ledger");
    let text = |event| match event {
        LedgerEvent::Alert { text } => text,
        LedgerEvent::Operator { action, by, reason: None, until: None, .. } => format!("{action} by {by}"),
        LedgerEvent::Operator { action, by, reason, until, .. } => {
            format!("{action} by {by}, {}, until {until:?}", reason.unwrap_or_default())
        }
        other => format!("{other:?}"),
    };
    lines.into_iter().map(|line| text(line.record.event)).collect()
}
