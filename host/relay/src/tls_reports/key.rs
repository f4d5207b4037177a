//! The key that signs reports by mail: RSA or Ed25519, by the cryptography that TLS has already.

use std::fmt;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::sign::SigningKey;
use sealwire_core::address::Domain;
use sealwire_core::dkim::Signer;
use sha2::{Digest as _, Sha256};

use crate::config::ReportsByMail;
use crate::tls::load_key;

/// A DKIM key in hand.
pub struct DkimKey {
    domain: Domain,
    selector: String,
    key: Arc<dyn SigningKey>,
    scheme: SignatureScheme,
}

impl DkimKey {
    /// Reads it. Err: what is wrong with the file, and how to mend it.
    pub fn load(mail: &ReportsByMail) -> Result<DkimKey, String> {
        let file = mail.dkim_key.display();
        let unusable = |why: &dyn fmt::Display| {
            format!("{file}: is no key that DKIM signs with ({why}); make one with `openssl genrsa -out FILE 2048`")
        };
        let der = load_key(&mail.dkim_key).map_err(|error| error.to_string())?;
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&der).map_err(|error| unusable(&error))?;
        let schemes = [SignatureScheme::RSA_PKCS1_SHA256, SignatureScheme::ED25519];
        let scheme = key.choose_scheme(&schemes).map(|signer| signer.scheme());
        let scheme = scheme.ok_or_else(|| unusable(&"it is neither RSA nor Ed25519"))?;
        Ok(DkimKey { domain: mail.dkim_domain.clone(), selector: mail.dkim_selector.clone(), key, scheme })
    }
}

impl Signer for DkimKey {
    type Error = rustls::Error;

    fn domain(&self) -> &Domain {
        &self.domain
    }

    fn selector(&self) -> &str {
        &self.selector
    }

    fn algorithm(&self) -> &'static str {
        if self.scheme == SignatureScheme::ED25519 { "ed25519-sha256" } else { "rsa-sha256" }
    }

    fn sign(&self, octets: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let none = || rustls::Error::General("the key does not sign by its own scheme".to_owned());
        let signer = self.key.choose_scheme(&[self.scheme]).ok_or_else(none)?;
        match self.scheme {
            // RFC 8463 §3: Ed25519 signs the hash.
            SignatureScheme::ED25519 => signer.sign(&Sha256::digest(octets)),
            _ => signer.sign(octets),
        }
    }
}

/// Not its secret half.
impl fmt::Debug for DkimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DkimKey({}._domainkey.{}, {})", self.selector, self.domain, self.algorithm())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealwire_core::address::Mailbox;

    #[test]
    fn only_a_key_that_dkim_knows_is_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key.pem");
        let mail = ReportsByMail {
            from: Mailbox::parse("a@d.test").expect("a mailbox"),
            dkim_domain: Domain::parse("d.test").expect("a domain"),
            dkim_selector: "s1".into(),
            dkim_key: file.clone(),
        };
        let why = |text: &str| {
            std::fs::write(&file, text).expect("written");
            DkimKey::load(&mail).expect_err("no key")
        };
        assert!(why("").contains("holds no private key"));
        let ecdsa = rcgen::KeyPair::generate().expect("a key");
        let told = why(&ecdsa.serialize_pem());
        assert!(
            told.contains("key.pem") && told.contains("neither RSA nor Ed25519") && told.contains("openssl"),
            "{told}"
        );
        for (algorithm, expected) in [(&rcgen::PKCS_ED25519, "ed25519-sha256"), (&rcgen::PKCS_RSA_SHA256, "rsa-sha256")]
        {
            let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
            std::fs::write(&file, key.serialize_pem()).expect("written");
            let key = DkimKey::load(&mail).expect("a key");
            assert_eq!(key.algorithm(), expected);
            assert!(!key.sign(b"octets").expect("signs").is_empty());
        }
    }
}
