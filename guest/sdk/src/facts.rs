//! What the host knows, as traits. The contract is `wit/facts.wit`; a method that is missing here can be added without
//! breaking a policy. Where a fact is a word, an unknown word has a stated, strict meaning.
//!
//! Each call crosses into the host: ask for the cheap and decisive fact first, and for each fact once.

use crate::{Header, Mailbox};

/// The message, from the moment its header is complete.
pub trait Message {
    /// The connection it came by.
    type Client: Client;
    /// Stable from arrival to the last report.
    fn id(&self) -> String;
    /// Every mailbox of every From field, groups expanded.
    fn header_from(&self) -> Vec<Mailbox>;
    /// No From field, more than one, or octets in one that the address grammar did not consume.
    fn header_from_doubtful(&self) -> bool;
    /// None: the null reverse-path.
    fn envelope_sender(&self) -> Option<Mailbox>;
    /// On arrival all of the transaction's group, later those of the entry.
    fn recipients(&self) -> Vec<Mailbox>;
    /// All values of one field, in order, unfolded; the name is case-insensitive.
    fn header(&self, name: &str) -> Vec<String>;
    /// Every field.
    fn headers(&self) -> Vec<Header>;
    /// As `header`, as they came, for fields that are not UTF-8.
    fn header_octets(&self, name: &str) -> Vec<Vec<u8>>;
    /// From MAIL FROM SIZE=.
    fn declared_size(&self) -> Option<u64>;
    /// None until the data has ended.
    fn size(&self) -> Option<u64>;
    /// The client is on a trusted network or authenticated; what MAIL FROM or From claims never counts.
    fn sender_is_ours(&self) -> bool;
    /// A delivery report that this relay made.
    fn is_report(&self) -> bool;
    /// Path of the organizational unit whose settings apply, root first.
    fn organizational_unit(&self) -> Vec<String>;
    /// Who asked for secure transport: `requiretls`, or the name of a policy. During receive no policy's flag is seen.
    fn secure_transport_required_by(&self) -> Vec<String>;
    /// `TLS-Required: No` (RFC 8689).
    fn tls_not_required(&self) -> bool;
    /// Seconds since the Unix epoch, fixed for the decision; the only clock there is.
    fn now(&self) -> u64;
    /// Seconds since the Unix epoch.
    fn arrived_at(&self) -> u64;
    /// None for a report of our own.
    fn client(&self) -> Option<Self::Client>;
}

/// The connection a message came by.
pub trait Client {
    /// Clear or secured.
    type Channel: Channel;
    /// RFC 5952 form, without port.
    fn address(&self) -> String;
    /// What it called itself in EHLO or HELO.
    fn greeting_name(&self) -> String;
    /// Identity, if it authenticated.
    fn authenticated_as(&self) -> Option<String>;
    /// Name of the listener in the configuration.
    fn listener(&self) -> String;
    /// Clear or secured.
    fn channel(&self) -> Self::Channel;
}

/// Where one recipient's copy would go, before any name is looked up.
pub trait Destination {
    /// Whose copy.
    fn recipient(&self) -> Mailbox;
    /// The domain is hosted here.
    fn recipient_is_ours(&self) -> bool;
    /// `mx`, `smart-host`, `alternate-secure`; an unknown word is a configured route.
    fn route_kind(&self) -> String;
    /// Name of the route in the configuration.
    fn route_name(&self) -> String;
    /// What the route itself demands: `tls`, `trusted-chain`, `matching-name`, ...; any word, an unknown one too, implies
    /// `tls`.
    fn route_demands(&self) -> Vec<String>;
    /// 1 for the first round.
    fn round(&self) -> u32;
}

