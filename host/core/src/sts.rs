//! MTA-STS (RFC 8461): what a domain's record and policy say, and which hosts the policy covers.
//!
//! Records and policies are fetched elsewhere; here they are read. A policy joins a host's floor before that host is connected,
//! and can only raise it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::address::Domain;

/// The longest a policy may hold, seconds (§3.2).
pub const MAX_AGE_MAX: u64 = 31_557_600;
/// Octets of a policy that are read: §3.3 suggests 64 kilobytes.
pub const POLICY_OCTETS_MAX: usize = 65_536;
/// Hosts of a policy that count, the first ones: ten times what the largest receivers list. Policies are kept in memory.
const MX_MAX: usize = 256;

/// The id of the policy that the TXT records of `_mta-sts.DOMAIN` announce; None: the domain has no policy to offer.
///
/// Records that do not begin with `v=STSv1;` do not count, and of those that do there must be exactly one (§3.1).
pub fn record_id(records: &[Vec<u8>]) -> Option<String> {
    let mut counting = records.iter().filter_map(|record| fields_of_record(record));
    let fields = counting.next()?;
    if counting.next().is_some() {
        return None;
    }
    let mut id = None;
    // The delimiter may end the record; nothing else may be empty.
    for field in fields.strip_suffix(';').unwrap_or(fields).split(';') {
        let (name, value) = field.trim_matches([' ', '\t']).split_once('=')?;
        if name == "id" && id.is_none() {
            id = Some(value);
        }
    }
    let id = id?;
    let is_id = (1..=32).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_alphanumeric());
    is_id.then(|| id.to_owned())
}

/// What follows `v=STSv1;`.
fn fields_of_record(record: &[u8]) -> Option<&str> {
    let rest = std::str::from_utf8(record).ok()?.strip_prefix("v=STSv1")?;
    Some(rest.trim_start_matches([' ', '\t']).strip_prefix(';')?.trim_end_matches([' ', '\t']))
}

/// What a sender is to do about hosts that the policy does not cover, or whose TLS does not do (§5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Not deliver.
    Enforce,
    /// Deliver, and report.
    Testing,
    /// Nothing: the domain takes its policy back.
    None,
}

/// A policy, as `https://mta-sts.DOMAIN/.well-known/mta-sts.txt` gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StsPolicy {
    /// What a failure leads to.
    pub mode: Mode,
    /// Seconds that it holds from when it was fetched; at most [`MAX_AGE_MAX`].
    pub max_age: u64,
    /// At least one, but where `mode` is none.
    pub mx: Vec<MxPattern>,
}

/// A host, or all hosts one label below a domain (§4.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum MxPattern {
    /// This host.
    Host(Domain),
    /// `*.domain`: exactly one label more.
    OneBelow(Domain),
}

/// Why octets are no policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyFault {
    /// More than [`POLICY_OCTETS_MAX`], or no UTF-8.
    NoText,
    /// A line without a colon.
    Line(String),
    /// `version` is missing or not `STSv1`.
    Version,
    /// `mode` is missing or none of the three.
    Mode,
    /// `max_age` is missing or no number.
    MaxAge,
    /// No host that could be one.
    NoMx,
}

impl StsPolicy {
    /// Reads it (§3.2). A key that is unknown is passed over; of a key that comes twice the first counts, but for `mx`.
    pub fn parse(octets: &[u8]) -> Result<StsPolicy, PolicyFault> {
        if octets.len() > POLICY_OCTETS_MAX {
            return Err(PolicyFault::NoText);
        }
        let text = std::str::from_utf8(octets).map_err(|_| PolicyFault::NoText)?;
        let (mut version, mut mode, mut max_age, mut mx) = (None, None, None, Vec::new());
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (key, value) =
                line.split_once(':').ok_or_else(|| PolicyFault::Line(line.chars().take(80).collect()))?;
            let value = value.trim();
            match key.trim_end() {
                "version" => drop(version.get_or_insert(value)),
                "mode" => drop(mode.get_or_insert(value)),
                "max_age" => drop(max_age.get_or_insert(value)),
                // What can be no host's name, an address or an empty one, covers none; the others count.
                "mx" if mx.len() < MX_MAX => mx.extend(value.parse::<MxPattern>()),
                _ => {}
            }
        }
        if version != Some("STSv1") {
            return Err(PolicyFault::Version);
        }
        let mode = match mode {
            Some("enforce") => Mode::Enforce,
            Some("testing") => Mode::Testing,
            Some("none") => Mode::None,
            _ => return Err(PolicyFault::Mode),
        };
        let is_number = |text: &&str| (1..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let max_age: u64 = max_age.filter(is_number).and_then(|text| text.parse().ok()).ok_or(PolicyFault::MaxAge)?;
        if mx.is_empty() && mode != Mode::None {
            return Err(PolicyFault::NoMx);
        }
        Ok(StsPolicy { mode, max_age: max_age.min(MAX_AGE_MAX), mx })
    }

