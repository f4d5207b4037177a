//! HTTPS to a stranger's web server: found by its name, verified by the web's PKI, one request, redirects not followed.
//!
//! Whoever asks brings a deadline, and reads no more of the answer than he has use for.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use sealwire_core::tlsrpt::Url;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::dns::Resolver;
use crate::live::Live;
use crate::relay::Relay;
use crate::world::World;

/// What we call ourselves.
pub(crate) const AGENT: &str = concat!("sealwire/", env!("CARGO_PKG_VERSION"));

/// For what is posted.
const POST_TIME: Duration = Duration::from_secs(60);
/// For the way to one address.
const CONNECT_TIME: Duration = Duration::from_secs(15);
/// Addresses of a host that are tried.
const ADDRESSES_MAX: usize = 4;

/// With what web servers are asked.
#[derive(Clone, Copy)]
pub(crate) struct Web<'a> {
    pub(crate) world: &'a dyn World,
    pub(crate) resolver: &'a dyn Resolver,
    /// Verifies chain and name.
    pub(crate) tls: &'a TlsConnector,
}

/// An answer whose body may be read.
pub(crate) struct Answered {
    pub(crate) response: Response<Incoming>,
    /// The connection ends with it, whichever way it is left.
    pub(crate) driver: JoinSet<Result<(), hyper::Error>>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WebFault {
    /// The host's certificate will not do.
    WebPki(String),
    /// Anything else.
    Failed(String),
}

impl fmt::Display for WebFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WebFault::WebPki(why) => write!(f, "the certificate of its host is not good: {why}"),
            WebFault::Failed(why) => f.write_str(why),
        }
    }
}

impl<'a> Web<'a> {
    /// With what this relay has.
    pub(crate) fn of(relay: &'a Relay, live: &'a Live) -> Web<'a> {
        Web { world: &*relay.world, resolver: &*live.resolver, tls: live.web() }
    }

    /// Posts octets of this type; the answer's status, or why there is none. Look-up and handshake included it takes a minute at
    /// most.
    pub(crate) async fn post(&self, url: &Url, kind: &str, body: Bytes) -> Result<StatusCode, String> {
        let host = if url.port == 443 { url.host.to_string() } else { format!("{}:{}", url.host, url.port) };
        let request = Request::post(&url.path)
            .header(HOST, host)
            .header(USER_AGENT, AGENT)
            .header(CONTENT_TYPE, kind)
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        let asked = timeout(POST_TIME, self.ask(url.host.as_str(), url.port, request)).await;
        let answered = asked.map_err(|_| format!("no answer within {} s", POST_TIME.as_secs()))?;
        Ok(answered.map_err(|fault| fault.to_string())?.response.status())
    }

    /// Asks the host of this name at this port. A handshake that fails is the host's answer; another address is tried only where
    /// there was no connection.
    pub(crate) async fn ask<B>(&self, host: &str, port: u16, request: Request<B>) -> Result<Answered, WebFault>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let fault = |why: &dyn fmt::Display| WebFault::Failed(why.to_string());
        let name = ServerName::try_from(host.to_owned()).map_err(|error| fault(&error))?;
        let found = self.resolver.addresses(host).await.map_err(|error| fault(&error))?.answer.found;
        let mut last = WebFault::Failed(format!("{host} has no address"));
        for address in found.into_iter().take(ADDRESSES_MAX) {
            let address = SocketAddr::new(address, port);
            let socket = match timeout(CONNECT_TIME, self.world.connect(address)).await {
                Ok(Ok(socket)) => socket,
                Ok(Err(error)) => {
                    last = WebFault::Failed(format!("connection to {address} failed: {error}"));
                    continue;
                }
                Err(_) => {
                    last = WebFault::Failed(format!("connection to {address} timed out"));
                    continue;
                }
            };
            let stream = self.tls.connect(name, socket).await.map_err(|error| of_handshake(&error))?;
            return send(TokioIo::new(stream), request).await;
        }
        Err(last)
    }
}

async fn send<B>(
    io: impl hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    request: Request<B>,
) -> Result<Answered, WebFault>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let fault = |error: hyper::Error| WebFault::Failed(format!("the web server did not answer as one: {error}"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.map_err(fault)?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = sender.send_request(request).await.map_err(fault)?;
    Ok(Answered { response, driver })
}

fn of_handshake(error: &io::Error) -> WebFault {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => WebFault::WebPki(format!("{why:?}")),
        _ => WebFault::Failed(format!("the TLS handshake failed: {error}")),
    }
}
