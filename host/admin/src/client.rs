//! The other end of the socket: one request, one connection.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::error::Refusal;

/// Speaks to one relay.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

/// Why there is no answer to be had.
#[derive(Debug)]
pub enum ClientError {
    /// Nobody answers at the socket.
    NoRelay(PathBuf, io::Error),
    /// The conversation broke.
    Broken(PathBuf, String),
    /// The relay answered, and said no.
    Refused(Refusal),
}

impl Client {
    /// For the relay at this socket; nothing is opened yet.
    pub fn new(socket: &Path) -> Client {
        Client { socket: socket.to_owned() }
    }

    /// Asks.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(Method::GET, path, Vec::new()).await
    }

    /// Tells, with a body of JSON or a document.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: Vec<u8>) -> Result<T, ClientError> {
        self.ask(Method::POST, path, body).await
    }

    /// Changes a part, with a body of JSON.
    pub async fn patch<T: DeserializeOwned>(&self, path: &str, body: Vec<u8>) -> Result<T, ClientError> {
        self.ask(Method::PATCH, path, body).await
    }

    /// Takes away.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(Method::DELETE, path, Vec::new()).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Vec<u8>) -> Result<T, ClientError> {
        let (status, body) = self.exchange(method, path, body).await?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| self.broken(error));
        }
        Err(ClientError::Refused(Refusal::read(&body)))
    }

    async fn exchange(&self, method: Method, path: &str, body: Vec<u8>) -> Result<(StatusCode, Bytes), ClientError> {
        let stream = UnixStream::connect(&self.socket).await;
        let stream = stream.map_err(|why| ClientError::NoRelay(self.socket.clone(), why))?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| self.broken(error))?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "sealwire")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| self.broken(error))?;
        let response = sender.send_request(request).await.map_err(|error| self.broken(error))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| self.broken(error))?.to_bytes();
        connection.abort();
        Ok((status, body))
    }

    fn broken(&self, error: impl fmt::Display) -> ClientError {
        ClientError::Broken(self.socket.clone(), error.to_string())
    }
}

/// `key=value` pairs behind a path, percent-encoded (RFC 3986 §2.1).
pub fn query<'a>(path: &str, pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut out = path.to_owned();
    for (index, (key, value)) in pairs.into_iter().enumerate() {
        out.push(if index == 0 { '?' } else { '&' });
        out.push_str(key);
        out.push('=');
        out.push_str(&encoded(&value));
    }
    out
}

/// One segment of a path or one value of a query, percent-encoded.
pub fn encoded(text: &str) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~".contains(&octet);
    text.bytes().fold(String::new(), |mut out, octet| {
        match plain(octet) {
            true => out.push(char::from(octet)),
            false => out.push_str(&format!("%{octet:02X}")),
        }
        out
    })
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::NoRelay(path, why) if why.kind() == io::ErrorKind::PermissionDenied => {
                write!(f, "{}: {why}; run this as the relay's own user", path.display())
            }
            ClientError::NoRelay(path, _) => {
                let path = path.display();
                write!(
                    f,
                    "no relay answers at {path}; start it with `sealwire serve`, or say which with --config or --socket"
                )
            }
            ClientError::Broken(path, why) => write!(f, "the relay at {} broke off: {why}", path.display()),
            ClientError::Refused(refusal) => {
                f.write_str(&refusal.error)?;
                refusal.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))?;
                let changed = refusal.changed.iter().flat_map(|changed| changed.told());
                changed.into_iter().try_for_each(|line| write!(f, "\n{line}"))
            }
        }
    }
}

impl std::error::Error for ClientError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_encoded() {
        let pairs = [("recipient", "a+b@c.example".to_owned()), ("note", "über & co".to_owned())];
        assert_eq!(query("/v1/log", pairs), "/v1/log?recipient=a%2Bb%40c.example&note=%C3%BCber%20%26%20co");
        assert_eq!(query("/v1/log", []), "/v1/log");
    }

    #[tokio::test]
    async fn a_relay_that_is_not_there_is_said_so() {
        let client = Client::new(Path::new("/nonexistent/socket"));
        let error = client.get::<serde_json::Value>("/v1/status").await.expect_err("nobody is there");
        assert_eq!(
            error.to_string(),
            "no relay answers at /nonexistent/socket; start it with `sealwire serve`, or say which with --config or --socket"
        );
    }
}
