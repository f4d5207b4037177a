//! Why a message met the end it met: the ledger's records of it and, of each decision, which rules its policy tried.

use sealwire_core::explain::{RulesTried, concerns, lines};
use sealwire_core::units::Within;
use sealwire_relay::Relay;
use sealwire_store::{LedgerLine, LedgerQuery, StoreError};
use serde::{Deserialize, Serialize};

/// Records of one message that are read.
const RECORDS_MAX: usize = 10_000;

/// A record of the ledger, and what a policy says besides.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExplainedRecord {
    /// As the ledger has it.
    #[serde(flatten)]
    pub line: LedgerLine,
    /// Of a decision: which rules the policy tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried: Option<RulesTried>,
}

impl ExplainedRecord {
    /// As the command and the API tell it; none where there is nothing to explain.
    pub fn lines(&self) -> Vec<String> {
        let tried = self.tried.iter().flat_map(RulesTried::lines);
        lines(&self.line.record).into_iter().chain(tried).collect()
    }
}

/// All there is of one message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExplainedMessage {
    /// In the order of writing.
    pub records: Vec<ExplainedRecord>,
    /// False: there are more than 10,000, and these are of the last ones.
    pub whole: bool,
}

/// Of this message, of this recipient's copy alone if one is given. None: the ledger has nothing of it there.
pub(crate) async fn explained(
    relay: &Relay,
    message: &str,
    recipient: Option<&str>,
    within: Option<Within>,
) -> Result<Option<ExplainedMessage>, StoreError> {
    let query = LedgerQuery {
        message: Some(message.to_owned()),
        within,
        last: true,
        limit: RECORDS_MAX,
        ..LedgerQuery::default()
    };
    let mut found = relay.store().ledger(query).await?;
    if found.is_empty() {
        return Ok(None);
    }
    let whole = found.len() < RECORDS_MAX;
    found.retain(|line| recipient.is_none_or(|recipient| concerns(&line.record.event, recipient)));
    let mut tried = relay.rules_tried(&found).await;
    let records = found.into_iter().map(|line| ExplainedRecord { tried: tried.remove(&line.number), line });
    Ok(Some(ExplainedMessage { records: records.collect(), whole }))
}
