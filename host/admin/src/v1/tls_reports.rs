//! TLS reports (RFC 8460): what is being counted, a report as it would be sent, and sending at once.

use schemars::JsonSchema;
use sealwire_core::address::Domain;
use sealwire_relay::tls_reports::{TlsReportCounted, TlsReportSent};
use serde::{Deserialize, Serialize};

use crate::http::ask::{Ask, Json, Pairs};
use crate::http::endpoint::{Answer, Reply, Value};
use crate::http::problem::Problem;

/// Whose sessions a report tells of.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct About {
    /// A domain that asks for reports.
    domain: String,
}

/// What to send.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SendRequest {
    /// About this domain alone; none: about every one.
    pub domain: Option<Domain>,
}

/// A report (RFC 8460 §4.4).
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct TlsReport(serde_json::Map<String, serde_json::Value>);

impl Pairs for About {}
impl Value for TlsReport {}
impl Value for TlsReportCounted {}
impl Value for TlsReportSent {}

pub(super) async fn list(ask: Ask) -> Answer<Vec<TlsReportCounted>> {
    Ok(Reply::new(ask.api.relay.tls_reports_counted()))
}

pub(super) async fn show(ask: Ask<About>) -> Answer<TlsReport> {
    let about = ask.path.domain;
    // What is no domain has no report.
    let report = match Domain::parse(&about) {
        Ok(domain) => ask.api.relay.tls_report(&domain).map_err(Problem::conflict)?,
        Err(_) => None,
    };
    match report {
        Some(serde_json::Value::Object(report)) => Ok(Reply::new(TlsReport(report))),
        _ => Err(Problem::not_found(format!("nothing is counted of {about:?} today"))),
    }
}

pub(super) async fn send(ask: Ask<(), (), Json<SendRequest>>) -> Answer<Vec<TlsReportSent>> {
    let Json(SendRequest { domain }) = ask.body;
    let sent = ask.api.relay.send_tls_reports(domain.as_ref()).await;
    sent.map(Reply::new).map_err(Problem::conflict)
}
