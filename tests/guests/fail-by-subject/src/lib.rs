//! A policy for tests that does nothing, except that it fails in the way and at the stage that a Subject names:
//! `trap in receive`, `err in plan`, `no conclude in judge`, `endless in plan`. So it goes live, as real faults do. In an
//! `explanation` it can be `huge`, `many` and `crooked` too.
//!
//! Settings: any, and they count for nothing.

use sealwire_sdk::{Destination, Floor, Hop, Host, Message, Objections, Policy, Problem, Tried, Verdict};

/// Fails on demand.
#[derive(Debug)]
pub struct FailBySubject;

sealwire_sdk::export_policy!(FailBySubject);

impl Policy for FailBySubject {
    fn configure(_: &str, _: &impl Host) -> Result<FailBySubject, Vec<Problem>> {
        Ok(FailBySubject)
    }

    fn receive(&self, message: &impl Message, _: &impl Host, verdict: &impl Verdict) -> Result<(), String> {
        at("receive", message, || verdict.conclude())
    }

    fn plan(
        &self,
        message: &impl Message,
        _: &impl Destination,
        _: &impl Host,
        floor: &impl Floor,
    ) -> Result<(), String> {
        at("plan", message, || floor.conclude())
    }

    fn judge(
        &self,
        message: &impl Message,
        _: &impl Hop,
        _: &impl Host,
        objections: &impl Objections,
    ) -> Result<(), String> {
        at("judge", message, || objections.conclude())
    }

    fn explain_receive(&self, message: &impl Message, _: &impl Host) -> Result<Vec<Tried>, String> {
        let rule = |why: &str| Tried::in_vain("setting \"X\"", "F1", why);
        match message.header("Subject").concat().trim() {
            "huge in explanation" => Ok(vec![rule(&"x".repeat(4 << 20))]),
            "many in explanation" => Ok(vec![rule("one of many"); 1_000]),
            "crooked in explanation" => Ok(vec![rule("one\r\nholds: rule R2\u{1b}[2J"), rule(&"y".repeat(5_000))]),
            _ => {
                at("explanation", message, || ())?;
                Ok(vec![rule("as asked")])
            }
        }
    }
}

/// Concludes, or fails if the Subject says so.
fn at(stage: &str, message: &impl Message, conclude: impl FnOnce()) -> Result<(), String> {
    let subject = message.header("Subject").concat();
    let Some(way) = subject.trim().strip_suffix(stage).and_then(|way| way.strip_suffix(" in ")) else {
        conclude();
        return Ok(());
    };
    match way {
        "trap" => panic!("as asked"),
        "err" => Err("as asked".to_owned()),
        "no conclude" => Ok(()),
        _ => loop {
            std::hint::spin_loop();
        },
    }
}
