//! The acceptor of a listener, and what its handshakes yield.

use std::path::Path;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};
use sealwire_core::facts::Handshake;
use tokio_rustls::TlsAcceptor;

use super::proof::negotiated;
use super::{TlsSetupError, load_certificates, load_key};

/// An acceptor for this certificate and key; TLS 1.2 and 1.3 with the library's suites, all of them AEAD with forward
/// secrecy (RFC 9325 §4.2). Of the suites both know, ours come in our order: AES-128 with SHA-256, which every TLS 1.3 has to
/// have (RFC 8446 §9.1), before AES-256 with SHA-384, whose key schedule costs several times as much in each handshake.
pub fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsSetupError> {
    Ok(TlsAcceptor::from(Arc::new(server_config(certificate, key)?)))
}

/// The same for HTTP. It names its protocol (RFC 7301), so that a browser cannot be led to speak to it as to another server with
/// the same certificate, nor a mail client.
pub fn web_acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsSetupError> {
    let mut config = server_config(certificate, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn server_config(certificate: &Path, key: &Path) -> Result<ServerConfig, TlsSetupError> {
    let chain = load_certificates(certificate)?;
    let key = load_key(key)?;
    let unusable = |e: rustls::Error| TlsSetupError::Unusable(e.to_string());
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| !format!("{:?}", suite.suite()).contains("AES_128_GCM"));
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.ignore_client_order = true;
    // A client gets a new one with each session that it resumes.
    config.send_tls13_tickets = 1;
    Ok(config)
}

/// What a client's handshake with us yields. No certificate is asked of clients, so none is judged.
pub fn server_side(connection: &ServerConnection) -> Handshake {
    Handshake { server_name: connection.server_name().map(ToOwned::to_owned), ..negotiated(connection) }
}
