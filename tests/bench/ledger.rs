//! A ledger of 1,000,000 decisions: how long a search in it takes, and how fast a preview replays it.
//!
//! One message is carried, and what the ledger has of it is written again and again into the store of a relay that stands still,
//! each time of another message to one of 1,000 domains, over the days before: three decisions of a message, its arrival, its
//! attempt. What is to be found is counted beforehand.

use std::time::{SystemTime, UNIX_EPOCH};

use sealwire_core::ledger::{LedgerEvent, LedgerRecord};
use sealwire_store::{LedgerLine, SqliteStore, Store};
use sealwire_tests::relay::Relay;
use sealwire_tests::{curl, place};
use serde_json::Value;

use crate::Extent;
use crate::effect::{Session, timed};
use crate::ends::Sink;
use crate::meter;
use crate::relays::{Kind, Running, Surroundings};
use crate::table::{Budget, Figures, Row, say};

const DECISIONS: usize = 1_000_000;
const DOMAINS: usize = 1_000;
/// Records of one transaction.
const AT_ONCE: usize = 5_000;
/// Over so many milliseconds before now: a preview looks at seven days.
const SPAN_MS: u64 = 6 * 86_400_000;
/// Of the message that is carried: local part and domain, which stand for nothing else in its records.
const LOCAL: &str = "somebody";
const DOMAIN: &str = "somewhere.test";
/// Records that `log` tells at most, and a page of the API.
const LIMIT: usize = 10_000;
const PAGE: usize = 1_000;
const MIB: f64 = 1024.0 * 1024.0;
/// One domain to which mail must have TLS, to which the message that is carried does not go; and its sender, who is watched.
const SETTINGS: &str = "[lists.few]\nentries = [\"domain7.test\"]\n[lists.watched]\nentries = [\"sender.test\"]\n\
    [[policy.secure-transport.settings]]\ndescription = \"Few\"\nscopes = [\"outbound\"]\nlists = [\"few\"]\n\
    [[policy.secure-transport.settings]]\ndescription = \"Watched\"\nscopes = [\"inbound\"]\n\
    lists = [\"watched\"]\nobserve-only = true\n";
/// What is noted of the sender, when his mail is decided on and when it is accepted.
const RULE: &str = "R1-observed";

#[derive(Default)]
struct Rows {
    domain: Figures,
    nobody: Figures,
    rule: Figures,
    no_rule: Figures,
    message: Figures,
    api: Figures,
    replay: Figures,
    memory: Figures,
}

pub(crate) fn measure(extent: &Extent) -> Vec<Row> {
    let decisions = if extent.quick { DECISIONS / 20 } else { DECISIONS };
    let mut rows = Rows::default();
    let around = Surroundings::new(false);
    let mut relay = around.start(Kind::Sealwire);
    let Running::Sealwire(sealwire) = &mut relay.running else { unreachable!("asked for above") };
    let folder = place::folder();
    let file = folder.path().join("settings.toml");
    place::write(&file, SETTINGS);
    let file = file.display().to_string();
    timed(sealwire, &["settings", "apply", &file]);

    let template = carried(&around, sealwire);
    sealwire.stop();
    say(&format!("{decisions} decisions are written"));
    let messages = fill(sealwire, &template, decisions);
    sealwire.start();
    for run in 1..=extent.runs {
        say(&format!("a ledger of {decisions} decisions, run {run} of {}", extent.runs));
        search(sealwire, messages, &mut rows);
    }
    say("a preview of all of them");
    replay(sealwire, &file, messages, &mut rows);
    rows.memory.add(meter::peak_memory(relay.process()) / MIB);
    let row = |what: &str, unit, sealwire, budget| Row { what: what.to_owned(), unit, postfix: None, sealwire, budget };
    vec![
        row("search among 1,000,000 decisions, by a domain", "s", rows.domain, Budget::AtMost(2.0)),
        row("by a domain that nobody wrote to", "s", rows.nobody, Budget::AtMost(2.0)),
        row("by a rule", "s", rows.rule, Budget::AtMost(2.0)),
        row("by a rule that no reason names", "s", rows.no_rule, Budget::AtMost(2.0)),
        row("by a message", "s", rows.message, Budget::AtMost(2.0)),
        row("by a domain, through the API", "s", rows.api, Budget::AtMost(2.0)),
        row("replay of 1,000,000 decisions, on one core", "decisions/s", rows.replay, Budget::None),
        row("most memory of the relay meanwhile", "MiB", rows.memory, Budget::AtMost(256.0)),
    ]
}

