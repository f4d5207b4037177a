//! Lists and responses of authorities made here, as tables: whose word counts, about what, and until when.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, SigningKey, date_time_ymd,
};
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName, UnixTime};
use sealwire_core::facts::RevocationStatus::{self, Good, Revoked, Stale, Unknown};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use x509_cert::der::asn1::{Any, BitString, GeneralizedTime, ObjectIdentifier, OctetString};
use x509_cert::der::{Decode, Encode};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_ocsp::{
    BasicOcspResponse, CertId, CertStatus, OcspGeneralizedTime, OcspResponse, ResponderId, ResponseData, RevokedInfo,
    SingleResponse, Version,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::*;
use crate::tls::{Connector, Roots, client_side};

/// November 2026.
const NOW: u64 = 1_795_000_000;
const DAY: u64 = 86_400;
const SERIAL: u64 = 0x81;

/// An authority with its certificate.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = params(name, 7);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn params(name: &str, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::new(vec![format!("{name}.test")]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2049, 1, 1));
    params
}

impl Authority {
    fn root(name: &str) -> Authority {
        let (key, params) = (KeyPair::generate().expect("a key"), authority_params(name));
        let certificate = params.self_signed(&key).expect("signed").der().clone();
        Authority { issuer: Issuer::new(params, key), certificate }
    }

    fn below(&self, name: &str) -> Authority {
        let (key, params) = (KeyPair::generate().expect("a key"), authority_params(name));
        let certificate = params.signed_by(&key, &self.issuer).expect("signed").der().clone();
        Authority { issuer: Issuer::new(params, key), certificate }
    }

    /// A certificate with the key that is its own; `signs_responses` makes it a responder's.
    fn leaf(&self, name: &str, serial: u64, signs_responses: bool) -> (CertificateDer<'static>, KeyPair) {
        let (key, mut params) = (KeyPair::generate().expect("a key"), params(name, serial));
        params.extended_key_usages = vec![match signs_responses {
            true => ExtendedKeyUsagePurpose::OcspSigning,
            false => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        let certificate = params.signed_by(&key, &self.issuer).expect("signed").der().clone();
        (certificate, key)
    }

    /// A list of these serial numbers, from one year to another.
    fn list(&self, serials: &[u64], from: i32, until: i32) -> RevocationLists {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2020, 2, 2),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(from, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).expect("signed");
        let folder = tempfile::tempdir().expect("a folder");
        let (pem, der) = (folder.path().join("list.pem"), folder.path().join("list.der"));
        std::fs::write(&pem, list.pem().expect("PEM")).expect("written");
        std::fs::write(&der, list.der()).expect("written");
        let (pem, der) = (RevocationLists::load(&pem), RevocationLists::load(&der));
        let (pem, der) = (pem.expect("PEM is read"), der.expect("DER is read"));
        assert_eq!((pem.iter().count(), der.iter().count()), (1, 1));
        pem
    }
}

/// A response: about which certificate, what, from when until when, whose word.
struct Response<'a> {
    issuer: &'a CertificateDer<'a>,
    serial: u64,
    status: CertStatus,
    from: u64,
    until: Option<u64>,
    signer: &'a KeyPair,
    responder: Option<&'a CertificateDer<'a>>,
}

impl Response<'_> {
    fn der(&self) -> Vec<u8> {
        let (_, issuer) = X509Certificate::from_der(self.issuer).expect("a certificate");
        let key = SubjectPublicKeyInfoOwned::from_der(issuer.public_key().raw).expect("a key");
        let sha1 = |octets: &[u8]| {
            OctetString::new(digest(&SHA1_FOR_LEGACY_USE_ONLY, octets).as_ref().to_vec()).expect("20 octets")
        };
        let at = |secs: u64| {
            let at = GeneralizedTime::from_unix_duration(Duration::from_secs(secs)).expect("a time");
            OcspGeneralizedTime::from(at)
        };
        let algorithm =
            |oid: &str, parameters| AlgorithmIdentifierOwned { oid: ObjectIdentifier::new_unwrap(oid), parameters };
        let cert_id = CertId {
            hash_algorithm: algorithm("1.3.14.3.2.26", Some(Any::null())),
            issuer_name_hash: sha1(issuer.subject().as_raw()),
            issuer_key_hash: sha1(key.subject_public_key.raw_bytes()),
            serial_number: self.serial.into(),
        };
        let single = SingleResponse {
            cert_id,
            cert_status: self.status,
            this_update: at(self.from),
            next_update: self.until.map(at),
            single_extensions: None,
        };
        let tbs_response_data = ResponseData {
            version: Version::V1,
            responder_id: ResponderId::ByKey(sha1(b"a responder")),
            produced_at: at(self.from),
            responses: vec![single],
            response_extensions: None,
        };
        let signature = self.signer.sign(&tbs_response_data.to_der().expect("DER")).expect("signed");
        let certs = self.responder.map(|der| vec![x509_cert::Certificate::from_der(der).expect("a certificate")]);
        let basic = BasicOcspResponse {
            tbs_response_data,
            signature_algorithm: algorithm("1.2.840.10045.4.3.2", None),
            signature: BitString::from_bytes(&signature).expect("octets"),
            certs,
        };
        OcspResponse::successful(basic).and_then(|response| response.to_der()).expect("DER")
    }
}

