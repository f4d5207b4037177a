//! From the routes as written to the table of routes. Everything [`RouteTable`] would refuse is found here first, where
//! line and key are known.

use std::collections::{BTreeMap, BTreeSet};

use sealwire_core::facts::TlsVersion;
use sealwire_core::floor::{Demand, PinKind};
use sealwire_core::plan::{DomainPattern, Route, RouteHost, RouteTable, RouteTarget};

use super::login::Login;
use super::meaning::unique;
use super::meant::{CertificateFiles, RouteChannel};
use super::reader::{At, Faults};
use super::written::{WrittenHost, WrittenRoute};
use crate::tls::Roots;

/// Name of the route that is there when no route of the file is the default.
pub const IMPLICIT_ROUTE: &str = "mx";
/// Port of SMTP between relays.
const SMTP_PORT: u16 = 25;

/// Routes as one file has them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    pub(crate) routes: Vec<Route>,
    pub(crate) rules: Vec<(DomainPattern, String)>,
    /// Name of the one that says it is the default.
    pub(crate) default: Option<String>,
    pub(crate) channels: BTreeMap<String, RouteChannel>,
}

/// The table, and what channels of its routes need besides.
pub(super) fn of(written: Vec<WrittenRoute>, faults: &Faults) -> (RouteTable, BTreeMap<String, RouteChannel>) {
    let mut names = written.iter().filter_map(|route| route.name.as_ref());
    let taken = names.find(|name| name.value == IMPLICIT_ROUTE).cloned();
    let Routes { mut routes, rules, mut default, channels } = read(written, faults);
    if default.is_none() {
        if let Some(taken) = taken {
            let text = "this name belongs to the route that takes what no other does; \
                rename this one, or add default = true to one route";
            faults.note_at(&taken, text);
        }
        let route = Route::new(IMPLICIT_ROUTE, RouteTarget::Mx { port: SMTP_PORT }, [], false, false);
        routes.insert(0, route.expect("a route to the MX demands nothing and promises nothing"));
        default = Some(IMPLICIT_ROUTE.to_owned());
    }
    let table = RouteTable::new(routes, rules, &default.unwrap_or_default()).or_else(|problems| {
        // A route with a fault is missing from the table, so these would only say it again.
        let unknown = problems.iter().map(|problem| problem.to_string());
        unknown.for_each(|text| faults.note_unless_any("route", text));
        let route = Route::new(IMPLICIT_ROUTE, RouteTarget::Mx { port: SMTP_PORT }, [], false, false);
        RouteTable::new(Vec::from_iter(route), Vec::new(), IMPLICIT_ROUTE)
    });
    (table.expect("a table of the implicit route alone is in order"), channels)
}

/// Routes of the settings: all but what names files of the relay's machine, which is for whoever rules that.
pub(crate) fn without_files(written: Vec<WrittenRoute>, faults: &Faults) -> Routes {
    for route in &written {
        let text = "names a file of the relay's machine or a login; a route with it stands in the configuration file";
        let files = [&route.client_certificate, &route.client_key, &route.auth_password_file];
        files.into_iter().flatten().for_each(|at| faults.note_at(at, text));
        route.auth_user.iter().for_each(|at| faults.note_at(at, text));
        let of_a_file = |at: &&At<Roots>| matches!(at.value, Roots::File(_));
        route.roots.iter().filter(of_a_file).for_each(|at| faults.note_at(at, text));
    }
    read(written, faults)
}

fn read(written: Vec<WrittenRoute>, faults: &Faults) -> Routes {
    unique(written.iter().filter_map(|route| route.name.as_ref()), "route", faults);
    unique(written.iter().flat_map(|route| &route.matches), "route", faults);
    let mut read = Routes { default: default_name(&written, faults), ..Routes::default() };
    for written in written {
        let (own_rules, channel) = (rules_of(&written), channel_of(&written, faults));
        let Some(route) = one_route(written, faults) else { continue };
        read.channels.insert(route.name().to_owned(), channel);
        read.rules.extend(own_rules.into_iter().map(|pattern| (pattern, route.name().to_owned())));
        read.routes.push(route);
    }
    read
}

