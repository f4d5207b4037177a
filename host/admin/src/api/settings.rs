//! The settings: the newest revision or another, all revisions, and a new one.

use axum::Json;
use axum::extract::{ConnectInfo, Path, Query, State as Extract};
use sealwire_relay::settings::{Difference, Edit, Entries, EntriesWanted, Model};
use sealwire_relay::{Actor, Changing, Replaced};
use sealwire_store::Revision;
use serde::Deserialize;

use super::{Answer, State, whole};
use crate::error::ApiError;
use crate::peer::Peer;

/// Revisions listed at once.
const REVISIONS_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    revision: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct How {
    #[serde(default)]
    note: String,
    /// Read the configuration again in the same step.
    #[serde(default)]
    reload: bool,
    /// Only if this is the newest revision.
    expected: Option<u64>,
    /// Of undo: which revision; that before the newest by default.
    to: Option<u64>,
}

impl How {
    fn by<'a>(&self, actor: &'a Actor) -> Changing<'a> {
        Changing { actor, note: self.note.clone(), expected: self.expected, within: None, reload: self.reload }
    }
}

/// With the texts of all lists.
pub(super) async fn show(Extract(state): Extract<State>, Query(which): Query<Which>) -> Answer<Revision> {
    let found = state.relay.whole_settings(which.revision).await?;
    found.map(Json).ok_or_else(|| match which.revision {
        Some(number) => ApiError::not_found(format!("there is no revision {number} of the settings")),
        None => ApiError::not_found("no settings have been applied yet; use `sealwire settings apply FILE`"),
    })
}

pub(super) async fn revisions(Extract(state): Extract<State>) -> Answer<Vec<Revision>> {
    Ok(Json(state.relay.store().revisions(REVISIONS_MAX).await?))
}

pub(super) async fn apply(
    Extract(state): Extract<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(how): Query<How>,
    document: String,
) -> Answer<Replaced> {
    let (relay, actor) = (state.relay.clone(), peer.actor());
    whole(async move { Ok(relay.apply_settings(document, how.by(&actor)).await?) }).await
}

pub(super) async fn edit(
    Extract(state): Extract<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(how): Query<How>,
    Json(edits): Json<Vec<Edit>>,
) -> Answer<Replaced> {
    let (relay, actor) = (state.relay.clone(), peer.actor());
    whole(async move { Ok(relay.edit_settings(edits, how.by(&actor)).await?) }).await
}

pub(super) async fn undo(
    Extract(state): Extract<State>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(how): Query<How>,
) -> Answer<Replaced> {
    let (relay, actor) = (state.relay.clone(), peer.actor());
    whole(async move { Ok(relay.undo_settings(how.to, how.by(&actor)).await?) }).await
}

/// What is in force, object by object.
pub(super) async fn model(Extract(state): Extract<State>) -> Answer<Model> {
    Ok(Json(state.relay.model()))
}

/// What a document would change.
pub(super) async fn diff(Extract(state): Extract<State>, document: String) -> Answer<Vec<Difference>> {
    Ok(Json(state.relay.differences(document).await?))
}

/// The entries of a list, as they were written.
pub(super) async fn entries(
    Extract(state): Extract<State>,
    Path(list): Path<String>,
    Query(wanted): Query<EntriesWanted>,
) -> Answer<Entries> {
    let found = state.relay.entries(&list, wanted).await?;
    found.map(Json).ok_or_else(|| ApiError::not_found(format!("the settings have no list {list:?}")))
}
