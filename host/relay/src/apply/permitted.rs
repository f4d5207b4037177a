//! Who has a role in some organizational units changes what is of these, and nothing else.

use sealwire_core::units::Within;

use super::{Change, ChangeError, read_apart};
use crate::live::Live;
use crate::relay::Relay;
use crate::settings::owned::{Owned, named_outside, outside};
use crate::settings::{Gathered, Model, SettingsDocument, pieces};

/// The settings as they were, for one who may change a part of them.
pub(super) struct Before {
    settings: SettingsDocument,
    gathered: Gathered,
}

impl Relay {
    /// Reads them, and refuses what names an object of others before anything is said of it.
    pub(super) async fn named_within(
        &self,
        within: &Within,
        change: &Change,
        mut gathered: Gathered,
        live: &Live,
    ) -> Result<Before, ChangeError> {
        pieces::fetch(&*self.store, &mut gathered, Some(&live.settings)).await?;
        let (settings, gathered) = read_apart(gathered, live.settings.clone()).await?;
        if let Change::Edits(edits) = change
            && let Some(object) = named_outside(within, edits, &Owned::of(&settings, &live.base)?)
        {
            return Err(ChangeError::NotTheirs { object, within: within.clone() });
        }
        Ok(Before { settings, gathered })
    }

    /// What is in force of these units.
    pub fn model_of(&self, within: &Within) -> Model {
        let live = self.live();
        match Owned::of(&live.settings, &live.base) {
            _ if within.is_all() => self.model(),
            Ok(owned) => self.model().of_units(within, &owned),
            // It is live, so it has no problem.
            Err(_) => Model::default(),
        }
    }

    /// Whether a list is of these units.
    pub fn list_is_of(&self, list: &str, within: &Within) -> bool {
        let live = self.live();
        within.is_all()
            || Owned::of(&live.settings, &live.base).is_ok_and(|owned| owned.list(list, within) == Some(true))
    }
}

impl Before {
    /// Refuses a change that touches anything else.
    pub(super) fn may_become(
        &self,
        within: &Within,
        (settings, gathered): (&SettingsDocument, &Gathered),
        live: &Live,
    ) -> Result<(), ChangeError> {
        let (before, after) = (Owned::of(&self.settings, &live.base)?, Owned::of(settings, &live.base)?);
        match outside(within, (&before, &self.gathered), (&after, gathered)) {
            None => Ok(()),
            Some(object) => Err(ChangeError::NotTheirs { object, within: within.clone() }),
        }
    }
}
