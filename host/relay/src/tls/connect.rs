//! The connector: one shared client configuration that completes a handshake with any certificate.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, SupportedProtocolVersion};

use super::proof::iana_name;
use super::revocation::{RevocationLists, Staples};
use super::sessions::sessions;
use super::{Identity, TlsSetupError, load_certificates};

/// Where trusted CA certificates come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// The operating system's.
    System,
    /// A PEM file; nothing else is trusted then.
    File(PathBuf),
}

/// Opens TLS on connections to next hops, and knows the roots and revocation lists to judge them by.
#[derive(Clone)]
pub struct Connector {
    pub(super) roots: Arc<RootCertStore>,
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) lists: Arc<RevocationLists>,
    pub(super) staples: Arc<Staples>,
    config: Arc<ClientConfig>,
    /// The same, resuming none of its sessions.
    afresh: Arc<ClientConfig>,
}

impl Connector {
    /// A connector that judges by these roots.
    pub fn new(roots: &Roots) -> Result<Connector, TlsSetupError> {
        let roots = Arc::new(load_roots(roots)?);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let staples = Arc::default();
        let config = Arc::new(opportunistic(&provider, &staples, rustls::DEFAULT_VERSIONS)?);
        let lists = Arc::default();
        let bare = Connector { roots, provider, lists, staples, afresh: Arc::clone(&config), config };
        Ok(bare.with(ClientConfig::clone(&bare.config)))
    }

    /// The same with this configuration, and sessions of its own: one that began under another identity is never resumed.
    fn with(&self, mut config: ClientConfig) -> Connector {
        // rustls keeps the chain with the session and gives it out again: it is judged each time, by what holds then.
        let (resuming, anew) = sessions();
        config.resumption = anew;
        let afresh = Arc::new(config.clone());
        config.resumption = resuming;
        Connector { config: Arc::new(config), afresh, ..self.clone() }
    }

    /// The same, judging by these revocation lists besides.
    #[must_use]
    pub fn judging_by(&self, lists: &RevocationLists) -> Connector {
        let lists = RevocationLists::clone(&self.lists).with(lists);
        Connector { lists: Arc::new(lists), ..self.clone() }
    }

    /// What it judges by besides roots.
    pub(crate) fn lists(&self) -> &RevocationLists {
        &self.lists
    }

    /// The same, speaking this version alone.
    pub(crate) fn only(&self, version: &'static SupportedProtocolVersion) -> Result<Connector, TlsSetupError> {
        let mut config = opportunistic(&self.provider, &self.staples, &[version])?;
        config.client_auth_cert_resolver = Arc::clone(&self.config.client_auth_cert_resolver);
        Ok(self.with(config))
    }

    /// The same, offering of its cipher suites these alone, by IANA name.
    pub(crate) fn offering(&self, suites: &BTreeSet<String>) -> Result<Connector, TlsSetupError> {
        let mut provider = CryptoProvider::clone(&self.provider);
        provider.cipher_suites.retain(|suite| suites.contains(&iana_name(suite.suite())));
        let provider = Arc::new(provider);
        let mut config = opportunistic(&provider, &self.staples, rustls::DEFAULT_VERSIONS)?;
        config.client_auth_cert_resolver = Arc::clone(&self.config.client_auth_cert_resolver);
        Ok(Connector { provider, ..self.with(config) })
    }

    /// The same, presenting this certificate to hosts that ask for one.
    #[must_use]
    pub(crate) fn presenting(&self, identity: &Identity) -> Connector {
        let mut config = ClientConfig::clone(&self.config);
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(identity.0.clone()));
        self.with(config)
    }

    /// For web servers, which must present a chain to these roots and their name.
    pub fn web(&self) -> Result<tokio_rustls::TlsConnector, TlsSetupError> {
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsSetupError::Unusable(error.to_string()))?
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(tokio_rustls::TlsConnector::from(Arc::new(config)))
    }

    /// For `tokio_rustls`. A session may be resumed: it is judged by the chain that it was made with.
    pub fn tls(&self) -> tokio_rustls::TlsConnector {
        tokio_rustls::TlsConnector::from(Arc::clone(&self.config))
    }

    /// The same, but the peer has to present its chain of today.
    pub fn tls_afresh(&self) -> tokio_rustls::TlsConnector {
        tokio_rustls::TlsConnector::from(Arc::clone(&self.afresh))
    }
}

