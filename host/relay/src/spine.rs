//! The spine: the file to read first.
//!
//! ```text
//! bytes -accept-> Arrival -evaluate-> Verdict -queue-> Entry (durable) -> 250        inbound, per connection
//!                                                        |   ^
//!                                                        v   | report
//!                 settle <-Outcomes- deliver <-Attempts- plan <- due Entry           outbound, per due entry
//! ```
//!
//! [`admit`] evaluates an arrival and, if it may come in, queues it; [`attempt`] plans, delivers and settles what is due;
//! [`report`] tells the sender. The two flows meet only in the queue: there is no other edge back.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use sealwire_core::address::Mailbox;
use sealwire_core::decision::{Called, Plan, Ruling, Standing, join_plans};
use sealwire_core::dsn::Event;
use sealwire_core::entry::{Entry, QueuedRecipient, RecipientStatus};
use sealwire_core::facts::{ClientFacts, DestinationFacts};
use sealwire_core::floor::{Demand, Source};
use sealwire_core::ledger::{ArrivalRecord, LedgerEvent, LedgerRecord};
use sealwire_core::outcome::Outcome;
use sealwire_core::plan::{Attempt, PlannedRecipient, Route, group};
use sealwire_core::reply::Reply;
use sealwire_core::report::{Action, Recipient, ReportMessage, ReportRequest};
use sealwire_core::settle::{RoundResult, Settlement, Timing, delay, settle};
use sealwire_core::smtp::server::HeaderReady;
use sealwire_store::{Claim, Content, ContentWriter, NewEntry, StoreError};

use crate::counters::senders_of;
use crate::delivery::{Delivered, deliver};
use crate::evaluate::{
    arrival_record, arriving_entry, decision_records, facts_of_entry, facts_on_arrival, judge_arrival,
};
use crate::lanes::Place;
use crate::leases::LEASE_SECS;
use crate::live::Live;
use crate::relay::Relay;
use crate::round::{Ended, Round, gone, told};
use crate::scopes::Scope;
use crate::tls_reports::Arriving;

/// Attempts of one entry side by side: an entry to a thousand domains must not take every socket there is.
const ATTEMPTS_AT_ONCE: usize = 20;

/// A message whose header was accepted and whose body is arriving. Dropped, it leaves nothing behind.
pub(crate) struct Admission {
    relay: Arc<Relay>,
    entry: Entry,
    recipients: Vec<Mailbox>,
    records: Vec<LedgerRecord>,
    /// Its size is not known yet.
    arrival: ArrivalRecord,
    body: Result<Box<dyn ContentWriter>, StoreError>,
    /// It reports on TLS to us: read once it is ours.
    tls_report: Option<Arriving>,
}

/// Evaluates an arrival whose header is complete. A refusal is the reply to the end of its data, and nothing of it
/// was or will be stored but the ledger's record. `trusted`: the client's recipients were taken as those of a trusted one.
pub(crate) async fn admit(
    relay: &Arc<Relay>,
    client: ClientFacts,
    trusted: bool,
    header: HeaderReady,
) -> Result<Admission, Reply> {
    // Before it is judged: what would not be taken leaves no decision behind either.
    if let Err(error) = relay.store.room() {
        relay.alert_once("room", format!("mail is deferred at the door: {error}"));
        return Err(no_room());
    }
    let live = relay.live();
    let unit = live.scopes.brought_by(client.address, trusted)?;
    let arrived_at = relay.world.now();
    let (entry, recipients) = arriving_entry(relay.world.new_id(), &live, client, unit, header, arrived_at);
    let facts = Arc::new(facts_on_arrival(&entry, recipients.clone()));
    let decided = judge_arrival(&relay.sandbox, &live.generation, &live.scopes, unit, &facts).await;
    let verdict = decided.result;
    relay.counters.decisions(&decided.records);
    let mut records = decision_records(&entry.id, decided.records, &live, relay.world.now_ms());
    let refusal = match verdict.ruling {
        Ruling::Accept => None,
        Ruling::Reject(reply) | Ruling::Defer(reply) => Some(reply),
        // H3: a failed decision defers; it never accepts.
        Ruling::Failed(failed) => {
            relay.alert_once(&format!("door {}", failed.policy), format!("mail is deferred at the door: {failed}"));
            Some(Reply::new(451, (3, 0), format!("Policy {} could not decide; try again later", failed.policy)))
        }
    };
    let entry = Entry { flagged_by: verdict.flagged_by, ..entry };
    let arrival = arrival_record(&entry, &recipients, facts.header_from.clone());
    if let Some(reply) = refusal {
        relay.counters.turned_away(&facts, &reply);
        if reply.is_permanent() && live.config.alerts.refusals {
            relay.note_refusal(senders_of(&facts.header_from, facts.envelope_sender.as_ref()), &verdict.reasons);
        }
        let event = LedgerEvent::TurnedAway { arrival, reply: reply.clone(), reasons: verdict.reasons };
        records.push(LedgerRecord { at_ms: relay.world.now_ms(), message: entry.id, event });
        if let Err(error) = relay.store.append(records).await {
            relay.alert_once("append", format!("a refusal could not be written to the ledger: {error}"));
        }
        return Err(reply);
    }
    let body = Ok(relay.store.begin_content());
    let tls_report = relay.tls_reports_received.arriving(&live.config, &recipients, &facts.fields, &entry.header);
    let arrival = ArrivalRecord { noted: verdict.reasons, ..arrival };
    Ok(Admission { relay: Arc::clone(relay), entry, recipients, records, arrival, body, tls_report })
}

