//! `sealwire`: the command line. People first: aligned tables and plain words; `--json` for programs.
//!
//! `serve`, `check` and a local `decide` read the configuration; every other command speaks to the running relay over its
//! admin socket. No second process opens the store.

mod args;
mod builtins;
mod commands;
mod failure;
mod output;

use std::process::ExitCode;

use clap::Parser;

use args::Arguments;
use output::Output;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output::new(arguments.place.json);
    match commands::run(arguments, &output).await {
        Ok(code) => code,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::FAILURE
        }
    }
}
