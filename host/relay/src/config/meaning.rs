//! From the configuration as written to the configuration as meant: defaults, names, contradictions.

use std::collections::BTreeMap;

use sealwire_core::schedule::Schedule;

use super::api;
use super::meant::{
    AlertsTo, CertificateFiles, Component, Config, Keep, Limits, Listener, LogLevel, MtaSts, Policy, ProbesOf, Profile,
};
use super::problem::Problem;
use super::reader::{At, Faults};
use super::routes;
use super::surroundings::Surroundings;
use super::tls_reports;
use super::written::{Written, WrittenLimits, WrittenListener, WrittenPolicy, WrittenSchedule};
use crate::dns::Dns;
use crate::tls::Roots;

/// Of HTTPS.
const HTTPS_PORT: u16 = 443;
/// Certificates end by the day.
const PROBES_EVERY_SECS: u64 = 86_400;
/// How often one has to be reminded.
const ALERTS_REPEAT_AFTER_SECS: u64 = 3600;

/// Name of the policy, and of its built-in component, that is the chain when the file names none.
pub const BUILTIN_POLICY: &str = "secure-transport";
/// What the file means. Faults are noted; the answer counts only if there were none.
pub(super) fn of(written: Written, surroundings: &Surroundings, faults: &Faults) -> Config {
    let places = places(&written, faults);
    let data_directory = value(written.data_directory).unwrap_or_else(|| surroundings.state_directory.clone());
    let admin_socket = value(written.admin_socket).unwrap_or_else(|| data_directory.join("admin").join("socket"));
    let (routes, route_channels) = routes::of(written.routes, faults);
    let loopback = ["127.0.0.0/8", "::1/128"].map(|text| text.parse().expect("loopback is a network"));
    let hostname = value(written.hostname).unwrap_or_else(|| surroundings.hostname.clone());
    Config {
        data_directory,
        admin_socket,
        api: api::of(written.api, faults),
        trusted_networks: written.trusted_networks.map_or_else(|| loopback.to_vec(), values),
        hosted_domains: values(written.hosted_domains).into_iter().collect(),
        listeners: listeners(written.listeners, faults),
        limits: limits(&written.limits),
        routes,
        route_channels,
        roots: value(written.roots).unwrap_or(Roots::System),
        crl: value(written.crl),
        dns: Dns { servers: values(written.dns_servers), dnssec: value(written.dnssec).unwrap_or_default() },
        mta_sts: MtaSts {
            enabled: value(written.sts_enabled).unwrap_or(true),
            port: value(written.sts_port).and_then(|port| u16::try_from(port).ok()).unwrap_or(HTTPS_PORT),
        },
        tls_reports_at: written.tls_reports.receive.iter().map(|at| at.value.clone()).collect(),
        tls_reports: tls_reports::of(written.tls_reports, &hostname, faults),
        alerts: AlertsTo {
            to: values(written.alerts_to),
            repeat_after_secs: value(written.alerts_repeat_after).unwrap_or(ALERTS_REPEAT_AFTER_SECS),
            refusals: value(written.alerts_refusals).unwrap_or(false),
        },
        probes: ProbesOf {
            lists: values(written.probes_lists),
            every_secs: value(written.probes_every).unwrap_or(PROBES_EVERY_SECS),
        },
        keep: Keep {
            ledger_secs: value(written.ledger_keep).flatten(),
            audit_secs: value(written.audit_keep).flatten(),
        },
        policies: policies(written.policies, faults),
        schedule: schedule(&written.schedule, faults),
        log_level: value(written.log_level).unwrap_or(LogLevel::Info),
        hostname,
        places,
    }
}

fn places(written: &Written, faults: &Faults) -> BTreeMap<String, Problem> {
    let mut places = BTreeMap::new();
    let mut place = |words: String, line: usize, key: &str| {
        places.insert(words, faults.problem(line, key, ""));
    };
    if let Some(at) = &written.roots {
        place("tls.roots".to_owned(), at.line, &at.key);
    }
    if let Some(at) = &written.crl {
        place("tls.crl".to_owned(), at.line, &at.key);
    }
    if let Some(at) = &written.dnssec {
        place("dns.dnssec".to_owned(), at.line, &at.key);
    }
    if let Some(at) = &written.tls_reports.dkim_key {
        place("tls-reports.dkim-key".to_owned(), at.line, &at.key);
    }
    if let Some(at) = &written.api.certificate {
        place("api.certificate".to_owned(), at.line, &at.key);
    }
    if let Some(at) = &written.api.address {
        place("api.address".to_owned(), at.line, &at.key);
    }
    for listener in &written.listeners {
        if let (Some(name), Some(at)) = (&listener.name, &listener.certificate) {
            place(format!("listener {}: certificate", name.value), at.line, &at.key);
        }
    }
    for route in &written.routes {
        let Some(At { value: name, .. }) = &route.name else { continue };
        if let Some(at) = &route.roots {
            place(format!("route {name}: roots"), at.line, &at.key);
        }
        if let Some(at) = &route.crl {
            place(format!("route {name}: crl"), at.line, &at.key);
        }
        if let Some(at) = &route.client_certificate {
            place(format!("route {name}: client-certificate"), at.line, &at.key);
        }
        if let Some(at) = &route.auth_password_file {
            place(format!("route {name}: auth-password-file"), at.line, &at.key);
        }
    }
    for policy in &written.policies {
        if let (Some(name), Some(at)) = (&policy.name, &policy.component) {
            place(format!("policy {}: component", name.value), at.line, &at.key);
        }
    }
    places
}

