//! The responses that hosts have stapled (RFC 6066 §8), by host and certificate.
//!
//! The library hands a response out in a full handshake and does not keep it with the session. It is the issuer's signed word
//! on a certificate until the time it names, whichever connection it came by: what a resumed session is judged by, each time
//! anew. A response counts for the name it came under alone, so that no host can put one in the place of another's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::{CertificateDer, ServerName};
use sha2::{Digest, Sha256};

/// As many as there are sessions to resume; some kilobytes each. One that is forgotten comes with the next full handshake.
const KEPT_MAX: usize = 1_000;

/// By the name connected to and the certificate's digest.
type Key = (ServerName<'static>, [u8; 32]);

/// The latest of each.
#[derive(Debug, Default)]
pub(in crate::tls) struct Staples(Mutex<HashMap<Key, Arc<[u8]>>>);

impl Staples {
    /// Keeps what came with a handshake, if anything did.
    pub(in crate::tls) fn keep(&self, host: &ServerName<'_>, certificate: &CertificateDer<'_>, response: &[u8]) {
        if response.is_empty() {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key(host, certificate);
        if kept.len() >= KEPT_MAX
            && !kept.contains_key(&key)
            && let Some(any) = kept.keys().next().cloned()
        {
            kept.remove(&any);
        }
        kept.insert(key, response.into());
    }

    /// What this host has stapled to this certificate.
    pub(in crate::tls) fn of(&self, host: &ServerName<'_>, certificate: &CertificateDer<'_>) -> Option<Arc<[u8]>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&key(host, certificate)).cloned()
    }
}

fn key(host: &ServerName<'_>, certificate: &CertificateDer<'_>) -> Key {
    (host.to_owned(), Sha256::digest(certificate).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_kept_by_host_and_certificate_and_are_bounded() {
        let staples = Staples::default();
        let name = |name: &str| ServerName::try_from(name.to_owned()).expect("a name");
        let (ours, other) = (CertificateDer::from(vec![1]), CertificateDer::from(vec![2]));
        staples.keep(&name("mx.test"), &ours, b"first");
        staples.keep(&name("mx.test"), &ours, b"");
        assert_eq!(staples.of(&name("mx.test"), &ours).as_deref(), Some(&b"first"[..]), "nothing takes no place");
        assert!(staples.of(&name("mx.test"), &other).is_none() && staples.of(&name("other.test"), &ours).is_none());
        staples.keep(&name("mx.test"), &ours, b"second");
        assert_eq!(staples.of(&name("mx.test"), &ours).as_deref(), Some(&b"second"[..]));
        for number in 0..KEPT_MAX + 10 {
            staples.keep(&name(&format!("mx{number}.test")), &ours, b"another");
        }
        assert_eq!(staples.0.lock().expect("unharmed").len(), KEPT_MAX);
        assert!(staples.of(&name(&format!("mx{}.test", KEPT_MAX + 9)), &ours).is_some());
    }
}
