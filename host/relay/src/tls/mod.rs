//! TLS of the mail sockets: the acceptor of a listener, the connector of a next hop, and what a handshake proves. The HTTP API
//! takes its acceptor here too.
//!
//! The connector accepts every certificate so that opportunistic mail may travel with any (R9), checks the handshake's
//! signatures all the same, and judges chain and name afterwards, apart from each other (R4 and R5 are independent).
//! Nothing here decides whether that is enough: the floor does.

mod certificate;
mod connect;
mod dane;
mod proof;
mod revocation;
mod serve;
mod sessions;

pub use certificate::{Identity, load_certificates, load_key, read_certificate};
pub use connect::{Connector, Roots};
pub use dane::DaneCheck;
pub use proof::{cipher_suites, client_side};
pub use revocation::{RevocationList, RevocationLists};
pub use serve::{acceptor, server_side, web_acceptor};

use std::fmt;
use std::path::PathBuf;

/// Why TLS could not be set up from the configuration.
#[derive(Clone, Debug)]
pub enum TlsSetupError {
    /// A file could not be read.
    Read(PathBuf, String),
    /// A file holds no PEM block of the kind wanted.
    Empty(PathBuf, &'static str),
    /// Certificate and key do not fit, or the library refuses them.
    Unusable(String),
    /// No trusted root was found.
    NoRoots(String),
}

impl fmt::Display for TlsSetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsSetupError::Read(path, why) => write!(f, "{}: cannot be read: {why}", path.display()),
            TlsSetupError::Empty(path, what) => write!(f, "{}: holds no {what} in PEM form", path.display()),
            TlsSetupError::Unusable(why) => write!(f, "certificate and key cannot be used: {why}"),
            TlsSetupError::NoRoots(why) => {
                write!(
                    f,
                    "no trusted CA certificate was found: {why}; install ca-certificates or name a file under [tls] roots"
                )
            }
        }
    }
}

impl std::error::Error for TlsSetupError {}
