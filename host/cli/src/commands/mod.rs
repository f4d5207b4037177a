//! One file for each command: its arguments, what it does, how it answers.

pub(crate) mod admin;
pub(crate) mod audit;
pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod decide;
pub(crate) mod demo;
pub(crate) mod downgrades;
pub(crate) mod evidence;
pub(crate) mod explain;
pub(crate) mod log;
pub(crate) mod model;
mod openapi;
mod preview;
pub(crate) mod queue;
mod reload;
pub(crate) mod serve;
pub(crate) mod settings;
mod status;
pub(crate) mod tls_reports;
pub(crate) mod tls_test;
pub(crate) mod token;
mod trust;

use std::process::ExitCode;

use crate::args::{Arguments, Command};
use crate::failure::Failure;
use crate::output::Output;

/// Runs the command. The exit status is 0, or 1 where something is wrong; `tls-test` has more.
pub(crate) async fn run(arguments: Arguments, output: &Output) -> Result<ExitCode, Failure> {
    let place = &arguments.place;
    match arguments.command {
        Command::Serve(serve) => serve.run(place, output).await?,
        Command::Check(check) => return check.run(place, output).await,
        Command::Demo(demo) => return demo.run(output).await,
        Command::Decide(decide) => decide.run(place, output).await?,
        Command::Queue(queue) => queue.run(&place.client()?, output).await?,
        Command::Reload => reload::run(&place.client()?, output).await?,
        Command::Settings(settings) => settings.run(&place.client()?, output).await?,
        Command::Unit(unit) => unit.run(&place.client()?, output).await?,
        Command::Setting(setting) => setting.run(&place.client()?, output).await?,
        Command::AddressList(list) => list.run(&place.client()?, output).await?,
        Command::Route(route) => route.run(&place.client()?, output).await?,
        Command::TlsReports(reports) => reports.run(&place.client()?, output).await?,
        Command::TlsTest(test) => return test.run(&place.client()?, output).await,
        Command::Downgrades(downgrades) => downgrades.run(&place.client()?, output).await?,
        Command::Audit(audit) => return audit.run(place, output).await,
        Command::Evidence(evidence) => evidence.run(place, output).await?,
        Command::Admin(admin) => admin.run(&place.client()?, output).await?,
        Command::Token(token) => token.run(&place.client()?, output).await?,
        Command::Openapi => openapi::run(output),
        Command::Status => status::run(&place.client()?, output).await?,
        Command::BenchLoad(load) => return load.run(output).await,
        Command::BenchSink(sink) => return sink.run(output).await,
        Command::Explain(explain) => explain.run(&place.client()?, output).await?,
        Command::Log(log) => log.run(&place.client()?, output).await?,
    }
    Ok(ExitCode::SUCCESS)
}
