//! `cargo xtask CHORE`: the project's chores, in plain Rust, so that a person and CI run the very same steps.
//!
//! The steps are told on standard error as they happen; standard output carries the tally alone (`N passed, M failed`).
//! A chore skips nothing: a tool that is missing and cannot be had fails the run. No dependencies: this crate is
//! compiled before anything else and should take a second.

mod bench;
mod checks;
mod deny;
mod fuzz;
mod peers;
mod soak;
#[cfg(test)]
mod standards;
mod step;
mod test;
mod tool;

use std::process::ExitCode;

use step::Failure;

/// One row of the table of chores.
struct Chore {
    name: &'static str,
    says: &'static str,
    run: Run,
}

enum Run {
    Alone(fn() -> Result<(), Failure>),
    WithArguments(fn(&[&str]) -> Result<(), Failure>),
}

/// Every chore there is. The help text is this table.
const CHORES: &[Chore] = &[
    Chore {
        name: "test",
        says: "install the real peers if missing, build sealwire, run every test",
        run: Run::Alone(test::run),
    },
    Chore {
        name: "peers",
        says: "only install what the tests talk to: Postfix, swaks, NSD, faketime",
        run: Run::Alone(peers::install),
    },
    Chore {
        name: "soak",
        says: "the long proofs, all or those named: kills, swaps, cuts, virtual-time, fuzz",
        run: Run::WithArguments(soak::run),
    },
    Chore {
        name: "bench",
        says: "sealwire beside Postfix: groups of rows, --quick, --runs N",
        run: Run::WithArguments(bench::run),
    },
    Chore {
        name: "ci-checks",
        says: "rustfmt, clippy, cargo-deny, built-in policy reproducible",
        run: Run::Alone(checks::run),
    },
];

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    match asked.as_slice() {
        [] | ["help" | "--help" | "-h"] => {
            eprint!("{}", help());
            ExitCode::SUCCESS
        }
        [name, rest @ ..] => match CHORES.iter().find(|chore| chore.name == *name) {
            Some(chore) => finish(chore, rest),
            None => refuse(&format!("there is no chore called `{name}`")),
        },
    }
}

fn finish(chore: &Chore, arguments: &[&str]) -> ExitCode {
    let finished = match (&chore.run, arguments) {
        (Run::Alone(run), []) => run(),
        (Run::Alone(_), _) => return refuse(&format!("`{}` takes no arguments: {}", chore.name, arguments.join(" "))),
        (Run::WithArguments(run), _) => run(arguments),
    };
    match finished {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nxtask {}: {failure}", chore.name);
            ExitCode::FAILURE
        }
    }
}

fn refuse(why: &str) -> ExitCode {
    eprint!("xtask: {why}\n\n{}", help());
    ExitCode::from(2)
}

fn help() -> String {
    let mut text = String::from("Chores of sealwire.\n\nUsage: cargo xtask CHORE\n\n");
    for chore in CHORES {
        text.push_str(&format!("  {:<10} {}\n", chore.name, chore.says));
    }
    text.push_str(
        "\nThe steps are told on standard error. Exit status: 0 all well, 1 something failed, 2 not understood.\n",
    );
    text
}
