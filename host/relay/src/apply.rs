//! Changes of the settings: a whole document, edits of what is in force, an older revision again. Every one is one transaction,
//! one revision, one generation and one audit entry; refused, it is an audit entry and nothing else.

mod error;
mod permitted;
mod since;

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwire_core::units::Within;
use sealwire_store::{NewRevision, Revision};
use serde_json::{Map, Value, json};

use crate::audit::{self, Act, Actor};
use crate::config::Problem;
use crate::listener;
use crate::relay::Relay;
use crate::settings::diff::{Difference, differences};
use crate::settings::edit::{self, Edit};
use crate::settings::{Gathered, Model, SettingsDocument, pieces};
use crate::start::{Replaced, one};

pub use error::ChangeError;
pub use since::ChangedSince;

/// Who changes the settings, and on what condition.
#[derive(Clone, Debug)]
pub struct Changing<'a> {
    /// Who asks.
    pub actor: &'a Actor,
    /// What for.
    pub note: String,
    /// The newest revision must be this one (0: there is none yet), else nothing is changed.
    pub expected: Option<u64>,
    /// The units that `actor` may change settings of; what is of others is not touched. None: the whole.
    pub within: Option<Within>,
    /// The configuration is read again in the same step: a policy that needs settings can join or leave the chain no other
    /// way.
    pub reload: bool,
}

/// What the settings shall be.
#[derive(Clone, Debug)]
pub enum Change {
    /// This document, gathered or bare.
    Document(String),
    /// The newest revision with these edits, one after the other.
    Edits(Vec<Edit>),
    /// That older revision again; 0 is none at all.
    Revision(u64),
}

impl Relay {
    /// Puts a document into force.
    pub async fn apply_settings(&self, document: String, how: Changing<'_>) -> Result<Replaced, ChangeError> {
        self.change(Act::of("settings-apply", "settings"), how, Change::Document(document)).await
    }

    /// Edits what is in force: all of it or nothing.
    pub async fn edit_settings(&self, edits: Vec<Edit>, how: Changing<'_>) -> Result<Replaced, ChangeError> {
        let mut objects: Vec<String> = edits.iter().map(Edit::object).collect();
        objects.dedup();
        self.change(Act::of("settings-edit", objects.join(", ")), how, Change::Edits(edits)).await
    }

    /// Puts an older revision into force again, as a new one; None: that before the newest. 0 is that without any settings.
    pub async fn undo_settings(&self, to: Option<u64>, how: Changing<'_>) -> Result<Replaced, ChangeError> {
        let newest = self.store.revisions(1).await?.first().map_or(0, |newest| newest.revision);
        // The change before the newest is that of now, and no other's that comes in between.
        let expected = how.expected.or(to.is_none().then_some(newest));
        let (to, how) = (to.unwrap_or(newest.saturating_sub(1)), Changing { expected, ..how });
        self.change(Act::of("settings-undo", format!("revision {to}")), how, Change::Revision(to)).await
    }

    /// What is in force, object by object.
    pub fn model(&self) -> Model {
        let live = self.live();
        // It is live, so it has no problem.
        Model::of(&live.settings, &live.base, live.settings_revision).unwrap_or_default()
    }

    /// What this document would change; nothing is changed.
    pub async fn differences(&self, document: String) -> Result<Vec<Difference>, ChangeError> {
        let live = self.live();
        let (settings, _) = read_apart(read(&document)?, live.settings.clone()).await?;
        let compare = move || {
            let after = Model::of(&settings, &live.base, live.settings_revision)?;
            let before = Model::of(&live.settings, &live.base, live.settings_revision)?;
            Ok::<_, Vec<Problem>>(differences(&before, &after, (&live.settings, &settings)))
        };
        let compared = tokio::task::spawn_blocking(compare).await;
        Ok(compared.map_err(|error| one("settings", error.to_string()))??)
    }

