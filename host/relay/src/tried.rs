//! Which rules policies tried in decisions of the past: asked now, by the facts on record, of the policies that are live.

use std::collections::BTreeMap;

use sealwire_core::explain::RulesTried;
use sealwire_core::ledger::LedgerEvent;
use sealwire_policy::Explainable;
use sealwire_store::LedgerLine;

use crate::relay::Relay;

/// Decisions that are asked about at once: more than a person reads, and no more than fits in memory whatever a policy says.
const DECISIONS_MAX: usize = 200;

impl Relay {
    /// What the policies say of the decisions among these records, by the records' numbers.
    pub async fn rules_tried(&self, lines: &[LedgerLine]) -> BTreeMap<u64, RulesTried> {
        let live = self.live();
        let (mut numbers, mut asked, mut told) = (Vec::new(), Vec::new(), BTreeMap::new());
        for line in lines {
            let LedgerEvent::Decision(record) = &line.record.event else { continue };
            if asked.len() == DECISIONS_MAX {
                let why =
                    format!("for {DECISIONS_MAX} decisions are asked about in one go; ask for one recipient alone");
                told.insert(line.number, RulesTried::untold(&record.policy, why));
                continue;
            }
            let (chain, message) = (live.scopes.chain_of(record), line.record.message.clone());
            asked.push(Explainable { chain, message, record: record.clone(), facts: None });
            numbers.push(line.number);
        }
        let answers = self.sandbox.explain(&live.generation, asked).await;
        told.extend(numbers.into_iter().zip(answers));
        told
    }
}
