//! One decision: a fresh store and instance, one hook, thrown away; and what is left of it for the ledger.
//!
//! Every way a guest can end other than `conclude` and ok is a failed decision (H3). An overrun is run once more before
//! it counts, for the machine may have been at fault; everything else is deterministic and counts at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sealwire_core::decision::{FailedDecision, FailureCause};
use sealwire_core::ledger::DecisionRecord;
use serde_json::json;
use wasmtime::component::{InstancePre, Resource};
use wasmtime::{Engine, Store, Trap};

use crate::bindings::explained::ExplainedPolicyPre;
use crate::bindings::{Policy, PolicyPre};
use crate::calls::Calls;
use crate::configured::Configured;
use crate::generation::{ChainPolicy, Generation};
use crate::limits;
use crate::reads::Reads;
use crate::recorded::{self, Recorded};
use crate::state::{Breach, Question, State};
use crate::ticker;
use crate::world;

/// One policy's answer.
pub(crate) struct Answer {
    pub(crate) policy: String,
    pub(crate) result: Result<Calls, FailedDecision>,
    pub(crate) record: DecisionRecord,
    /// Overruns on the way, the forgiven one included.
    pub(crate) overruns: u64,
}

/// Why a decision does not count.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) cause: FailureCause,
    pub(crate) detail: String,
}

/// Asks one policy of the chain.
pub(crate) fn ask(policy: &ChainPolicy, generation: &Generation, question: &Question, now: u64) -> Answer {
    let asking = Asking { now, time: policy.profile.decision_time(), again: true, reads: &Reads::default };
    let (answer, state) = answered(policy, generation, question, &asking);
    log(&policy.name, question, &state);
    answer
}

/// Asks it what was asked before, by the facts on record, within so many times a decision's time. Err: why they do not answer
/// it.
pub(crate) fn ask_again(
    policy: &ChainPolicy,
    generation: &Generation,
    recorded: &Recorded,
    patience: u32,
) -> Result<Answer, String> {
    let Recorded { question, now, names } = recorded;
    let time = policy.profile.decision_time() * patience;
    let reads = || Reads::of_record(Arc::clone(names));
    let asking = Asking { now: *now, time, again: false, reads: &reads };
    let (answer, state) = answered(policy, generation, question, &asking);
    match state.reads.missing {
        Some(missing) => Err(missing),
        None => Ok(answer),
    }
}

/// How a question is asked.
struct Asking<'a> {
    /// The decision's time, seconds since the Unix epoch.
    now: u64,
    /// Wall time it may take.
    time: Duration,
    /// An overrun is run once more.
    again: bool,
    /// What can be read.
    reads: &'a dyn Fn() -> Reads,
}

fn answered(
    policy: &ChainPolicy,
    generation: &Generation,
    question: &Question,
    asking: &Asking<'_>,
) -> (Answer, State) {
    let Asking { now, time, again, reads } = *asking;
    let started = Instant::now();
    let run = || {
        let mut state = State::new(question.clone(), now, Arc::clone(generation.surroundings()), policy.profile);
        state.reads = reads();
        run(&policy.configured, state, time)
    };
    let (mut outcome, mut state) = run();
    let mut overruns = 0;
    if is_overrun(&outcome) && again {
        (outcome, state) = run();
        overruns = 1 + u64::from(is_overrun(&outcome));
    }
    let took = started.elapsed();
    let result = match outcome {
        Ok(()) => Ok(std::mem::take(&mut state.calls).named(&policy.name)),
        Err(Failure { cause, detail }) => Err(FailedDecision { policy: policy.name.clone(), cause, detail }),
    };
    let mut record = record(policy, generation, question, &result);
    record.lists = std::mem::take(&mut state.reads.lists);
    record.facts = state.reads.take_json();
    record.at_hand = recorded::at_hand(question, now, &record.facts);
    record.took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    (Answer { policy: policy.name.clone(), result, record, overruns }, state)
}

/// The answer of a policy that could not be run at all.
pub(crate) fn unavailable(policy: &ChainPolicy, generation: &Generation, question: &Question, why: &str) -> Answer {
    let detail = limits::bounded(why, limits::DETAIL_OCTETS);
    let result = Err(FailedDecision { policy: policy.name.clone(), cause: FailureCause::Unavailable, detail });
    let record = record(policy, generation, question, &result);
    Answer { policy: policy.name.clone(), result, record, overruns: 0 }
}

fn is_overrun(outcome: &Result<(), Failure>) -> bool {
    matches!(outcome, Err(Failure { cause: FailureCause::Overrun, .. }))
}

fn record(
    policy: &ChainPolicy,
    generation: &Generation,
    question: &Question,
    result: &Result<Calls, FailedDecision>,
) -> DecisionRecord {
    DecisionRecord {
        hook: question.hook().to_owned(),
        policy: policy.name.clone(),
        generation: generation.number(),
        revision: 0,
        revision_at: 0,
        unit: question.message().map(|message| message.organizational_unit.clone()).unwrap_or_default(),
        internal: false,
        also_for: Vec::new(),
        component: policy.configured.component.clone(),
        settings: policy.configured.settings_digest.clone(),
        lists: Default::default(),
        facts: json!({}),
        at_hand: Default::default(),
        result: match result {
            Ok(calls) => calls.to_json(question.hook()),
            Err(failed) => json!({ "failed": failed }),
        },
        reasons: result.as_ref().map(|calls| calls.reasons().to_vec()).unwrap_or_default(),
        took_us: 0,
    }
}

