//! What has changed since a revision: told to whoever made a change from it and comes too late, so that he need not look for it.

use schemars::JsonSchema;
use sealwire_core::units::Within;
use sealwire_core::visible::visible;
use serde::{Deserialize, Serialize};

use super::{ChangeError, read, read_apart};
use crate::config::Problem;
use crate::live::Live;
use crate::relay::Relay;
use crate::settings::diff::{Difference, differences};
use crate::settings::owned::{Owned, only_within};
use crate::settings::{Gathered, Model, SettingsDocument, pieces};
use crate::start::one;

/// Things told apart; whoever missed more reads the settings anew.
const CHANGES_MAX: usize = 50;
/// Lines of one thing, and settings and units that it concerns.
const LINES_MAX: usize = 20;
/// Octets of a line: a value may be long.
const LINE_MAX: usize = 500;

/// From the revision that a change was made from to the newest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ChangedSince {
    /// The revision that the change was made from; 0: before the first.
    pub since: u64,
    /// What is otherwise in the newest: settings, lists, units, routes.
    pub changes: Vec<Difference>,
    /// Changes, lines of changes and things concerned that are left out, for there are more than are told.
    pub left_out: usize,
    /// Why it cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

impl ChangedSince {
    fn of(since: u64, mut changes: Vec<Difference>) -> ChangedSince {
        let mut left_out = cut(&mut changes, CHANGES_MAX);
        for change in &mut changes {
            left_out += cut(&mut change.lines, LINES_MAX) + cut(&mut change.affects, LINES_MAX);
            for line in change.lines.iter_mut().filter(|line| line.len() > LINE_MAX) {
                let octets = line.len();
                line.truncate(line.floor_char_boundary(LINE_MAX));
                line.push_str(&format!(" ... ({octets} octets)"));
            }
        }
        ChangedSince { since, changes, left_out, trouble: None }
    }

    /// For people, line by line.
    pub fn told(&self) -> Vec<String> {
        let ChangedSince { since, changes, left_out, trouble } = self;
        let mut lines = match trouble {
            Some(trouble) => {
                vec![format!("what has changed since revision {since} cannot be told: {}", visible(trouble))]
            }
            None if changes.is_empty() => {
                vec![format!("nothing that `settings diff` tells of has changed since revision {since}")]
            }
            None => vec![format!("since revision {since}:")],
        };
        lines.extend(changes.iter().flat_map(Difference::told).map(|line| format!("  {line}")));
        lines.extend((*left_out > 0).then(|| format!("  and {left_out} more")));
        lines
    }
}

/// Leaves so many; how many went.
fn cut<T>(things: &mut Vec<T>, most: usize) -> usize {
    let more = things.len().saturating_sub(most);
    things.truncate(most);
    more
}

impl Relay {
    /// Puts into a conflict what has changed, of these units.
    pub(super) async fn tell_what_changed(&self, error: &mut ChangeError, within: Option<&Within>) {
        let ChangeError::Conflict { expected: Some(since), newest, changed } = error else { return };
        let newest = newest.as_ref().map_or(0, |newest| newest.revision);
        let compared = self.compared(*since, newest, within.cloned()).await;
        let told = compared.map(|differences| ChangedSince::of(*since, differences)).unwrap_or_else(|error| {
            ChangedSince { since: *since, trouble: Some(error.reason()), ..ChangedSince::default() }
        });
        *changed = Some(Box::new(told));
    }

    async fn compared(&self, since: u64, newest: u64, within: Option<Within>) -> Result<Vec<Difference>, ChangeError> {
        let live = self.live();
        let (before, after) = (self.of_revision(since, &live).await?, self.of_revision(newest, &live).await?);
        let compare = move || {
            let model = |settings: &SettingsDocument, number| Model::of(settings, &live.base, number);
            let (old, new) = (model(&before, since)?, model(&after, newest)?);
            let mut changes = differences(&old, &new, (&before, &after));
            if let Some(within) = within {
                only_within(&mut changes, &within, &Owned::of(&before, &live.base)?, &Owned::of(&after, &live.base)?);
            }
            Ok::<_, Vec<Problem>>(changes)
        };
        let compared = tokio::task::spawn_blocking(compare).await;
        Ok(compared.map_err(|error| one("settings", error.to_string()))??)
    }

    /// Lists that are live are not read again.
    async fn of_revision(&self, number: u64, live: &Live) -> Result<SettingsDocument, ChangeError> {
        let mut gathered = match number {
            0 => Gathered::default(),
            _ => read(&self.store.settings(Some(number)).await?.ok_or(ChangeError::NoRevision(number))?.document)?,
        };
        pieces::fetch(&*self.store, &mut gathered, Some(&live.settings)).await?;
        Ok(read_apart(gathered, live.settings.clone()).await?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_left_out_and_counted() {
        let change = |lines: usize, affects: usize| Difference {
            what: "list partners".to_owned(),
            how: "changed".to_owned(),
            lines: (0..lines).map(|at| format!("line {at}")).collect(),
            affects: (0..affects).map(|at| format!("setting {at}")).collect(),
        };
        let long = Difference { lines: vec!["\u{e9}".repeat(LINE_MAX)], ..change(0, 0) };
        let rows = [
            (vec![], (0, 0)),
            (vec![change(LINES_MAX, LINES_MAX)], (1, 0)),
            (vec![change(LINES_MAX + 2, LINES_MAX + 3)], (1, 5)),
            ((0..CHANGES_MAX + 7).map(|_| change(1, 0)).collect(), (CHANGES_MAX, 7)),
            (vec![long], (1, 0)),
        ];
        for (changes, expected) in rows {
            let told = ChangedSince::of(3, changes);
            assert_eq!((told.changes.len(), told.left_out), expected);
            let lines = told.changes.iter().flat_map(|change| &change.lines);
            assert!(lines.clone().all(|line| line.len() <= LINE_MAX + 32), "{:?}", lines.collect::<Vec<_>>());
        }
        let told = ChangedSince::of(3, vec![change(LINES_MAX + 1, 0)]).told();
        assert_eq!((told[0].as_str(), told[1].as_str()), ("since revision 3:", "  list partners: changed"));
        assert_eq!(told.last().map(String::as_str), Some("  and 1 more"));
        assert_eq!(
            ChangedSince::of(3, vec![]).told(),
            ["nothing that `settings diff` tells of has changed since revision 3"]
        );
    }
}
