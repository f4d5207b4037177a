//! The audit log: read, and walked along. Nothing here changes it.

use schemars::JsonSchema;
use sealwire_core::audit::{AuditLine, Head, Verified};
use sealwire_store::AuditQuery;
use serde::{Deserialize, Serialize};

use super::page::{self, linked};
use crate::http::ask::{Ask, Pairs};
use crate::http::endpoint::{Answer, Reply, Value};
use crate::http::problem::Problem;

/// Which entries; without `after` the latest.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AuditPage {
    /// Not before; milliseconds since the Unix epoch.
    pub since_ms: Option<u64>,
    /// Before.
    pub until_ms: Option<u64>,
    /// Part of who did it, any case.
    pub by: Option<String>,
    /// The action, as it is written.
    pub action: Option<String>,
    /// Part of what it touched, any case.
    pub object: Option<String>,
    /// Part of the record as it is written, JSON, any case.
    pub text: Option<String>,
    /// Only entries with a greater number.
    pub after: Option<u64>,
    /// At most so many; 100 unless said otherwise.
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<usize>,
}

/// What to hold the log against.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Told {
    /// `NUMBER:HASH`, kept elsewhere.
    #[schemars(regex(pattern = r"^[0-9]{1,18}:[0-9a-fA-F]{64}$"))]
    head: Option<String>,
}

/// The last entry's number and hash, `NUMBER:HASH`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Anchor {
    anchor: Head,
}

impl Pairs for AuditPage {}
impl Pairs for Told {}
impl Value for AuditLine {}
impl Value for Verified {}
impl Value for Anchor {}

pub(super) async fn read(ask: Ask<(), AuditPage>) -> Answer<Vec<AuditLine>> {
    let page = ask.query;
    let query = AuditQuery {
        since_ms: page.since_ms,
        until_ms: page.until_ms,
        by: page.by.clone(),
        action: page.action.clone(),
        object: page.object.clone(),
        text: page.text.clone(),
        last: page.after.is_none(),
        after: page.after,
        limit: page::limit(page.limit)?,
    };
    let lines = ask.api.relay.store().audit_log(query).await?;
    let last = lines.last().map(|line| line.number.to_string());
    let filters = [
        ("since-ms", page.since_ms.map(|at| at.to_string())),
        ("until-ms", page.until_ms.map(|at| at.to_string())),
        ("by", page.by),
        ("action", page.action),
        ("object", page.object),
        ("text", page.text),
        ("limit", page.limit.map(|limit| limit.to_string())),
    ];
    let reply = Reply::new(lines);
    Ok(match last {
        Some(after) => linked(reply, "/audit", &filters, &after),
        None => reply,
    })
}

pub(super) async fn anchor(ask: Ask) -> Answer<Anchor> {
    Ok(Reply::new(Anchor { anchor: ask.api.relay.store().audit_anchor().await? }))
}

pub(super) async fn verify(ask: Ask<(), Told>) -> Answer<Verified> {
    let head = ask.query.head.map(|head| head.parse::<Head>()).transpose();
    let head = head.map_err(|why| Problem::at_parameter("head", why))?;
    Ok(Reply::new(ask.api.relay.store().audit_verify(head).await?))
}
