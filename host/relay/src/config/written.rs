//! The configuration as written: each key with its place, absent where the operator left it out.
//!
//! Only types and single values are judged here; what they mean together is `super::meaning`'s business.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use sealwire_core::address::{Domain, Mailbox};
use sealwire_core::facts::TlsVersion;
use sealwire_core::network::Network;
use sealwire_core::plan::{DomainPattern, HostName};
use sealwire_core::tlsrpt::Destination;

use super::meant::{Component, LogLevel, Profile};
use super::reader::{At, Table};
use super::values;
use crate::dns::Dnssec;
use crate::tls::Roots;

/// A duration no schedule needs to exceed: a year.
const LONGEST_SECS: u64 = 31_536_000;
const MISSING_COMPONENT: &str = "needs a component: component = \"builtin:secure-transport\", or the path of one";

/// The whole file.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) hostname: Option<At<Domain>>,
    pub(super) data_directory: Option<At<PathBuf>>,
    pub(super) admin_socket: Option<At<PathBuf>>,
    pub(super) api: WrittenApi,
    pub(super) trusted_networks: Option<Vec<At<Network>>>,
    pub(super) hosted_domains: Vec<At<Domain>>,
    pub(super) log_level: Option<At<LogLevel>>,
    pub(super) roots: Option<At<Roots>>,
    pub(super) crl: Option<At<PathBuf>>,
    pub(super) dns_servers: Vec<At<SocketAddr>>,
    pub(super) dnssec: Option<At<Dnssec>>,
    pub(super) sts_enabled: Option<At<bool>>,
    pub(super) sts_port: Option<At<u64>>,
    pub(super) tls_reports: WrittenTlsReports,
    pub(super) probes_lists: Vec<At<String>>,
    pub(super) probes_every: Option<At<u64>>,
    pub(super) alerts_to: Vec<At<Destination>>,
    pub(super) alerts_repeat_after: Option<At<u64>>,
    pub(super) alerts_refusals: Option<At<bool>>,
    pub(super) ledger_keep: Option<At<Option<u64>>>,
    pub(super) audit_keep: Option<At<Option<u64>>>,
    pub(super) limits: WrittenLimits,
    pub(super) schedule: WrittenSchedule,
    pub(super) listeners: Vec<WrittenListener>,
    pub(super) routes: Vec<WrittenRoute>,
    pub(super) policies: Vec<WrittenPolicy>,
}

#[derive(Debug, Default)]
pub(super) struct WrittenApi {
    pub(super) address: Option<At<SocketAddr>>,
    pub(super) certificate: Option<At<PathBuf>>,
    pub(super) key: Option<At<PathBuf>>,
    pub(super) metrics_without_token: Option<At<bool>>,
    pub(super) requests_per_minute: Option<At<u64>>,
}

#[derive(Debug, Default)]
pub(super) struct WrittenTlsReports {
    pub(super) enabled: Option<At<bool>>,
    pub(super) organization: Option<At<String>>,
    pub(super) contact: Option<At<String>>,
    pub(super) from: Option<At<Mailbox>>,
    pub(super) dkim_domain: Option<At<Domain>>,
    pub(super) dkim_selector: Option<At<String>>,
    pub(super) dkim_key: Option<At<PathBuf>>,
    pub(super) receive: Vec<At<Mailbox>>,
}

#[derive(Debug, Default)]
pub(super) struct WrittenLimits {
    pub(super) message_size: Option<At<u64>>,
    pub(super) recipients: Option<At<u64>>,
    pub(super) connections: Option<At<u64>>,
    pub(super) connections_per_address: Option<At<u64>>,
    pub(super) idle: Option<At<u64>>,
    pub(super) deliveries: Option<At<u64>>,
    pub(super) deliveries_per_destination: Option<At<u64>>,
    pub(super) free_space: Option<At<u64>>,
}

