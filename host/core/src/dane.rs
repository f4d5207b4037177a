//! DANE for SMTP (RFC 7672): what the TLSA records of a host demand of its channel.
//!
//! Records are looked up and certificates are matched elsewhere; here stands which records count ([`demand`]), and how one is
//! written. A demand joins a host's floor before that host is connected, and can only raise it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::floor::Demand;

/// One TLSA record (RFC 6698 §2.1). Text is that of a zone file: `3 1 1 2bb1...`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Tlsa {
    /// 2: the digest of an authority's certificate or key, DANE-TA. 3: of the server's own, DANE-EE. 0 and 1 are not for
    /// SMTP.
    pub usage: u8,
    /// 0: the whole certificate. 1: its public key (SubjectPublicKeyInfo).
    pub selector: u8,
    /// 0: as it is. 1: its SHA-256. 2: its SHA-512.
    pub matching: u8,
    /// What it must be.
    pub data: Vec<u8>,
}

/// DANE-TA: an authority of the domain's own.
pub const USAGE_TA: u8 = 2;
/// DANE-EE: the server's certificate, whatever name and dates it bears (RFC 7672 §3.1.1).
pub const USAGE_EE: u8 = 3;
/// Of the public key.
pub const SELECTOR_SPKI: u8 = 1;
/// The thing itself.
pub const MATCHING_FULL: u8 = 0;
/// SHA-256.
pub const MATCHING_SHA256: u8 = 1;
/// SHA-512.
pub const MATCHING_SHA512: u8 = 2;

impl Tlsa {
    /// Whether SMTP can use it: usages PKIX-TA and PKIX-EE cannot be (RFC 7672 §3.1.3), nor can a selector or digest that is
    /// unknown, nor a digest of the wrong length.
    pub fn is_usable(&self) -> bool {
        let whole = match self.matching {
            MATCHING_FULL => !self.data.is_empty(),
            MATCHING_SHA256 => self.data.len() == 32,
            MATCHING_SHA512 => self.data.len() == 64,
            _ => false,
        };
        matches!(self.usage, USAGE_TA | USAGE_EE) && self.selector <= SELECTOR_SPKI && whole
    }
}

/// What records that DNSSEC vouches for demand. None: there are none. All of them unusable: TLS, with any certificate
/// (RFC 7672 §2.2). Of digests of one usage and selector the strongest counts alone, so that a weaker one that is broken
/// one day proves nothing (RFC 7671 §9).
pub fn demand(records: Vec<Tlsa>) -> Option<Demand> {
    if records.is_empty() {
        return None;
    }
    let usable: Vec<Tlsa> = records.into_iter().filter(Tlsa::is_usable).collect();
    let outdone = |record: &Tlsa| {
        record.matching == MATCHING_SHA256
            && usable.iter().any(|other| {
                (other.usage, other.selector, other.matching) == (record.usage, record.selector, MATCHING_SHA512)
            })
    };
    let counting: BTreeSet<Tlsa> = usable.iter().filter(|record| !outdone(record)).cloned().collect();
    Some(if counting.is_empty() { Demand::Tls } else { Demand::Dane(counting) })
}

impl fmt::Display for Tlsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.usage, self.selector, self.matching)?;
        self.data.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl From<Tlsa> for String {
    fn from(record: Tlsa) -> String {
        record.to_string()
    }
}

/// A text that is no TLSA record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTlsa;

impl fmt::Display for NoTlsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a TLSA record is written `usage selector matching-type hexadecimal`, such as `3 1 1 2bb1...`")
    }
}

impl std::error::Error for NoTlsa {}

impl FromStr for Tlsa {
    type Err = NoTlsa;

    fn from_str(text: &str) -> Result<Tlsa, NoTlsa> {
        let mut words = text.split_ascii_whitespace();
        let mut number = || words.next().and_then(|word| word.parse().ok()).ok_or(NoTlsa);
        let (usage, selector, matching) = (number()?, number()?, number()?);
        // A zone file may break the data anywhere.
        let digits = words.collect::<String>();
        let octet = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
            pair.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u8::from_str_radix(pair, 16).ok())?
        };
        let data: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(octet).collect();
        Ok(Tlsa { usage, selector, matching, data: data.ok_or(NoTlsa)? })
    }
}

impl TryFrom<String> for Tlsa {
    type Error = NoTlsa;

    fn try_from(text: String) -> Result<Tlsa, NoTlsa> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(usage: u8, selector: u8, matching: u8, octets: usize) -> Tlsa {
        Tlsa { usage, selector, matching, data: vec![7; octets] }
    }

    #[test]
    fn which_records_count() {
        let dane = |records: &[Tlsa]| Some(Demand::Dane(records.iter().cloned().collect()));
        let (ee, ta, strong) = (record(3, 1, 1, 32), record(2, 0, 1, 32), record(3, 1, 2, 64));
        let rows: [(&[Tlsa], Option<Demand>); 14] = [
            (&[], None),
            (std::slice::from_ref(&ee), dane(std::slice::from_ref(&ee))),
            (std::slice::from_ref(&ta), dane(std::slice::from_ref(&ta))),
            (&[ta.clone(), ee.clone()], dane(&[ee.clone(), ta.clone()])),
            (&[record(3, 0, 0, 900)], dane(&[record(3, 0, 0, 900)])),
            // PKIX-TA and PKIX-EE, unknown usages, selectors, matching types; digests that are none.
            (&[record(0, 0, 1, 32), record(1, 1, 1, 32)], Some(Demand::Tls)),
            (&[record(4, 1, 1, 32)], Some(Demand::Tls)),
            (&[record(3, 2, 1, 32)], Some(Demand::Tls)),
            (&[record(3, 1, 3, 32)], Some(Demand::Tls)),
            (&[record(3, 1, 1, 31)], Some(Demand::Tls)),
            (&[record(3, 1, 2, 32)], Some(Demand::Tls)),
            (&[record(3, 1, 0, 0)], Some(Demand::Tls)),
            // One that is usable is enough, and the others do not count.
            (&[record(1, 1, 1, 32), ee.clone()], dane(std::slice::from_ref(&ee))),
            // The strongest digest; another selector and another usage stand beside it.
            (&[ee.clone(), strong.clone(), ta.clone()], dane(&[strong.clone(), ta.clone()])),
        ];
        for (records, expected) in rows {
            assert_eq!(demand(records.to_vec()), expected, "{records:?}");
        }
    }

    #[test]
    fn a_record_is_read_as_it_is_written() {
        for record in [record(3, 1, 1, 32), record(255, 0, 9, 1), record(2, 0, 0, 0)] {
            assert_eq!(record.to_string().parse(), Ok(record.clone()), "{record}");
        }
        let broken = "3 1 1 0A0b 0c\t0D".parse::<Tlsa>().expect("data may be broken");
        assert_eq!(broken.data, [10, 11, 12, 13]);
        for text in ["", "3", "3 1 1 0", "3 1 1 0g", "256 1 1 00", "-1 1 1 00", "3 1 1 +1", "3 1 1 \u{fc}"] {
            assert_eq!(text.parse::<Tlsa>(), Err(NoTlsa), "{text:?}");
        }
    }
}
