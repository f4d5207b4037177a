//! What a scene shall be: routes, settings, policies, names, collected before the relay is started.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use sealwire_tests::certs::{self, Authority};
use sealwire_tests::fake_peer::Script;
use sealwire_tests::relay::{Ground, Relay};
use sealwire_tests::{guests, place};

use super::scene::Scene;

/// Name and component of the built-in policy.
pub(super) const BUILTIN: (&str, &str) = ("secure-transport", "builtin:secure-transport");
/// Where this variable is set, a component that refuses everything ends the chain of every scene.
pub(super) const REFUSING_VARIABLE: &str = "SEALWIRE_TESTS_REFUSING";

/// What the relay of a scene shall be.
#[derive(Default)]
pub(super) struct Given {
    top: String,
    schedule: String,
    dns: Option<SocketAddr>,
    dnssec: String,
    routes: String,
    policies: String,
    settings: String,
    home: Option<SocketAddr>,
    authority: Option<Authority>,
    under: Vec<&'static str>,
}

/// The beginning of every scene.
pub(super) fn given() -> Given {
    Given::default()
}

/// A list of these entries, and a setting named alike that holds for it: `setting("partners", "outbound", &["partner.test"],
/// "validate-hostname = true")`. Several scopes are separated by blanks.
pub(super) fn setting(name: &str, scopes: &str, entries: &[&str], more: &str) -> String {
    let scopes: Vec<&str> = scopes.split(' ').collect();
    format!(
        "[lists.{name}]\nentries = {entries:?}\n[[policy.secure-transport.settings]]\ndescription = \"{name}\"\n\
         scopes = {scopes:?}\nlists = [\"{name}\"]\n{more}\n"
    )
}

impl Given {
    /// Mail of these domains goes to this host; `more` are further lines of its route, `tls = "required"` say.
    pub(super) fn route(self, name: &str, domains: &[&str], host: SocketAddr, more: &str) -> Self {
        self.hosts(name, domains, &[host], more)
    }

    /// Mail of these domains goes to these hosts, the first preferred.
    pub(super) fn hosts(self, name: &str, domains: &[&str], hosts: &[SocketAddr], more: &str) -> Self {
        let preferred = hosts.iter().enumerate().map(|(preference, host)| {
            format!("{{ host = \"{}\", port = {}, preference = {preference} }}", host.ip(), host.port())
        });
        self.route_to(name, domains, &preferred.collect::<Vec<_>>().join(", "), more)
    }

    /// Mail of these domains goes to the host of this name.
    pub(super) fn named_host(self, name: &str, domains: &[&str], host: &str, port: u16, more: &str) -> Self {
        self.route_to(name, domains, &format!("{{ host = \"{host}\", port = {port} }}"), more)
    }

    /// All other mail goes by MX, at this port.
    pub(super) fn mx(mut self, port: u16) -> Self {
        let _ = write!(self.routes, "[[route]]\nname = \"by-mx\"\nmx = true\nport = {port}\ndefault = true\n");
        self
    }

    /// Names are asked of this server. Without one, of a port where nobody answers.
    pub(super) fn dns(mut self, server: SocketAddr) -> Self {
        self.dns = Some(server);
        self
    }

