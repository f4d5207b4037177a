//! What a policy said in one decision, and how that becomes a call of `core`.
//!
//! Each rule of `wit/policy.wit` on what traps is kept here: replies, versions, pins, ciphers, steps, reasons, and that
//! nothing is said after `conclude`.

use std::collections::BTreeSet;

use sealwire_core::decision::{FallbackStep, JudgeCall, PlanCall, ReceiveCall};
use sealwire_core::facts::TlsVersion;
use sealwire_core::floor::{Demand, PinKind};
use sealwire_core::reason::Reason;
use sealwire_core::reply::Reply;
use serde_json::{Value, json};
use wasmtime::Result;

use crate::limits;
use crate::state::{misuse, over};

/// Everything said so far.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    reject: Option<Reply>,
    defer: Option<Reply>,
    objection: Option<Reply>,
    replies: usize,
    secure_transport: bool,
    /// With the rule of the reason that explains each.
    demands: Vec<(Demand, String)>,
    /// Demands from here on have no reason yet.
    explained: usize,
    take_route: Option<String>,
    fallback: Vec<FallbackStep>,
    reasons: Vec<Reason>,
    concluded: bool,
}

/// Which reply a policy gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    Reject,
    Defer,
    Object,
}

impl Calls {
    pub(crate) fn concluded(&self) -> bool {
        self.concluded
    }

    /// A decision that is concluded is closed.
    fn open(&self, method: &str) -> Result<()> {
        if self.concluded { Err(misuse(format!("it called {method} after conclude"))) } else { Ok(()) }
    }

    pub(crate) fn conclude(&mut self) -> Result<()> {
        self.open("conclude")?;
        self.concluded = true;
        Ok(())
    }

    pub(crate) fn reply(&mut self, turn: Turn, code: u16, enhanced: &str, text: &str) -> Result<()> {
        let (method, class, place) = match turn {
            Turn::Reject => ("reject", Some(5), &mut self.reject),
            Turn::Defer => ("defer", Some(4), &mut self.defer),
            Turn::Object => ("object", None, &mut self.objection),
        };
        if self.concluded {
            return Err(misuse(format!("it called {method} after conclude")));
        }
        self.replies += 1;
        if self.replies > limits::REPLIES {
            return Err(over(format!("it gave more than {} replies", limits::REPLIES)));
        }
        let reply = Reply::from_policy(code, enhanced, text).map_err(|error| misuse(format!("{method}: {error}")))?;
        if class.is_some_and(|class| reply.code / 100 != class) {
            return Err(misuse(format!("{method}: reply code {code} is not {}xx", class.unwrap_or_default())));
        }
        place.get_or_insert(reply);
        Ok(())
    }

    pub(crate) fn require_secure_transport(&mut self) -> Result<()> {
        self.open("require-secure-transport")?;
        self.secure_transport = true;
        Ok(())
    }

    pub(crate) fn demand(&mut self, method: &str, demand: Demand) -> Result<()> {
        self.open(method)?;
        if self.demands.len() >= limits::DEMANDS {
            return Err(over(format!("it made more than {} demands", limits::DEMANDS)));
        }
        self.demands.push((demand, String::new()));
        Ok(())
    }

    pub(crate) fn minimum_version(&mut self, version: u16) -> Result<()> {
        let version = TlsVersion(version);
        if version != TlsVersion::TLS12 && version != TlsVersion::TLS13 {
            return Err(misuse(format!("require-minimum-version: 0x{:04x} is not 0x0303 or 0x0304", version.0)));
        }
        self.demand("require-minimum-version", Demand::MinimumVersion(version))
    }

    pub(crate) fn pin(&mut self, kind: &str, digests: &[Vec<u8>]) -> Result<()> {
        let kind = match kind {
            "certificate-sha256" => PinKind::CertificateSha256,
            "spki-sha256" => PinKind::SpkiSha256,
            other => return Err(misuse(format!("require-pin: kind {:?} is unknown", limits::bounded(other, 40)))),
        };
        alternatives("require-pin", digests.len())?;
        let digests: Option<BTreeSet<[u8; 32]>> = digests.iter().map(|d| d.as_slice().try_into().ok()).collect();
        let digests = digests.ok_or_else(|| misuse("require-pin: a digest is not 32 octets"))?;
        self.demand("require-pin", Demand::Pin(kind, digests))
    }

