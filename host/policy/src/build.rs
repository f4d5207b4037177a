//! From a source to a generation, off the mail path: what the one before has unchanged is taken over, what chains have in
//! common is built once, and every chain decides on the probe facts that has not done so before.
//!
//! An image is compiled, which takes some tenths of a second. A change must be live within one, so it waits for one image of a
//! component at most: further chains start from the component as it came, compiled once for all of them, and get their images
//! later ([`images`](crate::images)). Where that is at hand already, a change waits for none.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread;

use sealwire_core::decision::FailedDecision;

use crate::configured::{self, Configured, Order, Plain};
use crate::generation::{self, ChainId, ChainPolicy, Generation, GenerationSource, PolicySource};
use crate::limits::{self, Profile};
use crate::memory;
use crate::probe;
use crate::problem::{BuildProblem, Flaw};
use crate::sandbox::{AllMadeFor, Inner, LOW_PRIORITY, Sandbox};
use crate::state::Surroundings;
use crate::threads::caught;

impl Sandbox {
    /// Builds a generation; blocking, off the mail path. Every problem of every policy is told. What `previous` has
    /// unchanged is taken over.
    pub fn build(
        &self,
        source: GenerationSource,
        previous: Option<&Generation>,
    ) -> Result<Generation, Vec<BuildProblem>> {
        let mut problems = generation::problems(&source);
        if !problems.is_empty() {
            return Err(problems);
        }
        let surroundings = Surroundings::of(&source);
        let mut building = Building::new(self, Arc::clone(&surroundings), previous);
        let knows_all = previous.is_some_and(|previous| previous.surroundings().is_as(&surroundings));
        let (mut chains, mut unproven) = (Vec::new(), Vec::new());
        for (id, policies) in (0..).map(ChainId).zip(&source.chains) {
            let mut chain = Vec::new();
            // A decision is a pure function of its facts: what decided on the probe with these lists and routes would do so again.
            let mut is_proven = knows_all;
            for policy in policies {
                match building.policy(policy) {
                    Ok(configured) => {
                        is_proven = is_proven && building.has_taken_over(&configured);
                        chain.push(ChainPolicy { name: policy.name.clone(), profile: policy.limits, configured });
                    }
                    Err(flaws) => problems.extend(flaws.into_iter().map(|flaw| flaw.of(id, &policy.name))),
                }
            }
            chains.push(chain);
            if !is_proven {
                unproven.push(id);
            }
        }
        drop(building);
        if !problems.is_empty() {
            return Err(problems);
        }
        self.probed(Generation::new(source.number, chains, surroundings), unproven)
    }

    /// Every policy of these chains must decide on the probe facts before any of them goes live.
    fn probed(&self, generation: Generation, chains: Vec<ChainId>) -> Result<Generation, Vec<BuildProblem>> {
        let inner = Arc::clone(self.inner());
        let generation = Arc::new(generation);
        let of = Arc::clone(&generation);
        let probed = off_the_path(move || {
            let questions = probe::questions();
            let mut failed = Vec::new();
            for (chain, question) in
                chains.into_iter().flat_map(|chain| questions.iter().map(move |asked| (chain, asked)))
            {
                let answers = inner.chain(&of, chain, question, probe::NOW, &AllMadeFor::default()).into_iter();
                failed.extend(answers.filter_map(|a| a.result.err().map(|why| (chain, a.record.hook, why))));
            }
            failed
        });
        let nobody = |text: String| vec![Flaw::new(text).of(ChainId::default(), "")];
        let failed = probed.map_err(nobody)?;
        if failed.is_empty() {
            // The probe's own clone is gone with its thread.
            return Arc::try_unwrap(generation).map_err(|_| nobody("a probe is still running".to_owned()));
        }
        let told = |(chain, hook, failed): (ChainId, String, FailedDecision)| BuildProblem {
            chain,
            policy: failed.policy,
            path: None,
            text: format!(
                "{hook} could not decide on the probe facts, a plain message: {} ({})",
                failed.cause, failed.detail
            ),
        };
        Err(failed.into_iter().map(told).collect())
    }
}

/// What makes two configured components one.
type Pair = (Arc<str>, String, Profile);

fn pair(known: &Configured) -> Pair {
    (Arc::from(known.component.as_str()), known.settings_digest.clone(), known.profile)
}

/// One generation on its way.
struct Building<'a> {
    sandbox: &'a Sandbox,
    surroundings: Arc<Surroundings>,
    /// Of the generation before.
    before: HashMap<Pair, Arc<Configured>>,
    now: HashMap<Pair, Arc<Configured>>,
    /// The components of this source, by where they lie in memory: each is hashed once.
    components: HashMap<*const u8, Component>,
}

struct Component {
    digest: Arc<str>,
    /// An image was built for this generation.
    has_image: bool,
    /// None inside: it can be no start.
    plain: Option<Option<Arc<Plain>>>,
}