    /// The policy lists this host.
    pub fn covers(&self, host: &Domain) -> bool {
        self.mx.iter().any(|pattern| pattern.matches(host))
    }
}

impl MxPattern {
    fn matches(&self, host: &Domain) -> bool {
        match self {
            MxPattern::Host(listed) => listed == host,
            MxPattern::OneBelow(domain) => host.parents().next() == Some(domain.as_str()),
        }
    }
}

/// A text that is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPattern;

impl fmt::Display for NoPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an mx pattern is a host's name, or `*.` and a domain")
    }
}

impl std::error::Error for NoPattern {}

impl std::str::FromStr for MxPattern {
    type Err = NoPattern;

    fn from_str(text: &str) -> Result<MxPattern, NoPattern> {
        let name = |text: &str| {
            let domain = Domain::parse(text).map_err(|_| NoPattern)?;
            let is_address = domain.is_literal() || text.parse::<std::net::IpAddr>().is_ok();
            if is_address { Err(NoPattern) } else { Ok(domain) }
        };
        match text.strip_prefix("*.") {
            Some(parent) => name(parent).map(MxPattern::OneBelow),
            None => name(text).map(MxPattern::Host),
        }
    }
}

impl fmt::Display for MxPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MxPattern::Host(host) => host.fmt(f),
            MxPattern::OneBelow(domain) => write!(f, "*.{domain}"),
        }
    }
}

impl TryFrom<String> for MxPattern {
    type Error = NoPattern;

    fn try_from(text: String) -> Result<MxPattern, NoPattern> {
        text.parse()
    }
}

impl From<MxPattern> for String {
    fn from(pattern: MxPattern) -> String {
        pattern.to_string()
    }
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PolicyFault::NoText => write!(f, "it is no text of at most {POLICY_OCTETS_MAX} octets"),
            PolicyFault::Line(line) => write!(f, "a line has no colon: {:.80}", line.escape_debug().to_string()),
            PolicyFault::Version => f.write_str("its version is not STSv1"),
            PolicyFault::Mode => f.write_str("its mode is not enforce, testing or none"),
            PolicyFault::MaxAge => f.write_str("its max_age is no number of seconds"),
            PolicyFault::NoMx => f.write_str("it lists no host (mx)"),
        }
    }
}

