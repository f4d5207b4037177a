//! `serve`: the relay itself, until SIGTERM or SIGINT; SIGHUP reads the configuration again.

use clap::Args;
use sealwire_admin::{Api, Listener, Metrics, Server};
use sealwire_core::facts::RouteKind;
use sealwire_core::plan::Route;
use sealwire_relay::config::{Component, Config};
use sealwire_relay::{Actor, Relay, Start};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::args::Place;
use crate::builtins::builtins;
use crate::failure::Failure;
use crate::log_lines;
use crate::output::Output;

#[derive(Args)]
#[command(after_help = "\
Without a configuration it listens on 127.0.0.1:2525 without STARTTLS, accepts mail from this
machine only, hosts no domain, and delivers to the recipients' mail exchangers: over TLS where
that works, unless settings demand it. State is kept in $XDG_STATE_HOME/sealwire, or
~/.local/state/sealwire.

SIGTERM and SIGINT stop it between transactions; SIGHUP reads the configuration again. RUST_LOG
overrides log-level.

Examples:
  sealwire serve
  sealwire serve --config /etc/sealwire/sealwire.toml")]
pub(crate) struct Serve {}

impl Serve {
    pub(crate) async fn run(self, place: &Place, output: &Output) -> Result<(), Failure> {
        let (config, file) = place.configuration()?;
        log_lines::begin(config.log_level.as_str());
        let metrics = Metrics::install().map_err(|error| format!("metrics cannot be counted: {error}"))?;
        let server = Server::bind(&config.admin_socket)?;
        let listener = match &config.api {
            Some(api) => Some(
                Listener::bind(api.address).await.map_err(|error| config.problem("api.address", error.to_string()))?,
            ),
            None => None,
        };
        let said = what_it_does(&config, file.as_deref());
        let socket = config.admin_socket.clone();
        let running = sealwire_relay::start(Start { config, configuration: file, builtins: builtins() }).await?;
        let relay = running.relay.clone();
        for (name, address) in &relay.status().await.listeners {
            output.line(format!("listens on {address} ({name})"));
        }
        said.iter().for_each(|line| output.line(line));
        output.line(format!("ask it with: sealwire --socket {} status", socket.display()));
        let api = Api::of(relay.clone(), metrics).await.map_err(|error| error.to_string())?;
        if let Some(listener) = &listener {
            let url = url(listener, &relay.live().config);
            output.line(format!("API: {url}"));
            if let Some(code) = api.first_administrator_code().map_err(|error| error.to_string())? {
                output.line(format!(
                    "first administrator, within an hour: {url}/first-administrator with the code {code}"
                ));
            }
        }
        let (stop, mut stopping) = watch::channel(false);
        let network = listener.map(|listener| tokio::spawn(listener.run(api.clone(), stopping.clone())));
        let stopped = async move { drop(stopping.wait_for(|stop| *stop).await) };
        let admin = tokio::spawn(server.run(api.clone(), stopped));
        until_told_to_stop(&relay).await?;
        tracing::info!("stopping");
        api.stopping();
        running.stop().await;
        let _ = stop.send(true);
        let _ = admin.await;
        if let Some(network) = network {
            let _ = network.await;
        }
        Ok(())
    }
}

fn url(listener: &Listener, config: &Config) -> String {
    let is_tls = config.api.as_ref().is_some_and(|api| api.certificate.is_some());
    format!("{}://{}/api/v1", if is_tls { "https" } else { "http" }, listener.address())
}

