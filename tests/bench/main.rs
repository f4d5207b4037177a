//! `cargo xtask bench [GROUP...] [--quick] [--alone] [--runs N] [--messages N]`: sealwire beside Postfix on this machine.
//!
//! 1. [`rows`] lists the groups of rows; each measures both relays in turn, over and over, and gives rows with figures.
//! 2. [`relays`] starts Postfix and sealwire with equal configurations; [`ends`] are the load before them and the sink
//!    behind them, both `sealwire` itself. Every run is checked: nothing lost, doubled, damaged, or in clear.
//!    [`effect`] is a session that sees a change take effect.
//! 3. [`meter`] reads CPU and memory of all processes of a relay; [`table`] shows medians with spread beside budgets.
//!
//! What other work goes on is told with the load average: CPU per message of paired runs bears it, times do not.

mod rows;

mod flow;

mod burst;
mod deferred;
mod edit;
mod heavy;
mod idle;
mod ledger;
mod million;
mod overload;
mod policy;
mod syncs;
mod units;

mod effect;
mod ends;
mod meter;
mod relays;
mod table;

use std::process::ExitCode;

use crate::relays::Kind;

/// How much is measured.
pub(crate) struct Extent {
    /// Runs of each relay; the figure is their median.
    pub(crate) runs: usize,
    /// Messages of a run.
    pub(crate) messages: u64,
    /// Small numbers, to see whether all works.
    pub(crate) quick: bool,
    /// Sealwire without Postfix: for comparing builds of it. No ratios then.
    pub(crate) alone: bool,
}

impl Extent {
    /// The relays that are measured, in turn.
    pub(crate) fn relays(&self) -> &'static [Kind] {
        if self.alone { &[Kind::Sealwire] } else { &[Kind::Postfix, Kind::Sealwire] }
    }
}

fn main() -> ExitCode {
    let mut extent = Extent { runs: 5, messages: 5_000, quick: false, alone: false };
    let mut groups = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse().ok());
        match argument.as_str() {
            "--quick" => extent = Extent { runs: 2, messages: 400, quick: true, ..extent },
            "--alone" => extent.alone = true,
            "--runs" => match number() {
                Some(runs) if runs > 0 => extent.runs = runs as usize,
                _ => return refuse("--runs takes a number"),
            },
            "--messages" => match number() {
                Some(messages) if messages > 0 => extent.messages = messages,
                _ => return refuse("--messages takes a number"),
            },
            name => match rows::GROUPS.iter().find(|group| group.name == name) {
                Some(group) => groups.push(group),
                None => return refuse(&format!("there is no group `{name}`")),
            },
        }
    }
    if groups.is_empty() {
        groups.extend(rows::GROUPS);
    }
    table::begin(&extent);
    for group in groups {
        table::say(&format!("{}: {}", group.name, group.says));
        (group.measure)(&extent).iter().for_each(table::show);
    }
    ExitCode::SUCCESS
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("bench: {why}\n\nUsage: cargo xtask bench [GROUP...] [--quick] [--alone] [--runs N] [--messages N]\n");
    for group in rows::GROUPS {
        eprintln!("  {:<12} {}", group.name, group.says);
    }
    ExitCode::from(2)
}
