//! Lists of what issuers have withdrawn (CRLs, RFC 5280 §5), from files that the operator keeps up to date.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use sealwire_core::facts::RevocationStatus;
use sealwire_core::time::rfc3339;
use webpki::{CertRevocationList, Error, OwnedCertRevocationList, RevocationCheckDepth};
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::Chain;
use crate::tls::TlsSetupError;

/// Of its time, the last part in which its end is told of: one so-manieth.
const TENTH: u64 = 10;

/// The lists that connections of a route are judged by.
#[derive(Clone, Debug, Default)]
pub struct RevocationLists(Vec<Arc<RevocationList>>);

/// One issuer's list.
#[derive(Debug)]
pub struct RevocationList {
    list: CertRevocationList<'static>,
    /// Distinguished name.
    pub issuer: String,
    /// Where it was read.
    pub file: PathBuf,
    /// Seconds since the Unix epoch.
    pub issued_at: u64,
    /// When the issuer will have given out the next at the latest; seconds since the Unix epoch.
    pub ends_at: u64,
}

impl RevocationLists {
    /// Every list of a file: PEM, one or more, or DER, one. One that cannot be read, or none at all, is an error: what it says
    /// must not be lost unseen.
    pub fn load(file: &Path) -> Result<RevocationLists, TlsSetupError> {
        let read = |why: String| TlsSetupError::Read(file.to_owned(), why);
        let octets = std::fs::read(file).map_err(|error| read(error.to_string()))?;
        // DER begins with a SEQUENCE, PEM with text.
        let found = match octets.first() {
            Some(0x30) => vec![CertificateRevocationListDer::from(octets)],
            _ => {
                let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&octets).collect();
                found.map_err(|error| read(error.to_string()))?
            }
        };
        if found.is_empty() {
            return Err(TlsSetupError::Empty(file.to_owned(), "revocation list (X509 CRL)"));
        }
        let lists = found.iter().map(|der| RevocationList::read(file, der).map(Arc::new));
        lists.collect::<Result<_, _>>().map(RevocationLists).map_err(read)
    }

    /// These and those.
    #[must_use]
    pub fn with(mut self, others: &RevocationLists) -> RevocationLists {
        self.0.extend(others.0.iter().cloned());
        self
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = &RevocationList> {
        self.0.iter().map(|list| &**list)
    }

    /// What they say. Of several that an issuer has given out each counts that is current.
    pub(super) fn status(&self, chain: &Chain<'_>) -> RevocationStatus {
        self.iter().map(|list| list.status(chain)).max().unwrap_or_default()
    }
}

impl RevocationList {
    fn read(file: &Path, der: &CertificateRevocationListDer<'_>) -> Result<RevocationList, String> {
        let unreadable = |why: &dyn std::fmt::Display| format!("holds a revocation list that cannot be used: {why}");
        let list = OwnedCertRevocationList::from_der(der).map_err(|error| unreadable(&error))?;
        let (_, parsed) = CertificateRevocationList::from_der(der).map_err(|error| unreadable(&error))?;
        // RFC 5280 §5.1.2.5: it must say when the next one comes.
        let next = parsed.next_update().ok_or_else(|| unreadable(&"it does not say when it ends"))?;
        let seconds = |at: i64| u64::try_from(at).unwrap_or(0);
        Ok(RevocationList {
            issuer: parsed.issuer().to_string(),
            file: file.to_owned(),
            issued_at: seconds(parsed.last_update().timestamp()),
            ends_at: seconds(next.timestamp()),
            list: CertRevocationList::from(list),
        })
    }

    /// It says what holds now; `now` in seconds since the Unix epoch.
    pub fn is_current(&self, now: u64) -> bool {
        (self.issued_at..self.ends_at).contains(&now)
    }

    /// What is wrong with it, or soon will be: a tenth of its time is left, and the next ought to be there. `now` in seconds since
    /// the Unix epoch.
    pub fn trouble(&self, now: u64) -> Option<String> {
        let (file, issuer, at) = (self.file.display(), &self.issuer, rfc3339(self.ends_at));
        let soon = self.ends_at.saturating_sub(self.issued_at) / TENTH;
        let is = match now {
            _ if now < self.issued_at => "is of a time to come; check this machine's clock".to_owned(),
            _ if now >= self.ends_at => format!("is out of date since {at}; bring it up to date and reload"),
            _ if self.ends_at - now <= soon => format!("ends {at}; bring it up to date before that and reload"),
            _ => return None,
        };
        Some(format!("{file}: the revocation list of {issuer} {is}"))
    }

    fn status(&self, chain: &Chain<'_>) -> RevocationStatus {
        if !self.is_current(chain.verifying.now.as_secs()) {
            // What an old list does not name may have been withdrawn since. That it is old is our own fault, not the host's.
            let is_of_issuer = self.list.issuer() == chain.certificate.issuer();
            return if is_of_issuer { RevocationStatus::Stale } else { RevocationStatus::Unknown };
        }
        // webpki looks at who signed the list, what its scope is, and whether the issuer may sign lists (RFC 5280 §6.3.3).
        if chain.with_list(&self.list, RevocationCheckDepth::Chain) == Err(Error::CertRevoked) {
            return RevocationStatus::Revoked;
        }
        match chain.with_list(&self.list, RevocationCheckDepth::EndEntity) {
            Ok(()) => RevocationStatus::Good,
            Err(Error::CertRevoked) => RevocationStatus::Revoked,
            Err(_) => RevocationStatus::Unknown,
        }
    }
}
