//! From configuration and settings to a generation: the same way for what is live, for `check` and for `decide`.
//!
//! Everything that stands in the way is told at once, where the operator wrote it. Blocking: compiles components.

use std::sync::Arc;

use sealwire_core::plan::Route;
use sealwire_policy::{Generation, GenerationSource, PolicySource, RouteFacts, Sandbox};

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
    if !problems.is_empty() {
        return Err(problems);
    }
    let facts = |route: &Route| RouteFacts { kind: route.kind(), demands: route.demand_words() };
    let routes = config.routes.iter().map(|route| (route.name().to_owned(), facts(route))).collect();
    let source = GenerationSource { number, policies, lists: settings.lists().clone(), routes };
    sandbox.build(source, previous).map_err(|problems| {
        let located =
            problems.into_iter().map(|found| settings.locate(&found.policy, found.path.as_deref(), found.text));
        located.collect()
    })
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
