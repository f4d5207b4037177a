//! `sealwire`: the command line. People first: aligned tables and plain words; `--json` for programs.
//!
//! `serve`, `check` and a local `decide` read the configuration; every other command speaks to the running relay over its
//! admin socket. No second process opens the store.

mod args;
mod builtins;
mod commands;
mod failure;
mod log_lines;
mod output;

use std::process::ExitCode;

use clap::Parser;

use args::Arguments;
use output::Output;
use sealwire_core::visible::visible;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::try_parse().unwrap_or_else(not_understood);
    let output = Output::new(arguments.place.json);
    match commands::run(arguments, &output).await {
        Ok(code) => code,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::FAILURE
        }
    }
}

/// Says what is wrong with the command line, and ends. A script may have put a stranger's words there: they are quoted visibly.
fn not_understood(error: clap::Error) -> Arguments {
    let shown = std::env::args_os().map(|word| visible(&word.to_string_lossy()));
    Arguments::try_parse_from(shown).err().unwrap_or(error).exit()
}
