//! The settings: the newest revision or another, all revisions, and a new one.

use axum::Json;
use axum::extract::{ConnectInfo, Query, State as Extract};
use sealwire_relay::Replaced;
use sealwire_store::Revision;
use serde::Deserialize;

use super::{Answer, State, whole};
use crate::error::ApiError;
use crate::peer::Peer;

/// Revisions listed at once.
const REVISIONS_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    revision: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct How {
    #[serde(default)]
    note: String,
    /// Read the configuration again in the same step.
    #[serde(default)]
    reload: bool,
}

pub(super) async fn show(Extract(state): Extract<State>, Query(which): Query<Which>) -> Answer<Revision> {
    let found = state.relay.store().settings(which.revision).await?;
    found.map(Json).ok_or_else(|| match which.revision {
        Some(number) => ApiError::not_found(format!("there is no revision {number} of the settings")),
        None => ApiError::not_found("no settings have been applied yet; use `sealwire settings apply FILE`"),
    })
}

pub(super) async fn revisions(Extract(state): Extract<State>) -> Answer<Vec<Revision>> {
    Ok(Json(state.relay.store().revisions(REVISIONS_MAX).await?))
}

pub(super) async fn apply(
    Extract(state): Extract<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(How { note, reload }): Query<How>,
    document: String,
) -> Answer<Replaced> {
    let relay = state.relay.clone();
    whole(async move { Ok(relay.apply_settings(document, &peer.actor(), note, reload).await?) }).await
}
