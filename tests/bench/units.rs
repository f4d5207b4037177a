//! 1,000 organizational units, each with a setting of its own: a change at the root, which concerns them all, and one of a single
//! unit, from the command to their effect.
//!
//! A session is open throughout and sees both; 20 others are open and silent, and are greeted at the end. That the change
//! concerns every unit, and that of one no other, is asked of a sample of them.

use std::fmt::Write;

use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::place;
use sealwire_tests::relay::Relay;

use crate::Extent;
use crate::effect::{Session, timed};
use crate::ends::Sink;
use crate::meter;
use crate::relays::{Kind, Running, Surroundings};
use crate::table::{Budget, Figures, Row, say};

const UNITS: usize = 1_000;
const SILENT: usize = 20;
const MIB: f64 = 1024.0 * 1024.0;

#[derive(Default)]
struct Rows {
    apply: Figures,
    root: Figures,
    one: Figures,
    start: Figures,
    memory: Figures,
}

pub(crate) fn measure(extent: &Extent) -> Vec<Row> {
    let units = if extent.quick { UNITS / 10 } else { UNITS };
    let mut rows = Rows::default();
    for run in 1..=extent.runs {
        say(&format!("{units} units, run {run} of {}", extent.runs));
        once(units, &mut rows);
    }
    let row = |what: &str, unit, sealwire, budget| Row { what: what.to_owned(), unit, postfix: None, sealwire, budget };
    vec![
        row("1,000 units with settings of their own, to effect", "s", rows.apply, Budget::None),
        row("a change that concerns 1,000 units, to effect", "s", rows.root, Budget::AtMost(1.0)),
        row("a change of one unit among 1,000, to effect", "s", rows.one, Budget::AtMost(1.0)),
        row("restart with 1,000 units", "s", rows.start, Budget::None),
        row("most memory of the relay meanwhile", "MiB", rows.memory, Budget::AtMost(256.0)),
    ]
}

fn once(units: usize, rows: &mut Rows) {
    let around = Surroundings::new(false);
    let mut relay = around.start(Kind::Sealwire);
    let Running::Sealwire(sealwire) = &mut relay.running else { unreachable!("asked for above") };
    let sink = Sink::start(&around, 0);
    let folder = place::folder();
    let file = folder.path().join("settings.toml");
    place::write(&file, document(units));
    let file = file.display().to_string();
    let mut session = Session::open(sealwire);
    let mut silent: Vec<Dialogue> = (0..SILENT).map(|_| Dialogue::open(sealwire.smtp()).expect("a session")).collect();
    let (first, middle, last) = (to(0), to(units / 2), to(units - 1));

    let apply = || drop(timed(sealwire, &["settings", "apply", &file]));
    rows.apply.add(session.until_refused(("ann@own.test", &middle), apply));
    let add = |id: &str, more: &[&str]| {
        let setting = ["setting", "add", id, "--description", id, "--scope", "inbound"];
        timed(sealwire, &[&setting[..], more].concat());
    };
    let of_all = || add("all", &["--list", "all"]);
    rows.root.add(session.until_refused(("ann@all.test", &last), of_all));
    for to in [&first, &middle] {
        assert!(session.refuses(("ann@all.test", to)), "{to} is another unit's");
    }
    let unit = format!("u{}", units / 2);
    let of_one = || add("one", &["--list", "one", "--unit", &unit]);
    rows.one.add(session.until_refused(("ann@one.test", &middle), of_one));
    for to in [&first, &last] {
        assert!(!session.refuses(("ann@one.test", to)), "{to} is another unit's");
    }
    for dialogue in &mut silent {
        let reply = dialogue.command("NOOP").expect("no session is dropped");
        assert!(reply.starts_with("250"), "{reply}");
    }
    rows.memory.add(meter::peak_memory(sealwire.id()) / MIB);
    sink.wait_for(session.accepted);
    sink.assert_clean(session.accepted);
    drop((session, silent));
    rows.start.add(restarted(sealwire, &last));
}

/// Seconds from the start to the greeting, with what was in force before.
fn restarted(sealwire: &mut Relay, to: &str) -> f64 {
    sealwire.stop();
    let started = std::time::Instant::now();
    sealwire.start();
    let took = started.elapsed().as_secs_f64();
    assert!(Session::open(sealwire).refuses(("ann@all.test", to)), "it is in force again");
    took
}

/// A recipient of this unit.
fn to(unit: usize) -> String {
    format!("bob@u{unit}.test")
}

/// Every unit has a domain and a setting that says something of its own.
fn document(units: usize) -> String {
    let mut text = String::new();
    for list in ["own", "all", "one"] {
        let _ = writeln!(text, "[lists.{list}]\nentries = [\"{list}.test\"]");
    }
    for n in 0..units {
        let _ = writeln!(text, "[units.u{n}]\ndomains = [\"u{n}.test\"]");
    }
    for n in 0..units {
        let _ = writeln!(
            text,
            "[[policy.secure-transport.settings]]\nid = \"own-{n}\"\ndescription = \"Of unit {n}\"\n\
             unit = \"u{n}\"\nscopes = [\"inbound\"]\nlists = [\"own\"]"
        );
    }
    text
}
