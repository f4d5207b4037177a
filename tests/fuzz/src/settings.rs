//! The settings document (`relay::settings`).
//!
//! Every problem stands on a line that its file has, and moves with it when a line is put before; what parses means the
//! same when it is gathered and read again, and when it is read after itself; every value of a policy's table leads back
//! to its line. Nothing takes long, and no nesting is deep enough to hurt.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sealwire_relay::config::Problem;
use sealwire_relay::settings::{Gathered, SettingsDocument};
use serde_json::Value;

use crate::input::one_flight;

/// For 64 KiB, on a busy machine, unoptimised and instrumented. What is not linear takes minutes.
const TIME_MAX: Duration = Duration::from_secs(60);

/// A document, bare or gathered.
pub fn settings(octets: &[u8]) {
    let (_, octets) = one_flight(octets);
    let Ok(document) = std::str::from_utf8(&octets) else { return };
    let started = Instant::now();
    let (examined, problems) = SettingsDocument::examine(document);
    assert!(started.elapsed() < TIME_MAX, "{} octets took {:?}", document.len(), started.elapsed());
    let Ok(gathered) = Gathered::read(document) else {
        assert!(!problems.is_empty(), "it cannot be read, and nothing is wrong with it");
        return;
    };
    check_places(&problems, &gathered);
    check_moved(&problems, &gathered);
    let parsed = SettingsDocument::parse(document);
    assert_eq!(parsed.as_ref().err().map(Vec::as_slice).unwrap_or_default(), problems);
    if let Ok(parsed) = parsed {
        assert!(meaning(&parsed) == meaning(&examined));
        check_written_again(&parsed, &gathered, document);
        check_locations(&parsed, &gathered);
    }
}

pub(crate) fn line_count(text: &str) -> usize {
    text.matches('\n').count() + 1
}

fn check_places(problems: &[Problem], gathered: &Gathered) {
    for problem in problems {
        assert!(!problem.text.is_empty(), "{problem:?}");
        let lists = gathered.lists.values().map(|list| (&list.file, &list.text));
        let files = lists.chain([(&gathered.file, &gathered.text)]).filter(|(file, _)| **file == problem.file);
        let lines = files.map(|(_, text)| line_count(text)).max();
        assert!(lines.is_some_and(|lines| problem.line <= lines), "no such place: {problem:?}");
    }
}

/// A line put before everything moves every problem of the settings file by one.
fn check_moved(problems: &[Problem], gathered: &Gathered) {
    // A byte order mark is one at the very start alone, and a brace there makes JSON of it.
    if gathered.text.starts_with('\u{feff}') || gathered.lists.values().any(|list| list.file == gathered.file) {
        return;
    }
    let moved = Gathered { text: format!("\n{}", gathered.text), ..gathered.clone() };
    let moved = SettingsDocument::examine(&serde_json::to_string(&moved).expect("texts are JSON")).1;
    let place = |problem: &Problem, by: usize| {
        let here = problem.line > 0 && problem.file == gathered.file;
        (problem.file.clone(), if here { problem.line + by } else { problem.line }, problem.key.clone())
    };
    let mut expected: Vec<_> = problems.iter().map(|problem| place(problem, 1)).collect();
    let mut got: Vec<_> = moved.iter().map(|problem| place(problem, 0)).collect();
    expected.sort();
    got.sort();
    assert_eq!(got, expected, "places behind an empty line");
}

/// Lists by name and digest, policies' settings by name.
fn meaning(settings: &SettingsDocument) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let lists = settings.lists().iter().map(|(name, list)| (name.clone(), list.digest().to_owned()));
    let policies = policies(settings).into_iter().map(|name| (name.clone(), whole(settings, &name)));
    (lists.collect(), policies.collect())
}

/// A policy's table with every setting of it.
fn whole(settings: &SettingsDocument, policy: &str) -> String {
    let of_policy = settings.scoped().iter().filter(|scoped| scoped.policy == policy);
    settings.of_policy(policy, &of_policy.map(|scoped| scoped.index).collect::<Vec<_>>())
}

fn policies(settings: &SettingsDocument) -> Vec<String> {
    // In a chain of nobody, each is a stranger, and told with its key.
    let strangers = settings.without_policy(&[]).into_iter();
    strangers.map(|problem| problem.key.strip_prefix("policy.").expect("its key").to_owned()).collect()
}

fn check_written_again(parsed: &SettingsDocument, gathered: &Gathered, document: &str) {
    let written = serde_json::to_string(gathered).expect("texts are JSON");
    assert!(Gathered::read(&written).is_ok_and(|again| *again == *gathered), "gathered again");
    let again = SettingsDocument::parse(&written).unwrap_or_else(|problems| panic!("written again: {problems:?}"));
    assert!(meaning(&again) == meaning(parsed), "written again, it means something else");
    let after = SettingsDocument::parse_after(parsed, document).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert!(meaning(&after) == meaning(parsed), "read after itself, it means something else");
}

fn check_locations(parsed: &SettingsDocument, gathered: &Gathered) {
    let lines = line_count(&gathered.text);
    for policy in policies(parsed) {
        let value: Value = serde_json::from_str(&whole(parsed, &policy)).expect("settings are JSON");
        assert!(value.is_object());
        let mut pointers = vec![String::new()];
        walk(&value, "", &mut pointers);
        for pointer in pointers {
            let place = parsed.locate(&policy, Some(&pointer), "x");
            assert!((1..=lines).contains(&place.line) && place.file == gathered.file, "{pointer:?}: {place:?}");
        }
    }
}

fn walk(value: &Value, pointer: &str, pointers: &mut Vec<String>) {
    let mut child = |step: &str, value: &Value| {
        let pointer = format!("{pointer}/{}", step.replace('~', "~0").replace('/', "~1"));
        walk(value, &pointer, pointers);
        pointers.push(pointer);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| child(key, value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, value)| child(&at.to_string(), value)),
        _ => {}
    }
}
