//! `log`: the ledger, in words, one line for each record.

use std::time::Duration;

use clap::Args;
use sealwire_admin::{Client, query};
use sealwire_core::address::{Domain, Mailbox};
use sealwire_core::ledger::{ArrivalRecord, LedgerEvent};
use sealwire_core::reason::Reason;
use sealwire_core::time::rfc3339;
use sealwire_core::tlsrpt::received::{ReceivedCounts, ReceivedReport};
use sealwire_relay::config::values::seconds;
use sealwire_store::LedgerLine;

use crate::failure::Failure;
use crate::output::{Output, now};

/// How often `--follow` asks for more.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Domains of a TLS report that are shown; `--json` has all of them.
const DOMAINS_SHOWN: usize = 10;

#[derive(Args)]
#[command(after_help = "\
Examples:
  sealwire log --message ID            one message from arrival to its end
  sealwire log --recipient example.com --since 2d
  sealwire log --rule R1 --event turned-away
  sealwire log --event turned-away,reported
  sealwire log --follow

Kinds of records: decision, accepted, turned-away, attempted, reported, tls-report,
tls-report-received, operator, alert.")]
pub(crate) struct Log {
    /// One message, by its id
    #[arg(long, value_name = "ID")]
    message: Option<String>,
    /// Part of a recipient's address
    #[arg(long)]
    recipient: Option<String>,
    /// Where a reason names this rule, such as R1
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// Kinds of records, separated by commas
    #[arg(long)]
    event: Option<String>,
    /// Only what is younger than this, such as 90s, 5m, 1h or 2d
    #[arg(long, value_name = "AGE", value_parser = seconds)]
    since: Option<u64>,
    /// The last so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Go on with what happens next
    #[arg(long, short)]
    follow: bool,
}

impl Log {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<(), Failure> {
        let lines: Vec<LedgerLine> = client.get(&self.path(None)).await?;
        if output.json && !self.follow {
            output.value(&lines);
            return Ok(());
        }
        let mut last = lines.last().map_or(0, |line| line.number);
        lines.iter().for_each(|line| tell(line, output));
        if !self.follow {
            return Ok(());
        }
        loop {
            tokio::time::sleep(ASK_EVERY).await;
            let lines: Vec<LedgerLine> = client.get(&self.path(Some(last))).await?;
            last = lines.last().map_or(last, |line| line.number);
            lines.iter().for_each(|line| tell(line, output));
        }
    }

    fn path(&self, after: Option<u64>) -> String {
        let since = self.since.map(|age| (now().saturating_sub(age) * 1000).to_string());
        let pairs = [
            ("message", self.message.clone()),
            ("recipient", self.recipient.clone()),
            ("rule", self.rule.clone()),
            ("event", self.event.clone()),
            ("since-ms", since),
            ("after", after.map(|after| after.to_string())),
            ("limit", Some(self.limit.to_string())),
        ];
        query("/v1/log", pairs.into_iter().filter_map(|(key, value)| Some((key, value?))))
    }
}

/// One line for people; with `--json`, one JSON document on a line.
fn tell(line: &LedgerLine, output: &Output) {
    if output.json {
        output.value_on_a_line(line);
        return;
    }
    let record = &line.record;
    let message = if record.message.is_empty() { "-" } else { &record.message };
    output.line(format!("{}  {message}  {}", rfc3339(record.at_ms / 1000), words(&record.event)));
}

fn words(event: &LedgerEvent) -> String {
    match event {
        LedgerEvent::Decision(decision) => {
            let result = decision.result.to_string();
            format!("decision  {} of {}: {result}{}", decision.hook, decision.policy, because(&decision.reasons))
        }
        LedgerEvent::Accepted(arrival) => format!("accepted  {}{}", arrived(arrival), because(&arrival.noted)),
        LedgerEvent::TurnedAway { arrival, reply, reasons } => {
            format!("turned away  {}: {reply}{}", arrived(arrival), because(reasons))
        }
        LedgerEvent::Attempted { recipient, round, route, result, settlement, .. } => {
            format!("attempted  {recipient} by {route}, round {round}: {result}; {settlement}")
        }
        LedgerEvent::Reported { report, recipients, text, .. } => {
            let whose = all(recipients);
            match report {
                Some(report) => format!("reported  {whose}, by message {report}"),
                None if text.is_empty() => format!("reported  {whose}: there was nobody to tell"),
                None => format!("reported  {whose}: {text}"),
            }
        }
        LedgerEvent::Notified { report, delayed, relayed, .. } => {
            let told = [("late", delayed), ("handed on", relayed)];
            let told = told.into_iter().filter(|(_, whose)| !whose.is_empty());
            let told: Vec<String> = told.map(|(what, whose)| format!("{what} for {}", all(whose))).collect();
            format!("notified  {}, by message {report}", told.join("; "))
        }
        LedgerEvent::TlsReport { about, to, result } => format!("TLS report  about {about} to {to}: {result}"),
        LedgerEvent::TlsReportReceived { signed_by, report, trouble } => {
            let by = signed_by.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
            let what = report.as_ref().map(reported).unwrap_or_default();
            let trouble = trouble.as_ref().map(|trouble| format!("; {trouble}")).unwrap_or_default();
            format!("TLS report received  signed by {by}{what}{trouble}")
        }
        LedgerEvent::Operator { action, by, reason, until, .. } => {
            let until = until.as_ref().map(|at| format!(", until {}", rfc3339(*at))).unwrap_or_default();
            let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("operator  {action}, by {by}{until}{reason}")
        }
        LedgerEvent::Alert { text } => format!("alert  {text}"),
    }
}

fn all(mailboxes: &[Mailbox]) -> String {
    mailboxes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What another's TLS report says, a few words for each domain.
fn reported(report: &ReceivedReport) -> String {
    let domain = |(domain, counts): (&Domain, &ReceivedCounts)| {
        let results: String = counts.results.iter().map(|(kind, count)| format!(" {kind} {count}")).collect();
        format!("; {domain}: {} sessions as asked, {} not{results}", counts.successful, counts.failed)
    };
    let domains: String = report.domains.iter().take(DOMAINS_SHOWN).map(domain).collect();
    format!(", from {:?}, {} to {}{domains}", report.organization, report.range.0, report.range.1)
}

fn arrived(arrival: &ArrivalRecord) -> String {
    let sender = arrival.envelope_sender.as_ref().map_or_else(|| "<>".to_owned(), ToString::to_string);
    let recipients = all(&arrival.recipients);
    let client = arrival.client.as_deref().unwrap_or("this relay");
    let channel = arrival.tls.as_deref().unwrap_or("in clear");
    format!("from {sender} to {recipients}, by {client} ({channel})")
}

fn because(reasons: &[Reason]) -> String {
    reasons.iter().map(|reason| format!("; {}: {}", reason.rule, reason.text)).collect()
}