    /// The document that a change makes of what is in force.
    pub(crate) async fn changed(&self, change: &Change, newest: &Gathered) -> Result<Gathered, ChangeError> {
        match change {
            Change::Document(document) => Ok(read(document)?),
            Change::Edits(edits) => {
                // Only lists whose entries are edited are needed as texts.
                let is_edited = |name: &String| edits.iter().any(|edit| edit.list() == Some(name));
                let (mut whole, mut others) = (newest.clone(), newest.lists.clone());
                whole.lists.retain(|name, _| is_edited(name));
                others.retain(|name, _| !is_edited(name));
                pieces::fetch(&*self.store, &mut whole, None).await?;
                whole.lists.values_mut().for_each(|list| list.pieces.clear());
                whole.lists.extend(others);
                // Ten thousand edits of a long document take a while, and sessions wait for this thread.
                let edits = edits.clone();
                let edited = tokio::task::spawn_blocking(move || edit::edit(whole, &edits)).await;
                edited.map_err(|error| one("settings", error.to_string()))?.map_err(ChangeError::Edit)
            }
            Change::Revision(0) => Ok(Gathered::default()),
            Change::Revision(to) => {
                let revision = self.store.settings(Some(*to)).await?.ok_or(ChangeError::NoRevision(*to))?;
                Ok(read(&revision.document)?)
            }
        }
    }

    /// A revision with the texts of all its lists, the newest for None.
    pub async fn whole_settings(&self, revision: Option<u64>) -> Result<Option<Revision>, ChangeError> {
        let Some(mut revision) = self.store.settings(revision).await? else { return Ok(None) };
        let mut gathered = Gathered::read(&revision.document)?.into_owned();
        pieces::fetch(&*self.store, &mut gathered, None).await?;
        gathered.lists.values_mut().for_each(|list| list.pieces.clear());
        revision.document = gathered.document()?;
        Ok(Some(revision))
    }

    async fn change(&self, act: Act, how: Changing<'_>, change: Change) -> Result<Replaced, ChangeError> {
        let act = act.noting(how.note.clone());
        let mut changed = self.try_change(&act, &how, &change).await;
        if let Err(error) = &mut changed {
            self.audit(how.actor, act.refused(error.reason())).await;
            self.tell_what_changed(error, how.within.as_ref()).await;
        }
        changed
    }

    async fn try_change(&self, act: &Act, how: &Changing<'_>, change: &Change) -> Result<Replaced, ChangeError> {
        let _one_at_a_time = self.building.lock().await;
        let live = self.live();
        let newest = self.store.settings(None).await?;
        let number = newest.as_ref().map_or(0, |newest| newest.revision);
        if let Some(expected) = how.expected.filter(|expected| *expected != number) {
            let newest = newest.map(|newest| Box::new(Revision { document: String::new(), ..newest }));
            return Err(ChangeError::Conflict { expected: Some(expected), newest, changed: None });
        }
        let before = newest.map_or_else(|| Ok(Gathered::default()), |newest| read(&newest.document))?;
        let theirs = match &how.within {
            Some(within) => Some((within, self.named_within(within, change, before.clone(), &live).await?)),
            None => None,
        };
        let mut after = self.changed(change, &before).await?;
        pieces::fetch(&*self.store, &mut after, Some(&live.settings)).await?;
        let (settings, after) = read_apart(after, live.settings.clone()).await?;
        if let Some((within, theirs)) = theirs {
            theirs.may_become(within, (&settings, &after), &live)?;
        }
        let config = if how.reload { Arc::new(self.read_configuration()?) } else { Arc::clone(&live.base) };
        let acceptors = if how.reload { Some(listener::acceptors(&config)?) } else { None };
        let notes = self.needs_restart(&config);
        let built = self.built(config, settings, number + 1).await?;
        let (told_before, told_after) = self.told(before, &after).await?;
        let apart = tokio::task::spawn_blocking(move || pieces::apart(&after)).await;
        let apart = apart.map_err(|error| one("settings", error.to_string()))??;
        let about = [
            ("configuration-read-again", how.reload.into()),
            ("sha-256", audit::digest(apart.document.as_bytes()).into()),
        ];
        let act =
            act.clone().changing(with([("settings-revision", number.into())], told_before), with(about, told_after));
        // The revision is durable before it is live; a crash in between comes up with it.
        let now = self.world.now();
        let new = NewRevision {
            document: apart.document,
            pieces: apart.pieces,
            needs: apart.needs,
            by: how.actor.by.clone(),
            note: act.note.clone(),
            now,
            expected: Some(number),
            audit: Some(self.entry(how.actor, act, Some(built.generation.number()))),
        };
        let revision = self.store.put_settings(new).await?;
        if let Some(acceptors) = acceptors {
            self.acceptors.store(Arc::new(acceptors));
        }
        Ok(Replaced { notes, ..self.swap(built.of_revision(revision, now)) })
    }

