//! TLS reports (RFC 8460): what is being counted, a report as it would be sent, and sending at once.

use axum::Json;
use axum::extract::{Path, Query, State as Extract};
use sealwire_core::address::Domain;
use sealwire_relay::tls_reports::{TlsReportCounted, TlsReportSent};
use serde::Deserialize;
use serde_json::Value;

use super::{Answer, State};
use crate::error::ApiError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    domain: Option<String>,
}

pub(super) async fn list(Extract(state): Extract<State>) -> Json<Vec<TlsReportCounted>> {
    Json(state.relay.tls_reports_counted())
}

pub(super) async fn show(Extract(state): Extract<State>, Path(about): Path<String>) -> Answer<Value> {
    let report = state.relay.tls_report(&domain(&about)?).map_err(ApiError::bad_request)?;
    report.map(Json).ok_or_else(|| ApiError::not_found(format!("nothing is counted of {about} today")))
}

pub(super) async fn send(
    Extract(state): Extract<State>,
    Query(Which { domain: about }): Query<Which>,
) -> Answer<Vec<TlsReportSent>> {
    let about = about.as_deref().map(domain).transpose()?;
    let relay = state.relay.clone();
    // A client that goes away in the middle must not leave a report that is sent and not noted as such.
    let send = tokio::spawn(async move { relay.send_tls_reports(about.as_ref()).await });
    let sent = send.await.map_err(|error| ApiError::internal(error.to_string()))?;
    sent.map(Json).map_err(ApiError::bad_request)
}

fn domain(text: &str) -> Result<Domain, ApiError> {
    Domain::parse(text).map_err(|_| ApiError::bad_request(format!("{text:?} is no domain")))
}
