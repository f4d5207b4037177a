//! `cargo xtask test`: peers, build, every test of the workspace, and a tally of them all.
//!
//! The journeys drive the built `sealwire` binary. It is built by the same command as the tests: cargo builds everything
//! before it runs anything, and one selection of packages means one set of features, so nothing is compiled twice.

use crate::peers;
use crate::step::{self, Failure};

/// Runs all tests and prints `N passed, M failed` as the last line of standard output.
pub(crate) fn run() -> Result<(), Failure> {
    peers::install()?;
    step::run("build", &mut step::cargo(&["test", "--locked", "--workspace", "--no-run"]))?;
    let mut tally = Tally::default();
    let mut tests = step::cargo(&["test", "--locked", "--workspace", "--no-fail-fast"]);
    let outcome = step::run_reading("every test of the workspace", &mut tests, |line| tally.read(line));
    if outcome.is_err() && tally.failed == 0 {
        // Something did not compile, or a test binary died without a word: never "0 failed".
        tally.failed = 1;
    }
    say(&format!("{} passed, {} failed", tally.passed, tally.failed));
    outcome
}

#[expect(clippy::print_stdout, reason = "the tally is the one thing this chore says on standard output")]
fn say(line: &str) {
    println!("{line}");
}

/// The sums over cargo's `test result:` lines.
#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
}

impl Tally {
    fn read(&mut self, line: &str) {
        let Some((_, counts)) = line.split_once("test result: ") else { return };
        // `FAILED. 5 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s`
        let counts = counts.split_once(". ").map_or(counts, |(_, rest)| rest);
        for part in counts.split("; ") {
            match part.split_once(' ') {
                Some((count, "passed")) => self.passed += count.parse::<u64>().unwrap_or(0),
                Some((count, "failed")) => self.failed += count.parse::<u64>().unwrap_or(0),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn tally_sums_cargos_result_lines() {
        let lines = [
            ("test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s", (12, 0)),
            ("test result: FAILED. 5 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 2s", (5, 1)),
            ("test a::b ... ok", (0, 0)),
            ("", (0, 0)),
        ];
        let mut sum = Tally::default();
        for (line, (passed, failed)) in lines {
            let mut one = Tally::default();
            one.read(line);
            assert_eq!((one.passed, one.failed), (passed, failed), "{line}");
            sum.read(line);
        }
        assert_eq!((sum.passed, sum.failed), (17, 1));
    }
}
