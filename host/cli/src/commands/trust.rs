//! The TLS of a client that believes one file of authorities and nobody else.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use sealwire_relay::tls::load_certificates;

/// A client's configuration with these roots, without a certificate of its own.
pub(crate) fn client_config(roots: &Path) -> io::Result<ClientConfig> {
    let mut trusted = RootCertStore::empty();
    for certificate in load_certificates(roots).map_err(io::Error::other)? {
        trusted.add(certificate).map_err(io::Error::other)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    Ok(config)
}
