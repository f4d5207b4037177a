//! What may be written on the command line. Each command's own arguments stand beside its code.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use sealwire_admin::Client;
use sealwire_relay::config::{Config, Problem, Surroundings, examine, load};

use crate::commands::model::{list, route, setting, unit};
use crate::commands::{
    admin, audit, bench, check, decide, demo, downgrades, evidence, explain, log, queue, serve, settings, tls_reports,
    tls_test, token,
};
use crate::failure::Failure;

/// Read where the command line names no other.
const USUAL_FILE: &str = "/etc/sealwire/sealwire.toml";

/// An SMTP relay that carries mail over TLS where its operator says so, and can prove it.
#[derive(Parser)]
#[command(
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "\
First steps:
  sealwire demo                          what it does, on loopback, in a few seconds
  sealwire serve                         a relay on 127.0.0.1:2525 with safe defaults
  sealwire check --config FILE           everything wrong with a configuration, at once
  sealwire settings apply settings.toml  who must be reached over TLS
  sealwire status                        how it does

Every key of the configuration and of the settings: docs/configuration.md, docs/settings.md."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which relay is meant, and how to answer.
#[derive(Args)]
pub(crate) struct Place {
    /// The configuration file [default: /etc/sealwire/sealwire.toml if it exists, else safe defaults]
    #[arg(long, short, global = true, value_name = "FILE", env = "SEALWIRE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The admin socket of the running relay [default: what the configuration says]
    #[arg(long, global = true, value_name = "PATH", env = "SEALWIRE_SOCKET")]
    pub(crate) socket: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the relay
    Serve(serve::Serve),
    /// See the relay at work, on this machine alone: messages delivered, refused and returned, and why
    Demo(demo::Demo),
    /// Say everything that is wrong with configuration, certificates, settings and components
    Check(check::Check),
    /// Put a message before the policies and see what they decide, and why; nothing is sent
    Decide(decide::Decide),
    /// Look at the queue and act on it
    #[command(subcommand)]
    Queue(queue::Queue),
    /// Read the configuration again; a bad one is refused and the old one stays
    Reload,
    /// The settings document: put a file into force, show, compare, undo
    #[command(subcommand)]
    Settings(settings::Settings),
    /// Organizational units, and what is in force in each
    #[command(subcommand)]
    Unit(unit::Unit),
    /// What mail of and to listed addresses must have
    #[command(subcommand)]
    Setting(setting::Setting),
    /// Lists of addresses and domains
    #[command(subcommand)]
    AddressList(list::AddressList),
    /// Mail hosts
    #[command(subcommand)]
    Route(route::Route),
    /// Test how mail to a destination would leave: hosts, TLS, certificates, DANE, MTA-STS; nothing is sent
    TlsTest(tls_test::TlsTestOf),
    /// Destinations that give less protection than they gave
    #[command(subcommand)]
    Downgrades(downgrades::Downgrades),
    /// TLS reports to other domains: what is counted, and sending it at once
    #[command(subcommand)]
    TlsReports(tls_reports::TlsReports),
    /// Who changed what, when and from where, and who tried to
    #[command(subcommand)]
    Audit(audit::Audit),
    /// How the mail with a domain was protected in a month, signed, for whoever wants it shown
    Evidence(evidence::OfDomain),
    /// Administrators who log in at the HTTP API
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Tokens for the HTTP API
    #[command(subcommand)]
    Token(token::Token),
    /// Write the OpenAPI document of the HTTP API
    Openapi,
    /// How the running relay does
    Status,
    /// What happened to messages: decisions, deliveries, refusals, reports
    Log(log::Log),
    /// Why a message met the end it met: rules, entries, facts, and where each demand came from
    Explain(explain::Explain),
    /// Send messages by the thousand to a mail server, and say how fast it took them
    BenchLoad(bench::load::Load),
    /// Be the next hop of a bench: take everything, say what was lost, doubled, damaged or in clear
    BenchSink(bench::sink::Sink),
}

impl Place {
    /// The configuration as meant, and the file it came from.
    pub(crate) fn configuration(&self) -> Result<(Config, Option<PathBuf>), Failure> {
        let surroundings = Surroundings::of_this_process();
        match self.file() {
            Some(file) => Ok((load(&file, &surroundings)?, Some(file))),
            None => Ok((Config::without_file(&surroundings), None)),
        }
    }

    /// What could be read of the configuration, and everything wrong with it.
    pub(crate) fn examined(&self) -> (Config, Vec<Problem>) {
        let surroundings = Surroundings::of_this_process();
        match self.file() {
            Some(file) => examine(&file, &surroundings),
            None => (Config::without_file(&surroundings), Vec::new()),
        }
    }

    /// A client for the running relay.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        match &self.socket {
            Some(socket) => Ok(Client::new(socket)),
            None => Ok(Client::new(&self.configuration()?.0.admin_socket)),
        }
    }

    fn file(&self) -> Option<PathBuf> {
        let usual = || Some(PathBuf::from(USUAL_FILE)).filter(|file| Path::exists(file));
        self.config.clone().or_else(usual)
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    use super::*;

    /// Longer lines would be wrapped in their middle on a terminal of usual width.
    const WIDTH: usize = 96;

    #[test]
    fn no_help_wraps_in_mid_sentence() {
        every(&Arguments::command(), &|command| {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let long: Vec<&str> = help.lines().filter(|line| line.chars().count() > WIDTH).collect();
            assert!(long.is_empty(), "{}: {long:#?}", command.get_name());
        });
    }

    fn every(command: &Command, check: &impl Fn(&Command)) {
        check(command);
        command.get_subcommands().for_each(|command| every(command, check));
    }
}
