//! Paths and what they do. Every handler asks the relay or its store and answers JSON; none decides anything.

mod log;
mod queue;
mod settings;
mod tls_reports;

use std::sync::Arc;

use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, State as Extract};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use sealwire_core::address::Mailbox;
use sealwire_relay::tls_test::TlsTest;
use sealwire_relay::{Downgrade, Relay, RelayStatus, Replaced};
use serde::Deserialize;

use crate::decide::{DecideAnswer, DecideRequest, decide};
use crate::error::ApiError;
use crate::metrics::Metrics;
use crate::peer::Peer;

pub use log::LogParameters;
pub use queue::{HoldRequest, QueueEntry, Released, Removed};

/// A settings document with a few lists of a million entries.
const DOCUMENT_MAX: usize = 1 << 30;
/// The header of a message, and what is said about it.
const REQUEST_MAX: usize = 1 << 20;

/// What every handler may ask.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) relay: Arc<Relay>,
    pub(crate) metrics: Metrics,
}

type Answer<T> = Result<Json<T>, ApiError>;

pub(crate) fn router(state: State) -> Router {
    let documents = Router::new()
        .route("/v1/settings", get(settings::show).post(settings::apply))
        .layer(DefaultBodyLimit::max(DOCUMENT_MAX));
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/queue", get(queue::list))
        .route("/v1/queue/retry", post(queue::retry))
        .route("/v1/queue/hold", post(queue::hold))
        .route("/v1/queue/release", post(queue::release))
        .route("/v1/queue/{id}", get(queue::show).delete(queue::remove))
        .route("/v1/reload", post(reload))
        .route("/v1/settings/revisions", get(settings::revisions))
        .route("/v1/log", get(log::read))
        .route("/v1/decide", post(ask))
        .route("/v1/tls-test", get(test_tls))
        .route("/v1/downgrades", get(downgrades))
        .route("/v1/downgrades/{destination}", delete(accept_downgrade))
        .route("/v1/tls-reports", get(tls_reports::list))
        .route("/v1/tls-reports/send", post(tls_reports::send))
        .route("/v1/tls-reports/domain/{domain}", get(tls_reports::show))
        .route("/metrics", get(metrics))
        .layer(DefaultBodyLimit::max(REQUEST_MAX))
        .merge(documents)
        .fallback(nothing_here)
        .with_state(state)
}

async fn status(Extract(state): Extract<State>) -> Json<RelayStatus> {
    Json(state.relay.status().await)
}

async fn reload(Extract(state): Extract<State>) -> Answer<Replaced> {
    Ok(Json(state.relay.reload().await?))
}

async fn ask(Extract(state): Extract<State>, Json(request): Json<DecideRequest>) -> Answer<DecideAnswer> {
    let live = state.relay.live();
    let answer = decide(state.relay.sandbox(), &live.generation, &live.scopes, &live.config, &request).await;
    answer.map(Json).map_err(ApiError::bad_request)
}

/// For whose mail, and by which route.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsTestParameters {
    recipient: String,
    route: Option<String>,
}

async fn test_tls(Extract(state): Extract<State>, Query(asked): Query<TlsTestParameters>) -> Answer<TlsTest> {
    let recipient = Mailbox::parse(&asked.recipient)
        .map_err(|why| ApiError::bad_request(format!("{:?} is no mailbox: {why}", asked.recipient)))?;
    let tested = state.relay.test_tls(&recipient, asked.route.as_deref()).await;
    tested.map(Json).map_err(ApiError::bad_request)
}

async fn downgrades(Extract(state): Extract<State>) -> Json<Vec<Downgrade>> {
    Json(state.relay.downgrades())
}

async fn accept_downgrade(
    Extract(state): Extract<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(destination): Path<String>,
) -> Answer<Vec<Downgrade>> {
    let accepted = state.relay.accept_downgrade(&destination, &peer.name());
    match accepted.is_empty() {
        true => Err(ApiError::not_found(format!("no host of {destination:?} gives less than it gave"))),
        false => Ok(Json(accepted)),
    }
}

async fn metrics(Extract(state): Extract<State>) -> String {
    state.metrics.text()
}

async fn nothing_here() -> ApiError {
    ApiError::not_found("there is nothing at this path")
}
