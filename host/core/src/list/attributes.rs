//! What holds for one entry: until when it lists, and for which senders.

use std::fmt;
use std::iter::Peekable;

use crate::time;

/// What stands behind an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Seconds since the Unix epoch: from then on it lists nobody. Written `until=2026-12-31`, to the end of that day (UTC), or
    /// `until=2026-12-31T18:00:00Z`.
    pub until: Option<u64>,
    /// For policies that loosen: only an authenticated sender counts. A rule that demands TLS matches whatever this says.
    /// Written `sender=authenticated`.
    pub authenticated_sender_only: bool,
}

impl Attributes {
    /// Nothing stands behind it.
    pub const NONE: Attributes = Attributes { until: None, authenticated_sender_only: false };

    /// Reads those that come next. Of a fault: the word, and how to mend it.
    pub(super) fn behind<'a>(
        tokens: &mut Peekable<impl Iterator<Item = &'a str>>,
    ) -> Result<Attributes, (&'a str, &'static str)> {
        let mut attributes = Attributes::NONE;
        let mut fault = Ok(());
        while let Some(token) = tokens.next_if(|token| is_attribute(token)) {
            // All of them are taken, lest the next one be told to stand behind no entry.
            fault = fault.and_then(|()| attributes.read(token).map_err(|why| (token, why)));
        }
        fault.map(|()| attributes)
    }

    fn read(&mut self, token: &str) -> Result<(), &'static str> {
        match token.split_once('=') {
            Some(("until", end)) => {
                let wrong = "is no end; write until=2026-12-31, or until=2026-12-31T18:00:00Z";
                self.until = Some(time::parse_end(end).map_err(|_| wrong)?);
                Ok(())
            }
            Some(("sender", "authenticated")) => {
                self.authenticated_sender_only = true;
                Ok(())
            }
            Some(("sender", _)) => Err("there is only `sender=authenticated`"),
            _ => Err("there is no such word; behind an entry stand until=2026-12-31 and sender=authenticated"),
        }
    }

    /// Lists whom either of them lists.
    pub(super) fn wider(self, other: Attributes) -> Attributes {
        Attributes {
            until: self.until.zip(other.until).map(|(one, two)| one.max(two)),
            authenticated_sender_only: self.authenticated_sender_only && other.authenticated_sender_only,
        }
    }
}

/// No address and no domain looks so.
pub(super) fn is_attribute(token: &str) -> bool {
    token.contains('=') && !token.contains('@')
}

/// As written, each with a blank before it.
impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(until) = self.until {
            write!(f, " until={}", time::rfc3339(until))?;
        }
        f.write_str(if self.authenticated_sender_only { " sender=authenticated" } else { "" })
    }
}