#[derive(Debug, Default)]
pub(super) struct WrittenSchedule {
    pub(super) first_retry: Option<At<u64>>,
    pub(super) max_interval: Option<At<u64>>,
    pub(super) expire_after: Option<At<u64>>,
    pub(super) delay_notice_after: Option<At<u64>>,
    pub(super) inconclusive_repeats: Option<At<u64>>,
    pub(super) inconclusive_window: Option<At<u64>>,
    pub(super) failed_decision_retry: Option<At<u64>>,
    pub(super) failed_decision_alert_after: Option<At<u64>>,
}

#[derive(Debug)]
pub(super) struct WrittenListener {
    pub(super) name: Option<At<String>>,
    pub(super) address: Option<At<SocketAddr>>,
    pub(super) certificate: Option<At<PathBuf>>,
    pub(super) key: Option<At<PathBuf>>,
}

#[derive(Debug)]
pub(crate) struct WrittenRoute {
    pub(super) here: At<()>,
    pub(crate) name: Option<At<String>>,
    pub(super) matches: Vec<At<DomainPattern>>,
    pub(super) default: Option<At<bool>>,
    pub(super) mx: Option<At<bool>>,
    pub(super) port: Option<At<u64>>,
    pub(super) hosts: Option<Vec<WrittenHost>>,
    pub(super) tls: Option<At<bool>>,
    pub(super) require_ca_signed_certificate: Option<At<bool>>,
    pub(super) validate_hostname: Option<At<bool>>,
    pub(super) minimum_tls_version: Option<At<TlsVersion>>,
    pub(super) implicit_tls: Option<At<bool>>,
    pub(super) alternate_secure: Option<At<bool>>,
    pub(super) require_revocation_check: Option<At<bool>>,
    pub(super) roots: Option<At<Roots>>,
    pub(super) crl: Option<At<PathBuf>>,
    pub(super) cipher_suites: Option<Vec<At<String>>>,
    pub(super) client_certificate: Option<At<PathBuf>>,
    pub(super) client_key: Option<At<PathBuf>>,
    pub(super) pins: Option<Vec<At<[u8; 32]>>>,
    pub(super) auth_user: Option<At<String>>,
    pub(super) auth_password_file: Option<At<PathBuf>>,
}

#[derive(Debug)]
pub(super) struct WrittenHost {
    pub(super) host: Option<At<HostName>>,
    pub(super) port: Option<At<u64>>,
    pub(super) preference: Option<At<u64>>,
    pub(super) weight: Option<At<u64>>,
}

#[derive(Debug)]
pub(super) struct WrittenPolicy {
    pub(super) name: Option<At<String>>,
    pub(super) component: Option<At<Component>>,
    pub(super) profile: Option<At<Profile>>,
}

/// Reads the top-level table. Paths are relative to `folder`.
pub(super) fn read(file: &Table<'_>, folder: &Path) -> Written {
    let path = |text: &str| path_in(folder, text);
    let tls = file.table("tls");
    let dns = file.table("dns");
    let sts = file.table("mta-sts");
    let alerts = file.table("alerts");
    let probes = file.table("probes");
    let (ledger, audit) = (file.table("ledger"), file.table("audit"));
    Written {
        hostname: file.parsed("hostname", values::domain),
        data_directory: file.parsed("data-directory", path),
        admin_socket: file.parsed("admin-socket", path),
        api: file.table("api").map(|table| api(&table, folder)).unwrap_or_default(),
        trusted_networks: file.list("trusted-networks", str::parse),
        hosted_domains: file.list("hosted-domains", values::domain).unwrap_or_default(),
        log_level: file.parsed("log-level", log_level),
        roots: tls.as_ref().and_then(|tls| tls.parsed("roots", |text| roots(folder, text))),
        crl: tls.as_ref().and_then(|tls| tls.parsed("crl", path)),
        dns_servers: dns.as_ref().and_then(|dns| dns.list("servers", values::server_address)).unwrap_or_default(),
        dnssec: dns.as_ref().and_then(|dns| dns.parsed("dnssec", dnssec)),
        probes_lists: probes.as_ref().and_then(|probes| probes.list("lists", name)).unwrap_or_default(),
        probes_every: probes.as_ref().and_then(|probes| probes.parsed("every", duration)),
        alerts_to: alerts.as_ref().and_then(|alerts| alerts.list("to", alert_destination)).unwrap_or_default(),
        alerts_repeat_after: alerts.as_ref().and_then(|alerts| alerts.parsed("repeat-after", duration)),
        alerts_refusals: alerts.as_ref().and_then(|alerts| alerts.flag("refusals")),
        ledger_keep: ledger.as_ref().and_then(|ledger| ledger.parsed("keep", values::keep)),
        audit_keep: audit.as_ref().and_then(|audit| audit.parsed("keep", values::keep)),
        sts_enabled: sts.as_ref().and_then(|sts| sts.flag("enabled")),
        sts_port: sts.as_ref().and_then(|sts| sts.number("port", 1..=65_535)),
        tls_reports: file.table("tls-reports").map(|table| tls_reports(&table, folder)).unwrap_or_default(),
        limits: file.table("limits").map(|table| limits(&table)).unwrap_or_default(),
        schedule: file.table("schedule").map(|table| schedule(&table)).unwrap_or_default(),
        listeners: file.tables("listener").iter().map(|table| listener(table, folder)).collect(),
        routes: file.tables("route").iter().map(|table| route(table, folder)).collect(),
        policies: file.tables("policy").iter().map(|table| policy(table, folder)).collect(),
    }
}

