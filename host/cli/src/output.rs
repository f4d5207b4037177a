//! What a person or a program reads: lines and aligned tables, or JSON. Colour on a terminal only, never with NO_COLOR.

use std::io::{IsTerminal, Write, stderr, stdout};

use serde::Serialize;

use crate::failure::Failure;

/// Where answers go.
pub(crate) struct Output {
    /// JSON was asked for.
    pub(crate) json: bool,
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
        Output { json, colour: !json && !unwanted && stdout().is_terminal() }
    }

    /// One line. A reader that has gone away (`| head`) is no fault of ours.
    pub(crate) fn line(&self, text: impl AsRef<str>) {
        let _ = writeln!(stdout(), "{}", text.as_ref());
    }

    /// A line for the person at the terminal, beside the answer: on standard error.
    pub(crate) fn aside(&self, text: &str) {
        let _ = writeln!(stderr(), "{text}");
    }

    /// A value for programs.
    pub(crate) fn value(&self, value: &impl Serialize) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.line(text),
            Err(error) => self.line(format!("{{\"error\": {:?}}}", error.to_string())),
        }
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
            let _ = writeln!(stderr(), "{failure}");
        }
    }

    pub(crate) fn toned(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => 32,
            Tone::Bad => 31,
            Tone::Quiet => 2,
        };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Columns under their headings, as wide as their widest cell.
    pub(crate) fn table<const N: usize>(&self, headings: [&str; N], rows: &[[String; N]]) {
        let widths = widths(headings, rows);
        self.line(self.toned(Tone::Quiet, &aligned(&headings.map(ToOwned::to_owned), &widths)));
        rows.iter().for_each(|row| self.line(aligned(row, &widths)));
    }

    /// Names and values in two columns.
    pub(crate) fn pairs(&self, pairs: &[(&str, String)]) {
        let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in pairs {
            let name = self.toned(Tone::Quiet, &format!("{name:width$}"));
            self.line(format!("{name}  {value}"));
        }
    }
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
    fn spans_and_sizes_fit_a_glance() {
        let spans = [(5, "5 s"), (300, "5 min"), (7200, "2 h"), (172_800, "2 d")];
        spans.iter().for_each(|(secs, expected)| assert_eq!(span(*secs), *expected));
        let sizes = [(5, "5 B"), (4096, "4 kB"), (1_500_000, "1.5 MB")];
        sizes.iter().for_each(|(octets, expected)| assert_eq!(size(*octets), *expected));
    }
}
