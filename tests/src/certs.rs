//! Certificate authorities made at run time, one below another where a test wants that, and the leaves that tests need from
//! them: good, expired, self-signed.
//!
//! Keys are ECDSA P-256. A wrong name is a good leaf for another name; an unknown authority is a second [`Authority`].
//! Nothing here is kept: private keys live in the test's temporary folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, NameConstraints, RevokedCertParams,
    SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;

use crate::place;

/// Of leaves; four digits each, so that every tool writes them alike.
static SERIALS: AtomicU64 = AtomicU64::new(0x1000);

/// A certificate authority that only this test knows.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    certificate: CertificateDer<'static>,
    file: PathBuf,
    key_file: PathBuf,
    /// Another one vouches for it, so its leaves present its certificate too.
    is_below: bool,
    _folder: TempDir,
}

impl Authority {
    /// A new authority with this common name.
    pub fn new(name: &str) -> Self {
        Self::except(name, &[])
    }

    /// A new authority whose certificate says that it vouches for no name in these domains.
    pub fn except(name: &str, domains: &[&str]) -> Self {
        let (key, params) = (new_key(), authority_params(name, domains));
        let certificate = params.self_signed(&key).expect("our own parameters can be signed");
        Self::of(params, key, &certificate, false)
    }

    /// A new authority that this one vouches for, except for names in these domains.
    pub fn below(&self, name: &str, domains: &[&str]) -> Self {
        let (key, params) = (new_key(), authority_params(name, domains));
        let certificate = params.signed_by(&key, &self.issuer).expect("our own parameters can be signed");
        Self::of(params, key, &certificate, true)
    }

    fn of(params: CertificateParams, key: KeyPair, certificate: &rcgen::Certificate, is_below: bool) -> Self {
        let (pem, certificate) = (certificate.pem(), certificate.der().clone());
        let folder = place::folder();
        let file = folder.path().join("authority.pem");
        place::write(&file, &pem);
        let key_file = folder.path().join("authority.key");
        place::write(&key_file, key.serialize_pem());
        Self { issuer: Issuer::new(params, key), pem, certificate, file, key_file, is_below, _folder: folder }
    }

    /// Whoever believes its file believes this other one too.
    #[must_use]
    pub fn beside(self, other: &Authority) -> Self {
        place::write(&self.file, format!("{}{}", self.pem, other.pem));
        self
    }

    /// The authority's certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The same as DER.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A file with the authority's certificate, readable by every user.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// A PEM file with the authority's private key: it protects nothing.
    pub fn key_file(&self) -> &Path {
        &self.key_file
    }

    /// The authority's list of these leaves as withdrawn (a CRL), as PEM, good from one moment to another.
    pub fn list_of_withdrawn(&self, leaves: &[&Leaf], from: SystemTime, until: SystemTime) -> String {
        let withdrawn = leaves.iter().map(|leaf| RevokedCertParams {
            serial_number: SerialNumber::from(leaf.serial),
            revocation_time: from.into(),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: from.into(),
            next_update: until.into(),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: withdrawn.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).expect("our own parameters can be signed");
        list.pem().expect("octets have a PEM form")
    }

    /// A good leaf for these names (DNS names or IP addresses).
    pub fn leaf(&self, names: &[&str]) -> Leaf {
        self.sign(leaf_params(names))
    }

    /// A good leaf for these names that does not present the authority's certificate, though nobody else has it.
    pub fn leaf_alone(&self, names: &[&str]) -> Leaf {
        self.sign_presenting(leaf_params(names), None)
    }

    /// A leaf that has this name as the common name of its subject, and no subjectAltName.
    pub fn leaf_by_common_name(&self, name: &str) -> Leaf {
        self.sign(named_params(&[], name))
    }

    /// A leaf for these names that expired years ago.
    pub fn expired(&self, names: &[&str]) -> Leaf {
        let mut params = leaf_params(names);
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        self.sign(params)
    }

    /// A leaf for these names that is valid from one moment to another.
    pub fn leaf_valid(&self, names: &[&str], from: SystemTime, until: SystemTime) -> Leaf {
        let mut params = leaf_params(names);
        params.not_before = from.into();
        params.not_after = until.into();
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Leaf {
        self.sign_presenting(params, self.is_below.then_some(self))
    }

    fn sign_presenting(&self, mut params: CertificateParams, above: Option<&Authority>) -> Leaf {
        let (key, serial) = (new_key(), SERIALS.fetch_add(1, Ordering::Relaxed));
        params.serial_number = Some(SerialNumber::from(serial));
        let certificate = params.signed_by(&key, &self.issuer).expect("our own parameters can be signed");
        Leaf::new(&certificate, &key, serial, above)
    }
}

/// A leaf for these names that no authority vouches for.
pub fn self_signed(names: &[&str]) -> Leaf {
    let key = new_key();
    let certificate = leaf_params(names).self_signed(&key).expect("our own parameters can be signed");
    Leaf::new(&certificate, &key, 0, None)
}

/// A server's certificate with its key, as files and as values. Cloning shares both.
#[derive(Clone, Debug)]
pub struct Leaf {
    cert_file: PathBuf,
    key_file: PathBuf,
    certificate: CertificateDer<'static>,
    above: Option<CertificateDer<'static>>,
    key: Vec<u8>,
    public_key: Vec<u8>,
    serial: u64,
    _folder: Arc<TempDir>,
}

impl Leaf {
    /// A PEM file with what it presents, readable by every user.
    pub fn cert_file(&self) -> &Path {
        &self.cert_file
    }

    /// A PEM file with the private key (PKCS #8), readable by every user: it protects nothing.
    pub fn key_file(&self) -> &Path {
        &self.key_file
    }

    /// The certificate.
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    /// What it presents: the certificate, and behind it its authority's where that is not a root.
    pub fn presented(&self) -> Vec<CertificateDer<'static>> {
        [self.certificate()].into_iter().chain(self.above.clone()).collect()
    }

    /// Its serial number; 0 where no authority gave it one.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// The public key (SubjectPublicKeyInfo).
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// The private key.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()))
    }

    fn new(certificate: &rcgen::Certificate, key: &KeyPair, serial: u64, above: Option<&Authority>) -> Self {
        let folder = place::folder();
        let (cert_file, key_file) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        place::write(&cert_file, certificate.pem() + above.map_or("", Authority::pem));
        let above = above.map(|authority| authority.certificate.clone());
        place::write(&key_file, key.serialize_pem());
        let certificate = certificate.der().clone();
        let public_key = rcgen::PublicKeyData::subject_public_key_info(key);
        let (key, folder) = (key.serialize_der(), Arc::new(folder));
        Self { cert_file, key_file, certificate, above, key, public_key, serial, _folder: folder }
    }
}

fn authority_params(name: &str, except: &[&str]) -> CertificateParams {
    let mut params = params(&[], name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let excluded_subtrees: Vec<_> = except.iter().map(|domain| GeneralSubtree::DnsName((*domain).to_owned())).collect();
    if !excluded_subtrees.is_empty() {
        params.name_constraints = Some(NameConstraints { permitted_subtrees: Vec::new(), excluded_subtrees });
    }
    params
}

fn leaf_params(names: &[&str]) -> CertificateParams {
    named_params(names, names.first().copied().unwrap_or("nameless"))
}

fn named_params(names: &[&str], common_name: &str) -> CertificateParams {
    let mut params = params(names, common_name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params
}

fn params(names: &[&str], common_name: &str) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names of a test are ASCII");
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 1, 1);
    params
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("the machine gives randomness") // P-256, rcgen's default
}
