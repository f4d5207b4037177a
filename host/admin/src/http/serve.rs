//! One request from its first octet to its answer: the order of the checks that every endpoint has in common.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use axum::http::header::{self, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use sealwire_core::units::Within;
use sealwire_relay::Act;
use serde_json::Value;

use super::ask::{is_acceptable, media_type};
use super::bodies::{Kept, TRY_AGAIN_SECS, Unread};
use super::conditions::{is_known, tag_of};
use super::cookies;
use super::endpoint::{Access, Done, Endpoint, Raw, ToldBy};
use super::idempotency::{Asked, Turn};
use super::problem::Problem;
use super::{Api, Peer, instant, now, text};
use crate::access::{Caller, Who};

/// What a session's changes repeat.
const CSRF_TOKEN: &str = "x-csrf-token";
/// How long a request may take to be done; what takes longer is a job.
const DONE_WITHIN: Duration = Duration::from_secs(300);

pub(super) async fn serve(
    api: Api,
    endpoint: Arc<Endpoint>,
    peer: fn(&Request) -> Option<Peer>,
    path: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Response {
    let known = peer(&request);
    let (parts, body) = request.into_parts();
    let served = match known {
        Some(peer) => answer(api, &endpoint, &peer, path, &parts, body).await,
        None => Err(Problem::internal("who is at the other end cannot be told")),
    };
    match served {
        Ok(done) => respond(&endpoint, &parts, done),
        Err(problem) => problem.into_response(),
    }
}

async fn answer(
    api: Api,
    endpoint: &Arc<Endpoint>,
    peer: &Peer,
    path: Result<RawPathParams, RawPathParamsRejection>,
    parts: &Parts,
    body: Body,
) -> Result<Done, Problem> {
    let caller = match (identify(&api, peer, parts), endpoint.access) {
        (Ok(caller), _) => caller,
        // Who may be anybody need not be well known.
        (Err(_), Access::Open) => Caller::nobody(peer),
        (Err(refusal), _) => {
            limit(&api, &Caller::nobody(peer))?;
            if let Some(known) = &refusal.known {
                refused(&api, known, parts, &refusal.problem).await;
            }
            return Err(refusal.problem);
        }
    };
    limit(&api, &caller)?;
    let scope = match allowed(endpoint.access, &caller) {
        Ok(scope) => scope,
        Err(problem) => {
            refused(&api, &caller, parts, &problem).await;
            return Err(problem);
        }
    };
    if !is_acceptable(&parts.headers, endpoint.answers) {
        return Err(Problem::new(StatusCode::NOT_ACCEPTABLE, format!("answers are {} alone", endpoint.answers)));
    }
    let body = read_body(&api, endpoint, parts, body).await?;
    let path = path.map_err(|error| Problem::bad_request(format!("the path cannot be read: {error}")))?;
    let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let turn = match parts.method {
        Method::POST if caller.who != Who::Nobody => {
            let target = parts.uri.path_and_query().map_or(parts.uri.path(), |target| target.as_str());
            api.keys.begin(&parts.headers, &caller.key(), target, &body.octets, instant())?
        }
        _ => None,
    };
    let raw = Raw { api: api.clone(), caller, scope, parts: parts.clone(), path, body };
    match turn {
        Some(Turn::Again(done)) => Ok(*done),
        Some(Turn::First(asked)) => run(endpoint, raw, Some(asked)).await,
        None => run(endpoint, raw, None).await,
    }
}

/// Who asked is known, and may not: the audit log is told.
async fn refused(api: &Api, caller: &Caller, parts: &Parts, problem: &Problem) {
    let act = Act::of("refused", format!("{} {}", parts.method, parts.uri.path())).refused(problem.reason());
    api.relay.audit(&caller.actor(), act).await;
}

/// Why it is not known who asks.
pub(super) struct Refusal {
    pub(super) problem: Problem,
    /// Who says so with what was good once.
    known: Option<Box<Caller>>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal { problem, known: None }
    }
}

