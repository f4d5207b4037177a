//! The messages of the demo: what each shows, and what must become of it.

use super::world::{CLEAR, SELF_SIGNED, TRUSTED, VAULT};

/// One message.
pub(super) struct Scene {
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    /// The sender's server uses STARTTLS.
    pub(super) secured: bool,
    /// For the table.
    pub(super) shows: &'static str,
    pub(super) expected: Expected,
}

/// What must become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// Delivered to this host.
    InClear(&'static str),
    /// Delivered to this host.
    OverTls(&'static str),
    /// Reported to its sender, because of this rule.
    ComesBack(&'static str),
    /// Refused at the door with 550 5.7.10, because of this rule.
    Refused(&'static str),
}

/// Sends what goes out; its reports come back to it.
pub(super) const ALICE: &str = "alice@sender.test";
/// Sends what comes in; listed.
pub(super) const CAROL: &str = "carol@partner.test";
const DORA: &str = "dora@ours.test";

/// In the order of the table. Domains and hosts are those of `super::world`.
pub(super) const SCENES: [Scene; 9] = [
    out("bob@open.test", "on no list; the server there has no TLS", Expected::InClear(CLEAR)),
    out("bob@casual.test", "on no list; the certificate there is self-signed", Expected::OverTls(SELF_SIGNED)),
    out("bob@partner.test", "listed: TLS, certificate of a CA, with the right name", Expected::OverTls(TRUSTED)),
    out("bob@shop.test", "listed: TLS; the certificate there is self-signed", Expected::OverTls(SELF_SIGNED)),
    out(
        "bob@bank.test",
        "listed: TLS, certificate of a CA; the certificate there is self-signed",
        Expected::ComesBack("R4"),
    ),
    out("bob@clinic.test", "listed: TLS; the server there has no TLS", Expected::ComesBack("R2")),
    out("bob@agency.test", "listed: TLS, else another way; the server there has no TLS", Expected::OverTls(VAULT)),
    Scene {
        from: CAROL,
        to: DORA,
        secured: false,
        shows: "sender listed; sent to this relay in clear",
        expected: Expected::Refused("R1"),
    },
    Scene {
        from: CAROL,
        to: DORA,
        secured: true,
        shows: "the same, sent to this relay over TLS",
        expected: Expected::OverTls(TRUSTED),
    },
];

const fn out(to: &'static str, shows: &'static str, expected: Expected) -> Scene {
    Scene { from: ALICE, to, secured: false, shows, expected }
}
