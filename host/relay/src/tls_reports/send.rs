//! Sends reports: asks the record of the domain where they go, and tries for a day (§5.5).
//!
//! One that goes by mail is out of hand once the queue has it: its schedule applies, and nobody is told if it fails (H5).

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use hyper::StatusCode;
use hyper::body::Bytes;
use sealwire_core::address::{Domain, Mailbox};
use sealwire_core::ledger::{LedgerEvent, LedgerRecord};
use sealwire_core::tlsrpt::{Destination, MailRequest, Report, Url, compressed, destinations, mail};
use sealwire_store::{Content, NewEntry};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{SPREAD, TO_SEND, TlsReportSent, ToSend, key_of, known, locked, not_enabled};
use sealwire_core::units::UnitPath;

use crate::config::TlsReports;
use crate::dns::DnsError;
use crate::https::Web;
use crate::live::Live;
use crate::relay::Relay;

/// The longest between two looks at what is due; what is counted is kept as often.
const LOOK: Duration = Duration::from_secs(60);
/// For the look-up of a record.
const LOOK_UP_TIME: Duration = Duration::from_secs(20);
/// Reports side by side.
const AT_ONCE: usize = 8;
/// Between two tries, seconds: the first, and the longest; doubled in between.
const FIRST_RETRY: u64 = 300;
const LONGEST_RETRY: u64 = 4 * 3600;

/// Runs until the relay stops; what is counted is kept then.
pub(crate) async fn run(relay: Arc<Relay>, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        tokio::select! {
            () = turn(&relay) => {}
            _ = stopping.changed() => break,
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            _ = stopping.changed() => {}
        }
    }
    relay.tls_reports.keep(&*relay.store, relay.world.now()).await;
}

async fn turn(relay: &Arc<Relay>) {
    let now = relay.world.now();
    let reports = &relay.tls_reports;
    reports.keep(&*relay.store, now).await;
    // After a time of standstill too: all at once would be too many.
    reports.end(&*relay.store, now, None, |ended_at| ended_at.max(now) + 1 + relay.world.roll() % SPREAD).await;
    send_due(relay, &|to_send| to_send.due_at <= relay.world.now()).await;
}

impl Relay {
    /// Ends the count of this domain, or of all, and sends what there is at once. Err: reporting is not enabled.
    pub async fn send_tls_reports(self: &Arc<Relay>, about: Option<&Domain>) -> Result<Vec<TlsReportSent>, String> {
        if self.live().config.tls_reports.is_none() {
            return Err(not_enabled());
        }
        let now = self.world.now();
        let which = |domain: &Domain| about.is_none_or(|about| about == domain);
        self.tls_reports.end(&*self.store, now, Some(&which), |ended_at| ended_at.min(now)).await;
        Ok(send_due(self, &|to_send| which(&to_send.about)).await)
    }
}

/// Sends those that are meant, some side by side; returns what became of each.
async fn send_due(relay: &Arc<Relay>, which: &(dyn Fn(&ToSend) -> bool + Sync)) -> Vec<TlsReportSent> {
    let _one_at_a_time = relay.tls_reports.sending.lock().await;
    let live = relay.live();
    let Some(config) = &live.config.tls_reports else {
        forget_ended(relay).await;
        return Vec::new();
    };
    let due: Vec<ToSend> = locked(&relay.tls_reports.to_send).values().filter(|one| which(one)).cloned().collect();
    let sending = Sending { relay, live: &live, config };
    let sent = stream::iter(due).map(|to_send| sending.send(to_send)).buffer_unordered(AT_ONCE);
    sent.collect::<Vec<_>>().await.concat()
}

/// Whoever takes reporting out of the configuration may put it back for as long as reports may be sent.
async fn forget_ended(relay: &Relay) {
    let now = relay.world.now();
    let mut ended = Vec::new();
    locked(&relay.tls_reports.to_send).retain(|key, to_send| {
        ended.extend((to_send.ends_at <= now).then(|| key.clone()));
        to_send.ends_at > now
    });
    if let Err(error) = relay.store.forget(TO_SEND, ended).await {
        tracing::error!(%error, "TLS reports that nobody sends cannot be forgotten");
    }
}