fn rules_of(written: &WrittenRoute) -> Vec<DomainPattern> {
    written.matches.iter().map(|at| at.value.clone()).collect()
}

fn channel_of(written: &WrittenRoute, faults: &Faults) -> RouteChannel {
    RouteChannel {
        roots: written.roots.as_ref().map(|at| at.value.clone()),
        crl: written.crl.as_ref().map(|at| at.value.clone()),
        login: login_of(written, faults),
        client_certificate: client_certificate_of(written, faults),
    }
}

fn client_certificate_of(written: &WrittenRoute, faults: &Faults) -> Option<CertificateFiles> {
    match (&written.client_certificate, &written.client_key) {
        (Some(certificate), Some(key)) => {
            return Some(CertificateFiles { certificate: certificate.value.clone(), key: key.value.clone() });
        }
        (None, None) => {}
        (Some(at), None) => faults.note_at(at, "a certificate without a key; add client-key = \"FILE\""),
        (None, Some(at)) => faults.note_at(at, "a key without a certificate; add client-certificate = \"FILE\""),
    }
    None
}

fn login_of(written: &WrittenRoute, faults: &Faults) -> Option<Login> {
    let (user, file) = match (&written.auth_user, &written.auth_password_file) {
        (Some(user), Some(file)) => (user, file),
        (None, None) => return None,
        (Some(user), None) => {
            faults.note_at(user, "a user without a password; add auth-password-file = \"FILE\"");
            return None;
        }
        (None, Some(file)) => {
            faults.note_at(file, "a password without a user; add auth-user = \"NAME\"");
            return None;
        }
    };
    if written.mx.as_ref().is_some_and(|at| at.value) {
        faults.note_at(user, "strangers' mail exchangers know no user of ours; name hosts instead of mx = true");
    }
    let ticked = |at: &Option<At<bool>>| at.as_ref().is_some_and(|at| at.value);
    // The relay sends no password without such a proof; a route that could never give one would wait for ever.
    let named = ticked(&written.require_ca_signed_certificate) && ticked(&written.validate_hostname);
    if !named && written.pins.is_none() {
        let text = "a password goes to a host that has proven who it is, and to no other; \
            add require-ca-signed-certificate = true and validate-hostname = true, or pins";
        faults.note_at(user, text);
    }
    Some(Login { user: user.value.clone(), password_file: file.value.clone() })
}

/// Name of the route that says it is the default.
fn default_name(written: &[WrittenRoute], faults: &Faults) -> Option<String> {
    let mut first: Option<(&At<bool>, String)> = None;
    for route in written {
        let Some(at) = route.default.as_ref().filter(|at| at.value) else { continue };
        match &first {
            Some((earlier, _)) => {
                faults.note_at(at, format!("is a second default; line {} has the first", earlier.line))
            }
            None => first = Some((at, route.name.as_ref().map(|name| name.value.clone()).unwrap_or_default())),
        }
    }
    first.map(|(_, name)| name)
}

fn one_route(written: WrittenRoute, faults: &Faults) -> Option<Route> {
    let demands = demands(&written, faults);
    let ticked = |at: &Option<At<bool>>| at.as_ref().is_some_and(|at| at.value);
    let (implicit, alternate) = (ticked(&written.implicit_tls), ticked(&written.alternate_secure));
    let WrittenRoute { here, name, mx, port, hosts, alternate_secure, implicit_tls, .. } = written;
    let target = target(mx, port, hosts, &here, faults);
    let to_mx = matches!(target, Some(RouteTarget::Mx { .. }));
    if let Some(at) = alternate_secure.filter(|at| at.value) {
        // R7: an alternate secure route that lets mail out in clear would be none.
        if demands.is_empty() && !implicit {
            faults.note_at(&at, "an alternate secure route must demand TLS; add tls = \"required\"");
        }
        if to_mx {
            faults.note_at(&at, "an alternate secure route needs hosts of its own, not the MX that did not do");
        }
    }
    if let Some(at) = implicit_tls.filter(|at| at.value && to_mx) {
        faults.note_at(&at, "mail exchangers offer STARTTLS only (RFC 8314 section 4.5.1); remove it or name hosts");
    }
    // What it could refuse has been noted above.
    Route::new(name?.value, target?, demands, implicit, alternate).ok()
}

