//! For benches alone: the parts of a decision, callable one by one and without a thread in between.
//!
//! Not part of the API; a budget is a ratio of figures taken in one run on one machine.

pub mod example;

use std::sync::Arc;
use std::time::Duration;

use wasmtime::Store;

use crate::bindings::Policy;
use crate::decide;
use crate::generation::{ChainId, Generation};
use crate::sandbox::{AllMadeFor, Sandbox};
use crate::state::{Question, State};

/// What to ask.
#[derive(Clone)]
pub struct Ask(Question);

/// The whole chain in fresh instances with its records, on this thread: what a decision thread does. True: all decided.
pub fn fresh(sandbox: &Sandbox, generation: &Generation, ask: &Ask, now: u64) -> bool {
    let answers = sandbox.inner().chain(generation, ChainId::default(), &ask.0, now, &AllMadeFor::default());
    answers.iter().all(|answer| answer.result.is_ok())
}

/// The first policy of a chain in an instance that is kept: the measure fresh ones are held against.
pub struct Warm {
    store: Store<State>,
    policy: Policy,
}

impl Warm {
    /// Instantiates it.
    pub fn new(generation: &Generation, ask: &Ask) -> Option<Warm> {
        let policy = generation.chain(ChainId::default()).first()?;
        let state = State::new(ask.0.clone(), 0, Arc::clone(generation.surroundings()), policy.profile);
        let hours = Duration::from_secs(3_600);
        let mut store = decide::store(policy.configured.engine(), state, hours);
        let policy = decide::instance(policy.configured.start().0, &mut store).ok()?;
        Some(Warm { store, policy })
    }

    /// One call with all its host calls; no record is made. True: it decided.
    pub fn call(&mut self, ask: &Ask) -> bool {
        let state = self.store.data_mut();
        state.begin(ask.0.clone());
        state.entries.clear();
        decide::call(&self.policy, &mut self.store, &ask.0).is_ok() && self.store.data().calls.concluded()
    }
}
