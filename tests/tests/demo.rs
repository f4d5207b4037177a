//! `sealwire demo`: what a newcomer runs first. All its rows come out as they must, on a machine with nothing but the
//! program.

use std::process::{Command, Output, Stdio};

use sealwire_tests::process::{Process, Signal};
use sealwire_tests::{place, relay, wait};
use serde_json::Value;

fn demo(args: &[&str]) -> Output {
    let mut command = Command::new(relay::binary());
    command.arg("demo").args(args).env_clear().stdin(Stdio::null());
    command.output().expect("a built binary can be started")
}

/// Recipient, end, TLS on the way out, rules, host.
type Row = (&'static str, &'static str, bool, &'static [&'static str], Option<&'static str>);
const ROWS: [Row; 9] = [
    ("bob@open.test", "delivered", false, &[], Some("clear.demo.test")),
    ("bob@casual.test", "delivered", true, &[], Some("self-signed.demo.test")),
    ("bob@partner.test", "delivered", true, &["R2", "R4", "R5"], Some("trusted.demo.test")),
    ("bob@shop.test", "delivered", true, &["R2"], Some("self-signed.demo.test")),
    ("bob@bank.test", "returned", false, &["R4"], None),
    ("bob@clinic.test", "returned", false, &["R2"], None),
    ("bob@agency.test", "delivered", true, &["R2"], Some("vault.demo.test")),
    ("dora@ours.test", "refused", false, &["R1"], None),
    ("dora@ours.test", "delivered", true, &[], Some("trusted.demo.test")),
];

#[test]
fn every_row_comes_out_as_it_must() {
    let output = demo(&["--json"]);
    let said: Value = serde_json::from_slice(&output.stdout).expect("one JSON document on standard output");
    assert!(output.status.success(), "{}: {said:#}", output.status);
    assert_eq!(said["as-expected"], true, "{said:#}");
    let rows = said["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), ROWS.len());
    for (row, (to, end, tls, rules, host)) in rows.iter().zip(ROWS) {
        assert_eq!(row["wrong"], Value::Null, "{row:#}");
        assert_eq!((&row["to"], &row["end"]), (&to.into(), &end.into()), "{row:#}");
        assert_eq!(row["tls"]["version"].is_string(), tls, "{row:#}");
        assert_eq!(row["rules"], Value::from(rules), "{row:#}");
        assert_eq!(row["host"].as_str(), host, "{row:#}");
        assert_eq!(row["report"].is_string(), end == "returned", "{row:#}");
    }
    assert!(rows[7]["reply"].as_str().is_some_and(|reply| reply.starts_with("550 5.7.10 ")), "{:#}", rows[7]);
}

#[test]
fn a_person_reads_a_table_of_a_hundred_columns_without_colours_in_a_pipe() {
    let output = demo(&[]);
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{said}");
    assert!(said.contains("All messages went the way they must."), "{said}");
    assert!(said.contains("Rule R2: Mail to this recipient is sent over TLS only."), "the report: {said}");
    assert!(!said.contains('\u{1b}'), "{said}");
    let table = said.lines().take_while(|line| !line.starts_with("Look further"));
    table.for_each(|line| assert!(line.chars().count() <= 100, "{line}"));
}

/// With `--stay` the other commands work beside it, and it ends cleanly when told to: 0, and no folder left.
#[test]
fn it_stays_for_commands_and_ends_when_told_to() {
    let place = place::folder();
    let said = place.path().join("said");
    let mut command = Command::new(relay::binary());
    command.args(["demo", "--stay"]).env("TMPDIR", place.path());
    let mut process = Process::start("sealwire demo", &mut command, &said);
    let read = || std::fs::read_to_string(&said).unwrap_or_default();
    wait::until(wait::PATIENCE, "the invitation", || read().contains("relay.log").then_some(()));
    let invitation = read();
    let status = invitation.lines().find(|line| line.ends_with("sealwire.toml status")).expect("a command to paste");
    let mut words = status.split_whitespace();
    let program = words.next().expect("the program");
    let root = std::env::current_dir().expect("a current folder").join(program);
    let status = Command::new(root).args(words).output().expect("a command that can be pasted");
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    // The reader's own message, as printed, and what the printed command tells of it.
    let pasted = |line: &str| {
        let mut words = line.split_whitespace();
        let program = std::env::current_dir().expect("a current folder").join(words.next().expect("the program"));
        let program = if program.is_file() { program } else { line.split(' ').next().expect("a program").into() };
        Command::new(program).args(words).stdin(Stdio::null()).output().expect("a command that can be pasted")
    };
    let swaks = invitation.lines().map(str::trim).find(|line| line.starts_with("swaks ")).expect("a swaks to paste");
    let sent = pasted(swaks);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stdout));
    process.signal(Signal::Term);
    assert!(process.wait().success(), "{}", read());
    let left: Vec<_> = std::fs::read_dir(place.path()).expect("it is there").flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["said"], "the folder is removed");
}
