//! Whether a host's certificate was withdrawn by its issuer: by the issuer's lists (RFC 5280 §5) and by the response that the
//! host staples to its handshake (RFC 6066 §8, RFC 6960).
//!
//! Nothing is fetched: a list is a file that the operator keeps up to date, a response comes with the handshake. What neither
//! speaks of is unknown, and that is no proof (RFC 9325 §7.5). Either's word that a certificate is withdrawn counts before the
//! other's that it is good. Only chains to a trusted root are looked at: of others there is no issuer whose word counts.

mod lists;
mod stapled;
mod staples;

pub use lists::{RevocationList, RevocationLists};
pub(super) use staples::Staples;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use sealwire_core::facts::RevocationStatus;
use webpki::{
    CertRevocationList, EndEntityCert, Error, KeyUsage, RevocationCheckDepth, RevocationOptionsBuilder,
    UnknownStatusPolicy, VerifiedPath,
};

use super::dane::Verifying;

/// What is said of the certificate that was presented first. Good takes a word on it; withdrawn is a chain of which any part is.
pub(super) fn status(
    presented: &[CertificateDer<'_>],
    roots: &RootCertStore,
    lists: &RevocationLists,
    response: Option<&[u8]>,
    verifying: &Verifying<'_>,
) -> RevocationStatus {
    // Nobody says anything: by far the most often.
    if lists.is_empty() && response.is_none() {
        return RevocationStatus::Unknown;
    }
    let Some((first, others)) = presented.split_first() else { return RevocationStatus::Unknown };
    let Ok(certificate) = EndEntityCert::try_from(first) else { return RevocationStatus::Unknown };
    let chain = Chain { certificate: &certificate, others, roots, verifying };
    if chain.path().is_err() {
        return RevocationStatus::Unknown;
    }
    let by_response = response.map_or(RevocationStatus::Unknown, |response| stapled::status(response, first, &chain));
    lists.status(&chain).max(by_response)
}

/// A certificate, and what may lead from it to a root.
struct Chain<'a> {
    certificate: &'a EndEntityCert<'a>,
    others: &'a [CertificateDer<'a>],
    roots: &'a RootCertStore,
    verifying: &'a Verifying<'a>,
}

impl<'a> Chain<'a> {
    /// A way to a root.
    fn path(&self) -> Result<VerifiedPath<'a>, Error> {
        let Verifying { algorithms, now } = *self.verifying;
        let (roots, usage) = (&self.roots.roots, KeyUsage::server_auth());
        self.certificate.verify_for_usage(algorithms, roots, self.others, now, usage, None, None)
    }

    /// The same, as far as this list speaks of it: of the first certificate alone, which it must cover, or of each that it does.
    fn with_list(&self, list: &CertRevocationList<'_>, depth: RevocationCheckDepth) -> Result<(), Error> {
        let Verifying { algorithms, now } = *self.verifying;
        let lists = [list];
        let unknown = match depth {
            RevocationCheckDepth::EndEntity => UnknownStatusPolicy::Deny,
            RevocationCheckDepth::Chain => UnknownStatusPolicy::Allow,
        };
        let options = RevocationOptionsBuilder::new(&lists).map_err(|_| Error::UnknownRevocationStatus)?;
        let options = options.with_depth(depth).with_status_policy(unknown).build();
        let (roots, usage) = (&self.roots.roots, KeyUsage::server_auth());
        self.certificate.verify_for_usage(algorithms, roots, self.others, now, usage, Some(options), None).map(drop)
    }
}

#[cfg(test)]
mod tests;
