//! The queue: list, show, retry, hold, release, remove, each within the caller's units.

use std::sync::Arc;

use schemars::JsonSchema;
use sealwire_core::entry::RecipientStatus;
use sealwire_core::units::Within;
use sealwire_relay::Act;
use sealwire_store::{Held, QueueFilter, QueueItem, Retried, Retry, Selection};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use super::MOVES;
use super::page::{self, linked};
use crate::api::queue::{HoldRequest, QueueEntry, Released, Removed, hold_of, in_words, not_queued, now_ms, told};
use crate::http::BASE;
use crate::http::ask::{Ask, Json, Pairs};
use crate::http::endpoint::{self, Answer, Reply};
use crate::http::jobs::{For, Job, Progress};
use crate::http::problem::Problem;

/// Which entries.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct QueueQuery {
    /// Part of a recipient's mailbox, any case.
    pub recipient: Option<String>,
    /// Part of the envelope sender, any case.
    pub sender: Option<String>,
    /// At least one recipient stands so.
    pub status: Option<RecipientStatus>,
    /// An operator holds at least one recipient.
    #[serde(default)]
    pub on_hold: Option<bool>,
    /// Only messages behind this id.
    pub after: Option<String>,
    /// At most so many; 100 unless said otherwise.
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<usize>,
}

/// Id of a message.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Id {
    /// As in the list, the log and the 250 reply.
    id: String,
}

/// What to try again.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryRequest {
    /// Of what is in the queue.
    pub which: Retry,
}

/// What to free.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// Of what operators hold.
    pub which: Selection,
}

impl Pairs for QueueQuery {}
impl Pairs for Id {}
impl endpoint::Value for QueueItem {}
impl endpoint::Value for QueueEntry {}
impl endpoint::Value for Retried {}
impl endpoint::Value for Held {}
impl endpoint::Value for Released {}
impl endpoint::Value for Removed {}

pub(super) async fn list(ask: Ask<(), QueueQuery>) -> Answer<Vec<QueueItem>> {
    let query = ask.query;
    let limit = page::limit(query.limit)?;
    let filter = QueueFilter {
        recipient: query.recipient.clone(),
        sender: query.sender.clone(),
        status: query.status,
        on_hold: query.on_hold.unwrap_or(false),
        within: some(ask.scope),
        after: query.after,
        limit,
    };
    let items = ask.api.relay.store().list(filter).await?;
    let last = items.last().filter(|_| items.len() == limit).map(|item| item.entry.id.clone());
    let word = |status: RecipientStatus| serde_json::to_value(status).ok()?.as_str().map(ToOwned::to_owned);
    let filters = [
        ("recipient", query.recipient),
        ("sender", query.sender),
        ("status", query.status.and_then(word)),
        ("on-hold", query.on_hold.map(|on| on.to_string())),
        ("limit", query.limit.map(|limit| limit.to_string())),
    ];
    let reply = Reply::new(items);
    Ok(match last {
        Some(after) => linked(reply, "/queue", &filters, &after),
        None => reply,
    })
}

pub(super) async fn show(ask: Ask<Id>) -> Answer<QueueEntry> {
    let item = found(&ask).await?;
    let header = String::from_utf8_lossy(&item.entry.header).into_owned();
    Ok(Reply::new(QueueEntry { item, header }))
}

pub(super) async fn remove(ask: Ask<Id>) -> Answer<Removed> {
    let id = found(&ask).await?.entry.id;
    let by = ask.api.relay.by(&ask.caller.actor(), Act::of("queue-remove", format!("entry {id}")));
    match ask.api.relay.store().remove(&id, now_ms(), by).await? {
        true => Ok(Reply::new(Removed { removed: id }).told_with_it(true)),
        false => Err(Problem::not_found(not_queued(&id))),
    }
}

pub(super) async fn retry(ask: Ask<(), (), Json<RetryRequest>>) -> Answer<Retried> {
    let Json(RetryRequest { which }) = ask.body;
    let act = Act::of("queue-retry", in_words(&which));
    let which = some(ask.scope).into_iter().fold(which, |which, within| Retry::Within(within, Box::new(which)));
    let by = ask.api.relay.by(&ask.caller.actor(), act.clone());
    let retried = ask.api.relay.retry(which, by).await?;
    let reply = Reply::new(retried).told(act.changing(Value::Null, json!(retried)));
    Ok(reply.told_with_it(retried.recipients > 0))
}