/// When a report that was not taken is tried once more, after so many tries; None: never again (§5.5).
fn next_try(tries: u32, now: u64, ends_at: u64) -> Option<u64> {
    let wait = FIRST_RETRY.saturating_mul(1 << tries.min(10)).min(LONGEST_RETRY);
    now.checked_add(wait).filter(|next| *next < ends_at)
}

struct Sending<'a> {
    relay: &'a Arc<Relay>,
    live: &'a Live,
    config: &'a TlsReports,
}

impl Sending<'_> {
    async fn send(&self, to_send: ToSend) -> Vec<TlsReportSent> {
        let ToSend { about, since, until, .. } = &to_send;
        let report = Report::of(&to_send.counts, about, &self.config.submitter, *since, *until);
        let left = match &to_send.left {
            Some(left) => left.iter().filter_map(|to| to.parse().ok()).collect(),
            None => match self.look_up(about).await {
                Ok(found) => found,
                Err(why) => {
                    let told = self.told(about, String::new(), Err(why));
                    self.again(to_send, None, std::slice::from_ref(&told)).await;
                    return vec![told];
                }
            },
        };
        let (mut told, mut not_taken) = (Vec::new(), Vec::new());
        if left.is_empty() {
            tracing::debug!(%about, "the domain wants no TLS reports");
            let nobody = "it has no record, or one that names nobody to whom reports go from here";
            told.push(self.told(about, String::new(), Err(nobody.to_owned())));
        }
        for to in left {
            let result = match &to {
                Destination::Mail(mailbox) => self.by_mail(&report, mailbox).await,
                Destination::Https(url) => self.by_https(&report, url).await,
            };
            if result.is_err() {
                not_taken.push(to.to_string());
            }
            told.push(self.told(about, to.to_string(), result));
        }
        self.record(&report, &told);
        if not_taken.is_empty() {
            self.forget(&to_send).await;
        } else {
            self.again(to_send, Some(not_taken), &told).await;
        }
        told
    }

    /// Where the record says that reports go, as far as ours can; Err: it could not be asked.
    async fn look_up(&self, about: &Domain) -> Result<Vec<Destination>, String> {
        let name = format!("_smtp._tls.{about}");
        let late = |_| Err(DnsError::Inconclusive(format!("no answer within {} s", LOOK_UP_TIME.as_secs())));
        match timeout(LOOK_UP_TIME, self.live.resolver.txt(&name)).await.unwrap_or_else(late) {
            Ok(answer) => {
                let mut found = destinations(&answer.found);
                found.retain(|to| self.config.mail.is_some() || matches!(to, Destination::Https(_)));
                Ok(found)
            }
            Err(DnsError::NoSuchName) => Ok(Vec::new()),
            Err(error @ DnsError::Inconclusive(_)) => Err(format!("its record: {error}")),
        }
    }

    /// One more entry of the queue, signed.
    async fn by_mail(&self, report: &Report, to: &Mailbox) -> Result<String, String> {
        let (Some(by_mail), Some(key)) = (&self.config.mail, self.live.dkim()) else {
            return Err("reports by mail need from and a dkim-key under [tls-reports]".to_owned());
        };
        let (relay, live) = (self.relay, self.live);
        let id = relay.world.new_id();
        let root = UnitPath::root();
        let request = MailRequest {
            report,
            from: &by_mail.from,
            to,
            id: &id,
            hostname: &live.config.hostname,
            unit: root.names(),
            generation: live.generation.number(),
            now: relay.world.now(),
        };
        let message = mail(&request, key).map_err(|error| format!("it cannot be signed: {error}"))?;
        let content = Content::from(message.body);
        let queued =
            NewEntry { entry: message.entry, recipients: vec![message.recipient], content, records: Vec::new() };
        relay.store.commit(queued).await.map_err(|error| format!("it cannot be queued: {error}"))?;
        Ok(format!("queued as {id}"))
    }

    /// §5.4.
    async fn by_https(&self, report: &Report, url: &Url) -> Result<String, String> {
        let body = Bytes::from(compressed(&report.json()));
        match Web::of(self.relay, self.live).post(url, "application/tlsrpt+gzip", body).await? {
            status if status.is_success() => Ok(format!("taken: {status}")),
            StatusCode::PAYLOAD_TOO_LARGE => Err("it is too large for the web server (413)".to_owned()),
            status => Err(format!("the web server answered {status}")),
        }
    }

    fn told(&self, about: &Domain, to: String, result: Result<String, String>) -> TlsReportSent {
        let taken = result.is_ok();
        let result = result.unwrap_or_else(|why| why);
        TlsReportSent { at: self.relay.world.now(), about: about.clone(), to, taken, result }
    }

    /// In the ledger, of those that were taken.
    fn record(&self, report: &Report, told: &[TlsReportSent]) {
        let taken: Vec<_> = told.iter().filter(|told| told.taken).collect();
        let record = |told: &&TlsReportSent| self.ledger_record(told, format!("{}, {}", report.id(), told.result));
        self.relay.append(taken.iter().map(record).collect());
        let mut counted = locked(&self.relay.tls_reports.told);
        counted.taken += taken.len() as u64;
        if let Some(last) = told.last().filter(|told| !told.to.is_empty()) {
            counted.last = Some(last.clone());
        }
    }

    fn ledger_record(&self, told: &TlsReportSent, result: String) -> LedgerRecord {
        let event = LedgerEvent::TlsReport { about: told.about.clone(), to: told.to.clone(), result };
        LedgerRecord { at_ms: self.relay.world.now_ms(), message: String::new(), event }
    }

    /// Later once more, to those that are `left`, or never again.
    async fn again(&self, to_send: ToSend, left: Option<Vec<String>>, told: &[TlsReportSent]) {
        let now = self.relay.world.now();
        let Some(due_at) = next_try(to_send.tries, now, to_send.ends_at) else {
            let mut records = Vec::new();
            for told in told.iter().filter(|told| !told.taken) {
                tracing::warn!(about = %told.about, to = told.to, why = told.result, "a TLS report is given up");
                records.push(self.ledger_record(told, format!("given up: {}", told.result)));
            }
            let given_up = records.len() as u64;
            self.relay.append(records);
            locked(&self.relay.tls_reports.told).given_up += given_up;
            return self.forget(&to_send).await;
        };
        for told in told.iter().filter(|told| !told.taken) {
            tracing::info!(about = %told.about, to = told.to, why = told.result, due_at, "a TLS report waits");
        }
        let next = ToSend { due_at, tries: to_send.tries + 1, left, ..to_send };
        let key = key_of(next.since, &next.about);
        if let Err(error) = self.relay.store.learn(vec![known(TO_SEND, key.clone(), &next, now)]).await {
            tracing::error!(%error, "what is left of a TLS report cannot be kept; it may be sent twice after a start");
        }
        locked(&self.relay.tls_reports.to_send).insert(key, next);
    }

    async fn forget(&self, to_send: &ToSend) {
        let key = key_of(to_send.since, &to_send.about);
        locked(&self.relay.tls_reports.to_send).remove(&key);
        if let Err(error) = self.relay.store.forget(TO_SEND, vec![key]).await {
            tracing::error!(%error, "a TLS report cannot be forgotten; it may be sent twice after a start");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_taken_is_tried_ever_more_rarely_for_a_day() {
        let (mut now, mut waits) = (1_000, Vec::new());
        while let Some(next) = next_try(u32::try_from(waits.len()).expect("few"), now, 1_000 + super::super::TRIED_FOR)
        {
            waits.push(next - now);
            now = next;
        }
        assert_eq!(waits, [300, 600, 1200, 2400, 4800, 9600, 14_400, 14_400, 14_400, 14_400]);
        assert_eq!(next_try(u32::MAX, u64::MAX - 1, u64::MAX), None);
    }
}
