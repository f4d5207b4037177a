//! One immutable generation: chains of policies with their settings, the lists and the routes.
//!
//! Every chain has the same policies; their settings differ by organizational unit, and equal settings share one chain.
//! A round takes a generation and keeps it to its end (H4). An unchanged pair of component and settings is taken over from the
//! generation before, native code and all, so that the edit of a list builds no WebAssembly.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use sealwire_core::list::AddressList;
use serde::Serialize;

use crate::configured::{Configured, Mode};
use crate::limits::{self, Profile};
use crate::problem::{BuildProblem, Flaw};
use crate::state::{RouteFacts, Surroundings};

/// What a generation is built from.
pub struct GenerationSource {
    /// Counts up; every record carries it.
    pub number: u64,
    /// At least one chain, each in order.
    pub chains: Vec<Vec<PolicySource>>,
    /// By name.
    pub lists: BTreeMap<String, Arc<AddressList>>,
    /// By name.
    pub routes: BTreeMap<String, RouteFacts>,
}

/// One chain of a generation, by its place in [`GenerationSource::chains`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId(pub u32);

/// One policy of a chain.
#[derive(Clone)]
pub struct PolicySource {
    /// Its name in the chain, carried by flags, reasons and floors.
    pub name: String,
    /// The component.
    pub component: Arc<[u8]>,
    /// Its own settings, a JSON document.
    pub settings: String,
    /// Which limits it lives under.
    pub limits: Profile,
}

/// A generation that can decide.
pub struct Generation {
    number: u64,
    chains: Vec<Vec<ChainPolicy>>,
    surroundings: Arc<Surroundings>,
}

/// A configured component under its name.
pub(crate) struct ChainPolicy {
    pub(crate) name: String,
    pub(crate) profile: Profile,
    pub(crate) configured: Arc<Configured>,
}

/// A generation as status shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct GenerationStatus {
    /// Its number.
    pub number: u64,
    /// The first chain, in order: that of the root, where there are units.
    pub policies: Vec<PolicyStatus>,
    /// How many chains there are: different settings of units.
    pub chains: usize,
    /// The lists, by name.
    pub lists: Vec<ListStatus>,
    /// Names of the routes.
    pub routes: Vec<String>,
}

/// A policy as status shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyStatus {
    /// Its name in the chain.
    pub name: String,
    /// SHA-256 of the component, hexadecimal.
    pub component: String,
    /// SHA-256 of its settings document, hexadecimal.
    pub settings: String,
    /// Which limits it lives under.
    pub limits: Profile,
    /// Snapshot, or configured in each instance.
    #[serde(flatten)]
    pub mode: Mode,
    /// Octets of linear memory a decision starts from.
    pub memory_octets: usize,
    /// Lists and routes its settings name.
    pub lists: Vec<String>,
    /// Routes its settings name.
    pub routes: Vec<String>,
    /// Milliseconds the build took.
    pub build_ms: u64,
}

/// A list as status shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ListStatus {
    /// Its name.
    pub name: String,
    /// SHA-256 of its content, hexadecimal.
    pub digest: String,
    /// Number of entries.
    pub entries: usize,
}

impl Generation {
    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Names of the policies, in the chain's order.
    pub fn policies(&self) -> impl Iterator<Item = &str> {
        self.chain(ChainId::default()).iter().map(|policy| policy.name.as_str())
    }

    /// For status and the command line.
    pub fn status(&self) -> GenerationStatus {
        let list = |(name, list): &(String, Arc<AddressList>)| ListStatus {
            name: name.clone(),
            digest: list.digest().to_owned(),
            entries: list.len(),
        };
        GenerationStatus {
            number: self.number,
            policies: self.chain(ChainId::default()).iter().map(ChainPolicy::status).collect(),
            chains: self.chains.len(),
            lists: self.surroundings.lists.iter().map(list).collect(),
            routes: self.surroundings.routes.iter().map(|(name, _)| name.clone()).collect(),
        }
    }

    pub(crate) fn new(number: u64, chains: Vec<Vec<ChainPolicy>>, surroundings: Arc<Surroundings>) -> Generation {
        Generation { number, chains, surroundings }
    }

