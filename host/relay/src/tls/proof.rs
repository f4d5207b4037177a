//! What a completed handshake of ours as client proves: version, suite, group, chain, name and revocation, each on its own.

use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, CipherSuite, ClientConnection, CommonState, Error};
use sealwire_core::facts::{ChainVerdict, Handshake, RevocationStatus, TlsVersion};

use super::dane::{DaneCheck, Verifying, met};
use super::{Connector, read_certificate, revocation};

/// Reads a completed handshake. `host` is the name connected to (or the text of an address), `dane` what its TLSA records
/// ask, `now` seconds since the Unix epoch; an expired certificate is judged by it.
pub fn client_side(
    connector: &Connector,
    connection: &ClientConnection,
    host: &ServerName<'_>,
    dane: Option<&DaneCheck>,
    implicit: bool,
    now: u64,
) -> Handshake {
    let presented = connection.peer_certificates().unwrap_or_default();
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now));
    let algorithms = connector.provider.signature_verification_algorithms.all;
    let verifying = Verifying { algorithms, now };
    let (chain, name_matches) = judge(connector, presented, host, &verifying);
    // By the name that the handshake was begun with (RFC 7672 §8.1).
    let base = dane.and_then(|check| ServerName::try_from(check.base.as_str()).ok());
    let staple = presented.first().and_then(|first| connector.staples.of(base.as_ref().unwrap_or(host), first));
    let revocation = match chain {
        ChainVerdict::Trusted => {
            revocation::status(presented, &connector.roots, &connector.lists, staple.as_deref(), &verifying)
        }
        _ => RevocationStatus::Unknown,
    };
    // RFC 8460 §4.3 has no word of its own for it; this one covers what is wrong with a chain.
    let chain = if revocation == RevocationStatus::Revoked { ChainVerdict::CertificateNotTrusted } else { chain };
    let server_name = match (dane, host) {
        (Some(check), _) => Some(check.base.clone()),
        (None, ServerName::DnsName(name)) => Some(name.as_ref().to_owned()),
        _ => None,
    };
    Handshake {
        server_name,
        implicit,
        chain,
        name_matches,
        certificates: presented.iter().map(read_certificate).collect(),
        dane: dane.and_then(|check| met(check, presented, &verifying)),
        revocation,
        ..negotiated(connection)
    }
}

/// The suites that the relay speaks, by IANA name, best first.
pub fn cipher_suites() -> Vec<String> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.cipher_suites.iter().map(|suite| iana_name(suite.suite())).collect()
}

/// rustls writes TLS13_ where IANA's registry writes TLS_.
pub(super) fn iana_name(suite: CipherSuite) -> String {
    suite.as_str().unwrap_or("unknown").replacen("TLS13_", "TLS_", 1)
}

/// The part both sides read alike; no certificate was judged.
pub(super) fn negotiated(connection: &CommonState) -> Handshake {
    let version = connection.protocol_version().map_or(0, u16::from);
    let suite = connection.negotiated_cipher_suite().map(|s| s.suite());
    let group = connection.negotiated_key_exchange_group().map(|g| format!("{:?}", g.name()));
    Handshake {
        version: TlsVersion(version),
        cipher_suite: suite.map_or_else(|| "unknown".to_owned(), iana_name),
        // IANA writes the curves of RFC 8422 and RFC 7919 in lower case.
        key_exchange: group.map_or_else(String::new, |g| if g.contains("MLKEM") { g } else { g.to_lowercase() }),
        server_name: None,
        implicit: false,
        resumed: connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
        chain: ChainVerdict::None,
        name_matches: false,
        certificates: Vec::new(),
        dane: None,
        revocation: RevocationStatus::Unknown,
    }
}

