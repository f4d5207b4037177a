//! What the peer owes, and how long it may take: one table (RFC 5321 §4.5.3.2).

/// What the session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Awaiting {
    /// Nothing: it is the caller's turn.
    Nothing,
    /// The 220 of a new connection.
    Greeting,
    /// The answer to EHLO or HELO.
    Ehlo,
    /// The answer to STARTTLS, or the handshake behind it.
    StartTls,
    /// The next answer in a login (RFC 4954).
    Auth,
    /// The answer to MAIL.
    Mail,
    /// The answer to RCPT.
    Rcpt,
    /// The 354 to DATA.
    DataStart,
    /// Room to send the next block of content.
    DataBlock,
    /// The answer to the end of the data.
    DataEnd,
    /// The answer to RSET.
    Reset,
    /// The answer to QUIT.
    Quit,
}

impl Awaiting {
    /// Seconds to wait before the connection is given up.
    pub fn timeout_secs(self) -> u64 {
        match self {
            // Nobody says how long to wait for nothing; an idle connection is closed long before.
            Awaiting::Nothing => 300,
            Awaiting::Greeting => 300,  // RFC 5321 §4.5.3.2.1
            Awaiting::Mail => 300,      // §4.5.3.2.2
            Awaiting::Rcpt => 300,      // §4.5.3.2.3
            Awaiting::DataStart => 120, // §4.5.3.2.4
            Awaiting::DataBlock => 180, // §4.5.3.2.5
            // §4.5.3.2.6: a shorter wait makes duplicates.
            Awaiting::DataEnd => 600,
            // Not in the table of RFC 5321: as MAIL, which a server can answer no faster.
            Awaiting::Ehlo | Awaiting::Auth | Awaiting::Reset => 300,
            // A server has all it needs for a handshake at hand.
            Awaiting::StartTls => 120,
            // The message is settled; waiting is a courtesy.
            Awaiting::Quit => 5,
        }
    }

    /// In words, to stand behind "while waiting for" in a report.
    pub fn as_str(self) -> &'static str {
        match self {
            Awaiting::Nothing => "nothing",
            Awaiting::Greeting => "the greeting",
            Awaiting::Ehlo => "the answer to EHLO",
            Awaiting::StartTls => "STARTTLS",
            Awaiting::Auth => "the answer to AUTH",
            Awaiting::Mail => "the answer to MAIL",
            Awaiting::Rcpt => "the answer to RCPT",
            Awaiting::DataStart => "the answer to DATA",
            Awaiting::DataBlock => "room for content",
            Awaiting::DataEnd => "the answer to the end of the data",
            Awaiting::Reset => "the answer to RSET",
            Awaiting::Quit => "the answer to QUIT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5321 §4.5.3.2 in minutes, none shorter: who gives up sooner makes duplicates, or takes a slow host for a dead one.
    #[test]
    fn no_patience_is_shorter_than_the_standards() {
        let rows = [
            (Awaiting::Greeting, 5),
            (Awaiting::Mail, 5),
            (Awaiting::Rcpt, 5),
            (Awaiting::DataStart, 2),
            (Awaiting::DataBlock, 3),
            (Awaiting::DataEnd, 10),
        ];
        for (awaiting, minutes) in rows {
            assert!(awaiting.timeout_secs() >= minutes * 60, "{awaiting:?}");
        }
    }
}
