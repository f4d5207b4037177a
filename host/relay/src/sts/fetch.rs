//! Fetches a policy over HTTPS (RFC 8461 §3.3): the web's PKI, no redirects, a limit on octets and on time.

use std::fmt;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use sealwire_core::address::Domain;
use sealwire_core::sts::{POLICY_OCTETS_MAX, PolicyFault, StsPolicy};
use tokio::time::timeout;

use crate::https::{AGENT, Answered, Web, WebFault};
use crate::live::Live;
use crate::relay::Relay;

/// For one fetch, look-up and handshake included (§3.3 suggests a minute).
const FETCH_TIME: Duration = Duration::from_secs(60);

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

impl From<WebFault> for FetchFault {
    fn from(fault: WebFault) -> FetchFault {
        match fault {
            WebFault::WebPki(why) => FetchFault::WebPki(why),
            WebFault::Failed(why) => FetchFault::Fetch(why),
        }
    }
}

/// With what a policy is fetched.
pub(crate) struct Fetching<'a> {
    pub(crate) web: Web<'a>,
    /// 443 but in tests.
    pub(crate) port: u16,
}

impl<'a> Fetching<'a> {
    /// With what this relay has.
    pub(crate) fn of(relay: &'a Relay, live: &'a Live) -> Fetching<'a> {
        Fetching { web: Web::of(relay, live), port: live.config.mta_sts.port }
    }

    /// The policy of this domain as it stands now.
    pub(crate) async fn fetch(&self, domain: &Domain) -> Result<StsPolicy, FetchFault> {
        let late = || Err(FetchFault::Fetch("it took too long".into()));
        timeout(FETCH_TIME, self.fetch_at_leisure(domain)).await.unwrap_or_else(|_| late())
    }

    async fn fetch_at_leisure(&self, domain: &Domain) -> Result<StsPolicy, FetchFault> {
        let host = format!("mta-sts.{domain}");
        let request = Request::get("/.well-known/mta-sts.txt")
            .header(HOST, &host)
            .header(USER_AGENT, AGENT)
            .body(Empty::<Bytes>::new())
            .map_err(|error| FetchFault::Fetch(error.to_string()))?;
        let Answered { response, driver: _driver } = self.web.ask(&host, self.port, request).await?;
        read(response).await
    }
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use sealwire_core::dane::Tlsa;
    use tokio::time::Instant;

    use super::*;
    use crate::dns::{Addresses, Answer, Lookup, Resolver};
    use crate::tls::{Connector, Roots};
    use crate::world::{Connecting, World};

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
            let fetching = Fetching { web: Web { world: &silent, resolver: &silent, tls: &tls }, port: 443 };
            let began = Instant::now();
            let fetched = fetching.fetch(&Domain::parse("d.test").expect("a domain")).await;
            assert!(matches!(fetched, Err(FetchFault::Fetch(_))), "{addresses}: {fetched:?}");
            assert_eq!(began.elapsed().as_secs(), expected, "{addresses} addresses");
        }
    }
}
