//! One stapled response: whose word it is, what it is about, and whether it holds now (RFC 6960 §3.2, §4.2).

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use rustls::pki_types::{CertificateDer, TrustAnchor};
use sealwire_core::facts::RevocationStatus;
use webpki::{EndEntityCert, KeyUsage, VerifiedPath, anchor_from_trusted_cert};
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::{Decode, Encode, Reader, SliceReader};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_ocsp::{BasicOcspResponse, CertId, CertStatus, OcspResponse, OcspResponseStatus, SingleResponse};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Chain;
use crate::tls::dane::Verifying;

/// id-pkix-ocsp-basic, the only kind of response there is (RFC 6960 §4.2.1).
const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
const SHA1_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA256_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
/// id-kp-OCSPSigning, 1.3.6.1.5.5.7.3.9, as in a certificate (RFC 6960 §4.2.2.2).
const OCSP_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x09];
/// Certificates of a response that are looked at: a responder has one.
const RESPONDERS_MAX: usize = 4;

/// What it says of this certificate; unknown where it is nobody's word, about another, or not of now.
pub(super) fn status(response: &[u8], certificate: &CertificateDer<'_>, chain: &Chain<'_>) -> RevocationStatus {
    said(response, certificate, chain).unwrap_or_default()
}

fn said(response: &[u8], certificate: &CertificateDer<'_>, chain: &Chain<'_>) -> Option<RevocationStatus> {
    let response = OcspResponse::from_der(response).ok()?;
    let octets = response.response_bytes.filter(|octets| octets.response_type == BASIC)?;
    let basic = BasicOcspResponse::from_der(octets.response.as_bytes()).ok()?;
    let path = chain.path().ok()?;
    let issuer = Issuer::of(certificate, &path)?;
    let is_answer = response.response_status == OcspResponseStatus::Successful;
    if !is_answer || !issuer.says(&basic, signed_part(octets.response.as_bytes())?, chain.verifying) {
        return None;
    }
    let now = chain.verifying.now.as_secs();
    let responses = basic.tbs_response_data.responses.iter();
    let about = responses.filter(|single| issuer.is_named_by(&single.cert_id) && holds(single, now));
    about.map(|single| status_of(&single.cert_status)).max()
}

fn status_of(status: &CertStatus) -> RevocationStatus {
    match status {
        CertStatus::Good(_) => RevocationStatus::Good,
        CertStatus::Revoked(_) => RevocationStatus::Revoked,
        CertStatus::Unknown(_) => RevocationStatus::Unknown,
    }
}

/// RFC 6960 §3.2 (5, 6): of now, and not outdated. Without a next update there is always a newer one (§4.2.2.1): no proof.
fn holds(single: &SingleResponse, now: u64) -> bool {
    let next = single.next_update.as_ref().map_or(0, |next| next.0.to_unix_duration().as_secs());
    (single.this_update.0.to_unix_duration().as_secs()..next).contains(&now)
}

/// The octets that the signature is over, as they came.
fn signed_part(basic: &[u8]) -> Option<&[u8]> {
    let whole = AnyRef::from_der(basic).ok()?;
    SliceReader::new(whole.value()).ok()?.tlv_bytes().ok()
}

/// Who has issued a certificate, and how responses name it.
struct Issuer<'a> {
    /// With its outer SEQUENCE.
    name: Vec<u8>,
    key: SubjectPublicKeyInfoOwned,
    anchor: TrustAnchor<'a>,
    serial: Vec<u8>,
}

impl Issuer<'_> {
    fn of(certificate: &CertificateDer<'_>, path: &VerifiedPath<'_>) -> Option<Issuer<'static>> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let anchor = match path.intermediate_certificates().next() {
            Some(issuer) => anchor_from_trusted_cert(&issuer.der()).ok()?.to_owned(),
            None => path.anchor().to_owned(),
        };
        Some(Issuer {
            name: parsed.issuer().as_raw().to_vec(),
            key: SubjectPublicKeyInfoOwned::from_der(path.issuer_spki().as_ref()).ok()?,
            anchor,
            serial: parsed.raw_serial().to_vec(),
        })
    }

    /// RFC 6960 §3.2 (1): the response is about the certificate.
    fn is_named_by(&self, id: &CertId) -> bool {
        let hash: &'static Algorithm = match id.hash_algorithm.oid {
            SHA1_ID => &SHA1_FOR_LEGACY_USE_ONLY,
            SHA256_ID => &SHA256,
            _ => return false,
        };
        digest(hash, &self.name).as_ref() == id.issuer_name_hash.as_bytes()
            && digest(hash, self.key.subject_public_key.raw_bytes()).as_ref() == id.issuer_key_hash.as_bytes()
            && significant(id.serial_number.as_bytes()) == significant(&self.serial)
    }

    /// RFC 6960 §4.2.2.2: it has signed the response itself, or one has to whom it gave a certificate for that.
    fn says(&self, basic: &BasicOcspResponse, signed: &[u8], verifying: &Verifying<'_>) -> bool {
        let Some(signature) = basic.signature.as_bytes() else { return false };
        let Some(algorithm) = contents(&basic.signature_algorithm) else { return false };
        let fits = verifying.algorithms.iter().filter(|known| known.signature_alg_id().as_ref() == algorithm);
        let fits: Vec<_> = fits.copied().collect();
        let key_algorithm = contents(&self.key.algorithm);
        let by_issuer = fits.iter().any(|known| {
            key_algorithm.as_deref() == Some(known.public_key_alg_id().as_ref())
                && known.verify_signature(self.key.subject_public_key.raw_bytes(), signed, signature).is_ok()
        });
        by_issuer
            || basic.certs.iter().flatten().take(RESPONDERS_MAX).any(|responder| {
                let Ok(der) = responder.to_der().map(CertificateDer::from) else { return false };
                let Ok(responder) = EndEntityCert::try_from(&der) else { return false };
                let (anchors, usage) = ([self.anchor.clone()], KeyUsage::required(OCSP_SIGNING));
                let Verifying { algorithms, now } = *verifying;
                responder.verify_for_usage(algorithms, &anchors, &[], now, usage, None, None).is_ok()
                    && fits.iter().any(|known| responder.verify_signature(*known, signed, signature).is_ok())
            })
    }
}

/// A serial number without the zeros before it, which one encoding keeps and another does not.
fn significant(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|octet| **octet == 0).count();
    &serial[zeros..]
}

/// An algorithm's name without its outer SEQUENCE, as verifiers call it.
fn contents(id: &AlgorithmIdentifierOwned) -> Option<Vec<u8>> {
    let der = id.to_der().ok()?;
    AnyRef::from_der(&der).ok().map(|whole| whole.value().to_vec())
}
