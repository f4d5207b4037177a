//! The sandbox as the relay sees it: build a generation, and ask it.
//!
//! 1. [`Sandbox::build`] (`build.rs`) makes a [`Generation`] off the mail path, on a thread of low priority.
//! 2. [`Sandbox::receive`], [`plan`](Sandbox::plan), [`judge`](Sandbox::judge) hand the whole chain to one decision
//!    thread, wait, and join what the policies said (`core::decision`).
//!
//! There is no fail-open switch: whatever keeps a policy from deciding is a failed decision (H3).

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use schemars::JsonSchema;
use sealwire_core::decision::{self, Called, Judgement, PlanCall, Verdict};
use sealwire_core::facts::{DestinationFacts, HopFacts, MessageFacts};
use sealwire_core::ledger::{DecisionRecord, MadeFor};
use serde::Serialize;

use crate::calls::Calls;
use crate::decide::{self, Answer};
use crate::engine::{self, Allocation, Runtime};
use crate::generation::{ChainId, ChainPolicy, Generation};
use crate::images::{self, Images};
use crate::problem::SandboxError;
use crate::state::Question;
use crate::threads::{Threads, caught};
use crate::ticker::{Running, Ticker};

/// Niceness of what mail does not wait for: builds and replays.
pub(crate) const LOW_PRIORITY: i32 = 10;

/// How the sandbox is set up.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// Threads that run decisions.
    pub threads: NonZeroUsize,
    /// Run decisions where they are asked for instead, with no clock that stops them: for tests in virtual time, in which
    /// an answer from another thread would come at any moment. Only for guests that are known to end.
    pub inline: bool,
    /// Keep instances in a pool; where the system refuses one, they are made on demand.
    pub pooling: bool,
    /// Reset memory by PAGEMAP_SCAN where the system has it (Linux 6.7).
    pub pagemap_scan: bool,
}

impl Default for SandboxConfig {
    /// One thread per core, pool and PAGEMAP_SCAN where they can be had.
    fn default() -> SandboxConfig {
        let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        SandboxConfig { threads, inline: false, pooling: true, pagemap_scan: true }
    }
}

/// The engine, the threads and the clock behind every decision. One per process; clones share it.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) decisions: Runtime,
    pub(crate) builds: Runtime,
    allocation: Allocation,
    pub(crate) ticker: Ticker,
    pub(crate) images: Images,
    /// None: decisions run where they are asked for.
    threads: Option<Threads>,
    /// For replays: fewer, and at low priority.
    pub(crate) replays: Option<Threads>,
    thread_count: usize,
    pub(crate) counters: Counters,
}

#[derive(Default)]
pub(crate) struct Counters {
    decisions: AtomicU64,
    failed: AtomicU64,
    overruns: AtomicU64,
    pub(crate) built: AtomicU64,
}

/// The sandbox as status shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SandboxStatus {
    /// The contract's version.
    pub contract: &'static str,
    /// Threads that run decisions.
    pub threads: usize,
    /// Instances come from a pool; else they are made on demand.
    pub pooling: bool,
    /// Memory is reset by PAGEMAP_SCAN.
    pub pagemap_scan: bool,
    /// Calls of one policy since start.
    pub decisions: u64,
    /// Those that failed.
    pub failed: u64,
    /// Runs that took longer than they may, forgiven ones included.
    pub overruns: u64,
    /// Components built since start.
    pub built: u64,
    /// Memory images that are held: chains beyond them are configured in each instance.
    pub images: usize,
}

/// One chain and the message as its unit sees it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Whose settings.
    pub chain: ChainId,
    /// They are those for mail whose client and recipient are both ours.
    pub internal: bool,
    /// Its organizational unit is the one whose settings these are.
    pub message: Arc<MessageFacts>,
    /// Who has the same settings, and is asked for with it.
    pub also_for: Vec<MadeFor>,
}

impl Asked {
    /// The first chain: there are no units but the root.
    pub fn of(message: &Arc<MessageFacts>) -> Asked {
        Asked { chain: ChainId::default(), internal: false, message: Arc::clone(message), also_for: Vec::new() }
    }
}

