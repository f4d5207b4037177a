//! What protection a destination's hosts have given, and whether one gives less than it did: for mail that demands nothing too.
//!
//! A host that had TLS with a good certificate and has it no longer has been changed by its owner, or somebody stands in between
//! and takes STARTTLS out of its answers. Nobody can tell which from here; an operator can ask.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::{ChainVerdict, Handshake};

/// Hosts of one destination that are remembered.
const HOSTS_MAX: usize = 20;
/// What was not seen for so long says nothing about today, seconds.
const FORGET_SECS: u64 = 90 * 86_400;
/// A host that stays worse is told of once a day, seconds.
const TELL_AGAIN_SECS: u64 = 86_400;
/// A good sighting is written down again after so long, seconds.
const NOTE_AGAIN_SECS: u64 = 86_400;

/// What a host's channel gave, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// Clear text.
    Clear,
    /// TLS, with a certificate that proves nothing.
    Tls,
    /// TLS with a certificate that a CA has signed and that names the host, or that its TLSA records name.
    Verified,
}

/// The hosts of one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Destination {
    /// By name.
    pub hosts: BTreeMap<String, HostSeen>,
}

/// What one host gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct HostSeen {
    /// The best of it, as far as it is remembered.
    pub best: Protection,
    /// When that was seen last; seconds since the Unix epoch.
    pub best_at: u64,
    /// Since when it gives less; None: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub less: Option<Less>,
}

/// What a host gives that gave more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Less {
    /// Now.
    pub protection: Protection,
    /// Since when; seconds since the Unix epoch.
    pub since: u64,
    /// When somebody was told last; seconds since the Unix epoch.
    pub told_at: u64,
}

/// What follows from one look at a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// There is something to write down.
    pub changed: bool,
    /// In words: what was lost, where it is time to tell.
    pub lost: Option<String>,
}

impl Protection {
    /// Of a channel; None: in clear.
    pub fn of(handshake: Option<&Handshake>) -> Protection {
        match handshake {
            None => Protection::Clear,
            Some(h) if h.dane.is_some() || (h.chain == ChainVerdict::Trusted && h.name_matches) => Protection::Verified,
            Some(_) => Protection::Tls,
        }
    }
}

impl Destination {
    /// Notes what `host` gave at `now`, seconds since the Unix epoch.
    pub fn note(&mut self, host: &str, protection: Protection, now: u64) -> Noted {
        let before = self.hosts.len();
        self.hosts.retain(|_, seen| now.saturating_sub(seen.best_at) < FORGET_SECS);
        let forgotten = self.hosts.len() != before;
        let noted = if let Some(seen) = self.hosts.get_mut(host) {
            seen.note(host, protection, now)
        } else {
            self.note_new(host, protection, now)
        };
        Noted { changed: noted.changed || forgotten, ..noted }
    }

    /// A host that was never seen is held to what all the others gave: it may be none of theirs.
    fn note_new(&mut self, host: &str, protection: Protection, now: u64) -> Noted {
        let expected = self.hosts.values().map(|seen| seen.best).min().unwrap_or(protection);
        if self.hosts.len() >= HOSTS_MAX {
            let oldest = self.hosts.iter().min_by_key(|(_, seen)| seen.best_at).map(|(host, _)| host.clone());
            oldest.map(|host| self.hosts.remove(&host));
        }
        let mut seen = HostSeen { best: protection.max(expected), best_at: now, less: None };
        let lost = (protection < expected).then(|| {
            seen.less = Some(Less { protection, since: now, told_at: now });
            format!("{host}, which was not seen before, gives {protection}; its other hosts gave {expected}")
        });
        self.hosts.insert(host.to_owned(), seen);
        Noted { changed: true, lost }
    }

    /// Nothing that was seen says anything about `now` any more.
    pub fn is_forgotten(&self, now: u64) -> bool {
        self.hosts.values().all(|seen| now.saturating_sub(seen.best_at) >= FORGET_SECS)
    }

    /// Hosts that give less than they did.
    pub fn lessened(&self) -> impl Iterator<Item = (&String, &HostSeen)> {
        self.hosts.iter().filter(|(_, seen)| seen.less.is_some())
    }

    /// What they give now is what is expected of them from now on.
    pub fn accept(&mut self, now: u64) {
        for seen in self.hosts.values_mut() {
            if let Some(less) = seen.less.take() {
                (seen.best, seen.best_at) = (less.protection, now);
            }
        }
    }
}