    /// What differs, by file, as it was and as it is.
    async fn told(&self, mut before: Gathered, after: &Gathered) -> Result<(Told, Told), ChangeError> {
        let sources = |gathered: &Gathered| -> BTreeMap<String, _> {
            gathered.lists.iter().map(|(name, list)| (name.clone(), pieces::source(list))).collect()
        };
        let (old, new) = (sources(&before), sources(after));
        let is_changed = |name: &String| old.get(name) != new.get(name);
        before.lists.retain(|name, _| is_changed(name));
        pieces::fetch(&*self.store, &mut before, None).await?;
        let (mut was, mut is) = (Told::new(), Told::new());
        let mut tell = |name: String, one: &str, other: &str| {
            let (one, other) = differing(one, other);
            was.extend((!one.is_empty()).then(|| (name.clone(), one.to_owned())));
            is.extend((!other.is_empty()).then(|| (name, other.to_owned())));
        };
        tell("settings".to_owned(), &before.text, &after.text);
        let changed = after.lists.iter().filter(|(name, _)| is_changed(name));
        let mut lists: BTreeMap<&String, (&str, &str)> =
            changed.map(|(name, list)| (name, ("", list.text.as_str()))).collect();
        for (name, list) in &before.lists {
            lists.entry(name).or_default().0 = &list.text;
        }
        lists.into_iter().for_each(|(name, (one, other))| tell(format!("list {name}"), one, other));
        Ok((was, is))
    }
}

/// Lines that differ, by what they stand in.
type Told = BTreeMap<String, String>;

fn with<const N: usize>(about: [(&str, Value); N], told: Told) -> Value {
    let mut object: Map<String, Value> = told.into_iter().map(|(name, lines)| (name, lines.into())).collect();
    object.extend(about.map(|(key, value)| (key.to_owned(), value)));
    json!(object)
}

/// What stands between the lines with which both begin and those with which both end.
fn differing<'a>(one: &'a str, other: &'a str) -> (&'a str, &'a str) {
    let lines = |text: &'a str| text.split_inclusive('\n');
    let begin: usize = lines(one).zip(lines(other)).take_while(|(a, b)| a == b).map(|(line, _)| line.len()).sum();
    let (one, other) = (&one[begin..], &other[begin..]);
    let backwards = |text: &'a str| text.split_inclusive('\n').rev();
    let end: usize = backwards(one).zip(backwards(other)).take_while(|(a, b)| a == b).map(|(line, _)| line.len()).sum();
    (&one[..one.len() - end], &other[..other.len() - end])
}

pub(crate) fn read(document: &str) -> Result<Gathered, Vec<Problem>> {
    Gathered::read(document).map(std::borrow::Cow::into_owned)
}

/// A document with a million entries takes its time; the mail path is not to notice. It comes back with its pieces named.
pub(crate) async fn read_apart(
    mut gathered: Gathered,
    before: SettingsDocument,
) -> Result<(SettingsDocument, Gathered), Vec<Problem>> {
    let read = move || {
        pieces::name_pieces(&mut gathered);
        SettingsDocument::of_gathered(&before, &gathered).map(|settings| (settings, gathered))
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| Err(one("settings", error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::differing;

    #[test]
    fn what_differs_stands_between_what_is_equal() {
        let rows = [
            ("a\nb\nc\n", "a\nx\nc\n", ("b\n", "x\n")),
            ("a\nb\n", "a\nb\n", ("", "")),
            ("", "a\n", ("", "a\n")),
            ("a\na\n", "a\n", ("a\n", "")),
            ("a\nb", "a\nb\nc", ("b", "b\nc")),
        ];
        for (one, other, expected) in rows {
            assert_eq!(differing(one, other), expected, "{one:?} {other:?}");
        }
    }
}
