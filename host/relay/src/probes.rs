//! Probes: the domains of an operator's lists are tested time and again as `tls-test` does, so that he hears of a certificate that
//! ends, of STARTTLS that is gone, of an MTA-STS policy that lists another host, before mail comes back.
//!
//! A domain is asked what mail to it is held to: as its postmaster's where the domain itself is listed, and as that of its listed
//! addresses, once for all that are held to the same. `*.domain` names nobody who could be asked.
//!
//! Spread over the time between two probes of the same domain; what is wrong is an alert when it is found, when it changes, and once
//! a day while it lasts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use sealwire_core::address::{Domain, Mailbox};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::live::Live;
use crate::relay::Relay;
use crate::tls_test::{Finding, State, TlsTest};

/// From one probe to the next, however many there are.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
/// How soon a reload that names lists is noticed.
const LOOK: Duration = Duration::from_secs(5);
/// What lasts is told again after so long, seconds.
const TELL_AGAIN_SECS: u64 = 86_400;
/// A destination that could not be asked is told of after so many probes in a row: a moment's trouble is none.
const UNKNOWN_IN_A_ROW: u32 = 3;
/// Findings in one alert.
const FINDINGS_TOLD: usize = 3;
/// Listed addresses of one domain that are looked at: what differs among them is settings, of which there are few.
const MAILBOXES_MAX: usize = 100;

/// Who is asked for, by domain.
type Probed = BTreeMap<Domain, Asked>;

/// Of one domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Asked {
    /// Postmaster first, where the domain itself is listed.
    mailboxes: Vec<Mailbox>,
    /// Listed addresses for which there was no room.
    left_out: usize,
}

/// Of all destinations probed since the start.
#[derive(Default)]
pub(crate) struct Probes(Mutex<BTreeMap<Domain, Last>>);

/// The last probe of one.
#[derive(Clone, Debug, Default)]
struct Last {
    at: u64,
    state: State,
    findings: Vec<Finding>,
    unknown_in_a_row: u32,
    /// See [`Asked`].
    left_out: usize,
    /// What was told, and when; seconds since the Unix epoch.
    told: Option<(Vec<Finding>, u64)>,
}

/// What probes found, for `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ProbesStatus {
    /// Destinations probed.
    pub probed: usize,
    /// Of these, with nothing wrong.
    pub well: usize,
    /// The others.
    pub troubled: Vec<Troubled>,
    /// Listed addresses that are not looked at: more than 100 of their domain are listed.
    pub addresses_left_out: usize,
}

/// A destination with which something is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Troubled {
    /// Of a list.
    pub destination: String,
    /// When it was probed; seconds since the Unix epoch.
    pub at: u64,
    /// The worst of the findings.
    pub state: State,
    /// What is wrong, worst first.
    pub findings: Vec<Finding>,
}

/// Runs until the relay stops.
pub(crate) async fn run(relay: Arc<Relay>, mut stopping: watch::Receiver<bool>) {
    let mut due: Vec<Domain> = Vec::new();
    let mut live = relay.live();
    let mut domains = probed_of(&live);
    while !*stopping.borrow() {
        let now_live = relay.live();
        // A list may have a million entries: it is read when it may have changed, and not each time.
        if !Arc::ptr_eq(&live, &now_live) {
            live = now_live;
            domains = probed_of(&live);
            relay.probes.lock().retain(|domain, _| domains.contains_key(domain));
        }
        if due.is_empty() {
            due = domains.keys().rev().cloned().collect();
        }
        let every = Duration::from_secs(live.config.probes.every_secs);
        let pause = match u32::try_from(domains.len()) {
            Ok(many) if many > 0 => (every / many).max(LEAST_PAUSE),
            _ => LOOK,
        };
        let next = due.pop().and_then(|domain| domains.get_key_value(&domain));
        tokio::select! {
            () = async { if let Some((domain, asked)) = next { probe(&relay, domain, asked).await } } => {}
            _ = stopping.changed() => break,
        }
        tokio::select! {
            () = sleep(pause) => {}
            _ = stopping.changed() => {}
        }
    }
}

/// Of the lists that are to be probed.
fn probed_of(live: &Live) -> Probed {
    let lists = live.config.probes.lists.iter().filter_map(|name| live.settings.lists().get(name));
    probed(lists.flat_map(|list| list.named()))
}

/// Of these addresses and domains. There may be a million.
fn probed<'a>(named: impl Iterator<Item = &'a str>) -> Probed {
    let mut probed = Probed::new();
    for entry in named {
        let at = entry.rfind('@');
        let Ok(domain) = Domain::parse(at.map_or(entry, |at| &entry[at + 1..])) else { continue };
        let asked = probed.entry(domain.clone()).or_default();
        match at {
            None => asked.mailboxes.insert(0, Mailbox::new("postmaster", domain)),
            Some(_) if asked.mailboxes.len() >= MAILBOXES_MAX => asked.left_out += 1,
            Some(_) => asked.mailboxes.extend(Mailbox::parse(entry).ok()),
        }
    }
    probed
}

async fn probe(relay: &Relay, domain: &Domain, asked: &Asked) {
    let (state, findings) = together(relay.test_each(&asked.mailboxes).await);
    let now = relay.world.now();
    let told = {
        let mut probes = relay.probes.lock();
        let last = probes.entry(domain.clone()).or_default();
        last.left_out = asked.left_out;
        last.found(state, findings, now)
    };
    if let Some(findings) = told {
        let texts: Vec<&str> = findings.iter().take(FINDINGS_TOLD).map(|finding| finding.text.as_str()).collect();
        let more = findings.len().saturating_sub(FINDINGS_TOLD);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        let text = format!("the probe of {domain} says {state}: {}{more}", texts.join("; "));
        relay.alert_once(&format!("probe {domain} {}", texts.join(" ")), text);
    }
}

