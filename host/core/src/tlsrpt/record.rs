//! The TXT record of `_smtp._tls.DOMAIN` (§3): where reports about the domain go.

use std::fmt;
use std::str::FromStr;

use crate::address::{Domain, Mailbox};

/// Destinations of one record that count, the first ones: each costs a message or a request a day.
const DESTINATIONS_MAX: usize = 10;
/// The longest path of a URL.
const PATH_MAX: usize = 2048;
/// Of HTTPS.
const HTTPS_PORT: u16 = 443;

/// Where a report goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// `mailto:`; what follows the mailbox (subject and the like) does not count.
    Mail(Mailbox),
    /// `https:`, by POST (§5.4).
    Https(Url),
}

/// An `https` URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    /// A name: the web's certificates name no addresses worth having here.
    pub host: Domain,
    /// 443 where the URL names none.
    pub port: u16,
    /// With its query; begins with `/`.
    pub path: String,
}

/// Where the domain with these records wants its reports; none: it wants none.
///
/// Records that do not begin with `v=TLSRPTv1;` do not count, and of those that do there must be exactly one. Fields that are
/// unknown are passed over, and so is a destination of another scheme.
pub fn destinations(records: &[Vec<u8>]) -> Vec<Destination> {
    let mut counting = records.iter().filter_map(|record| fields_of_record(record));
    let (Some(fields), None) = (counting.next(), counting.next()) else { return Vec::new() };
    let mut rua = None;
    // The delimiter may end the record; nothing else may be empty.
    for field in fields.strip_suffix(';').unwrap_or(fields).split(';') {
        let Some((name, value)) = field.trim_matches([' ', '\t']).split_once('=') else { return Vec::new() };
        if name == "rua" {
            rua.get_or_insert(value);
        }
    }
    let uris = rua.unwrap_or_default().split(',').map(|uri| uri.trim_matches([' ', '\t']));
    let mut found: Vec<Destination> = Vec::new();
    for destination in uris.filter_map(|uri| uri.parse().ok()) {
        if found.len() < DESTINATIONS_MAX && !found.contains(&destination) {
            found.push(destination);
        }
    }
    found
}

/// What follows `v=TLSRPTv1;`.
fn fields_of_record(record: &[u8]) -> Option<&str> {
    let rest = std::str::from_utf8(record).ok()?.strip_prefix("v=TLSRPTv1")?;
    Some(rest.trim_start_matches([' ', '\t']).strip_prefix(';')?.trim_end_matches([' ', '\t']))
}

/// A text that is no destination for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoDestination;

impl fmt::Display for NoDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("reports go to mailto:MAILBOX or https://HOST/PATH")
    }
}

impl std::error::Error for NoDestination {}

impl FromStr for Destination {
    type Err = NoDestination;

    fn from_str(uri: &str) -> Result<Destination, NoDestination> {
        let (scheme, rest) = uri.split_once(':').ok_or(NoDestination)?;
        if scheme.eq_ignore_ascii_case("mailto") {
            let mailbox = decoded(rest.split('?').next().unwrap_or_default()).ok_or(NoDestination)?;
            return Mailbox::parse(&mailbox).map(Destination::Mail).map_err(|_| NoDestination);
        }
        if scheme.eq_ignore_ascii_case("https") {
            return url(rest.strip_prefix("//").ok_or(NoDestination)?).map(Destination::Https).ok_or(NoDestination);
        }
        Err(NoDestination)
    }
}

/// What follows `https://`. Nobody logs in, and a fragment is not sent.
fn url(rest: &str) -> Option<Url> {
    let rest = rest.split('#').next()?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (host, port) = match authority.split_once(':') {
        Some((host, "")) => (host, HTTPS_PORT),
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, port.parse().ok()?),
        Some(_) => return None,
        None => (authority, HTTPS_PORT),
    };
    let host = Domain::parse(host).ok()?;
    let is_address = host.is_literal() || host.as_str().parse::<std::net::IpAddr>().is_ok();
    if is_address || port == 0 || path.len() > PATH_MAX || !path.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Some(Url { host, port, path })
}