    /// One that is not there has no policy, and what no policy decides on is a failed decision.
    pub(crate) fn chain(&self, id: ChainId) -> &[ChainPolicy] {
        self.chains.get(id.0 as usize).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn surroundings(&self) -> &Arc<Surroundings> {
        &self.surroundings
    }

    /// Every configured component, some more than once.
    pub(crate) fn configured(&self) -> impl Iterator<Item = &Arc<Configured>> {
        self.chains.iter().flatten().map(|policy| &policy.configured)
    }
}

/// Whether a configured component can be taken over. Err: it looked up something that is gone.
pub(crate) fn is_reusable(configured: &Configured, now: &Surroundings) -> Result<bool, Vec<Flaw>> {
    let gone = gone(configured, now);
    if gone.is_empty() { Ok(unchanged(configured, now)) } else { Err(gone) }
}

impl ChainPolicy {
    fn status(&self) -> PolicyStatus {
        let configured = &self.configured;
        PolicyStatus {
            name: self.name.clone(),
            component: configured.component.clone(),
            settings: configured.settings_digest.clone(),
            limits: self.profile,
            mode: configured.mode(),
            memory_octets: configured.memory_octets,
            lists: configured.lookups.lists.keys().cloned().collect(),
            routes: configured.lookups.routes.keys().cloned().collect(),
            build_ms: u64::try_from(configured.build_time.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "generation {} of {:?}", self.number, self.policies().collect::<Vec<_>>())
    }
}

impl Surroundings {
    pub(crate) fn of(source: &GenerationSource) -> Arc<Surroundings> {
        let lists = source.lists.iter().map(|(name, list)| (name.clone(), Arc::clone(list))).collect();
        let routes = source.routes.iter().map(|(name, route)| (name.clone(), route.clone())).collect();
        Arc::new(Surroundings { lists, routes })
    }
}

/// What its `configure` found and is there no longer.
fn gone(configured: &Configured, now: &Surroundings) -> Vec<Flaw> {
    let lists = configured.lookups.lists.iter().filter(|(name, found)| **found && now.list(name).is_none());
    let lists = lists.map(|(name, _)| ("list", name));
    let routes = configured.lookups.routes.iter().filter(|(name, route)| route.is_some() && now.route(name).is_none());
    let routes = routes.map(|(name, _)| ("route", name));
    let told = |(kind, name)| {
        Flaw::new(format!(
            "its settings name the {kind} {name:?}, which no longer exists: put it back, or change the settings"
        ))
    };
    lists.chain(routes).map(told).collect()
}

/// `configure` would see the very same lists and routes. The content of a list is none of its business.
fn unchanged(configured: &Configured, now: &Surroundings) -> bool {
    let lists = configured.lookups.lists.iter().all(|(name, found)| now.list(name).is_some() == *found);
    let route = |name: &str| now.route(name).map(|at| &now.routes[at].1);
    let routes = configured.lookups.routes.iter().all(|(name, known)| route(name) == known.as_ref());
    lists && routes
}

/// What is wrong with a source before anything is built.
pub(crate) fn problems(source: &GenerationSource) -> Vec<BuildProblem> {
    let of_chains = |text: String| BuildProblem { chain: ChainId::default(), policy: String::new(), path: None, text };
    let mut problems = Vec::new();
    if source.chains.iter().any(Vec::is_empty) || source.chains.is_empty() {
        let text = "the chain is empty: without a policy every message would be deferred; name at least one";
        problems.push(of_chains(text.to_owned()));
    }
    if source.chains.len() > limits::CHAINS {
        let text = format!(
            "units have {} different settings; {} are allowed: let more of them inherit",
            source.chains.len(),
            limits::CHAINS
        );
        problems.push(of_chains(text));
    }
    for (id, chain) in (0..).map(ChainId).zip(&source.chains) {
        if chain.len() > limits::CHAIN {
            problems.push(of_chains(format!("the chain has {} policies; {} are allowed", chain.len(), limits::CHAIN)));
        }
        let mut names = BTreeSet::new();
        for policy in chain {
            let first = names.insert(policy.name.as_str());
            problems.extend(policy_problem(policy, first).map(|text| Flaw::new(text).of(id, &policy.name)));
        }
    }
    problems
}

fn policy_problem(policy: &PolicySource, first: bool) -> Option<String> {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    if policy.name.is_empty() || policy.name.len() > limits::NAME_OCTETS || !policy.name.bytes().all(plain) {
        return Some(format!("a policy's name has 1 to {} letters, digits, `-`, `_` and `.`", limits::NAME_OCTETS));
    }
    if policy.name == crate::REQUIRETLS {
        return Some("no policy may be named so: the word stands for the sender's own demand (RFC 8689)".to_owned());
    }
    if !first {
        return Some("two policies of the chain have this name; give each its own".to_owned());
    }
    if policy.component.len() > limits::COMPONENT_OCTETS {
        return Some(format!(
            "the component has {} octets; {} are allowed",
            policy.component.len(),
            limits::COMPONENT_OCTETS
        ));
    }
    if policy.settings.len() > limits::SETTINGS_OCTETS {
        return Some(format!(
            "the settings have {} octets; {} are allowed",
            policy.settings.len(),
            limits::SETTINGS_OCTETS
        ));
    }
    None
}
