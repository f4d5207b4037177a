//! The queue: list, show, retry, hold, release, remove.

use std::time::SystemTime;

use axum::Json;
use axum::extract::{ConnectInfo, Path, Query, State as Extract};
use sealwire_store::{Held, NewHold, QueueFilter, QueueItem, Retried, Retry, Selection};
use serde::{Deserialize, Serialize};

use super::{Answer, State};
use crate::error::ApiError;
use crate::peer::Peer;

/// One entry with its header.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueueEntry {
    /// As `list` has it.
    #[serde(flatten)]
    pub item: QueueItem,
    /// Header field lines; octets that are not UTF-8 become U+FFFD.
    pub header: String,
}

/// What to hold, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldRequest {
    /// What is in the queue and meant.
    pub which: Selection,
    /// Why; must say something, in one line of at most 500 octets.
    pub reason: String,
    /// When the mail goes on, seconds since the Unix epoch; absent: at no time, and it ends at its own expiry.
    #[serde(default)]
    pub until: Option<u64>,
}

/// Octets of a reason: a line in `queue list`.
const REASON_MAX: usize = 500;

/// What goes on.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Released {
    /// Recipients whose hold has ended.
    pub recipients: u64,
}

/// What was taken out.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    Ok(Json(state.relay.retry(which, peer.name()).await?))
}

pub(super) async fn hold(
    Extract(state): Extract<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(HoldRequest { which, reason, until }): Json<HoldRequest>,
) -> Answer<Held> {
    let reason = reason.trim().to_owned();
    if reason.is_empty() || reason.len() > REASON_MAX || reason.contains(char::is_control) {
        return Err(ApiError::bad_request(format!("a hold needs a reason: one line of 1 to {REASON_MAX} octets")));
    }
    if until.is_some_and(|until| until <= now_ms() / 1000) {
        return Err(ApiError::bad_request("the hold would end before it begins; name a time to come"));
    }
    let id = if let Selection::Entry(id) = &which { Some(id.clone()) } else { None };
    let expire_after_secs = state.relay.live().config.schedule.expire_after_secs;
    let hold = NewHold { reason, until, expire_after_secs };
    let held = state.relay.store().hold(which, hold, now_ms(), peer.name()).await?;
    match id {
        Some(id) if held.recipients == 0 => Err(unknown(&id)),
        _ => Ok(Json(held)),
    }
}

pub(super) async fn release(
    Extract(state): Extract<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(which): Json<Selection>,
) -> Answer<Released> {
    let recipients = state.relay.store().release(which, now_ms(), peer.name()).await?;
    Ok(Json(Released { recipients }))
}

pub(super) async fn remove(
    Extract(state): Extract<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(id): Path<String>,
) -> Answer<Removed> {
    match state.relay.store().remove(&id, now_ms(), peer.name()).await? {
        true => Ok(Json(Removed { removed: id })),
        false => Err(unknown(&id)),
    }
}

fn unknown(id: &str) -> ApiError {
    ApiError::not_found(format!("the queue holds no message {id:?}; what has left it is in the log"))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
