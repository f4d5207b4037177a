//! The next hops: where they are, what they give by nature, and what chance adds while faults last.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::chance::Chance;

/// What a host gives in any run of its seed, faults apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// Clear text only.
    Clear,
    /// TLS with a certificate signed by the CA that names the host.
    Tls,
    /// TLS with a certificate signed by the CA that names another.
    WrongName,
    /// TLS with a certificate that nobody vouches for.
    SelfSigned,
    /// 454 to STARTTLS, for ever.
    Defers,
    /// 502 to STARTTLS.
    Refuses,
    /// 220, and then no TLS.
    Breaks,
    /// 220, and octets behind it.
    Injects,
}

/// One host.
#[derive(Clone, Debug)]
pub(super) struct Hop {
    pub(super) name: String,
    pub(super) address: IpAddr,
    pub(super) nature: Nature,
    pub(super) pipelining: bool,
    pub(super) requiretls: bool,
    pub(super) chunking: bool,
    pub(super) dsn: bool,
}

/// Domains that mail goes to. `open` and `home` are on no list; the others are named after what their setting demands, and two
/// after what they publish themselves: `dane` has signed zones and TLSA records, `sts` a policy that lists its first host.
pub(super) const DOMAINS: [&str; 8] =
    ["open.test", "tls.test", "ca.test", "name.test", "alt.test", "home.test", DANE, STS];
/// DNSSEC vouches for its names; its hosts' TLSA records name the good certificate.
pub(super) const DANE: &str = "dane.test";
/// Its MTA-STS policy enforces.
pub(super) const STS: &str = "sts.test";
/// The alternate secure route's host.
pub(super) const VAULT: &str = "vault.test";

/// Every name a good certificate has to carry.
pub(super) fn names() -> Vec<String> {
    let hosts = DOMAINS.iter().flat_map(|domain| [format!("mx1.{domain}"), format!("mx2.{domain}")]);
    hosts.chain([VAULT.to_owned()]).collect()
}

/// The hosts of a seed.
pub(super) fn hops(chance: &Chance) -> Vec<Hop> {
    use Nature::{Breaks, Clear, Defers, Injects, Refuses, SelfSigned, Tls, WrongName};
    const NATURES: [Nature; 14] =
        [Tls, Tls, Tls, Tls, Tls, Tls, Clear, Clear, WrongName, SelfSigned, Defers, Refuses, Breaks, Injects];
    let hop = |(number, name): (usize, String)| Hop {
        name,
        address: IpAddr::V4(Ipv4Addr::new(203, 0, 113, u8::try_from(number + 1).unwrap_or(u8::MAX))),
        nature: chance.among(&NATURES),
        pipelining: chance.percent(60),
        requiretls: chance.percent(60),
        // By its number, so that no chance is drawn for it.
        chunking: number % 2 == 0,
        dsn: number % 3 == 0,
    };
    names().into_iter().enumerate().map(hop).collect()
}

impl Hop {
    /// Where it listens.
    pub(super) fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.address, 25)
    }

    /// Its name is an operator's, or proven by DNSSEC or MTA-STS: it may be given what came with REQUIRETLS.
    pub(super) fn is_proven(&self) -> bool {
        self.name == VAULT || self.name.ends_with(DANE) || self.name == format!("mx1.{STS}")
    }
}

/// What mail to this domain must be given, by the settings of the simulated relay.
pub(super) fn demands(domain: &str) -> Demands {
    match domain {
        "tls.test" | "alt.test" => Demands { tls: true, ..Demands::default() },
        "ca.test" => Demands { tls: true, chain: true, name: false },
        "name.test" | DANE | STS => Demands { tls: true, chain: true, name: true },
        _ => Demands::default(),
    }
}

/// What a channel must give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Demands {
    pub(super) tls: bool,
    pub(super) chain: bool,
    pub(super) name: bool,
}

impl Demands {
    /// Whether TLS with this nature's certificate, or (`tls` false) clear text, gives it.
    pub(super) fn met_by(self, tls: bool, nature: Nature) -> bool {
        let chain = tls && nature != Nature::SelfSigned;
        let name = tls && nature != Nature::WrongName;
        (tls || !self.tls) && (chain || !self.chain) && (name || !self.name)
    }
}