fn demands(written: &WrittenRoute, faults: &Faults) -> Vec<Demand> {
    let ticked = |at: &Option<At<bool>>| at.as_ref().is_some_and(|at| at.value);
    let mut demands = Vec::new();
    if ticked(&written.tls) {
        demands.push(Demand::Tls);
    }
    if let Some(version) = &written.minimum_tls_version {
        demands.push(Demand::MinimumVersion(version.value));
    }
    if ticked(&written.require_ca_signed_certificate) {
        demands.push(Demand::TrustedChain);
    }
    if let Some(at) = written.require_revocation_check.as_ref().filter(|at| at.value) {
        if !ticked(&written.require_ca_signed_certificate) {
            let text = "asks for the word of an authority that nobody need trust; \
                add require-ca-signed-certificate = true, or remove it";
            faults.note_at(at, text);
        }
        demands.push(Demand::UnrevokedCertificate);
    }
    if ticked(&written.validate_hostname) {
        demands.push(Demand::MatchingName);
    }
    if let Some(suites) = &written.cipher_suites {
        let names: BTreeSet<String> = suites.iter().map(|at| at.value.clone()).collect();
        let is_of_tls_1_3 = |name: &String| !name.contains("_WITH_");
        if let Some(at) = written.minimum_tls_version.as_ref().filter(|at| at.value == TlsVersion::TLS13)
            && !names.iter().any(is_of_tls_1_3)
        {
            faults.note_at(at, "none of the route's cipher-suites is one of TLS 1.3; add TLS_AES_256_GCM_SHA384, say");
        }
        demands.push(Demand::CipherSuite(names));
    }
    if let Some(pins) = &written.pins {
        // Any one of them will do: a key that is to come stands beside the one that is there.
        demands.push(Demand::Pin(PinKind::SpkiSha256, pins.iter().map(|at| at.value).collect()));
        if written.mx.as_ref().is_some_and(|at| at.value) {
            faults.note_at(
                &written.here,
                "strangers' mail exchangers have keys of their own; name hosts, or remove pins",
            );
        }
    }
    // Any demand implies TLS; saying "opportunistic" beside one is a contradiction somebody should resolve.
    if let Some(at) = written.tls.as_ref().filter(|at| !at.value)
        && !demands.is_empty()
    {
        faults.note_at(at, "contradicts the other demands of this route; write tls = \"required\" or remove them");
    }
    if !demands.is_empty() && !demands.contains(&Demand::Tls) {
        demands.insert(0, Demand::Tls);
    }
    demands
}

fn target(
    mx: Option<At<bool>>,
    port: Option<At<u64>>,
    hosts: Option<Vec<WrittenHost>>,
    here: &At<()>,
    faults: &Faults,
) -> Option<RouteTarget> {
    let both = "says mx = true and names hosts; keep one of them";
    let neither = "does not say where its mail goes; add mx = true, or hosts = [{ host = \"...\" }]";
    match (mx.is_some_and(|at| at.value), hosts) {
        (true, Some(_)) => faults.note_at(here, both),
        (false, None) => faults.note_at(here, neither),
        (true, None) => return Some(RouteTarget::Mx { port: port.map_or(SMTP_PORT, |at| bounded(at.value)) }),
        (false, Some(hosts)) => {
            if let Some(at) = port {
                faults.note_at(&at, "belongs to mx = true; write the port of each host beside it");
            }
            if hosts.is_empty() {
                faults.note_at(here, neither);
            }
            let mut hosts: Vec<_> = hosts.into_iter().filter_map(one_host).collect();
            hosts.sort_by_key(|host| host.preference);
            return Some(RouteTarget::Hosts(hosts));
        }
    }
    None
}

fn one_host(written: WrittenHost) -> Option<RouteHost> {
    let host = written.host?;
    let port = written.port.map_or(SMTP_PORT, |at| bounded(at.value));
    let preference = written.preference.map_or(10, |at| bounded(at.value));
    let weight = written.weight.map_or(1, |at| bounded(at.value));
    Some(RouteHost { preference, weight, host: host.value, port })
}

/// The reader has bounded it already.
fn bounded(value: u64) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}