fn judged(
    presented: &[CertificateDer<'_>],
    root: &Authority,
    lists: &RevocationLists,
    response: Option<&[u8]>,
    now: u64,
) -> RevocationStatus {
    let mut roots = RootCertStore::empty();
    roots.add(root.certificate.clone()).expect("a root");
    let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.all;
    let verifying = Verifying { algorithms, now: UnixTime::since_unix_epoch(Duration::from_secs(now)) };
    status(presented, &roots, lists, response, &verifying)
}

fn revoked() -> CertStatus {
    let at = GeneralizedTime::from_unix_duration(Duration::from_secs(NOW - DAY)).expect("a time");
    CertStatus::revoked(RevokedInfo { revocation_time: at.into(), revocation_reason: None })
}

/// RFC 6960 §3.2, §4.2.2.2.
#[test]
fn a_response_counts_that_is_the_issuers_about_the_certificate_and_of_now() {
    let (top, stranger) = (Authority::root("top"), Authority::root("stranger"));
    let between = top.below("between");
    let (leaf, leaf_key) = between.leaf("mx", SERIAL, false);
    let (responder, responder_key) = between.leaf("responder", 9, true);
    let (strange_responder, strange_key) = stranger.leaf("responder", 9, true);
    let presented = [leaf.clone(), between.certificate.clone()];
    let none = RevocationLists::default();
    let good = || Response {
        issuer: &between.certificate,
        serial: SERIAL,
        status: CertStatus::good(),
        from: NOW - DAY,
        until: Some(NOW + DAY),
        signer: between.issuer.key(),
        responder: None,
    };
    let rows = [
        ("good", good(), Good),
        ("revoked", Response { status: revoked(), ..good() }, Revoked),
        ("not known to its issuer", Response { status: CertStatus::unknown(), ..good() }, Unknown),
        ("another certificate", Response { serial: SERIAL + 1, ..good() }, Unknown),
        ("another issuer", Response { issuer: &top.certificate, ..good() }, Unknown),
        ("out of date", Response { until: Some(NOW), ..good() }, Unknown),
        ("of a time to come", Response { from: NOW + 1, ..good() }, Unknown),
        ("without an end", Response { until: None, ..good() }, Unknown),
        ("signed by a stranger", Response { signer: stranger.issuer.key(), ..good() }, Unknown),
        ("signed by the one above", Response { signer: top.issuer.key(), ..good() }, Unknown),
        ("by its responder", Response { signer: &responder_key, responder: Some(&responder), ..good() }, Good),
        ("by its responder, left out", Response { signer: &responder_key, ..good() }, Unknown),
        ("by the host itself", Response { signer: &leaf_key, responder: Some(&leaf), ..good() }, Unknown),
        ("by another's", Response { signer: &strange_key, responder: Some(&strange_responder), ..good() }, Unknown),
        ("in its name", Response { signer: &strange_key, responder: Some(&responder), ..good() }, Unknown),
    ];
    for (what, response, expected) in rows {
        assert_eq!(judged(&presented, &top, &none, Some(&response.der()), NOW), expected, "{what}");
    }
    let der = good().der();
    assert_eq!(judged(&presented, &top, &none, Some(&der), NOW + DAY), Unknown, "judged anew, a day later");
    assert_eq!(judged(&presented, &stranger, &none, Some(&der), NOW), Unknown, "nobody trusts that issuer");
    for end in 0..der.len() {
        assert_eq!(judged(&presented, &top, &none, Some(&der[..end]), NOW), Unknown, "cut short at {end}");
    }
    // The root has issued it itself, and is not presented.
    let (leaf, _) = top.leaf("mx", SERIAL, false);
    let by_root = Response { issuer: &top.certificate, signer: top.issuer.key(), ..good() };
    assert_eq!(judged(&[leaf], &top, &none, Some(&by_root.der()), NOW), Good);
}

/// RFC 5280 §6.3.3.
#[test]
fn a_list_counts_that_is_the_issuers_and_current() {
    let (top, stranger) = (Authority::root("top"), Authority::root("stranger"));
    let (between, namesake) = (top.below("between"), stranger.below("between"));
    let (leaf, _) = between.leaf("mx", SERIAL, false);
    let presented = [leaf, between.certificate.clone()];
    let none = RevocationLists::default();
    let current = |serials: &[u64]| between.list(serials, 2026, 2028);
    let rows = [
        ("no list", none.clone(), Unknown),
        ("not named", current(&[]), Good),
        ("another named", current(&[SERIAL + 1]), Good),
        ("named", current(&[SERIAL]), Revoked),
        ("out of date", between.list(&[], 2024, 2026), Stale),
        ("out of date, named", between.list(&[SERIAL], 2024, 2026), Stale),
        ("of a time to come", between.list(&[], 2027, 2029), Stale),
        ("out of date, and a current one", between.list(&[SERIAL + 1], 2024, 2026).with(&current(&[])), Good),
        ("two, the one names it", current(&[]).with(&current(&[SERIAL])), Revoked),
        ("another's", stranger.list(&[SERIAL], 2026, 2028), Unknown),
        ("another's, out of date", stranger.list(&[], 2024, 2026), Unknown),
        ("in its name", namesake.list(&[], 2026, 2028), Unknown),
        ("in its name, and named", namesake.list(&[SERIAL], 2026, 2028), Unknown),
        ("in its name, and its own", namesake.list(&[], 2026, 2028).with(&current(&[SERIAL])), Revoked),
        ("of the one above", top.list(&[], 2026, 2028), Unknown),
        ("the one above names its issuer", top.list(&[7], 2026, 2028).with(&current(&[])), Revoked),
    ];
    for (what, lists, expected) in rows {
        assert_eq!(judged(&presented, &top, &lists, None, NOW), expected, "{what}");
        assert_eq!(judged(&presented, &stranger, &lists, None, NOW), Unknown, "untrusted, {what}");
    }
    let said = |status| {
        let (issuer, signer) = (&between.certificate, between.issuer.key());
        let (from, until) = (NOW - DAY, Some(NOW + DAY));
        Response { issuer, serial: SERIAL, status, from, until, signer, responder: None }.der()
    };
    for (lists, response, expected) in [
        (current(&[]), revoked(), Revoked),
        (current(&[SERIAL]), CertStatus::good(), Revoked),
        (between.list(&[], 2024, 2026), CertStatus::good(), Good),
        (between.list(&[], 2024, 2026), CertStatus::unknown(), Stale),
    ] {
        assert_eq!(judged(&presented, &top, &lists, Some(&said(response)), NOW), expected, "{response:?}");
    }
}

/// The library keeps the chain with a session, and the response not.
#[tokio::test]
async fn a_resumed_session_is_judged_by_the_response_it_began_with_and_anew() {
    let top = Authority::root("top");
    let (leaf, key) = top.leaf("mx", SERIAL, false);
    let (issuer, signer) = (&top.certificate, top.issuer.key());
    let (from, until) = (NOW - DAY, Some(NOW + DAY));
    let response =
        Response { issuer, serial: SERIAL, status: CertStatus::good(), from, until, signer, responder: None };
    let server = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert_with_ocsp(vec![leaf], PrivatePkcs8KeyDer::from(key.serialize_der()).into(), response.der());
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server.expect("a key of its certificate")));
    let folder = tempfile::tempdir().expect("a folder");
    let roots = folder.path().join("roots.pem");
    let pem = rcgen::Certificate::pem(&authority_params("top").self_signed(signer).expect("signed"));
    std::fs::write(&roots, pem).expect("written");
    let connector = Connector::new(&Roots::File(roots)).expect("a connector");
    let host = ServerName::try_from("mx.test").expect("a name");
    for resumed in [false, true] {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let tls = connector.tls();
        let (client, server) = tokio::join!(tls.connect(host.clone(), ours), acceptor.accept(theirs));
        let (mut client, mut server) = (client.expect("a session"), server.expect("a session"));
        // Its tickets come before what it says.
        server.write_all(b"x").await.expect("written");
        server.flush().await.expect("written");
        client.read_u8().await.expect("an octet");
        let judged = |now| client_side(&connector, client.get_ref().1, &host, None, false, now);
        assert_eq!((judged(NOW).resumed, judged(NOW).revocation), (resumed, Good));
        assert_eq!(judged(NOW + DAY).revocation, Unknown, "resumed: {resumed}");
    }
}