impl<'a> Building<'a> {
    fn new(sandbox: &'a Sandbox, surroundings: Arc<Surroundings>, previous: Option<&Generation>) -> Building<'a> {
        // Native code belongs to the engine it was compiled for.
        let ours = |known: &&Arc<Configured>| wasmtime::Engine::same(known.engine(), &sandbox.inner().decisions.engine);
        let configured = previous.into_iter().flat_map(Generation::configured).filter(ours);
        let before = configured.map(|known| (pair(known), Arc::clone(known))).collect();
        Building { sandbox, surroundings, before, now: HashMap::new(), components: HashMap::new() }
    }

    /// The pair of component and settings, taken over or built.
    fn policy(&mut self, policy: &PolicySource) -> Result<Arc<Configured>, Vec<Flaw>> {
        let key = policy.component.as_ptr();
        let component = self.components.entry(key).or_insert_with(|| Component {
            digest: Arc::from(configured::digest(&policy.component)),
            has_image: false,
            plain: None,
        });
        let digest = Arc::clone(&component.digest);
        let settings_digest = configured::digest(policy.settings.as_bytes());
        let pair = (Arc::clone(&digest), settings_digest.clone(), policy.limits);
        if let Some(known) = self.now.get(&pair) {
            return Ok(Arc::clone(known));
        }
        let known = match self.before.get(&pair) {
            Some(known) if generation::is_reusable(known, &self.surroundings)? => Some(Arc::clone(known)),
            _ => None,
        };
        let configured = match known {
            Some(known) => known,
            None => Arc::new(self.built(Order {
                component: Arc::clone(&policy.component),
                component_digest: digest.to_string(),
                settings: policy.settings.clone(),
                settings_digest,
                profile: policy.limits,
                surroundings: Arc::clone(&self.surroundings),
            })?),
        };
        self.now.insert(pair, Arc::clone(&configured));
        Ok(configured)
    }

    /// It stood in the generation before.
    fn has_taken_over(&self, configured: &Arc<Configured>) -> bool {
        self.before.get(&pair(configured)).is_some_and(|known| Arc::ptr_eq(known, configured))
    }

    fn built(&mut self, order: Order) -> Result<Configured, Vec<Flaw>> {
        let order = Arc::new(order);
        let has_image = self.components.get(&order.component.as_ptr()).is_some_and(|component| component.has_image);
        let is_begun = has_image || self.sandbox.inner().images.has_plain(&order.component_digest);
        let plain = if is_begun && order.profile == Profile::Native { self.plain(&order)? } else { None };
        if let Some(plain) = plain {
            let (inner, of) = (Arc::clone(self.sandbox.inner()), Arc::clone(&order));
            let configured = move || {
                let _running = inner.ticker.running();
                plain.configured(&of, &inner.decisions)
            };
            let configured = off_the_path(configured).map_err(|text| vec![Flaw::new(text)])??;
            if let Some(configured) = configured {
                return Ok(configured);
            }
        }
        if self.now.values().filter(|known| known.holds_image()).count() >= limits::IMAGES {
            return Err(vec![Flaw::new(format!(
                "units have more than {} different settings, and this component cannot be configured in every decision: let \
                 more of them inherit",
                limits::IMAGES
            ))]);
        }
        if let Some(component) = self.components.get_mut(&order.component.as_ptr()) {
            component.has_image = true;
        }
        let inner = Arc::clone(self.sandbox.inner());
        off_the_path(move || inner.built(&order)).map_err(|text| vec![Flaw::new(text)])?
    }

    /// The component itself, compiled at the first need.
    fn plain(&mut self, order: &Arc<Order>) -> Result<Option<Arc<Plain>>, Vec<Flaw>> {
        let Some(component) = self.components.get_mut(&order.component.as_ptr()) else { return Ok(None) };
        if component.plain.is_none() {
            let (inner, of) = (Arc::clone(self.sandbox.inner()), Arc::clone(order));
            let plain = off_the_path(move || inner.images.plain(&of.component, &of.component_digest, &inner.decisions));
            component.plain = Some(plain.map_err(|text| vec![Flaw::new(text)])?);
        }
        Ok(component.plain.clone().flatten())
    }
}

impl Inner {
    fn built(&self, order: &Order) -> Result<Configured, Vec<Flaw>> {
        let _running = self.ticker.running();
        self.counters.built.fetch_add(1, Ordering::Relaxed);
        let built = configured::build(order, &self.builds, &self.decisions, self.images.counted());
        memory::give_back();
        built
    }
}

/// Runs on a thread of its own at low priority, for at most [`limits::BUILD_TIME`]. A compiler cannot be interrupted:
/// one that takes longer is left behind, and its result dropped.
fn off_the_path<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (done, wait) = mpsc::sync_channel(1);
    let named = thread::Builder::new().name("policy-build".into()).stack_size(limits::BUILD_STACK);
    let spawned = named.spawn(move || {
        // Of this thread alone, on Linux. It may be forbidden; then the build competes.
        let _ = rustix::process::nice(LOW_PRIORITY);
        let _ = done.send(caught(job));
    });
    let thread = spawned.map_err(|error| format!("no thread to build on: {error}"))?;
    match wait.recv_timeout(limits::BUILD_TIME) {
        Ok(result) => {
            // It has nothing left to do but drop what it borrowed from us.
            let _ = thread.join();
            result
        }
        Err(_) => Err(format!("the build took longer than {} s", limits::BUILD_TIME.as_secs())),
    }
}
