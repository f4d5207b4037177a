//! A list of 1,000,000 entries in the hands of its operator: imported, exported, searched, edited, each by the command he would
//! use, on a relay that keeps what it had in memory at most.
//!
//! Every figure is worth its effect alone: who was imported is refused in clear by a session that was open before, what is
//! exported is what was imported, octet by octet, and a search finds the one.

use std::fmt::Write;

use sealwire_tests::place;

use crate::Extent;
use crate::effect::{Session, timed};
use crate::ends::Sink;
use crate::meter;
use crate::relays::{Kind, Running, Surroundings};
use crate::table::{Budget, Figures, Row, say};

const ENTRIES: usize = 1_000_000;
const MIB: f64 = 1024.0 * 1024.0;
const TO: &str = "recipient@bench.test";

#[derive(Default)]
struct Rows {
    import: Figures,
    export: Figures,
    search: Figures,
    entry: Figures,
    setting: Figures,
    memory: Figures,
}

pub(crate) fn measure(extent: &Extent) -> Vec<Row> {
    let entries = if extent.quick { ENTRIES / 10 } else { ENTRIES };
    let mut list = "entry,note,until,sender\n".to_owned();
    for n in 0..entries {
        let _ = writeln!(list, "user{n}@domain{}.example,,,", n % 1_000);
    }
    let mut rows = Rows::default();
    for run in 1..=extent.runs {
        say(&format!("a list of {entries} entries, run {run} of {}", extent.runs));
        once(&list, entries, &mut rows);
    }
    let row = |what: &str, unit, sealwire, most| Row {
        what: what.to_owned(),
        unit,
        postfix: None,
        sealwire,
        budget: Budget::AtMost(most),
    };
    vec![
        row("import of 1,000,000 entries, to effect", "s", rows.import, 5.0),
        row("export of 1,000,000 entries", "s", rows.export, 5.0),
        row("search among 1,000,000 entries", "s", rows.search, 2.0),
        row("one entry more among 1,000,000, to effect", "s", rows.entry, 1.0),
        row("one setting more beside 1,000,000 entries, to effect", "s", rows.setting, 1.0),
        row("most memory of the relay meanwhile", "MiB", rows.memory, 512.0),
    ]
}

fn once(list: &str, entries: usize, rows: &mut Rows) {
    let around = Surroundings::new(false);
    let relay = around.start(Kind::Sealwire);
    let Running::Sealwire(sealwire) = &relay.running else { unreachable!("asked for above") };
    let sink = Sink::start(&around, 0);
    let folder = place::folder();
    let file = folder.path().join("many.csv");
    place::write(&file, list);
    let file = file.display().to_string();
    let listed = ["--description", "Many", "--scope", "inbound", "--list", "many"];
    timed(sealwire, &["address-list", "create", "many"]);
    timed(sealwire, &[&["setting", "add", "many"][..], &listed].concat());
    let mut session = Session::open(sealwire);

    let last = entries - 1;
    let who = format!("user{last}@domain{}.example", last % 1_000);
    let import = || drop(timed(sealwire, &["address-list", "import", "many", &file]));
    rows.import.add(session.until_refused((&who, TO), import));
    let (exported, took) = timed(sealwire, &["address-list", "export", "many", "--csv"]);
    assert!(exported.out == list, "what is exported is not what was imported");
    rows.export.add(took);
    let (found, took) = timed(sealwire, &["address-list", "show", "many", "--search", &who, "--json"]);
    assert!(found.out.contains("\"total\": 1,") && found.out.contains(&who), "{}", found.out);
    rows.search.add(took);

    let add = || drop(timed(sealwire, &["address-list", "add", "many", "entry.test"]));
    rows.entry.add(session.until_refused(("ann@entry.test", TO), add));
    timed(sealwire, &["address-list", "create", "few"]);
    timed(sealwire, &["address-list", "add", "few", "setting.test"]);
    let few = ["setting", "add", "few", "--description", "Few", "--scope", "inbound", "--list", "few"];
    let add = || drop(timed(sealwire, &few));
    rows.setting.add(session.until_refused(("ann@setting.test", TO), add));
    rows.memory.add(meter::peak_memory(relay.process()) / MIB);
    sink.wait_for(session.accepted);
    sink.assert_clean(session.accepted);
}
