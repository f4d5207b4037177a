//! Syncs per message, counted by strace in runs of their own: what it watches, it slows.

use std::path::Path;

use sealwire_tests::place;

use crate::Extent;
use crate::flow::{Flow, Measured, once};
use crate::meter::Meter;
use crate::relays::{Kind, Surroundings};
use crate::table::{Budget, Figures, Row, say};

const FLOW: Flow = Flow { what: "syncs", secured: true, size: 4096, per_connection: 20 };
/// What a file or a folder is synced with; `sync_file_range` is no sync.
const CALLS: &str = "trace=fsync,fdatasync,syncfs,sync,msync";

pub(crate) fn measure(extent: &Extent) -> Vec<Row> {
    let mut measured = [Figures::default(), Figures::default()];
    for run in 1..=extent.runs {
        for &kind in extent.relays() {
            say(&format!("syncs, {kind:?}, run {run} of {}", extent.runs));
            measured[kind as usize].add(per_message(kind, extent.messages));
        }
    }
    let [postfix, sealwire] = measured;
    vec![Row {
        what: "syncs per message, STARTTLS, 20 sessions".to_owned(),
        unit: "syncs",
        postfix: Some(postfix),
        sealwire,
        budget: Budget::AtMost(0.3),
    }]
}

fn per_message(kind: Kind, messages: u64) -> f64 {
    let folder = place::folder();
    let counts = folder.path().join("syncs");
    let strace = place::program("strace").display().to_string();
    let file = counts.display().to_string();
    // -D: the relay stays our child and strace is none of its. --seccomp-bpf: other calls are not stopped at.
    let under = [&strace, "-D", "-f", "--seccomp-bpf", "-e", CALLS, "-o", &file].map(str::to_owned);
    let around = Surroundings::new(FLOW.secured);
    let relay = around.start_under(kind, Meter::new("strace"), &under, "");
    let before = lines(&counts);
    once(&FLOW, messages, &around, &relay, &mut Measured::default());
    (lines(&counts) - before) as f64 / (messages + crate::flow::WARM_UP) as f64
}

/// A line for each call, and others for what strace tells besides.
fn lines(file: &Path) -> usize {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter(|line| line.contains("sync(") && !line.contains("resumed")).count()
}
