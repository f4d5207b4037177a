//! Evaluate: the facts of a message, once for every policy of a round; on arrival from the session, later from the entry.

use std::sync::Arc;

use sealwire_core::address::Mailbox;
use sealwire_core::decision::{Ruling, Verdict, join_receives};
use sealwire_core::entry::Entry;
use sealwire_core::facts::{ClientFacts, MessageFacts};
use sealwire_core::header::{from_of, split, tls_required_no};
use sealwire_core::ledger::{ArrivalRecord, DecisionRecord, LedgerEvent, LedgerRecord, MadeFor};
use sealwire_core::smtp::server::HeaderReady;
use sealwire_core::trace::{Received, received};
use sealwire_core::units::UnitPath;
use sealwire_policy::{Decided, Generation, Sandbox};

use crate::live::Live;
use crate::scopes::{Scope, Scopes};

/// Facts of a message that arrives: no policy's flag is seen yet, and the size is not known.
pub(crate) fn facts_on_arrival(entry: &Entry, recipients: Vec<Mailbox>) -> MessageFacts {
    MessageFacts { size: None, ..facts_of_entry(entry, recipients) }
}

/// Facts of the same message in a later round.
pub(crate) fn facts_of_entry(entry: &Entry, recipients: Vec<Mailbox>) -> MessageFacts {
    let fields: Arc<[_]> = split(&entry.header).into();
    let from = from_of(&fields);
    MessageFacts {
        id: entry.id.clone(),
        header_from: from.mailboxes,
        header_from_doubtful: from.doubtful,
        envelope_sender: entry.envelope_sender.clone(),
        recipients,
        // RFC 8689 §4.1: beside REQUIRETLS the field counts for nothing.
        tls_not_required: !entry.require_tls && tls_required_no(&fields),
        fields,
        declared_size: entry.declared_size,
        size: Some(entry.size),
        sender_is_ours: entry.sender_is_ours,
        is_report: entry.is_report,
        organizational_unit: entry.unit.clone(),
        secure_transport_required_by: required_by(entry),
        arrived_at: entry.arrived_at,
        client: entry.client.clone(),
    }
}

/// Who asked for secure transport when it arrived: the sender, then policies.
fn required_by(entry: &Entry) -> Vec<String> {
    let sender = entry.require_tls.then(|| "requiretls".to_owned());
    sender.into_iter().chain(entry.flagged_by.iter().cloned()).collect()
}

/// The entry of this id that an arrival would become, and its recipients.
pub(crate) fn arriving_entry(
    id: String,
    live: &Live,
    client: ClientFacts,
    client_unit: Option<&UnitPath>,
    header: HeaderReady,
    arrived_at: u64,
) -> (Entry, Vec<Mailbox>) {
    let by = live.config.hostname.as_str();
    // A stranger's recipients have equal settings.
    let of_first = || header.envelope.recipients.first().map(|first| live.scopes.of(None, first).swap_remove(0).unit);
    let unit = client_unit.cloned().or_else(of_first).unwrap_or_else(UnitPath::root).names().to_vec();
    let trace = received(&Received {
        client: &client,
        extended: header.greeting.extended,
        smtp_utf8: header.envelope.smtp_utf8,
        by,
        id: &id,
        now: arrived_at,
    });
    let require_tls = header.envelope.require_tls;
    #[cfg(test)]
    let require_tls = crate::simulation::planted::require_tls(require_tls);
    let entry = Entry {
        id,
        arrived_at,
        envelope_sender: header.envelope.sender,
        trace,
        header: header.header,
        eight_bit: header.envelope.declared_eight_bit,
        declared_size: header.envelope.declared_size,
        size: 0,
        client: Some(client),
        sender_is_ours: client_unit.is_some(),
        is_report: false,
        report_of_tls: false,
        require_tls,
        smtp_utf8: header.envelope.smtp_utf8,
        dsn: header.envelope.dsn,
        unit,
        flagged_by: Vec::new(),
        generation: live.generation.number(),
    };
    (entry, header.envelope.recipients)
}