/// RFC 5321 section 4.2.2; the client comes again.
fn no_room() -> Reply {
    Reply::new(452, (3, 1), "Insufficient storage; try again later")
}

impl Admission {
    /// Takes a piece of the body. A store that fails is told of at the end of the data.
    pub(crate) async fn write(&mut self, octets: Vec<u8>) {
        if let Some(report) = &mut self.tls_report {
            report.take(&octets);
        }
        if let Ok(body) = &mut self.body
            && let Err(error) = body.write(octets).await
        {
            self.body = Err(error);
        }
    }

    /// The SMTP machine refuses it after all (size, loop, bare CR or LF): nothing of it is kept.
    pub(crate) fn turn_away(self, reply: Reply) {
        let Admission { relay, entry, mut records, arrival, .. } = self;
        let event = LedgerEvent::TurnedAway { arrival, reply, reasons: Vec::new() };
        records.push(LedgerRecord { at_ms: relay.world.now_ms(), message: entry.id, event });
        relay.append(records);
    }

    /// The client gave it up: nothing of it is kept but what was decided on it (H8).
    pub(crate) fn give_up(self) {
        self.relay.append(self.records);
    }

    /// Ends the body and queues the entry. 250 only after it is durable (H1).
    pub(crate) async fn finish(self, size: u64, eight_bit: bool) -> Reply {
        let Admission { relay, mut entry, recipients, mut records, arrival, body, tls_report } = self;
        (entry.size, entry.eight_bit) = (size, eight_bit);
        let id = entry.id.clone();
        let secured = entry.client.as_ref().is_some_and(|client| client.channel.handshake.is_some());
        let senders = senders_of(&arrival.header_from, entry.envelope_sender.as_ref()).to_vec();
        records.push(LedgerRecord {
            at_ms: relay.world.now_ms(),
            message: id.clone(),
            event: LedgerEvent::Accepted(ArrivalRecord { size: Some(size), ..arrival }),
        });
        let room = relay.fresh.room(size).await;
        let lease_until = room.as_ref().map(|_| relay.world.now() + LEASE_SECS);
        let queue = async {
            let content = body?.finish().await?;
            relay.store.commit_claimed(NewEntry { entry, recipients, content, records }, lease_until).await
        };
        match queue.await {
            Ok(claim) => {
                relay.counters.accepted(&senders, secured);
                if let Some(report) = tls_report {
                    tokio::spawn(report.read(Arc::clone(&relay), id.clone()));
                }
                if let (Some(claim), Some(lease_ends), Some(room)) = (claim, lease_until, room) {
                    relay.fresh.hand_over(claim, lease_ends, room).await;
                }
                Reply::new(250, (0, 0), format!("Queued as {id}"))
            }
            Err(error) => {
                relay.alert_once("queue", format!("mail is deferred at the door, it cannot be queued: {error}"));
                match error {
                    StoreError::Full(_) | StoreError::Low(_) => no_room(),
                    _ => Reply::new(451, (3, 0), "The message could not be stored; try again later"),
                }
            }
        }
    }
}

