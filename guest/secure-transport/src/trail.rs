//! What explanations tell besides the reasons of the decision: rules that were tried in vain, and why.
//!
//! Decisions and explanations run the same code and hand it a trail: of a decision nobody keeps one, and nothing is made for it;
//! of an explanation it is told. What holds is not told here: the decision's own reasons are ([`Said`]).

use sealwire_sdk::{Said, Tried};

use crate::observed;
use crate::rules::{Rule, r2_outbound, r3_via_another};
use crate::settings::{Setting, Settings};

/// Told of every rule that has nothing to say.
pub(crate) trait Trail {
    /// Somebody asks.
    const IS_KEPT: bool;

    /// One more.
    fn tried(&mut self, tried: impl FnOnce() -> Tried);

    /// This setting's rule has nothing to say.
    fn in_vain(&mut self, setting: &Setting, rule: &Rule, why: impl FnOnce() -> String) {
        self.tried(|| Tried::in_vain(&setting.detail, &observed::id_of(setting, rule), why()));
    }

    /// It holds, and settings before it demand as much.
    fn adds_nothing(&mut self, setting: &Setting, rule: &Rule) {
        self.tried(|| Tried::holds(&setting.detail, rule.id, ADDS_NOTHING));
    }
}

/// Why a rule that holds is no reason of the decision.
pub(crate) const ADDS_NOTHING: &str = "Settings before it demand as much already.";

/// Of a decision.
pub(crate) struct Unasked;

impl Trail for Unasked {
    const IS_KEPT: bool = false;

    fn tried(&mut self, _: impl FnOnce() -> Tried) {}
}

/// How many are told; what holds comes first and is always told.
const MOST: usize = 250;

/// Of an explanation.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    tried: Vec<Tried>,
    left_out: usize,
}

impl Trail for Kept {
    const IS_KEPT: bool = true;

    fn tried(&mut self, tried: impl FnOnce() -> Tried) {
        if self.tried.len() < MOST { self.tried.push(tried()) } else { self.left_out += 1 }
    }
}

impl Kept {
    /// The whole explanation: what the decision says, and what was tried besides.
    pub(crate) fn with(self, said: Said) -> Vec<Tried> {
        let mut all = said.tried();
        all.extend(self.tried);
        if all.is_empty() {
            all.push(Tried::in_vain("", "", "There is no setting."));
        }
        if self.left_out > 0 {
            all.push(Tried::in_vain("", "", format!("{} more that were tried are not told here.", self.left_out)));
        }
        all
    }
}

/// What an outbound setting demands by; R2 of one that is not for mail on its way out.
pub(crate) fn outbound_rule(setting: &Setting) -> &'static Rule {
    let via_another = setting.scopes.outbound_via_another && !setting.scopes.outbound;
    if via_another { &r3_via_another::RULE } else { &r2_outbound::RULE }
}

/// The settings that no recipient's way out is asked about.
pub(crate) fn not_for_the_way_out(settings: &Settings, trail: &mut impl Trail) {
    for setting in settings.disabled.iter().filter(|setting| setting.scopes.is_outbound()) {
        trail.in_vain(setting, outbound_rule(setting), || "It is switched off.".to_owned());
    }
    for setting in settings.all().filter(|setting| !setting.scopes.is_outbound()) {
        trail.in_vain(setting, outbound_rule(setting), || "Its scopes do not name outbound.".to_owned());
    }
}

