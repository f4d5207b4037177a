//! Everything that runs in the demo: a relay with its admin socket, next hops, a name server; all of it on loopback, at
//! ports that were free, with every file in one temporary folder.
//!
//! The relay is the one that `serve` runs, started by the same call from a configuration file like any other.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealwire_admin::{Api, Metrics, Server};
use sealwire_relay::config::{Surroundings, load};
use sealwire_relay::settings::gather;
use sealwire_relay::{Actor, Changing, Relay, Running, Start};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::certificates::{Authority, CertificateFiles};
use super::names;
use super::next_hop::NextHop;
use crate::builtins::builtins;
use crate::failure::Failure;
use crate::log_lines;

/// The relay's own name.
pub(super) const RELAY: &str = "relay.demo.test";
/// The next hop without TLS; whatever no other takes goes there, so that nothing leaves the machine.
pub(super) const CLEAR: &str = "clear.demo.test";
/// The next hop whose certificate nobody vouches for.
pub(super) const SELF_SIGNED: &str = "self-signed.demo.test";
/// The next hop with a certificate of the demo's authority.
pub(super) const TRUSTED: &str = "trusted.demo.test";
/// The host of the alternate secure route.
pub(super) const VAULT: &str = "vault.demo.test";
/// The sender's own server, where reports go.
pub(super) const HOME: &str = "home.demo.test";

/// A demo that is running. Dropped, it leaves nothing behind.
pub(super) struct World {
    pub(super) relay: Arc<Relay>,
    pub(super) address: SocketAddr,
    pub(super) hops: Vec<NextHop>,
    running: Running,
    stop: watch::Sender<bool>,
    admin: JoinHandle<()>,
    // Last: what runs is gone before its folder.
    folder: TempDir,
}

impl World {
    /// Starts everything.
    pub(super) async fn start() -> Result<World, Failure> {
        // Keys and mail, though of a demo, are for who runs it.
        let own = fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix("sealwire-demo-").permissions(own).tempdir();
        let folder = folder.map_err(unprepared)?;
        let (hops, config) = prepare(folder.path()).await.map_err(unprepared)?;
        let file = folder.path().join("sealwire.toml");
        fs::write(&file, config).map_err(unprepared)?;
        fs::write(folder.path().join("settings.toml"), SETTINGS).map_err(unprepared)?;
        log_to(&folder.path().join("relay.log")).map_err(unprepared)?;

        let config = load(&file, &Surroundings::of_this_process())?;
        let metrics = Metrics::install().map_err(|error| format!("metrics cannot be counted: {error}"))?;
        let server = Server::bind(&config.admin_socket)?;
        let running = sealwire_relay::start(Start { config, configuration: Some(file), builtins: builtins() }).await?;
        let relay = Arc::clone(&running.relay);
        let settings = gather(&folder.path().join("settings.toml"))?;
        let (actor, note) = (Actor::new("sealwire demo", "file"), "what the demo needs".to_owned());
        let how = Changing { actor: &actor, note, expected: None, within: None, reload: false };
        relay.apply_settings(settings, how).await.map_err(|error| error.to_string())?;
        let api = Api::of(Arc::clone(&relay), metrics).await.map_err(|error| error.to_string())?;
        let (stop, mut stopping) = watch::channel(false);
        let stopped = async move { drop(stopping.wait_for(|stop| *stop).await) };
        let admin = tokio::spawn(server.run(api, stopped));
        let listeners = relay.status().await.listeners;
        let (_, address) = *listeners.first().ok_or_else(|| "the relay listens nowhere".to_owned())?;
        Ok(World { relay, address, hops, running, stop, admin, folder })
    }

    /// A file of the demo.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The next hop of this name.
    pub(super) fn hop(&self, name: &str) -> Option<&NextHop> {
        self.hops.iter().find(|hop| hop.name == name)
    }

    /// Stops the relay as `serve` does, and removes the folder unless it is to be kept.
    pub(super) async fn stop(self, keep: bool) {
        self.running.stop().await;
        let _ = self.stop.send(true);
        let _ = self.admin.await;
        if keep {
            let _ = self.folder.keep();
        }
    }
}

