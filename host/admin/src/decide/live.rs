//! The live policies asked, and what they said in the words that a recorded decision is explained in.

use sealwire_core::explain::{RulesTried, derivation};
use sealwire_relay::Relay;

use super::{DecideAnswer, DecideRequest, Decision, decide};

/// Asks the chain that mail meets now. An error says what is wrong with the request.
pub(crate) async fn decide_live(relay: &Relay, request: &DecideRequest) -> Result<DecideAnswer, String> {
    let live = relay.live();
    let mut answer = decide(relay.sandbox(), &live.generation, &live.scopes, &live.config, request).await?;
    let records = answer.results.iter_mut().flat_map(|decision| &mut decision.records);
    records.for_each(|record| record.revision = live.settings_revision);
    Ok(answer)
}

impl Decision {
    /// What came of it, and how each policy came to that, line by line.
    pub fn explained(&self) -> Vec<String> {
        let mut tried = self.tried.iter();
        let derived = self.records.iter().flat_map(|record| {
            let tried = tried.next().map(RulesTried::lines).unwrap_or_default();
            derivation::lines(record).into_iter().chain(tried)
        });
        self.lines.iter().cloned().chain(derived).collect()
    }
}
