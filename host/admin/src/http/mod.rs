//! The frame around every endpoint of the HTTP API, at `/api/v1`.
//!
//! A request passes, in this order, and is refused by the first that says no:
//!
//! 1. [`rates`]: how much one caller may ask (429).
//! 2. Who asks ([`identify`], 401), and whether he may (403): [`endpoint::Access`], from the endpoint's row.
//! 3. What it accepts (406), what it brings ([`bodies`], 415, 413, 408, 503), and what that says ([`ask`], 400
//!    and 422).
//! 4. [`idempotency`]: whether it was done before.
//! 5. The handler, with the units the caller may see and move. Changes are done to their end though the client goes away.
//! 6. [`conditions`]: whether the client knows the answer (304).
//!
//! Everything that is not done is told as [`problem`] details. On the Unix socket the same endpoints are served to the relay's own user.

pub(crate) mod ask;
pub(crate) mod bodies;
pub(crate) mod conditions;
pub(crate) mod cookies;
pub(crate) mod endpoint;
mod health;
pub(crate) mod idempotency;
pub(crate) mod jobs;
mod listen;
pub(crate) mod openapi;
pub(crate) mod problem;
pub(crate) mod rates;
mod serve;
mod shape;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use axum::http::{HeaderMap, Method, Uri};
use axum::routing::{MethodFilter, MethodRouter, on};
use sealwire_relay::Relay;
use sealwire_store::StoreError;
use tokio::sync::Semaphore;

pub use listen::{Listener, NotBound};

use crate::access::admins::Admins;
use crate::access::first::First;
use crate::access::sessions::Sessions;
use crate::access::throttle::Throttle;
use crate::access::tokens::Tokens;
use crate::metrics::Metrics;
use crate::v1;
use bodies::Bodies;
use endpoint::Endpoint;
use health::Readiness;
use idempotency::Keys;
use jobs::Jobs;
use problem::{Problem, allowed};
use rates::Rates;

/// Where endpoints are.
pub(crate) const BASE: &str = "/api/v1";

/// Each takes 64 MiB for a moment.
const HASHED_AT_ONCE: usize = 2;

/// What handlers share.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

/// The one of each.
pub struct Shared {
    pub(crate) relay: Arc<Relay>,
    pub(crate) metrics: Metrics,
    pub(crate) tokens: Tokens,
    pub(crate) admins: Admins,
    pub(crate) first: First,
    pub(crate) sessions: Sessions,
    pub(crate) throttle: Throttle,
    /// Passwords hashed at a time.
    pub(crate) hashing: Semaphore,
    /// Being read, or worked on.
    pub(crate) bodies: Bodies,
    pub(crate) rates: Rates,
    pub(crate) keys: Keys,
    pub(crate) jobs: Jobs,
    pub(crate) readiness: Readiness,
}

impl std::ops::Deref for Api {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Api {
    /// Reads who may ask from the relay's store.
    pub async fn of(relay: Arc<Relay>, metrics: Metrics) -> Result<Api, StoreError> {
        let tokens = Tokens::of_store(Arc::clone(relay.store()), now()).await?;
        let admins = Admins::of_store(Arc::clone(relay.store())).await?;
        let shared = Shared {
            relay,
            metrics,
            tokens,
            admins,
            first: First::default(),
            sessions: Sessions::default(),
            throttle: Throttle::default(),
            hashing: Semaphore::new(HASHED_AT_ONCE),
            bodies: Bodies::default(),
            rates: Rates::default(),
            keys: Keys::default(),
            jobs: Jobs::default(),
            readiness: Readiness::default(),
        };
        Ok(Api(Arc::new(shared)))
    }

    /// A code that makes the first administrator, good for an hour; None: there is an administrator.
    pub fn first_administrator_code(&self) -> Result<Option<String>, StoreError> {
        match self.admins.all().is_empty() {
            true => self.first.begin(now()).map(Some),
            false => Ok(None),
        }
    }

    /// The relay stops: `/readyz` says so from now on.
    pub fn stopping(&self) {
        self.readiness.stop();
    }
}

/// Who is at the other end, as the connection tells.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    /// A user of this machine, at the Unix socket.
    Local(String),
    /// A client of the TCP socket.
    Remote {
        /// His.
        address: IpAddr,
        /// He speaks TLS.
        is_tls: bool,
    },
}

impl Peer {
    /// It is on this machine.
    pub(crate) fn is_here(&self) -> bool {
        match self {
            Peer::Local(_) => true,
            Peer::Remote { address, .. } => address.is_loopback(),
        }
    }
}

/// All that is served to the network.
pub(crate) fn network_router(api: &Api) -> Router {
    router(api, listen::peer).merge(health::router(api, listen::peer)).fallback(nothing_here)
}

/// The endpoints. `peer` says who is at the other end of a request's connection.
pub(crate) fn router(api: &Api, peer: fn(&Request) -> Option<Peer>) -> Router {
    let mut by_path: BTreeMap<&str, Vec<Arc<Endpoint>>> = BTreeMap::new();
    for endpoint in v1::endpoints() {
        by_path.entry(endpoint.path).or_default().push(Arc::new(endpoint));
    }
    by_path.into_iter().fold(Router::new(), |router, (path, endpoints)| {
        let allow = allowed(endpoints.iter().map(|endpoint| &endpoint.method));
        let refuse = move || std::future::ready(Problem::method_not_allowed(&allow));
        let methods = endpoints.into_iter().fold(MethodRouter::new(), |methods, endpoint| {
            let (api, filter) = (api.clone(), filter(&endpoint.method));
            let serve = move |path: Result<RawPathParams, RawPathParamsRejection>, request: Request| {
                serve::serve(api.clone(), Arc::clone(&endpoint), peer, path, request)
            };
            methods.merge(on(filter, serve))
        });
        router.route(&format!("{BASE}{path}"), methods.fallback(refuse))
    })
}

/// There is nothing at a path.
async fn nothing_here(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at {}; {BASE}/openapi.json lists what there is", uri.path()))
}

fn filter(method: &Method) -> MethodFilter {
    // A method of the table is one that axum knows; the test that walks the table would not reach another.
    MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::TRACE)
}

/// Seconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A header field's value, where it is there once and is text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}

/// For buckets and keys.
pub(crate) fn instant() -> Instant {
    Instant::now()
}
