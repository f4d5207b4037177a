//! Fetches a policy over HTTPS (RFC 8461 §3.3): the web's PKI, no redirects, a limit on octets and on time.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use sealwire_core::address::Domain;
use sealwire_core::sts::{POLICY_OCTETS_MAX, PolicyFault, StsPolicy};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::dns::Resolver;
use crate::live::Live;
use crate::relay::Relay;
use crate::world::World;

/// For one fetch, look-up and handshake included (§3.3 suggests a minute), and for the way to one address.
const FETCH_TIME: Duration = Duration::from_secs(60);
const CONNECT_TIME: Duration = Duration::from_secs(15);
/// Addresses of the policy's host that are tried.
const ADDRESSES_MAX: usize = 4;

/// Why there is no policy, by RFC 8460 §4.3.2.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FetchFault {
    /// The certificate of the policy's host will not do.
    WebPki(String),
    /// It could not be had.
    Fetch(String),
    /// It was had, and is none.
    Policy(PolicyFault),
}

impl FetchFault {
    /// The result type.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            FetchFault::WebPki(_) => "sts-webpki-invalid",
            FetchFault::Fetch(_) => "sts-policy-fetch-error",
            FetchFault::Policy(_) => "sts-policy-invalid",
        }
    }
}

impl fmt::Display for FetchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FetchFault::WebPki(why) => write!(f, "the certificate of its host is not good: {why}"),
            FetchFault::Fetch(why) => write!(f, "it could not be fetched: {why}"),
            FetchFault::Policy(fault) => write!(f, "it is not valid: {fault}"),
        }
    }
}

/// With what a policy is fetched.
pub(crate) struct Fetching<'a> {
    pub(crate) world: &'a dyn World,
    pub(crate) resolver: &'a dyn Resolver,
    /// Verifies chain and name.
    pub(crate) tls: &'a TlsConnector,
    /// 443 but in tests.
    pub(crate) port: u16,
}

impl<'a> Fetching<'a> {
    /// With what this relay has.
    pub(crate) fn of(relay: &'a Relay, live: &'a Live) -> Fetching<'a> {
        Fetching { world: &*relay.world, resolver: &*live.resolver, tls: live.web(), port: live.config.mta_sts.port }
    }

    /// The policy of this domain as it stands now.
    pub(crate) async fn fetch(&self, domain: &Domain) -> Result<StsPolicy, FetchFault> {
        let late = || Err(FetchFault::Fetch("it took too long".into()));
        timeout(FETCH_TIME, self.fetch_at_leisure(domain)).await.unwrap_or_else(|_| late())
    }

    async fn fetch_at_leisure(&self, domain: &Domain) -> Result<StsPolicy, FetchFault> {
        let fault = |why: &dyn fmt::Display| FetchFault::Fetch(why.to_string());
        let host = format!("mta-sts.{domain}");
        let name = ServerName::try_from(host.clone()).map_err(|error| fault(&error))?;
        let found = self.resolver.addresses(&host).await.map_err(|error| fault(&error))?.answer.found;
        let mut last = FetchFault::Fetch(format!("{host} has no address"));
        for address in found.into_iter().take(ADDRESSES_MAX) {
            let address = SocketAddr::new(address, self.port);
            let socket = match timeout(CONNECT_TIME, self.world.connect(address)).await {
                Ok(Ok(socket)) => socket,
                Ok(Err(error)) => {
                    last = FetchFault::Fetch(format!("connection to {address} failed: {error}"));
                    continue;
                }
                Err(_) => {
                    last = FetchFault::Fetch(format!("connection to {address} timed out"));
                    continue;
                }
            };
            let stream = self.tls.connect(name.clone(), socket).await.map_err(|error| of_handshake(&error))?;
            return ask(TokioIo::new(stream), &host).await;
        }
        Err(last)
    }
}

async fn ask(
    io: impl hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    host: &str,
) -> Result<StsPolicy, FetchFault> {
    let fault = |error: hyper::Error| FetchFault::Fetch(format!("the web server did not answer as one: {error}"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.map_err(fault)?;
    // Ends with this function, whichever way it is left.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let request = Request::get("/.well-known/mta-sts.txt")
        .header(HOST, host)
        .header(USER_AGENT, concat!("sealwire/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|error| FetchFault::Fetch(error.to_string()))?;
    read(sender.send_request(request).await.map_err(fault)?).await
}

async fn read(response: Response<Incoming>) -> Result<StsPolicy, FetchFault> {
    // §3.3: redirects are not followed, and nothing but 200 has a policy.
    if response.status() != StatusCode::OK {
        return Err(FetchFault::Fetch(format!("the web server answered {}", response.status())));
    }
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("nothing");
    // §3.2: text/plain; its parameters say nothing that matters.
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/plain") {
        return Err(FetchFault::Fetch(format!("the web server answered with {kind:?} and not with text/plain")));
    }
    let body = Limited::new(response.into_body(), POLICY_OCTETS_MAX).collect().await;
    let octets = body.map_err(|error| FetchFault::Fetch(error.to_string()))?.to_bytes();
    StsPolicy::parse(&octets).map_err(FetchFault::Policy)
}

fn of_handshake(error: &io::Error) -> FetchFault {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => FetchFault::WebPki(format!("{why:?}")),
        _ => FetchFault::Fetch(format!("the TLS handshake failed: {error}")),
    }
}