impl HostSeen {
    fn note(&mut self, host: &str, protection: Protection, now: u64) -> Noted {
        if protection >= self.best {
            // A clock that was set back is no reason not to write.
            let stale = now.abs_diff(self.best_at) >= NOTE_AGAIN_SECS;
            let changed = protection > self.best || self.less.is_some() || stale;
            if changed {
                *self = HostSeen { best: protection, best_at: now, less: None };
            }
            return Noted { changed, lost: None };
        }
        let before = self.less.clone();
        let since = before.as_ref().map_or(now, |less| less.since);
        let worse = before.as_ref().is_none_or(|less| protection < less.protection);
        let told_at = before.as_ref().map_or(now, |less| less.told_at);
        let tell = worse || now.abs_diff(told_at) >= TELL_AGAIN_SECS;
        let less = Less { protection, since, told_at: if tell { now } else { told_at } };
        let changed = before.as_ref() != Some(&less);
        self.less = Some(less);
        let lost = tell.then(|| {
            let days = now.saturating_sub(self.best_at) / 86_400;
            let when = match days {
                0 => "within the last day".to_owned(),
                1 => "a day ago".to_owned(),
                days => format!("{days} days ago"),
            };
            format!("{host} gives {protection}; it gave {} {when}", self.best)
        });
        Noted { changed, lost }
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protection::Clear => "no TLS",
            Protection::Tls => "TLS with a certificate that proves nothing",
            Protection::Verified => "TLS with a good certificate",
        })
    }
}

#[cfg(test)]
mod tests {
    use Protection::{Clear, Tls, Verified};

    use super::*;

    const DAY: u64 = 86_400;
    const NOW: u64 = 20_000 * DAY;

    #[test]
    fn what_a_host_gave_and_gives_no_longer_is_told_once_a_day() {
        // (days and seconds later, host, what it gives, whether it is told)
        let courses: [&[(u64, &str, Protection, bool)]; 9] = [
            &[(0, "a", Verified, false), (60, "a", Verified, false), (DAY, "a", Clear, true)],
            &[(0, "a", Verified, false), (1, "a", Tls, true), (2, "a", Clear, true), (3, "a", Tls, false)],
            &[(0, "a", Verified, false), (1, "a", Clear, true), (2, "a", Clear, false), (DAY + 1, "a", Clear, true)],
            // Back again, and lost again.
            &[(0, "a", Verified, false), (1, "a", Clear, true), (2, "a", Verified, false), (3, "a", Clear, true)],
            // Never had more.
            &[(0, "a", Clear, false), (1, "a", Clear, false), (2, "a", Tls, false), (3, "a", Clear, true)],
            // Another host, of which nothing is known: held to what all the others gave.
            &[(0, "a", Verified, false), (1, "b", Clear, true), (2, "b", Clear, false)],
            &[(0, "a", Verified, false), (1, "b", Tls, true), (2, "b", Verified, false)],
            &[(0, "a", Clear, false), (1, "b", Verified, false), (2, "c", Clear, false)],
            // Too long ago.
            &[(0, "a", Verified, false), (FORGET_SECS, "a", Clear, false)],
        ];
        for course in courses {
            let mut destination = Destination::default();
            for (later, host, protection, told) in course {
                let noted = destination.note(host, *protection, NOW + later);
                assert_eq!(noted.lost.is_some(), *told, "{later} {host} {protection} of {course:?}: {noted:?}");
                assert!(noted.changed || noted.lost.is_none(), "what was told is written down");
            }
        }
    }

    #[test]
    fn it_is_told_in_words() {
        let mut destination = Destination::default();
        destination.note("mx.d.example", Verified, NOW);
        let noted = destination.note("mx.d.example", Clear, NOW + 3 * DAY);
        let expected = "mx.d.example gives no TLS; it gave TLS with a good certificate 3 days ago";
        assert_eq!(noted.lost.as_deref(), Some(expected));
        let noted = destination.note("other.example", Tls, NOW + 3 * DAY);
        let expected = "other.example, which was not seen before, gives TLS with a certificate that proves nothing; its \
                        other hosts gave TLS with a good certificate";
        assert_eq!(noted.lost.as_deref(), Some(expected));
        assert_eq!(destination.lessened().count(), 2);
        destination.accept(NOW + 4 * DAY);
        assert_eq!(destination.lessened().count(), 0);
        assert_eq!(destination.note("mx.d.example", Clear, NOW + 5 * DAY).lost, None, "it is expected now");
    }

    #[test]
    fn little_is_written_and_little_is_kept() {
        let mut destination = Destination::default();
        assert!(destination.note("a", Verified, NOW).changed);
        assert!(!destination.note("a", Verified, NOW + DAY - 1).changed);
        assert!(destination.note("a", Verified, NOW + DAY).changed);
        for number in 0..100 {
            destination.note(&format!("host{number}"), Verified, NOW + DAY + number);
        }
        assert_eq!(destination.hosts.len(), HOSTS_MAX);
        let kept = serde_json::to_string(&destination).expect("JSON");
        assert_eq!(serde_json::from_str::<Destination>(&kept).expect("the same"), destination);
    }
}