/// What tests of one domain come to. What is found of its hosts is told once; what mail is held to, for whom.
fn together(tests: Vec<Result<TlsTest, String>>) -> (State, Vec<Finding>) {
    let (mut known, mut told) = (Vec::new(), Vec::new());
    for test in tests {
        let (recipient, found) = match test {
            Ok(test) => (test.recipient, test.findings),
            Err(why) => (String::new(), vec![Finding { state: State::Unknown, text: why }]),
        };
        for finding in found {
            let is_known = known.contains(&finding);
            let text = match finding.state {
                State::Critical if !recipient.starts_with("postmaster@") => {
                    format!("mail to {recipient}: {}", finding.text)
                }
                _ if is_known => continue,
                _ => finding.text.clone(),
            };
            told.push(Finding { text, ..finding });
            known.push(finding);
        }
    }
    told.sort_by_key(|finding| std::cmp::Reverse(finding.state));
    (told.first().map_or(State::Ok, |worst| worst.state), told)
}

impl Last {
    /// What is to be told of it.
    fn found(&mut self, state: State, findings: Vec<Finding>, now: u64) -> Option<Vec<Finding>> {
        let unknown_in_a_row = if state == State::Unknown { self.unknown_in_a_row + 1 } else { 0 };
        let well = state == State::Ok;
        let told = self.told.take().filter(|_| !well);
        let lately = |(before, at): &(Vec<Finding>, u64)| *before == findings && now.abs_diff(*at) < TELL_AGAIN_SECS;
        let known_enough = state != State::Unknown || unknown_in_a_row >= UNKNOWN_IN_A_ROW;
        let tell = !well && known_enough && !told.as_ref().is_some_and(lately);
        let told = if tell { Some((findings.clone(), now)) } else { told };
        *self = Last { at: now, state, findings, unknown_in_a_row, told, left_out: self.left_out };
        tell.then(|| self.findings.clone())
    }
}

impl Probes {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Domain, Last>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self) -> ProbesStatus {
        let probes = self.lock();
        let troubled = probes.iter().filter(|(_, last)| last.state != State::Ok).map(|(domain, last)| Troubled {
            destination: domain.to_string(),
            at: last.at,
            state: last.state,
            findings: last.findings.clone(),
        });
        let troubled: Vec<Troubled> = troubled.collect();
        let addresses_left_out = probes.values().map(|last| last.left_out).sum();
        ProbesStatus { probed: probes.len(), well: probes.len() - troubled.len(), troubled, addresses_left_out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_when_it_is_found_when_it_changes_and_once_a_day() {
        const DAY: u64 = TELL_AGAIN_SECS;
        let finding = |state, text: &str| vec![Finding { state, text: text.into() }];
        let ends = |days: u32| (State::Warning, finding(State::Warning, &format!("ends in {days} days")));
        let away = || (State::Unknown, finding(State::Unknown, "no host could be asked"));
        let well = || (State::Ok, Vec::new());
        // (seconds, what is found, whether it is told)
        type Step = (u64, (State, Vec<Finding>), bool);
        let courses: [&[Step]; 4] = [
            &[(0, well(), false), (1, ends(9), true), (2, ends(9), false), (3, ends(8), true)],
            &[(0, ends(9), true), (DAY - 1, ends(9), false), (DAY, ends(9), true)],
            &[(0, ends(9), true), (1, well(), false), (2, ends(9), true)],
            &[(0, away(), false), (1, away(), false), (2, away(), true), (3, away(), false), (4, well(), false)],
        ];
        for course in courses {
            let mut last = Last::default();
            for (at, (state, findings), told) in course {
                let said = last.found(*state, findings.clone(), 1_000_000 + at);
                assert_eq!(said.is_some(), *told, "{at} of {course:?}");
            }
        }
    }

    /// The domain itself where it is listed, and whoever of it is; nobody of `*.domain`, and a stated number of each.
    #[test]
    fn who_is_asked_for_stands_in_the_lists() {
        use sealwire_core::list::AddressList;
        let rows: [(&str, &[&str]); 5] = [
            ("x.test", &["postmaster@x.test"]),
            ("bob@x.test", &["bob@x.test"]),
            ("ann@x.test x.test bob@x.test", &["postmaster@x.test", "ann@x.test", "bob@x.test"]),
            ("*.x.test", &[]),
            ("\"a b\"@x.test, Ann@X.test", &["\"a b\"@x.test", "ann@x.test"]),
        ];
        for (list, expected) in rows {
            let list = AddressList::parse(list).expect("a list");
            let mailboxes = probed(list.named()).into_values().flat_map(|asked| asked.mailboxes);
            assert_eq!(mailboxes.map(|mailbox| mailbox.to_string()).collect::<Vec<_>>(), expected);
        }
        let many: String = (0..MAILBOXES_MAX + 7).map(|number| format!("u{number}@x.test\n")).collect();
        let list = AddressList::parse(&format!("x.test\n{many}")).expect("a list");
        let probed: Vec<Asked> = probed(list.named()).into_values().collect();
        assert_eq!((probed[0].mailboxes.len(), probed[0].left_out), (MAILBOXES_MAX + 1, 7));
        assert_eq!(probed[0].mailboxes[0].to_string(), "postmaster@x.test");
    }
}
