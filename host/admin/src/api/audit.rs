//! The audit log: read, and walked along. Nothing here changes it.

use axum::Json;
use axum::extract::{Query, State as Extract};
use sealwire_core::audit::{AuditLine, Head, Verified};
use sealwire_store::AuditQuery;
use serde::Deserialize;

use super::{Answer, State};
use crate::error::ApiError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Told {
    /// `NUMBER:HASH`, kept elsewhere.
    head: Option<String>,
}

pub(super) async fn read(Extract(state): Extract<State>, Query(asked): Query<AuditQuery>) -> Answer<Vec<AuditLine>> {
    Ok(Json(state.relay.store().audit_log(asked).await?))
}

pub(super) async fn anchor(Extract(state): Extract<State>) -> Answer<Head> {
    Ok(Json(state.relay.store().audit_anchor().await?))
}

pub(super) async fn verify(Extract(state): Extract<State>, Query(Told { head }): Query<Told>) -> Answer<Verified> {
    let head = head.map(|head| head.parse::<Head>()).transpose().map_err(ApiError::bad_request)?;
    Ok(Json(state.relay.store().audit_verify(head).await?))
}
