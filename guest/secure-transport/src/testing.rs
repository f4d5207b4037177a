//! What the tables of the rules share: one host with two lists and three routes, settings in short form, and a way out.

use std::sync::LazyLock;

use sealwire_sdk::{Mailbox, Policy, Tried, fakes};

use crate::SecureTransport;
use crate::settings::Settings;
use crate::trail::ADDS_NOTHING;

/// Lists `partners`, `banks` and, for exceptions, `late` and `known`; routes `vault` and `tunnel`, which demand TLS, and `open`, which does not.
pub(crate) static HOST: LazyLock<fakes::Host> = LazyLock::new(|| {
    fakes::Host::default()
        .with_list("partners", &["partner.example", "*.below.example", "ann@people.example"])
        .with_list("banks", &["bank.example"])
        .with_list("late", &["late.below.example", "partner.example"])
        .with_list("known", &["partner.example sender=authenticated"])
        .with_route("vault", "alternate-secure", &["tls"])
        .with_route("tunnel", "alternate-secure", &["tls", "trusted-chain"])
        .with_route("open", "smart-host", &[])
});

/// One setting for the list `partners`, its other keys as given.
pub(crate) fn settings_with(keys: &str) -> String {
    settings_of(&[keys])
}

/// Several of them. `lists` may be among the keys. The TLS-report mailbox is tlsrpt@ours.example.
pub(crate) fn settings_of(settings: &[&str]) -> String {
    let written = settings.iter().enumerate().map(|(n, keys)| {
        let number = if n == 0 { String::new() } else { format!(" {}", n + 1) };
        let lists = if keys.contains("\"lists\"") { "" } else { r#", "lists": ["partners"]"# };
        let comma = if keys.is_empty() { "" } else { ", " };
        format!(r#"{{"description": "Partners{number}"{lists}{comma}{keys}}}"#)
    });
    let written: Vec<String> = written.collect();
    format!(r#"{{"tls-report-mailbox": "tlsrpt@ours.example", "settings": [{}]}}"#, written.join(", "))
}

pub(crate) fn read_settings(document: &str) -> Settings {
    Settings::read(document, &*HOST).expect("good settings")
}

/// What is wrong with a document, as `path: text`.
pub(crate) fn problems(document: &str) -> Vec<String> {
    let problems = Settings::read(document, &*HOST).err().unwrap_or_default();
    problems.into_iter().map(|problem| format!("{}: {}", problem.path, problem.text)).collect()
}

pub(crate) fn policy(document: &str) -> SecureTransport {
    SecureTransport::configure(document, &*HOST).expect("good settings")
}

pub(crate) fn mailboxes(addresses: &[&str]) -> Vec<Mailbox> {
    addresses.iter().map(|address| Mailbox::new(address)).collect()
}

/// One recipient's way out; b@partner.example unless told.
#[derive(Clone, Debug)]
pub(crate) struct WayOut {
    message: fakes::Message,
    destination: fakes::Destination,
}

impl WayOut {
    pub(crate) fn mx() -> WayOut {
        WayOut::to("mx", &[])
    }

    pub(crate) fn to(kind: &str, demands: &[&str]) -> WayOut {
        let destination = fakes::Destination {
            recipient: Mailbox::new("b@partner.example"),
            route_kind: kind.into(),
            route_demands: demands.iter().map(|&demand| demand.into()).collect(),
            ..Default::default()
        };
        WayOut { message: fakes::Message::default(), destination }
    }

    pub(crate) fn flagged_by(mut self, flags: &[&str]) -> WayOut {
        self.message.secure_transport_required_by = flags.iter().map(|&flag| flag.into()).collect();
        self
    }

    /// Of this message.
    pub(crate) fn of(mut self, message: fakes::Message) -> WayOut {
        self.message = message;
        self
    }

    /// The decision is made then.
    pub(crate) fn at(mut self, now: u64) -> WayOut {
        self.message.now = now;
        self
    }

    /// The recipient's domain is hosted here.
    pub(crate) fn ours(mut self) -> WayOut {
        self.destination.recipient_is_ours = true;
        self
    }

    pub(crate) fn for_recipient(&self, recipient: &str) -> WayOut {
        let destination = fakes::Destination { recipient: Mailbox::new(recipient), ..self.destination.clone() };
        WayOut { message: self.message.clone(), destination }
    }
}

/// What is said of a message that arrives.
pub(crate) fn receive(document: &str, message: &fakes::Message) -> fakes::Calls {
    let (calls, policy) = (fakes::Calls::default(), policy(document));
    policy.receive(message, &*HOST, &calls).expect("a decision");
    assert!(calls.concluded());
    agree(document, &calls, &policy.explain_receive(message, &*HOST).expect("an explanation"));
    calls
}

/// What is said of a host on it.
pub(crate) fn judge(document: &str, way: &WayOut, channel: fakes::Channel) -> fakes::Calls {
    let hop = fakes::Hop {
        recipients: vec![way.destination.recipient.clone()],
        route_kind: way.destination.route_kind.clone(),
        channel,
        ..Default::default()
    };
    let (calls, policy) = (fakes::Calls::default(), policy(document));
    policy.judge(&way.message, &hop, &*HOST, &calls).expect("a decision");
    assert!(calls.concluded());
    agree(document, &calls, &policy.explain_judge(&way.message, &hop, &*HOST).expect("an explanation"));
    calls
}

/// The decision on it.
pub(crate) fn plan(document: &str, way: &WayOut) -> fakes::Calls {
    let (calls, policy) = (fakes::Calls::default(), policy(document));
    policy.plan(&way.message, &way.destination, &*HOST, &calls).expect("a decision");
    assert!(calls.concluded());
    agree(document, &calls, &explained(document, way));
    calls
}

/// The explanation of that decision.
pub(crate) fn explained(document: &str, way: &WayOut) -> Vec<Tried> {
    policy(document).explain_plan(&way.message, &way.destination, &*HOST).expect("an explanation")
}

/// Every row of every table: what the explanation says to hold is what the decision gave as its reasons, what was tried in vain
/// is none of them, and no setting that could have a say is passed over.
fn agree(document: &str, calls: &fakes::Calls, tried: &[Tried]) {
    let reasons: Vec<(String, String)> =
        calls.reasons().into_iter().map(|reason| (reason.detail.unwrap_or_default(), reason.rule)).collect();
    let of = |tried: &Tried| (tried.setting.clone(), tried.rule.clone());
    let (adds_nothing, holds): (Vec<&Tried>, Vec<&Tried>) =
        tried.iter().filter(|tried| tried.holds).partition(|tried| tried.why == ADDS_NOTHING);
    assert_eq!(holds.into_iter().map(of).collect::<Vec<_>>(), reasons, "{tried:#?}");
    for tried in adds_nothing {
        assert!(reasons.iter().any(|(_, rule)| *rule == tried.rule), "{tried:?} of {reasons:?}");
    }
    for tried in tried.iter().filter(|tried| !tried.holds) {
        assert!(!tried.why.is_empty() && !reasons.contains(&of(tried)), "{tried:?}");
    }
    if tried.iter().all(|tried| tried.rule != "observed") {
        for setting in document.split(r#""description": "#).skip(1).filter_map(|rest| rest.split('"').nth(1)) {
            let detail = format!("setting \"{setting}\"");
            assert!(tried.iter().any(|tried| tried.setting.contains(&detail)), "nothing of {detail} in {tried:#?}");
        }
    }
}
