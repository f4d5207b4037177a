//! Lists as CSV (RFC 4180): what spreadsheets read and write. No cell is a formula to any of them.

use sealwire_core::list::{NewEntry, add};
use sealwire_relay::settings::EntryView;

/// The first line.
pub(super) const HEADINGS: &str = "entry,note,until,sender";
/// Faults told at once.
const FAULTS_MAX: usize = 100;

/// One line of a file that is exported.
pub(super) fn line(entry: &EntryView) -> String {
    let sender = if entry.authenticated_sender_only { "authenticated" } else { "" };
    let cells = [entry.text.as_str(), &entry.note, entry.until.as_deref().unwrap_or_default(), sender];
    cells.map(cell).join(",")
}

/// How a formula begins, in full width too; and the apostrophe itself, so that [`read`] knows what was put there.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}', '\''];

/// A cell that begins like a formula gets an apostrophe before it, which [`read`] takes away again. A semicolon
/// parts cells where a comma parts decimals: it stands in quotes.
fn cell(text: &str) -> String {
    let formula = text.starts_with(FORMULA);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', ';', '\t', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// The list that a file holds, as a list file is written; or what is wrong, line by line.
pub(super) fn read(text: &str) -> Result<String, Vec<String>> {
    let records = records(text.strip_prefix('\u{feff}').unwrap_or(text)).map_err(|why| vec![why])?;
    let mut records = records.into_iter().filter(|(_, cells)| cells.iter().any(|cell| !cell.is_empty()));
    let Some((_, headings)) = records.next() else { return Ok(String::new()) };
    let at = |name: &str| headings.iter().position(|heading| heading.trim().eq_ignore_ascii_case(name));
    let Some(entry_at) = at("entry") else {
        return Err(vec![format!("line 1: there is no heading `entry`; the first line must be such as {HEADINGS}")]);
    };
    let known = ["entry", "note", "until", "sender"];
    let strange = headings.iter().find(|heading| !known.iter().any(|name| heading.trim().eq_ignore_ascii_case(name)));
    if let Some(strange) = strange {
        return Err(vec![format!("line 1: there is no heading {strange:?}; known are {}", known.join(", "))]);
    }
    let (note_at, until_at, sender_at) = (at("note"), at("until"), at("sender"));
    let (mut list, mut faults) = (String::new(), Vec::new());
    for (number, cells) in records {
        let cell = |at: Option<usize>| {
            let cell = at.and_then(|at| cells.get(at)).map_or("", |cell| cell.trim());
            cell.strip_prefix('\'').unwrap_or(cell).to_owned()
        };
        let sender = cell(sender_at);
        let entry = NewEntry {
            text: cell(Some(entry_at)),
            note: cell(note_at),
            until: Some(cell(until_at)).filter(|until| !until.is_empty()),
            authenticated_sender_only: sender == "authenticated",
            ..NewEntry::default()
        };
        let fault = match add("", std::slice::from_ref(&entry)) {
            _ if !sender.is_empty() && sender != "authenticated" => {
                Some(format!("{sender:?}: a sender is `authenticated` or empty"))
            }
            Ok(line) => {
                list.push_str(&line);
                None
            }
            Err(why) => Some(why),
        };
        faults.extend(fault.map(|why| format!("line {number}: {why}")));
        if faults.len() == FAULTS_MAX {
            faults.push("and perhaps more".to_owned());
            break;
        }
    }
    if faults.is_empty() { Ok(list) } else { Err(faults) }
}

/// Cells of each record, with the line it begins on. Spreadsheets of many languages write semicolons: the first line says.
fn records(text: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
    let headings = text.lines().next().unwrap_or_default();
    let separator = if headings.contains(';') && !headings.contains(',') { ';' } else { ',' };
    let (mut records, mut cells, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut begun, mut quoted) = (1, 1, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' if quoted => quoted = false,
            '"' if cell.is_empty() => quoted = true,
            c if c == separator && !quoted => cells.push(std::mem::take(&mut cell)),
            '\r' if !quoted && chars.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                cells.push(std::mem::take(&mut cell));
                records.push((begun, std::mem::take(&mut cells)));
                line += 1;
                begun = line;
            }
            c => {
                line += usize::from(c == '\n');
                cell.push(c);
            }
        }
    }
    if quoted {
        return Err(format!("line {begun}: a quotation mark is not closed"));
    }
    cells.push(cell);
    records.push((begun, cells));
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str, note: &str) -> EntryView {
        EntryView { text: text.into(), note: note.into(), until: None, authenticated_sender_only: false }
    }

    #[test]
    fn what_is_exported_is_no_formula_and_comes_back() {
        let entries = [
            entry("a.example", "=HYPERLINK(\"https://x\")"),
            entry("-b@c.example", "@SUM(1,2)"),
            entry("e.example", "ask Ann;2020-01-01;authenticated"),
            entry("\"a, b\"@c.example", "'quoted' \"twice\""),
            entry("d.example", "\u{ff1d}SUM(1)"),
            EntryView {
                until: Some("2026-12-31T00:00:00Z".into()),
                authenticated_sender_only: true,
                ..entry("*.d.example", "")
            },
        ];
        let lines: Vec<String> = entries.iter().map(line).collect();
        assert_eq!(lines[0], "a.example,\"'=HYPERLINK(\"\"https://x\"\")\",,");
        for cell in lines.iter().flat_map(|line| line.split(',')) {
            let plain = cell.trim_start_matches('"');
            assert!(!plain.starts_with(['=', '+', '-', '@', '\u{ff1d}']), "{cell}");
        }
        let text = read(&format!("{HEADINGS}\r\n{}\r\n", lines.join("\r\n"))).expect("read back");
        let written: Vec<_> =
            sealwire_core::list::written(&text).map(|e| (e.text.to_owned(), e.note.to_owned())).collect();
        let expected: Vec<_> = entries.iter().map(|e| (e.text.clone(), e.note.clone())).collect();
        assert_eq!(written, expected);
        assert!(text.contains("*.d.example until=2026-12-31T00:00:00Z sender=authenticated\n"), "{text}");
    }

    #[test]
    fn every_line_that_is_wrong_is_told() {
        let rows = [
            ("entry,note\na.example,x\n@,y\n\nb c,z\n", vec!["line 3: \"@\"", "line 5: \"b c\""]),
            ("name\na.example", vec!["line 1: there is no heading `entry`"]),
            ("entry,colour\na.example,red", vec!["line 1: there is no heading \"colour\""]),
            ("entry;until\na.example;soon", vec!["line 2: "]),
            ("entry,sender\na.example,anyone", vec!["line 2: \"anyone\""]),
            ("entry\n\"a.example", vec!["line 2: a quotation mark"]),
            ("entry,note\na.example,\"two\nlines\"", vec!["line 2: "]),
        ];
        for (text, expected) in rows {
            let faults = read(text).expect_err(text);
            assert_eq!(faults.len(), expected.len(), "{faults:?}");
            for (fault, expected) in faults.iter().zip(expected) {
                assert!(fault.starts_with(expected), "{fault}");
            }
        }
        // One separator in a file: the other is a character like any.
        for (text, expected) in [
            ("entry,note\na.example,b;2020-01-01\n", "a.example # b;2020-01-01\n"),
            ("entry;note\na.example;b,c\n", "a.example # b,c\n"),
        ] {
            assert_eq!(read(text).expect(text), expected);
        }
        assert_eq!(read("").expect("empty"), "");
        assert_eq!(read("\u{feff}Entry\nA.example\n").expect("a list"), "A.example\n");
    }
}
