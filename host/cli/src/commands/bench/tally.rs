//! What came: every message by its number, whole or not, over TLS or not.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::letter::{Checksum, Claim};

/// Numbers above this are not ours: a header that was damaged must not make the sink ask for a mountain of memory.
const NUMBERS_MAX: u64 = 100_000_000;

/// The counts so far.
#[derive(Default)]
pub(super) struct Tally {
    /// How often each number came.
    seen: Vec<u8>,
    messages: u64,
    damaged: u64,
    strange: u64,
    over_tls: u64,
    first_at_ms: Option<u64>,
    last_at_ms: Option<u64>,
}

/// What is reported.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Account {
    /// All that came, whatever it was.
    pub(super) messages: u64,
    /// Different ones that came whole.
    pub(super) distinct: u64,
    /// Expected, and not among those.
    pub(super) lost: u64,
    /// Came again, whole.
    pub(super) doubled: u64,
    /// The body is not the one that was sent. Such a message does not count as arrived.
    pub(super) damaged: u64,
    /// Not of the bench, or of a number that was not expected.
    pub(super) strange: u64,
    pub(super) over_tls: u64,
    pub(super) in_clear: u64,
    /// Milliseconds since 1970.
    pub(super) first_at_ms: Option<u64>,
    pub(super) last_at_ms: Option<u64>,
}

impl Tally {
    /// One message, with what its header says and the sum of the body it had.
    pub(super) fn count(&mut self, claim: Option<&Claim>, body: Checksum, over_tls: bool) {
        self.messages += 1;
        self.over_tls += u64::from(over_tls);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_at_ms = u64::try_from(now.as_millis()).ok();
        self.first_at_ms = self.first_at_ms.or(self.last_at_ms);
        match claim {
            None => self.strange += 1,
            Some(claim) if !claim.holds(body) => self.damaged += 1,
            Some(claim) if claim.number >= NUMBERS_MAX => self.strange += 1,
            Some(claim) => {
                let at = usize::try_from(claim.number).unwrap_or(usize::MAX);
                if self.seen.len() <= at {
                    self.seen.resize(at + 1, 0);
                }
                self.seen[at] = self.seen[at].saturating_add(1);
            }
        }
    }

    /// The account, if so many were sent, numbered from 0. Without a number, as many as the highest says.
    pub(super) fn account(&self, expected: Option<u64>) -> Account {
        let highest = self.seen.len() as u64;
        let expected = expected.unwrap_or(highest);
        let ours = &self.seen[..usize::try_from(expected.min(highest)).unwrap_or(self.seen.len())];
        let distinct = ours.iter().filter(|times| **times > 0).count() as u64;
        let whole: u64 = ours.iter().map(|times| u64::from(*times)).sum();
        let beyond: u64 = self.seen[ours.len()..].iter().map(|times| u64::from(*times)).sum();
        Account {
            messages: self.messages,
            distinct,
            lost: expected - distinct,
            doubled: whole - distinct,
            damaged: self.damaged,
            strange: self.strange + beyond,
            over_tls: self.over_tls,
            in_clear: self.messages - self.over_tls,
            first_at_ms: self.first_at_ms,
            last_at_ms: self.last_at_ms,
        }
    }
}

impl Account {
    /// Nothing lost, doubled, damaged or strange, and nothing in clear where TLS was offered.
    pub(super) fn is_clean(&self, tls_offered: bool) -> bool {
        let faults = self.lost + self.doubled + self.damaged + self.strange;
        faults == 0 && !(tls_offered && self.in_clear > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(number: u64) -> (Claim, Checksum) {
        let mut body = Checksum::default();
        body.add(&number.to_be_bytes());
        let header = format!("X-Sealwire-Bench: {number:010} {}\r\n", body.digits());
        (Claim::read(header.as_bytes()).expect("a claim"), body)
    }

    #[test]
    fn every_fault_is_counted_and_none_is_clean() {
        // Numbers that came whole, numbers that came damaged, how many in clear; then lost, doubled, damaged, strange.
        type Case<'a> = (&'a [u64], &'a [u64], u64, [u64; 4]);
        let cases: [Case<'_>; 6] = [
            (&[0, 1, 2], &[], 0, [0, 0, 0, 0]),
            (&[0, 2], &[], 0, [1, 0, 0, 0]),
            (&[0, 1, 1, 2, 2, 2], &[], 0, [0, 3, 0, 0]),
            (&[0, 1], &[2], 0, [1, 0, 1, 0]),
            (&[0, 1, 2, 3], &[], 0, [0, 0, 0, 1]),
            (&[0, 1, 2], &[], 1, [0, 0, 0, 0]),
        ];
        for (whole, damaged, in_clear, expected) in cases {
            let mut tally = Tally::default();
            for (at, number) in whole.iter().enumerate() {
                let (claim, body) = claim(*number);
                tally.count(Some(&claim), body, at as u64 >= in_clear);
            }
            for number in damaged {
                tally.count(Some(&claim(*number).0), Checksum::default(), true);
            }
            let account = tally.account(Some(3));
            assert_eq!([account.lost, account.doubled, account.damaged, account.strange], expected);
            assert_eq!(account.in_clear, in_clear);
            assert_eq!(account.is_clean(true), expected == [0; 4] && in_clear == 0, "{account:?}");
        }
    }
}
