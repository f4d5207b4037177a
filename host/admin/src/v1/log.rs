//! The ledger, filtered, within the caller's units.

use schemars::JsonSchema;
use sealwire_store::{LedgerLine, LedgerQuery};
use serde::{Deserialize, Serialize};

use super::page::{self, linked};
use crate::http::ask::{Ask, Pairs};
use crate::http::endpoint::{Answer, Reply, Value};

/// Which records; without `after` the latest.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LogPage {
    /// Id of a message.
    pub message: Option<String>,
    /// Part of a recipient's mailbox, any case.
    pub recipient: Option<String>,
    /// Id of a rule that a reason names, such as `R1`.
    pub rule: Option<String>,
    /// Kinds of records, separated by commas.
    pub event: Option<String>,
    /// Not before; milliseconds since the Unix epoch.
    pub since_ms: Option<u64>,
    /// Before.
    pub until_ms: Option<u64>,
    /// Only records with a greater number.
    pub after: Option<u64>,
    /// At most so many; 100 unless said otherwise.
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<usize>,
}

impl Pairs for LogPage {}
impl Value for LedgerLine {}

pub(super) async fn read(ask: Ask<(), LogPage>) -> Answer<Vec<LedgerLine>> {
    let page = ask.query;
    let events = page.event.as_deref().unwrap_or_default().split(',').filter(|event| !event.is_empty());
    let query = LedgerQuery {
        events: events.map(ToOwned::to_owned).collect(),
        message: page.message.clone(),
        since_ms: page.since_ms,
        until_ms: page.until_ms,
        recipient: page.recipient.clone(),
        rule: page.rule.clone(),
        within: Some(ask.scope).filter(|scope| !scope.is_all()),
        // Following takes what comes next; a first look takes the latest.
        last: page.after.is_none(),
        after: page.after,
        limit: page::limit(page.limit)?,
    };
    let lines = ask.api.relay.store().ledger(query).await?;
    let last = lines.last().map(|line| line.number.to_string());
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let filters = [
        ("message", page.message),
        ("recipient", page.recipient),
        ("rule", page.rule),
        ("event", page.event),
        ("since-ms", number(page.since_ms)),
        ("until-ms", number(page.until_ms)),
        ("limit", page.limit.map(|limit| limit.to_string())),
    ];
    let reply = Reply::new(lines);
    Ok(match last {
        Some(after) => linked(reply, "/log", &filters, &after),
        None => reply,
    })
}
