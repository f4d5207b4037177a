//! From configuration and settings to a generation: the same way for what is live, for `check` and for `decide`.
//!
//! Everything that stands in the way is told at once, where the operator wrote it. Blocking: compiles components.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use sealwire_core::plan::Route;
use sealwire_core::units::{ByUnit, SettingScope, Units};
use sealwire_policy::{BuildProblem, ChainId, Generation, GenerationSource, PolicySource, RouteFacts, Sandbox};

use crate::audit;
use crate::config::{self, Component, Config, Problem};
use crate::live::Builtins;
use crate::scopes::{OfUnit, Scopes};
use crate::settings::SettingsDocument;

/// Builds generation `number`: a chain for each difference between units' settings. What is unchanged since `previous` is
/// taken over. `config` is the configuration with what the settings add.
pub fn build_generation(
    number: u64,
    config: &Config,
    settings: &SettingsDocument,
    units: Units,
    octets: &Components,
    sandbox: &Sandbox,
    previous: Option<&Generation>,
) -> Result<(Generation, Scopes), Vec<Problem>> {
    let chain: Vec<&str> = config.policies.iter().map(|policy| policy.name.as_str()).collect();
    let mut problems = settings.without_policy(&chain);
    let mut components = Vec::new();
    for policy in &config.policies {
        match octets.of(&policy.name) {
            Ok(component) => components.push((policy, component)),
            Err(why) => problems.push(config.problem(&format!("policy {}: component", policy.name), why)),
        }
    }
    if components.is_empty() && !problems.is_empty() {
        return Err(problems);
    }
    let (chains, scopes) = Chains::of(settings, units, &chain);
    let source = |policy: &config::Policy, component: &Arc<[u8]>, chain: usize| PolicySource {
        name: policy.name.clone(),
        component: Arc::clone(component),
        settings: chains.document(chain, &policy.name),
        limits: match policy.profile {
            config::Profile::Native => sealwire_policy::Profile::Native,
            config::Profile::Scripted => sealwire_policy::Profile::Scripted,
        },
    };
    let of_chain = |chain| components.iter().map(|(policy, component)| source(policy, component, chain)).collect();
    let facts = |route: &Route| RouteFacts { kind: route.kind(), demands: route.demand_words() };
    let source = GenerationSource {
        number,
        chains: (0..chains.documents.len()).map(of_chain).collect(),
        lists: settings.lists().clone(),
        routes: config.routes.iter().map(|route| (route.name().to_owned(), facts(route))).collect(),
    };
    // The rest of the chain is judged even where one component cannot be read: its settings may be wrong too.
    let built = sandbox.build(source, previous);
    match built {
        Ok(generation) if problems.is_empty() => return Ok((generation, scopes)),
        Ok(_) => {}
        Err(found) => problems.extend(found.into_iter().map(|found| chains.place(config, found))),
    }
    // Chains that share a setting share its problems.
    let mut seen = BTreeSet::new();
    problems.retain(|problem| seen.insert(problem.clone()));
    Err(problems)
}

/// The octets of the configuration's components, or why they cannot be had, by their policies' names. They are read with the
/// configuration: an edit of the settings goes on with what is live, whatever has been put in a file's place meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Components(BTreeMap<String, Result<Arc<[u8]>, String>>);

impl Components {
    /// Reads them. Blocking.
    pub fn read(config: &Config, builtins: &Builtins) -> Components {
        let policies = config.policies.iter();
        Components(policies.map(|policy| (policy.name.clone(), component(&policy.component, builtins))).collect())
    }

    fn of(&self, policy: &str) -> Result<Arc<[u8]>, String> {
        self.0.get(policy).cloned().unwrap_or_else(|| Err("it has not been read".to_owned()))
    }

    /// SHA-256 of each that could be had, in hexadecimal.
    pub(crate) fn digests(&self) -> BTreeMap<&str, String> {
        let had = self.0.iter().filter_map(|(policy, octets)| Some((policy.as_str(), octets.as_ref().ok()?)));
        had.map(|(policy, octets)| (policy, audit::digest(octets))).collect()
    }
}

