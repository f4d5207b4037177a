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

use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, Request, State as Extract};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use hyper::body::Body as _;
use sealwire_core::address::Mailbox;
use sealwire_relay::tls_test::TlsTest;
use sealwire_relay::{Act, Downgrade, Relay, RelayStatus, Replaced};
use sealwire_store::By;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decide::{DecideAnswer, DecideRequest, decide_live};
use crate::error::ApiError;
use crate::http::Api;
use crate::http::bodies::{DOCUMENT_MAX, Kept, REQUEST_MAX};
use crate::metrics::Metrics;
use crate::peer::Peer;

pub use log::LogParameters;
pub use queue::{HoldRequest, QueueEntry, Released, Removed};

/// What every handler may ask.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) relay: Arc<Relay>,
    pub(crate) metrics: Metrics,
}

type Answer<T> = Result<Json<T>, ApiError>;

pub(crate) fn router(api: &Api) -> Router {
    let state = State { relay: Arc::clone(&api.relay), metrics: api.metrics.clone() };
    let documents = Router::new()
        .route("/v1/settings", get(settings::show).post(settings::apply))
        .route("/v1/settings/edits", post(settings::edit))
        .route("/v1/settings/diff", post(settings::diff))
        .route("/v1/settings/preview", post(preview::begin))
        .route_layer(from_fn_with_state((api.clone(), DOCUMENT_MAX), read_first));
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
        .route_layer(from_fn_with_state((api.clone(), REQUEST_MAX), read_first))
        .merge(documents)
        // What has arrived is bounded already.
        .layer(DefaultBodyLimit::disable())
        .fallback(nothing_here)
        .with_state(state)
}

/// Reads a body whole, within bounds; what is done with it is done to its end, and its places are taken until then.
async fn read_first(Extract((api, octets_max)): Extract<(Api, usize)>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Kept { octets, places } = match api.bodies.read(&parts.headers, body, octets_max).await {
        Ok(kept) => kept,
        Err(unread) => return ApiError::from(unread).into_response(),
    };
    let work = async move {
        let response = next.run(Request::from_parts(parts, Body::from(octets))).await;
        drop(places);
        response
    };
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|error| ApiError::internal(format!("it broke off: {error}")).into_response())
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
    told_with_it(relay, peer, act, |_| async { Ok((work.await?, false)) }).await
}

/// The same of what the store writes down itself, in the transaction of the act, by what it is given; `work` says whether it has.
async fn told_with_it<T: Serialize + Send + 'static, F>(
    relay: &Arc<Relay>,
    peer: &Peer,
    act: Act,
    work: impl FnOnce(By) -> F + Send + 'static,
) -> Answer<T>
where
    F: Future<Output = Result<(T, bool), ApiError>> + Send + 'static,
{
    let (relay, actor) = (Arc::clone(relay), peer.actor());
    let by = relay.by(&actor, act.clone());
    let write_down = async move {
        let result = work(by).await;
        let act = match &result {
            Ok((_, true)) => None,
            Ok((value, false)) => Some(act.changing(Value::Null, serde_json::to_value(value).unwrap_or_default())),
            Err(error) => Some(act.refused(error.reason())),
        };
        if let Some(act) = act {
            relay.audit(&actor, act).await;
        }
        result.map(|(value, _)| value)
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
