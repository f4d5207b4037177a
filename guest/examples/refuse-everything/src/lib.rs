//! A policy that refuses all mail at the door and objects to every host. Swapped in for another, it makes everything
//! fail: whoever still gets mail through has found a way around the policies.
//!
//! Settings: none, `{}`.

use sealwire_sdk::{
    Destination, Floor, Hop, Host, Message, Objections, Policy, Problem, Reason, Reply, Tried, Verdict, settings,
};

/// Refuses.
#[derive(Debug)]
pub struct RefuseEverything;

sealwire_sdk::export_policy!(RefuseEverything);

const RULE: &str = "REFUSE";
const SENTENCE: &str = "This relay refuses all mail.";

impl Policy for RefuseEverything {
    fn configure(document: &str, _: &impl Host) -> Result<RefuseEverything, Vec<Problem>> {
        settings::read(document, |_, _| RefuseEverything)
    }

    fn receive(&self, _: &impl Message, _: &impl Host, verdict: &impl Verdict) -> Result<(), String> {
        verdict.reject(&refusal());
        verdict.because(&Reason::new(RULE, SENTENCE));
        verdict.conclude();
        Ok(())
    }

    fn explain_receive(&self, _: &impl Message, _: &impl Host) -> Result<Vec<Tried>, String> {
        Ok(vec![Tried::holds("", RULE, SENTENCE)])
    }

    /// Demands nothing, so that mail accepted before the swap meets the objections of `judge`.
    fn plan(&self, _: &impl Message, _: &impl Destination, _: &impl Host, floor: &impl Floor) -> Result<(), String> {
        floor.conclude();
        Ok(())
    }

    fn judge(&self, _: &impl Message, _: &impl Hop, _: &impl Host, objections: &impl Objections) -> Result<(), String> {
        objections.object(&refusal());
        objections.because(&Reason::new(RULE, SENTENCE));
        objections.conclude();
        Ok(())
    }
}

fn refusal() -> Reply {
    Reply::new(550, "5.7.1", SENTENCE)
}

#[cfg(test)]
mod tests {
    use sealwire_sdk::fakes;

    use super::*;

    #[test]
    fn nothing_passes() {
        let (message, host) = (fakes::Message::default(), fakes::Host::default());
        let policy = RefuseEverything::configure("{}", &host).expect("good settings");
        let calls = fakes::Calls::default();
        policy.receive(&message, &host, &calls).expect("a decision");
        assert_eq!(calls.lines(), ["reject 550 5.7.1", "because REFUSE", "conclude"]);
        let calls = fakes::Calls::default();
        policy.plan(&message, &fakes::Destination::default(), &host, &calls).expect("a decision");
        assert_eq!(calls.lines(), ["conclude"]);
        let calls = fakes::Calls::default();
        policy.judge(&message, &fakes::Hop::default(), &host, &calls).expect("a decision");
        assert_eq!(calls.lines(), ["object 550 5.7.1", "because REFUSE", "conclude"]);
        assert!(RefuseEverything::configure(r#"{"all": true}"#, &host).is_err());
    }
}
