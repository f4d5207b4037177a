//! Names of next hops: the only place that asks the DNS.
//!
//! A failure is never an answer: "no such name" and "no records" are told apart from "could not be asked", because
//! only the first two may end a message (RFC 5321 §5.1); whatever else happens is inconclusive, an answer that DNSSEC
//! shows to be forged too.

mod proofs;
mod system;
mod validated;
mod watch;

pub(crate) use watch::run as watch;

pub use system::{Dns, Dnssec, SystemResolver};

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;

use sealwire_core::address::Domain;
use sealwire_core::dane::Tlsa;

/// An answer that is on its way.
pub type Lookup<'a, T> = Pin<Box<dyn Future<Output = Result<T, DnsError>> + Send + 'a>>;

/// What was found, and whether DNSSEC vouches for it, or for its absence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer<T> {
    /// Empty where the name exists without any such record.
    pub found: T,
    /// It is proven down from the root, aliases on the way included.
    pub secure: bool,
}

/// The addresses of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// IPv6 and IPv4.
    pub answer: Answer<Vec<IpAddr>>,
    /// The name that the host is an alias of (CNAME), where it is one.
    pub alias_of: Option<String>,
    /// DNSSEC vouches for the host's own records: its addresses, or that it is an alias.
    pub name_secure: bool,
    /// Why those of one family could not be asked: the host may have more than these.
    pub missed: Option<String>,
}

/// Asks for names. The system's resolver in service, a table in tests.
pub trait Resolver: Send + Sync + 'static {
    /// The MX records as (preference, exchange); the root `.` of a null MX is the empty text (RFC 7505).
    fn mx<'a>(&'a self, domain: &'a Domain) -> Lookup<'a, Answer<Vec<(u16, String)>>>;

    /// IPv6 and IPv4 addresses.
    fn addresses<'a>(&'a self, host: &'a str) -> Lookup<'a, Addresses>;

    /// The TXT records of a name, the strings of each joined (RFC 7208 §3.3).
    fn txt<'a>(&'a self, name: &'a str) -> Lookup<'a, Answer<Vec<Vec<u8>>>>;

    /// The TLSA records of a name such as `_25._tcp.mx.example`.
    fn tlsa<'a>(&'a self, name: &'a str) -> Lookup<'a, Answer<Vec<Tlsa>>>;

    /// Whether answers are proven by DNSSEC, in words for the status: `on`, or why not.
    fn dnssec(&self) -> String;

    /// Tries, where that is due, whether answers are still proven; Some, once for each loss and while it lasts: why not. None where
    /// they never were.
    fn trouble(&self) -> Pin<Box<dyn Future<Output = Option<String>> + Send + '_>> {
        Box::pin(async { None })
    }
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