/// What the ledger has of one message that came in and was delivered.
fn carried(around: &Surroundings, sealwire: &Relay) -> Vec<LedgerRecord> {
    let sink = Sink::start(around, 0);
    let mut session = Session::open(sealwire);
    assert!(!session.refuses(("ann@sender.test", &format!("{LOCAL}@{DOMAIN}"))), "it is accepted");
    sink.wait_for(1);
    let attempted = || {
        let lines: Vec<LedgerLine> = serde_json::from_value(sealwire.json(&["log"])).expect("the ledger");
        let is_told = lines.iter().any(|line| matches!(line.record.event, LedgerEvent::Attempted { .. }));
        is_told.then_some(lines)
    };
    let lines = sealwire_tests::wait::until(sealwire_tests::wait::PATIENCE, "the attempt in the ledger", attempted);
    let records: Vec<LedgerRecord> = lines.into_iter().map(|line| line.record).collect();
    let of_message = records.iter().find_map(|record| (!record.message.is_empty()).then(|| record.message.clone()));
    let message = of_message.expect("a message");
    records.into_iter().filter(|record| record.message == message).collect()
}

/// Writes so many decisions; how many messages they are of.
fn fill(sealwire: &Relay, template: &[LedgerRecord], decisions: usize) -> usize {
    let each = template.iter().filter(|record| matches!(record.event, LedgerEvent::Decision(_))).count();
    assert!(each >= 3, "a message is decided on when it arrives, when it is planned and when its host is judged");
    let messages = decisions.div_ceil(each);
    let texts: Vec<String> =
        template.iter().map(|record| serde_json::to_string(record).expect("a record is JSON")).collect();
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    let of_message = |n: usize| {
        let (local, domain) = (format!("user{n}"), format!("domain{}.test", n % DOMAINS));
        let at_ms = now_ms - SPAN_MS + SPAN_MS / messages as u64 * n as u64;
        texts.iter().map(move |text| {
            let text = text.replace(LOCAL, &local).replace(DOMAIN, &domain);
            let record: LedgerRecord = serde_json::from_str(&text).expect("still JSON");
            LedgerRecord { at_ms, message: format!("bench{n}"), ..record }
        })
    };
    let store = SqliteStore::open(sealwire.ground().path("data")).expect("the store of a relay that stands still");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        for first in (0..messages).step_by(AT_ONCE / texts.len()) {
            let last = messages.min(first + AT_ONCE / texts.len());
            store.append((first..last).flat_map(of_message).collect()).await.expect("written");
        }
    });
    messages
}

fn search(sealwire: &Relay, messages: usize, rows: &mut Rows) {
    // Of every message to the domain its arrival and its attempt are found.
    let expected = |domain: usize| (messages - domain).div_ceil(DOMAINS) * 2;
    let found = |arguments: &[&str]| {
        let (said, took) =
            timed(sealwire, &[&["log", "--json", "--limit", &LIMIT.to_string()][..], arguments].concat());
        let lines: Vec<LedgerLine> = serde_json::from_str(&said.out).expect("the ledger");
        (lines, took)
    };
    let (lines, took) = found(&["--recipient", "@domain7.test"]);
    assert_eq!(lines.len(), expected(7));
    rows.domain.add(took);
    let (lines, took) = found(&["--recipient", "@nobody.test"]);
    assert!(lines.is_empty());
    rows.nobody.add(took);
    let (lines, took) = found(&["--rule", RULE]);
    assert_eq!(lines.len(), (messages * 2).min(LIMIT));
    rows.rule.add(took);
    let (lines, took) = found(&["--rule", "R99"]);
    assert!(lines.is_empty());
    rows.no_rule.add(took);
    let message = format!("bench{}", messages / 2);
    let (lines, took) = found(&["--message", &message]);
    assert!(lines.len() >= 5 && lines.iter().all(|line| line.record.message == message));
    rows.message.add(took);

    let socket = sealwire.ground().path("data/admin/socket").display().to_string();
    let address = format!("http://localhost/api/v1/log?recipient=%40domain11.test&limit={PAGE}");
    let started = std::time::Instant::now();
    let answer = curl::ask(&["--unix-socket", &socket, &address]);
    rows.api.add(started.elapsed().as_secs_f64());
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json().as_array().map_or(0, Vec::len), expected(11).min(PAGE));
}

/// The settings in force, and the mail to the one domain that they list and the message carried did not go to: its plans come to
/// more than the ledger has.
fn replay(sealwire: &Relay, file: &str, messages: usize, rows: &mut Rows) {
    let found: Value = sealwire.json(&["settings", "preview", file, "--within", "1h"]);
    assert_eq!((&found["state"], &found["not-replayable"]), (&"done".into(), &0.into()), "{found:#}");
    assert!(found["replayed"].as_u64().is_some_and(|replayed| replayed >= messages as u64 * 3), "{found:#}");
    let listed = found["differences"].as_array().into_iter().flatten();
    let listed = listed.filter(|found| found["domain"] == "domain7.test" && found["change"] == "+ TLS");
    let listed = listed.filter_map(|found| found["count"].as_u64());
    assert_eq!(listed.sum::<u64>(), (messages - 7).div_ceil(DOMAINS) as u64, "{found:#}");
    rows.replay.add(found["per-second"].as_f64().expect("how fast"));
}
