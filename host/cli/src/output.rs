//! What a person or a program reads: lines and aligned tables, or JSON. Colour on a terminal only, never with NO_COLOR.
//!
//! Much of it is strangers' text. Whatever is written here is made visible here, so that no command need think of it: nothing but
//! a colour of ours speaks to the terminal, and a line is one line.

use std::io::{IsTerminal, Write, stderr, stdout};

use sealwire_core::visible::{visible, visible_json};
use serde::Serialize;

use crate::failure::Failure;

/// Where answers go.
pub(crate) struct Output {
    /// JSON was asked for.
    pub(crate) json: bool,
    is_terminal: bool,
    colour: bool,
}

/// What a word means to the reader.
#[derive(Clone, Copy)]
pub(crate) enum Tone {
    Good,
    Bad,
    Quiet,
}

impl Output {
    pub(crate) fn new(json: bool) -> Output {
        // https://no-color.org: present and not empty.
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_terminal = stdout().is_terminal();
        Output { json, is_terminal, colour: !json && !unwanted && is_terminal }
    }

    /// One line. A reader that has gone away (`| head`) is no fault of ours.
    pub(crate) fn line(&self, text: impl AsRef<str>) {
        self.pieces(&[(None, text.as_ref())]);
    }

    /// One line in a tone.
    pub(crate) fn toned(&self, tone: Tone, text: &str) {
        self.pieces(&[(Some(tone), text)]);
    }

    /// One line of pieces, each with its tone.
    pub(crate) fn pieces(&self, pieces: &[(Option<Tone>, &str)]) {
        let _ = writeln!(stdout(), "{}", coloured(pieces, self.colour));
    }

    /// A text of several lines.
    pub(crate) fn lines(&self, text: &str) {
        text.lines().for_each(|line| self.line(line));
    }

    /// A file's text, or some lines of it, to be kept or read by programs: to a terminal as lines, to anything else as it is.
    pub(crate) fn file(&self, text: &str) {
        match self.is_terminal {
            true => self.lines(text),
            false => drop(writeln!(stdout(), "{}", text.trim_end_matches(['\r', '\n']))),
        }
    }

    /// A line for the person at the terminal, beside the answer: on standard error.
    pub(crate) fn aside(&self, text: &str) {
        let _ = writeln!(stderr(), "{}", visible(text));
    }

    /// A value for programs.
    pub(crate) fn value(&self, value: &impl Serialize) {
        self.json(serde_json::to_string_pretty(value));
    }

    /// The same on one line, where more follow.
    pub(crate) fn value_on_a_line(&self, value: &impl Serialize) {
        self.json(serde_json::to_string(value));
    }

    fn json(&self, written: serde_json::Result<String>) {
        let text = written.unwrap_or_else(|error| format!("{{\"error\": {:?}}}", error.to_string()));
        let _ = writeln!(stdout(), "{}", visible_json(&text));
    }

    /// The value with `--json`, else what `people` prints.
    pub(crate) fn either<T: Serialize>(&self, value: &T, people: impl FnOnce(&T)) {
        if self.json { self.value(value) } else { people(value) }
    }

    /// A failure, on standard error; with `--json` on standard output, where the program reads.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            let mut told = serde_json::json!({ "error": failure.to_string(), "problems": failure.problems() });
            if let Some(refusal) = failure.conflict() {
                told["current"] = serde_json::json!(refusal.current);
                told["changed"] = serde_json::json!(refusal.changed);
            }
            self.value(&told);
        } else {
            failure.lines().iter().for_each(|line| self.aside(line));
        }
    }

    /// Columns under their headings, as wide as their widest cell.
    pub(crate) fn table<const N: usize>(&self, headings: [&str; N], rows: &[[String; N]]) {
        // Visible before it is measured.
        let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| visible(cell))).collect();
        let widths = widths(headings, &rows);
        self.toned(Tone::Quiet, &aligned(&headings.map(ToOwned::to_owned), &widths));
        rows.iter().for_each(|row| self.line(aligned(row, &widths)));
    }

    /// Names and values in two columns.
    pub(crate) fn pairs(&self, pairs: &[(&str, String)]) {
        let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in pairs {
            self.pieces(&[(Some(Tone::Quiet), &format!("{name:width$}")), (None, &format!("  {value}"))]);
        }
    }
}

/// What is written for these pieces.
fn coloured(pieces: &[(Option<Tone>, &str)], colour: bool) -> String {
    let piece = |(tone, text): &(Option<Tone>, &str)| match tone.filter(|_| colour) {
        None => visible(text),
        Some(Tone::Good) => format!("\u{1b}[32m{}\u{1b}[0m", visible(text)),
        Some(Tone::Bad) => format!("\u{1b}[31m{}\u{1b}[0m", visible(text)),
        Some(Tone::Quiet) => format!("\u{1b}[2m{}\u{1b}[0m", visible(text)),
    };
    pieces.iter().map(piece).collect()
}

fn widths<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> [usize; N] {
    let column = |index: usize| rows.iter().map(move |row| row[index].chars().count());
    std::array::from_fn(|index| column(index).max().unwrap_or(0).max(headings[index].len()))
}

fn aligned<const N: usize>(cells: &[String; N], widths: &[usize; N]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

/// `5 s`, `3 min`, `2 h`, `4 d`: how long, for a glance.
pub(crate) fn span(secs: u64) -> String {
    match secs {
        0..=119 => format!("{secs} s"),
        120..=7199 => format!("{} min", secs / 60),
        7200..=172_799 => format!("{} h", secs / 3600),
        _ => format!("{} d", secs / 86_400),
    }
}

/// `12 kB`: how big, for a glance.
pub(crate) fn size(octets: u64) -> String {
    match octets {
        0..=999 => format!("{octets} B"),
        1000..=999_999 => format!("{} kB", octets / 1000),
        _ => format!("{:.1} MB", octets as f64 / 1e6),
    }
}

/// Now, in seconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [["a".to_owned(), "one".to_owned()], ["äöü".to_owned(), "2".to_owned()]];
        let widths = widths(["", "name"], &rows);
        let lines: Vec<_> = rows.iter().map(|row| aligned(row, &widths)).collect();
        assert_eq!(lines, ["a    one", "äöü  2"]);
    }

    #[test]
    fn a_line_is_one_line_and_no_colour_but_ours_speaks_to_the_terminal() {
        let strange = "a\r\nb\u{1b}[31m\u{9b}2J\u{202e}";
        let shown = r"a\r\nb\u{1b}[31m\u{9b}2J\u{202e}";
        assert_eq!(coloured(&[(None, strange), (Some(Tone::Bad), strange)], false), format!("{shown}{shown}"));
        let red = coloured(&[(None, strange), (Some(Tone::Bad), strange)], true);
        assert_eq!(red, format!("{shown}\u{1b}[31m{shown}\u{1b}[0m"));
    }

    #[test]
    fn spans_and_sizes_fit_a_glance() {
        let spans = [(5, "5 s"), (300, "5 min"), (7200, "2 h"), (172_800, "2 d")];
        spans.iter().for_each(|(secs, expected)| assert_eq!(span(*secs), *expected));
        let sizes = [(5, "5 B"), (4096, "4 kB"), (1_500_000, "1.5 MB")];
        sizes.iter().for_each(|(octets, expected)| assert_eq!(size(*octets), *expected));
    }
}
