//! Some units with everything below them: what somebody may see and move.

use std::fmt;

use super::{ROOT, UnitPath};

/// Some units, with everything below them. Paths are lists of names, as the queue and the ledger have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Within(Vec<Vec<String>>);

impl Within {
    /// These and what is below them.
    pub fn new(mut units: Vec<Vec<String>>) -> Within {
        units.sort_unstable();
        units.dedup();
        Within(units)
    }

    /// Whether a unit is among them.
    pub fn holds(&self, unit: &[String]) -> bool {
        self.0.iter().any(|of| unit.starts_with(of))
    }

    /// Whether that is the whole tree.
    pub fn is_all(&self) -> bool {
        self.holds(UnitPath::root().names())
    }

    /// The units without those below them.
    pub fn units(&self) -> &[Vec<String>] {
        &self.0
    }
}

/// `root/sales, root/it`.
impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units: Vec<_> = self.0.iter().map(|unit| unit.join("/")).collect();
        f.write_str(&units.join(", "))
    }
}

/// What tells of no unit is the root's.
pub(crate) fn root() -> Vec<String> {
    vec![ROOT.to_owned()]
}

/// As serde asks it.
pub(crate) fn is_root(path: &Vec<String>) -> bool {
    matches!(path.as_slice(), [name] if name == ROOT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_holds_itself_and_what_is_below() {
        let path = |text: &str| text.parse::<UnitPath>().expect("a path").names().to_vec();
        let within = |units: &[&str]| Within::new(units.iter().map(|unit| path(unit)).collect());
        let rows = [
            (&["root"][..], "root", true),
            (&["root"], "root/sales", true),
            (&["root/sales"], "root/sales", true),
            (&["root/sales"], "root/sales/emea", true),
            (&["root/sales"], "root/sales-emea", false),
            (&["root/sales"], "root", false),
            (&["root/sales", "root/it"], "root/it/desk", true),
            (&[], "root", false),
        ];
        for (units, unit, expected) in rows {
            assert_eq!(within(units).holds(&path(unit)), expected, "{units:?} {unit}");
        }
        assert!(within(&["root/it", "root"]).is_all() && !within(&["root/it"]).is_all());
    }
}
