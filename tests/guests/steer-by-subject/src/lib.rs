//! A policy for tests that plans what a Subject says, word by word: `tls`, `take:ROUTE`, `route:ROUTE`, `hold`, `bounce`.
//! The last three are steps of the fallback, in the order written. Other words count for nothing.
//!
//! Settings: any, and they count for nothing.

use sealwire_sdk::{Destination, Floor, Hop, Host, Message, Objections, Policy, Problem, Verdict};

/// Plans on demand.
#[derive(Debug)]
pub struct SteerBySubject;

sealwire_sdk::export_policy!(SteerBySubject);

impl Policy for SteerBySubject {
    fn configure(_: &str, _: &impl Host) -> Result<SteerBySubject, Vec<Problem>> {
        Ok(SteerBySubject)
    }

    fn receive(&self, _: &impl Message, _: &impl Host, verdict: &impl Verdict) -> Result<(), String> {
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
