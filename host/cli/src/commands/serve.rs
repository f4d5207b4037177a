//! `serve`: the relay itself, until SIGTERM or SIGINT; SIGHUP reads the configuration again.

use clap::Args;
use sealwire_admin::{Metrics, Server};
use sealwire_relay::config::{Component, Config};
use sealwire_relay::{Relay, Start};
use std::io::IsTerminal;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use crate::args::Place;
use crate::builtins::builtins;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Args)]
#[command(after_help = "\
Without a configuration it listens on 127.0.0.1:2525, accepts mail from this machine only, hosts no domain, and delivers to
the recipients' mail exchangers: over TLS where it works, unless settings demand it. State is kept in
$XDG_STATE_HOME/sealwire, or ~/.local/state/sealwire.

SIGTERM and SIGINT stop it between transactions; SIGHUP reads the configuration again. RUST_LOG overrides log-level.

Examples:
  sealwire serve
  sealwire serve --config /etc/sealwire/sealwire.toml")]
pub(crate) struct Serve {}

impl Serve {
    pub(crate) async fn run(self, place: &Place, output: &Output) -> Result<(), Failure> {
        let (config, file) = place.configuration()?;
        log_to_standard_error(&config);
        let metrics = Metrics::install().map_err(|error| format!("metrics cannot be counted: {error}"))?;
        let server = Server::bind(&config.admin_socket)?;
        let said = what_it_does(&config, file.as_deref());
        let socket = config.admin_socket.clone();
        let running = sealwire_relay::start(Start { config, configuration: file, builtins: builtins() }).await?;
        let relay = running.relay.clone();
        for (name, address) in &relay.status().await.listeners {
            output.line(format!("listens on {address} ({name})"));
        }
        said.iter().for_each(|line| output.line(line));
        output.line(format!("ask it with: sealwire --socket {} status", socket.display()));
        let (stop, mut stopping) = watch::channel(false);
        let stopped = async move { drop(stopping.wait_for(|stop| *stop).await) };
        let admin = tokio::spawn(server.run(relay.clone(), metrics, stopped));
        until_told_to_stop(&relay).await?;
        tracing::info!("stopping");
        running.stop().await;
        let _ = stop.send(true);
        let _ = admin.await;
        Ok(())
    }
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
    vec![
        from,
        format!(
            "accepts for any domain from: {}",
            join(config.trusted_networks.iter().map(ToString::to_string).collect(), "nobody")
        ),
        format!(
            "accepts from anyone for: {}",
            join(config.hosted_domains.iter().map(ToString::to_string).collect(), "no domain")
        ),
        format!("decided by: {}", join(config.policies.iter().map(policy).collect(), "nobody")),
        format!("keeps its state in: {}", config.data_directory.display()),
    ]
}

fn log_to_standard_error(config: &Config) {
    // The libraries speak only when something is wrong: their inner workings are nobody's log.
    let level = config.log_level.as_str();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("warn,sealwire={level}")));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
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
            _ = hangup.recv() => match relay.reload().await {
                Ok(replaced) => tracing::info!(generation = replaced.generation, "reloaded"),
                Err(problems) => {
                    problems.iter().for_each(|problem| tracing::error!(%problem, "reload refused"));
                }
            },
        }
    }
}
