//! What a policy may decide, as traits. The contract is `wit/policy.wit`, interface `decisions`: every method asks for
//! more protection, none for less.

use crate::{Reason, Reply};

/// What every decision has.
pub trait Decision {
    /// Explains the calls made since the previous `because`, or since the start.
    fn because(&self, reason: &Reason);
    /// All rules have run. Without this the decision is a failed one.
    fn conclude(&self);
}

/// On a message that arrives. Concluded with nothing else called: accepted.
pub trait Verdict: Decision {
    /// 5xx.
    fn reject(&self, reply: &Reply);
    /// 4xx, never 421.
    fn defer(&self, reply: &Reply);
    /// Every later hop must use TLS.
    fn require_secure_transport(&self);
}

/// On one recipient's way out. Concluded with nothing else called: opportunistic TLS, ordinary retries.
pub trait Floor: Decision {
    /// TLS, with any certificate.
    fn require_tls(&self);
    /// 0x0303 (TLS 1.2) or 0x0304 (TLS 1.3); anything else traps.
    fn require_minimum_version(&self, version: u16);
    /// A certificate that leads to a trusted root and is in date.
    fn require_trusted_chain(&self);
    /// A certificate that names the host (RFC 9525).
    fn require_matching_name(&self);
    /// A certificate that its issuer says is not revoked, below a trusted root. That nobody says anything does not meet it.
    fn require_unrevoked_certificate(&self);
    /// One of these must be in the presented chain; kind `certificate-sha256` or `spki-sha256`. An unknown kind, an empty
    /// list or a digest that is not 32 octets traps.
    fn require_pin(&self, kind: &str, digests: &[Vec<u8>]);
    /// One of these IANA names must be negotiated. An empty list traps; an unknown name is never met.
    fn require_cipher_suite(&self, names: &[String]);
    /// Take this route; an unknown name traps.
    fn take_route(&self, name: &str);
    /// What to do when no host can do this, in the order called: `route` (name), `hold`, `bounce`. Never called: retry by
    /// the schedule. An unknown step or route traps.
    fn fallback(&self, step: &str, name: Option<&str>);
}

/// On one host, when its channel is known. Concluded without objection: deliver, if the floor is met.
pub trait Objections: Decision {
    /// This host will not do: an unmet demand of this policy, conclusive with a 5xx reply, inconclusive with a 4xx. The
    /// reply is used if no other host does either.
    fn object(&self, reply: &Reply);
}
