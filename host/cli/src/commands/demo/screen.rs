//! The demo as a person sees it: what runs, rows as they come, one report, and where to look further. 100 columns.

use std::path::Path;

use super::rows::Row;
use super::scenes::{ALICE, CAROL};
use super::world::{CLEAR, HOME, World};
use crate::output::{Output, Tone};

const COLUMNS: usize = 100;
const HEADINGS: [&str; 5] = ["#", "message", "what happened", "why", "time"];
const WIDTHS: [usize; 5] = [1, 29, 14, 41, 7];
/// Between columns.
const GAP: &str = "  ";
/// Behind what happened and why, a report goes on with remedies.
const REMEDIES: &str = "What you can do";

const INTRODUCTION: &str = "\
A relay starts on loopback with an empty store and a certificate authority of its own, and next to it the mail servers it \
delivers to: one without TLS, one with a self-signed certificate, two with certificates of that authority, and the sender's \
own, where reports go. Nothing leaves this machine. Then messages are sent, and this is what its ledger says of them:";

/// Says what runs.
pub(super) fn introduce(output: &Output) {
    wrap(INTRODUCTION, COLUMNS).iter().for_each(|line| output.line(line));
    output.line("");
    output.toned(Tone::Quiet, line(&HEADINGS.map(str::to_owned)).concat().trim_end());
}

/// One more row.
pub(super) fn tell(row: &Row, output: &Output) {
    let tone = if row.end == "delivered" { Tone::Good } else { Tone::Bad };
    let way = if row.from == CAROL { format!("from {}", row.from) } else { format!("to {}", row.to) };
    let cells = [
        row.number.to_string(),
        format!("{way}\n{}", row.shows),
        row.happened.clone(),
        row.why.clone(),
        format!("{} ms", row.took_ms),
    ];
    let wrapped: Vec<Vec<String>> = cells.iter().zip(WIDTHS).map(|(cell, width)| wrap(cell, width)).collect();
    for index in 0..wrapped.iter().map(Vec::len).max().unwrap_or(0) {
        let cells = std::array::from_fn(|column| wrapped[column].get(index).cloned().unwrap_or_default());
        let cells = line(&cells);
        let pieces = cells.iter().enumerate().map(|(column, cell)| ((column == 2).then_some(tone), cell.as_str()));
        output.pieces(&pieces.collect::<Vec<_>>());
    }
    if let Some(wrong) = &row.wrong {
        output.toned(Tone::Bad, &format!("   NOT AS EXPECTED: {wrong}"));
    }
}

/// The first lines of a report as its reader sees them.
pub(super) fn show_report(number: usize, text: &str, output: &Output) {
    output.line("");
    output.line(format!("What the sender of message {number} reads, a report from <> (its first lines):"));
    output.line("");
    let told = text.split(REMEDIES).next().unwrap_or(text);
    for line in told.trim_end().lines() {
        output.pieces(&[(Some(Tone::Quiet), "  |"), (None, format!(" {line}").trim_end())]);
    }
}

/// For who has seen enough.
pub(super) fn look_further(program: &str, output: &Output) {
    output.line("");
    output.line("Look further:");
    output.pairs(&[
        (&*format!("  {program} demo --stay"), "keeps it running for messages of your own".to_owned()),
        (&*format!("  {program} serve --help"), "a relay of your own".to_owned()),
        ("  README.md, docs/", "rule by rule; configuration; settings; policies of your own".to_owned()),
    ]);
}

/// For who wants to try more: commands to paste into another terminal.
pub(super) fn invite(world: &World, program: &str, output: &Output) {
    let swaks = format!("swaks --server {}", world.address);
    let file = |name: &str| world.path(name).display().to_string();
    let sealwire = format!("{program} --config {}", file("sealwire.toml"));
    output.line("");
    output.line("It keeps running until Ctrl-C. From another terminal, messages of your own:");
    let comment = |text: &str| output.toned(Tone::Quiet, &format!("  # {text}"));
    comment("comes back by R4");
    output.line(format!("  {swaks} --from {ALICE} --to bob@bank.test"));
    comment("refused by R1; accepted with --tls");
    output.line(format!("  {swaks} --from {CAROL} --to dora@ours.test"));
    comment(&format!("to any other address: delivered to {CLEAR}"));
    output.line(format!("  {swaks} --from {ALICE} --to you@elsewhere.test"));
    output.line("What became of them:");
    for command in ["log", "log --recipient bank.test", "queue list", "status", "settings show"] {
        output.line(format!("  {sealwire} {command}"));
    }
    output.line("After an edit of who must be reached over TLS; it counts at once:");
    output.lines(&format!("  {sealwire} \\\n    settings apply {}", file("settings.toml")));
    output.line("Files:");
    output.pairs(&[
        (&*format!("  {}", file("sealwire.toml")), "its configuration".to_owned()),
        (&*format!("  {}", file("settings.toml")), "its lists and settings".to_owned()),
        (&*format!("  {}/", file("received")), format!("what the servers got; reports: {HOME}-*.eml")),
        (&*format!("  {}", file("relay.log")), "its log".to_owned()),
    ]);
}

/// How this program is called by whom reads this.
pub(super) fn program() -> String {
    let called = std::env::args().next().unwrap_or_default();
    if !called.is_empty() && !called.contains('/') {
        return called;
    }
    let here = std::env::current_dir().unwrap_or_default();
    let program = std::env::current_exe().unwrap_or_else(|_| called.into());
    let shorter: &Path = program.strip_prefix(&here).unwrap_or(&program);
    shorter.display().to_string()
}

/// Cells as wide as their columns, each with the gap before it.
fn line(cells: &[String; 5]) -> [String; 5] {
    std::array::from_fn(|column| {
        let (cell, width, gap) = (&cells[column], WIDTHS[column], if column == 0 { "" } else { GAP });
        if column == 4 { format!("{gap}{cell:>width$}") } else { format!("{gap}{cell:width$}") }
    })
}

/// Lines of at most so many characters; a longer word stands alone.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits() {
        let gaps = GAP.len() * (WIDTHS.len() - 1);
        assert!(WIDTHS.iter().sum::<usize>() + gaps <= COLUMNS);
    }

    #[test]
    fn words_are_wrapped_and_never_cut() {
        let cases = [
            ("", 5, vec![]),
            ("one two", 7, vec!["one two"]),
            ("one two", 6, vec!["one", "two"]),
            ("a\nb c", 9, vec!["a", "b c"]),
            ("abcdefgh i", 4, vec!["abcdefgh", "i"]),
        ];
        for (text, width, lines) in cases {
            assert_eq!(wrap(text, width), lines, "{text:?}");
        }
    }
}
