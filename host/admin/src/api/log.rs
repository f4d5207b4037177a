//! The ledger, filtered.

use axum::Json;
use axum::extract::{Query, State as Extract};
use sealwire_store::{LedgerLine, LedgerQuery};
use serde::{Deserialize, Serialize};

use super::{Answer, State};

/// Records answered at once, unless asked for fewer.
const RECORDS_MAX: usize = 10_000;

/// Which records; everything absent asks for the last hundred.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct LogParameters {
    /// Id of a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Part of a recipient's mailbox, any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// Id of a rule that a reason names, such as `R1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Kinds of records, separated by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Not before; milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// Before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// Only records with a greater number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// At most so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl From<LogParameters> for LedgerQuery {
    fn from(asked: LogParameters) -> LedgerQuery {
        let events = asked.event.as_deref().unwrap_or_default().split(',').filter(|event| !event.is_empty());
        LedgerQuery {
            events: events.map(ToOwned::to_owned).collect(),
            message: asked.message,
            since_ms: asked.since_ms,
            until_ms: asked.until_ms,
            recipient: asked.recipient,
            rule: asked.rule,
            // Following takes what comes next; a first look takes the latest.
            last: asked.after.is_none(),
            after: asked.after,
            within: None,
            limit: asked.limit.unwrap_or(100).min(RECORDS_MAX),
        }
    }
}

pub(super) async fn read(
    Extract(state): Extract<State>,
    Query(asked): Query<LogParameters>,
) -> Answer<Vec<LedgerLine>> {
    Ok(Json(state.relay.store().ledger(asked.into()).await?))
}