fn dnssec(text: &str) -> Result<Dnssec, String> {
    match text {
        "auto" => Ok(Dnssec::Auto),
        "required" => Ok(Dnssec::Required),
        "off" => Ok(Dnssec::Off),
        _ => Err("must be \"auto\", \"required\" or \"off\"".to_owned()),
    }
}

fn api(table: &Table<'_>, folder: &Path) -> WrittenApi {
    WrittenApi {
        address: table.parsed("address", values::socket_address),
        certificate: table.parsed("certificate", |text| path_in(folder, text)),
        key: table.parsed("key", |text| path_in(folder, text)),
        metrics_without_token: table.flag("metrics-without-token"),
        requests_per_minute: table.number("requests-per-minute", 60..=1_000_000),
    }
}

fn tls_reports(table: &Table<'_>, folder: &Path) -> WrittenTlsReports {
    WrittenTlsReports {
        enabled: table.flag("enabled"),
        organization: table.parsed("organization-name", values::words),
        contact: table.parsed("contact", values::words),
        from: table.parsed("from", values::plain_mailbox),
        dkim_domain: table.parsed("dkim-domain", values::domain),
        dkim_selector: table.parsed("dkim-selector", values::selector),
        dkim_key: table.parsed("dkim-key", |text| path_in(folder, text)),
        receive: table.list("receive", values::plain_mailbox).unwrap_or_default(),
    }
}

fn limits(table: &Table<'_>) -> WrittenLimits {
    WrittenLimits {
        message_size: table.octets("message-size", 65_536..=1 << 40),
        recipients: table.number("recipients", 1..=100_000),
        connections: table.number("connections", 1..=1_000_000),
        connections_per_address: table.number("connections-per-address", 1..=1_000_000),
        idle: table.parsed("idle", duration),
        deliveries: table.number("deliveries", 1..=100_000),
        deliveries_per_destination: table.number("deliveries-per-destination", 1..=100_000),
        free_space: table.octets("free-space", 0..=1 << 50),
    }
}

fn schedule(table: &Table<'_>) -> WrittenSchedule {
    WrittenSchedule {
        first_retry: table.parsed("first-retry", duration),
        max_interval: table.parsed("max-interval", duration),
        expire_after: table.parsed("expire-after", duration),
        delay_notice_after: table.parsed("delay-notice-after", values::seconds),
        inconclusive_repeats: table.number("inconclusive-repeats", 0..=1000),
        inconclusive_window: table.parsed("inconclusive-window", values::seconds),
        failed_decision_retry: table.parsed("failed-decision-retry", duration),
        failed_decision_alert_after: table.parsed("failed-decision-alert-after", duration),
    }
}

fn alert_destination(text: &str) -> Result<Destination, String> {
    text.parse().map_err(|_| "is neither \"mailto:MAILBOX\" nor \"https://HOST/PATH\"".to_owned())
}