/// Percent-encoding taken out (RFC 3986 §2.1); None where it is none, or holds more than printable ASCII.
fn decoded(text: &str) -> Option<String> {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'%' {
            octets.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        octets.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    // Others want SMTPUTF8 of every host on the way.
    String::from_utf8(octets).ok().filter(|text| text.bytes().all(|b| (b' '..=b'~').contains(&b)))
}

/// As a record writes it: what is read back is the same.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Mail(mailbox) => {
                f.write_str("mailto:")?;
                mailbox.to_string().bytes().try_for_each(|octet| match octet {
                    b'@' | b'+' | b'=' | b'-' | b'.' | b'_' | b'~' => write!(f, "{}", char::from(octet)),
                    _ if octet.is_ascii_alphanumeric() => write!(f, "{}", char::from(octet)),
                    _ => write!(f, "%{octet:02X}"),
                })
            }
            Destination::Https(url) => url.fmt(f),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.host)?;
        if self.port != HTTPS_PORT {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_record_sends_reports() {
        let rows: [(&[&str], &[&str]); 26] = [
            (&["v=TLSRPTv1;rua=mailto:reports@example.com"], &["mailto:reports@example.com"]),
            (
                &["v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt"],
                &["https://reporting.example.com/v1/tlsrpt"],
            ),
            (
                &["v=TLSRPTv1 ;\trua=mailto:a@b.test , https://c.test:8443/?x=1;"],
                &["mailto:a@b.test", "https://c.test:8443/?x=1"],
            ),
            (&["v=TLSRPTv1; x.y_z=1; rua=MAILTO:a@B.test; new=yes; "], &["mailto:a@b.test"]),
            (&["v=TLSRPTv1; rua=mailto:a@b.test?subject=x"], &["mailto:a@b.test"]),
            (&["v=TLSRPTv1; rua=mailto:a%2cb%21@b.test"], &[]),
            (&["v=TLSRPTv1; rua=mailto:a%21b%2541@b.test"], &["mailto:a%21b%2541@b.test"]),
            (&["v=TLSRPTv1; rua=mailto:a@b.test,mailto:a@b.test"], &["mailto:a@b.test"]),
            (&["v=TLSRPTv1; rua=mailto:a@b.test; rua=mailto:c@d.test"], &["mailto:a@b.test"]),
            // What cannot be sent to does not spoil what can.
            (&["v=TLSRPTv1; rua=ftp://x.test/,http://x.test/,mailto:,mailto:a@b.test"], &["mailto:a@b.test"]),
            (&["v=TLSRPTv1; rua=https://u@x.test/,https://[::1]/,https://192.0.2.1/,https://x.test:0/"], &[]),
            (&["v=TLSRPTv1; rua=https://x.test#f,https:x.test"], &["https://x.test/"]),
            // Others beside it do not count; a second of the kind does.
            (
                &["v=spf1 -all", "v=TLSRPTv1; rua=mailto:a@b.test", "v=TLSRPTv10; rua=mailto:c@d.test"],
                &["mailto:a@b.test"],
            ),
            (&["v=TLSRPTv1; rua=mailto:a@b.test", "v=TLSRPTv1; rua=mailto:a@b.test"], &[]),
            (&["v=TLSRPTv1; rua=mailto:a@b.test", "v=TLSRPTv1;"], &[]),
            (&[], &[]),
            (&["v=TLSRPTv1"], &[]),
            (&["v=TLSRPTv1;"], &[]),
            (&["v=TLSRPTv1; rua="], &[]),
            (&["v=TLSRPTv1; nonsense; rua=mailto:a@b.test"], &[]),
            (&["v=TLSRPTv1;; rua=mailto:a@b.test"], &[]),
            (&["V=TLSRPTv1; rua=mailto:a@b.test"], &[]),
            (&["v=tlsrptv1; rua=mailto:a@b.test"], &[]),
            (&[" v=TLSRPTv1; rua=mailto:a@b.test"], &[]),
            (&["v=TLSRPTv1; rua=mailto:a%0d%0ab@b.test"], &[]),
            (&["v=TLSRPTv1; rua=mailto:a%zzb@b.test"], &[]),
        ];
        for (records, expected) in rows {
            let octets: Vec<Vec<u8>> = records.iter().map(|record| record.as_bytes().to_vec()).collect();
            let found: Vec<String> = destinations(&octets).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{records:?}");
        }
        assert_eq!(destinations(&[b"v=TLSRPTv1; rua=mailto:\xff@b.test".to_vec()]), []);
    }

    #[test]
    fn a_destination_reads_as_it_was_written() {
        for text in [
            "mailto:a+c@b.test",
            "mailto:%22a%20%25%3F%22@b.test",
            "https://b.test/",
            "https://b.test:8443/x?y=%20",
            "ftp://b.test/",
        ] {
            let read = text.parse::<Destination>();
            assert_eq!(read.map(|to| to.to_string()).ok().as_deref(), (!text.starts_with("ftp")).then_some(text));
        }
    }

    #[test]
    fn of_many_destinations_the_first_count() {
        let many: Vec<String> = (0..99).map(|n| format!("mailto:{n}@b.test")).collect();
        let record = format!("v=TLSRPTv1; rua={}", many.join(","));
        let found = destinations(&[record.into_bytes()]);
        assert_eq!(found.len(), DESTINATIONS_MAX);
        assert_eq!(found[9].to_string(), many[9]);
    }
}
