//! The built-in policy: mail of listed senders and to listed recipients travels over TLS, or comes back.
//!
//! It does what Gmail's "Secure transport (TLS) compliance" does, one rule per file under [`rules`]:
//!
//! 1. `configure` reads the settings ([`settings`]) and refuses what could not protect anyone (R10, R11).
//! 2. `receive` refuses mail of a listed From that came in clear text (R1).
//! 3. `plan` asks which settings list the recipient ([`listed`]), which of them hold for this way out (R2, R3), and demands
//!    what they ask for: TLS, a trusted chain (R4), a matching name (R5); where that cannot be had, the alternate secure
//!    route (R7) and the report (R6). No setting holds: nothing is demanded (R9). No setting lists the recipient: the alternate
//!    secure route, where the operator has chosen it for all such mail (R7).
//! 4. `judge` has nothing to add: the host compares the demands with the handshake. It says what settings that are only
//!    observed ([`observed`]) would have missed.
//!
//! It never matches addresses itself (R8 is the host's) and never loosens what someone else demanded.

pub mod exceptions;
mod listed;
mod observed;
pub mod rules;
pub mod settings;
mod told;
mod trail;

#[cfg(test)]
mod testing;

use sealwire_sdk::{Destination, Floor, Hop, Host, Message, Objections, Policy, Problem, Reason, Said, Tried, Verdict};

use listed::Lookup;
use rules::{
    Hold, Joined, r1_inbound, r2_outbound, r3_via_another, r4_trusted_chain, r5_matching_name, r6_one_attempt, r7_route,
};
use settings::Settings;
use told::Told;
use trail::{Kept, Trail, Unasked, not_in_force, outbound_rule};

/// The policy, configured.
#[derive(Debug)]
pub struct SecureTransport {
    settings: Settings,
}

sealwire_sdk::export_policy!(SecureTransport);

impl Policy for SecureTransport {
    fn configure(document: &str, host: &impl Host) -> Result<SecureTransport, Vec<Problem>> {
        Ok(SecureTransport { settings: Settings::read(document, host)? })
    }

    fn receive(&self, message: &impl Message, host: &impl Host, verdict: &impl Verdict) -> Result<(), String> {
        r1_inbound::receive(&self.settings, message, host, verdict, &mut Unasked)?;
        verdict.conclude();
        Ok(())
    }

    fn plan(
        &self,
        message: &impl Message,
        destination: &impl Destination,
        host: &impl Host,
        floor: &impl Floor,
    ) -> Result<(), String> {
        self.demand(message, destination, host, floor, &mut Unasked)?;
        floor.conclude();
        Ok(())
    }

    fn judge(
        &self,
        message: &impl Message,
        hop: &impl Hop,
        host: &impl Host,
        objections: &impl Objections,
    ) -> Result<(), String> {
        self.object(message, hop, host, objections)?;
        objections.conclude();
        Ok(())
    }

    fn explain_receive(&self, message: &impl Message, host: &impl Host) -> Result<Vec<Tried>, String> {
        let (said, mut kept) = (Said::default(), Kept::default());
        r1_inbound::receive(&self.settings, message, host, &said, &mut kept)?;
        Ok(kept.with(said))
    }

    fn explain_plan(
        &self,
        message: &impl Message,
        destination: &impl Destination,
        host: &impl Host,
    ) -> Result<Vec<Tried>, String> {
        let (said, mut kept) = (Said::default(), Kept::default());
        self.demand(message, destination, host, &said, &mut kept)?;
        Ok(kept.with(said))
    }

    fn explain_judge(&self, message: &impl Message, hop: &impl Hop, host: &impl Host) -> Result<Vec<Tried>, String> {
        let (said, mut kept) = (Said::default(), Kept::default());
        self.object(message, hop, host, &said)?;
        observed::judged_in_vain(&self.settings, message, hop, &said, &mut kept);
        Ok(kept.with(said))
    }
}

impl SecureTransport {
    /// Demands what the settings that hold ask for.
    fn demand(
        &self,
        message: &impl Message,
        destination: &impl Destination,
        host: &impl Host,
        floor: &impl Floor,
        trail: &mut impl Trail,
    ) -> Result<(), String> {
        let Held { is_listed, holds, observed, excepted } = self.holds(message, destination, host, trail)?;
        let mut told = Told::default();
        excepted.into_iter().for_each(|reason| told.add(reason));
        observed.iter().for_each(|hold| told.add(observed::reason(hold.reason(hold.grounds.rule))));
        told.reasons().iter().for_each(|reason| floor.because(reason));
        let mut joined = Joined::default();
        for hold in &holds {
            joined.demand_tls(hold, floor, trail);
            r4_trusted_chain::plan(hold, &mut joined, floor, trail);
            r5_matching_name::plan(hold, &mut joined, floor, trail);
        }
        r7_route::plan(&holds, floor, trail);
        r7_route::plan_unlisted(&self.settings, is_listed, destination, floor, trail);
        r6_one_attempt::plan(&holds, floor);
        Ok(())
    }

