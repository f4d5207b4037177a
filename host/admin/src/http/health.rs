//! Beside the endpoints: `/healthz`, `/readyz`, `/metrics`, for those who watch the relay.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sealwire_store::Known;
use serde_json::json;
use tokio::sync::Mutex;

use super::problem::{Problem, allowed};
use super::serve::{identify, limit};
use super::{Api, Peer, instant, now};
use crate::access::{Caller, Role};

/// In the store: whatever it may be, it can be written.
const KIND: &str = "readiness";
/// Whoever asks more often gets the same answer: each answer is a write.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// The store's answer takes no longer while it is of any use.
const STORE_WITHIN: Duration = Duration::from_secs(10);
/// Prometheus' text form.
const METRICS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether the relay is ready, as it was last found.
#[derive(Default)]
pub(crate) struct Readiness {
    stopping: AtomicBool,
    /// Held by whoever looks: others wait for what he finds, for each look is a write.
    found: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Readiness {
    /// It stops: whoever chooses among relays chooses another.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

pub(super) fn router(api: &Api, peer: fn(&Request) -> Option<Peer>) -> Router {
    let refuse = || std::future::ready(Problem::method_not_allowed(&allowed([&axum::http::Method::GET])));
    let metrics =
        move |State(api): State<Api>, request: Request| std::future::ready(metrics(&api, peer(&request), request));
    Router::new()
        .route("/healthz", get(healthy).fallback(refuse))
        .route("/readyz", get(ready).fallback(refuse))
        .route("/metrics", get(metrics).fallback(refuse))
        .with_state(api.clone())
}

/// The process answers; nothing else is said.
async fn healthy() -> Response {
    axum::Json(json!({ "healthy": true })).into_response()
}

async fn ready(State(api): State<Api>) -> Response {
    match readiness(&api).await {
        Ok(()) => axum::Json(json!({ "ready": true })).into_response(),
        Err(why) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
    }
}

/// Mail that comes now can be taken. A strange asker is told no more than that.
async fn readiness(api: &Api) -> Result<(), String> {
    if api.readiness.stopping.load(Ordering::Relaxed) {
        return Err("the relay is stopping".to_owned());
    }
    let mut last = api.readiness.found.lock().await;
    if let Some((_, found)) = last.as_ref().filter(|(at, _)| at.elapsed() < ASKED_AGAIN_AFTER) {
        return found.clone();
    }
    let found = find(api).await;
    *last = Some((instant(), found.clone()));
    found
}

async fn find(api: &Api) -> Result<(), String> {
    if api.relay.listeners().is_empty() {
        return Err("no listener is bound".to_owned());
    }
    if api.relay.live().generation.status().policies.is_empty() {
        return Err("no generation is live".to_owned());
    }
    api.relay.store().room().map_err(|_| "too little space is free for the store".to_owned())?;
    let known = Known { kind: KIND.to_owned(), key: KIND.to_owned(), value: "{}".to_owned(), at: now() };
    match tokio::time::timeout(STORE_WITHIN, api.relay.store().learn(vec![known])).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err("the store cannot be written".to_owned()),
        Err(_) => Err("the store does not answer".to_owned()),
    }
}

fn metrics(api: &Api, peer: Option<Peer>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let Some(peer) = peer else { return Problem::internal("who is at the other end cannot be told").into_response() };
    let is_open = api.relay.live().config.api.as_ref().is_some_and(|api| api.metrics_without_token) && peer.is_here();
    if let Err(problem) = if is_open { Ok(()) } else { may(api, &peer, &parts) } {
        return problem.into_response();
    }
    ([(header::CONTENT_TYPE, METRICS_TEXT)], api.metrics.text()).into_response()
}

fn may(api: &Api, peer: &Peer, parts: &axum::http::request::Parts) -> Result<(), Problem> {
    let caller = match identify(api, peer, parts) {
        Ok(caller) => caller,
        Err(refusal) => {
            limit(api, &Caller::nobody(peer))?;
            return Err(refusal.problem);
        }
    };
    limit(api, &caller)?;
    if caller.is_everywhere(&[Role::Auditor]) {
        return Ok(());
    }
    Err(Problem::forbidden("this needs the role owner or auditor for the root: it is about all mail"))
}
