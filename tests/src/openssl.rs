//! TLS by OpenSSL, which knows versions that rustls does not: behind a scripted peer
//! ([`Script::tls_elsewhere`](crate::fake_peer::Script::tls_elsewhere)), which speaks SMTP before it.

use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::certs::{Authority, Leaf};
use crate::place;
use crate::process::Process;

/// Every suite, however weak: without it OpenSSL speaks none of the old versions.
const WEAK: [&str; 2] = ["-cipher", "ALL:@SECLEVEL=0"];

/// A running `openssl s_server`; stops on drop.
#[derive(Debug)]
pub struct OpenSsl {
    address: SocketAddr,
    // The order matters: the process ends before its folder goes.
    _process: Process,
    _folder: TempDir,
}

impl OpenSsl {
    /// Speaks this version alone (`-tls1_1`), one connection at a time.
    #[track_caller]
    pub fn start(version: &str, leaf: &Leaf) -> Self {
        let (folder, address) = (place::folder(), place::free_address());
        let mut server = Command::new(place::program("openssl"));
        server.args(["s_server", "-accept", &address.to_string(), version]).args(WEAK);
        // Without -www it would end with its standard input.
        server.arg("-www").arg("-cert").arg(leaf.cert_file()).arg("-key").arg(leaf.key_file());
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
    client.args(["s_client", "-starttls", "smtp", "-connect", &server.to_string(), version]).args(WEAK);
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
