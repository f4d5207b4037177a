//! `check`: everything wrong with configuration, certificates, settings and components, before anything depends on it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use sealwire_policy::{Sandbox, SandboxConfig};
use sealwire_relay::config::check::check;
use sealwire_relay::config::{Config, Problem};
use sealwire_relay::generation::build_generation;
use sealwire_relay::settings::{SettingsDocument, gather};
use serde::Serialize;

use crate::args::Place;
use crate::builtins::builtins;
use crate::failure::Failure;
use crate::output::{Output, Tone, now};

#[derive(Args)]
#[command(after_help = "\
Opens what the configuration names and configures every policy in its sandbox; touches no running relay and no store.
Exit status 1 where something is wrong; warnings do not count.

Examples:
  sealwire check --config sealwire.toml
  sealwire check --config sealwire.toml --settings settings.toml")]
pub(crate) struct Check {
    /// A settings file to judge with it
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

#[derive(Serialize)]
struct Report {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Check {
    pub(crate) async fn run(self, place: &Place, output: &Output) -> Result<ExitCode, Failure> {
        let settings = self.settings;
        let configuration = match place.configuration() {
            Ok((config, _)) => Ok(config),
            Err(Failure::Problems(problems)) => Err(problems),
            Err(other) => return Err(other),
        };
        let report = tokio::task::spawn_blocking(move || examine(configuration, settings)).await;
        let report = report.map_err(|error| error.to_string())?;
        let sound = report.problems.is_empty();
        output.either(&report, |report| tell(report, output));
        Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The settings are read even where the configuration is not sound, so that one run tells all it can.
fn examine(configuration: Result<Config, Vec<Problem>>, settings: Option<PathBuf>) -> Report {
    let mut report = Report { problems: Vec::new(), warnings: Vec::new() };
    let settings = match settings {
        Some(file) => gather(&file).and_then(|document| SettingsDocument::parse(&document)),
        None => Ok(SettingsDocument::empty()),
    };
    let builtins = builtins();
    let config = configuration.map_err(|problems| report.problems.extend(problems)).ok();
    if let Some(config) = &config {
        let names: Vec<&str> = builtins.keys().map(String::as_str).collect();
        let checked = check(config, &names, now());
        report.problems.extend(checked.problems);
        report.warnings.extend(checked.warnings);
    }
    let settings = settings.map_err(|problems| report.problems.extend(problems)).ok();
    if let (Some(config), Some(settings)) = (config, settings) {
        let built = match Sandbox::start(SandboxConfig::default()) {
            Ok(sandbox) => build_generation(1, &config, &settings, &builtins, &sandbox, None).map(drop),
            Err(error) => Err(vec![Problem::new("sandbox", error.to_string())]),
        };
        report.problems.extend(built.err().unwrap_or_default());
    }
    report.problems.sort();
    report.problems.dedup();
    report
}

fn tell(report: &Report, output: &Output) {
    for warning in &report.warnings {
        output.line(format!("warning: {warning}"));
    }
    for problem in &report.problems {
        output.line(output.toned(Tone::Bad, &problem.to_string()));
    }
    match report.problems.len() {
        0 => output.line(output.toned(Tone::Good, "all is well")),
        1 => output.line("1 problem"),
        count => output.line(format!("{count} problems")),
    }
}
