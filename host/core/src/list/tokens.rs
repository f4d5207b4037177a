//! Splits the text of a list into lines and entries. Knows nothing of addresses but that a quoted local part may
//! hold what separates entries elsewhere.

/// Lines ended by LF, CR LF or CR, so that a comment never swallows the next line of an old file.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// The entries of one line. A `#` inside an entry belongs to it: it is a lawful octet of a local part.
pub(super) fn entries(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(is_separator);
        if rest.is_empty() || rest.starts_with('#') {
            return None;
        }
        let quoted = quoted_len(rest);
        let end = rest[quoted..].find(is_separator).map_or(rest.len(), |at| quoted + at);
        let entry = &rest[..end];
        rest = &rest[end..];
        Some(entry)
    })
}

/// The comment of one line, without its sign and the blanks around it; empty where there is none.
pub(super) fn comment(line: &str) -> &str {
    let end = entries(line).last().map_or(0, |last| last.as_ptr() as usize - line.as_ptr() as usize + last.len());
    line[end..].trim_start_matches(is_separator).strip_prefix('#').map_or("", str::trim)
}

fn is_separator(c: char) -> bool {
    c == ',' || c.is_whitespace()
}

/// Octets of the quoted string this text begins with; 0 where it begins with none or the quote is not closed.
fn quoted_len(text: &str) -> usize {
    let Some(inner) = text.strip_prefix('"') else { return 0 };
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 2,
            _ => {}
        }
    }
    0
}
