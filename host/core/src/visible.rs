//! Strangers' text, where people read it: on a terminal, in a log line, on a page.

/// The text with what would end the line, speak to a terminal, or turn the direction of writing, written out: `\n`,
/// `\u{1b}`, `\u{202e}`.
pub fn visible(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c.is_control() || turns(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
        out
    })
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
            ("a\r\nb\tc", r"a\r\nb\tc"),
            ("\u{1b}[2J\u{7f}\u{9b}31m", r"\u{1b}[2J\u{7f}\u{9b}31m"),
            ("\u{202e}gnp.exe\u{2028}\u{2066}", r"\u{202e}gnp.exe\u{2028}\u{2066}"),
        ];
        for (text, expected) in rows {
            assert_eq!(visible(text), expected);
        }
    }
}
