//! TLS reports (RFC 8460): what domains are told of the TLS that mail to them found, and what others tell of it about ours.
//!
//! 1. [`Reports::count`] takes the sessions of each connection (`crate::delivery`), by UTC day and domain.
//! 2. A minute later at most they are in the store. When the day has ended each becomes a report that is due within four hours
//!    (§4.1), at a moment that the dice choose.
//! 3. `send` asks the domain's record where it goes, and sends it: by mail, as one more entry of the queue, or by HTTPS.
//! 4. `receive` reads those that arrive.
//!
//! Nothing here holds mail up or decides about it. A store that fails costs counts after the next start, never mail.

mod key;
mod receive;
mod send;

pub use key::DkimKey;
pub use receive::TlsReportsReceived;
pub(crate) use receive::{Arriving, Received};
pub(crate) use send::run;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use schemars::JsonSchema;
use sealwire_core::address::Domain;
use sealwire_core::time::rfc3339;
use sealwire_core::tlsrpt::{Counts, DAY, PolicyType, Report, Session};
use sealwire_store::{Known, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::relay::Relay;

/// Domains of which is counted at the same time; a few hundred octets each. Beyond, no further ones are, and an alert says so.
const DOMAINS_MAX: usize = 100_000;
/// Rows of one transaction: mail waits for no more.
const ROWS_AT_ONCE: usize = 1000;
/// How the store knows what is being counted, and what is to be sent.
const COUNTING: &str = "tls-report-counts";
const TO_SEND: &str = "tls-report";
/// A report is due this long after the end of its day at most, seconds (§4.1).
const SPREAD: u64 = 4 * 3600;
/// How long delivery of a report is tried, seconds (§5.5).
const TRIED_FOR: u64 = 86_400;

/// What is counted of one domain on one day.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct OfDay {
    /// Seconds since the Unix epoch: the beginning of the day, or the last report of it.
    since: u64,
    counts: Counts,
    /// The store has it.
    #[serde(skip)]
    is_kept: bool,
}

/// A report on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ToSend {
    about: Domain,
    since: u64,
    /// Nothing was counted later. Times are in seconds since the Unix epoch.
    until: u64,
    counts: Counts,
    /// Next try.
    due_at: u64,
    /// No try afterwards.
    ends_at: u64,
    tries: u32,
    /// Destinations that have not taken it; None: the record has not been looked up.
    left: Option<Vec<String>>,
}

/// What became of one report at one destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct TlsReportSent {
    /// Seconds since the Unix epoch.
    pub at: u64,
    /// Whose sessions it tells of.
    pub about: Domain,
    /// `mailto:MAILBOX` or `https://HOST/PATH`; empty where the domain's record names nobody, or could not be had.
    pub to: String,
    /// It was taken: by the queue or by the web server.
    pub taken: bool,
    /// In words.
    pub result: String,
}

/// How reporting does.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct TlsReportsStatus {
    /// By the configuration.
    pub enabled: bool,
    /// Domains of which is counted.
    pub counted: usize,
    /// Reports that are due later.
    pub waiting: usize,
    /// That were taken since the start, by destination.
    pub taken: u64,
    /// That were given up since the start, by destination.
    pub given_up: u64,
    /// The latest.
    pub last: Option<TlsReportSent>,
}

/// What is being counted of one domain.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct TlsReportCounted {
    /// The domain.
    pub about: Domain,
    /// Seconds since the Unix epoch.
    pub since: u64,
    /// Sessions that were secured as asked.
    pub successful: u64,
    /// Sessions that were not.
    pub failed: u64,
}

#[derive(Debug, Default)]
struct Told {
    taken: u64,
    given_up: u64,
    last: Option<TlsReportSent>,
}

/// Counts and reports of all domains.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    counting: Mutex<HashMap<(u64, Domain), OfDay>>,
    to_send: Mutex<HashMap<String, ToSend>>,
    /// One sends at a time: two would send the same.
    sending: tokio::sync::Mutex<()>,
    told: Mutex<Told>,
}

impl Reports {
    /// Those that the store holds.
    pub(crate) async fn of_store(store: &dyn Store) -> Result<Reports, StoreError> {
        let reports = Reports::default();
        // What a later version wrote, or nobody, is not counted on.
        for Known { key, value, .. } in store.known(TO_SEND).await? {
            if let Ok(to_send) = serde_json::from_str(&value) {
                locked(&reports.to_send).insert(key, to_send);
            }
        }
        for Known { key, value, .. } in store.known(COUNTING).await? {
            let domain = key.split_once(' ').and_then(|(_, domain)| Domain::parse(domain).ok());
            let (Some(domain), Ok(of_day)) = (domain, serde_json::from_str::<OfDay>(&value)) else { continue };
            // A crash between the two leaves what was counted where it was, and the report of it too.
            if !locked(&reports.to_send).contains_key(&key_of(of_day.since, &domain)) {
                locked(&reports.counting).insert((of_day.since / DAY, domain), OfDay { is_kept: true, ..of_day });
            }
        }
        Ok(reports)
    }

    /// Counts what one connection to a host of this domain came to, at `now`, seconds since the Unix epoch. What its TLSA records
    /// came to is told to the domain that they are of, too. False: there are too many domains for a further one.
    pub(crate) fn count(&self, now: u64, about: &Domain, sessions: Vec<Session>) -> bool {
        let mut counting = locked(&self.counting);
        let mut add = |about: &Domain, session: Session| {
            let key = (now / DAY, about.clone());
            if counting.len() >= DOMAINS_MAX && !counting.contains_key(&key) {
                return false;
            }
            let since = now / DAY * DAY;
            let of_day = counting.entry(key).or_insert(OfDay { since, counts: Counts::default(), is_kept: false });
            of_day.counts.add(session, about);
            of_day.is_kept = false;
            true
        };
        let mut is_counted = true;
        for session in sessions {
            let base = Some(&session.policy).filter(|policy| policy.kind == PolicyType::Tlsa);
            let base = base.and_then(|policy| Domain::parse(&policy.domain).ok()).filter(|base| base != about);
            if let Some(base) = base {
                is_counted &= add(&base, session.clone());
            }
            is_counted &= add(about, session);
        }
        is_counted
    }

