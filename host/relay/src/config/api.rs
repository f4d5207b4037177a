//! `[api]`, as meant: where the HTTP API is, and with which certificate.

use std::net::SocketAddr;

use super::meaning::value;
use super::meant::CertificateFiles;
use super::reader::{At, Faults};
use super::written::WrittenApi;

/// Requests of one caller in a minute, unless configured: a page that asks 20 times a second.
const REQUESTS_PER_MINUTE: u32 = 1200;

/// The HTTP API on a TCP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiListener {
    /// Port 0: the system chooses.
    pub address: SocketAddr,
    /// None: in clear, on loopback alone.
    pub certificate: Option<CertificateFiles>,
    /// `/metrics` is answered to this machine without a token.
    pub metrics_without_token: bool,
    /// Requests that one token, administrator or unknown address may make in a minute.
    pub requests_per_minute: u32,
}

/// None where there is no address: the API is off.
pub(super) fn of(written: WrittenApi, faults: &Faults) -> Option<ApiListener> {
    let certificate = match (&written.certificate, &written.key) {
        (Some(certificate), Some(key)) => {
            Some(CertificateFiles { certificate: certificate.value.clone(), key: key.value.clone() })
        }
        (None, None) => None,
        (Some(at), None) => {
            faults.note_at(at, "a certificate without a key; add key = \"FILE\"");
            None
        }
        (None, Some(at)) => {
            faults.note_at(at, "a key without a certificate; add certificate = \"FILE\"");
            None
        }
    };
    let address = written.address?;
    if certificate.is_none() && written.certificate.is_none() && !address.value.ip().to_canonical().is_loopback() {
        in_clear(&address, faults);
    }
    Some(ApiListener {
        address: address.value,
        certificate,
        metrics_without_token: value(written.metrics_without_token).unwrap_or(false),
        requests_per_minute: value(written.requests_per_minute)
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(REQUESTS_PER_MINUTE),
    })
}

/// Passwords and tokens never cross a network in clear.
fn in_clear(address: &At<SocketAddr>, faults: &Faults) {
    faults.note_at(
        address,
        "others than this machine reach it, so it needs TLS: add certificate = \"FILE\" and key = \"FILE\", or bind it to \
         127.0.0.1",
    );
}
