//! Routes: by which way a recipient's mail goes, and what that way demands of its channel.
//!
//! Made at start and reload from the configuration; a table that names a route nobody defined, or a way that promises
//! more than it demands, is refused whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::address::{AddressError, Domain, Mailbox};
use crate::facts::{RouteKind, TlsVersion};
use crate::floor::Demand;
use crate::plan::hosts::HostName;
use crate::plan::{NextHop, Target};

/// One way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    name: String,
    kind: RouteKind,
    target: RouteTarget,
    demands: Vec<Demand>,
    implicit_tls: bool,
}

/// Whose hosts a route's mail goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteTarget {
    /// Those of the recipient's domain, on this port.
    Mx {
        /// 25 but in tests.
        port: u16,
    },
    /// These.
    Hosts(Vec<RouteHost>),
}

/// A host that an operator named. Its MX records are not asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RouteHost {
    /// Lower first, as with MX.
    pub preference: u16,
    /// Its part among hosts of the same preference, as with SRV (RFC 2782); at least 1.
    pub weight: u16,
    /// Its name or address.
    pub host: HostName,
    /// Where it listens.
    pub port: u16,
}

impl Route {
    /// A route whose kind follows from the rest. `alternate_secure`: it may serve as alternate secure route (R7), and
    /// must demand TLS then.
    pub fn new(
        name: impl Into<String>,
        target: RouteTarget,
        demands: impl IntoIterator<Item = Demand>,
        implicit_tls: bool,
        alternate_secure: bool,
    ) -> Result<Route, RouteProblem> {
        let name = name.into();
        let kind = match (&target, alternate_secure) {
            (_, true) => RouteKind::AlternateSecure,
            (RouteTarget::Mx { .. }, false) => RouteKind::Mx,
            (RouteTarget::Hosts(_), false) => RouteKind::SmartHost,
        };
        match &target {
            RouteTarget::Hosts(hosts) if hosts.is_empty() => return Err(RouteProblem::NoHosts(name)),
            // RFC 8314 §4.5.1: between MX hosts there is STARTTLS only.
            RouteTarget::Mx { .. } if implicit_tls => return Err(RouteProblem::ImplicitTlsForMx(name)),
            RouteTarget::Hosts(_) | RouteTarget::Mx { .. } => {}
        }
        let mut demands: BTreeSet<Demand> = demands.into_iter().collect();
        // Where TLS begins with the first octet there is no clear text to fall back to.
        if implicit_tls || !demands.is_empty() {
            demands.insert(Demand::Tls);
        }
        if alternate_secure && demands.is_empty() {
            return Err(RouteProblem::AlternateSecureWithoutTls(name));
        }
        Ok(Route { name, kind, target, demands: demands.into_iter().collect(), implicit_tls })
    }

    /// In the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a policy may ask for.
    pub fn kind(&self) -> RouteKind {
        self.kind
    }

    /// Whose hosts.
    pub fn target(&self) -> &RouteTarget {
        &self.target
    }

    /// What its channel must give; TLS among it as soon as there is anything.
    pub fn demands(&self) -> &[Demand] {
        &self.demands
    }

    /// The same in the words of the contract (`wit/facts.wit`, `route-demands`).
    pub fn demand_words(&self) -> Vec<String> {
        self.demands.iter().map(demand_word).collect()
    }

    /// TLS from the first octet.
    pub fn implicit_tls(&self) -> bool {
        self.implicit_tls
    }

    /// Where this route takes mail for this recipient.
    pub fn next_hop(&self, recipient: &Mailbox) -> NextHop {
        let target = match &self.target {
            RouteTarget::Mx { port } => Target::Mx { domain: recipient.domain.clone(), port: *port },
            RouteTarget::Hosts(hosts) => Target::Hosts(hosts.clone()),
        };
        NextHop { route: self.name.clone(), kind: self.kind, target, implicit_tls: self.implicit_tls }
    }
}

/// The contract's word for a demand.
pub fn demand_word(demand: &Demand) -> String {
    match demand {
        Demand::Tls => "tls".into(),
        Demand::MinimumVersion(TlsVersion::TLS12) => "minimum-version-1.2".into(),
        Demand::MinimumVersion(TlsVersion::TLS13) => "minimum-version-1.3".into(),
        Demand::MinimumVersion(TlsVersion(other)) => format!("minimum-version-0x{other:04x}"),
        Demand::TrustedChain => "trusted-chain".into(),
        Demand::MatchingName => "matching-name".into(),
        Demand::Dane(_) => "dane".into(),
        Demand::ListedHost => "listed-host".into(),
        Demand::RequireTls => "requiretls".into(),
        Demand::VerifiedServer => "verified-server".into(),
        Demand::ProvenHost => "proven-host".into(),
        Demand::UnrevokedCertificate => "unrevoked-certificate".into(),
        Demand::Pin(..) => "pin".into(),
        Demand::CipherSuite(_) => "cipher-suite".into(),
    }
}

/// The demand of a contract's word that needs no more than the word.
pub fn demand_of_word(word: &str) -> Option<Demand> {
    Some(match word {
        "tls" => Demand::Tls,
        "minimum-version-1.2" => Demand::MinimumVersion(TlsVersion::TLS12),
        "minimum-version-1.3" => Demand::MinimumVersion(TlsVersion::TLS13),
        "trusted-chain" => Demand::TrustedChain,
        "matching-name" => Demand::MatchingName,
        "unrevoked-certificate" => Demand::UnrevokedCertificate,
        _ => return None,
    })
}

/// Which recipients' domains a route is for, read as R8 reads a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DomainPattern {
    /// This domain and none below it.
    Exact(Domain),
    /// `*.domain`: every domain below it, not the domain itself.
    Below(Domain),
}

