//! The queue: list, show, retry, remove.

use std::time::SystemTime;

use axum::Json;
use axum::extract::{ConnectInfo, Path, Query, State as Extract};
use sealwire_store::{QueueFilter, QueueItem, Retry};
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

/// How many recipients were moved.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Retried {
    /// Recipients due at once.
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
    let recipients = state.relay.retry(which, peer.name()).await?;
    Ok(Json(Retried { recipients }))
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
