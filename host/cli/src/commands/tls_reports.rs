//! `tls-reports`: what is counted for the TLS reports to other domains, and sending them at once.

use clap::Subcommand;
use sealwire_admin::{Client, encoded, query};
use sealwire_core::time::rfc3339;
use sealwire_relay::tls_reports::{TlsReportCounted, TlsReportSent};
use serde_json::Value;

use crate::failure::Failure;
use crate::output::Output;

#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  sealwire tls-reports list
  sealwire tls-reports show example.com
  sealwire tls-reports send example.com")]
pub(crate) enum TlsReports {
    /// List the domains of which sessions are counted
    List,
    /// The report about a domain, as JSON, as it would be sent now
    Show {
        /// The domain
        domain: String,
    },
    /// End the count and send what there is at once, not in the night
    Send {
        /// About this domain alone
        domain: Option<String>,
    },
}

impl TlsReports {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<(), Failure> {
        match self {
            TlsReports::List => {
                let counted: Vec<TlsReportCounted> = client.get("/v1/tls-reports").await?;
                output.either(&counted, |counted| tell_counted(counted, output));
            }
            TlsReports::Show { domain } => {
                let report: Value = client.get(&format!("/v1/tls-reports/domain/{}", encoded(&domain))).await?;
                output.value(&report);
            }
            TlsReports::Send { domain } => {
                let which = domain.into_iter().map(|domain| ("domain", domain));
                let sent: Vec<TlsReportSent> = client.post(&query("/v1/tls-reports/send", which), Vec::new()).await?;
                output.either(&sent, |sent| tell_sent(sent, output));
            }
        }
        Ok(())
    }
}

fn tell_counted(counted: &[TlsReportCounted], output: &Output) {
    if counted.is_empty() {
        output.line("nothing is counted");
    }
    for TlsReportCounted { about, since, successful, failed } in counted {
        output.line(format!("{about}  {successful} sessions as asked, {failed} not, since {}", rfc3339(*since)));
    }
}

fn tell_sent(sent: &[TlsReportSent], output: &Output) {
    if sent.is_empty() {
        output.line("there is nothing to send");
    }
    for TlsReportSent { about, to, taken, result, .. } in sent {
        let what = if *taken { "sent" } else { "not sent" };
        let to = if to.is_empty() { String::new() } else { format!(" to {to}") };
        output.line(format!("{about}  {what}{to}: {result}"));
    }
}
