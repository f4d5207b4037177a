//! The queue: list, show, retry, hold, release, remove.

use std::time::SystemTime;

use axum::Json;
use axum::extract::{ConnectInfo, Path, Query, State as Extract};
use schemars::JsonSchema;
use sealwire_core::time::rfc3339;
use sealwire_relay::{Act, Relay};
use sealwire_store::{By, Held, NewHold, QueueFilter, QueueItem, Retried, Retry, Selection};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Answer, State, told_with_it};
use crate::error::ApiError;
use crate::peer::Peer;

/// One entry with its header.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct QueueEntry {
    /// As `list` has it.
    #[serde(flatten)]
    pub item: QueueItem,
    /// Header field lines; octets that are not UTF-8 become U+FFFD.
    pub header: String,
}

/// What to hold, and how.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldRequest {
    /// What is in the queue and meant.
    pub which: Selection,
    /// Why; must say something, in one line of at most 500 octets.
    #[schemars(
        regex(
            pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$"
        ),
        length(max = 125)
    )]
    pub reason: String,
    /// When the mail goes on, seconds since the Unix epoch; absent: at no time, and it ends at its own expiry.
    #[serde(default)]
    pub until: Option<u64>,
}

/// Octets of a reason: a line in `queue list`.
const REASON_MAX: usize = 500;

/// What goes on.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Released {
    /// Recipients whose hold has ended.
    pub recipients: u64,
}

/// What was taken out.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Removed {
    /// Id of the entry.
    pub removed: String,
}

pub(super) async fn list(Extract(state): Extract<State>, Query(filter): Query<QueueFilter>) -> Answer<Vec<QueueItem>> {
    Ok(Json(state.relay.store().list(filter).await?))
}

pub(super) async fn show(Extract(state): Extract<State>, Path(id): Path<String>) -> Answer<QueueEntry> {
    let item = state.relay.store().show(&id).await?.ok_or_else(|| unknown(&id))?;
    let header = String::from_utf8_lossy(&item.entry.header).into_owned();
    Ok(Json(QueueEntry { item, header }))
}

pub(super) async fn retry(
    Extract(state): Extract<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(which): Json<Retry>,
) -> Answer<Retried> {
    let (relay, act) = (state.relay.clone(), Act::of("queue-retry", in_words(&which)));
    let retry = |by| async move {
        let retried = relay.retry(which, by).await?;
        Ok((retried, retried.recipients > 0))
    };
    told_with_it(&state.relay, &peer, act, retry).await
}

pub(super) async fn hold(
    Extract(state): Extract<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(asked): Json<HoldRequest>,
) -> Answer<Held> {
    let act = Act::of("queue-hold", in_words(&asked.which)).noting(told(&asked));
    let relay = state.relay.clone();
    let hold = |by| async move {
        let held = hold_as(&relay, by, asked).await?;
        Ok((held, held.recipients > 0))
    };
    told_with_it(&state.relay, &peer, act, hold).await
}

async fn hold_as(relay: &Relay, by: By, asked: HoldRequest) -> Result<Held, ApiError> {
    let (which, hold) = hold_of(relay, asked).map_err(ApiError::bad_request)?;
    let id = if let Selection::Entry(id) = &which { Some(id.clone()) } else { None };
    let held = relay.store().hold(which, hold, now_ms(), by).await?;
    match id {
        Some(id) if held.recipients == 0 => Err(unknown(&id)),
        _ => Ok(held),
    }
}

/// What is to be held, and how. The error says what is wrong with the request.
pub(crate) fn hold_of(relay: &Relay, request: HoldRequest) -> Result<(Selection, NewHold), String> {
    let HoldRequest { which, reason, until } = request;
    let reason = reason.trim().to_owned();
    if reason.is_empty() || reason.len() > REASON_MAX || reason.contains(char::is_control) {
        return Err(format!("a hold needs a reason: one line of 1 to {REASON_MAX} octets"));
    }
    if until.is_some_and(|until| until <= now_ms() / 1000) {
        return Err("the hold would end before it begins; name a time to come".to_owned());
    }
    let expire_after_secs = relay.live().config.schedule.expire_after_secs;
    Ok((which, NewHold { reason, until, expire_after_secs }))
}

pub(super) async fn release(
    Extract(state): Extract<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(which): Json<Selection>,
) -> Answer<Released> {
    let (relay, act) = (state.relay.clone(), Act::of("queue-release", in_words(&which)));
    let release = |by| async move {
        let recipients = relay.store().release(which, now_ms(), by).await?;
        Ok((Released { recipients }, recipients > 0))
    };
    told_with_it(&state.relay, &peer, act, release).await
}

pub(super) async fn remove(
    Extract(state): Extract<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(id): Path<String>,
) -> Answer<Removed> {
    let (relay, act) = (state.relay.clone(), Act::of("queue-remove", format!("entry {id}")));
    let remove = |by| async move {
        match relay.store().remove(&id, now_ms(), by).await? {
            true => Ok((Removed { removed: id }, true)),
            false => Err(unknown(&id)),
        }
    };
    told_with_it(&state.relay, &peer, act, remove).await
}

/// What is meant, for the audit log: as the request had it, `all`, `entry ID`, or what is to match.
pub(crate) fn in_words(which: &impl Serialize) -> String {
    match serde_json::to_value(which).unwrap_or_default() {
        Value::String(word) => word,
        Value::Object(one) => {
            let words = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            one.iter().map(|(word, value)| format!("{word} {}", words(value))).collect()
        }
        other => other.to_string(),
    }
}

/// Why, and until when.
pub(crate) fn told(HoldRequest { reason, until, .. }: &HoldRequest) -> String {
    until.map_or_else(|| reason.clone(), |until| format!("{reason} (until {})", rfc3339(until)))
}

fn unknown(id: &str) -> ApiError {
    ApiError::not_found(not_queued(id))
}

pub(crate) fn not_queued(id: &str) -> String {
    format!("the queue holds no message {id:?}; what has left it is in the log")
}

pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_are_told_in_words() {
        let json = |text| serde_json::from_str::<Selection>(text).expect("a selection");
        let rows = [
            (r#""all""#, "all"),
            (r#"{"entry": "e1"}"#, "entry e1"),
            (
                r#"{"matching": {"domain": "b.example", "sender": "null"}}"#,
                r#"matching {"domain":"b.example","sender":"null"}"#,
            ),
        ];
        for (which, expected) in rows {
            assert_eq!(in_words(&json(which)), expected);
        }
        assert_eq!(in_words(&Retry::FailedDecisions), "failed-decisions");
    }
}