/// One round of an entry: plans every due recipient, delivers attempt by attempt side by side, and settles each as it
/// ends. The generation is taken once (H4). `place` goes to the attempt that it is for; the others wait for their own.
pub(crate) async fn attempt(relay: &Arc<Relay>, claim: Claim, place: Place) {
    let live = relay.live();
    let now = relay.world.now();
    let everybody = claim.recipients.iter().map(|r| r.mailbox.clone()).collect();
    let message = Arc::new(facts_of_entry(&claim.entry, everybody));
    let due: Vec<_> = claim.recipients.iter().filter(|recipient| recipient.is_due(now)).collect();
    let round = Round::new(relay, &live, &claim, &message, due.len());
    let mut planned = Vec::new();
    for recipient in due {
        // A held recipient is due when its hold ends or it expires; sooner only where it was held during a round.
        if recipient.is_held() {
            round.end_by_time(recipient, now).await;
            continue;
        }
        match round.plan(recipient).await {
            Ok(recipient) => planned.push(recipient),
            Err(failed) => {
                let ended = Ended { outcome: Outcome::FailedDecision(failed), ..Ended::unplanned(recipient) };
                round.settle(vec![ended]).await;
            }
        }
    }
    let attempts = stream::iter(with_place(group(planned), place));
    attempts.for_each_concurrent(ATTEMPTS_AT_ONCE, |(attempt, place)| round.deliver(attempt, place)).await;
    round.release().await;
}

/// Reports what has expired while it waited for its turn, without one more attempt.
pub(crate) async fn give_up(relay: &Arc<Relay>, claim: Claim) {
    let live = relay.live();
    let now = relay.world.now();
    let message = Arc::new(facts_of_entry(&claim.entry, Vec::new()));
    let due: Vec<_> = claim.recipients.iter().filter(|recipient| recipient.is_due(now)).collect();
    let round = Round::new(relay, &live, &claim, &message, due.len());
    for recipient in due {
        round.end_by_time(recipient, now).await;
    }
    round.release().await;
}

impl Round<'_> {
    /// The whole chain plans one recipient: by the route its cascade has reached, else by its own, and once more for a
    /// route that a policy takes instead.
    async fn plan(&self, recipient: &QueuedRecipient) -> Called<PlannedRecipient> {
        let reached = recipient.progress.route();
        let route = match reached {
            None => self.live.config.routes.for_recipient(&recipient.mailbox),
            Some(name) => self.live.config.routes.by_name(name).ok_or_else(|| gone(name))?,
        };
        let scopes = self.scopes(&recipient.mailbox);
        let mut plan = self.plan_by(recipient, &scopes, route).await?;
        let mut route = route;
        // A fallback's plan is a second plan: routes and fallbacks that it names are ignored, the cascade goes on.
        if let (None, Some(name)) = (reached, plan.take_route.clone()) {
            route = self.live.config.routes.by_name(&name).ok_or_else(|| gone(&name))?;
            plan = plan.with_second(self.plan_by(recipient, &scopes, route).await?);
        }
        let mut floor = plan.floor;
        if reached.is_some() && recipient.progress.must_stay_secure() {
            // Mail that needed TLS and did not find it takes no fallback in clear, whoever named the route.
            floor = floor.raised(Demand::Tls, Source::Route(route.name().to_owned()));
        }
        Ok(PlannedRecipient {
            index: recipient.index,
            mailbox: recipient.mailbox.clone(),
            next_hop: route.next_hop(&recipient.mailbox),
            floor,
            fallback: plan.fallback,
            reasons: plan.reasons,
            settings: scopes.iter().map(|scope| scope.chain.0).collect(),
        })
    }

    async fn plan_by(&self, recipient: &QueuedRecipient, scopes: &[Scope], route: &Route) -> Called<Plan> {
        let destination = DestinationFacts {
            recipient: recipient.mailbox.clone(),
            recipient_is_ours: self.live.config.hosted_domains.contains(&recipient.mailbox.domain),
            route_kind: route.kind(),
            route_name: route.name().to_owned(),
            route_demands: route.demand_words(),
            round: recipient.progress.rounds.saturating_add(1),
        };
        let (sandbox, now) = (&self.relay.sandbox, self.relay.world.now());
        let asked: Vec<_> = scopes.iter().map(|scope| scope.asks(self.message)).collect();
        let decided = sandbox.plan(&self.live.generation, &asked, Arc::new(destination), now).await;
        self.record(decided.records);
        let entry = &self.claim.entry;
        let standing = Standing {
            route: Some((route.name(), route.demands())),
            flags: &entry.flagged_by,
            report_of_tls: entry.report_of_tls,
            require_tls: entry.required_tls(),
        };
        join_plans(&standing, decided.result)
    }

    async fn deliver(&self, attempt: Attempt, place: Option<Place>) {
        let place = if place.is_some() { place } else { self.place(&attempt).await };
        let Some(place) = place else { return };
        let began_ms = self.relay.world.now_ms();
        let Delivered { outcomes, decisions } =
            deliver(self.relay, self.live, self.claim, self.message, &attempt, &place).await;
        drop(place);
        self.record(decisions);
        let took_ms = self.relay.world.now_ms().saturating_sub(began_ms);
        let mut ended = Vec::new();
        for (index, outcome) in outcomes {
            let planned = attempt.recipients.iter().find(|r| r.index == index);
            let recipient = self.claim.recipients.iter().find(|r| r.index == index);
            let (Some(planned), Some(recipient)) = (planned, recipient) else { continue };
            ended.push(Ended {
                recipient,
                outcome,
                fallback: attempt.fallback.clone(),
                reasons: planned.reasons.clone(),
                route: attempt.next_hop.route.clone(),
                floor: attempt.floor.demands().cloned().collect(),
                took_ms,
            });
        }
        self.settle(ended).await;
    }

    /// Settles what an attempt gave, and tells the sender of what failed, in one transaction.
    async fn settle(&self, ended: Vec<Ended<'_>>) {
        let schedule = &self.live.config.schedule;
        let world = &self.relay.world;
        let timing = Timing { arrived_at: self.claim.entry.arrived_at, now: world.now(), jitter: world.jitter() };
        let entry = &self.claim.entry;
        let (mut recipients, mut tell, mut records) = (Vec::new(), Vec::new(), Vec::new());
        for end in ended {
            let before = end.recipient;
            let round = RoundResult { outcome: &end.outcome, fallback: &end.fallback, reasons: &end.reasons };
            let settlement = settle(&before.progress, round, timing, schedule);
            self.relay.counters.outcome(&before.mailbox, &end.outcome);
            records.push(self.attempted(&end, &settlement));
            let mut after = before.clone();
            match settlement {
                Settlement::Delivered => {
                    after.status = RecipientStatus::Delivered;
                    // RFC 3461 §5.2.2: a host that offers DSN tells the sender itself.
                    if let Outcome::Delivered(delivery) = end.outcome
                        && !delivery.dsn
                        && entry.dsn.wants(before.index, Event::Success)
                    {
                        tell.push(told(before, Action::Relayed(Box::new(delivery))));
                    }
                }
                Settlement::RetryAt { at, mut progress } => {
                    self.alert_if_failing(before, &progress, timing.now);
                    if let Some(delay) = delay(&progress, round, timing, schedule) {
                        progress.delay_told = true;
                        tell.push(told(before, Action::Delayed(delay)));
                    }
                    (after.due_at, after.progress) = (at, progress);
                }
                Settlement::Held { expires_at, progress } => {
                    after.status = RecipientStatus::Held;
                    (after.due_at, after.progress) = (expires_at, progress);
                }
                Settlement::Failed { failure } => {
                    after.status = RecipientStatus::Reported;
                    tell.push(told(before, Action::Failed(failure)));
                }
            }
            recipients.push(after);
        }
        #[cfg(test)]
        crate::simulation::planted::told(&mut tell);
        self.write(recipients, tell, records).await;
    }
}

