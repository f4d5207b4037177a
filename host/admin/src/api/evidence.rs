//! Evidence for a partner, and the key that it is signed with.

use axum::extract::{ConnectInfo, Path, Query, State as Extract};
use sealwire_core::address::Domain;
use sealwire_core::evidence::{Month, Signed};
use serde::Deserialize;

use super::{Answer, State, whole};
use crate::error::ApiError;
use crate::peer::Peer;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    month: String,
}

pub(super) async fn make(
    Extract(state): Extract<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(domain): Path<String>,
    Query(Which { month }): Query<Which>,
) -> Answer<Signed> {
    let domain = Domain::parse(&domain).map_err(|_| ApiError::bad_request(format!("{domain:?} is no domain")))?;
    let month: Month = month.parse().map_err(|why: String| ApiError::bad_request(why))?;
    let relay = state.relay.clone();
    whole(async move { relay.evidence(&domain, month, &peer.actor()).await.map_err(ApiError::internal) }).await
}

pub(super) async fn key(Extract(state): Extract<State>, ConnectInfo(peer): ConnectInfo<Peer>) -> Answer<String> {
    let relay = state.relay.clone();
    whole(async move { relay.evidence_public_key(&peer.actor()).await.map_err(ApiError::internal) }).await
}