    pub(crate) fn cipher_suite(&mut self, names: Vec<String>) -> Result<()> {
        alternatives("require-cipher-suite", names.len())?;
        if names.iter().any(|name| name.is_empty() || name.len() > limits::CIPHER_NAME_OCTETS) {
            return Err(over(format!("require-cipher-suite: a name has 1 to {} octets", limits::CIPHER_NAME_OCTETS)));
        }
        self.demand("require-cipher-suite", Demand::CipherSuite(names.into_iter().collect()))
    }

    /// `exists`: the generation has a route of that name.
    pub(crate) fn take_route(&mut self, name: String, exists: bool) -> Result<()> {
        self.open("take-route")?;
        known_route("take-route", &name, exists)?;
        self.take_route.get_or_insert(name);
        Ok(())
    }

    pub(crate) fn fallback(&mut self, step: &str, name: Option<String>, exists: bool) -> Result<()> {
        self.open("fallback")?;
        if self.fallback.len() >= limits::FALLBACK_STEPS {
            return Err(over(format!("it named more than {} fallback steps", limits::FALLBACK_STEPS)));
        }
        self.fallback.push(match (step, name) {
            ("route", Some(name)) => {
                known_route("fallback", &name, exists)?;
                FallbackStep::Route(name)
            }
            ("route", None) => return Err(misuse("fallback: step \"route\" needs a route's name")),
            ("hold", None) => FallbackStep::Hold,
            ("bounce", None) => FallbackStep::Bounce,
            ("hold" | "bounce", Some(_)) => return Err(misuse(format!("fallback: step {step:?} takes no name"))),
            (other, _) => return Err(misuse(format!("fallback: step {:?} is unknown", limits::bounded(other, 40)))),
        });
        Ok(())
    }

    /// Explains the calls since the previous reason. The policy's own name is put in later.
    pub(crate) fn because(&mut self, reason: Reason) -> Result<()> {
        self.open("because")?;
        if self.reasons.len() >= limits::REASONS {
            return Err(over(format!("it gave more than {} reasons", limits::REASONS)));
        }
        public("rule", &reason.rule, limits::RULE_OCTETS)?;
        public("text", &reason.text, limits::REASON_OCTETS)?;
        let private = |text: Option<String>| text.map(|text| limits::bounded(&text, limits::PRIVATE_OCTETS));
        for (_, rule) in &mut self.demands[self.explained..] {
            rule.clone_from(&reason.rule);
        }
        self.explained = self.demands.len();
        self.reasons.push(Reason { matched: private(reason.matched), detail: private(reason.detail), ..reason });
        Ok(())
    }

    /// The reasons, in this policy's name.
    pub(crate) fn named(mut self, policy: &str) -> Calls {
        for reason in &mut self.reasons {
            policy.clone_into(&mut reason.policy);
        }
        self
    }

    pub(crate) fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    /// As the ledger keeps it.
    pub(crate) fn to_json(&self, hook: &str) -> Value {
        match hook {
            "plan" => json!({
                "demands": self.demands, "take-route": self.take_route, "fallback": self.fallback,
            }),
            "judge" => json!({ "objection": self.objection }),
            _ => json!({
                "reject": self.reject, "defer": self.defer, "require-secure-transport": self.secure_transport,
            }),
        }
    }

    pub(crate) fn into_receive(self, policy: String) -> ReceiveCall {
        ReceiveCall {
            policy,
            reject: self.reject,
            defer: self.defer,
            require_secure_transport: self.secure_transport,
            reasons: self.reasons,
        }
    }

    pub(crate) fn into_plan(self, policy: String) -> PlanCall {
        let Calls { demands, take_route, fallback, reasons, .. } = self;
        PlanCall { policy, demands, take_route, fallback, reasons }
    }

    pub(crate) fn into_judge(self, policy: String) -> JudgeCall {
        JudgeCall { policy, objection: self.objection, reasons: self.reasons }
    }
}

fn alternatives(method: &str, count: usize) -> Result<()> {
    match count {
        0 => Err(misuse(format!("{method}: an empty list can never be met"))),
        1..=limits::ALTERNATIVES => Ok(()),
        _ => Err(over(format!("{method}: more than {} alternatives", limits::ALTERNATIVES))),
    }
}