impl FromStr for DomainPattern {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<DomainPattern, AddressError> {
        match text.strip_prefix("*.") {
            Some(parent) => Domain::parse(parent).map(DomainPattern::Below),
            None => Domain::parse(text).map(DomainPattern::Exact),
        }
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DomainPattern::Exact(domain) => domain.fmt(f),
            DomainPattern::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

/// All routes, and who goes by which.
#[derive(Clone, Debug)]
pub struct RouteTable {
    routes: BTreeMap<String, Route>,
    exact: BTreeMap<Domain, String>,
    below: BTreeMap<Domain, String>,
    default: Route,
}

impl RouteTable {
    /// A table, or everything that is wrong with it.
    pub fn new(
        routes: Vec<Route>,
        rules: Vec<(DomainPattern, String)>,
        default: &str,
    ) -> Result<RouteTable, Vec<RouteProblem>> {
        let mut problems = Vec::new();
        let mut by_name = BTreeMap::new();
        for route in routes {
            if let Some(earlier) = by_name.insert(route.name.clone(), route) {
                problems.push(RouteProblem::DefinedTwice(earlier.name));
            }
        }
        let (mut exact, mut below) = (BTreeMap::new(), BTreeMap::new());
        for (pattern, name) in rules {
            if !by_name.contains_key(&name) {
                problems.push(RouteProblem::Unknown { name: name.clone(), used_by: format!("domain {pattern}") });
            }
            let earlier = match pattern.clone() {
                DomainPattern::Exact(domain) => exact.insert(domain, name),
                DomainPattern::Below(domain) => below.insert(domain, name),
            };
            if earlier.is_some() {
                problems.push(RouteProblem::DomainTwice(pattern));
            }
        }
        let Some(default) = by_name.get(default).cloned() else {
            problems.push(RouteProblem::Unknown { name: default.to_owned(), used_by: "the default".into() });
            return Err(problems);
        };
        if problems.is_empty() { Ok(RouteTable { routes: by_name, exact, below, default }) } else { Err(problems) }
    }

    /// The same with more routes. `default` is the new default, where one is given.
    pub fn with(
        &self,
        routes: Vec<Route>,
        rules: Vec<(DomainPattern, String)>,
        default: Option<&str>,
    ) -> Result<RouteTable, Vec<RouteProblem>> {
        let routes = self.routes.values().cloned().chain(routes).collect();
        let exact = self.exact.iter().map(|(domain, name)| (DomainPattern::Exact(domain.clone()), name.clone()));
        let below = self.below.iter().map(|(domain, name)| (DomainPattern::Below(domain.clone()), name.clone()));
        RouteTable::new(routes, exact.chain(below).chain(rules).collect(), default.unwrap_or(self.default.name()))
    }

    /// The recipient's own route: by its exact domain, else the nearest `*.` above it, else the default.
    pub fn for_recipient(&self, recipient: &Mailbox) -> &Route {
        let domain = &recipient.domain;
        let above = || domain.parents().find_map(|parent| self.below.get(&Domain::parse(parent).ok()?));
        let name = self.exact.get(domain).or_else(above);
        name.and_then(|name| self.routes.get(name)).unwrap_or(&self.default)
    }

    /// The route of this name.
    pub fn by_name(&self, name: &str) -> Option<&Route> {
        self.routes.get(name)
    }

    /// Whose mail takes the route of this name, besides what the default takes.
    pub fn matches(&self, name: &str) -> Vec<DomainPattern> {
        let of = |rules: &BTreeMap<Domain, String>, pattern: fn(Domain) -> DomainPattern| -> Vec<DomainPattern> {
            rules.iter().filter(|(_, route)| *route == name).map(|(domain, _)| pattern(domain.clone())).collect()
        };
        [of(&self.exact, DomainPattern::Exact), of(&self.below, DomainPattern::Below)].concat()
    }

    /// Name of the route that takes what no other does.
    pub fn default_name(&self) -> &str {
        self.default.name()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.values()
    }
}

/// Why a route or a table is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteProblem {
    /// A smart host without a host.
    NoHosts(String),
    /// TLS from the first octet where hosts are found by MX.
    ImplicitTlsForMx(String),
    /// R7: an alternate secure route that would send in clear.
    AlternateSecureWithoutTls(String),
    /// Two routes of one name.
    DefinedTwice(String),
    /// Two routes for one domain.
    DomainTwice(DomainPattern),
    /// Another is the default already.
    SecondDefault(String),
    /// A name that no route has.
    Unknown {
        /// The name.
        name: String,
        /// Who names it.
        used_by: String,
    },
}

impl fmt::Display for RouteProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RouteProblem::NoHosts(name) => write!(f, "route {name:?} has no hosts; name at least one"),
            RouteProblem::ImplicitTlsForMx(name) => write!(
                f,
                "route {name:?} finds its hosts by MX, where TLS starts with STARTTLS; name hosts, or drop implicit TLS"
            ),
            RouteProblem::AlternateSecureWithoutTls(name) => {
                write!(f, "route {name:?} is an alternate secure route and must demand TLS; add \"tls\" to its demands")
            }
            RouteProblem::DefinedTwice(name) => write!(f, "route {name:?} is defined twice; rename one"),
            RouteProblem::SecondDefault(name) => {
                write!(
                    f,
                    "route {name:?} would be a second default: the configuration file has one; drop default = true"
                )
            }
            RouteProblem::DomainTwice(pattern) => write!(f, "domain {pattern} has two routes; keep one"),
            RouteProblem::Unknown { name, used_by } => {
                write!(f, "{used_by} names route {name:?}, which does not exist; define it or name another")
            }
        }
    }
}

impl std::error::Error for RouteProblem {}

#[cfg(test)]
mod tests;