/// Completes a handshake with any certificate.
fn opportunistic(
    provider: &Arc<CryptoProvider>,
    staples: &Arc<Staples>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ClientConfig, TlsSetupError> {
    let verifier = JudgedAfterwards { provider: Arc::clone(provider), staples: Arc::clone(staples) };
    let config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions)
        .map_err(|error| TlsSetupError::Unusable(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

fn load_roots(roots: &Roots) -> Result<RootCertStore, TlsSetupError> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::File(path) => {
            for der in load_certificates(path)? {
                let unusable = |e: Error| TlsSetupError::Unusable(format!("{}: {e}", path.display()));
                store.add(der).map_err(unusable)?;
            }
        }
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            // Distributions ship roots that not every parser likes; those are left out, never the whole store.
            let (_, _) = store.add_parsable_certificates(found.certs);
            if store.is_empty() {
                let why = found.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                tracing::warn!(%why, "no system CA certificates: a demand for a CA-signed certificate cannot be met");
            }
        }
    }
    Ok(store)
}

/// Lets any certificate through the handshake and checks that the peer holds its key. Chain and name are judged on
/// the completed handshake ([`super::client_side`]), where a demand for them can be told from a wish; a stapled response is kept
/// for that, since nothing else tells of it afterwards.
#[derive(Debug)]
struct JudgedAfterwards {
    provider: Arc<CryptoProvider>,
    staples: Arc<Staples>,
}

impl ServerCertVerifier for JudgedAfterwards {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.staples.keep(server_name, end_entity, ocsp_response);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use rustls::{ClientConnection, HandshakeKind, ServerConfig, ServerConnection};

    use super::*;
    use crate::tls::acceptor;

    /// A whole session in memory; true: an earlier one was resumed. RFC 9325 §3.4, §3.5: without early data and with SNI.
    fn resumes(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> bool {
        let name = ServerName::try_from("mx.test").expect("a name");
        let mut client = ClientConnection::new(Arc::clone(client), name).expect("a client");
        let mut server = ServerConnection::new(Arc::clone(server)).expect("a server");
        assert!(client.early_data().is_none() && server.early_data().is_none(), "nothing goes before the handshake");
        while client.wants_write() || server.wants_write() {
            let mut octets = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut octets).expect("memory takes octets");
            }
            carry(&octets, |octets| server.read_tls(octets));
            server.process_new_packets().expect("what a client says");
            let mut octets = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut octets).expect("memory takes octets");
            }
            carry(&octets, |octets| client.read_tls(octets));
            client.process_new_packets().expect("what a server says");
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        assert_eq!(server.server_name(), Some("mx.test"));
        client.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    fn carry(mut octets: &[u8], mut read: impl FnMut(&mut dyn std::io::Read) -> std::io::Result<usize>) {
        while !octets.is_empty() {
            read(&mut octets.by_ref()).expect("memory gives octets");
        }
    }

    /// RFC 9325 §3.5: a session is resumed by whoever began it. Another identity, other suites, another route's connector: each
    /// has sessions of its own, and one that is to show its chain of today resumes none.
    #[test]
    fn sessions_are_resumed_within_one_identity_and_without_early_data() {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        let made = rcgen::generate_simple_self_signed(["mx.test".to_owned()]).expect("a certificate");
        std::fs::write(&certificate, made.cert.pem()).expect("written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        let accepting = acceptor(&certificate, &key).expect("an acceptor");
        let server = accepting.config();
        assert_eq!(server.max_early_data_size, 0);
        // Sessions are kept in memory, not sealed into tickets: there is no key that would have to be changed (§3.4).
        assert!(!server.ticketer.enabled());
        let one = Connector::new(&Roots::File(certificate.clone())).expect("roots");
        let suites = crate::tls::cipher_suites().into_iter().collect();
        let identity = Identity::load(&certificate, &key).expect("an identity");
        assert!(!resumes(&one.config, server), "the first");
        assert!(resumes(&one.config, server), "the second");
        assert!(!resumes(&one.afresh, server), "asked for its chain of today");
        assert!(resumes(&one.config, server), "the new one");
        let others = [
            Connector::new(&Roots::File(certificate)).expect("roots"),
            one.offering(&suites).expect("suites"),
            one.presenting(&identity),
        ];
        for other in &others {
            assert!(!resumes(&other.config, server), "another's");
            assert!(resumes(&other.config, server), "its own");
        }
        for config in [&one.config, &one.afresh, &others[1].config, &others[2].config] {
            assert!(config.enable_sni && !config.enable_early_data);
        }
    }

    /// As many as a distribution ships; a machine without any is warned of at start, and would fail this test.
    #[test]
    fn the_systems_roots_are_found() {
        let connector = Connector::new(&Roots::System).expect("roots of the system");
        assert!(connector.roots.len() > 20, "{} roots", connector.roots.len());
    }
}
