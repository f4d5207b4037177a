//! The settings document by its revisions. A change names the revision it was made from.

use schemars::JsonSchema;
use sealwire_relay::{NotApplied, Replaced};
use sealwire_store::Revision;
use serde::Deserialize;

use crate::http::Api;
use crate::http::ask::{Ask, Document, Pairs};
use crate::http::conditions::required;
use crate::http::endpoint::{Answer, Reply, Value};
use crate::http::problem::{Current, Problem};

/// Revisions listed at once.
const REVISIONS_MAX: usize = 100;

/// A revision by its number.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Number {
    /// From 1.
    revision: u64,
}

/// How to put settings in force.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct How {
    /// What the change is for.
    #[schemars(regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$"), length(max = 500))]
    note: Option<String>,
    /// Read the configuration again in the same step.
    reload: Option<bool>,
}

impl Pairs for Number {}
impl Pairs for How {}
impl Value for Revision {}

pub(super) async fn show(ask: Ask) -> Answer<Revision> {
    let newest = newest(&ask.api).await?;
    let tag = tag(newest.revision);
    Ok(Reply::new(newest).tagged(tag))
}

pub(super) async fn revision(ask: Ask<Number>) -> Answer<Revision> {
    let number = ask.path.revision;
    let found = ask.api.relay.store().settings(Some(number)).await?;
    let found = found.ok_or_else(|| Problem::not_found(format!("there is no revision {number} of the settings")))?;
    Ok(Reply::new(found).tagged(tag(number)))
}

pub(super) async fn revisions(ask: Ask) -> Answer<Vec<Revision>> {
    Ok(Reply::new(ask.api.relay.store().revisions(REVISIONS_MAX).await?))
}

pub(super) async fn apply(ask: Ask<(), How, Document>) -> Answer<Replaced> {
    let How { note, reload } = ask.query;
    let note = note.unwrap_or_default();
    if note.chars().count() > 500 || note.contains(char::is_control) {
        return Err(Problem::at_parameter("note", "must be one line of at most 500 characters"));
    }
    let asked = required(ask.if_match)?;
    let newest = newest(&ask.api).await?;
    if !asked.holds(Some(&tag(newest.revision))) {
        return Err(stale(&newest));
    }
    let (Document(document), actor) = (ask.body, ask.caller.actor());
    let applied =
        ask.api.relay.apply_settings_after(newest.revision, document, &actor, note, reload.unwrap_or(false)).await;
    match applied {
        Ok(replaced) => {
            let tag = tag(replaced.settings_revision);
            Ok(Reply::new(replaced).tagged(tag))
        }
        Err(NotApplied::Problems(problems)) => Err(problems.into()),
        // Somebody was quicker in between.
        Err(NotApplied::Stale { .. }) => Err(stale(&self::newest(&ask.api).await?)),
    }
}

/// Before the first there is number 0, which is empty.
async fn newest(api: &Api) -> Result<Revision, Problem> {
    let none = Revision { revision: 0, at: 0, by: String::new(), note: String::new(), document: String::new() };
    Ok(api.relay.store().settings(None).await?.unwrap_or(none))
}

fn tag(revision: u64) -> String {
    format!("\"{revision}\"")
}

fn stale(newest: &Revision) -> Problem {
    let Revision { revision, by, at, .. } = newest.clone();
    Problem::precondition_failed(format!(
        "revision {revision} of {by:?} is the newest by now; read it, make the change in it, and send that"
    ))
    .with_current(Current { revision, by, at })
}
