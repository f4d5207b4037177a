//! From component and settings to a configured component that decisions start from.
//!
//! 1. [`World`] reads what it imports and exports; an unknown world is refused before anything is compiled.
//! 2. Wizer instruments it, it is instantiated in the build engine, and `configure` takes the settings.
//! 3. Its memory becomes the start image of a new component ([`snapshot`]); handles would not survive, so there must be
//!    none.
//! 4. That component is compiled for the decision engine and linked once; every decision instantiates it copy-on-write.
//!
//! A component that cannot be snapshotted (QuickJS) is configured in each fresh instance instead.

use schemars::JsonSchema;
use sealwire_core::decision::FailureCause;
use serde::Serialize;
use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Instance};
use wasmtime::{Engine, Store};
use wasmtime_wizer::Wizer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bindings::{Policy, PolicyPre, Problem};
use crate::decide::{self, Failure};
use crate::engine::Runtime;
use crate::limits::{self, Profile};
use crate::problem::Flaw;
use crate::snapshot;
use crate::state::{Lookups, Question, State, Surroundings};
use crate::threads::caught;
use crate::world::World;

/// How a configured component came about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "mode")]
pub enum Mode {
    /// Configured once; every decision starts from that memory.
    Snapshot,
    /// Configured again in each fresh instance.
    EachInstance {
        /// Why no snapshot could be taken.
        why: String,
    },
}

/// A component with its settings, ready to be instantiated. Shared by all generations that have both unchanged.
pub(crate) struct Configured {
    /// SHA-256 of the component, hexadecimal.
    pub(crate) component: String,
    pub(crate) settings_digest: String,
    pub(crate) settings: String,
    pub(crate) profile: Profile,
    pub(crate) mode: Mode,
    pub(crate) pre: PolicyPre<State>,
    pub(crate) lookups: Lookups,
    pub(crate) memory_octets: usize,
    pub(crate) build_time: Duration,
}

impl Configured {
    pub(crate) fn engine(&self) -> &Engine {
        self.pre.engine()
    }

    pub(crate) fn in_each_instance(&self) -> bool {
        self.mode != Mode::Snapshot
    }
}

/// What a build needs besides the engines.
pub(crate) struct Order {
    pub(crate) component: Arc<[u8]>,
    pub(crate) component_digest: String,
    pub(crate) settings: String,
    pub(crate) settings_digest: String,
    pub(crate) profile: Profile,
    pub(crate) surroundings: Arc<Surroundings>,
}

/// Builds it. Every problem found at one step is told.
pub(crate) fn build(order: &Order, builds: &Runtime, decisions: &Runtime) -> Result<Configured, Vec<Flaw>> {
    let started = Instant::now();
    let world = World::read(&order.component).map_err(one)?;
    let unknown = world.problems();
    if !unknown.is_empty() {
        return Err(unknown.into_iter().map(Flaw::new).collect());
    }
    let (image, mode, configured) = match snapshotted(order, builds)? {
        Ok((image, configured)) => (image, Mode::Snapshot, configured),
        Err(why) => {
            if world.copied_octets > limits::COPIED_OCTETS {
                return Err(one(format!(
                    "no snapshot can be taken of this component ({why}), and every decision would copy {} octets of start \
                     data; {} are allowed: link it into one memory",
                    world.copied_octets,
                    limits::COPIED_OCTETS
                )));
            }
            (order.component.to_vec(), Mode::EachInstance { why }, configured_in_place(order, decisions)?)
        }
    };
    let (_, pre) = linked(&image, decisions)?;
    Ok(Configured {
        component: order.component_digest.clone(),
        settings_digest: order.settings_digest.clone(),
        settings: order.settings.clone(),
        profile: order.profile,
        mode,
        pre,
        lookups: configured.lookups,
        memory_octets: configured.memory.used(),
        build_time: started.elapsed(),
    })
}

/// Configures and takes the snapshot. The inner Err: this component cannot be snapshotted, and why.
type Snapshotted = Result<(Vec<u8>, State), String>;