/// The round's place is for the first attempt that goes to its hop, which begins at once. Where none does, it is given back
/// before any waits.
fn with_place(mut attempts: Vec<Attempt>, place: Place) -> Vec<(Attempt, Option<Place>)> {
    let first = attempts.iter().position(|attempt| place.is_of(&attempt.next_hop));
    let first = first.map(|at| (attempts.remove(at), Some(place)));
    first.into_iter().chain(attempts.into_iter().map(|attempt| (attempt, None))).collect()
}

/// Tells the sender of what failed, is late or was handed on: one more entry, from `<>`, of this id.
pub(crate) fn report(
    relay: &Relay,
    live: &Live,
    id: &str,
    entry: &Entry,
    recipients: &[Recipient],
    records: &mut Vec<LedgerRecord>,
) -> Vec<NewEntry> {
    if recipients.is_empty() {
        return Vec::new();
    }
    let request = ReportRequest {
        reporting_host: live.config.hostname.as_str(),
        postmaster: &Mailbox::new("postmaster", live.config.hostname.clone()),
        entry,
        recipients,
        id,
        generation: live.generation.number(),
        now: relay.world.now(),
        boundary: &relay.world.new_id(),
    };
    let message = sealwire_core::report::report(&request);
    let record = |event| LedgerRecord { at_ms: relay.world.now_ms(), message: entry.id.clone(), event };
    records.extend(sealwire_core::report::events(entry, recipients, message.as_ref()).into_iter().map(record));
    let queued = |m: ReportMessage| NewEntry {
        entry: m.entry,
        recipients: vec![m.recipient],
        content: Content::from(m.body),
        records: Vec::new(),
    };
    message.into_iter().map(queued).collect()
}
