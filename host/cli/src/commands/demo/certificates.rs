//! The demo's certificate authority and the certificates it signs, made anew at each start and kept in the demo's folder.
//!
//! Nothing outside the demo believes them: the relay does because its configuration names the authority as its only root.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// Signs the certificates of hosts that shall be trusted.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
}

/// A certificate and its key, as PEM files.
pub(super) struct CertificateFiles {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Authority {
    /// Makes it and writes its certificate to `ca.pem` in the folder.
    pub(super) fn new(folder: &Path) -> io::Result<Authority> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = parameters("Demo CA", Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(io::Error::other)?;
        let authority = Authority { issuer: Issuer::new(params, key), folder: folder.to_owned() };
        fs::write(authority.file(), certificate.pem())?;
        Ok(authority)
    }

    /// Its certificate.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A certificate of this authority for a host of this name.
    pub(super) fn signed(&self, host: &str) -> io::Result<CertificateFiles> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = leaf(host)?.signed_by(&key, &self.issuer).map_err(io::Error::other)?;
        self.keep(host, &certificate, &key)
    }

    /// A certificate for a host of this name that this authority knows nothing of.
    pub(super) fn self_signed(&self, host: &str) -> io::Result<CertificateFiles> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = leaf(host)?.self_signed(&key).map_err(io::Error::other)?;
        self.keep(host, &certificate, &key)
    }

    fn keep(&self, host: &str, certificate: &rcgen::Certificate, key: &KeyPair) -> io::Result<CertificateFiles> {
        let file = |kind: &str| self.folder.join(format!("{host}.{kind}.pem"));
        let files = CertificateFiles { certificate: file("certificate"), key: file("key") };
        fs::write(&files.certificate, certificate.pem())?;
        fs::write(&files.key, key.serialize_pem())?;
        Ok(files)
    }
}

fn leaf(host: &str) -> io::Result<CertificateParams> {
    let mut params = parameters(host, vec![host.to_owned()])?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn parameters(common_name: &str, names: Vec<String>) -> io::Result<CertificateParams> {
    let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 1, 1);
    Ok(params)
}