fn what_it_does(config: &Config, file: Option<&std::path::Path>) -> Vec<String> {
    let from = file.map_or_else(
        || "no configuration: safe defaults".to_owned(),
        |file| format!("configuration: {}", file.display()),
    );
    let join = |all: Vec<String>, none: &str| if all.is_empty() { none.to_owned() } else { all.join(", ") };
    let policy = |policy: &sealwire_relay::config::Policy| match &policy.component {
        Component::Builtin(_) => policy.name.clone(),
        Component::File(path) => format!("{} ({})", policy.name, path.display()),
    };
    let without: Vec<_> = config.listeners.iter().filter(|listener| listener.certificate.is_none()).collect();
    let starttls = match without.len() {
        0 => "offered by every listener".to_owned(),
        _ => format!(
            "not offered, there is no certificate, by: {}",
            join(without.iter().map(|listener| listener.name.clone()).collect(), "")
        ),
    };
    vec![
        from,
        format!("STARTTLS is: {starttls}"),
        format!(
            "accepts for any domain from: {}",
            join(config.trusted_networks.iter().map(ToString::to_string).collect(), "nobody")
        ),
        format!(
            "accepts from anyone for: {}",
            join(config.hosted_domains.iter().map(ToString::to_string).collect(), "no domain")
        ),
        format!("delivers to: {}", config.routes.iter().map(way_out).collect::<Vec<_>>().join("; ")),
        format!("decided by: {}", join(config.policies.iter().map(policy).collect(), "nobody")),
        format!("keeps its state in: {}", config.data_directory.display()),
    ]
}

/// What the route gives of its own; settings may demand more.
fn way_out(route: &Route) -> String {
    let to = match route.kind() {
        RouteKind::Mx => "the recipients' mail exchangers".to_owned(),
        RouteKind::SmartHost => format!("the hosts of route {}", route.name()),
        RouteKind::AlternateSecure => format!("the hosts of alternate secure route {}", route.name()),
    };
    let secured = route.implicit_tls() || !route.demands().is_empty();
    let how = if secured { "over TLS only" } else { "over TLS where that works, unless settings demand it" };
    format!("{to}, {how}")
}

/// A reload that fails is told in the log, and what was in force stays.
async fn until_told_to_stop(relay: &Relay) -> Result<(), Failure> {
    let on = |kind: SignalKind| -> Result<Signal, Failure> {
        signal(kind).map_err(|error| Failure::Text(format!("signals cannot be received: {error}")))
    };
    let (mut terminate, mut interrupt, mut hangup) =
        (on(SignalKind::terminate())?, on(SignalKind::interrupt())?, on(SignalKind::hangup())?);
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => match relay.reload(&Actor::new("the owner of the process", "signal")).await {
                Ok(replaced) => tracing::info!(generation = replaced.generation, "reloaded"),
                Err(problems) => {
                    problems.iter().for_each(|problem| tracing::error!(%problem, "reload refused"));
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sealwire_relay::config::{Surroundings, parse};

    use super::*;

    const ROUTES: &str = r#"
        [[listener]]
        name = "in"
        address = "192.0.2.1:25"
        certificate = "in.pem"
        key = "in.key"
        [[route]]
        name = "vault"
        hosts = [{ host = "vault.example" }]
        tls = "required"
        alternate-secure = true
        [[route]]
        name = "hub"
        hosts = [{ host = "hub.example" }]
        default = true
    "#;

    #[test]
    fn it_says_what_it_does() {
        let surroundings = Surroundings::of_this_process();
        let said = |text: &str, file: Option<&str>| {
            let config = parse(text, "", Path::new(""), &surroundings).expect("free of faults");
            what_it_does(&config, file.map(Path::new)).join("\n")
        };
        let nothing = [
            "no configuration: safe defaults",
            "STARTTLS is: not offered, there is no certificate, by: main",
            "accepts for any domain from: 127.0.0.0/8, ::1/128",
            "accepts from anyone for: no domain",
            "delivers to: the recipients' mail exchangers, over TLS where that works, unless settings demand it",
            "decided by: secure-transport",
            "keeps its state in: ",
        ];
        let routes = [
            "configuration: relay.toml",
            "STARTTLS is: offered by every listener",
            "the hosts of alternate secure route vault, over TLS only",
            "the hosts of route hub, over TLS where that works",
        ];
        for (said, expected) in [(said("", None), &nothing[..]), (said(ROUTES, Some("relay.toml")), &routes[..])] {
            expected.iter().for_each(|line| assert!(said.contains(line), "{line} is missing:\n{said}"));
        }
    }
}
