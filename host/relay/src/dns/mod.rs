//! Names of next hops: the only place that asks the DNS.
//!
//! A failure is never an answer: "no such name" and "no records" are told apart from "could not be asked", because
//! only the first two may end a message (RFC 5321 §5.1); whatever else happens is inconclusive.

mod system;

pub use system::SystemResolver;

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;

use sealwire_core::address::Domain;

/// An answer that is on its way.
pub type Lookup<'a, T> = Pin<Box<dyn Future<Output = Result<T, DnsError>> + Send + 'a>>;

/// Asks for names. The system's resolver in service, a table in tests.
pub trait Resolver: Send + Sync + 'static {
    /// The MX records as (preference, exchange); the root `.` of a null MX is the empty text (RFC 7505). Empty where
    /// the name exists without any.
    fn mx<'a>(&'a self, domain: &'a Domain) -> Lookup<'a, Vec<(u16, String)>>;

    /// IPv6 and IPv4 addresses. Empty where the name exists without any.
    fn addresses<'a>(&'a self, host: &'a str) -> Lookup<'a, Vec<IpAddr>>;
}

/// Why a look-up gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsError {
    /// The name does not exist (NXDOMAIN).
    NoSuchName,
    /// Time-out, SERVFAIL, refused, malformed: says nothing about the name.
    Inconclusive(String),
}

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DnsError::NoSuchName => f.write_str("the name does not exist"),
            DnsError::Inconclusive(why) => write!(f, "the DNS could not be asked: {why}"),
        }
    }
}

impl std::error::Error for DnsError {}
