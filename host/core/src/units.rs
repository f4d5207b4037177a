//! Organizational units: a tree of who is ours, and which settings are in force for whom.
//!
//! Domains, addresses and trusted networks belong to one unit each. A setting stands in a unit and is in force there and
//! below. A unit below may switch it off, or put one of its own in its place, only where the setting says so; nothing is
//! ever weakened by mistake. What MAIL FROM or From claims brings no unit.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::address::{Domain, Mailbox};
use crate::network::Network;

mod standing;
pub(crate) mod within;

pub use standing::{ByUnit, Place, ScopeProblem, SettingScope, Standing, problems};
pub use within::Within;

/// Name of the unit above all others.
pub const ROOT: &str = "root";
/// Units between the root and any other, both counted: no organization is deeper, and a path stays readable.
const DEPTH_MAX: usize = 16;
/// Longest name of a unit, as of other names.
const NAME_MAX: usize = 64;

/// Where a unit stands in the tree: `root`, `root/sales`, `root/sales/emea`. A path sorts before those below it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitPath(Vec<String>);

impl UnitPath {
    /// The unit above all others.
    pub fn root() -> UnitPath {
        UnitPath(vec![ROOT.to_owned()])
    }

    /// Names, root first, as policies and the queue have them.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The unit it stands in; None of the root.
    pub fn parent(&self) -> Option<UnitPath> {
        let (_, above) = self.0.split_last().filter(|(_, above)| !above.is_empty())?;
        Some(UnitPath(above.to_vec()))
    }

    /// The root, and every unit on the way down to this one.
    pub fn from_root(&self) -> impl DoubleEndedIterator<Item = UnitPath> {
        (1..=self.0.len()).map(|depth| UnitPath(self.0[..depth].to_vec()))
    }

    /// It is that unit, or stands somewhere below it.
    pub fn is_within(&self, other: &UnitPath) -> bool {
        self.0.starts_with(&other.0)
    }

    /// It stands somewhere below that unit.
    pub fn is_below(&self, other: &UnitPath) -> bool {
        self != other && self.is_within(other)
    }
}

impl FromStr for UnitPath {
    /// What is wrong, and what would be right.
    type Err = String;

    /// With or without the root's name before it: `sales/emea` is `root/sales/emea`.
    fn from_str(text: &str) -> Result<UnitPath, String> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let mut names: Vec<String> = text.split('/').map(str::to_owned).collect();
        if names[0] != ROOT {
            names.insert(0, ROOT.to_owned());
        }
        if names.len() > DEPTH_MAX {
            return Err(format!("is deeper than {DEPTH_MAX} units"));
        }
        let is_name = |name: &String| !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(plain);
        if !names.iter().all(is_name) {
            return Err(format!(
                "is no unit; write names of 1 to {NAME_MAX} of a-z, 0-9 and -, one below the other: sales/emea"
            ));
        }
        Ok(UnitPath(names))
    }
}

impl JsonSchema for UnitPath {
    fn schema_name() -> Cow<'static, str> {
        "UnitPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "An organizational unit by its path from the root, such as `root/sales/emea`.",
            "pattern": "^(root|(root/)?[a-z0-9-]{1,64}(/[a-z0-9-]{1,64}){0,14})$",
        })
    }
}

/// What a unit has of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// For people.
    pub description: String,
    /// Anyone may send to these.
    pub domains: BTreeSet<Domain>,
    /// Single mailboxes of hosted domains that belong here, whatever unit their domain belongs to.
    pub addresses: BTreeSet<Mailbox>,
    /// Clients in these may send to any domain.
    pub networks: BTreeSet<Network>,
    /// Inherited settings, by id, that are not in force here and below.
    pub disables: BTreeSet<String>,
}

/// The tree, and who belongs where.
#[derive(Clone, Debug)]
pub struct Units {
    units: BTreeMap<UnitPath, Unit>,
    domains: BTreeMap<Domain, UnitPath>,
    addresses: BTreeMap<Mailbox, UnitPath>,
    /// The smallest first.
    networks: Vec<(Network, UnitPath)>,
}

/// What is wrong with the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitProblem {
    /// Of which unit.
    pub unit: UnitPath,
    /// Which part of it: `domains`, `addresses`, `trusted-networks`; empty: the unit itself.
    pub key: &'static str,
    /// The value at fault, as it is held.
    pub value: String,
    /// What is wrong, and how to mend it.
    pub text: String,
}

