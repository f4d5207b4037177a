//! Why a message met the end it met.

use axum::Json;
use axum::extract::{Query, State as Extract};
use serde::Deserialize;

use super::{Answer, State};
use crate::error::ApiError;
use crate::explain::{ExplainedMessage, explained};

/// Which message, and whose copy.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExplainParameters {
    message: String,
    recipient: Option<String>,
}

pub(super) async fn read(
    Extract(state): Extract<State>,
    Query(asked): Query<ExplainParameters>,
) -> Answer<ExplainedMessage> {
    let message = asked.message;
    let found = explained(&state.relay, &message, asked.recipient.as_deref(), None).await?;
    let nothing =
        || ApiError::not_found(format!("the ledger has nothing of message {message:?}; `sealwire log` has the ids"));
    found.map(Json).ok_or_else(nothing)
}