fn snapshotted(order: &Order, builds: &Runtime) -> Result<Snapshotted, Vec<Flaw>> {
    let mut wizer = Wizer::new();
    wizer.keep_init_func(false);
    let (context, instrumented) = match caught(|| wizer.instrument_component(&order.component)) {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => return Ok(Err(limits::bounded(&format!("{error:#}"), limits::DETAIL_OCTETS))),
        Err(panic) => return Ok(Err(panic)),
    };
    let (mut store, instance) = configured(order, builds, &instrumented)?;
    let taken = caught(|| snapshot::take(&wizer, &context, &mut store, instance)).unwrap_or_else(Err);
    Ok(taken.map(|image| (image, store.into_data())))
}

fn configured_in_place(order: &Order, decisions: &Runtime) -> Result<State, Vec<Flaw>> {
    let (store, _) = configured(order, decisions, &order.component)?;
    Ok(store.into_data())
}

/// Instantiates and calls `configure`; nothing may be left in its hands.
fn configured(order: &Order, runtime: &Runtime, component: &[u8]) -> Result<(Store<State>, Instance), Vec<Flaw>> {
    let (component, _) = linked(component, runtime)?;
    let state = State::new(Question::Configure, 0, Arc::clone(&order.surroundings), order.profile);
    let time = order.profile.configure_time();
    let mut store = decide::store(&runtime.engine, state, time);
    // The settings document is handed to the guest, and the problems come back.
    store.set_hostcall_fuel(limits::SETTINGS_OCTETS);
    let instance = runtime.linker.instantiate(&mut store, &component);
    let instance = instance.map_err(|error| told("it cannot be started", &decide::failure(&error), time))?;
    let policy = Policy::new(&mut store, &instance).map_err(|error| one(format!("{error:#}")))?;
    let returned = policy.sealwire_policy_hooks().call_configure(&mut store, &order.settings);
    match returned {
        Err(error) => return Err(told("configure did not return", &decide::failure(&error), time)),
        Ok(Err(problems)) => return Err(flaws(problems)),
        Ok(Ok(())) => {}
    }
    let kept = store.data().handles;
    if kept > 0 {
        return Err(one(format!(
            "configure returned with {kept} handle(s) of lists or routes still held; handles do not survive the snapshot: \
             drop each before configure returns, and look it up again in the decision"
        )));
    }
    Ok((store, instance))
}

fn linked(component: &[u8], runtime: &Runtime) -> Result<(Component, PolicyPre<State>), Vec<Flaw>> {
    let component = Component::new(&runtime.engine, component)
        .map_err(|error| one(format!("this component cannot be compiled: {error:#}")))?;
    let pre = runtime.linker.instantiate_pre(&component).and_then(decide::prepared);
    let pre = pre.map_err(|error| {
        one(format!("this component does not fit the contract {}: {error:#}", crate::world::VERSION))
    })?;
    Ok((component, pre))
}

fn told(what: &str, failure: &Failure, time: Duration) -> Vec<Flaw> {
    if failure.cause == FailureCause::Overrun {
        return one(format!("{what} within {} ms", time.as_millis()));
    }
    one(format!("{what}: {} ({})", failure.cause, failure.detail))
}

/// The policy's own problems with its settings.
fn flaws(problems: Vec<Problem>) -> Vec<Flaw> {
    if problems.is_empty() {
        return one("configure refused the settings without saying why");
    }
    let flaw = |problem: Problem| Flaw {
        path: Some(limits::bounded(&problem.path, limits::DETAIL_OCTETS)),
        text: limits::bounded(&problem.text, limits::DETAIL_OCTETS),
    };
    problems.into_iter().take(limits::PROBLEMS).map(flaw).collect()
}

fn one(text: impl Into<String>) -> Vec<Flaw> {
    vec![Flaw::new(text)]
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(octets: &[u8]) -> String {
    crate::hex(&Sha256::digest(octets))
}
