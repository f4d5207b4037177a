//! What is in force in a unit: the settings of its path, root first, but those that are off, disabled or overridden.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{UnitPath, Units};

/// What the host reads of a setting; all else is its policy's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingScope {
    /// Names it among all settings.
    pub id: String,
    /// The id is written there, and not made of a description, which might change, or of a number, which might be another's.
    pub id_is_written: bool,
    /// In force there and below.
    pub unit: UnitPath,
    /// Off, it is in force nowhere and overrides nothing.
    pub enabled: bool,
    /// The id of an inherited setting in whose place it stands.
    pub overrides: Option<String>,
    /// Units below may switch it off.
    pub may_be_disabled: bool,
    /// Units below may put another in its place.
    pub may_be_overridden: bool,
    /// Not in force for mail whose client and recipient are both ours.
    pub exempt_internal_mail: bool,
}

/// How a setting stands in a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The unit's own, and in force.
    LocallyApplied,
    /// Of a unit above, and in force.
    Inherited,
    /// It is off.
    Off,
    /// This unit, or one between, has switched it off.
    Disabled(UnitPath),
    /// The setting of this id stands in its place.
    Overridden(String),
}

/// Where a problem stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// A key of the setting at this index.
    Setting(usize, &'static str),
    /// An entry of this unit's `disables`.
    Disables(&'a UnitPath, &'a str),
}

/// What is wrong with where settings stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeProblem<'a> {
    /// Of what.
    pub place: Place<'a>,
    /// What is wrong, and how to mend it.
    pub text: String,
}

/// All settings by the unit they stand in: a thousand units look at their own path, and not at each other's settings.
pub struct ByUnit<'a> {
    settings: &'a [SettingScope],
    /// Places in `settings`, in order.
    places: BTreeMap<&'a UnitPath, Vec<usize>>,
}

impl<'a> ByUnit<'a> {
    /// Sorts them.
    pub fn of(settings: &'a [SettingScope]) -> ByUnit<'a> {
        let mut places: BTreeMap<&UnitPath, Vec<usize>> = BTreeMap::new();
        for (index, setting) in settings.iter().enumerate() {
            places.entry(&setting.unit).or_default().push(index);
        }
        ByUnit { settings, places }
    }

    /// How every setting on a unit's path stands there, as (index, standing), those of the root first.
    pub fn standing(&self, units: &Units, unit: &UnitPath) -> Vec<(usize, Standing)> {
        let path: Vec<UnitPath> = unit.from_root().collect();
        let on_path = path.iter().filter_map(|above| self.places.get(above)).flatten();
        let on_path: Vec<(usize, &SettingScope)> = on_path.map(|index| (*index, &self.settings[*index])).collect();
        on_path.iter().map(|(index, setting)| (*index, stands(setting, &on_path, units, &path))).collect()
    }

    /// Indexes of the settings that are in force in a unit, those of the root first. `internal`: for mail whose client and
    /// recipient are both ours.
    pub fn in_force(&self, units: &Units, unit: &UnitPath, internal: bool) -> Vec<usize> {
        let stands = self.standing(units, unit).into_iter();
        let in_force = stands.filter(|(_, stands)| matches!(stands, Standing::LocallyApplied | Standing::Inherited));
        in_force.map(|(index, _)| index).filter(|at| !(internal && self.settings[*at].exempt_internal_mail)).collect()
    }
}

/// How one of the settings on a unit's path stands at its end.
fn stands(setting: &SettingScope, on_path: &[(usize, &SettingScope)], units: &Units, path: &[UnitPath]) -> Standing {
    if !setting.enabled {
        return Standing::Off;
    }
    let mut below = path.iter().filter(|path| path.is_below(&setting.unit));
    let disables = |path: &&UnitPath| units.get(path).is_some_and(|below| below.disables.contains(&setting.id));
    if let (true, Some(by)) = (setting.may_be_disabled, below.find(disables)) {
        return Standing::Disabled(by.clone());
    }
    // What is off or disabled itself takes nobody's place; what is overridden has another in its own. Each is of a unit below,
    // so this ends.
    let takes_its_place = |other: &&SettingScope| {
        other.unit.is_below(&setting.unit)
            && other.overrides.as_deref() == Some(&*setting.id)
            && !matches!(stands(other, on_path, units, path), Standing::Off | Standing::Disabled(_))
    };
    match on_path.iter().map(|(_, other)| *other).find(takes_its_place) {
        Some(other) if setting.may_be_overridden => Standing::Overridden(other.id.clone()),
        _ if path.last() == Some(&setting.unit) => Standing::LocallyApplied,
        _ => Standing::Inherited,
    }
}

/// Everything that is wrong with where settings stand. What is refused here has no effect there either: a setting that may
/// not be disabled stands, whatever a unit below says.
pub fn problems<'a>(settings: &[SettingScope], units: &'a Units) -> Vec<ScopeProblem<'a>> {
    let mut problems = Vec::new();
    let mut by_id: BTreeMap<&str, &SettingScope> = BTreeMap::new();
    for (index, setting) in settings.iter().enumerate() {
        let mut note = |key, text| problems.push(ScopeProblem { place: Place::Setting(index, key), text });
        if by_id.insert(&setting.id, setting).is_some() {
            note("id", format!("another setting has the id {:?}; give each its own", setting.id));
        }
        if units.get(&setting.unit).is_none() {
            note("unit", format!("there is no unit {}; add [units.{:?}]", setting.unit, below_root(&setting.unit)));
        }
    }
    let refused = |id: &str, unit: &UnitPath, may: fn(&SettingScope) -> bool, key: &str| match by_id.get(id) {
        None => Some(format!("there is no setting of the id {id:?}")),
        Some(above) if !unit.is_below(&above.unit) => {
            Some(format!("{id:?} is not inherited here: it stands in {}", above.unit))
        }
        Some(above) if !above.id_is_written => {
            Some(format!("{id:?} is made of a description and may become another's; write id = {id:?} there first"))
        }
        Some(above) if !may(above) => Some(format!("{id:?} does not allow it; set {key} = true there first")),
        Some(_) => None,
    };
    for (index, setting) in settings.iter().enumerate() {
        let Some(id) = &setting.overrides else { continue };
        let text = refused(id, &setting.unit, |above| above.may_be_overridden, "may-be-overridden");
        problems.extend(text.map(|text| ScopeProblem { place: Place::Setting(index, "overrides"), text }));
    }
    for (path, unit) in units.all() {
        for id in &unit.disables {
            let text = refused(id, path, |above| above.may_be_disabled, "may-be-disabled");
            problems.extend(text.map(|text| ScopeProblem { place: Place::Disables(path, id), text }));
        }
    }
    problems
}

fn below_root(unit: &UnitPath) -> String {
    unit.names()[1..].join("/")
}
