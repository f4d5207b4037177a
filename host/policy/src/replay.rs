//! Replay: a generation is asked what the ledger says was asked of another, by the facts on record alone.
//!
//! It runs as any decision does, in a fresh instance with every limit, but on a thread of its own at low priority, and leaves
//! neither record nor count. Lists and routes are those of the generation that is asked: an edit of a list is what an
//! operator wants to foresee. A policy that asks for a fact which is not on record has no answer, and none is guessed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sealwire_core::decision::FailureCause;
use sealwire_core::ledger::DecisionRecord;

use crate::decide::{self, Answer};
use crate::generation::{ChainId, ChainPolicy, Generation};
use crate::limits;
use crate::recorded::Recorded;
use crate::sandbox::{Inner, Sandbox};
use crate::threads::caught;

/// One decision of the ledger, and who is to be asked again.
#[derive(Clone, Debug)]
pub struct Replayable {
    /// Whose settings: the chain of the recorded unit.
    pub chain: ChainId,
    /// Id of the message.
    pub message: String,
    /// As the ledger has it.
    pub record: DecisionRecord,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Replayed {
    /// What it would have been, as the ledger would have it.
    Decided(Box<DecisionRecord>),
    /// It cannot be told, and why: the fact that is not on record, for the most part.
    NotReplayable(String),
}

impl Sandbox {
    /// Asks again, one after the other, and answers in the same order. The caller bounds how many at once; once `stop` is set
    /// the rest is not asked, and is not replayable.
    pub async fn replay(
        &self,
        generation: &Arc<Generation>,
        asked: Arc<[Replayable]>,
        stop: Arc<AtomicBool>,
    ) -> Vec<Replayed> {
        let (inner, of, all) = (Arc::clone(self.inner()), Arc::clone(generation), Arc::clone(&asked));
        let again = move |asked: &Replayable| match stop.load(Ordering::Relaxed) {
            true => Replayed::NotReplayable("it was stopped".to_owned()),
            false => inner.again(&of, asked),
        };
        let job = move || all.iter().map(again).collect();
        let answers: Result<Vec<Replayed>, String> = match &self.inner().replays {
            None => Ok(job()),
            Some(threads) => threads.run(job).await,
        };
        answers.unwrap_or_else(|why| asked.iter().map(|_| Replayed::NotReplayable(why.clone())).collect())
    }
}

impl Inner {
    fn again(&self, generation: &Generation, asked: &Replayable) -> Replayed {
        let _running = self.timed();
        match caught(|| again(generation, asked)).unwrap_or_else(Err) {
            Ok(record) => Replayed::Decided(Box::new(record)),
            Err(why) => Replayed::NotReplayable(why),
        }
    }
}

fn again(generation: &Generation, asked: &Replayable) -> Result<DecisionRecord, String> {
    let before = &asked.record;
    let by_name = generation.chain(asked.chain).iter().find(|policy| policy.name == before.policy);
    let policy = by_name.ok_or_else(|| format!("policy {} is not in the chain", before.policy))?;
    // It was the machine's failure, and its facts are not on record.
    if failure_of(before) == Some(FailureCause::Unavailable) {
        return Err("the policy could not be run".to_owned());
    }
    let recorded = Recorded::of(&asked.message, before).map_err(not_on_record)?;
    let answer = patiently(policy, generation, &recorded, failure_of(before) == Some(FailureCause::Overrun))?;
    let DecisionRecord { internal, also_for, revision, revision_at, at_hand, .. } = before.clone();
    Ok(DecisionRecord { internal, also_for, revision, revision_at, at_hand, ..answer.record })
}

/// One that overran then may overrun again. Of another the machine may be at fault, so it is given more time, and then it is not
/// told from one that never ends.
fn patiently(
    policy: &ChainPolicy,
    generation: &Generation,
    recorded: &Recorded,
    overran: bool,
) -> Result<Answer, String> {
    for patience in limits::REPLAY_PATIENCE {
        let answer = decide::ask_again(policy, generation, recorded, patience).map_err(not_on_record)?;
        let overruns = answer.result.as_ref().is_err_and(|failed| failed.cause == FailureCause::Overrun);
        if !overruns || overran {
            return Ok(answer);
        }
    }
    Err("the replay ran too long".to_owned())
}

fn not_on_record(fact: String) -> String {
    format!("not on record: {fact}")
}

fn failure_of(record: &DecisionRecord) -> Option<FailureCause> {
    serde_json::from_value(record.result.get("failed")?.get("cause")?.clone()).ok()
}