/// Why a setting is not in force at that moment.
pub(crate) fn not_in_force(setting: &Setting, now: u64) -> String {
    match (&setting.valid_from, &setting.valid_until) {
        (Some(from), _) if now < from.at => format!("It is in force from {} on.", from.written),
        (_, Some(until)) => format!("It was in force until {}.", until.written),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use sealwire_sdk::{Policy, fakes};

    use super::*;
    use crate::testing::{HOST, WayOut, explained, mailboxes, plan, policy, receive, settings_of};

    /// As `rule setting: why`, of what was tried in vain.
    fn in_vain(tried: &[Tried]) -> Vec<String> {
        let line = |tried: &Tried| format!("{} {}: {}", tried.rule, tried.setting, tried.why);
        tried.iter().filter(|tried| !tried.holds).map(line).collect()
    }

    #[test]
    fn every_setting_that_has_no_say_on_a_way_out_says_why() {
        let outbound = r#""scopes": ["outbound"]"#;
        let with = |more: &str| format!("{outbound}, {more}");
        let excepting =
            with(r#""exceptions": [{"lists": ["late"], "until": "1970-01-01", "reason": "r"}], "lists": ["partners"]"#);
        let via = r#""scopes": ["outbound-via-another-setting"]"#;
        let via_with_ca = r#""scopes": ["outbound-via-another-setting"], "require-ca-signed-certificate": true"#;
        let (mx, flagged) = (WayOut::mx(), WayOut::mx().flagged_by(&["content"]));
        let rows: Vec<(String, &WayOut, &str)> = vec![
            (r#""scopes": ["inbound"]"#.into(), &mx, "R2 setting \"Partners\": Its scopes do not name outbound."),
            (with(r#""enabled": false"#), &mx, "R2 setting \"Partners\": It is switched off."),
            (with(r#""valid-from": "2026-01-01""#), &mx, "R2 setting \"Partners\": It is in force from 2026-01-01 on."),
            (
                with(r#""lists": ["banks"]"#),
                &mx,
                "R2 setting \"Partners\": b@partner.example is on none of its lists: banks.",
            ),
            (
                excepting,
                &mx,
                "R2 setting \"Partners\": b@partner.example is on none of its lists, or by an exception: partners.",
            ),
            (
                via.into(),
                &mx,
                "R3 setting \"Partners\": Nobody asks for secure transport: no policy flagged the message, it came without \
                 REQUIRETLS, and its route (mx) demands no TLS.",
            ),
            (
                via_with_ca.into(),
                &flagged,
                "R4 setting \"Partners\": Its scope asks for a certificate by smart host and alternate secure route alone, where the \
                 route or a policy asks for secure transport: `require-ca-signed-certificate` does not count here.",
            ),
            (outbound.into(), &mx, "R4 setting \"Partners\": The setting does not ask for it."),
            (outbound.into(), &mx, "R7 setting \"Partners\": The setting names no alternate secure route."),
            (
                with(r#""observe-only": true, "lists": ["banks"]"#),
                &mx,
                "R2-observed setting \"Partners\": b@partner.example is on none of its lists: banks.",
            ),
        ];
        for (setting, way, expected) in &rows {
            let document = settings_of(&[setting]);
            plan(&document, way);
            let told = in_vain(&explained(&document, way));
            assert!(told.iter().any(|line| line == expected), "no `{expected}` in {told:#?}");
        }
        assert_eq!(in_vain(&explained("{}", &mx)), [" : There is no setting."]);
    }

    #[test]
    fn what_others_demand_already_holds_and_adds_nothing() {
        let ticked = r#""scopes": ["outbound"], "require-ca-signed-certificate": true, "validate-hostname": true"#;
        let tried = explained(&settings_of(&[ticked; 10]), &WayOut::mx());
        let adds_nothing: Vec<&str> =
            tried.iter().filter(|tried| tried.why == ADDS_NOTHING).map(|tried| tried.rule.as_str()).collect();
        assert_eq!(adds_nothing.len(), 20, "R2 from the ninth on, R4 and R5 from the second: {adds_nothing:?}");
        assert!(tried.iter().filter(|tried| tried.why == ADDS_NOTHING).all(|tried| tried.holds));
    }

    #[test]
    fn a_message_that_comes_in_is_told_why_no_setting_refuses_it() {
        let inbound = r#""scopes": ["inbound"]"#;
        let message = |state: &str, from: &str, to: &str| fakes::Message {
            header_from: mailboxes(&[from]),
            recipients: mailboxes(&[to]),
            client: Some(fakes::Client {
                channel: fakes::Channel { state: state.into(), ..Default::default() },
                ..Default::default()
            }),
            ..Default::default()
        };
        let (listed, other, to) = ("a@partner.example", "a@other.example", "b@ours.example");
        let rows = [
            (inbound, message("secured", listed, to), "R1 setting \"Partners\": The message did not come in clear."),
            (
                inbound,
                message("not-offered", other, to),
                "R1 setting \"Partners\": a@other.example is on none of its lists: partners.",
            ),
            (
                inbound,
                message("not-offered", listed, "postmaster@ours.example"),
                "R1 setting \"Partners\": The only recipient is postmaster, or the mailbox of our TLS reports, whom mail must \
                 reach.",
            ),
            (
                r#""scopes": ["outbound"]"#,
                message("not-offered", listed, to),
                "R1 setting \"Partners\": Its scopes do not name inbound.",
            ),
        ];
        for (setting, message, expected) in rows {
            let document = settings_of(&[setting]);
            receive(&document, &message);
            let tried = policy(&document).explain_receive(&message, &*HOST).expect("an explanation");
            assert_eq!(in_vain(&tried), [expected]);
        }
        let document = settings_of(&[inbound, inbound]);
        let tried = policy(&document).explain_receive(&message("failed", listed, to), &*HOST).expect("an explanation");
        assert_eq!(in_vain(&tried), ["R1 setting \"Partners 2\": A setting before it refuses the message."]);
    }

    #[test]
    fn however_many_settings_there_are_an_explanation_is_read_by_a_person() {
        let inbound = [r#""scopes": ["inbound"]"#; 2_000];
        let tried = explained(&settings_of(&inbound), &WayOut::mx());
        assert_eq!(tried.len(), MOST + 1);
        assert_eq!(tried[MOST].why, "1750 more that were tried are not told here.");
    }
}