fn judge(
    connector: &Connector,
    presented: &[CertificateDer<'_>],
    host: &ServerName<'_>,
    verifying: &Verifying<'_>,
) -> (ChainVerdict, bool) {
    let Some((end_entity, intermediates)) = presented.split_first() else {
        return (ChainVerdict::CertificateNotTrusted, false);
    };
    let Ok(parsed) = ParsedCertificate::try_from(end_entity) else {
        return (ChainVerdict::ValidationFailure, false);
    };
    let Verifying { algorithms, now } = *verifying;
    let chain =
        match verify_server_cert_signed_by_trust_anchor(&parsed, &connector.roots, intermediates, now, algorithms) {
            Ok(()) => ChainVerdict::Trusted,
            Err(error) => verdict_of(&error),
        };
    // RFC 9525 §6.3: subjectAltName alone; the library has no fallback to the common name.
    (chain, verify_server_name(&parsed, host).is_ok())
}

/// The words of RFC 8460 §4.3.
fn verdict_of(error: &Error) -> ChainVerdict {
    use CertificateError as C;
    match error {
        Error::InvalidCertificate(
            C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. },
        ) => ChainVerdict::CertificateExpired,
        Error::InvalidCertificate(C::UnknownIssuer | C::BadSignature) => ChainVerdict::CertificateNotTrusted,
        // A self-signed certificate is often marked as a CA, which the library reports apart.
        Error::InvalidCertificate(C::Other(other)) if other.to_string().contains("CaUsedAsEndEntity") => {
            ChainVerdict::CertificateNotTrusted
        }
        _ => ChainVerdict::ValidationFailure,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
    use sealwire_core::address::Domain;

    use super::*;
    use crate::tls::Roots;

    /// RFC 9525 §6: a host is named by a subjectAltName alone, by a whole left-most label at most, in A-labels, in any case.
    #[test]
    fn a_certificate_names_a_host_by_its_alternative_names_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("roots.pem");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        std::fs::write(&file, params.self_signed(&key).expect("signed").pem()).expect("written");
        let authority = Issuer::new(params, key);
        let connector = Connector::new(&Roots::File(file)).expect("roots");
        let verifying = Verifying {
            algorithms: connector.provider.signature_verification_algorithms.all,
            now: UnixTime::since_unix_epoch(Duration::from_secs(1_795_000_000)),
        };
        let rows: [(&[&str], &str, bool); 29] = [
            (&["mx.d.test"], "mx.d.test", true),
            (&["other.test", "mx.d.test"], "mx.d.test", true),
            (&["MX.D.Test"], "mx.d.test", true),
            (&["mx.d.test"], "MX.D.Test.", true),
            (&["d.test"], "mx.d.test", false),
            (&["mx.d.test.evil.test"], "mx.d.test", false),
            (&["*.d.test"], "mx.d.test", true),
            (&["*.d.test"], "d.test", false),
            (&["*.d.test"], "a.mx.d.test", false),
            (&["*.*.test"], "mx.d.test", false),
            (&["mx.*.test"], "mx.d.test", false),
            (&["m*.d.test"], "mx.d.test", false),
            (&["*x.d.test"], "mx.d.test", false),
            (&["m*x.d.test"], "mx.d.test", false),
            // A top-level domain's wildcard names nobody.
            (&["*.test"], "d.test", false),
            (&["*"], "test", false),
            (&["*"], "mx.d.test", false),
            // What some readers take for the end of the name.
            (&["mx.d.test\0.evil.test"], "mx.d.test", false),
            (&["mx.d.test\0"], "mx.d.test", false),
            (&["mx.xn--bcher-kva.test"], "mx.b\u{fc}cher.test", true),
            (&["mx.xn--bcher-kva.test"], "mx.xn--bcher-kva.test", true),
            (&["*.xn--bcher-kva.test"], "mx.b\u{fc}cher.test", true),
            // An address is named by an address, and only a literal asks for one.
            (&["ip:192.0.2.1"], "192.0.2.1", true),
            (&["ip:192.0.2.1"], "192.0.2.2", false),
            (&["192.0.2.1"], "192.0.2.1", false),
            (&["ip:2001:db8::1"], "2001:db8::1", true),
            (&["ip:192.0.2.1"], "mx.d.test", false),
            (&["uri:smtp://mx.d.test"], "mx.d.test", false),
            // The common name, which every certificate here has, is none.
            (&[], "mx.d.test", false),
        ];
        for (names, host, expected) in rows {
            let mut params = CertificateParams::new(Vec::new()).expect("no names");
            params.distinguished_name.push(DnType::CommonName, host);
            params.subject_alt_names = names.iter().map(|name| of_kind(name)).collect();
            let key = KeyPair::generate().expect("a key");
            let leaf = params.signed_by(&key, &authority).expect("signed");
            let asked = match host.parse::<std::net::IpAddr>() {
                Ok(address) => ServerName::IpAddress(address.into()),
                Err(_) => ServerName::try_from(Domain::parse(host).expect("a domain").to_string()).expect("a name"),
            };
            let judged = judge(&connector, &[leaf.der().clone()], &asked, &verifying);
            // The two are independent (R4 and R5).
            assert_eq!(judged, (ChainVerdict::Trusted, expected), "{names:?} for {host}");
        }
    }

    fn of_kind(name: &str) -> SanType {
        match name.split_once(':') {
            Some(("ip", address)) => SanType::IpAddress(address.parse().expect("an address")),
            Some((_, uri)) => SanType::URI(uri.try_into().expect("ASCII")),
            None => SanType::DnsName(name.try_into().expect("ASCII")),
        }
    }
}
