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

#[cfg(test)]
mod tests {
    use sealwire_core::dane::Tlsa;
    use tokio::time::Instant;

    use super::*;
    use crate::dns::{Addresses, Answer, Lookup};
    use crate::tls::{Connector, Roots};
    use crate::world::Connecting;

    /// Hosts that never answer at these addresses; none: names that never answer.
    struct Silent(Vec<std::net::IpAddr>);

    impl Resolver for Silent {
        fn mx<'a>(&'a self, _: &'a Domain) -> Lookup<'a, Answer<Vec<(u16, String)>>> {
            Box::pin(std::future::pending())
        }

        fn addresses<'a>(&'a self, _: &'a str) -> Lookup<'a, Addresses> {
            Box::pin(async {
                if self.0.is_empty() {
                    std::future::pending::<()>().await;
                }
                Ok(Addresses { answer: Answer { found: self.0.clone(), secure: false }, ..Addresses::default() })
            })
        }

        fn txt<'a>(&'a self, _: &'a str) -> Lookup<'a, Answer<Vec<Vec<u8>>>> {
            Box::pin(std::future::pending())
        }

        fn tlsa<'a>(&'a self, _: &'a str) -> Lookup<'a, Answer<Vec<Tlsa>>> {
            Box::pin(std::future::pending())
        }

        fn dnssec(&self) -> String {
            "off".to_owned()
        }
    }

    impl World for Silent {
        fn since_epoch(&self) -> Duration {
            Duration::ZERO
        }

        fn roll(&self) -> u64 {
            0
        }

        fn connect(&self, _: SocketAddr) -> Connecting {
            Box::pin(std::future::pending())
        }
    }

    /// §3.3: whoever does not answer holds mail up for a minute at most, at however many addresses.
    #[tokio::test(start_paused = true)]
    async fn a_host_that_does_not_answer_is_given_up() {
        let address = |last| std::net::IpAddr::from([192, 0, 2, last]);
        let tls = Connector::new(&Roots::System).and_then(|connector| connector.web()).expect("a connector");
        for (addresses, expected) in [(0, 60), (1, 15), (2, 30), (9, 60)] {
            let silent = Silent((0..addresses).map(address).collect());
            let fetching = Fetching { world: &silent, resolver: &silent, tls: &tls, port: 443 };
            let began = Instant::now();
            let fetched = fetching.fetch(&Domain::parse("d.test").expect("a domain")).await;
            assert!(matches!(fetched, Err(FetchFault::Fetch(_))), "{addresses}: {fetched:?}");
            assert_eq!(began.elapsed().as_secs(), expected, "{addresses} addresses");
        }
    }
}
