//! From configuration and settings to a generation: the same way for what is live, for `check` and for `decide`.
//!
//! Everything that stands in the way is told at once, where the operator wrote it. Blocking: compiles components.

use std::sync::Arc;

use sealwire_core::plan::Route;
use sealwire_policy::{BuildProblem, Generation, GenerationSource, PolicySource, RouteFacts, Sandbox};

use crate::config::{self, Component, Config, Problem};
use crate::live::Builtins;
use crate::settings::SettingsDocument;

/// Builds generation `number`. What is unchanged since `previous` is taken over.
pub fn build_generation(
    number: u64,
    config: &Config,
    settings: &SettingsDocument,
    builtins: &Builtins,
    sandbox: &Sandbox,
    previous: Option<&Generation>,
) -> Result<Generation, Vec<Problem>> {
    let chain: Vec<&str> = config.policies.iter().map(|policy| policy.name.as_str()).collect();
    let mut problems = settings.without_policy(&chain);
    let mut policies = Vec::new();
    for policy in &config.policies {
        match component(&policy.component, builtins) {
            Ok(component) => policies.push(PolicySource {
                name: policy.name.clone(),
                component,
                settings: settings.of_policy(&policy.name),
                limits: match policy.profile {
                    config::Profile::Native => sealwire_policy::Profile::Native,
                    config::Profile::Scripted => sealwire_policy::Profile::Scripted,
                },
            }),
            Err(why) => problems.push(config.problem(&format!("policy {}: component", policy.name), why)),
        }
    }
    if policies.is_empty() && !problems.is_empty() {
        return Err(problems);
    }
    let facts = |route: &Route| RouteFacts { kind: route.kind(), demands: route.demand_words() };
    let routes = config.routes.iter().map(|route| (route.name().to_owned(), facts(route))).collect();
    let source = GenerationSource { number, policies, lists: settings.lists().clone(), routes };
    // The rest of the chain is judged even where one component cannot be read: its settings may be wrong too.
    let built =
        sandbox.build(source, previous).map_err(|found| found.into_iter().map(|found| place(config, settings, found)));
    match built {
        Ok(generation) if problems.is_empty() => return Ok(generation),
        Ok(_) => {}
        Err(found) => problems.extend(found),
    }
    Err(problems)
}

/// Where the operator wrote what is wrong: in the policy's settings, or where the configuration names its component.
fn place(config: &Config, settings: &SettingsDocument, found: BuildProblem) -> Problem {
    match &found.path {
        Some(pointer) => settings.locate(&found.policy, Some(pointer), found.text),
        None if found.policy.is_empty() => Problem::new("policies", found.text),
        None => config.problem(&format!("policy {}: component", found.policy), found.text),
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
