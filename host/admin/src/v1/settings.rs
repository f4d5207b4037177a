//! The settings document by its revisions. A change names the revision it was made from.

use schemars::JsonSchema;
use sealwire_relay::{ChangeError, Changing, Replaced};
use sealwire_store::Revision;
use serde::Deserialize;

use crate::http::Api;
use crate::http::ask::{Ask, Document, Pairs};
use crate::http::conditions::{IfMatch, required};
use crate::http::endpoint::{Answer, Reply, Value};
use crate::http::problem::Problem;

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
    let found = ask.api.relay.whole_settings(Some(number)).await?;
    let found = found.ok_or_else(|| Problem::not_found(format!("there is no revision {number} of the settings")))?;
    Ok(Reply::new(found).tagged(tag(number)))
}

pub(super) async fn revisions(ask: Ask) -> Answer<Vec<Revision>> {
    Ok(Reply::new(ask.api.relay.store().revisions(REVISIONS_MAX).await?))
}

pub(super) async fn apply(ask: Ask<(), How, Document>) -> Answer<Replaced> {
    let How { note, reload } = ask.query;
    let note = noted(note)?;
    let expected = Some(expected(&ask.api, required(ask.if_match)?).await?);
    let (Document(document), actor) = (ask.body, ask.caller.actor());
    let how = Changing { actor: &actor, note, expected, within: None, reload: reload.unwrap_or(false) };
    let replaced = ask.api.relay.apply_settings(document, how).await?;
    let tag = tag(replaced.settings_revision);
    Ok(Reply::new(replaced).tagged(tag))
}

/// The revision that a change is made from: the newest where If-Match names it, else the latest that it names, for the relay to
/// refuse and to say what has changed since.
pub(super) async fn expected(api: &Api, asked: IfMatch) -> Result<u64, Problem> {
    let newest = api.relay.store().revisions(1).await?.pop();
    let number = newest.as_ref().map_or(0, |newest| newest.revision);
    match &asked {
        _ if asked.holds(Some(&tag(number))) => Ok(number),
        IfMatch::Tags(tags) if let Some(other) = tags.iter().filter_map(|tag| revision_of(tag)).max() => Ok(other),
        _ => Err(ChangeError::Conflict { expected: None, newest: newest.map(Box::new), changed: None }.into()),
    }
}

/// The revision that a tag is of; None: it is none of ours.
fn revision_of(of: &str) -> Option<u64> {
    let number = of.trim_matches('"').parse().ok()?;
    (tag(number) == of).then_some(number)
}

/// What a change is for, on one line.
pub(super) fn noted(note: Option<String>) -> Result<String, Problem> {
    let note = note.unwrap_or_default();
    match note.chars().count() > 500 || note.contains(char::is_control) {
        true => Err(Problem::at_parameter("note", "must be one line of at most 500 characters")),
        false => Ok(note),
    }
}

/// Before the first there is number 0, which is empty.
async fn newest(api: &Api) -> Result<Revision, Problem> {
    let none = Revision { revision: 0, at: 0, by: String::new(), note: String::new(), document: String::new() };
    Ok(api.relay.whole_settings(None).await?.unwrap_or(none))
}

pub(super) fn tag(revision: u64) -> String {
    format!("\"{revision}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_ours_have_a_revision() {
        let rows = [
            ("\"7\"", Some(7)),
            ("\"0\"", Some(0)),
            ("\"007\"", None),
            ("\"+7\"", None),
            ("7", None),
            ("W/\"7\"", None),
            ("\"99999999999999999999\"", None),
            ("\"5d41402abc4b2a76\"", None),
        ];
        for (text, expected) in rows {
            assert_eq!(revision_of(text), expected, "{text}");
        }
    }
}
