//! A policy for tests that plans what a Subject says, word by word: `tls`, `take:ROUTE`, `route:ROUTE`, `hold`, `bounce`.
//! The last three are steps of the fallback, in the order written. Other words count for nothing. On arrival `refuse-in:UNIT` has
//! mail of an organizational unit of that name, and of those below it, refused.
//!
//! Settings: any, and they count for nothing.

use sealwire_sdk::{Destination, Floor, Hop, Host, Message, Objections, Policy, Problem, Reply, Verdict};

/// Plans on demand.
#[derive(Debug)]
pub struct SteerBySubject;

sealwire_sdk::export_policy!(SteerBySubject);

impl Policy for SteerBySubject {
    fn configure(_: &str, _: &impl Host) -> Result<SteerBySubject, Vec<Problem>> {
        Ok(SteerBySubject)
    }

    fn receive(&self, message: &impl Message, _: &impl Host, verdict: &impl Verdict) -> Result<(), String> {
        let subject = message.header("Subject").concat();
        let unit = subject.split_whitespace().find_map(|word| word.strip_prefix("refuse-in:"));
        if unit.is_some_and(|unit| message.organizational_unit().iter().any(|name| name == unit)) {
            verdict.reject(&Reply::new(550, "5.7.1", "Not in this unit"));
        }
        verdict.conclude();
        Ok(())
    }

    fn plan(
        &self,
        message: &impl Message,
        _: &impl Destination,
        _: &impl Host,
        floor: &impl Floor,
    ) -> Result<(), String> {
        for word in message.header("Subject").concat().split_whitespace() {
            match word.split_once(':').unwrap_or((word, "")) {
                ("tls", _) => floor.require_tls(),
                ("take", route) => floor.take_route(route),
                ("route", route) => floor.fallback("route", Some(route)),
                (step @ ("hold" | "bounce"), _) => floor.fallback(step, None),
                _ => {}
            }
        }
        floor.conclude();
        Ok(())
    }

    fn judge(&self, _: &impl Message, _: &impl Hop, _: &impl Host, objections: &impl Objections) -> Result<(), String> {
        objections.conclude();
        Ok(())
    }
}
