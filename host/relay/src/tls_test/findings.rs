//! What a test's facts come to: findings with a level, and the worst of them as a state that a monitor can act on.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AddressTested, HostTested, TlsTest};

/// A certificate that ends within so many days is told of.
const EXPIRY_DAYS: u64 = 14;
const DAY: u64 = 86_400;

/// How a destination does, best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Mail leaves as it is demanded now.
    #[default]
    Ok,
    /// It leaves, and something is wrong or will be.
    Warning,
    /// No host could be asked: nothing is known.
    Unknown,
    /// No host will do: mail does not leave.
    Critical,
}

impl State {
    /// The exit status that monitoring plugins agree on.
    pub fn exit_status(self) -> u8 {
        match self {
            State::Ok => 0,
            State::Warning => 1,
            State::Critical => 2,
            State::Unknown => 3,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Unknown => "unknown",
            State::Critical => "critical",
        })
    }
}

/// One thing that is wrong, or will be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// How bad it is.
    pub state: State,
    /// In words.
    pub text: String,
}

impl TlsTest {
    /// Judges what was found; `now` in seconds since the Unix epoch.
    pub(crate) fn judged(mut self, now: u64) -> TlsTest {
        let mut findings = Vec::new();
        let mut find = |state, text: String| findings.push(Finding { state, text });
        if let Some(trouble) = &self.trouble {
            find(State::Unknown, trouble.clone());
        }
        let addresses = || self.hosts.iter().flat_map(|host| &host.addresses);
        let asked =
            addresses().any(|address| address.trouble.is_none()) || self.hosts.iter().any(HostTested::is_barred);
        let leaves = addresses().any(AddressTested::takes_mail);
        if !self.hosts.is_empty() && !asked {
            find(State::Unknown, "no host could be asked".to_owned());
        }
        if asked && !leaves {
            find(State::Critical, "no host gives what is demanded now: mail does not leave".to_owned());
        }
        for host in &self.hosts {
            host.find(now, &mut find);
        }
        if let Some(sts) = self.mta_sts.as_ref().filter(|sts| sts.id.is_none()) {
            find(State::Warning, format!("the MTA-STS policy of {} is not to be had: {}", sts.domain, sts.mode));
        }
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.state));
        findings.dedup();
        self.state = findings.first().map_or(State::Ok, |worst| worst.state);
        self.findings = findings;
        self
    }
}

impl HostTested {
    fn is_barred(&self) -> bool {
        self.trouble.is_none() && self.addresses.is_empty()
    }

    fn find(&self, now: u64, find: &mut impl FnMut(State, String)) {
        let host = &self.host;
        match &self.trouble {
            Some(trouble) if self.addresses.is_empty() => {
                find(State::Warning, format!("{host} could not be asked: {trouble}"));
            }
            Some(trouble) => find(State::Warning, format!("{host}: {trouble}")),
            None => {}
        }
        if self.listed == Some(false) {
            find(State::Warning, format!("{host} is not listed in the MTA-STS policy"));
        }
        if self.tlsa.iter().any(|record| record == "unusable") {
            find(State::Warning, format!("{host} has TLSA records, and none that can be used"));
        }
        for address in &self.addresses {
            if let Some(trouble) = &address.trouble {
                find(State::Warning, format!("{host} ({}) could not be asked: {trouble}", address.address));
            } else if address.channel != "secured" {
                find(State::Warning, format!("{host} ({}) gives no TLS: {}", address.address, address.channel));
            }
            for unmet in &address.unmet {
                find(State::Warning, format!("{host} ({}) does not give {unmet}", address.address));
            }
            let Some(tls) = &address.tls else { continue };
            match tls.revocation.as_str() {
                "revoked" => find(State::Warning, format!("the certificate of {host} was withdrawn by its issuer")),
                "stale" => {
                    let issuer = &tls.issuer;
                    find(
                        State::Warning,
                        format!("the revocation list of {issuer}, who issued {host}'s, is out of date here"),
                    );
                }
                _ => {}
            }
            match tls.not_after.checked_sub(now) {
                None => find(State::Warning, format!("the certificate of {host} has expired")),
                Some(left) if left < EXPIRY_DAYS * DAY => {
                    let days = left / DAY;
                    find(State::Warning, format!("the certificate of {host} ends in {days} days"));
                }
                Some(_) => {}
            }
        }
    }
}