/// The settings of each chain.
struct Chains<'a> {
    settings: &'a SettingsDocument,
    policies: &'a [&'a str],
    /// What each policy is given, in the order of the policies.
    documents: Vec<Vec<String>>,
    /// The same as places in [`SettingsDocument::scoped`].
    in_force: Vec<Vec<usize>>,
    /// Which chain has these settings, as places and as documents: different settings may mean the same.
    of_places: HashMap<Vec<usize>, ChainId>,
    of_documents: HashMap<Vec<String>, ChainId>,
}

impl<'a> Chains<'a> {
    /// Equal settings are one chain; that of the root is the first. Settings that are in force nowhere make a last one:
    /// what is switched off is checked like the rest, so that switching it on holds no surprise.
    fn of(settings: &'a SettingsDocument, units: Units, policies: &'a [&'a str]) -> (Chains<'a>, Scopes) {
        let scopes: Vec<SettingScope> = settings.scoped().iter().map(|scoped| scoped.scope.clone()).collect();
        let by_unit = ByUnit::of(&scopes);
        let mut chains = Chains {
            settings,
            policies,
            documents: Vec::new(),
            in_force: Vec::new(),
            of_places: HashMap::new(),
            of_documents: HashMap::new(),
        };
        let mut of_units = BTreeMap::new();
        let mut unused: BTreeSet<usize> = (0..scopes.len()).collect();
        for (path, _) in units.all() {
            let mut chain = |internal| {
                let in_force = by_unit.in_force(&units, path, internal);
                for index in &in_force {
                    unused.remove(index);
                }
                chains.of_settings(in_force)
            };
            let of_unit = OfUnit { any: chain(false), internal: chain(true) };
            of_units.insert(path.clone(), of_unit);
        }
        if !unused.is_empty() {
            chains.of_settings(unused.into_iter().collect());
        }
        (chains, Scopes::new(units, of_units))
    }

    fn of_settings(&mut self, in_force: Vec<usize>) -> ChainId {
        if let Some(known) = self.of_places.get(&in_force) {
            return *known;
        }
        let document = |policy: &&str| self.settings.of_policy(policy, &self.of_policy(policy, &in_force));
        let documents: Vec<String> = self.policies.iter().map(document).collect();
        let next = ChainId(u32::try_from(self.documents.len()).unwrap_or(u32::MAX));
        let chain = *self.of_documents.entry(documents.clone()).or_insert(next);
        self.of_places.insert(in_force.clone(), chain);
        if chain == next {
            self.documents.push(documents);
            self.in_force.push(in_force);
        }
        chain
    }

    /// Which of one policy's settings these are, by their places in its own array.
    fn of_policy(&self, policy: &str, in_force: &[usize]) -> Vec<usize> {
        let scoped = in_force.iter().filter_map(|index| self.settings.scoped().get(*index));
        scoped.filter(|scoped| scoped.policy == policy).map(|scoped| scoped.index).collect()
    }

    fn document(&self, chain: usize, policy: &str) -> String {
        let at = self.policies.iter().position(|name| *name == policy);
        at.and_then(|at| self.documents[chain].get(at).cloned()).unwrap_or_default()
    }

    /// Where the operator wrote what is wrong: in the policy's settings, or where the configuration names its component.
    fn place(&self, config: &Config, found: BuildProblem) -> Problem {
        match &found.path {
            Some(pointer) => {
                let in_force = self.in_force.get(found.chain.0 as usize).map(Vec::as_slice).unwrap_or_default();
                let of_policy = self.of_policy(&found.policy, in_force);
                self.settings.locate_in(&found.policy, &of_policy, pointer, found.text)
            }
            None if found.policy.is_empty() => Problem::new("policies", found.text),
            None => config.problem(&format!("policy {}: component", found.policy), found.text),
        }
    }
}

fn component(component: &Component, builtins: &Builtins) -> Result<Arc<[u8]>, String> {
    match component {
        Component::Builtin(name) => builtins.get(name).cloned().ok_or_else(|| {
            let known = builtins.keys().cloned().collect::<Vec<_>>().join(", ");
            format!("there is no built-in component {name:?}; there are: {known}")
        }),
        Component::File(path) => {
            std::fs::read(path).map(Arc::from).map_err(|why| format!("{}: cannot be read: {why}", path.display()))
        }
    }
}