/// Whoever says who he is.
pub(super) fn identify(api: &Api, peer: &Peer, parts: &Parts) -> Result<Caller, Refusal> {
    let address = match peer {
        Peer::Local(name) => return Ok(Caller::operator(name.clone())),
        Peer::Remote { address, .. } => *address,
    };
    let nobody = Caller::nobody(peer);
    if !parts.headers.contains_key(header::AUTHORIZATION) {
        if let Some(secret) = cookies::session(&parts.headers, nobody.is_tls) {
            return of_session(api, secret, nobody, parts);
        }
        return Err(Problem::unauthorized("say who you are: Authorization: Bearer TOKEN").into());
    }
    // One sentence for all: what is wrong with a token is its owner's business.
    let wrong = || Problem::unauthorized("this token is not good: unknown, expired or revoked");
    let credentials =
        text(&parts.headers, "authorization").and_then(|value| value.split_once(' ')).ok_or_else(wrong)?;
    let (scheme, token) = credentials;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(wrong().into());
    }
    let token = api.tokens.of_text(token.trim()).ok_or_else(wrong)?;
    let is_good = token.is_good(now());
    let who = Who::Token { id: token.id, name: token.name };
    let caller = Caller { who, grants: token.grants, from: Some(address), ..nobody };
    if is_good { Ok(caller) } else { Err(Refusal { problem: wrong(), known: Some(Box::new(caller)) }) }
}

/// An administrator's browser. What changes something repeats what only a page of this host could read.
fn of_session(api: &Api, secret: String, nobody: Caller, parts: &Parts) -> Result<Caller, Refusal> {
    let over = || Problem::unauthorized("this session is over; log in again");
    let session = api.sessions.of_cookie(&secret, now()).ok_or_else(over)?;
    let record = api.admins.record(&session.name).ok_or_else(over)?;
    let (administrator, hash) = (record.administrator, record.hash);
    let who = Who::Admin { name: administrator.name, session: secret };
    let caller = Caller { who, grants: administrator.grants, ..nobody };
    if administrator.disabled || session.began_at < administrator.changed_at || !session.is_by(&hash) {
        return Err(Refusal { problem: over(), known: Some(Box::new(caller)) });
    }
    let is_safe = matches!(parts.method, Method::GET | Method::HEAD);
    if is_safe || text(&parts.headers, CSRF_TOKEN).is_some_and(|csrf| session.is_repeated(csrf)) {
        return Ok(caller);
    }
    let problem = Problem::forbidden(format!("a session's change needs {CSRF_TOKEN} with what the login answered"));
    Err(Refusal { problem, known: Some(Box::new(caller)) })
}

/// The relay's own user is not counted.
pub(super) fn limit(api: &Api, caller: &Caller) -> Result<(), Problem> {
    let live = api.relay.live();
    if caller.from.is_none() {
        return Ok(());
    }
    let Some(config) = &live.config.api else {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the API has been switched off".to_owned()));
    };
    api.rates.take(&caller.counted_by(), config.requests_per_minute, instant()).map_err(|wait| {
        let secs = wait.as_secs() + 1;
        let text = format!("more than {} requests in a minute; ask again in {secs} s", config.requests_per_minute);
        Problem::new(StatusCode::TOO_MANY_REQUESTS, text).with(header::RETRY_AFTER, &secs.to_string())
    })
}

/// The units in which the caller may, or why he may not.
fn allowed(access: Access, caller: &Caller) -> Result<Within, Problem> {
    match access {
        Access::Open => Ok(Within::default()),
        Access::Known => Ok(caller.everywhere()),
        Access::Units(roles) => {
            let scope = caller.scope(roles);
            if scope.units().is_empty() { Err(forbidden(roles, "a unit")) } else { Ok(scope) }
        }
        Access::Root(roles) => {
            let scope = caller.scope(roles);
            if scope.is_all() { Ok(scope) } else { Err(forbidden(roles, "the root: it is about all mail")) }
        }
    }
}

fn forbidden(roles: &[crate::access::Role], unit: &str) -> Problem {
    let names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
    let or = if names.is_empty() { String::new() } else { format!(" or {}", names.join(" or ")) };
    Problem::forbidden(format!("this needs the role owner{or} for {unit}"))
}