impl AddressTested {
    fn takes_mail(&self) -> bool {
        self.trouble.is_none() && self.unmet.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::TlsTested;
    use super::*;

    const NOW: u64 = 1_000 * DAY;

    fn address(words: &str) -> AddressTested {
        let days = |days: u64| NOW + days * DAY;
        let not_after = match words {
            "soon" => days(13),
            "expired" => NOW - 1,
            _ => days(14),
        };
        let tls = TlsTested {
            version: "TLSv1.3".into(),
            cipher_suite: String::new(),
            key_exchange: String::new(),
            chain: "trusted".into(),
            name_matches: true,
            names: Vec::new(),
            issuer: String::new(),
            not_after,
            sha256: String::new(),
            dane: None,
            revocation: if matches!(words, "revoked" | "stale") { words } else { "unknown" }.into(),
        };
        AddressTested {
            address: "192.0.2.1:25".into(),
            trouble: (words == "silent").then(|| "it is silent".to_owned()),
            channel: if matches!(words, "clear" | "unmet") { "not-offered" } else { "secured" }.into(),
            detail: String::new(),
            tls: (!matches!(words, "clear" | "unmet" | "silent")).then_some(tls),
            versions: Vec::new(),
            requiretls: false,
            extensions: Vec::new(),
            unmet: if words == "unmet" { vec!["TLS, by rule R2".into()] } else { Vec::new() },
            would: Vec::new(),
            took_ms: 1,
        }
    }

    /// Hosts by the words of their one address; `unlisted` and `lost` were not connected.
    fn state(hosts: &[&str]) -> State {
        let host = |words: &&str| HostTested {
            host: "mx.test".into(),
            listed: (*words == "unlisted").then_some(false),
            proven: false,
            tlsa: Vec::new(),
            trouble: (*words == "lost").then(|| "it has no address".to_owned()),
            addresses: if matches!(*words, "unlisted" | "lost") { Vec::new() } else { vec![address(words)] },
        };
        let test = TlsTest {
            settings: Default::default(),
            recipient: "postmaster@d.test".into(),
            route: "mx".into(),
            route_kind: "mx".into(),
            demands: Vec::new(),
            reasons: Vec::new(),
            mta_sts: None,
            hosts_proven: None,
            trouble: hosts.is_empty().then(|| "the domain does not exist".to_owned()),
            hosts: hosts.iter().map(host).collect(),
            state: State::Ok,
            findings: Vec::new(),
        };
        test.judged(NOW).state
    }

    #[test]
    fn the_worst_counts_and_one_good_host_is_enough() {
        let rows: [(&[&str], State); 15] = [
            (&["good"], State::Ok),
            (&["good", "good"], State::Ok),
            (&["clear"], State::Warning),
            (&["soon"], State::Warning),
            (&["expired"], State::Warning),
            (&["revoked"], State::Warning),
            (&["stale"], State::Warning),
            (&["good", "unmet"], State::Warning),
            (&["good", "silent"], State::Warning),
            (&["good", "lost"], State::Warning),
            (&["good", "unlisted"], State::Warning),
            (&["unmet", "silent"], State::Critical),
            (&["unlisted"], State::Critical),
            (&["silent", "lost"], State::Unknown),
            (&[], State::Unknown),
        ];
        for (hosts, expected) in rows {
            assert_eq!(state(hosts), expected, "{hosts:?}");
        }
        let statuses = [State::Ok, State::Warning, State::Critical, State::Unknown].map(State::exit_status);
        assert_eq!(statuses, [0, 1, 2, 3]);
    }
}
