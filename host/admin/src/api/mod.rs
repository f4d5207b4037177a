//! Paths and what they do. Every handler asks the relay or its store and answers JSON; none decides anything.

mod audit;
mod evidence;
mod explain;
mod log;
mod preview;
pub(crate) mod queue;
mod settings;
mod tls_reports;

use std::sync::Arc;

use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, State as Extract};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use sealwire_core::address::Mailbox;
use sealwire_relay::tls_test::TlsTest;
use sealwire_relay::{Act, Downgrade, Relay, RelayStatus, Replaced};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decide::{DecideAnswer, DecideRequest, decide_live};
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
        .route("/v1/settings/edits", post(settings::edit))
        .route("/v1/settings/diff", post(settings::diff))
        .route("/v1/settings/preview", post(preview::begin))
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
        .route("/v1/settings/undo", post(settings::undo))
        .route("/v1/model", get(settings::model))
        .route("/v1/lists/{list}/entries", get(settings::entries))
        .route("/v1/settings/preview/{id}", get(preview::show).delete(preview::cancel))
        .route("/v1/log", get(log::read))
        .route("/v1/explain", get(explain::read))
        .route("/v1/audit", get(audit::read))
        .route("/v1/audit/anchor", get(audit::anchor))
        .route("/v1/audit/verify", get(audit::verify))
        .route("/v1/evidence-key", get(evidence::key))
        .route("/v1/evidence/{domain}", get(evidence::make))
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

async fn reload(Extract(state): Extract<State>, ConnectInfo(peer): ConnectInfo<Peer>) -> Answer<Replaced> {
    let relay = state.relay.clone();
    whole(async move { Ok(relay.reload(&peer.actor()).await?) }).await
}

/// Does it to its end: a client that goes away in the middle must not leave what is done and not written down, nor what is stored
/// and not in force.
async fn whole<T: Send + 'static>(work: impl Future<Output = Result<T, ApiError>> + Send + 'static) -> Answer<T> {
    tokio::spawn(work).await.map_err(|error| ApiError::internal(error.to_string()))?.map(Json)
}

/// The same, and the audit log tells of it: of what was answered, or why it was refused.
async fn audited<T: Serialize + Send + 'static>(
    relay: &Arc<Relay>,
    peer: &Peer,
    act: Act,
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Answer<T> {
    let (relay, actor) = (Arc::clone(relay), peer.actor());
    let write_down = async move {
        let result = work.await;
        let act = match &result {
            Ok(value) => act.changing(Value::Null, serde_json::to_value(value).unwrap_or_default()),
            Err(error) => act.refused(error.reason()),
        };
        relay.audit(&actor, act).await;
        result
    };
    whole(write_down).await
}

async fn ask(Extract(state): Extract<State>, Json(request): Json<DecideRequest>) -> Answer<DecideAnswer> {
    decide_live(&state.relay, &request).await.map(Json).map_err(ApiError::bad_request)
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
    let (relay, by, act) = (state.relay.clone(), peer.name(), Act::of("downgrade-accept", &destination));
    let accept = async move {
        let accepted = relay.accept_downgrade(&destination, &by);
        match accepted.is_empty() {
            true => Err(ApiError::not_found(format!("no host of {destination:?} gives less than it gave"))),
            false => Ok(accepted),
        }
    };
    audited(&state.relay, &peer, act, accept).await
}

async fn metrics(Extract(state): Extract<State>) -> String {
    state.metrics.text()
}

async fn nothing_here() -> ApiError {
    ApiError::not_found("there is nothing at this path")
}
