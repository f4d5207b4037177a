//! An edit of one setting, and of one entry, beside a list of 1,000,000 entries while mail flows: how long from the command
//! to the first message that meets its effect, and what the mail that flows felt of it.
//!
//! The effect is a refusal: mail in clear from a domain that the edit has put on a list.

use std::fmt::Write;

use sealwire_tests::place;
use sealwire_tests::relay::Relay;

use crate::Extent;
use crate::effect::Session;
use crate::ends::{Load, Sent, Sink};
use crate::relays::{Kind, Running, Surroundings};
use crate::table::{Budget, Figures, Row, say};

const ENTRIES: usize = 1_000_000;
/// Mail that flows: 20 sessions that pause, about 200 messages a second, so that a delay is the edit's and not the load's.
const SESSIONS: usize = 20;
const PAUSE_MS: u64 = 100;
const TO: &str = "recipient@bench.test";

pub(crate) fn measure(extent: &Extent) -> Vec<Row> {
    let mut rows = Rows::default();
    let entries = if extent.quick { ENTRIES / 10 } else { ENTRIES };
    let mut list = String::new();
    for n in 0..entries {
        let _ = writeln!(list, "user{n}@domain{}.example", n % 1_000);
    }
    for run in 1..=extent.runs {
        say(&format!("edits beside {entries} entries, run {run} of {}", extent.runs));
        once(&list, extent, &mut rows);
    }
    let row = |what: &str, unit, sealwire, budget| Row { what: what.to_owned(), unit, postfix: None, sealwire, budget };
    vec![
        row("edit of one setting beside 1,000,000 entries, to effect", "s", rows.setting, Budget::AtMost(1.0)),
        row("edit of one entry among 1,000,000, to effect", "s", rows.entry, Budget::AtMost(1.0)),
        row("mail that flows, p99 without an edit", "ms", rows.calm_p99, Budget::None),
        row("mail that flows, p99 beside edits", "ms", rows.edited_p99, Budget::None),
        row("mail that flows, longest without an edit", "ms", rows.calm_max, Budget::None),
        row("mail that flows, longest beside edits", "ms", rows.edited_max, Budget::None),
    ]
}

#[derive(Default)]
struct Rows {
    setting: Figures,
    entry: Figures,
    calm_p99: Figures,
    calm_max: Figures,
    edited_p99: Figures,
    edited_max: Figures,
}

fn once(list: &str, extent: &Extent, rows: &mut Rows) {
    let around = Surroundings::new(false);
    let relay = around.start(Kind::Sealwire);
    let Running::Sealwire(sealwire) = &relay.running else { unreachable!("asked for above") };
    apply(sealwire, list, false);
    let messages = extent.messages.min(2_000);
    let sink = Sink::start(&around, messages * 2);
    let load = Load { sessions: SESSIONS, messages, pause_ms: PAUSE_MS, per_connection: 1_000, ..Load::default() };

    let calm = load.run(relay.address(), &around);
    rows.calm_p99.add(calm.message_ms.p99);
    rows.calm_max.add(calm.message_ms.max);

    let sending = Load { first: messages, ..load }.start(relay.address(), &around);
    let mut session = Session::open(sealwire);
    let mut effect = |list: &str, from: &str| session.until_refused((from, TO), || apply(sealwire, list, true));
    rows.setting.add(effect(list, "ann@setting.test"));
    rows.entry.add(effect(&format!("{list}entry.test\n"), "ann@entry.test"));
    let sent: Sent = sending.finish();
    rows.edited_p99.add(sent.message_ms.p99);
    rows.edited_max.add(sent.message_ms.max);
    sink.wait_for(messages * 2 + session.accepted);
    sink.assert_clean(session.accepted);
    assert_eq!((calm.failures, sent.failures), (0, 0), "a session was dropped: {:?} {:?}", calm.trouble, sent.trouble);
}

/// Puts the list into force, and with it a setting that demands TLS of it and, if `enabled`, of one domain more.
fn apply(relay: &Relay, list: &str, enabled: bool) {
    let folder = place::folder();
    place::write(&folder.path().join("many.txt"), list);
    let setting = |name: &str, enabled: bool| {
        format!(
            "[[policy.secure-transport.settings]]\ndescription = \"{name}\"\nscopes = [\"inbound\"]\n\
             lists = [\"{name}\"]\nenabled = {enabled}\n"
        )
    };
    let text = format!(
        "[lists.many]\nfile = \"many.txt\"\n[lists.few]\nentries = [\"setting.test\"]\n{}{}",
        setting("many", true),
        setting("few", enabled)
    );
    let file = folder.path().join("settings.toml");
    place::write(&file, text);
    let said = relay.run(&["settings", "apply", &file.display().to_string()]);
    assert!(said.status.success(), "settings apply: {}", said.err);
}