fn limits(written: &WrittenLimits) -> Limits {
    Limits {
        message_size: written.message_size.as_ref().map_or(50 << 20, |at| at.value),
        recipients: small(&written.recipients, 1000),
        connections: small(&written.connections, 2000),
        connections_per_address: small(&written.connections_per_address, 50),
        idle_secs: written.idle.as_ref().map_or(300, |at| at.value),
        deliveries: small(&written.deliveries, 500),
        deliveries_per_destination: small(&written.deliveries_per_destination, 20),
        free_space: written.free_space.as_ref().map_or(100 << 20, |at| at.value),
    }
}

fn schedule(written: &WrittenSchedule, faults: &Faults) -> Schedule {
    let normal = Schedule::default();
    let secs = |at: &Option<At<u64>>, default| at.as_ref().map_or(default, |at| at.value);
    let schedule = Schedule {
        first_retry_secs: secs(&written.first_retry, normal.first_retry_secs),
        max_interval_secs: secs(&written.max_interval, normal.max_interval_secs),
        expire_after_secs: secs(&written.expire_after, normal.expire_after_secs),
        delay_notice_after_secs: secs(&written.delay_notice_after, normal.delay_notice_after_secs),
        inconclusive_repeats: small(&written.inconclusive_repeats, normal.inconclusive_repeats),
        inconclusive_window_secs: secs(&written.inconclusive_window, normal.inconclusive_window_secs),
        failed_decision_retry_secs: secs(&written.failed_decision_retry, normal.failed_decision_retry_secs),
        failed_decision_alert_after_secs: secs(
            &written.failed_decision_alert_after,
            normal.failed_decision_alert_after_secs,
        ),
    };
    if let Some(at) = &written.max_interval
        && schedule.max_interval_secs < schedule.first_retry_secs
    {
        faults.note_at(at, "must not be shorter than first-retry (5m unless you set it)");
    }
    schedule
}

fn listeners(written: Vec<WrittenListener>, faults: &Faults) -> Vec<Listener> {
    if written.is_empty() {
        let address = ([127, 0, 0, 1], 2525).into();
        return vec![Listener { name: "main".to_owned(), address, certificate: None }];
    }
    unique(written.iter().filter_map(|listener| listener.name.as_ref()), "listener", faults);
    unique(
        written.iter().filter_map(|listener| listener.address.as_ref().filter(|at| at.value.port() != 0)),
        "listener",
        faults,
    );
    written.into_iter().filter_map(|listener| one_listener(listener, faults)).collect()
}

fn one_listener(written: WrittenListener, faults: &Faults) -> Option<Listener> {
    let certificate = match (written.certificate, written.key) {
        (Some(certificate), Some(key)) => Some(CertificateFiles { certificate: certificate.value, key: key.value }),
        (None, None) => None,
        (Some(at), None) => {
            faults.note_at(&at, "a certificate without a key; add key = \"FILE\"");
            None
        }
        (None, Some(at)) => {
            faults.note_at(&at, "a key without a certificate; add certificate = \"FILE\"");
            None
        }
    };
    Some(Listener { name: written.name?.value, address: written.address?.value, certificate })
}

fn policies(written: Vec<WrittenPolicy>, faults: &Faults) -> Vec<Policy> {
    if written.is_empty() {
        let name = BUILTIN_POLICY.to_owned();
        return vec![Policy { component: Component::Builtin(name.clone()), name, profile: Profile::Native }];
    }
    unique(written.iter().filter_map(|policy| policy.name.as_ref()), "policy", faults);
    written.into_iter().filter_map(|policy| one_policy(policy, faults)).collect()
}

fn one_policy(written: WrittenPolicy, faults: &Faults) -> Option<Policy> {
    // wit/facts.wit, secure-transport-required-by: the word stands for RFC 8689.
    if let Some(at) = written.name.as_ref().filter(|at| at.value == "requiretls") {
        faults.note_at(at, "no policy may be named requiretls, which stands for RFC 8689; choose another name");
    }
    let profile = value(written.profile).unwrap_or(Profile::Native);
    Some(Policy { name: written.name?.value, component: written.component?.value, profile })
}

/// Notes values that stand twice.
pub(super) fn unique<'a, T: Ord + std::fmt::Debug + 'a>(
    values: impl Iterator<Item = &'a At<T>>,
    what: &str,
    faults: &Faults,
) {
    let mut first: BTreeMap<&T, &At<T>> = BTreeMap::new();
    for at in values {
        match first.get(&at.value) {
            Some(earlier) => {
                faults.note_at(at, format!("another {what} has the same, on line {}; change one", earlier.line));
            }
            None => drop(first.insert(&at.value, at)),
        }
    }
}

pub(super) fn value<T>(at: Option<At<T>>) -> Option<T> {
    at.map(|at| at.value)
}

fn values<T>(all: Vec<At<T>>) -> Vec<T> {
    all.into_iter().map(|at| at.value).collect()
}

fn small(at: &Option<At<u64>>, default: u32) -> u32 {
    at.as_ref().map_or(default, |at| u32::try_from(at.value).unwrap_or(u32::MAX))
}
