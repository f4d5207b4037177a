//! Certificates: reading PEM files, and the facts of one certificate.

use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sealwire_core::facts::Certificate;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::TlsSetupError;

/// Every certificate of a PEM file, in order.
pub fn load_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let read = |why: String| TlsSetupError::Read(path.to_owned(), why);
    let pem = std::fs::read(path).map_err(|e| read(e.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|e| read(e.to_string()))?;
    if found.is_empty() { Err(TlsSetupError::Empty(path.to_owned(), "certificate")) } else { Ok(found) }
}

/// The first private key of a PEM file.
pub fn load_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsSetupError> {
    let pem = std::fs::read(path).map_err(|e| TlsSetupError::Read(path.to_owned(), e.to_string()))?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| TlsSetupError::Empty(path.to_owned(), "private key"))
}

/// Who the relay is to hosts that ask for a certificate: a chain and the key of its first.
#[derive(Clone, Debug)]
pub struct Identity(pub(super) CertifiedKey);

impl Identity {
    /// Reads both; refuses a key that is another certificate's.
    pub fn load(certificate: &Path, key: &Path) -> Result<Identity, TlsSetupError> {
        let (chain, key) = (load_certificates(certificate)?, load_key(key)?);
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        CertifiedKey::from_der(chain, key, &provider)
            .map(Identity)
            .map_err(|error| TlsSetupError::Unusable(error.to_string()))
    }
}

/// The facts of one certificate. What cannot be parsed stays empty: the digests are always there.
pub fn read_certificate(der: &CertificateDer<'_>) -> Certificate {
    let mut facts = Certificate {
        subject: String::new(),
        issuer: String::new(),
        dns_names: Vec::new(),
        not_before: 0,
        not_after: 0,
        sha256: Sha256::digest(der.as_ref()).into(),
        spki_sha256: [0; 32],
        der: der.to_vec(),
    };
    let Ok((_, parsed)) = X509Certificate::from_der(der.as_ref()) else { return facts };
    facts.subject = parsed.subject().to_string();
    facts.issuer = parsed.issuer().to_string();
    facts.not_before = u64::try_from(parsed.validity().not_before.timestamp()).unwrap_or(0);
    facts.not_after = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
    facts.spki_sha256 = Sha256::digest(parsed.public_key().raw).into();
    if let Ok(Some(names)) = parsed.subject_alternative_name() {
        facts.dns_names = names
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                _ => None,
            })
            .collect();
    }
    facts
}
