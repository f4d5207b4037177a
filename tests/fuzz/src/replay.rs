//! Every case the fuzzer has kept, and mutations of them that are the same in every run.
//!
//! A case that ever broke a property stays in `corpus/` and is run here for good. The mutations look for nothing in
//! particular; they are there so that a change which breaks a property is noticed before anyone starts a fuzzer.

use std::fs;
use std::path::Path;

use crate::input::Random;

#[test]
fn lines() {
    replay("line", crate::line, 300);
}

#[test]
fn commands() {
    replay("command", crate::command, 3_000);
}

#[test]
fn replies() {
    replay("reply", crate::reply, 2_000);
}

#[test]
fn header_from() {
    replay("header_from", crate::header_from, 6_000);
}

#[test]
fn sts() {
    replay("sts", crate::sts, 6_000);
}

#[test]
fn tlsrpt() {
    replay("tlsrpt", crate::tlsrpt, 6_000);
}

#[test]
fn settings() {
    replay("settings", crate::settings, 1_000);
}

#[test]
fn configurations() {
    replay("configuration", crate::configuration, 1_000);
}

#[test]
fn components() {
    replay("component", crate::component, 40);
}

fn replay(target: &'static str, check: fn(&[u8]), mutations: usize) {
    let corpus = corpus(target);
    assert!(corpus.len() >= 10, "the corpus of {target} is not where it should be");
    for case in &corpus {
        run(target, check, case);
    }
    let mut random = Random(mutations as u64);
    for _ in 0..mutations {
        let mut case = corpus[random.below(corpus.len())].clone();
        for _ in 0..=random.below(3) {
            mutate(&mut case, &corpus, &mut random);
        }
        run(target, check, &case);
    }
}

/// In the order of their names, which are digests of their content.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a case")).collect()
}

fn run(target: &'static str, check: fn(&[u8]), case: &[u8]) {
    let told = ToldOnPanic { target, case };
    check(case);
    drop(told);
}

/// Whoever reads of a broken property needs the octets that broke it.
struct ToldOnPanic<'a> {
    target: &'static str,
    case: &'a [u8],
}

impl Drop for ToldOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: this case broke it: b\"{}\"", self.target, self.case.escape_ascii());
        }
    }
}

/// One small change: an octet, a piece taken out or doubled, a piece of another case.
fn mutate(case: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    const OCTETS: &[u8] = b"\r\n \t\0.,:;<>@\"()[]{}\\=#'-x09\x7f\x80\xf8\xf9\xff";
    let at = random.below(case.len() + 1);
    let to = (at + random.below(16)).min(case.len());
    match random.below(6) {
        0 if at < case.len() => case[at] ^= 1 << random.below(8),
        1 if at < case.len() => case[at] = OCTETS[random.below(OCTETS.len())],
        2 => case.insert(at, OCTETS[random.below(OCTETS.len())]),
        3 => drop(case.drain(at..to)),
        4 => {
            let piece = case[at..to].to_vec();
            case.splice(at..at, piece);
        }
        _ => {
            let other = &corpus[random.below(corpus.len())];
            let from = random.below(other.len() + 1);
            let piece = &other[from..(from + random.below(64)).min(other.len())];
            case.splice(at..at, piece.iter().copied());
        }
    }
}
