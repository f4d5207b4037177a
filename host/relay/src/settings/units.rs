//! The organizational units of a settings document, each value with its place.

use std::collections::BTreeMap;

use sealwire_core::units::{Unit, UnitPath, UnitProblem};

use crate::config::Problem;
use crate::config::reader::{At, Faults, Table};
use crate::config::values;

/// As written.
#[derive(Clone, Debug, Default)]
pub(super) struct WrittenUnits {
    file: String,
    pub(super) units: BTreeMap<UnitPath, Unit>,
    /// Line and key, by unit, key and value as it is held; of the unit itself by empty texts.
    places: BTreeMap<(UnitPath, &'static str, String), (usize, String)>,
}

impl WrittenUnits {
    /// The tables below `[units]`.
    pub(super) fn read(table: &Table<'_>, file: &str, faults: &Faults) -> WrittenUnits {
        let mut written = WrittenUnits { file: file.to_owned(), ..WrittenUnits::default() };
        let Some(tables) = table.table("units") else { return written };
        for name in tables.names() {
            let Some(table) = tables.table(&name) else { continue };
            match name.parse::<UnitPath>() {
                Ok(path) if written.units.contains_key(&path) => {
                    faults
                        .note_at(&table.here(), format!("{path} stands here twice, with and without root/ before it"));
                }
                Ok(path) => written.add(path, &table),
                Err(why) => faults.note_at(&table.here(), format!("{name:?} {why}")),
            }
        }
        written
    }

    fn add(&mut self, path: UnitPath, table: &Table<'_>) {
        let here = table.here();
        self.places.insert((path.clone(), "", String::new()), (here.line, here.key));
        let unit = Unit {
            description: table.text("description").map(|at| at.value).unwrap_or_default(),
            domains: self.values(&path, "domains", table.list("domains", values::domain)),
            addresses: self.values(&path, "addresses", table.list("addresses", values::mailbox)),
            networks: self.values(&path, "trusted-networks", table.list("trusted-networks", str::parse)),
            disables: self.values(&path, "disables", table.list("disables", |text| Ok(text.to_owned()))),
        };
        self.units.insert(path, unit);
    }

    fn values<T: ToString, C: FromIterator<T>>(
        &mut self,
        path: &UnitPath,
        key: &'static str,
        list: Option<Vec<At<T>>>,
    ) -> C {
        let place = |At { value, line, key: at }| {
            self.places.insert((path.clone(), key, T::to_string(&value)), (line, at));
            value
        };
        list.unwrap_or_default().into_iter().map(place).collect()
    }

    /// Where this stands. What is not of this document, but of the configuration, has no line.
    pub(super) fn locate(&self, problem: UnitProblem) -> Problem {
        let UnitProblem { unit, key, value, text } = problem;
        let at = |key, value| self.places.get(&(unit.clone(), key, value));
        match at(key, value).or_else(|| at("", String::new())) {
            Some((line, key)) => Problem { file: self.file.clone(), line: *line, key: key.clone(), text },
            None => Problem::new(format!("units.{unit}"), text),
        }
    }
}