    /// Says what settings that are only observed would miss in this host; objects to none.
    fn object(
        &self,
        message: &impl Message,
        hop: &impl Hop,
        host: &impl Host,
        objections: &impl Objections,
    ) -> Result<(), String> {
        // Nearly always nothing is observed, or nothing is missing, and there is nothing to add.
        let now = message.now();
        let observed = self.settings.outbound().filter(|setting| setting.observe_only && setting.is_valid(now));
        if !observed.into_iter().any(|setting| observed::may_object(setting, hop)) {
            return Ok(());
        }
        let recipients = hop.recipients();
        let asked = observed::recipients_asked(&self.settings);
        let mut told = Told::default();
        for recipient in recipients.iter().take(asked) {
            let held = self.holds(message, &observed::WayTo { recipient, hop, host }, host, &mut Unasked)?;
            held.observed.iter().filter_map(|hold| observed::objection(hold, hop)).for_each(|one| told.add(one));
        }
        told.reasons().iter().for_each(|reason| objections.because(reason));
        if recipients.len() > asked {
            objections.because(&observed::not_asked(recipients.len() - asked));
        }
        Ok(())
    }

    /// What the outbound settings that are valid now make of this recipient's way out, in document order.
    fn holds<T: Trail>(
        &self,
        message: &impl Message,
        destination: &impl Destination,
        host: &impl Host,
        trail: &mut T,
    ) -> Result<Held<'_>, String> {
        if T::IS_KEPT {
            trail::not_for_the_way_out(&self.settings, trail);
        }
        let mut held = Held::default();
        let mut outbound = self.settings.outbound().peekable();
        if outbound.peek().is_none() {
            return Ok(held);
        }
        let now = message.now();
        let recipient = [destination.recipient()];
        let mut lookup = Lookup::new(&self.settings, &recipient, message, host);
        for setting in outbound {
            if !setting.is_valid(now) {
                trail.in_vain(setting, outbound_rule(setting), || not_in_force(setting, now));
                continue;
            }
            let matched = lookup.matched(setting, now)?;
            let is_excepted = !matched.excepted.is_empty();
            // What is only observed changes nothing, and an exception takes its own setting away: the route for who is on
            // no list stands for both.
            held.is_listed |= matched.listed.is_some() && !setting.observe_only;
            held.excepted.extend(matched.excepted.into_iter().map(|(entry, exception)| exception.reason(entry)));
            let Some(listed) = matched.listed else {
                trail.in_vain(setting, outbound_rule(setting), || lookup.not_listed(setting, is_excepted));
                continue;
            };
            let grounds = r2_outbound::grounds(setting);
            match grounds.or_else(|| r3_via_another::grounds(setting, message, destination)) {
                None => trail.in_vain(setting, outbound_rule(setting), || r3_via_another::in_vain(destination)),
                Some(grounds) => {
                    let hold = Hold { setting, entry: listed.entry, grounds };
                    if setting.observe_only { held.observed.push(hold) } else { held.holds.push(hold) }
                }
            }
        }
        Ok(held)
    }
}

/// What settings make of one recipient's way out.
#[derive(Debug, Default)]
struct Held<'a> {
    /// Some outbound setting that is enforced lists the recipient.
    is_listed: bool,
    /// Settings that hold: their demands join.
    holds: Vec<Hold<'a>>,
    /// Settings that would hold, were they not only observed.
    observed: Vec<Hold<'a>>,
    /// What tells of exceptions.
    excepted: Vec<Reason>,
}

#[cfg(test)]
mod tests {
    use sealwire_sdk::{Policy, fakes};

    use crate::testing::{HOST, WayOut, judge, mailboxes, plan, policy, settings_of};

    const OBSERVED: &str = r#""scopes": ["outbound"], "observe-only": true, "require-ca-signed-certificate": true,
        "validate-hostname": true, "minimum-tls-version": "1.3""#;