/// One host that could take the message further, and what became of its channel.
pub trait Hop {
    /// Clear or secured.
    type Channel: Channel;
    /// Of this attempt.
    fn recipients(&self) -> Vec<Mailbox>;
    /// As [`Destination::route_kind`].
    fn route_kind(&self) -> String;
    /// Name of the route in the configuration.
    fn route_name(&self) -> String;
    /// Its name, in A-labels.
    fn host(&self) -> String;
    /// The address connected to.
    fn address(&self) -> String;
    /// EHLO keywords with their parameters, as offered last.
    fn extensions(&self) -> Vec<String>;
    /// What became of it.
    fn channel(&self) -> Self::Channel;
    /// Published policies that apply to this host, as (kind, verdict): kind `dane` or `mta-sts`; verdict `valid`,
    /// `testing-valid` or an RFC 8460 §4.3 result type.
    fn published(&self) -> Vec<(String, String)>;
}

/// What became of a channel's protection.
pub trait Channel {
    /// A completed handshake.
    type Handshake: Handshake;
    /// `secured`, `not-offered`, `refused`, `failed`, `inconclusive`. An unknown word means: not secured.
    fn state(&self) -> String;
    /// The peer's reply or the fault, in words.
    fn detail(&self) -> String;
    /// None unless secured.
    fn handshake(&self) -> Option<Self::Handshake>;
}

/// A completed handshake, as the host verified it.
pub trait Handshake {
    /// One of the presented chain.
    type Certificate: Certificate;
    /// Protocol number on the wire: 0x0303 is TLS 1.2, 0x0304 is TLS 1.3.
    fn version(&self) -> u16;
    /// IANA name.
    fn cipher_suite(&self) -> String;
    /// IANA name of the key exchange group.
    fn key_exchange(&self) -> String;
    /// The name in SNI.
    fn server_name(&self) -> Option<String>;
    /// TLS from the first octet, without STARTTLS.
    fn implicit(&self) -> bool;
    /// An earlier session was taken up again.
    fn resumed(&self) -> bool;
    /// `trusted`; `none` where no certificate was asked for; else an RFC 8460 §4.3 result type.
    fn chain(&self) -> String;
    /// The certificate names the host that was connected to (RFC 9525).
    fn name_matches(&self) -> bool;
    /// `good`, `revoked`, `stale` (the operator's list is out of date), `unknown`; an unknown word means: not shown to be good.
    fn revocation_status(&self) -> String;
    /// End-entity first; empty where none was presented.
    fn certificates(&self) -> Vec<Self::Certificate>;
}

/// One certificate of a presented chain.
pub trait Certificate {
    /// Distinguished name.
    fn subject(&self) -> String;
    /// Distinguished name.
    fn issuer(&self) -> String;
    /// dNSName entries of the subject alternative name.
    fn dns_names(&self) -> Vec<String>;
    /// Seconds since the Unix epoch.
    fn not_before(&self) -> u64;
    /// Seconds since the Unix epoch.
    fn not_after(&self) -> u64;
    /// Of the whole certificate.
    fn sha256(&self) -> Vec<u8>;
    /// Of the subject public key info.
    fn spki_sha256(&self) -> Vec<u8>;
    /// The certificate.
    fn der(&self) -> Vec<u8>;
}

/// The lists and routes that settings may name.
pub trait Host {
    /// A list of addresses and domains.
    type List: AddressList;
    /// A route of the configuration.
    type Route: Route;
    /// None: there is no list of that name.
    fn list(&self, name: &str) -> Option<Self::List>;
    /// None: there is no route of that name.
    fn route(&self, name: &str) -> Option<Self::Route>;
}

/// A list of addresses and domains, shared by all settings and kept by the host.
pub trait AddressList {
    /// What the operator wrote on one line.
    type Entry: Entry;
    /// The first entry that matches: the address, its exact domain, or `*.` over a parent of its domain.
    fn find(&self, who: &Mailbox) -> Option<Self::Entry>;
}

/// An entry of a list.
pub trait Entry {
    /// As the operator wrote it.
    fn text(&self) -> String;
    /// Kept for rules that loosen. A rule that demands protection matches whatever this says.
    fn authenticated_sender_only(&self) -> bool;
}

/// A route of the configuration.
pub trait Route {
    /// As [`Destination::route_kind`].
    fn kind(&self) -> String;
    /// As [`Destination::route_demands`].
    fn demands(&self) -> Vec<String>;
}
