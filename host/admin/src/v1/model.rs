//! The settings object by object: what is in force, edits of it, and what a document would change.

use schemars::JsonSchema;
use sealwire_relay::settings::{Difference, Edit, Entries, EntriesWanted, Model};
use sealwire_relay::{Changing, Replaced};
use serde::Deserialize;

use super::page::linked;
use super::settings::tag;
use crate::client::encoded;
use crate::http::ask::{Ask, Document, Json, Pairs};
use crate::http::conditions::required;
use crate::http::endpoint::{Answer, Reply, Value};
use crate::http::problem::Problem;

/// Entries of one page.
const LIMIT_MAX: usize = 10_000;

/// A list by its name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Of {
    list: String,
}

/// Which entries.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// Part of an entry or its note, any case.
    search: Option<String>,
    /// From there on: the `next` of the page before. Pages of one list are of one revision.
    #[schemars(regex(pattern = r"^[0-9]{1,19}\.[0-9]{1,18}\.[0-9]{1,18}$"))]
    after: Option<String>,
    /// At most so many; 1,000 if it is not said.
    #[schemars(range(min = 1, max = 10_000))]
    limit: Option<usize>,
}

/// What goes with a change.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    /// What the change is for.
    #[schemars(regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$"), length(max = 500))]
    note: Option<String>,
}

/// Which revision is put into force again.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Back {
    /// What the change is for.
    #[schemars(regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$"), length(max = 500))]
    note: Option<String>,
    /// That one; 0 is none at all; that before the newest if it is not said.
    to: Option<u64>,
}

impl Pairs for Of {}
impl Pairs for Page {}
impl Pairs for Why {}
impl Pairs for Back {}
impl Value for Model {}
impl Value for Entries {}
impl Value for Difference {}

pub(super) async fn show(ask: Ask) -> Answer<Model> {
    let model = ask.api.relay.model_of(&ask.scope);
    let tag = tag(model.revision);
    Ok(Reply::new(model).tagged(tag))
}

pub(super) async fn entries(ask: Ask<Of, Page>) -> Answer<Entries> {
    let Page { search, after, limit } = ask.query;
    let filters = [("search", search.clone()), ("limit", limit.map(|limit| limit.to_string()))];
    let after = after.map(|after| after.parse()).transpose().map_err(|why| Problem::at_parameter("after", why))?;
    let wanted = EntriesWanted { search, after, limit: limit.unwrap_or(EntriesWanted::default().limit) };
    if wanted.limit == 0 || wanted.limit > LIMIT_MAX {
        return Err(Problem::at_parameter("limit", format!("must be from 1 to {LIMIT_MAX}")));
    }
    let list = ask.path.list;
    let found = match ask.api.relay.list_is_of(&list, &ask.scope) {
        true => ask.api.relay.entries(&list, wanted).await?,
        false => None,
    };
    let page = found.ok_or_else(|| Problem::not_found(format!("the settings have no list {list:?}")))?;
    let next = page.next.map(|next| next.to_string());
    let reply = Reply::new(page);
    Ok(match next {
        Some(next) => linked(reply, &format!("/lists/{}/entries", encoded(&list)), &filters, &next),
        None => reply,
    })
}

pub(super) async fn edit(ask: Ask<(), Why, Json<Vec<Edit>>>) -> Answer<Replaced> {
    let expected = Some(super::settings::expected(&ask.api, required(ask.if_match)?).await?);
    let (note, actor) = (super::settings::noted(ask.query.note)?, ask.caller.actor());
    let within = Some(ask.scope).filter(|scope| !scope.is_all());
    let how = Changing { actor: &actor, note, expected, within, reload: false };
    let replaced = ask.api.relay.edit_settings(ask.body.0, how).await?;
    let tag = tag(replaced.settings_revision);
    Ok(Reply::new(replaced).tagged(tag))
}

pub(super) async fn undo(ask: Ask<(), Back>) -> Answer<Replaced> {
    let expected = Some(super::settings::expected(&ask.api, required(ask.if_match)?).await?);
    let (note, actor) = (super::settings::noted(ask.query.note)?, ask.caller.actor());
    let how = Changing { actor: &actor, note, expected, within: None, reload: false };
    let replaced = ask.api.relay.undo_settings(ask.query.to, how).await?;
    let tag = tag(replaced.settings_revision);
    Ok(Reply::new(replaced).tagged(tag))
}

pub(super) async fn diff(ask: Ask<(), (), Document>) -> Answer<Vec<Difference>> {
    let Document(document) = ask.body;
    Ok(Reply::new(ask.api.relay.differences(document).await?))
}