async fn read_body(api: &Api, endpoint: &Endpoint, parts: &Parts, body: Body) -> Result<Kept, Problem> {
    let Some(media) = endpoint.media else { return Ok(Kept { octets: Bytes::new(), places: None }) };
    if media_type(&parts.headers).as_deref() != Some(media) {
        let text = format!("the body must be {media}, and Content-Type must say so");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text).with(header::ACCEPT, media));
    }
    Ok(api.bodies.read(&parts.headers, body, endpoint.body_max).await?)
}

impl From<Unread> for Problem {
    fn from(unread: Unread) -> Problem {
        let problem = Problem::new(unread.status(), unread.sentence());
        match unread {
            Unread::NoRoom => problem.with(header::RETRY_AFTER, TRY_AGAIN_SECS),
            _ => problem,
        }
    }
}

/// A client that goes away in the middle of a change must not leave half of it.
async fn run(endpoint: &Arc<Endpoint>, raw: Raw, asked: Option<Asked>) -> Result<Done, Problem> {
    let late = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "it took too long; it may have been done all the same");
    let endpoint = Arc::clone(endpoint);
    if !endpoint.is_unsafe() {
        return tokio::time::timeout(DONE_WITHIN, endpoint.run(raw)).await.map_err(|_| late())?;
    }
    let api = raw.api.clone();
    let doing = tokio::spawn(async move {
        let (relay, actor, path) = (Arc::clone(&api.relay), raw.caller.actor(), raw.parts.uri.path().to_owned());
        // One that breaks off is told of too, and its key does not wait for it.
        let running = Arc::clone(&endpoint);
        let done = tokio::spawn(async move { running.run(raw).await }).await;
        let done = done.unwrap_or_else(|error| Err(Problem::internal(format!("it broke off: {error}"))));
        let is_told = done.as_ref().is_ok_and(|done| done.is_told);
        if endpoint.told_by == ToldBy::Frame && !is_told {
            relay.audit(&actor, act(&endpoint, path, &done)).await;
        }
        if let Some(asked) = asked {
            api.keys.ended(&asked, &done);
        }
        done
    });
    let done = tokio::time::timeout(DONE_WITHIN, doing).await.map_err(|_| late())?;
    done.map_err(|error| Problem::internal(format!("it broke off: {error}")))?
}

/// What the audit log is told.
fn act(endpoint: &Endpoint, path: String, done: &Result<Done, Problem>) -> Act {
    let plain = Act::of(&endpoint.action(), path);
    match done {
        Ok(Done { act: Some(act), .. }) => Act { action: plain.action, ..act.clone() },
        Ok(done) => plain.changing(Value::Null, serde_json::from_slice(&done.body).unwrap_or_default()),
        Err(problem) => plain.refused(problem.reason()),
    }
}

fn respond(endpoint: &Endpoint, parts: &Parts, done: Done) -> Response {
    let tag = match (endpoint.is_unsafe(), done.etag) {
        (false, None) => Some(tag_of(&done.body)),
        (_, etag) => etag,
    };
    let known = match &tag {
        Some(tag) if !endpoint.is_unsafe() => is_known(&parts.headers, tag),
        _ => Ok(false),
    };
    let mut response = match known {
        Err(problem) => return problem.into_response(),
        Ok(true) => StatusCode::NOT_MODIFIED.into_response(),
        Ok(false) if done.body.is_empty() => done.status.into_response(),
        Ok(false) => (done.status, [(header::CONTENT_TYPE, content_type(endpoint))], done.body).into_response(),
    };
    response.headers_mut().extend(done.headers);
    if let Some(tag) = tag.and_then(|tag| HeaderValue::from_str(&tag).ok()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Text is UTF-8, and says so; JSON is, and has no parameter for it (RFC 8259 §11).
fn content_type(endpoint: &Endpoint) -> String {
    match endpoint.answers.starts_with("text/") {
        true => format!("{}; charset=utf-8", endpoint.answers),
        false => endpoint.answers.to_owned(),
    }
}
