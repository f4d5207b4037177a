//! From component and settings to a configured component that decisions start from.
//!
//! 1. [`World`] reads what it imports and exports; an unknown world is refused before anything is compiled.
//! 2. Wizer instruments it, it is instantiated in the build engine, and `configure` takes the settings.
//! 3. Its memory becomes the start image of a new component ([`snapshot`]); handles would not survive, so there must be
//!    none.
//! 4. That component is compiled for the decision engine and linked once; every decision instantiates it copy-on-write.
//!
//! A component that cannot be snapshotted (QuickJS) is configured in each fresh instance instead. So is, until its image is there
//! ([`images`](crate::images)), one of many chains that are to be live at once: [`Plain`] is compiled once for all of them, and
//! costs a chain one call of `configure` where an image costs it a compilation.

use schemars::JsonSchema;
use sealwire_core::decision::FailureCause;
use serde::Serialize;
use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Instance};
use wasmtime::{Engine, Store};
use wasmtime_wizer::Wizer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
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
    pub(crate) lookups: Lookups,
    pub(crate) memory_octets: usize,
    pub(crate) build_time: Duration,
    start: Start,
}

/// What a decision starts from.
enum Start {
    Image(Image),
    EachInstance {
        pre: Pre,
        why: String,
    },
    /// The component as it came, and then its image.
    Soon {
        octets: Arc<[u8]>,
        plain: Arc<Plain>,
        /// A decision has asked for the image.
        asked: AtomicBool,
        image: OnceLock<Image>,
    },
}

type Pre = Arc<PolicyPre<State>>;

/// The snapshot of a configured component, compiled.
pub(crate) struct Image {
    pre: Pre,
    /// While it is held, the image counts.
    _counted: Arc<()>,
}

impl Configured {
    pub(crate) fn engine(&self) -> &Engine {
        self.start().0.engine()
    }

    /// What an instance is made from, and whether `configure` must be called in it.
    pub(crate) fn start(&self) -> (&PolicyPre<State>, bool) {
        match &self.start {
            Start::Image(image) => (&image.pre, false),
            Start::EachInstance { pre, .. } => (pre, true),
            Start::Soon { plain, image, .. } => image.get().map_or((&plain.pre, true), |image| (&image.pre, false)),
        }
    }

    /// Which rules it tries it can be asked.
    pub(crate) fn explains(&self) -> bool {
        decide::explains(self.start().0.instance_pre())
    }

    pub(crate) fn mode(&self) -> Mode {
        match &self.start {
            Start::EachInstance { why, .. } => Mode::EachInstance { why: why.clone() },
            Start::Soon { image, .. } if image.get().is_none() => {
                Mode::EachInstance { why: "its image is built once a decision has asked for it".to_owned() }
            }
            Start::Image(_) | Start::Soon { .. } => Mode::Snapshot,
        }
    }

    /// It was built with its image.
    pub(crate) fn holds_image(&self) -> bool {
        matches!(self.start, Start::Image(_))
    }

    /// It could have an image, and nobody has asked for it.
    pub(crate) fn awaits_image(&self) -> bool {
        matches!(&self.start, Start::Soon { asked, .. } if !asked.load(Ordering::Relaxed))
    }

    /// The component whose image is to be built: for the first who asks.
    pub(crate) fn ask_for_image(&self) -> Option<Arc<[u8]>> {
        let Start::Soon { octets, asked, .. } = &self.start else { return None };
        (!asked.swap(true, Ordering::Relaxed)).then(|| Arc::clone(octets))
    }

    /// It was not built; whoever comes next may ask again.
    pub(crate) fn forget_asking(&self) {
        if let Start::Soon { asked, .. } = &self.start {
            asked.store(false, Ordering::Relaxed);
        }
    }

    /// The image has been built.
    pub(crate) fn give(&self, image: Image) {
        if let Start::Soon { image: place, .. } = &self.start {
            // Nobody else was asked for it.
            let _ = place.set(image);
        }
    }
}

/// A component as it came, compiled for decisions: what all its chains without an image have in common.
pub(crate) struct Plain {
    pre: Pre,
}

impl Plain {
    /// None: it can be no start, and the full way tells why.
    pub(crate) fn of(component: &[u8], decisions: &Runtime) -> Option<Plain> {
        let world = World::read(component).ok()?;
        if !world.problems().is_empty() || world.copied_octets > limits::COPIED_OCTETS {
            return None;
        }
        Some(Plain { pre: linked(component, decisions).ok()? })
    }