fn listener(table: &Table<'_>, folder: &Path) -> WrittenListener {
    WrittenListener {
        name: table.required("name", "needs a name, such as name = \"main\"", name),
        address: table.required(
            "address",
            "needs an address, such as address = \"0.0.0.0:25\"",
            values::socket_address,
        ),
        certificate: table.parsed("certificate", |text| path_in(folder, text)),
        key: table.parsed("key", |text| path_in(folder, text)),
    }
}

/// One of `[[route]]`.
pub(crate) fn route(table: &Table<'_>, folder: &Path) -> WrittenRoute {
    WrittenRoute {
        here: table.here(),
        name: table.required("name", "needs a name, such as name = \"main\"", name),
        matches: table.list("match", values::pattern).unwrap_or_default(),
        default: table.flag("default"),
        mx: table.flag("mx"),
        port: table.number("port", 1..=65_535),
        hosts: table.value("hosts").map(|_| table.tables("hosts").iter().map(host).collect()),
        tls: table.parsed("tls", |text| match text {
            "required" => Ok(true),
            "opportunistic" => Ok(false),
            _ => Err("must be \"opportunistic\" or \"required\"".to_owned()),
        }),
        require_ca_signed_certificate: table.flag("require-ca-signed-certificate"),
        validate_hostname: table.flag("validate-hostname"),
        minimum_tls_version: table.parsed("minimum-tls-version", values::tls_version),
        implicit_tls: table.flag("implicit-tls"),
        alternate_secure: table.flag("alternate-secure"),
        require_revocation_check: table.flag("require-revocation-check"),
        roots: table.parsed("roots", |text| roots(folder, text)),
        crl: table.parsed("crl", |text| path_in(folder, text)),
        cipher_suites: table.some_of("cipher-suites", values::cipher_suite),
        client_certificate: table.parsed("client-certificate", |text| path_in(folder, text)),
        client_key: table.parsed("client-key", |text| path_in(folder, text)),
        pins: table.some_of("pins", values::pin),
        auth_user: table.text("auth-user"),
        auth_password_file: table.parsed("auth-password-file", |text| path_in(folder, text)),
    }
}

fn host(table: &Table<'_>) -> WrittenHost {
    WrittenHost {
        host: table.required("host", "needs host = \"NAME\"", values::host),
        port: table.number("port", 1..=65_535),
        preference: table.number("preference", 0..=65_535),
        weight: table.number("weight", 1..=65_535),
    }
}

fn policy(table: &Table<'_>, folder: &Path) -> WrittenPolicy {
    WrittenPolicy {
        name: table.required("name", "needs a name, such as name = \"main\"", name),
        component: table.required("component", MISSING_COMPONENT, |text| match text.strip_prefix("builtin:") {
            Some(name) => Ok(Component::Builtin(name.to_owned())),
            None => path_in(folder, text).map(Component::File),
        }),
        profile: table.parsed("profile", |text| match text {
            "native" => Ok(Profile::Native),
            "scripted" => Ok(Profile::Scripted),
            _ => Err("must be \"native\" or \"scripted\"".to_owned()),
        }),
    }
}

fn path_in(folder: &Path, text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("is no path".to_owned()) } else { Ok(folder.join(text)) }
}

fn roots(folder: &Path, text: &str) -> Result<Roots, String> {
    if text == "system" { Ok(Roots::System) } else { path_in(folder, text).map(Roots::File) }
}

fn log_level(text: &str) -> Result<LogLevel, String> {
    let levels = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
    let level = levels.into_iter().find(|level| level.as_str() == text);
    level.ok_or_else(|| "must be error, warn, info, debug or trace".to_owned())
}

/// Names stand in replies, log lines and metrics: short, plain, one word.
fn name(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !text.is_empty() && text.len() <= 64 && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    Err("is no name here; use 1 to 64 of a-z, 0-9 and -".to_owned())
}

fn duration(text: &str) -> Result<u64, String> {
    match values::seconds(text)? {
        secs @ 1..=LONGEST_SECS => Ok(secs),
        _ => Err("must be from 1s to 365d".to_owned()),
    }
}