    /// Writes to the store what it does not have.
    async fn keep(&self, store: &dyn Store, now: u64) {
        let mut unkept = Vec::new();
        for ((_, about), of_day) in locked(&self.counting).iter_mut().filter(|(_, of_day)| !of_day.is_kept) {
            of_day.is_kept = true;
            unkept.push(known(COUNTING, key_of(of_day.since, about), of_day, now));
        }
        for some in unkept.chunks(ROWS_AT_ONCE) {
            if let Err(error) = store.learn(some.to_vec()).await {
                tracing::error!(%error, "what is counted for TLS reports cannot be kept; it is in memory alone");
                return locked(&self.counting).values_mut().for_each(|of_day| of_day.is_kept = false);
            }
        }
    }

    /// Makes reports of the days that have ended, and with `at_once` of what `which` tells, today's too. Each is due as `due` says
    /// of the end of its day.
    async fn end(
        &self,
        store: &dyn Store,
        now: u64,
        at_once: Option<&(dyn Fn(&Domain) -> bool + Sync)>,
        due: impl Fn(u64) -> u64,
    ) {
        let today = now / DAY;
        let mut ended = Vec::new();
        locked(&self.counting).retain(|(day, about), of_day| {
            let is_wanted = at_once.is_some_and(|which| which(about));
            if *day == today && !is_wanted {
                return true;
            }
            let counts = std::mem::take(&mut of_day.counts);
            ended.push((about.clone(), of_day.since, counts, due((day + 1) * DAY)));
            // What is counted later today is another report.
            (of_day.since, of_day.is_kept) = (now, true);
            *day == today
        });
        let (mut learned, mut forgotten) = (Vec::new(), Vec::new());
        for (about, since, counts, due_at) in ended {
            let key = key_of(since, &about);
            forgotten.push(key.clone());
            if counts.policies().is_empty() {
                continue;
            }
            let ends_at = due_at.saturating_add(TRIED_FOR);
            let to_send = ToSend { about, since, until: now, counts, due_at, ends_at, tries: 0, left: None };
            learned.push(known(TO_SEND, key.clone(), &to_send, now));
            locked(&self.to_send).insert(key, to_send);
        }
        let written = async {
            // All is learned before anything is forgotten; mail waits for no more than one lot.
            for some in learned.chunks(ROWS_AT_ONCE) {
                store.learn(some.to_vec()).await?;
            }
            for some in forgotten.chunks(ROWS_AT_ONCE) {
                store.forget(COUNTING, some.to_vec()).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = written.await {
            tracing::error!(%error, "TLS reports cannot be kept; they are in memory alone");
        }
    }

    fn status(&self, enabled: bool) -> TlsReportsStatus {
        let told = locked(&self.told);
        TlsReportsStatus {
            enabled,
            counted: locked(&self.counting).values().filter(|of_day| !of_day.counts.policies().is_empty()).count(),
            waiting: locked(&self.to_send).len(),
            taken: told.taken,
            given_up: told.given_up,
            last: told.last.clone(),
        }
    }
}

impl Relay {
    /// How reporting does.
    pub fn tls_reports_status(&self) -> TlsReportsStatus {
        self.tls_reports.status(self.live().config.tls_reports.is_some())
    }

    /// What is being counted, by domain.
    pub fn tls_reports_counted(&self) -> Vec<TlsReportCounted> {
        let counted = |((_, about), of_day): (&(u64, Domain), &OfDay)| {
            let sum = of_day.counts.summary();
            TlsReportCounted {
                about: about.clone(),
                since: of_day.since,
                successful: sum.total_successful_session_count,
                failed: sum.total_failure_session_count,
            }
        };
        let mut counted: Vec<_> = locked(&self.tls_reports.counting).iter().map(counted).collect();
        counted.retain(|counted| counted.successful + counted.failed > 0);
        counted.sort_by(|one, other| (&one.about, one.since).cmp(&(&other.about, other.since)));
        counted
    }

    /// The report about this domain as it would be sent now; None: nothing is counted. Err: reporting is not enabled.
    pub fn tls_report(&self, about: &Domain) -> Result<Option<Value>, String> {
        let live = self.live();
        let config = live.config.tls_reports.as_ref().ok_or_else(not_enabled)?;
        let now = self.world.now();
        let counting = locked(&self.tls_reports.counting);
        let of_day = counting.get(&(now / DAY, about.clone())).filter(|of_day| !of_day.counts.policies().is_empty());
        Ok(of_day.map(|of_day| Report::of(&of_day.counts, about, &config.submitter, of_day.since, now).value()))
    }
}

fn not_enabled() -> String {
    "TLS reports are not enabled; see [tls-reports] in docs/configuration.md".to_owned()
}

/// Sorts by day.
fn key_of(since: u64, about: &Domain) -> String {
    format!("{} {about}", rfc3339(since))
}

fn known(kind: &str, key: String, value: &impl Serialize, at: u64) -> Known {
    // Maps with keys that are text, and numbers: always JSON.
    let value = serde_json::to_string(value).expect("counts are JSON");
    Known { kind: kind.into(), key, value, at }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
