//! What a peer offers in its answer to EHLO (RFC 5321 §4.1.1.1). Heard anew on every channel, never remembered.

/// The extensions offered last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions(Vec<String>);

impl Extensions {
    /// From the text of the answer, whose first line is the peer's name.
    pub(super) fn of_answer(text: &str) -> Extensions {
        let lines = text.split('\n').skip(1).map(str::trim).filter(|line| !line.is_empty());
        Extensions(lines.map(upper_keyword).collect())
    }

    /// Keywords in capitals, each with its parameters as written.
    pub fn lines(&self) -> &[String] {
        &self.0
    }

    /// RFC 3207.
    pub fn starttls(&self) -> bool {
        self.has("STARTTLS")
    }

    /// RFC 2920.
    pub fn pipelining(&self) -> bool {
        self.has("PIPELINING")
    }

    /// RFC 6152.
    pub fn eight_bit_mime(&self) -> bool {
        self.has("8BITMIME")
    }

    /// RFC 8689; counts inside TLS only.
    pub fn requiretls(&self) -> bool {
        self.has("REQUIRETLS")
    }

    /// RFC 6531.
    pub fn smtputf8(&self) -> bool {
        self.has("SMTPUTF8")
    }

    /// RFC 3030.
    pub fn chunking(&self) -> bool {
        self.has("CHUNKING")
    }

    /// RFC 3461.
    pub fn dsn(&self) -> bool {
        self.has("DSN")
    }

    /// RFC 1870: SIZE is offered.
    pub fn size(&self) -> bool {
        self.has("SIZE")
    }

    /// RFC 1870 §4: octets of the largest message taken; None where none is said, or 0, which says none.
    pub fn size_max(&self) -> Option<u64> {
        self.parameters("SIZE")?.trim().parse().ok().filter(|&size| size > 0)
    }

    /// RFC 4954 §3: mechanisms of AUTH in capitals; None: AUTH is not offered. Inside TLS alone it is of use.
    pub fn auth(&self) -> Option<Vec<String>> {
        let mechanisms = self.parameters("AUTH")?.split_whitespace();
        Some(mechanisms.map(str::to_ascii_uppercase).collect())
    }

    fn has(&self, keyword: &str) -> bool {
        self.parameters(keyword).is_some()
    }

    fn parameters(&self, keyword: &str) -> Option<&str> {
        self.0.iter().find_map(|line| {
            let (word, parameters) = line.split_once(' ').unwrap_or((line, ""));
            (word == keyword).then_some(parameters)
        })
    }
}

fn upper_keyword(line: &str) -> String {
    match line.split_once(' ') {
        Some((keyword, parameters)) => format!("{} {parameters}", keyword.to_ascii_uppercase()),
        None => line.to_ascii_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_read_in_any_case_and_sizes_only_as_numbers() {
        let rows = [
            ("mx\nSIZE 1000\nStartTLS", true, true, Some(1000)),
            ("mx\nsize\nXSTARTTLS", false, true, None),
            ("mx\nSIZE 0", false, true, None),
            ("mx\nSIZE lots\nSTARTTLS now", true, true, None),
            ("STARTTLS\nPIPELINING", false, false, None),
            ("mx", false, false, None),
        ];
        for (text, starttls, size, size_max) in rows {
            let offered = Extensions::of_answer(text);
            assert_eq!(
                (offered.starttls(), offered.size(), offered.size_max()),
                (starttls, size, size_max),
                "{text:?}"
            );
        }
    }
}