fn log(policy: &str, question: &Question, state: &State) {
    let Some(wasi) = &state.wasi else { return };
    let message = question.message().map_or("", |message| message.id.as_str());
    for line in wasi.log_lines() {
        tracing::info!(policy, hook = question.hook(), message, "{line}");
    }
}

/// One run in one fresh instance.
fn run(configured: &Configured, state: State, time: Duration) -> (Result<(), Failure>, State) {
    let question = state.question.clone();
    // Its image may come while this runs; what begins without it ends without it.
    let (pre, in_each_instance) = configured.start();
    let mut store = store(pre.engine(), state, time);
    let outcome = instance(pre, &mut store).and_then(|policy| {
        if in_each_instance {
            store.data_mut().question = Question::Configure;
            configure_again(configured, &policy, &mut store)?;
            store.data_mut().begin(question.clone());
        }
        call(&policy, &mut store, &question)
    });
    let outcome = match outcome {
        Ok(()) if !store.data().calls.concluded() => {
            let detail = "it returned ok without calling conclude".to_owned();
            Err(Failure { cause: FailureCause::NotConcluded, detail })
        }
        other => other.map_err(|failure| with_last_words(failure, store.data())),
    };
    (outcome, store.into_data())
}

/// A store with every limit set.
pub(crate) fn store(engine: &Engine, state: State, time: Duration) -> Store<State> {
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.memory);
    store.set_epoch_deadline(ticker::ticks(time));
    store.set_hostcall_fuel(limits::HOSTCALL_OCTETS);
    store.set_max_component_handles(limits::HANDLES);
    store
}

pub(crate) fn instance(pre: &PolicyPre<State>, store: &mut Store<State>) -> Result<Policy, Failure> {
    pre.instantiate(store).map_err(|error| failure(&error))
}

pub(crate) fn configure_again(
    configured: &Configured,
    policy: &Policy,
    store: &mut Store<State>,
) -> Result<(), Failure> {
    match policy.sealwire_policy_hooks().call_configure(&mut *store, &configured.settings) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(problems)) => {
            let text = problems.first().map_or("no reason given", |problem| problem.text.as_str());
            Err(Failure {
                cause: FailureCause::Err,
                detail: limits::bounded(&format!("configure: {text}"), limits::DETAIL_OCTETS),
            })
        }
        Err(error) => Err(failure(&error)),
    }
}

/// Calls the hook. The handles are numbers the guest cannot use for anything but these very objects.
pub(crate) fn call(policy: &Policy, store: &mut Store<State>, question: &Question) -> Result<(), Failure> {
    let hooks = policy.sealwire_policy_hooks();
    let message = || Resource::new_borrow(0);
    let returned = match question {
        Question::Configure => return Ok(()),
        Question::Receive(_) => hooks.call_receive(store, message(), Resource::new_borrow(0)),
        Question::Plan(..) => hooks.call_plan(store, message(), Resource::new_borrow(0), Resource::new_borrow(0)),
        Question::Judge(..) => hooks.call_judge(store, message(), Resource::new_borrow(0), Resource::new_borrow(0)),
    };
    match returned {
        Ok(Ok(())) => Ok(()),
        Ok(Err(text)) => {
            Err(Failure { cause: FailureCause::Err, detail: limits::bounded(&text, limits::DETAIL_OCTETS) })
        }
        Err(error) => Err(failure(&error)),
    }
}

/// What a trap or a refused instantiation means.
pub(crate) fn failure(error: &wasmtime::Error) -> Failure {
    let root = error.root_cause().to_string();
    let cause = match (error.downcast_ref::<Breach>(), error.downcast_ref::<Trap>()) {
        (Some(Breach::Limit(_)), _) => FailureCause::Limit,
        (Some(Breach::Misuse(_)), _) => FailureCause::Trap,
        (_, Some(Trap::Interrupt)) => FailureCause::Overrun,
        (_, Some(Trap::StackOverflow)) => FailureCause::Limit,
        (_, Some(_)) => FailureCause::Trap,
        _ if error.is::<wasmtime::PoolConcurrencyLimitError>() => FailureCause::Unavailable,
        // These two errors of wasmtime have no public type.
        _ if root.contains("fuel allocated for hostcalls") || root.contains("handle limit exceeded") => {
            FailureCause::Limit
        }
        _ => FailureCause::Trap,
    };
    Failure { cause, detail: limits::bounded(&root, limits::DETAIL_OCTETS) }
}

/// A guest that panics says why on standard error; "unreachable executed" alone helps nobody.
pub(crate) fn with_last_words(failure: Failure, state: &State) -> Failure {
    let last = state.wasi.as_ref().and_then(|wasi| wasi.log_lines().into_iter().next_back());
    match last {
        Some(last) if failure.cause == FailureCause::Trap => {
            let detail = format!("{}; its last line on standard error: {last}", failure.detail);
            Failure { detail: limits::bounded(&detail, limits::DETAIL_OCTETS), ..failure }
        }
        _ => failure,
    }
}

/// Everything that is checked when a component is linked, done once.
pub(crate) fn prepared(pre: InstancePre<State>) -> wasmtime::Result<PolicyPre<State>> {
    if explains(&pre) {
        ExplainedPolicyPre::new(pre.clone())?;
    }
    PolicyPre::new(pre)
}

/// It exports `explanation`.
pub(crate) fn explains(pre: &InstancePre<State>) -> bool {
    pre.component().get_export_index(None, world::of("explanation")).is_some()
}