#[test]
fn what_is_wrong_with_a_list_is_told_ahead_of_time() {
    let lists = Authority::root("top").list(&[], 2026, 2027);
    let list = lists.iter().next().expect("one");
    let (year, starts, ends) = (365 * DAY, list.issued_at, list.ends_at);
    assert_eq!(ends - starts, year);
    for (now, expected) in [
        (starts - 1, Some("is of a time to come")),
        (starts, None),
        (ends - year / 10 - 1, None),
        (ends - year / 10, Some("ends 2027-01-01")),
        (ends, Some("is out of date since 2027-01-01")),
    ] {
        let told = list.trouble(now);
        assert_eq!(told.is_some(), expected.is_some(), "{told:?}");
        assert!(told.unwrap_or_default().contains(expected.unwrap_or_default()), "{expected:?}");
    }
}

#[test]
fn a_file_that_is_no_list_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let top = Authority::root("top");
    let file = folder.path().join("list.pem");
    assert!(RevocationLists::load(&file).is_err(), "there is none");
    for (octets, expected) in [
        (&b""[..], "holds no revocation list"),
        (b"not PEM", "holds no revocation list"),
        (&top.certificate, "cannot be used"),
        (b"-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n", "cannot be used"),
    ] {
        std::fs::write(&file, octets).expect("written");
        let error = RevocationLists::load(&file).expect_err("refused").to_string();
        assert!(error.contains(expected), "{error}");
    }
}