/// Asks the policies on an arrival, by the settings of every unit that one of its recipients or its client brings. The
/// strictest verdict answers for all; where only some recipients have it, it names one.
pub async fn judge_arrival(
    sandbox: &Sandbox,
    generation: &Arc<Generation>,
    scopes: &Scopes,
    client_unit: Option<&UnitPath>,
    facts: &Arc<MessageFacts>,
) -> Decided<Verdict> {
    let all: Vec<(&Mailbox, Vec<Scope>)> =
        facts.recipients.iter().map(|recipient| (recipient, scopes.of(client_unit, recipient))).collect();
    let mut asked: Vec<Scope> = Vec::new();
    for scope in all.iter().flat_map(|(_, scopes)| scopes) {
        match asked.iter_mut().find(|known| known.chain == scope.chain) {
            Some(known) => known.stands_for(scope),
            None => asked.push(scope.clone()),
        }
    }
    let mut decided: Option<Decided<Verdict>> = None;
    for scope in asked {
        let mut more = sandbox.receive(generation, &scope.asks(facts), facts.arrived_at).await;
        if let Some(recipient) = concerned_alone(&more, &all) {
            more.result.name(recipient);
        }
        decided = Some(match decided {
            None => more,
            Some(first) => Decided {
                result: first.result.joined(more.result),
                records: first.records.into_iter().chain(more.records).collect(),
            },
        });
    }
    // A message without a recipient has no settings, and what no policy decides on is a failed decision.
    decided.unwrap_or_else(|| Decided { result: join_receives(Vec::new()), records: Vec::new() })
}

/// The first recipient that a refusal is about; None: it is about all of them, or there is none.
fn concerned_alone<'a>(decided: &Decided<Verdict>, all: &[(&'a Mailbox, Vec<Scope>)]) -> Option<&'a Mailbox> {
    let ruling = match decided.result.ruling {
        Ruling::Reject(_) => "reject",
        Ruling::Defer(_) => "defer",
        Ruling::Accept | Ruling::Failed(_) => return None,
    };
    let by = decided.records.iter().find(|record| !record.result[ruling].is_null())?;
    let made_for = |one: &MadeFor| (one.unit == by.unit && one.internal == by.internal) || by.also_for.contains(one);
    let is_concerned = |scopes: &[Scope]| scopes.iter().flat_map(Scope::made_for).any(|one| made_for(&one));
    let mut concerned = all.iter().filter(|(_, scopes)| is_concerned(scopes)).map(|(recipient, _)| *recipient);
    let first = concerned.next()?;
    (1 + concerned.count() < all.len()).then_some(first)
}

/// What the ledger keeps of an arrival, before its size is known.
pub(crate) fn arrival_record(entry: &Entry, recipients: &[Mailbox], header_from: Vec<Mailbox>) -> ArrivalRecord {
    let handshake = entry.client.as_ref().and_then(|client| client.channel.handshake.as_ref());
    ArrivalRecord {
        unit: entry.unit.clone(),
        client: entry.client.as_ref().map(|client| client.address.to_string()),
        tls: handshake.map(|h| format!("{} {}", h.version.name(), h.cipher_suite)),
        envelope_sender: entry.envelope_sender.clone(),
        recipients: recipients.to_vec(),
        header_from,
        generation: entry.generation,
        flagged_by: entry.flagged_by.clone(),
        size: None,
        noted: Vec::new(),
    }
}

/// One ledger record for each decision (H8), by the settings of what was live.
pub(crate) fn decision_records(
    message: &str,
    decisions: Vec<DecisionRecord>,
    live: &Live,
    at_ms: u64,
) -> Vec<LedgerRecord> {
    let record = |decision| {
        let (revision, revision_at) = (live.settings_revision, live.revision_at);
        let event = LedgerEvent::Decision(DecisionRecord { revision, revision_at, ..decision });
        LedgerRecord { at_ms, message: message.to_owned(), event }
    };
    decisions.into_iter().map(record).collect()
}
