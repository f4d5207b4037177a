//! Logging in at a smart host (RFC 4954): what is told, and what a channel must have proven before it is told.
//!
//! [`AuthPermit::of`] is the only maker of an [`AuthPermit`], and the client machine sends no credentials without one: a
//! password goes over a channel that has proven to be TLS with the very host, and over no other.

use std::fmt;

use crate::floor::{ConnectionId, Demand, TlsProof};

/// Octets of user name and of password: RFC 4616 §2 asks for 255 at least.
pub const CREDENTIAL_OCTETS_MAX: usize = 255;

/// User name and password. The password is in no `Debug` output and is not serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    /// Both must say something, in at most [`CREDENTIAL_OCTETS_MAX`] octets without control characters. Err: what is wrong, with
    /// neither of them in it.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Result<Credentials, String> {
        let (user, password) = (user.into(), password.into());
        for (what, text) in [("user name", &user), ("password", &password)] {
            // RFC 4616 §2: NUL stands between the parts; the other controls are typing errors.
            if text.is_empty() || text.len() > CREDENTIAL_OCTETS_MAX || text.chars().any(char::is_control) {
                return Err(format!(
                    "the {what} must have 1 to {CREDENTIAL_OCTETS_MAX} octets, in one line without control characters"
                ));
            }
        }
        Ok(Credentials { user, password })
    }

    /// Who logs in.
    pub fn user(&self) -> &str {
        &self.user
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Whether these demands of a route, once met, tell who the host is: a trusted chain and its name, or a pinned key.
pub fn identify(demands: &[Demand]) -> bool {
    let pinned = demands.iter().any(|demand| matches!(demand, Demand::Pin(..)));
    pinned || (demands.contains(&Demand::TrustedChain) && demands.contains(&Demand::MatchingName))
}

/// Credentials may be sent on one connection. Neither copied nor made anywhere but in [`AuthPermit::of`].
#[derive(Debug)]
pub struct AuthPermit {
    connection: ConnectionId,
}

impl AuthPermit {
    /// For a connection whose proof meets everything that the route demands, if that tells who the host is. Err: what is
    /// not met; where the route's demands tell nothing, a trusted chain and a matching name, or DANE, are among them.
    pub fn of(proof: &TlsProof, of_route: &[Demand]) -> Result<AuthPermit, Vec<Demand>> {
        let mut asked = of_route.to_vec();
        asked.push(Demand::Tls);
        if !identify(of_route) {
            asked.push(Demand::VerifiedServer);
        }
        let unmet: Vec<Demand> = proof.lacks(&asked).cloned().collect();
        if unmet.is_empty() { Ok(AuthPermit { connection: proof.connection() }) } else { Err(unmet) }
    }

    /// The connection it is good for.
    pub fn connection(&self) -> ConnectionId {
        self.connection
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::facts::{Certificate, ChainVerdict, Handshake, TlsVersion};
    use crate::floor::PinKind;

    fn proof(chain: ChainVerdict, name_matches: bool) -> TlsProof {
        let certificate = Certificate {
            subject: String::new(),
            issuer: String::new(),
            dns_names: Vec::new(),
            not_before: 0,
            not_after: 0,
            sha256: [1; 32],
            spki_sha256: [2; 32],
            der: Vec::new(),
        };
        let handshake = Handshake {
            version: TlsVersion::TLS12,
            cipher_suite: "TLS_AES_128_GCM_SHA256".into(),
            key_exchange: "x25519".into(),
            server_name: None,
            implicit: false,
            resumed: false,
            chain,
            name_matches,
            certificates: vec![certificate],
            dane: None,
            revocation: Default::default(),
        };
        TlsProof::of_handshake(ConnectionId(7), Arc::new(handshake))
    }

    #[test]
    fn credentials_go_only_where_the_host_is_proven() {
        let pin = |octet: u8| Demand::Pin(PinKind::SpkiSha256, BTreeSet::from([[octet; 32]]));
        let verified = [Demand::TrustedChain, Demand::MatchingName];
        let clear = TlsProof::of_nothing(ConnectionId(7));
        let good = proof(ChainVerdict::Trusted, true);
        let (untrusted, misnamed) =
            (proof(ChainVerdict::CertificateNotTrusted, true), proof(ChainVerdict::Trusted, false));
        let (pinned, otherwise) = ([pin(2)], [pin(3)]);
        let pinned_and_verified = [pin(2), Demand::TrustedChain, Demand::MatchingName];
        // (proof, demands of the route, may log in)
        let rows: [(&TlsProof, &[Demand], bool); 16] = [
            (&good, &verified, true),
            (&untrusted, &verified, false),
            (&misnamed, &verified, false),
            (&clear, &verified, false),
            (&untrusted, &pinned, true),
            (&good, &otherwise, false),
            (&clear, &pinned, false),
            (&untrusted, &pinned_and_verified, false),
            (&good, &pinned_and_verified, true),
            // A route that demands too little is made up for here, whatever let it through.
            (&good, &[], true),
            (&clear, &[], false),
            (&untrusted, &[], false),
            (&misnamed, &[Demand::Tls, Demand::TrustedChain], false),
            (&untrusted, &[Demand::Tls, Demand::MatchingName], false),
            // Any other demand of the route is one of this too.
            (&good, &[Demand::MinimumVersion(TlsVersion::TLS13)], false),
            (&good, &[Demand::MinimumVersion(TlsVersion::TLS12)], true),
        ];
        for (proof, demands, expected) in rows {
            assert_eq!(AuthPermit::of(proof, demands).is_ok(), expected, "{demands:?} by {proof:?}");
        }
        assert_eq!(AuthPermit::of(&good, &verified).expect("proven").connection(), ConnectionId(7));
    }

    #[test]
    fn credentials_keep_their_password_to_themselves() {
        let credentials = Credentials::new("relay", "s3cret").expect("good ones");
        assert_eq!(format!("{credentials:?}"), "Credentials { user: \"relay\", .. }");
        let long = "x".repeat(CREDENTIAL_OCTETS_MAX + 1);
        for (user, password) in [("", "p"), ("u", ""), ("u\0", "p"), ("u", "p\nq"), (&*long, "p"), ("u", &*long)] {
            let problem = Credentials::new(user, password).expect_err("refused");
            assert!(problem.contains("octets") && !problem.contains("xxx"), "{problem}");
        }
    }
}
