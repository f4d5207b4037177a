//! What settings would have done, as a job: begun with the document, looked at while it goes on, stopped.

use axum::Json;
use axum::extract::{Path, Query, State as Extract};
use sealwire_relay::Change;
use sealwire_relay::preview::{Found, Refused, Span};

use super::{Answer, State};
use crate::error::ApiError;

pub(super) async fn begin(Extract(state): Extract<State>, Query(span): Query<Span>, document: String) -> Answer<Found> {
    let begun = state.relay.begin_preview(Change::Document(document), span).await;
    begun.map(Json).map_err(|refused| match refused {
        Refused::Change(error) => error.into(),
        Refused::Asked(why) => ApiError::bad_request(why),
        Refused::Running(id) => ApiError::conflict(format!(
            "another preview runs, of number {id}: wait for its end, or stop it with DELETE /v1/settings/preview/{id}"
        )),
    })
}

pub(super) async fn show(Extract(state): Extract<State>, Path(id): Path<u64>) -> Answer<Found> {
    state.relay.preview(id).map(Json).ok_or_else(|| gone(id))
}

pub(super) async fn cancel(Extract(state): Extract<State>, Path(id): Path<u64>) -> Answer<Found> {
    state.relay.cancel_preview(id).map(Json).ok_or_else(|| gone(id))
}

fn gone(id: u64) -> ApiError {
    ApiError::not_found(format!("there is no preview {id}; the newest alone is kept, until the relay stops"))
}
