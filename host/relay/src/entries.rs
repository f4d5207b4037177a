//! The entries of a list as its operator wrote them, a page at a time.

use schemars::JsonSchema;
use sealwire_core::list::written;
use sealwire_core::time::rfc3339;
use serde::{Deserialize, Serialize};

use crate::apply::ChangeError;
use crate::relay::Relay;
use crate::settings::{Gathered, pieces};
use crate::start::one;

/// Entries of one answer, at most.
const ENTRIES_MAX: usize = 10_000;

/// Which entries of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct EntriesWanted {
    /// Part of an entry or its note, any case.
    pub search: Option<String>,
    /// So many are left out, for the next page.
    pub after: usize,
    /// At most so many.
    pub limit: usize,
}

impl Default for EntriesWanted {
    fn default() -> EntriesWanted {
        EntriesWanted { search: None, after: 0, limit: 1000 }
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Entries {
    /// How many there are that match, on all pages.
    pub total: usize,
    /// In the order of the list.
    pub entries: Vec<EntryView>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct EntryView {
    /// As written.
    pub text: String,
    /// The comment on its line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// From then on it lists nobody (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Only an authenticated sender counts, where a policy loosens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub authenticated_sender_only: bool,
}

impl Relay {
    /// A page of a list of the newest revision; None: there is no such list.
    pub async fn entries(&self, list: &str, wanted: EntriesWanted) -> Result<Option<Entries>, ChangeError> {
        let Some(revision) = self.store.settings(None).await? else { return Ok(None) };
        let mut gathered = Gathered::read(&revision.document)?.into_owned();
        gathered.lists.retain(|name, _| name == list);
        pieces::fetch(&*self.store, &mut gathered, None).await?;
        let Some(text) = gathered.text_of(list) else { return Ok(None) };
        let page = tokio::task::spawn_blocking(move || page(&text, &wanted)).await;
        Ok(Some(page.map_err(|error| one("settings", error.to_string()))?))
    }
}

fn page(text: &str, wanted: &EntriesWanted) -> Entries {
    let search = wanted.search.as_ref().map(|search| search.to_lowercase());
    let holds = |text: &str| search.as_ref().is_none_or(|search| text.to_lowercase().contains(search));
    let (mut entries, mut total) = (Vec::new(), 0);
    for entry in written(text).filter(|entry| holds(entry.text) || (search.is_some() && holds(entry.note))) {
        if total >= wanted.after && entries.len() < wanted.limit.min(ENTRIES_MAX) {
            entries.push(EntryView {
                text: entry.text.to_owned(),
                note: entry.note.to_owned(),
                until: entry.attributes.until.map(rfc3339),
                authenticated_sender_only: entry.attributes.authenticated_sender_only,
            });
        }
        total += 1;
    }
    Entries { total, entries }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_what_matches_and_says_how_much_there_is() {
        let text = "a.example # Ours\nB.example until=2026-12-31 sender=authenticated\nc.test";
        let rows = [
            (None, 0, 2, 3, vec!["a.example", "B.example"]),
            (None, 2, 2, 3, vec!["c.test"]),
            (None, 9, 2, 3, vec![]),
            (Some("EXAMPLE"), 0, 9, 2, vec!["a.example", "B.example"]),
            (Some("ours"), 0, 9, 1, vec!["a.example"]),
            (Some("nobody"), 0, 9, 0, vec![]),
        ];
        for (search, after, limit, total, expected) in rows {
            let wanted = EntriesWanted { search: search.map(str::to_owned), after, limit };
            let page = page(text, &wanted);
            let texts: Vec<&str> = page.entries.iter().map(|entry| entry.text.as_str()).collect();
            assert_eq!((page.total, texts), (total, expected), "{wanted:?}");
        }
        let all = page(text, &EntriesWanted::default()).entries;
        assert_eq!((all[0].note.as_str(), all[1].authenticated_sender_only), ("Ours", true));
        assert_eq!(all[1].until.as_deref(), Some("2027-01-01T00:00:00Z"));
    }
}
