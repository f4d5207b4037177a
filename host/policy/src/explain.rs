//! Explanations: a policy is asked which rules it tried on the facts of a decision, and why they held or did not.
//!
//! 1. What explains exports `explanation` (`wit/policy.wit`); of another it is said that it does not tell.
//! 2. It runs apart from every decision: in a fresh instance with every limit, on the replays' thread at low priority. It is
//!    handed no decision, so there is nothing it could change; and it leaves neither record nor count.
//! 3. The facts are those the decision was made on: by hand, or those on record. A policy or settings that are others by now
//!    are not asked, and what is not on record, or is not any more what it was, ends the explanation: nothing is guessed.
//! 4. Whatever goes wrong is told in its place and harms nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use sealwire_core::decision::FailureCause;
use sealwire_core::explain::{RulesTried, Tried};
use sealwire_core::facts::{DestinationFacts, HopFacts, MessageFacts};
use sealwire_core::ledger::DecisionRecord;
use wasmtime::Store;
use wasmtime::component::Resource;

use crate::bindings::Policy;
use crate::bindings::explained::{self, ExplainedPolicy};
use crate::configured::Configured;
use crate::decide::{self, Failure};
use crate::generation::{ChainId, ChainPolicy, Generation};
use crate::limits;
use crate::reads::Reads;
use crate::recorded::Recorded;
use crate::sandbox::{Inner, Sandbox};
use crate::state::{Question, State};
use crate::threads::caught;

/// One decision, and who is to be asked why.
#[derive(Clone, Debug)]
pub struct Explainable {
    /// Whose settings: the chain of the record's unit.
    pub chain: ChainId,
    /// Id of the message.
    pub message: String,
    /// The decision.
    pub record: DecisionRecord,
    /// What it was made on; None: what is on record.
    pub facts: Option<AskedFacts>,
}

/// What a hook was asked about.
#[derive(Clone, Debug)]
pub enum AskedFacts {
    /// A message that arrives.
    Receive(Arc<MessageFacts>),
    /// One recipient's way out.
    Plan(Arc<MessageFacts>, Arc<DestinationFacts>),
    /// One host.
    Judge(Arc<MessageFacts>, Arc<HopFacts>),
}

impl AskedFacts {
    /// As this unit sees it.
    fn question(&self, unit: &[String]) -> Question {
        match self.clone() {
            AskedFacts::Receive(message) => Question::Receive(message),
            AskedFacts::Plan(message, to) => Question::Plan(message, to),
            AskedFacts::Judge(message, hop) => Question::Judge(message, hop),
        }
        .of_unit(unit)
    }
}

impl Sandbox {
    /// Asks for each, one after the other, and answers in the same order, within [`limits::EXPLANATIONS_TIME`]. The caller bounds
    /// how many.
    pub async fn explain(&self, generation: &Arc<Generation>, asked: Vec<Explainable>) -> Vec<RulesTried> {
        let policies: Vec<String> = asked.iter().map(|asked| asked.record.policy.clone()).collect();
        let (inner, of) = (Arc::clone(self.inner()), Arc::clone(generation));
        let job = move || inner.explained(&of, &asked);
        let told = match &self.inner().replays {
            None => Ok(job()),
            Some(threads) => threads.run(job).await,
        };
        told.unwrap_or_else(|why| policies.iter().map(|policy| RulesTried::untold(policy, &*why)).collect())
    }
}

impl Inner {
    fn explained(&self, generation: &Generation, asked: &[Explainable]) -> Vec<RulesTried> {
        let until = Instant::now() + limits::EXPLANATIONS_TIME;
        let mut endless = BTreeSet::new();
        let explain = |asked: &Explainable| {
            let policy = asked.record.policy.as_str();
            let told = match Instant::now() < until {
                false => Err(Untold::Because("there are too many to ask about in one go".to_owned())),
                true if endless.contains(policy) => Err(Untold::Endless),
                true => {
                    let _running = self.timed();
                    caught(|| tried(generation, asked)).unwrap_or_else(|panic| Err(Untold::Because(panic)))
                }
            };
            told.unwrap_or_else(|untold| match untold {
                Untold::Because(why) => RulesTried::untold(policy, why),
                Untold::Endless => {
                    endless.insert(policy.to_owned());
                    RulesTried::untold(policy, "it ran out of time")
                }
            })
        };
        asked.iter().map(explain).collect()
    }
}

/// Why nothing is told.
enum Untold {
    /// It ran out of time, and would again.
    Endless,
    /// In words.
    Because(String),
}

