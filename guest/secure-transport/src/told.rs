//! Reasons that only tell: of exceptions, and of settings that are observed only. However many there are, a decision has so many
//! that a person reads them, and never so many that the host ends it for that: what tells must not decide.

use sealwire_sdk::Reason;

/// How many are told; the host takes 32 reasons in one decision, and demands need theirs.
const MOST: usize = 8;

/// Those of one decision, each once.
#[derive(Debug, Default)]
pub(crate) struct Told {
    reasons: Vec<Reason>,
    left_out: usize,
}

impl Told {
    /// One more, unless the same setting or exception has told the same already, whoever it matched.
    pub(crate) fn add(&mut self, reason: Reason) {
        if self.reasons.iter().any(|told| told.rule == reason.rule && told.detail == reason.detail) {
            return;
        }
        if self.reasons.len() < MOST { self.reasons.push(reason) } else { self.left_out += 1 }
    }

    /// All that are told, the last of them of those that are not.
    pub(crate) fn reasons(mut self) -> Vec<Reason> {
        if self.left_out > 0 {
            let text = format!(
                "{} reasons more, of settings that are only observed or of exceptions, are not told here.",
                self.left_out
            );
            self.reasons.push(Reason::new("observed", text));
        }
        self.reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{HOST, WayOut, mailboxes, plan, policy, settings_of};
    use sealwire_sdk::{Policy, fakes};

    /// What the host takes of reasons and of demands in one decision.
    const HOST_TAKES: [usize; 2] = [32, 64];

    #[test]
    fn each_is_told_once_and_no_more_than_a_person_reads() {
        let mut told = Told::default();
        (0..5).for_each(|_| told.add(Reason::new("exception", "One.").matched("a").detail("the same")));
        assert_eq!(told.reasons().len(), 1);
        let mut told = Told::default();
        (0..MOST + 3).for_each(|n| told.add(Reason::new("exception", "One.").detail(n.to_string())));
        let reasons = told.reasons();
        assert_eq!(reasons.len(), MOST + 1);
        assert!(reasons[MOST].text.starts_with("3 reasons more"), "{}", reasons[MOST].text);
    }

    fn within_what_the_host_takes(calls: &fakes::Calls) {
        let demands = calls.lines().iter().filter(|line| line.starts_with("require-")).count();
        assert!(calls.reasons().len() <= HOST_TAKES[0] && demands <= HOST_TAKES[1], "{:?}", calls.lines());
    }

    #[test]
    fn however_many_settings_hold_a_decision_is_made() {
        let all =
            r#""require-ca-signed-certificate": true, "require-revocation-check": true, "validate-hostname": true"#;
        let enforced = |version| format!(r#""scopes": ["outbound"], {all}, "minimum-tls-version": "{version}""#);
        let observed = format!(r#""scopes": ["inbound", "outbound"], "observe-only": true, {all}"#);
        let excepting = r#""scopes": ["inbound", "outbound"], "lists": ["partners"], "exceptions": [{"lists": ["late"], "until": "2970-01-01", "reason": "r"}]"#;
        let mut settings = vec![r#""scopes": ["outbound"]"#.to_owned(); 20];
        settings.extend((0..40).map(|n| enforced(if n % 2 == 0 { "1.2" } else { "1.3" })));
        for _ in 0..40 {
            settings.push(observed.clone());
            settings.push(excepting.to_owned());
        }
        let settings: Vec<&str> = settings.iter().map(|keys| &**keys).collect();
        let document = numbered(&settings_of(&settings));
        let calls = plan(&document, &WayOut::mx());
        within_what_the_host_takes(&calls);
        let lines = calls.lines();
        for demand in
            ["require-tls", "require-minimum-version 0x0304", "require-trusted-chain", "require-matching-name"]
        {
            assert!(lines.iter().any(|line| line == demand), "{demand}: {lines:?}");
        }
        assert!(lines.contains(&"require-unrevoked-certificate".to_owned()), "{lines:?}");

        let recipients: Vec<String> = (0..100).map(|n| format!("b{n}@partner.example")).collect();
        let recipients: Vec<&str> = recipients.iter().map(|recipient| &**recipient).collect();
        let channel = fakes::Channel { state: "not-offered".into(), ..Default::default() };
        let hop = fakes::Hop { recipients: mailboxes(&recipients), channel: channel.clone(), ..Default::default() };
        let calls = fakes::Calls::default();
        policy(&document).judge(&fakes::Message::default(), &hop, &*HOST, &calls).expect("a decision");
        within_what_the_host_takes(&calls);
        assert!(calls.concluded() && calls.reasons().len() > MOST, "{:?}", calls.lines());

        // A stranger writes From; with one mailbox that no exception has, the last setting refuses.
        let client = fakes::Client { channel, ..Default::default() };
        for (from, refused) in
            [(recipients.clone(), false), ([&recipients[..], &["x@deep.below.example"]].concat(), true)]
        {
            let message = fakes::Message {
                client: Some(client.clone()),
                header_from: mailboxes(&from),
                recipients: mailboxes(&["to@ours.example"]),
                ..Default::default()
            };
            let calls = fakes::Calls::default();
            policy(&document).receive(&message, &*HOST, &calls).expect("a decision");
            within_what_the_host_takes(&calls);
            assert_eq!(calls.lines().iter().any(|line| line.starts_with("reject")), refused, "{:?}", calls.lines());
        }
    }

    /// Gives each setting a description of its own, by which reasons tell them apart.
    fn numbered(document: &str) -> String {
        let mut parts = document.split("\"Partners\"");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.enumerate().fold(first, |all, (n, part)| format!("{all}\"Partners {n}\"{part}"))
    }
}
