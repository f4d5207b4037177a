//! TLS reports (RFC 8460): what is being counted, a report as it would be sent, and sending at once.

use axum::Json;
use axum::extract::{ConnectInfo, Path, Query, State as Extract};
use sealwire_core::address::Domain;
use sealwire_relay::Act;
use sealwire_relay::tls_reports::{TlsReportCounted, TlsReportSent};
use serde::Deserialize;
use serde_json::Value;

use super::{Answer, State, audited};
use crate::error::ApiError;
use crate::peer::Peer;

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
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(Which { domain: about }): Query<Which>,
) -> Answer<Vec<TlsReportSent>> {
    let act = Act::of("tls-reports-send", about.as_deref().unwrap_or("all domains"));
    let relay = state.relay.clone();
    let send = async move {
        let about = about.as_deref().map(domain).transpose()?;
        relay.send_tls_reports(about.as_ref()).await.map_err(ApiError::bad_request)
    };
    audited(&state.relay, &peer, act, send).await
}

fn domain(text: &str) -> Result<Domain, ApiError> {
    Domain::parse(text).map_err(|_| ApiError::bad_request(format!("{text:?} is no domain")))
}
