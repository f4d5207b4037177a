//! Values that TOML has no type for: durations, octets, networks, patterns of domains, endpoints.
//!
//! Each parser answers in a sentence that says what would be right.

use std::net::{IpAddr, SocketAddr};

use sealwire_core::address::{Domain, Mailbox};
use sealwire_core::facts::TlsVersion;
use sealwire_core::plan::{DomainPattern, HostName};

/// Which recipients' domains a route is for.
pub fn pattern(text: &str) -> Result<DomainPattern, String> {
    text.parse().map_err(|_| "is no domain; write example.com, or *.example.com for all below it".to_owned())
}

/// A cipher suite that the relay speaks, by IANA name.
pub fn cipher_suite(text: &str) -> Result<String, String> {
    let known = crate::tls::cipher_suites();
    if known.iter().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    Err(format!("is no cipher suite that the relay speaks; those are {}", known.join(", ")))
}

/// A pinned key: the digest of a SubjectPublicKeyInfo.
pub fn pin(text: &str) -> Result<[u8; 32], String> {
    let wrong = || "is no pin; write sha256: and the 64 hexadecimal digits of the key's SHA-256 digest".to_owned();
    let digits =
        text.strip_prefix("sha256:").filter(|digits| digits.len() == 64 && digits.is_ascii()).ok_or_else(wrong)?;
    let mut digest = [0; 32];
    for (octet, pair) in digest.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
        *octet = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(wrong)?;
    }
    Ok(digest)
}

/// A domain.
pub fn domain(text: &str) -> Result<Domain, String> {
    Domain::parse(text).map_err(|_| "is not a valid domain; write one such as mail.example.com".to_owned())
}

/// A mailbox.
pub fn mailbox(text: &str) -> Result<Mailbox, String> {
    Mailbox::parse(text).map_err(|_| "is no mailbox; write one such as ann@example.com".to_owned())
}

/// A mailbox that every mail server takes.
pub fn plain_mailbox(text: &str) -> Result<Mailbox, String> {
    let mailbox = Mailbox::parse(text).ok().filter(|mailbox| mailbox.to_string().is_ascii());
    mailbox.ok_or_else(|| "is no mailbox in ASCII; write one such as tls-reports@example.com".to_owned())
}

/// A name or an address for people, on one line.
pub fn words(text: &str) -> Result<String, String> {
    let plain = !text.trim().is_empty() && text.len() <= 200 && !text.chars().any(char::is_control);
    if plain { Ok(text.to_owned()) } else { Err("must be 1 to 200 octets of text on one line".to_owned()) }
}

/// A selector of DKIM: labels of the DNS (RFC 6376 §3.1).
pub fn selector(text: &str) -> Result<String, String> {
    match Domain::parse(text) {
        Ok(name) if !name.is_literal() => Ok(name.to_string()),
        _ => Err("is no selector; write one such as tlsrpt2026".to_owned()),
    }
}

/// A next hop: a host name, or an address with or without brackets.
pub fn host(text: &str) -> Result<HostName, String> {
    text.parse().map_err(|_| "is neither a host name nor an address".to_owned())
}

/// An address to listen on.
pub fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "is no address with a port; write one such as 127.0.0.1:25 or [::1]:25".to_owned())
}

/// An address whose port may be left out.
pub fn server_address(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(SocketAddr::new(address, 53)),
        Err(_) => text.parse().map_err(|_| "is no address; write one such as 127.0.0.1 or 127.0.0.1:5353".to_owned()),
    }
}

/// `1.2` or `1.3`.
pub fn tls_version(text: &str) -> Result<TlsVersion, String> {
    match text {
        "1.2" => Ok(TlsVersion::TLS12),
        "1.3" => Ok(TlsVersion::TLS13),
        _ => Err("must be \"1.2\" or \"1.3\"; older versions are never spoken (RFC 8996)".to_owned()),
    }
}

/// Seconds of `90s`, `5m`, `1h30m`, `5d`.
pub fn seconds(text: &str) -> Result<u64, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    sum(text, |unit| units.iter().find(|(name, _)| *name.to_string() == *unit).map(|(_, factor)| *factor))
        .ok_or_else(|| "is no duration; write one such as 90s, 5m, 1h30m or 5d".to_owned())
}

/// How long records are kept, in seconds, of `90d` or `10y`, a year being 365 days; None of `forever`.
pub fn keep(text: &str) -> Result<Option<u64>, String> {
    let units = [("d", 86_400), ("y", 365 * 86_400)];
    let secs = || sum(text, |unit| units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor));
    match text {
        "forever" => Ok(None),
        _ => secs().filter(|secs| *secs > 0).map(Some).ok_or_else(|| {
            "is no time to keep records; write forever, or days and years such as 90d or 10y".to_owned()
        }),
    }
}

/// Octets of `500kB`, `50MB`, `50MiB`.
pub fn octets(text: &str) -> Result<u64, String> {
    let units = [("kB", 1000), ("MB", 1_000_000), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    sum(text, |unit| units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor))
        .ok_or_else(|| "is no size; write octets as a number, or such as 500kB, 50MB or 50MiB".to_owned())
}

/// The sum of number and unit, number and unit ...
fn sum(text: &str, factor: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    let (mut rest, mut total) = (text.trim(), 0u64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, behind) = rest.split_at(digits);
        let behind = behind.trim_start();
        let (unit, behind) = behind.split_at(behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len()));
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(factor(unit)?)?)?;
        rest = behind.trim_start();
    }
    (!text.trim().is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use sealwire_core::network::Network;

    use super::*;

    #[test]
    fn durations_and_sizes() {
        let rows = [("90s", Some(90)), ("5m", Some(300)), ("1h30m", Some(5400)), ("1h 30m", Some(5400))];
        let wrong = [("5d", Some(432_000)), ("", None), ("5", None), ("m", None), ("5w", None), ("-5m", None)];
        for (text, expected) in rows.into_iter().chain(wrong) {
            assert_eq!(seconds(text).ok(), expected, "{text:?}");
        }
        for (text, expected) in
            [("50MiB", Some(52_428_800)), ("1 kB", Some(1000)), ("5 apples", None), ("99999999GiB99999999999GiB", None)]
        {
            assert_eq!(octets(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn records_are_kept_for_days_and_years_or_forever() {
        let rows = [("forever", Ok(None)), ("90d", Ok(Some(7_776_000))), ("10y", Ok(Some(315_360_000)))];
        for (text, expected) in rows {
            assert_eq!(keep(text), expected, "{text}");
        }
        for wrong in ["", "0d", "90", "90s", "ever", "99999999999999999999y"] {
            assert!(keep(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn networks() {
        let rows = [
            ("127.0.0.0/8", "127.1.2.3", true),
            ("127.0.0.0/8", "::ffff:127.1.2.3", true),
            ("127.0.0.0/8", "128.0.0.1", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("::1", "::1", true),
        ];
        for (network, address, expected) in rows {
            let network: Network = network.parse().expect("a network");
            assert_eq!(network.contains(address.parse().expect("an address")), expected, "{network} {address}");
        }
        for wrong in ["10.1.2.3/8", "10.0.0.0/33", "10.0.0.0/-1", "ten", ""] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn patterns_and_addresses() {
        assert!(pattern("*.example.org").is_ok() && pattern("Example.org").is_ok());
        assert!(pattern("*").is_err() && pattern("@example.org").is_err());
        assert_eq!(server_address("::1").map(|a| a.port()), Ok(53));
        assert!(socket_address("127.0.0.1").is_err());
    }
}