impl Units {
    /// The tree of these units; the root is there if it is not named. All problems at once.
    pub fn new(mut units: BTreeMap<UnitPath, Unit>) -> Result<Units, Vec<UnitProblem>> {
        units.entry(UnitPath::root()).or_default();
        let mut tree = Units {
            units: BTreeMap::new(),
            domains: BTreeMap::new(),
            addresses: BTreeMap::new(),
            networks: Vec::new(),
        };
        let mut problems = Vec::new();
        let mut networks: BTreeMap<Network, UnitPath> = BTreeMap::new();
        for (path, unit) in &units {
            let mut note = |key, value: String, text: String| {
                problems.push(UnitProblem { unit: path.clone(), key, value, text });
            };
            if let Some(parent) = path.parent().filter(|parent| !units.contains_key(parent)) {
                note("", String::new(), format!("stands below {parent}, which does not exist; add that first"));
            }
            for domain in &unit.domains {
                if let Some(taken) = claim(&mut tree.domains, domain.clone(), path) {
                    note("domains", domain.to_string(), format!("{domain} belongs to {taken} already"));
                }
            }
            for address in &unit.addresses {
                if let Some(taken) = claim(&mut tree.addresses, in_one_form(address), path) {
                    note("addresses", address.to_string(), format!("{address} belongs to {taken} already"));
                }
            }
            for network in &unit.networks {
                if let Some(taken) = claim(&mut networks, *network, path) {
                    note("trusted-networks", network.to_string(), format!("{network} belongs to {taken} already"));
                }
            }
        }
        for (path, unit) in &units {
            for address in unit.addresses.iter().filter(|address| !tree.domains.contains_key(&address.domain)) {
                let text = format!("{} is hosted by no unit; add it to the domains of one", address.domain);
                let value = address.to_string();
                problems.push(UnitProblem { unit: path.clone(), key: "addresses", value, text });
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        tree.networks = networks.into_iter().collect();
        tree.networks.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix()));
        tree.units = units;
        Ok(tree)
    }

    /// The unit that a client of this address brings: that of the smallest trusted network it is in. None: it is not
    /// trusted.
    pub fn of_client(&self, address: IpAddr) -> Option<&UnitPath> {
        self.networks.iter().find(|(network, _)| network.contains(address)).map(|(_, unit)| unit)
    }

    /// The unit of a recipient of ours: his own, else his domain's. None: he is not ours.
    pub fn of_recipient(&self, recipient: &Mailbox) -> Option<&UnitPath> {
        let own = || self.addresses.get(&in_one_form(recipient));
        let hosted = self.domains.get(&recipient.domain)?;
        if self.addresses.is_empty() { Some(hosted) } else { own().or(Some(hosted)) }
    }

    /// The unit of this path, or the nearest above it that is there: units may go while mail waits.
    pub fn nearest(&self, names: &[String]) -> UnitPath {
        let mut path = UnitPath(names.to_vec());
        loop {
            match path.parent() {
                _ if self.units.contains_key(&path) => return path,
                Some(parent) => path = parent,
                None => return UnitPath::root(),
            }
        }
    }

    /// All of them, each before those below it.
    pub fn all(&self) -> impl Iterator<Item = (&UnitPath, &Unit)> {
        self.units.iter()
    }

    /// One of them.
    pub fn get(&self, path: &UnitPath) -> Option<&Unit> {
        self.units.get(path)
    }

    /// Every hosted domain, with its unit.
    pub fn domains(&self) -> &BTreeMap<Domain, UnitPath> {
        &self.domains
    }

    /// Mailboxes that belong to another unit than their domain may, in the form of [`in_one_form`].
    pub fn addresses(&self) -> &BTreeMap<Mailbox, UnitPath> {
        &self.addresses
    }

    /// Every trusted network, with its unit, the smallest first.
    pub fn networks(&self) -> &[(Network, UnitPath)] {
        &self.networks
    }
}

/// A mailbox as units know it: the local part in lower case, as lists have it (R8).
pub fn in_one_form(mailbox: &Mailbox) -> Mailbox {
    Mailbox::new(mailbox.local.chars().flat_map(char::to_lowercase).collect::<String>(), mailbox.domain.clone())
}

/// Whose it was before, if it was another's; else it is this unit's now.
fn claim<K: Ord>(taken: &mut BTreeMap<K, UnitPath>, what: K, by: &UnitPath) -> Option<UnitPath> {
    match taken.get(&what) {
        Some(unit) => Some(unit.clone()),
        None => {
            taken.insert(what, by.clone());
            None
        }
    }
}

impl fmt::Display for UnitPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

impl fmt::Debug for UnitPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for UnitPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UnitPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<UnitPath, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
