//! What is live: configuration, routes, connectors and the generation, as one immutable value behind one pointer.
//!
//! A round takes it once (H4). It is built off the mail path; a build that fails leaves what was live before.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwire_core::plan::RouteTable;
use sealwire_policy::{BuildProblem, Generation, GenerationSource, PolicySource, RouteFacts, Sandbox};

use crate::config::Problem;
use crate::config::{self, Component, Config};
use crate::dns::Resolver;
use crate::settings::SettingsDocument;
use crate::tls::{Connector, Roots};

/// Components that are part of the program, by name.
pub type Builtins = BTreeMap<String, Arc<[u8]>>;

/// What one round takes once.
pub struct Live {
    /// As meant.
    pub config: Arc<Config>,
    /// Lists and policies' settings, as read; the next document is read after it.
    pub settings: SettingsDocument,
    /// Policies with their settings, and lists.
    pub generation: Arc<Generation>,
    /// Revision of the settings the generation was built from; 0 before the first.
    pub settings_revision: u64,
    /// The names.
    pub resolver: Arc<dyn Resolver>,
    connectors: BTreeMap<String, Connector>,
    default_connector: Connector,
}

impl Live {
    /// The connector with the roots of this route.
    pub(crate) fn connector(&self, route: &str) -> &Connector {
        self.connectors.get(route).unwrap_or(&self.default_connector)
    }

    /// The same, of a revision whose number was not known while it was built.
    pub(crate) fn of_revision(self, settings_revision: u64) -> Live {
        Live { settings_revision, ..self }
    }

    /// What a message's client and recipients make of the organizational unit: there is the root, so far.
    pub(crate) fn unit(&self) -> Vec<String> {
        vec!["root".into()]
    }
}

/// What a live value is built from.
pub(crate) struct Parts {
    pub(crate) config: Arc<Config>,
    pub(crate) settings: SettingsDocument,
    pub(crate) settings_revision: u64,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) number: u64,
}

/// Builds it, or says everything that stands in the way. Blocking: compiles components.
pub(crate) fn build(
    parts: Parts,
    sandbox: &Sandbox,
    builtins: &Builtins,
    previous: Option<&Generation>,
) -> Result<Live, Vec<Problem>> {
    let mut problems = Vec::new();
    let connect =
        |key: &str, roots: &Roots| Connector::new(roots).map_err(|error| parts.config.problem(key, error.to_string()));
    let default_connector = connect("tls.roots", &parts.config.roots).map_err(|problem| vec![problem])?;
    let mut connectors = BTreeMap::new();
    for (route, roots) in &parts.config.route_roots {
        match connect(&format!("route {route}: roots"), roots) {
            Ok(connector) => drop(connectors.insert(route.clone(), connector)),
            Err(problem) => problems.push(problem),
        }
    }
    let chain: Vec<&str> = parts.config.policies.iter().map(|policy| policy.name.as_str()).collect();
    problems.extend(parts.settings.without_policy(&chain));
    let policies = policy_sources(&parts, builtins, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let source = GenerationSource {
        number: parts.number,
        policies,
        lists: parts.settings.lists().clone(),
        routes: route_facts(&parts.config.routes),
    };
    let located = |problem: BuildProblem| parts.settings.locate(&problem.policy, problem.path.as_deref(), problem.text);
    let generation =
        sandbox.build(source, previous).map_err(|problems| problems.into_iter().map(located).collect::<Vec<_>>())?;
    Ok(Live {
        config: parts.config,
        settings: parts.settings,
        generation: Arc::new(generation),
        settings_revision: parts.settings_revision,
        resolver: parts.resolver,
        connectors,
        default_connector,
    })
}

fn policy_sources(parts: &Parts, builtins: &Builtins, problems: &mut Vec<Problem>) -> Vec<PolicySource> {
    let mut sources = Vec::new();
    for policy in &parts.config.policies {
        let component = match &policy.component {
            Component::Builtin(name) => builtins.get(name).cloned().ok_or_else(|| {
                let known = builtins.keys().cloned().collect::<Vec<_>>().join(", ");
                format!("there is no built-in component {name:?}; there is: {known}")
            }),
            Component::File(path) => {
                std::fs::read(path).map(Arc::from).map_err(|error| format!("{}: {error}", path.display()))
            }
        };
        match component {
            Ok(component) => sources.push(PolicySource {
                name: policy.name.clone(),
                component,
                settings: parts.settings.of_policy(&policy.name),
                limits: match policy.profile {
                    config::Profile::Native => sealwire_policy::Profile::Native,
                    config::Profile::Scripted => sealwire_policy::Profile::Scripted,
                },
            }),
            Err(why) => problems.push(parts.config.problem(&format!("policy {}: component", policy.name), why)),
        }
    }
    sources
}

fn route_facts(routes: &RouteTable) -> BTreeMap<String, RouteFacts> {
    let facts = |route: &sealwire_core::plan::Route| RouteFacts { kind: route.kind(), demands: route.demand_words() };
    routes.iter().map(|route| (route.name().to_owned(), facts(route))).collect()
}
