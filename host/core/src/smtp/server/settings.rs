//! What a server is told: its name, the domains hosted here, its limits, and who the client is.
//!
//! Plain values, shared by all connections of a listener; nothing here decides anything.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::address::{Domain, Mailbox};
use crate::units::in_one_form;

/// What all connections of a listener have in common.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The server's own name: greeting, EHLO, and where `<postmaster>` lives.
    pub hostname: Domain,
    /// Whose mail is taken from anyone.
    pub hosted: Hosted,
    /// STARTTLS is offered (while the channel is clear).
    pub tls_available: bool,
    /// How much of everything.
    pub limits: Limits,
}

/// Who is ours, and by which settings his mail is judged, as a number: equal settings have equal numbers.
#[derive(Clone, Debug, Default)]
pub struct Hosted {
    domains: BTreeMap<Domain, u32>,
    addresses: BTreeMap<Mailbox, u32>,
}

impl Hosted {
    /// Domains, exact, subdomains are not meant; and mailboxes of theirs whose settings are others, in the form of
    /// [`in_one_form`].
    pub fn new(domains: BTreeMap<Domain, u32>, addresses: BTreeMap<Mailbox, u32>) -> Hosted {
        Hosted { domains, addresses }
    }

    /// The settings of a recipient; None: he is not ours.
    pub fn settings_of(&self, recipient: &Mailbox) -> Option<u32> {
        let of_domain = self.domains.get(&recipient.domain).copied();
        let own = || self.addresses.get(&in_one_form(recipient)).copied();
        if self.addresses.is_empty() { of_domain } else { own().or(of_domain) }
    }
}

/// These domains, all by the same settings.
impl FromIterator<Domain> for Hosted {
    fn from_iter<I: IntoIterator<Item = Domain>>(domains: I) -> Hosted {
        Hosted::new(domains.into_iter().map(|domain| (domain, 0)).collect(), BTreeMap::new())
    }
}

/// A limit on everything a client can make grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a message, header and body; announced as SIZE (RFC 1870).
    pub message_size_max: u64,
    /// Octets of a header, which is held in memory: a real one has less than 64 KiB.
    pub header_size_max: usize,
    /// Recipients of a transaction. RFC 5321 §4.5.3.1.8 asks for at least 100.
    pub recipients_max: usize,
    /// Received fields, above which the message is in a loop. RFC 5321 §6.3 asks for at least 100.
    pub received_fields_max: usize,
    /// Commands that could not be obeyed, before the connection is closed: a person at a keyboard needs a few.
    pub bad_commands_max: usize,
    /// Transactions of one connection; a client with more mail opens another, and memory and settings start afresh.
    pub transactions_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            message_size_max: 50 * 1_024 * 1_024,
            header_size_max: 256 * 1_024,
            recipients_max: 1_000,
            received_fields_max: 100,
            bad_commands_max: 20,
            transactions_max: 1_000,
        }
    }
}

impl Limits {
    /// Commands since the last accepted message. Ten times what a full transaction takes, because a client may offer
    /// recipients that are refused or too many (RFC 5321 §4.5.3.1.10); more than that is a client that sends no mail.
    pub(super) fn commands_max(&self) -> usize {
        self.recipients_max.saturating_add(100).saturating_mul(10)
    }

    /// Octets read of a message that is refused already, before the connection is closed instead.
    pub(super) fn refused_size_max(&self) -> u64 {
        self.message_size_max.saturating_mul(2)
    }
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The client's address.
    pub address: IpAddr,
    /// The address is on a trusted network: this client may send anywhere.
    pub trusted: bool,
}
