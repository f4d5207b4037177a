//! What every seed of a process shares, because it is dear and nothing of it changes: guests, generations, certificates.
//!
//! The policies are real components in the real sandbox, run where they are asked. There are two generations: a sound
//! one, and one whose chain has a policy that fails on the messages that say so.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ED25519};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sealwire_core::dane::Tlsa;
use sealwire_policy::{Sandbox, SandboxConfig};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::hop::{Nature, VAULT, names};
use crate::config::{self, Surroundings};
use crate::dns::{Addresses, Answer, Lookup, Resolver};
use crate::live::{Builtins, Live, Parts, build};
use crate::settings::SettingsDocument;
use crate::tls::{Connector, Roots};

/// The relay's own name.
pub(super) const RELAY: &str = "relay.test";
/// Says NOTIFY=NEVER of every recipient.
pub(super) const WANTS_NO_REPORT: &str = "silent@home.test";
/// Says NOTIFY=SUCCESS,FAILURE,DELAY of every recipient.
pub(super) const WANTS_EVERY_REPORT: &str = "keen@home.test";
/// How long a message may wait: short of the usual five days, so that a message nobody takes costs few rounds.
pub(super) const EXPIRE_AFTER_SECS: u64 = 12 * 3_600;

const SETTINGS: &str = r#"
[lists.tls]
entries = ["tls.test"]
[lists.ca]
entries = ["ca.test"]
[lists.name]
entries = ["name.test"]
[lists.alt]
entries = ["alt.test"]
[lists.secret]
entries = ["secret.test"]

[[policy.secure-transport.settings]]
description = "TLS"
scopes = ["outbound"]
lists = ["tls"]
[[policy.secure-transport.settings]]
description = "a CA's certificate"
scopes = ["outbound"]
lists = ["ca"]
require-ca-signed-certificate = true
[[policy.secure-transport.settings]]
description = "a CA's certificate that names the host"
scopes = ["outbound"]
lists = ["name"]
require-ca-signed-certificate = true
validate-hostname = true
[[policy.secure-transport.settings]]
description = "TLS, else by the vault"
scopes = ["outbound"]
lists = ["alt"]
alternate-secure-route = "vault"
[[policy.secure-transport.settings]]
description = "by TLS alone"
scopes = ["inbound"]
lists = ["secret"]
"#;

/// What every seed shares.
pub(super) struct Shared {
    pub(super) sandbox: Sandbox,
    /// What is live while all is well.
    pub(super) sound: Live,
    /// A generation of which one policy fails on demand.
    pub(super) broken: Live,
    /// The relay's listener.
    pub(super) acceptor: TlsAcceptor,
    /// A sender's side of STARTTLS.
    pub(super) connector: TlsConnector,
    /// What the good certificate is named by.
    pub(super) good_tlsa: Tlsa,
    good: TlsAcceptor,
    wrong_name: TlsAcceptor,
    self_signed: TlsAcceptor,
    _folder: TempDir,
}

/// Built once.
pub(super) fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(Shared::new)
}

impl Shared {
    fn new() -> Shared {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new();
        let roots = folder.path().join("ca.pem");
        std::fs::write(&roots, &authority.pem).expect("written");
        let config = inline();
        let sandbox = Sandbox::start(config).expect("a sandbox");
        let good_names: Vec<String> = names();
        let (good, certificate) = authority.acceptor_and_certificate(&good_names);
        let data = Sha256::digest(&certificate).to_vec();
        Shared {
            sound: live(&sandbox, &roots, false),
            broken: live(&sandbox, &roots, true),
            acceptor: authority.acceptor(&[RELAY.to_owned()]),
            connector: Connector::new(&Roots::File(roots)).expect("a connector").tls(),
            good_tlsa: Tlsa { usage: 3, selector: 0, matching: 1, data },
            good,
            wrong_name: authority.acceptor(&["other.test".to_owned()]),
            self_signed: Authority::new().acceptor(&good_names),
            sandbox,
            _folder: folder,
        }
    }

    /// The acceptor of a host of this nature.
    pub(super) fn hop_acceptor(&self, nature: Nature) -> &TlsAcceptor {
        match nature {
            Nature::WrongName => &self.wrong_name,
            Nature::SelfSigned => &self.self_signed,
            _ => &self.good,
        }
    }
}