fn tried(generation: &Generation, asked: &Explainable) -> Result<RulesTried, Untold> {
    let record = &asked.record;
    let because = |why: &str| Untold::Because(why.to_owned());
    let policy = generation.chain(asked.chain).iter().find(|policy| policy.name == record.policy);
    let policy = policy.ok_or_else(|| because("this policy is not in the chain any more"))?;
    if policy.configured.component != record.component {
        return Err(because("this policy is another since"));
    }
    if policy.configured.settings_digest != record.settings {
        return Err(because("its settings have changed since"));
    }
    if !policy.configured.explains() {
        return Err(because(DOES_NOT_TELL));
    }
    let (question, now, reads) = match &asked.facts {
        Some(facts) => {
            let now = record.facts.get("message.now").or_else(|| record.at_hand.get("message.now"));
            (
                facts.question(&record.unit),
                now.and_then(serde_json::Value::as_u64).unwrap_or_default(),
                Reads::default(),
            )
        }
        None => {
            let recorded = Recorded::of(&asked.message, record).map_err(|fact| because(&not_on_record(&fact)))?;
            let reads = Reads::of_decision(recorded.names, record);
            (recorded.question, recorded.now, reads)
        }
    };
    let mut state = State::new(question, now, Arc::clone(generation.surroundings()), policy.profile);
    state.reads = reads;
    let (outcome, state) = run(policy, state);
    match (outcome, state.reads.missing, state.reads.changed) {
        (_, Some(fact), _) => Err(Untold::Because(not_on_record(&fact))),
        (_, _, Some(look_up)) => {
            Err(Untold::Because(format!("{look_up} is not what it was, or was not looked up then")))
        }
        (Err(Failure { cause: FailureCause::Overrun, .. }), ..) => Err(Untold::Endless),
        (Err(Failure { cause, detail }), ..) => Err(Untold::Because(format!("{cause} ({detail})"))),
        (Ok(rules), ..) => Ok(bounded(&policy.name, rules)),
    }
}

const DOES_NOT_TELL: &str = "this policy does not tell";

fn not_on_record(fact: &str) -> String {
    format!("not on record: {fact}")
}

/// So many rules, each in so many words.
fn bounded(policy: &str, rules: Vec<explained::Tried>) -> RulesTried {
    let untold = match rules.len() {
        0 => Some(DOES_NOT_TELL.to_owned()),
        count if count > limits::TRIED => Some(format!("{} more", count - limits::TRIED)),
        _ => None,
    };
    let tried = |rule: explained::Tried| Tried {
        setting: limits::cut(&rule.setting, limits::REASON_OCTETS),
        rule: limits::cut(&rule.rule, limits::RULE_OCTETS),
        holds: rule.holds,
        why: limits::cut(&rule.why, limits::PRIVATE_OCTETS),
    };
    let rules = rules.into_iter().take(limits::TRIED).map(tried).collect();
    RulesTried { policy: policy.to_owned(), rules, untold }
}

/// One run in one fresh instance.
fn run(policy: &ChainPolicy, state: State) -> (Result<Vec<explained::Tried>, Failure>, State) {
    let time = policy.profile.decision_time() * limits::EXPLANATION_PATIENCE;
    let mut store = decide::store(policy.configured.engine(), state, time);
    let outcome = asked(&policy.configured, &mut store);
    let outcome = outcome.map_err(|failure| decide::with_last_words(failure, store.data()));
    (outcome, store.into_data())
}

fn asked(configured: &Configured, store: &mut Store<State>) -> Result<Vec<explained::Tried>, Failure> {
    let failure = |error: wasmtime::Error| decide::failure(&error);
    let question = store.data().question.clone();
    let (pre, in_each_instance) = configured.start();
    let instance = pre.instance_pre().instantiate(&mut *store).map_err(failure)?;
    if in_each_instance {
        // What `configure` looks up is no fact of the decision.
        let reads = std::mem::take(&mut store.data_mut().reads);
        store.data_mut().question = Question::Configure;
        let policy = Policy::new(&mut *store, &instance).map_err(failure)?;
        decide::configure_again(configured, &policy, store)?;
        store.data_mut().begin(question.clone());
        store.data_mut().reads = reads;
    }
    let policy = ExplainedPolicy::new(&mut *store, &instance).map_err(failure)?;
    // The answer is handed over in one piece.
    store.set_hostcall_fuel(limits::EXPLANATION_OCTETS);
    let explanation = policy.sealwire_policy_explanation();
    let message = || Resource::new_borrow(0);
    let told = match question {
        Question::Configure => return Ok(Vec::new()),
        Question::Receive(_) => explanation.call_receive(store, message()),
        Question::Plan(..) => explanation.call_plan(store, message(), Resource::new_borrow(0)),
        Question::Judge(..) => explanation.call_judge(store, message(), Resource::new_borrow(0)),
    };
    told.map_err(failure)?
        .map_err(|text| Failure { cause: FailureCause::Err, detail: limits::bounded(&text, limits::DETAIL_OCTETS) })
}