/// The same as a job: a long queue takes its time. The audit log tells of it before the first is moved.
pub(super) async fn begin_retry(ask: Ask<(), (), Json<RetryRequest>>) -> Answer<Job> {
    let Json(RetryRequest { which }) = ask.body;
    let act = Act::of("queue-retry-begin", in_words(&which));
    let (relay, by) = (Arc::clone(&ask.api.relay), ask.caller.name());
    let of = (by.clone(), For { roles: MOVES, units: ask.scope.clone(), begun_by: ask.caller.key() });
    let (is_told, told_first) = oneshot::channel::<()>();
    let which = some(ask.scope).into_iter().fold(which, |which, within| Retry::Within(within, Box::new(which)));
    let work = |progress: Progress, stop: watch::Receiver<bool>| async move {
        let told = |done, total, _| {
            progress.of(done, total);
            !*stop.borrow()
        };
        told_first.await.map_err(|_| "the audit log was not told of it".to_owned())?;
        let retried = relay.retry_by_lots(which, by, told).await.map_err(|error| error.to_string())?;
        serde_json::to_value(retried).map_err(|error| error.to_string())
    };
    let job = ask.api.jobs.begin_to_be_asked("queue-retry", of, 0, work)?;
    let location = format!("{BASE}/jobs/{}", job.id);
    let act = act.changing(Value::Null, json!({ "job": job.id }));
    ask.api.relay.audit(&ask.caller.actor(), act).await;
    // A job that was ended meanwhile waits no more.
    let _ = is_told.send(());
    Ok(Reply::new(job).at(&location).told_with_it(true))
}

pub(super) async fn hold(ask: Ask<(), (), Json<HoldRequest>>) -> Answer<Held> {
    let Json(request) = ask.body;
    let act = Act::of("queue-hold", in_words(&request.which)).noting(told(&request));
    let (which, hold) = hold_of(&ask.api.relay, request).map_err(Problem::unprocessable)?;
    let id = if let Selection::Entry(id) = &which { Some(id.clone()) } else { None };
    let which = of_units(ask.scope, which);
    let by = ask.api.relay.by(&ask.caller.actor(), act.clone());
    let held = ask.api.relay.store().hold(which, hold, now_ms(), by).await?;
    match id {
        Some(id) if held.recipients == 0 => Err(Problem::not_found(not_queued(&id))),
        _ => {
            let reply = Reply::new(held).told(act.changing(Value::Null, json!(held)));
            Ok(reply.told_with_it(held.recipients > 0))
        }
    }
}

pub(super) async fn release(ask: Ask<(), (), Json<ReleaseRequest>>) -> Answer<Released> {
    let Json(ReleaseRequest { which }) = ask.body;
    let act = Act::of("queue-release", in_words(&which));
    let which = of_units(ask.scope, which);
    let by = ask.api.relay.by(&ask.caller.actor(), act.clone());
    let released = Released { recipients: ask.api.relay.store().release(which, now_ms(), by).await? };
    let reply = Reply::new(released).told(act.changing(Value::Null, json!(released)));
    Ok(reply.told_with_it(released.recipients > 0))
}

/// The entry, if it is of the caller's units; another reads like one that is not there.
async fn found(ask: &Ask<Id>) -> Result<QueueItem, Problem> {
    let item = ask.api.relay.store().show(&ask.path.id).await?;
    let item = item.filter(|item| ask.scope.holds(&item.entry.unit));
    item.ok_or_else(|| Problem::not_found(not_queued(&ask.path.id)))
}

/// None: of all units, and nothing need be compared.
fn some(scope: Within) -> Option<Within> {
    Some(scope).filter(|scope| !scope.is_all())
}

fn of_units(scope: Within, which: Selection) -> Selection {
    match some(scope) {
        Some(within) => Selection::Within(within, Box::new(which)),
        None => which,
    }
}