fn inline() -> SandboxConfig {
    SandboxConfig { inline: true, ..SandboxConfig::default() }
}

/// Configuration and settings of the simulated relay, and its chain as real components.
fn live(sandbox: &Sandbox, roots: &Path, broken: bool) -> Live {
    let mut text = format!(
        "hostname = \"{RELAY}\"\ntrusted-networks = [\"192.0.2.0/24\"]\n\
         [tls]\nroots = {roots:?}\n\
         [limits]\ndeliveries = 3\ndeliveries-per-destination = 1\n\
         [schedule]\nexpire-after = \"{EXPIRE_AFTER_SECS}s\"\n\
         [[route]]\nname = \"mx\"\nmx = true\ndefault = true\n\
         [[route]]\nname = \"vault\"\nhosts = [{{ host = \"{VAULT}\" }}]\ntls = \"required\"\nalternate-secure = true\n\
         [[policy]]\nname = \"secure-transport\"\ncomponent = {:?}\n\
         [[policy]]\nname = \"steer\"\ncomponent = {:?}\n",
        guest("secure-transport"),
        guest("steer-by-subject"),
    );
    if broken {
        text.push_str(&format!("[[policy]]\nname = \"fail\"\ncomponent = {:?}\n", guest("fail-by-subject")));
    }
    let config = config::parse(&text, "simulation", Path::new(""), &Surroundings::of_this_process());
    let config = config.unwrap_or_else(|problems| panic!("{problems:?}"));
    let settings = SettingsDocument::parse(SETTINGS).unwrap_or_else(|problems| panic!("{problems:?}"));
    let number = if broken { 2 } else { 1 };
    let parts = Parts {
        config: Arc::new(config),
        settings,
        settings_revision: 1,
        revision_at: 0,
        resolver: Arc::new(Nobody),
        number,
    };
    build(parts, sandbox, &Builtins::new(), None).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A guest of this workspace as a component; cargo builds it when it has to.
pub(crate) fn guest(package: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.parent()?.join("simulation-guests")));
    guest_build::component(here, package, &target.expect("a target folder")).unwrap_or_else(|error| panic!("{error}"))
}

/// Each seed brings names of its own.
struct Nobody;

impl Resolver for Nobody {
    fn mx<'a>(&'a self, _: &'a sealwire_core::address::Domain) -> Lookup<'a, Answer<Vec<(u16, String)>>> {
        Box::pin(async { Ok(Answer::default()) })
    }

    fn addresses<'a>(&'a self, _: &'a str) -> Lookup<'a, Addresses> {
        Box::pin(async { Ok(Addresses::default()) })
    }

    fn txt<'a>(&'a self, _: &'a str) -> Lookup<'a, Answer<Vec<Vec<u8>>>> {
        Box::pin(async { Ok(Answer::default()) })
    }

    fn tlsa<'a>(&'a self, _: &'a str) -> Lookup<'a, Answer<Vec<Tlsa>>> {
        Box::pin(async { Ok(Answer::default()) })
    }

    fn dnssec(&self) -> String {
        "off: nobody is asked".to_owned()
    }
}

/// A certificate authority. Keys are Ed25519, whose signatures are all of one length: where a connection is cut at an
/// octet, that octet is then the same in every process.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
        let mut params = params(&[], "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("signed").pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// A server with a certificate for these names. One key exchange and no tickets: they would only cost time.
    fn acceptor(&self, names: &[String]) -> TlsAcceptor {
        self.acceptor_and_certificate(names).0
    }

    fn acceptor_and_certificate(&self, names: &[String]) -> (TlsAcceptor, CertificateDer<'static>) {
        let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
        let certificate: CertificateDer<'static> =
            params(names, "host").signed_by(&key, &self.issuer).expect("signed").der().clone();
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.kx_groups = vec![rustls::crypto::aws_lc_rs::kx_group::X25519];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("certificate and key");
        config.send_tls13_tickets = 0;
        (TlsAcceptor::from(Arc::new(config)), certificate)
    }
}

fn params(names: &[String], common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(names.to_vec()).expect("names in ASCII");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 1, 1);
    params.serial_number = Some(7_u64.into());
    params
}