impl std::error::Error for PolicyFault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_record_announces_a_policy() {
        let rows: [(&[&str], Option<&str>); 22] = [
            (&["v=STSv1; id=20160831085700Z;"], Some("20160831085700Z")),
            (&["v=STSv1;id=a"], Some("a")),
            (&["v=STSv1 ;\tid=a ; "], Some("a")),
            (&["v=STSv1; x=1; id=b; y=;"], Some("b")),
            (&["v=STSv1; id=first; id=second"], Some("first")),
            // Others beside it do not count; a second of the kind does.
            (&["v=spf1 -all", "v=STSv1; id=c;", "v=STSv10; id=d;"], Some("c")),
            (&["v=STSv1; id=a;", "v=STSv1; id=a;"], None),
            (&["v=STSv1; id=a;", "v=STSv1; broken"], None),
            (&[], None),
            (&[""], None),
            (&["v=STSv1"], None),
            (&["v=STSv1;"], None),
            (&["v=STSv2; id=a"], None),
            (&["V=STSv1; id=a"], None),
            (&[" v=STSv1; id=a"], None),
            (&["v=STSv1; id="], None),
            (&["v=STSv1; id=a b"], None),
            (&["v=STSv1; id=a-b"], None),
            (&["v=STSv1;; id=a"], None),
            (&["v=STSv1; id=12345678901234567890123456789012"], Some("12345678901234567890123456789012")),
            (&["v=STSv1; id=123456789012345678901234567890123"], None),
            (&["v=STSv1; id=\u{e9}"], None),
        ];
        for (records, expected) in rows {
            let octets: Vec<Vec<u8>> = records.iter().map(|record| record.as_bytes().to_vec()).collect();
            assert_eq!(record_id(&octets).as_deref(), expected, "{records:?}");
        }
        assert_eq!(record_id(&[b"v=STSv1; id=\xff".to_vec()]), None);
    }

    #[test]
    fn a_policy_is_read_or_its_fault_is_named() {
        let policy = |mode, max_age, mx: &[&str]| {
            Ok(StsPolicy { mode, max_age, mx: mx.iter().map(|text| text.parse().expect("a pattern")).collect() })
        };
        use Mode::{Enforce, None, Testing};
        let head = "version: STSv1\nmode: enforce\n";
        let many = format!("{head}max_age: 1\n{}", "mx: a.test\n".repeat(6000));
        let rows = [
            (
                format!("{head}mx: a.test\nmx: *.b.test\nmax_age: 86400\n"),
                policy(Enforce, 86400, &["a.test", "*.b.test"]),
            ),
            ("version:STSv1\r\nmode:testing\r\nmx:A.Test.\r\nmax_age:1".into(), policy(Testing, 1, &["a.test"])),
            ("\n version : STSv1 \n\nmax_age: 0\nmode: none\n".into(), policy(None, 0, &[])),
            (format!("{head}mode: none\nmax_age: 1\nmax_age: 2\nx: y\nmx: a.test\n"), policy(Enforce, 1, &["a.test"])),
            (format!("{head}max_age: 9999999999\nmx: a.test\n"), policy(Enforce, MAX_AGE_MAX, &["a.test"])),
            (format!("{head}max_age: 1\nmx: b\u{fc}cher.test\n"), policy(Enforce, 1, &["xn--bcher-kva.test"])),
            // What can be no host covers none.
            (
                format!("{head}max_age: 1\nmx: 192.0.2.1\nmx: [192.0.2.1]\nmx:\nmx: *\nmx: a.*.test\nmx: a.test\n"),
                policy(Enforce, 1, &["a.test"]),
            ),
            (format!("{head}max_age: 1\nmx: 192.0.2.1\nmx: ::1\n"), Err(PolicyFault::NoMx)),
            (format!("{head}max_age: 1\n"), Err(PolicyFault::NoMx)),
            (format!("{head}max_age: -1\nmx: a.test"), Err(PolicyFault::MaxAge)),
            (format!("{head}max_age: 12345678901\nmx: a.test"), Err(PolicyFault::MaxAge)),
            (format!("{head}mx: a.test"), Err(PolicyFault::MaxAge)),
            ("version: STSv1\nmode: Enforce\nmax_age: 1\nmx: a.test".into(), Err(PolicyFault::Mode)),
            ("version: STSv1\nmax_age: 1\nmx: a.test".into(), Err(PolicyFault::Mode)),
            ("version: STSv2\nmode: none\nmax_age: 1".into(), Err(PolicyFault::Version)),
            ("mode: none\nmax_age: 1".into(), Err(PolicyFault::Version)),
            (String::new(), Err(PolicyFault::Version)),
            ("<html>\nversion: STSv1".into(), Err(PolicyFault::Line("<html>".into()))),
            (many, Err(PolicyFault::NoText)),
        ];
        for (text, expected) in rows {
            assert_eq!(StsPolicy::parse(text.as_bytes()), expected, "{text:.200}");
        }
        assert_eq!(StsPolicy::parse(b"version: STSv1\nx: \xff"), Err(PolicyFault::NoText));
    }

    #[test]
    fn a_pattern_covers_one_host_or_one_label() {
        let rows = [
            ("mx.a.test", "mx.a.test", true),
            ("mx.a.test", "MX.A.Test.", true),
            ("mx.a.test", "mx2.a.test", false),
            ("a.test", "mx.a.test", false),
            ("*.a.test", "mx.a.test", true),
            ("*.a.test", "a.test", false),
            ("*.a.test", "mx.mx.a.test", false),
            ("*.a.test", "mxa.test", false),
            ("*.b\u{fc}cher.test", "mx.xn--bcher-kva.test", true),
        ];
        for (pattern, host, expected) in rows {
            let policy = StsPolicy { mode: Mode::Enforce, max_age: 1, mx: vec![pattern.parse().expect("a pattern")] };
            assert_eq!(policy.covers(&Domain::parse(host).expect("a host")), expected, "{pattern} and {host}");
        }
    }
}