    /// Configures it once, which tells all problems of the settings. None: that takes too long to be done in every decision.
    pub(crate) fn configured(
        self: &Arc<Plain>,
        order: &Order,
        decisions: &Runtime,
    ) -> Result<Option<Configured>, Vec<Flaw>> {
        let (started, begun) = (Instant::now(), processor_time());
        let (store, _) = configured(order, decisions, &self.pre)?;
        // By the clock a busy machine would make it slow, and then busier by compiling.
        if processor_time().saturating_sub(begun) > limits::CONFIGURED_AGAIN {
            return Ok(None);
        }
        let octets = Arc::clone(&order.component);
        let (asked, image) = (AtomicBool::new(false), OnceLock::new());
        let start = Start::Soon { octets, plain: Arc::clone(self), asked, image };
        Ok(Some(order.configured(start, store.into_data(), started.elapsed())))
    }
}

/// What this thread has used.
fn processor_time() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec.try_into().unwrap_or(0), used.tv_nsec.try_into().unwrap_or(0))
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

impl Order {
    fn configured(&self, start: Start, state: State, build_time: Duration) -> Configured {
        Configured {
            component: self.component_digest.clone(),
            settings_digest: self.settings_digest.clone(),
            settings: self.settings.clone(),
            profile: self.profile,
            lookups: state.lookups,
            memory_octets: state.memory.used(),
            build_time,
            start,
        }
    }
}

/// Builds it, with its image where it can have one. Every problem found at one step is told.
pub(crate) fn build(
    order: &Order,
    builds: &Runtime,
    decisions: &Runtime,
    counted: &Arc<()>,
) -> Result<Configured, Vec<Flaw>> {
    let started = Instant::now();
    let world = World::read(&order.component).map_err(one)?;
    let unknown = world.problems();
    if !unknown.is_empty() {
        return Err(unknown.into_iter().map(Flaw::new).collect());
    }
    let (start, state) = match snapshotted(order, builds)? {
        Ok((image, state)) => {
            let pre = linked(&image, decisions)?;
            (Start::Image(Image { pre, _counted: Arc::clone(counted) }), state)
        }
        Err(why) => {
            if world.copied_octets > limits::COPIED_OCTETS {
                return Err(one(format!(
                    "no snapshot can be taken of this component ({why}), and every decision would copy {} octets of start \
                     data; {} are allowed: link it into one memory",
                    world.copied_octets,
                    limits::COPIED_OCTETS
                )));
            }
            let pre = linked(&order.component, decisions)?;
            let (store, _) = configured(order, decisions, &pre)?;
            (Start::EachInstance { pre, why }, store.into_data())
        }
    };
    Ok(order.configured(start, state, started.elapsed()))
}

/// The image alone, of what has been configured before. Err: why it has none.
pub(crate) fn image(
    order: &Order,
    builds: &Runtime,
    decisions: &Runtime,
    counted: &Arc<()>,
) -> Result<Image, Vec<Flaw>> {
    let (image, _) = snapshotted(order, builds)?.map_err(one)?;
    Ok(Image { pre: linked(&image, decisions)?, _counted: Arc::clone(counted) })
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
    let (mut store, instance) = configured(order, builds, &*linked(&instrumented, builds)?)?;
    let taken = caught(|| snapshot::take(&wizer, &context, &mut store, instance)).unwrap_or_else(Err);
    Ok(taken.map(|image| (image, store.into_data())))
}

/// Instantiates and calls `configure`; nothing may be left in its hands.
fn configured(order: &Order, runtime: &Runtime, pre: &PolicyPre<State>) -> Result<(Store<State>, Instance), Vec<Flaw>> {
    let state = State::new(Question::Configure, 0, Arc::clone(&order.surroundings), order.profile);
    let time = order.profile.configure_time();
    let mut store = decide::store(&runtime.engine, state, time);
    // The settings document is handed to the guest, and the problems come back.
    store.set_hostcall_fuel(limits::SETTINGS_OCTETS);
    let instance = pre.instance_pre().instantiate(&mut store);
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

fn linked(component: &[u8], runtime: &Runtime) -> Result<Pre, Vec<Flaw>> {
    let component = Component::new(&runtime.engine, component)
        .map_err(|error| one(format!("this component cannot be compiled: {error:#}")))?;
    let pre = runtime.linker.instantiate_pre(&component).and_then(decide::prepared);
    pre.map(Arc::new)
        .map_err(|error| one(format!("this component does not fit the contract {}: {error:#}", crate::world::VERSION)))
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