fn known_route(method: &str, name: &str, exists: bool) -> Result<()> {
    if exists {
        return Ok(());
    }
    Err(misuse(format!("{method}: there is no route {:?}", limits::bounded(name, limits::NAME_OCTETS))))
}

/// Public words stand in replies, reports and logs: one line of printable text.
fn public(what: &str, text: &str, octets: usize) -> Result<()> {
    if text.len() > octets {
        return Err(over(format!("because: the {what} has {} octets; it may have {octets}", text.len())));
    }
    if text.chars().any(char::is_control) {
        return Err(misuse(format!("because: the {what} has a control character")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(rule: &str) -> Reason {
        Reason { policy: String::new(), rule: rule.into(), text: "why".into(), matched: None, detail: None }
    }

    #[test]
    fn a_reason_explains_the_demands_since_the_one_before() {
        let mut calls = Calls::default();
        calls.demand("require-tls", Demand::Tls).expect("open");
        calls.because(reason("R2")).expect("open");
        calls.demand("require-trusted-chain", Demand::TrustedChain).expect("open");
        calls.demand("require-matching-name", Demand::MatchingName).expect("open");
        calls.because(reason("R4")).expect("open");
        calls.minimum_version(0x0304).expect("open");
        let rules: Vec<String> = calls.into_plan("p".into()).demands.into_iter().map(|(_, rule)| rule).collect();
        assert_eq!(rules, ["R2", "R4", "R4", ""]);
    }

    #[test]
    fn what_breaks_the_contract_traps() {
        type Try = fn(&mut Calls) -> Result<()>;
        let rows: [(&str, Try); 16] = [
            ("reply code 250", |c| c.reply(Turn::Reject, 250, "2.0.0", "fine")),
            ("is not 5xx", |c| c.reply(Turn::Reject, 451, "4.7.1", "later")),
            ("is not 4xx", |c| c.reply(Turn::Defer, 550, "5.7.1", "no")),
            ("421", |c| c.reply(Turn::Object, 421, "4.7.1", "later")),
            ("printable", |c| c.reply(Turn::Reject, 550, "5.7.1", "two\r\nlines")),
            ("0x0302", |c| c.minimum_version(0x0302)),
            ("unknown", |c| c.pin("sha1", &[vec![0; 32]])),
            ("empty list", |c| c.pin("spki-sha256", &[])),
            ("32 octets", |c| c.pin("spki-sha256", &[vec![0; 31]])),
            ("empty list", |c| c.cipher_suite(Vec::new())),
            ("no route", |c| c.take_route("x".into(), false)),
            ("no route", |c| c.fallback("route", Some("x".into()), false)),
            ("needs a route", |c| c.fallback("route", None, false)),
            ("takes no name", |c| c.fallback("hold", Some("x".into()), false)),
            ("unknown", |c| c.fallback("shrug", None, false)),
            ("control", |c| c.because(Reason { text: "a\nb".into(), ..reason("R1") })),
        ];
        for (expected, call) in rows {
            let error = call(&mut Calls::default()).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error:?} tells of {expected:?}");
            let mut closed = Calls::default();
            closed.conclude().expect("first");
            assert!(call(&mut closed).is_err() && closed.conclude().is_err(), "nothing after conclude");
        }
    }

    #[test]
    fn the_first_of_a_kind_counts_and_their_number_is_bounded() {
        let mut calls = Calls::default();
        let given =
            (0..).take_while(|n| calls.reply(Turn::Object, 550, "5.7.1", &format!("reply {n}")).is_ok()).count();
        assert_eq!(given, limits::REPLIES);
        assert_eq!(calls.into_judge("p".into()).objection.map(|reply| reply.text), Some("reply 0".into()));
        let mut calls = Calls::default();
        assert_eq!((0..).take_while(|_| calls.because(reason("R")).is_ok()).count(), limits::REASONS);
        assert_eq!((0..).take_while(|_| calls.demand("require-tls", Demand::Tls).is_ok()).count(), limits::DEMANDS);
        let steps = (0..).take_while(|_| calls.fallback("hold", None, false).is_ok()).count();
        assert_eq!(steps, limits::FALLBACK_STEPS);
    }
}