/// Whom one chain is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllMadeFor {
    internal: bool,
    also_for: Vec<MadeFor>,
}

/// The fact by which units with equal settings are told apart.
const UNIT: &str = "message.organizational-unit";

impl AllMadeFor {
    /// One answer for all of them, as long as the policy does not read whose it is; else one for each unit.
    fn answers(&self, question: &Question, ask: impl Fn(&Question) -> Answer) -> Vec<Answer> {
        let mut first = ask(question);
        first.record.internal = self.internal;
        if first.record.facts.get(UNIT).is_none() {
            first.record.also_for.clone_from(&self.also_for);
            return vec![first];
        }
        let mut answers = vec![first];
        for one in &self.also_for {
            if let Some(known) = answers.iter_mut().find(|answer| answer.record.unit == one.unit) {
                known.record.also_for.push(one.clone());
                continue;
            }
            let mut answer = ask(&question.clone().of_unit(&one.unit));
            answer.record.internal = one.internal;
            answers.push(answer);
        }
        answers
    }
}

/// What the chain decided, and one record per policy asked (H8).
#[derive(Debug)]
pub struct Decided<T> {
    /// The answer.
    pub result: T,
    /// For the ledger, in the chain's order.
    pub records: Vec<DecisionRecord>,
}

impl Sandbox {
    /// Sets up engines, threads and clock.
    pub fn start(config: SandboxConfig) -> Result<Sandbox, SandboxError> {
        let engine = |error: wasmtime::Error| SandboxError::Engine(format!("{error:#}"));
        let threads = config.threads.get();
        // A slot per thread and policy keeps each slot warm for the image it had last; probes take some too.
        let slots = u32::try_from(threads.saturating_add(2).saturating_mul(8)).unwrap_or(u32::MAX);
        let (decisions, allocation) = engine::decisions(slots, config.pooling, config.pagemap_scan).map_err(engine)?;
        let builds = engine::builds().map_err(engine)?;
        let ticker = Ticker::start(&[&decisions.engine, &builds.engine]).map_err(SandboxError::Thread)?;
        let start = |name, count, niceness| match config.inline {
            true => Ok(None),
            false => Threads::start(name, count, niceness).map(Some).map_err(SandboxError::Thread),
        };
        let (pool, replays) = (start("policy", threads, 0)?, start("policy-replay", 1, LOW_PRIORITY)?);
        let (images, orders) = Images::new();
        let counters = Counters::default();
        let inner = Inner {
            decisions,
            builds,
            allocation,
            ticker,
            images,
            threads: pool,
            replays,
            thread_count: threads,
            counters,
        };
        let inner = Arc::new(inner);
        if !config.inline {
            images::start(&inner, orders).map_err(SandboxError::Thread)?;
        }
        Ok(Sandbox { inner })
    }

    /// For status and the command line.
    pub fn status(&self) -> SandboxStatus {
        let Inner { allocation, counters, .. } = &*self.inner;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SandboxStatus {
            contract: crate::world::VERSION,
            threads: self.inner.thread_count,
            pooling: allocation.pooling,
            pagemap_scan: allocation.pagemap_scan,
            decisions: count(&counters.decisions),
            failed: count(&counters.failed),
            overruns: count(&counters.overruns),
            built: count(&counters.built),
            images: self.inner.images.count(),
        }
    }

    /// May this message come in?
    pub async fn receive(&self, generation: &Arc<Generation>, asked: &Asked, now: u64) -> Decided<Verdict> {
        let question = Question::Receive(Arc::clone(&asked.message));
        let (calls, records) = self.ask(generation, asked, question, now, Calls::into_receive).await;
        Decided { result: decision::join_receives(calls), records }
    }

    /// What must this recipient's way out give, by the settings of every unit it concerns? The caller joins the calls with
    /// what stands besides (`core::decision::join_plans`).
    pub async fn plan(
        &self,
        generation: &Arc<Generation>,
        asked: &[Asked],
        destination: Arc<DestinationFacts>,
        now: u64,
    ) -> Decided<Vec<Called<PlanCall>>> {
        let question = |asked: &Asked| Question::Plan(Arc::clone(&asked.message), Arc::clone(&destination));
        let (result, records) = self.ask_all(generation, asked, question, now, Calls::into_plan).await;
        Decided { result, records }
    }

