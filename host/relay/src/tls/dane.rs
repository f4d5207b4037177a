//! Which TLSA record a presented certificate meets (RFC 7672 §3.1, RFC 7671 §5).

use std::collections::BTreeSet;

use rustls::RootCertStore;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use rustls::server::ParsedCertificate;
use sealwire_core::dane::{MATCHING_FULL, MATCHING_SHA256, MATCHING_SHA512, SELECTOR_SPKI, Tlsa, USAGE_EE, USAGE_TA};
use sha2::{Digest, Sha256, Sha512};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What a host's TLSA records ask of its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaneCheck {
    /// The usable ones.
    pub records: BTreeSet<Tlsa>,
    /// Where they were found, without port and protocol; sent in SNI (RFC 7672 §8.1).
    pub base: String,
    /// Names, one of which the certificate must bear below an authority of usage 2 (§3.2.2).
    pub names: Vec<String>,
}

/// How chains are verified.
pub(super) struct Verifying<'a> {
    pub(super) algorithms: &'a [&'static dyn SignatureVerificationAlgorithm],
    pub(super) now: UnixTime,
}

/// The first record that is met.
pub(super) fn met(check: &DaneCheck, presented: &[CertificateDer<'_>], verifying: &Verifying<'_>) -> Option<Tlsa> {
    let meets = |record: &&Tlsa| match record.usage {
        // §3.1.1: neither its names nor its dates count; that it holds the key, the handshake has shown.
        USAGE_EE => presented.first().is_some_and(|certificate| names(record, certificate)),
        USAGE_TA => below_authority(record, check, presented, verifying),
        _ => false,
    };
    check.records.iter().find(meets).cloned()
}

/// Whether a record names this certificate.
fn names(record: &Tlsa, certificate: &CertificateDer<'_>) -> bool {
    let parsed;
    let part: &[u8] = if record.selector == SELECTOR_SPKI {
        let Ok((_, found)) = X509Certificate::from_der(certificate) else { return false };
        parsed = found;
        parsed.public_key().raw
    } else {
        certificate
    };
    match record.matching {
        MATCHING_FULL => part == record.data,
        MATCHING_SHA256 => Sha256::digest(part).as_slice() == record.data,
        MATCHING_SHA512 => Sha512::digest(part).as_slice() == record.data,
        _ => false,
    }
}

/// §3.1.2: the chain leads to the authority that the record names, in date, and the certificate bears the host's name. The
/// authority comes with the chain, or stands whole in the record.
fn below_authority(
    record: &Tlsa,
    check: &DaneCheck,
    presented: &[CertificateDer<'_>],
    verifying: &Verifying<'_>,
) -> bool {
    let Some((end_entity, others)) = presented.split_first() else { return false };
    let Ok(parsed) = ParsedCertificate::try_from(end_entity) else { return false };
    let whole = (record.selector != SELECTOR_SPKI && record.matching == MATCHING_FULL)
        .then(|| CertificateDer::from(record.data.clone()));
    let mut roots = RootCertStore::empty();
    for authority in others.iter().filter(|certificate| names(record, certificate)).chain(&whole) {
        // One that cannot be an anchor is none.
        let _ = roots.add(authority.clone().into_owned());
    }
    let chain = verify_server_cert_signed_by_trust_anchor(&parsed, &roots, others, verifying.now, verifying.algorithms);
    let bears = |name: &String| {
        ServerName::try_from(name.as_str()).is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
    };
    chain.is_ok() && check.names.iter().any(bears)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData};

    use super::*;

    /// An authority, one below it, and a server's certificate below that.
    struct Chain {
        presented: Vec<CertificateDer<'static>>,
        keys: Vec<Vec<u8>>,
    }

    fn chain(name: &str, last_year: i32) -> Chain {
        let params = |names: &[&str], common_name: &str| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let mut params = CertificateParams::new(names).expect("names");
            params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
            (params.not_before, params.not_after) =
                (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2049, 1, 1));
            params
        };
        let [top_key, between_key, key] = [(); 3].map(|()| KeyPair::generate().expect("a key"));
        let authority = |common_name| {
            let mut params = params(&[], common_name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let keys = [&key, &between_key, &top_key].map(PublicKeyData::subject_public_key_info).to_vec();
        let top = authority("top");
        let top_certificate = top.self_signed(&top_key).expect("signed");
        let top = Issuer::new(top, top_key);
        let between = authority("between");
        let between_certificate = between.signed_by(&between_key, &top).expect("signed");
        let between = Issuer::new(between, between_key);
        let mut leaf = params(&[name], "a server");
        leaf.not_after = rcgen::date_time_ymd(last_year, 1, 1);
        let leaf = leaf.signed_by(&key, &between).expect("signed");
        let presented = [leaf, between_certificate, top_certificate].map(|certificate| certificate.der().clone());
        Chain { presented: presented.to_vec(), keys }
    }

    /// RFC 7671 §5: each usage with each selector and matching type, of each certificate of a chain.
    #[test]
    fn a_record_is_met_by_the_certificate_that_it_names_and_no_other() {
        let (good, misnamed, late) = (chain("mx.test", 2049), chain("elsewhere.test", 2049), chain("mx.test", 2021));
        let sha256 = |octets: &[u8]| Sha256::digest(octets).to_vec();
        let sha512 = |octets: &[u8]| Sha512::digest(octets).to_vec();
        let verifying = Verifying {
            algorithms: rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.all,
            now: UnixTime::since_unix_epoch(Duration::from_secs(1_795_000_000)),
        };
        let is_met = |chain: &Chain, usage, selector, matching, data: Vec<u8>, presented: &[CertificateDer<'_>]| {
            let record = Tlsa { usage, selector, matching, data };
            let other = Tlsa { usage, selector, matching: MATCHING_SHA256, data: vec![0; 32] };
            let names = vec!["next-hop.test".to_owned(), "mx.test".to_owned()];
            let records = BTreeSet::from([record.clone(), other]);
            let check = DaneCheck { records, base: "mx.test".into(), names };
            assert!(!chain.presented.is_empty());
            met(&check, presented, &verifying) == Some(record)
        };
        for (chain, named, in_date) in [(&good, true, true), (&misnamed, false, true), (&late, true, false)] {
            for (at, certificate) in chain.presented.iter().enumerate() {
                for (selector, part) in [(0, certificate.as_ref()), (1, chain.keys[at].as_slice())] {
                    for (matching, data) in [(0, part.to_vec()), (1, sha256(part)), (2, sha512(part))] {
                        let case =
                            format!("certificate {at}, selector {selector}, matching {matching}, {named}, {in_date}");
                        let met = |usage| is_met(chain, usage, selector, matching, data.clone(), &chain.presented);
                        // Its own certificate, and neither name nor date.
                        assert_eq!(met(USAGE_EE), at == 0, "DANE-EE: {case}");
                        // An authority above it, with the name, in date.
                        assert_eq!(met(USAGE_TA), at > 0 && named && in_date, "DANE-TA: {case}");
                        assert!(!met(1), "PKIX-EE: {case}");
                    }
                }
            }
        }
        // An authority that is not presented must stand whole in the record.
        let (top, without) = (&good.presented[2], &good.presented[..2]);
        assert!(is_met(&good, USAGE_TA, 0, 0, top.to_vec(), without));
        assert!(!is_met(&good, USAGE_TA, 0, 1, sha256(top), without));
        assert!(!is_met(&good, USAGE_TA, 0, 0, top.to_vec(), &good.presented[..1]), "the one between is missing");
        assert!(!is_met(&good, USAGE_TA, 0, 0, misnamed.presented[2].to_vec(), &good.presented), "another authority");
        assert!(!is_met(&good, USAGE_EE, 0, 0, top.to_vec(), &[]), "nothing was presented");
    }
}