/// Next hops and certificates; the configuration that leads to them.
async fn prepare(folder: &Path) -> io::Result<(Vec<NextHop>, String)> {
    let mail = folder.join("received");
    fs::create_dir(&mail)?;
    let authority = Authority::new(folder)?;
    let certificate = authority.signed(RELAY)?;
    let self_signed = authority.self_signed(SELF_SIGNED)?;
    let mut hops =
        vec![NextHop::start(CLEAR, None, &mail).await?, NextHop::start(SELF_SIGNED, Some(&self_signed), &mail).await?];
    for name in [TRUSTED, VAULT, HOME] {
        hops.push(NextHop::start(name, Some(&authority.signed(name)?), &mail).await?);
    }
    let config = configuration(&authority.file(), &certificate, names::serve().await?, &hops);
    Ok((hops, config))
}

fn configuration(authority: &Path, relay: &CertificateFiles, names: SocketAddr, hops: &[NextHop]) -> String {
    let routes: Vec<String> = hops.iter().map(route).collect();
    format!(
        "# Written by `sealwire demo`. docs/configuration.md describes every key.\n\
         hostname = \"{RELAY}\"\n\
         data-directory = \"data\"\n\
         # Domains whose mail is taken from anyone. All others: only from this machine, by default.\n\
         hosted-domains = [\"ours.test\"]\n\n\
         [tls]\n\
         # The only authority that is believed: the demo's own.\n\
         roots = {authority:?}\n\n\
         [dns]\n\
         # The demo's own: every name is 127.0.0.1.\n\
         servers = [\"{names}\"]\n\n\
         [[listener]]\n\
         name = \"main\"\n\
         # Any free port; the demo says which.\n\
         address = \"127.0.0.1:0\"\n\
         certificate = {:?}\n\
         key = {:?}\n\n\
         {}",
        relay.certificate,
        relay.key,
        routes.join("\n"),
    )
}

fn route(hop: &NextHop) -> String {
    let (name, more) = match hop.name {
        CLEAR => ("everything-else", "default = true"),
        SELF_SIGNED => ("self-signed", "match = [\"casual.test\", \"shop.test\", \"bank.test\"]"),
        TRUSTED => ("trusted", "match = [\"partner.test\", \"ours.test\"]"),
        VAULT => (
            "vault",
            "# Taken by mail whose own way does not give what is demanded (R7).\n\
             alternate-secure = true\n\
             require-ca-signed-certificate = true\n\
             validate-hostname = true",
        ),
        _ => ("home", "match = [\"sender.test\"]"),
    };
    let (host, port) = (hop.name, hop.address.port());
    format!("[[route]]\nname = \"{name}\"\n{more}\nhosts = [{{ host = \"{host}\", port = {port} }}]\n")
}

const SETTINGS: &str = r#"# Written by `sealwire demo`. docs/settings.md describes every key.
[lists.partners]
entries = ["partner.test"]

[lists.tls-only]
entries = ["shop.test", "clinic.test"]

[lists.trusted-certificate]
entries = ["bank.test"]

[lists.by-vault]
entries = ["agency.test"]

[[policy.secure-transport.settings]]
description = "Partners: TLS in and out; out with a certificate of a CA and the right name"
scopes = ["inbound", "outbound"]
lists = ["partners"]
require-ca-signed-certificate = true
validate-hostname = true

[[policy.secure-transport.settings]]
description = "TLS, whatever the certificate"
scopes = ["outbound"]
lists = ["tls-only"]

[[policy.secure-transport.settings]]
description = "TLS with a certificate of a CA"
scopes = ["outbound"]
lists = ["trusted-certificate"]
require-ca-signed-certificate = true

[[policy.secure-transport.settings]]
description = "TLS, by another way where there is none"
scopes = ["outbound"]
lists = ["by-vault"]
alternate-secure-route = "vault"
"#;

/// The terminal belongs to the table.
fn log_to(file: &Path) -> io::Result<()> {
    log_lines::begin_in(fs::File::create(file)?);
    Ok(())
}

fn unprepared(error: io::Error) -> Failure {
    Failure::Text(format!("the demo cannot be prepared: {error}; does {} have room?", std::env::temp_dir().display()))
}