    /// Will this host do, by the settings of every unit it concerns?
    pub async fn judge(
        &self,
        generation: &Arc<Generation>,
        asked: &[Asked],
        hop: Arc<HopFacts>,
        now: u64,
    ) -> Decided<Judgement> {
        let question = |asked: &Asked| Question::Judge(Arc::clone(&asked.message), Arc::clone(&hop));
        let (calls, records) = self.ask_all(generation, asked, question, now, Calls::into_judge).await;
        Decided { result: decision::join_judges(calls), records }
    }

    /// Chain by chain; of none: no call, which joins to a failed decision.
    async fn ask_all<T>(
        &self,
        generation: &Arc<Generation>,
        asked: &[Asked],
        question: impl Fn(&Asked) -> Question,
        now: u64,
        into: impl Fn(Calls, String) -> T + Copy,
    ) -> (Vec<Called<T>>, Vec<DecisionRecord>) {
        let (mut calls, mut records) = (Vec::new(), Vec::new());
        for asked in asked {
            let (more, kept) = self.ask(generation, asked, question(asked), now, into).await;
            calls.extend(more);
            records.extend(kept);
        }
        (calls, records)
    }

    /// One whole chain, in order, on one thread: one wake-up however many policies there are.
    async fn ask<T>(
        &self,
        generation: &Arc<Generation>,
        asked: &Asked,
        question: Question,
        now: u64,
        into: impl Fn(Calls, String) -> T,
    ) -> (Vec<Called<T>>, Vec<DecisionRecord>) {
        let Asked { chain, internal, .. } = *asked;
        self.inner.images.ask_for(generation, chain);
        let made_for = AllMadeFor { internal, also_for: asked.also_for.clone() };
        let answers = match &self.inner.threads {
            None => Ok(self.inner.chain(generation, chain, &question, now, &made_for)),
            Some(threads) => {
                let (inner, of) = (Arc::clone(&self.inner), Arc::clone(generation));
                let (asked, made_for) = (question.clone(), made_for.clone());
                threads.run(move || inner.chain(&of, chain, &asked, now, &made_for)).await
            }
        };
        // H8: a chain that could not be run leaves its records like any other failed decision.
        let unavailable = |why: String| {
            let of_policy = |policy| decide::unavailable(policy, generation, &question, &why);
            generation
                .chain(chain)
                .iter()
                .flat_map(|policy| made_for.answers(&question, |_| of_policy(policy)))
                .collect()
        };
        let answers: Vec<Answer> = answers.unwrap_or_else(unavailable);
        let called = |Answer { policy, result, record, .. }: Answer| (result.map(|calls| into(calls, policy)), record);
        answers.into_iter().map(called).unzip()
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }
}

impl Inner {
    /// Asks every policy of the chain; a panic in the host costs one decision and not the thread.
    pub(crate) fn chain(
        &self,
        generation: &Generation,
        id: ChainId,
        question: &Question,
        now: u64,
        made_for: &AllMadeFor,
    ) -> Vec<Answer> {
        let _running = self.timed();
        let ask = |policy: &ChainPolicy, question: &Question| {
            let answer = caught(|| decide::ask(policy, generation, question, now));
            let answer = answer.unwrap_or_else(|panic| decide::unavailable(policy, generation, question, &panic));
            self.count(&answer);
            answer
        };
        let chain = generation.chain(id).iter();
        chain.flat_map(|policy| made_for.answers(question, |question| ask(policy, question))).collect()
    }

    /// While it is held, time limits count; where decisions run inline there are none.
    pub(crate) fn timed(&self) -> Option<Running<'_>> {
        self.threads.is_some().then(|| self.ticker.running())
    }

    fn count(&self, answer: &Answer) {
        self.counters.decisions.fetch_add(1, Ordering::Relaxed);
        self.counters.failed.fetch_add(u64::from(answer.result.is_err()), Ordering::Relaxed);
        self.counters.overruns.fetch_add(answer.overruns, Ordering::Relaxed);
    }
}