    /// Further lines of `[dns]`.
    pub(super) fn dnssec(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.dnssec);
        self
    }

    /// Policies of MTA-STS are fetched at this port.
    pub(super) fn sts(mut self, port: u16) -> Self {
        let _ = write!(self.routes, "[mta-sts]\nport = {port}\n");
        self
    }

    /// Lines of `[schedule]`.
    pub(super) fn schedule(mut self, lines: &str) -> Self {
        self.schedule = lines.to_owned();
        self
    }

    /// Top-level lines of the configuration.
    pub(super) fn config(mut self, lines: &str) -> Self {
        self.top = lines.to_owned();
        self
    }

    /// One more policy in the chain. Without any, the chain is the built-in one.
    pub(super) fn policy(mut self, name: &str, component: &str) -> Self {
        self.policies.push_str(&policy_table(name, component));
        self
    }

    /// The built-in policy, in a chain of several.
    pub(super) fn builtin(self) -> Self {
        self.policy(BUILTIN.0, BUILTIN.1)
    }

    /// More of the settings document.
    pub(super) fn settings(mut self, text: &str) -> Self {
        self.settings.push_str(text);
        self
    }

    /// The sender's mail server, instead of a scripted one.
    pub(super) fn home(mut self, address: SocketAddr) -> Self {
        self.home = Some(address);
        self
    }

    /// The relay believes this authority, which has made the peers' certificates.
    pub(super) fn believing(mut self, authority: Authority) -> Self {
        self.authority = Some(authority);
        self
    }

    /// The relay runs under this command, see [`Relay::under`].
    pub(super) fn under(mut self, command: &[&'static str]) -> Self {
        self.under = command.to_vec();
        self
    }

    /// Starts the relay and applies the settings.
    #[track_caller]
    pub(super) fn start(self) -> Scene {
        let authority = self.authority.unwrap_or_else(|| Authority::new("Test Authority"));
        let home = Script::tls(&certs::self_signed(&["home.sender.test"])).start();
        let leaf = authority.leaf(&["relay.test"]);
        let nobody = place::free_address();
        let written = Written {
            before_listener: format!(
                "hostname = \"relay.test\"\ndata-directory = \"data\"\nlog-level = \"info\"\n{}\n\
                 [tls]\nroots = \"{}\"\n[dns]\nservers = [\"{}\"]\n{}\n[schedule]\n{}\n",
                self.top,
                authority.file().display(),
                self.dns.unwrap_or(nobody),
                self.dnssec,
                self.schedule,
            ),
            certificate: leaf.cert_file().to_owned(),
            key: leaf.key_file().to_owned(),
            routes: self.routes,
            policies: self.policies,
        };
        let home_address = self.home.unwrap_or(home.address());
        let written = Written { routes: format!("{}{}", home_route(home_address), written.routes), ..written };
        let mut relay = Relay::new(|ground| written.text(ground));
        relay.under(&self.under);
        relay.start();
        let scene = Scene { relay, home, written, authority, _leaf: leaf };
        if !self.settings.is_empty() {
            let said = scene.apply(&self.settings);
            assert!(said.status.success(), "the settings were refused:\n{}{}", said.out, said.err);
        }
        scene
    }

    /// The same with flag-subject before the built-in policy, which flags what has this marker in its Subject. It cannot live
    /// without its settings, nor they without it: chain and settings change in one step.
    #[track_caller]
    pub(super) fn start_flagging(self, marker: &str) -> Scene {
        let flagging = guests::flag_subject().display().to_string();
        let settings = format!("{}[policy.flag-subject]\nmarker = \"{marker}\"\n", self.settings);
        let mut scene = self.builtin().start();
        scene.configure_chain(&[("flag-subject", flagging.as_str()), BUILTIN]);
        let said = scene.relay.run(&["reload"]);
        assert!(!said.status.success(), "flag-subject came to life without its marker");
        let said = scene.apply_and(&settings, &["--reload"]);
        assert!(said.status.success(), "{}", said.err);
        scene
    }

    fn route_to(mut self, name: &str, domains: &[&str], hosts: &str, more: &str) -> Self {
        let route = format!("[[route]]\nname = \"{name}\"\nmatch = {domains:?}\nhosts = [{hosts}]\n{more}\n");
        self.routes.push_str(&route);
        self
    }
}

/// A `[[policy]]` table of the configuration.
pub(super) fn policy_table(name: &str, component: &str) -> String {
    format!("[[policy]]\nname = \"{name}\"\ncomponent = \"{component}\"\n")
}

fn home_route(home: SocketAddr) -> String {
    format!(
        "[[route]]\nname = \"home\"\nmatch = [\"sender.test\"]\nhosts = [{{ host = \"{}\", port = {} }}]\n",
        home.ip(),
        home.port()
    )
}

/// The configuration, to be written again with another chain.
pub(super) struct Written {
    pub(super) before_listener: String,
    certificate: PathBuf,
    key: PathBuf,
    routes: String,
    pub(super) policies: String,
}

impl Written {
    pub(super) fn text(&self, ground: &Ground) -> String {
        let mut policies = self.policies.clone();
        if std::env::var_os(REFUSING_VARIABLE).is_some() {
            if policies.is_empty() {
                policies = policy_table(BUILTIN.0, BUILTIN.1);
            }
            policies.push_str(&policy_table("refusing", &guests::refuse_everything().display().to_string()));
        }
        format!(
            "{}[[listener]]\nname = \"main\"\naddress = \"{}\"\ncertificate = \"{}\"\nkey = \"{}\"\n{}{}",
            self.before_listener,
            ground.smtp,
            self.certificate.display(),
            self.key.display(),
            self.routes,
            policies,
        )
    }
}
