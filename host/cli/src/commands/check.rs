//! `check`: everything wrong with configuration, certificates, settings and components, before anything depends on it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use sealwire_policy::{Sandbox, SandboxConfig};
use sealwire_relay::config::check::check;
use sealwire_relay::config::{BUILTIN_POLICY, Component, Config, Policy, Problem, Profile};
use sealwire_relay::generation::{Components, build_generation};
use sealwire_relay::settings::{SettingsDocument, gather};
use serde::Serialize;

use crate::args::Place;
use crate::builtins::builtins;
use crate::failure::Failure;
use crate::output::{Output, Tone, now};

#[derive(Args)]
#[command(after_help = "\
Opens what the configuration names and configures every policy in its sandbox; touches no
running relay and no store. Exit status 1 where something is wrong; warnings do not count.

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
        let (config, problems) = place.examined();
        let report = tokio::task::spawn_blocking(move || examine(config, problems, settings)).await;
        let report = report.map_err(|error| error.to_string())?;
        let sound = report.problems.is_empty();
        output.either(&report, |report| tell(report, output));
        Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Everything is looked at, whatever has been found before, so that one run tells all it can.
fn examine(mut config: Config, problems: Vec<Problem>, settings: Option<PathBuf>) -> Report {
    let builtins = builtins();
    let names: Vec<&str> = builtins.keys().map(String::as_str).collect();
    let sound = problems.is_empty();
    let mut report = Report { problems, warnings: Vec::new() };
    let checked = check(&config, &names, now());
    report.problems.extend(checked.problems);
    let (mut settings, found) = match settings.map(|file| gather(&file)) {
        Some(Ok(document)) => SettingsDocument::examine(&document),
        Some(Err(problems)) => (SettingsDocument::empty(), problems),
        None => (SettingsDocument::empty(), Vec::new()),
    };
    report.problems.extend(found);
    if sound {
        report.warnings = checked.warnings;
    } else {
        settings = for_what_was_read(&mut config, settings);
    }
    // A component that will not do has been told of, in plainer words than the sandbox has for it.
    let place = |problem: &Problem| (problem.file.clone(), problem.line, problem.key.clone());
    let told: Vec<_> = report.problems.iter().map(place).collect();
    let built = match Sandbox::start(SandboxConfig::default()) {
        Ok(sandbox) => settings.meant(&config).and_then(|(config, units)| {
            let components = Components::read(&config, &builtins);
            build_generation(1, &config, &settings, units, &components, &sandbox, None).map(drop)
        }),
        Err(error) => Err(vec![Problem::new("sandbox", error.to_string())]),
    };
    let new = built.err().unwrap_or_default().into_iter().filter(|problem| !told.contains(&place(problem)));
    report.problems.extend(new);
    report.problems.sort();
    report.problems.dedup();
    report
}

/// Of a configuration with faults the chain is what could be read and the built-in policy, and settings of a policy that
/// is not in it are no fault: the policy may well be meant to be there.
fn for_what_was_read(config: &mut Config, settings: SettingsDocument) -> SettingsDocument {
    let mut names = BTreeSet::new();
    config.policies.retain(|policy| names.insert(policy.name.clone()));
    if config.policies.iter().all(|policy| policy.name != BUILTIN_POLICY) {
        let (name, component) = (BUILTIN_POLICY.to_owned(), Component::Builtin(BUILTIN_POLICY.to_owned()));
        config.policies.push(Policy { name, component, profile: Profile::Native });
    }
    let chain: Vec<&str> = config.policies.iter().map(|policy| policy.name.as_str()).collect();
    settings.of_these_policies(&chain)
}

fn tell(report: &Report, output: &Output) {
    for warning in &report.warnings {
        output.line(format!("warning: {warning}"));
    }
    for problem in &report.problems {
        output.toned(Tone::Bad, &problem.to_string());
    }
    match report.problems.len() {
        0 => output.toned(Tone::Good, "all is well"),
        1 => output.line("1 problem"),
        count => output.line(format!("{count} problems")),
    }
}
