//! Strangers' text, where people read it: on a terminal, in a log line, on a page. Text is kept as it came, and made harmless at
//! each outlet, by the one function that is there for it.

/// The text with what would end the line, speak to a terminal, or turn the direction of writing, written out: `\n`,
/// `\u{1b}`, `\u{202e}`.
pub fn visible(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match speaks(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
        out
    })
}

/// JSON that says the same and can be shown: what [`visible`] writes out, and JSON leaves as it is, becomes an escape of JSON
/// (RFC 8259 section 7). Line ends between the tokens stay.
pub fn visible_json(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut out, c| {
        match speaks(c) && c != '\n' {
            // None of them is beyond the basic plane, so that four digits are enough.
            true => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => out.push(c),
        }
        out
    })
}

/// Whether a character does something where it is shown, rather than to be seen.
pub fn speaks(c: char) -> bool {
    c.is_control() || turns(c)
}

/// Line and paragraph separators, and the marks of UAX #9 that change the order in which what follows is shown.
fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_speaks_to_the_terminal() {
        let rows = [
            ("plain, bücher, \u{1f4e7} and \\", "plain, bücher, \u{1f4e7} and \\"),
            ("a\r\nb\tc\0\u{7}", r"a\r\nb\tc\u{0}\u{7}"),
            ("\u{1b}[2J\u{7f}\u{9b}31m", r"\u{1b}[2J\u{7f}\u{9b}31m"),
            ("\u{202e}gnp.exe\u{2028}\u{2066}", r"\u{202e}gnp.exe\u{2028}\u{2066}"),
        ];
        for (text, expected) in rows {
            assert_eq!(visible(text), expected);
            assert_eq!(visible(expected), expected, "what is visible stays as it is");
        }
    }

    #[test]
    fn json_that_can_be_shown_says_the_same() {
        let text = "a\"\r\n\u{1b}[2J\u{7f}\u{9b}31m\u{61c}\u{202e}\u{2028}\u{2069}bücher \u{1f4e7}";
        let value = serde_json::json!({ text: [text, { "inner": text }] });
        for json in [value.to_string(), serde_json::to_string_pretty(&value).expect("JSON")] {
            let shown = visible_json(&json);
            assert!(!shown.chars().any(|c| speaks(c) && c != '\n'), "{shown}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("JSON still"), value);
            assert_eq!(shown.lines().count(), json.lines().count());
        }
    }
}
