//! An example to copy: mail whose Subject contains a marker leaves over TLS only, wherever it goes.
//!
//! Settings: `{"marker": "[secure]"}`. A sender who writes `Subject: [secure] the offer` gets protection without any list.
//!
//! How a policy is made:
//!
//! 1. A struct holds the settings, parsed once by `configure`, which tells every fault with a JSON Pointer.
//! 2. `receive` is asked once per arriving message and group of recipients, `plan` once per recipient on the way out,
//!    `judge` once per host. Each ends in `conclude`: leaving it out is a failed decision, and the message is deferred.
//! 3. Whatever is demanded is explained by `because`: the rule's id and a sentence that the sender may read.
//! 4. `explain_receive` says for whoever asks why the rule held or did not. It is optional, and nobody asks in a decision.
//! 5. The tests below run natively, with facts filled in by hand.
//!
//! Build it with `cargo run -p guest-build -- flag-subject out/`. A policy of your own needs its own crate with
//! `crate-type = ["cdylib"]`, a build for `wasm32-unknown-unknown`, and `wasm-tools component new` on the result.

use sealwire_sdk::{
    Destination, Floor, Hop, Host, Message, Objections, Policy, Problem, Reason, Said, Tried, Verdict, settings,
};

/// Flags by Subject.
#[derive(Debug)]
pub struct FlagSubject {
    marker: String,
}

sealwire_sdk::export_policy!(FlagSubject);

const RULE: &str = "FLAG";
const SENTENCE: &str = "The subject asks for secure transport, so this message travels over TLS only.";

impl Policy for FlagSubject {
    fn configure(document: &str, _: &impl Host) -> Result<FlagSubject, Vec<Problem>> {
        settings::read(document, |object, _| FlagSubject {
            marker: object.required_text("marker").unwrap_or_default().to_lowercase(),
        })
    }

    fn receive(&self, message: &impl Message, _: &impl Host, verdict: &impl Verdict) -> Result<(), String> {
        let subjects = message.header("Subject");
        if let Some(subject) = subjects.iter().find(|subject| subject.to_lowercase().contains(&self.marker)) {
            verdict.require_secure_transport();
            verdict.because(&Reason::new(RULE, SENTENCE).matched(subject));
        }
        verdict.conclude();
        Ok(())
    }

    /// What `receive` says holds; what it passes over in silence was tried in vain.
    fn explain_receive(&self, message: &impl Message, host: &impl Host) -> Result<Vec<Tried>, String> {
        let said = Said::default();
        self.receive(message, host, &said)?;
        let in_vain = || vec![Tried::in_vain("", RULE, format!("No Subject contains {:?}.", self.marker))];
        Ok(Some(said.tried()).filter(|holds| !holds.is_empty()).unwrap_or_else(in_vain))
    }

    /// The host remembers the flag and adds it to every later floor; there is nothing left to demand here.
    fn plan(&self, _: &impl Message, _: &impl Destination, _: &impl Host, floor: &impl Floor) -> Result<(), String> {
        floor.conclude();
        Ok(())
    }

    fn judge(&self, _: &impl Message, _: &impl Hop, _: &impl Host, objections: &impl Objections) -> Result<(), String> {
        objections.conclude();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sealwire_sdk::{Header, fakes};

    use super::*;

    #[test]
    fn the_marker_anywhere_in_any_subject_flags() {
        let policy =
            FlagSubject::configure(r#"{"marker": "[Secure]"}"#, &fakes::Host::default()).expect("good settings");
        let rows: &[(&[&str], bool)] = &[
            (&["[secure] the offer"], true),
            (&["Re: [SECURE] the offer"], true),
            (&["the offer", "[secure]"], true),
            (&["secure the offer"], false),
            (&[""], false),
            (&[], false),
        ];
        for (subjects, flagged) in rows {
            let header = |value: &&str| Header { name: "subject".into(), value: (*value).into() };
            let message = fakes::Message { headers: subjects.iter().map(header).collect(), ..Default::default() };
            let verdict = fakes::Calls::default();
            policy.receive(&message, &fakes::Host::default(), &verdict).expect("a decision");
            let flag: &[&str] = if *flagged { &["require-secure-transport", "because FLAG"] } else { &[] };
            assert_eq!(verdict.lines(), [flag, &["conclude"]].concat(), "{subjects:?}");
            let tried = policy.explain_receive(&message, &fakes::Host::default()).expect("an explanation");
            assert_eq!((tried.len(), tried[0].holds), (1, *flagged), "{tried:?}");
        }
    }

    #[test]
    fn the_way_out_is_left_to_the_flag() {
        let policy = FlagSubject { marker: "x".into() };
        let (message, host) = (fakes::Message::default(), fakes::Host::default());
        let calls = fakes::Calls::default();
        policy.plan(&message, &fakes::Destination::default(), &host, &calls).expect("a decision");
        assert_eq!(calls.lines(), ["conclude"]);
        let calls = fakes::Calls::default();
        policy.judge(&message, &fakes::Hop::default(), &host, &calls).expect("a decision");
        assert_eq!(calls.lines(), ["conclude"]);
    }

    #[test]
    fn settings_without_a_marker_are_refused() {
        for document in ["{}", r#"{"marker": ""}"#, r#"{"marker": 1}"#, r#"{"marker": "x", "mark": 1}"#, "marker"] {
            assert!(FlagSubject::configure(document, &fakes::Host::default()).is_err(), "{document}");
        }
    }
}
