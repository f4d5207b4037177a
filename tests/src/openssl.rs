//! TLS by OpenSSL, which knows versions that rustls does not: behind a scripted peer
//! ([`Script::tls_elsewhere`](crate::fake_peer::Script::tls_elsewhere)), which speaks SMTP before it.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::certs::{Authority, Leaf};
use crate::place;
use crate::process::Process;

/// Every suite, however weak: without it OpenSSL speaks none of the old versions.
pub const WEAK: &str = "ALL:@SECLEVEL=0";

/// A running `openssl s_server`; stops on drop.
#[derive(Debug)]
pub struct OpenSsl {
    address: SocketAddr,
    // The order matters: the process ends before its folder goes.
    _process: Process,
    _folder: TempDir,
}

impl OpenSsl {
    /// Speaks this version alone (`-tls1_1`) with these suites, in OpenSSL's words, one connection at a time.
    #[track_caller]
    pub fn start(version: &str, ciphers: &str, leaf: &Leaf) -> Self {
        Self::serve(place::folder(), version, ciphers, leaf.cert_file(), leaf.key_file())
    }

    /// The same with a certificate of its own for this name, whose key is RSA's: it alone does for the oldest key exchange.
    #[track_caller]
    pub fn start_by_rsa(version: &str, ciphers: &str, name: &str) -> Self {
        let folder = place::folder();
        let (certificate, key) = (folder.path().join("rsa.pem"), folder.path().join("rsa.key"));
        let mut openssl = Command::new(place::program("openssl"));
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", &format!("/CN={name}")]);
        openssl.arg("-out").arg(&certificate).arg("-keyout").arg(&key);
        let output = openssl.stdin(Stdio::null()).output().expect("an installed program can be started");
        assert!(output.status.success(), "openssl req: {}", String::from_utf8_lossy(&output.stderr));
        Self::serve(folder, version, ciphers, &certificate, &key)
    }

    #[track_caller]
    fn serve(folder: TempDir, version: &str, ciphers: &str, certificate: &Path, key: &Path) -> Self {
        let address = place::free_address();
        let mut server = Command::new(place::program("openssl"));
        server.args(["s_server", "-accept", &address.to_string(), version, "-cipher", ciphers]);
        // Without -www it would end with its standard input.
        server.arg("-www").arg("-cert").arg(certificate).arg("-key").arg(key);
        let mut process = Process::start("openssl s_server", &mut server, &folder.path().join("openssl.log"));
        process.ready_when("a connection", || TcpStream::connect(address).ok());
        Self { address, _process: process, _folder: folder }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What `openssl s_client` says of this SMTP server when it offers this version alone (`-tls1_1`), if TLS comes about.
pub fn client(server: SocketAddr, version: &str) -> Option<String> {
    let mut client = Command::new(place::program("openssl"));
    client.args(["s_client", "-starttls", "smtp", "-connect", &server.to_string(), version, "-cipher", WEAK]);
    let output = client.stdin(Stdio::null()).output().expect("an installed program can be started");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The authority's response about a leaf (OCSP), good for a day: that it is in force, or withdrawn.
#[track_caller]
pub fn ocsp_response(authority: &Authority, leaf: &Leaf, withdrawn: bool) -> Vec<u8> {
    let folder = place::folder();
    let (index, response) = (folder.path().join("index.txt"), folder.path().join("response.der"));
    let (state, at) = if withdrawn { ("R", "250101000000Z") } else { ("V", "") };
    place::write(&index, format!("{state}\t480101000000Z\t{at}\t{:04X}\tunknown\t/CN=leaf\n", leaf.serial()));
    let mut openssl = Command::new(place::program("openssl"));
    openssl.args(["ocsp", "-ndays", "1", "-noverify", "-index"]).arg(&index).arg("-CA").arg(authority.file());
    openssl.arg("-rsigner").arg(authority.file()).arg("-rkey").arg(authority.key_file());
    openssl.arg("-issuer").arg(authority.file()).arg("-cert").arg(leaf.cert_file()).arg("-respout").arg(&response);
    let output = openssl.stdin(Stdio::null()).output().expect("an installed program can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    std::fs::read(&response).unwrap_or_else(|why| panic!("openssl ocsp gave no response: {why}: {said}"))
}