    #[test]
    fn what_is_observed_is_recorded_and_demands_nothing() {
        let lines = plan(&settings_of(&[OBSERVED]), &WayOut::mx()).lines();
        assert_eq!(lines, ["because R2-observed", "conclude"]);
        let enforced = r#""scopes": ["outbound"]"#;
        let lines = plan(&settings_of(&[OBSERVED, enforced]), &WayOut::mx()).lines();
        assert_eq!(lines[..3], ["because R2-observed", "require-tls", "because R2"]);
        let secured = |version, chain: &str, name_matches| fakes::Channel {
            state: "secured".into(),
            handshake: Some(fakes::Handshake { version, chain: chain.into(), name_matches, ..Default::default() }),
            ..Default::default()
        };
        let clear = || fakes::Channel { state: "not-offered".into(), ..Default::default() };
        let rows = [
            (secured(0x0304, "trusted", true), None),
            (clear(), Some("TLS (not-offered)")),
            (secured(0x0303, "trusted", true), Some("the minimum TLS version")),
            (
                secured(0x0304, "certificate-expired", false),
                Some("a CA signed certificate (certificate-expired), a certificate that names the host"),
            ),
        ];
        for (channel, missing) in rows {
            let told = judge(&settings_of(&[OBSERVED]), &WayOut::mx(), channel.clone()).reasons();
            let expected = missing.map(|missing| {
                format!("Observed only, not enforced: this host would not have done, for it lacks {missing}.")
            });
            assert_eq!(told.first().map(|reason| reason.text.clone()), expected, "{channel:?}");
        }
        // What is enforced is the host's to compare, and nobody is told of who is not listed.
        assert_eq!(judge(&settings_of(&[enforced]), &WayOut::mx(), clear()).lines(), ["conclude"]);
        let stranger = WayOut::mx().for_recipient("b@other.example");
        assert_eq!(judge(&settings_of(&[OBSERVED]), &stranger, clear()).lines(), ["conclude"]);
    }

    /// From and recipient are what anybody writes: who may be anybody is no authenticated sender.
    #[test]
    fn an_exception_for_authenticated_senders_is_none_for_others() {
        let excepted = r#""scopes": ["inbound", "outbound"], "lists": ["partners"], "exceptions": [{"lists": ["known"], "until": "2970-01-01", "reason": "r"}]"#;
        let document = settings_of(&[excepted]);
        for (authenticated_as, excepted) in [(None, false), (Some("ann".to_owned()), true)] {
            let channel = fakes::Channel { state: "not-offered".into(), ..Default::default() };
            let message = fakes::Message {
                client: Some(fakes::Client { authenticated_as, channel, ..Default::default() }),
                header_from: mailboxes(&["x@partner.example"]),
                recipients: mailboxes(&["bob@ours.example"]),
                ..Default::default()
            };
            let calls = fakes::Calls::default();
            policy(&document).receive(&message, &*HOST, &calls).expect("a decision");
            assert_eq!(calls.lines().contains(&"because exception".to_owned()), excepted, "{:?}", calls.lines());
            assert_eq!(calls.lines().contains(&"because R1".to_owned()), !excepted, "{:?}", calls.lines());
            let lines = plan(&document, &WayOut::mx().of(message)).lines();
            assert_eq!(lines.contains(&"require-tls".to_owned()), !excepted, "{lines:?}");
        }
    }

    #[test]
    fn an_exception_narrows_its_own_setting_until_its_day() {
        let excepted = r#""scopes": ["outbound"], "lists": ["partners"], "exceptions": [{"lists": ["late"], "until": "1970-01-01", "reason": "r"}]"#;
        let other = r#""scopes": ["outbound"]"#;
        let rows: &[(&[&str], &str, u64, &[&str])] = &[
            (&[excepted], "b@partner.example", 0, &["because exception", "conclude"]),
            (
                &[excepted],
                "ann@people.example",
                0,
                &["require-tls", "because R2", "fallback bounce", "because R6", "conclude"],
            ),
            (
                &[excepted],
                "b@partner.example",
                86_400,
                &["require-tls", "because R2", "fallback bounce", "because R6", "conclude"],
            ),
            // Another setting's demand stands.
            (
                &[excepted, other],
                "b@partner.example",
                0,
                &["because exception", "require-tls", "because R2", "fallback bounce", "because R6", "conclude"],
            ),
        ];
        for (settings, recipient, now, expected) in rows {
            let lines = plan(&settings_of(settings), &WayOut::mx().for_recipient(recipient).at(*now)).lines();
            assert_eq!(lines, *expected, "{settings:?} {recipient} at {now}");
        }
        // Excepted is on no list: it takes the route of those, as long as no other setting lists it.
        let unlisted = |settings: &[&str]| {
            settings_of(settings).replacen('{', r#"{"alternate-secure-route-for-unlisted": "tunnel", "#, 1)
        };
        let lines = plan(&unlisted(&[excepted]), &WayOut::mx()).lines();
        assert_eq!(lines, ["because exception", "take-route tunnel", "because R7", "conclude"]);
        let lines = plan(&unlisted(&[excepted, other]), &WayOut::mx()).lines();
        assert!(!lines.contains(&"take-route tunnel".to_owned()), "{lines:?}");
    }
}
