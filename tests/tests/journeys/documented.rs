//! The three ways to a partner setting in docs/operators.md, run as they stand there: by the command alone, by the API alone, with a
//! file. Ports are others here, so that tests can run beside each other; nothing else is.

use std::collections::BTreeSet;

use sealwire_tests::documented::{Shell, steps};
use sealwire_tests::{place, wait};
use serde_json::Value;

use super::given::{BUILTIN, REFUSING_VARIABLE, policy_table};

const DOCUMENT: &str = include_str!("../../../docs/operators.md");
const BEGINNING: &str = "### What all three begin with";
const RESULT: &str = "### What it comes to";
const WAYS: [&str; 3] = ["### By the command alone", "### By the API alone", "### With a file"];

/// Ports of the document.
const PORTS: [&str; 4] = ["2525", "8080", "2601", "2602"];

#[track_caller]
fn follow(way: &str) {
    let folder = place::folder();
    let here: Vec<String> = PORTS.iter().map(|_| place::free_address().port().to_string()).collect();
    let called: Vec<(&str, String)> = PORTS.iter().copied().zip(here.clone()).collect();
    let mut shell = Shell::start(folder.path(), &called);
    for step in steps(DOCUMENT, BEGINNING) {
        shell.follow(&step);
        if step.command.starts_with("cat > sealwire.toml") && std::env::var_os(REFUSING_VARIABLE).is_some() {
            let refusing = sealwire_tests::guests::refuse_everything().display().to_string();
            let policies = policy_table(BUILTIN.0, BUILTIN.1) + &policy_table("refusing", &refusing);
            shell.run(&format!("cat >> sealwire.toml <<'END'\n{policies}END"));
        }
        if step.command.ends_with('&') && !step.command.contains("serve") {
            let port = step.command.split([' ', ':']).find(|word| PORTS.contains(word)).expect("it listens somewhere");
            let here = &called.iter().find(|(called, _)| *called == port).expect("one of the ports").1;
            let address = format!("127.0.0.1:{here}").parse().expect("an address");
            wait::until(wait::PATIENCE, "the next hop", || place::greeting(address));
        }
    }
    for heading in [way, RESULT] {
        let steps = steps(DOCUMENT, heading);
        assert!(steps.len() > 4, "{heading}: {steps:?}");
        steps.iter().for_each(|step| shell.follow(step));
    }
}

#[test]
fn from_nothing_to_a_partner_by_the_command_alone() {
    follow(WAYS[0]);
}

#[test]
fn from_nothing_to_a_partner_by_the_api_alone() {
    follow(WAYS[1]);
}

#[test]
fn from_nothing_to_a_partner_with_a_file() {
    follow(WAYS[2]);
}

/// Each way does what its row says, with nothing of the others: no curl by the command, no command by the API.
#[test]
fn each_way_keeps_to_itself() {
    for (way, foreign) in WAYS.iter().zip([&["curl", "settings apply"][..], &["sealwire "], &["curl", "setting add"]]) {
        for step in steps(DOCUMENT, way) {
            assert!(!foreign.iter().any(|word| step.command.contains(word)), "{way}: {}", step.command);
        }
    }
}

/// Every step of the help page from 3 to 10 has its row, and what the row names is there: commands, endpoints, keys.
#[test]
fn every_step_of_the_help_page_has_its_row() {
    let rows: Vec<Vec<&str>> = DOCUMENT
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| line.trim_matches(['|', ' ']).split(" | ").map(str::trim).collect())
        .filter(|row: &Vec<&str>| row.len() == 4)
        .collect();
    let shell = |words: &str| {
        let mut command = std::process::Command::new(sealwire_tests::relay::binary());
        let output = command.args(words.split(' ')).arg("--help").output().expect("it can be started");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let mut command = std::process::Command::new(sealwire_tests::relay::binary());
    let openapi = command.arg("openapi").output().expect("it can be started").stdout;
    let openapi: Value = serde_json::from_slice(&openapi).expect("JSON");
    let settings = include_str!("../../../docs/settings.md");
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect::<Vec<String>>();
    let mut steps = BTreeSet::new();
    for row in rows {
        let Some(step) = row[0].split(',').next().and_then(|step| step.parse::<u8>().ok()) else { continue };
        steps.insert(step);
        for named in quoted(row[1]).into_iter().filter(|named| !named.starts_with("--")) {
            let (words, option) = named.split_once(" --").unwrap_or((&named, ""));
            let (fine, help) = shell(words);
            assert!(fine && help.contains(&format!("--{option}")), "step {step}: there is no `sealwire {named}`");
        }
        let edits = openapi.to_string();
        for named in quoted(row[2]) {
            let found = match named.split_once(' ') {
                Some((method, path)) => !openapi["paths"][path][method.to_lowercase()].is_null(),
                None => edits.contains(&format!("\"{named}\"")) || settings.contains(&format!("`{named}`")),
            };
            assert!(found, "step {step}: the API has no `{named}`");
        }
        for named in quoted(row[3]).into_iter().filter(|named| !named.starts_with('[')) {
            let is_command = named.starts_with("settings ") && shell(&named).0;
            assert!(is_command || settings.contains(&format!("`{named}`")), "step {step}: a file has no `{named}`");
        }
    }
    assert_eq!(steps, (3..=10).collect(), "the help page's steps from 3 to 10");
}
