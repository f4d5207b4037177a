//! R1: mail of a listed sender that arrives without TLS is refused, before anything is stored.
//!
//! The mission: "Incoming mail: Mail is rejected without any notification to you, although the sender will receive an
//! NDR." and "Gmail checks them against the From: part of the inbound message header, not the envelope sender". So MAIL
//! FROM is never read. A From that cannot be read with certainty is judged as if every inbound setting listed it, else a
//! crooked From would be the way around the rule. The remote server writes the NDR from our reply, which therefore says
//! whose mail, which rule and what to do. Applies to every message that arrives, from trusted clients too.
//!
//! Exempt, for a single recipient: postmaster (RFC 5321 §4.5.1), and the mailbox that receives our TLS reports, which
//! must be able to tell us that TLS is broken (RFC 8460 §3).

use sealwire_sdk::{Channel, Client, Host, Mailbox, Message, Reason, Reply, Tried, Verdict};

use super::Rule;
use crate::listed::Lookup;
use crate::observed;
use crate::settings::{Setting, Settings};
use crate::told::Told;
use crate::trail::{Trail, not_in_force};

/// The rule as the public knows it.
pub const RULE: Rule = Rule { id: "R1", sentence: "Mail from a listed sender is accepted over TLS only." };

/// The longest domain name (RFC 1035 §2.3.4, without the final dot); keeps the reply within its 400 octets.
const DOMAIN_MAX: usize = 253;

/// Refuses, or calls nothing.
pub(crate) fn receive<T: Trail>(
    settings: &Settings,
    message: &impl Message,
    host: &impl Host,
    verdict: &impl Verdict,
    trail: &mut T,
) -> Result<(), String> {
    // The cheapest facts first: nearly all mail ends at this line.
    let is_for_any = settings.inbound().next().is_some();
    if T::IS_KEPT {
        not_for_arrivals(settings, trail);
    }
    if !is_for_any || !came_in_clear(message) {
        if T::IS_KEPT {
            let why = || "The message did not come in clear.".to_owned();
            settings.inbound().for_each(|setting| trail.in_vain(setting, &RULE, why));
        }
        return Ok(());
    }
    let Found { told, refusal } = found(settings, message, host, trail)?;
    let told = told.reasons();
    if told.is_empty() && refusal.is_none() {
        return Ok(());
    }
    if is_exempt(settings, &message.recipients()) {
        told.iter().chain(&refusal).for_each(|reason| trail.tried(|| exempt(reason)));
        return Ok(());
    }
    told.iter().for_each(|reason| verdict.because(reason));
    if let Some(reason) = refusal {
        verdict.reject(&Reply::new(550, "5.7.10", format!("{} (rule {})", reason.text, reason.rule)));
        verdict.because(&reason);
    }
    Ok(())
}

/// What there is to say.
#[derive(Default)]
struct Found {
    /// Of exceptions and of settings that are only observed.
    told: Told,
    /// Of the first setting that refuses.
    refusal: Option<Reason>,
}

/// Anything but a secured channel is clear text. A report of our own came by no channel at all.
fn came_in_clear(message: &impl Message) -> bool {
    message.client().is_some_and(|client| client.channel().state() != "secured")
}

/// Exceptions and observed settings that list a mailbox of From, up to the first setting that does and is enforced.
fn found<T: Trail>(
    settings: &Settings,
    message: &impl Message,
    host: &impl Host,
    trail: &mut T,
) -> Result<Found, String> {
    let now = message.now();
    let mut found = Found::default();
    let from = if message.header_from_doubtful() { None } else { Some(message.header_from()) };
    let mut lookup = Lookup::new(settings, from.as_deref().unwrap_or_default(), message, host);
    for setting in settings.inbound() {
        if !setting.is_valid(now) {
            trail.in_vain(setting, &RULE, || not_in_force(setting, now));
        } else if found.refusal.is_some() {
            if !T::IS_KEPT {
                break;
            }
            trail.in_vain(setting, &RULE, || "A setting before it refuses the message.".to_owned());
        } else if let Some(from) = &from {
            let matched = lookup.matched(setting, now)?;
            let is_excepted = !matched.excepted.is_empty();
            matched.excepted.into_iter().for_each(|(entry, exception)| found.told.add(exception.reason(entry)));
            match matched.listed {
                Some(listed) => found.add(setting, refusal(setting, &from[listed.who], listed.entry)),
                None => trail.in_vain(setting, &RULE, || lookup.not_listed(setting, is_excepted)),
            }
        } else {
            found.add(setting, doubtful(setting));
        }
    }
    Ok(found)
}

fn refusal(setting: &Setting, from: &Mailbox, entry: String) -> Reason {
    let text = format!(
        "Encryption needed: mail from {} is accepted here over TLS only. Turn on STARTTLS in the sending mail server, \
         then send again.",
        printable(&from.domain)
    );
    Reason::new(RULE.id, text).matched(entry).detail(&*setting.detail)
}

fn not_for_arrivals(settings: &Settings, trail: &mut impl Trail) {
    for setting in settings.disabled.iter().filter(|setting| setting.scopes.inbound) {
        trail.in_vain(setting, &RULE, || "It is switched off.".to_owned());
    }
    for setting in settings.all().filter(|setting| !setting.scopes.inbound) {
        trail.in_vain(setting, &RULE, || "Its scopes do not name inbound.".to_owned());
    }
}

fn exempt(reason: &Reason) -> Tried {
    let why = "The only recipient is postmaster, or the mailbox of our TLS reports, whom mail must reach.";
    Tried::in_vain(reason.detail.as_deref().unwrap_or_default(), &reason.rule, why)
}

impl Found {
    fn add(&mut self, setting: &Setting, reason: Reason) {
        if setting.observe_only { self.told.add(observed::reason(reason)) } else { self.refusal = Some(reason) }
    }
}

fn doubtful(setting: &Setting) -> Reason {
    let text = "Encryption needed: the From field of this message is missing or malformed, and such mail is accepted here \
                over TLS only. Turn on STARTTLS in the sending mail server, or write one plain From field, then send again.";
    Reason::new(RULE.id, text).detail(format!("From is doubtful, so {} counts as listing it", setting.detail))
}

fn is_exempt(settings: &Settings, recipients: &[Mailbox]) -> bool {
    let [only] = recipients else { return false };
    let is_report_mailbox = settings.tls_report_mailbox.as_ref().is_some_and(|mailbox| {
        only.domain == mailbox.domain && only.local_part.eq_ignore_ascii_case(&mailbox.local_part)
    });
    is_report_mailbox || only.local_part.eq_ignore_ascii_case("postmaster")
}

/// The contract gives domains in A-labels; a literal could hold anything.
fn printable(domain: &str) -> String {
    domain.chars().take(DOMAIN_MAX).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{mailboxes, policy, receive, settings_of, settings_with};
    use sealwire_sdk::{Policy, fakes};

    const REFUSED: [&str; 3] = ["reject 550 5.7.10", "because R1", "conclude"];
    const ACCEPTED: [&str; 1] = ["conclude"];

    fn message(state: &str, from: &[&str], doubtful: bool, recipients: &[&str]) -> fakes::Message {
        let channel = fakes::Channel { state: state.into(), ..Default::default() };
        fakes::Message {
            header_from: mailboxes(from),
            header_from_doubtful: doubtful,
            envelope_sender: Some(Mailbox::new("bounces@partner.example")),
            recipients: mailboxes(recipients),
            client: Some(fakes::Client { channel, ..Default::default() }),
            ..Default::default()
        }
    }

    /// Channel, From, doubtful, recipients; refused.
    type Row = (&'static str, &'static [&'static str], bool, &'static [&'static str], bool);

    #[test]
    fn r1_inbound() {
        let inbound = settings_with(r#""scopes": ["inbound"]"#);
        let rows: &[Row] = &[
            ("secured", &["a@partner.example"], false, &["b@ours.example"], false),
            ("not-offered", &["a@partner.example"], false, &["b@ours.example"], true),
            ("refused", &["a@partner.example"], false, &["b@ours.example"], true),
            ("failed", &["a@partner.example"], false, &["b@ours.example"], true),
            ("inconclusive", &["a@partner.example"], false, &["b@ours.example"], true),
            ("a-word-of-tomorrow", &["a@partner.example"], false, &["b@ours.example"], true),
            // The header From counts, never MAIL FROM, which is listed in every row.
            ("not-offered", &["a@other.example"], false, &["b@ours.example"], false),
            // Any mailbox of any From field.
            ("not-offered", &["a@other.example", "a@partner.example"], false, &["b@ours.example"], true),
            ("not-offered", &["x@deep.below.example"], false, &["b@ours.example"], true),
            ("not-offered", &["ann@people.example"], false, &["b@ours.example"], true),
            ("not-offered", &["bob@people.example"], false, &["b@ours.example"], false),
            // Doubtful: as if listed, over clear text only.
            ("not-offered", &["a@other.example"], true, &["b@ours.example"], true),
            ("not-offered", &[], true, &["b@ours.example"], true),
            ("secured", &[], true, &["b@ours.example"], false),
            // Exempt as the only recipient.
            ("not-offered", &["a@partner.example"], false, &["PostMaster@ours.example"], false),
            ("not-offered", &["a@partner.example"], false, &["postmaster"], false),
            ("not-offered", &["a@partner.example"], false, &["TLSRPT@ours.example"], false),
            ("not-offered", &[], true, &["tlsrpt@ours.example"], false),
            ("not-offered", &["a@partner.example"], false, &["tlsrpt@other.example"], true),
            ("not-offered", &["a@partner.example"], false, &["postmaster@ours.example", "b@ours.example"], true),
            ("not-offered", &["a@partner.example"], false, &["postmaster@ours.example", "tlsrpt@ours.example"], true),
            ("not-offered", &["a@partner.example"], false, &["not-postmaster@ours.example"], true),
        ];
        for (state, from, doubtful, recipients, refused) in rows {
            let calls = receive(&inbound, &message(state, from, *doubtful, recipients));
            let expected = if *refused { &REFUSED[..] } else { &ACCEPTED[..] };
            assert_eq!(calls.lines(), expected, "{state}, From {from:?}, doubtful {doubtful}, to {recipients:?}");
        }
    }

    #[test]
    fn only_enabled_inbound_settings_count() {
        let in_clear = message("not-offered", &["a@partner.example"], true, &["b@ours.example"]);
        for setting in
            [r#""scopes": ["outbound", "outbound-via-another-setting"]"#, r#""scopes": ["inbound"], "enabled": false"#]
        {
            assert_eq!(receive(&settings_with(setting), &in_clear).lines(), ACCEPTED, "{setting}");
        }
    }

    #[test]
    fn what_is_observed_or_excepted_is_recorded_and_not_refused() {
        let observed = r#""scopes": ["inbound"], "observe-only": true"#;
        let excepted = r#""scopes": ["inbound"], "lists": ["partners"], "exceptions": [{"lists": ["late"], "until": "1970-01-01", "reason": "r"}]"#;
        let later = r#""scopes": ["inbound"], "valid-from": "1970-01-02""#;
        let enforced = r#""scopes": ["inbound"]"#;
        // Settings, From, at; what is called.
        type Case<'a> = (&'a [&'a str], &'a [&'a str], u64, &'a [&'a str]);
        let rows: &[Case<'_>] = &[
            (&[observed], &["a@partner.example"], 0, &["because R1-observed", "conclude"]),
            (
                &[observed, enforced],
                &["a@partner.example"],
                0,
                &["because R1-observed", "reject 550 5.7.10", "because R1", "conclude"],
            ),
            (&[excepted], &["a@partner.example"], 0, &["because exception", "conclude"]),
            (&[excepted], &["a@partner.example"], 86_400, &REFUSED),
            // An exception of one mailbox is none of another, and none of another setting.
            (
                &[excepted],
                &["a@partner.example", "ann@people.example"],
                0,
                &["because exception", "reject 550 5.7.10", "because R1", "conclude"],
            ),
            (
                &[excepted, enforced],
                &["a@partner.example"],
                0,
                &["because exception", "reject 550 5.7.10", "because R1", "conclude"],
            ),
            (&[later], &["a@partner.example"], 86_399, &ACCEPTED),
            (&[later], &["a@partner.example"], 86_400, &REFUSED),
        ];
        for (settings, from, now, expected) in rows {
            let in_clear = fakes::Message { now: *now, ..message("not-offered", from, false, &["b@ours.example"]) };
            assert_eq!(receive(&settings_of(settings), &in_clear).lines(), *expected, "{settings:?} {from:?} at {now}");
        }
        let in_clear = message("not-offered", &[], true, &["b@ours.example"]);
        assert_eq!(receive(&settings_with(observed), &in_clear).lines(), ["because R1-observed", "conclude"]);
        let reason = &receive(
            &settings_with(excepted),
            &message("not-offered", &["a@partner.example"], false, &["b@ours.example"]),
        )
        .reasons()[0];
        assert_eq!(reason.detail.as_deref(), Some("setting \"Partners\", exception until 1970-01-01: r"));
    }

    #[test]
    fn a_report_of_our_own_came_by_no_channel() {
        let report = fakes::Message { client: None, ..message("", &["a@partner.example"], true, &[]) };
        assert_eq!(receive(&settings_with(r#""scopes": ["inbound"]"#), &report).lines(), ACCEPTED);
    }

    #[test]
    fn the_sender_reads_whose_mail_which_rule_and_what_to_do() {
        let inbound = settings_with(r#""scopes": ["inbound"]"#);
        let calls = receive(&inbound, &message("not-offered", &["a@partner.example"], false, &["b@ours.example"]));
        assert_eq!(
            calls.replies()[0].text,
            "Encryption needed: mail from partner.example is accepted here over TLS only. Turn on STARTTLS in the sending \
             mail server, then send again. (rule R1)"
        );
        let reason = &calls.reasons()[0];
        assert!(calls.replies()[0].text.starts_with(&reason.text), "reply and reason carry the same words");
        assert_eq!(reason.matched.as_deref(), Some("partner.example"));
        assert_eq!(reason.detail.as_deref(), Some("setting \"Partners\""));
        // The fakes panic on a reply the host would not take.
        let long = format!("a@{}.below.example", "x\u{fc}".repeat(300));
        receive(&inbound, &message("not-offered", &[&long], false, &["b@ours.example"]));
        receive(&inbound, &message("not-offered", &[], true, &["b@ours.example"]));
    }

    #[test]
    fn a_list_that_is_gone_is_a_failed_decision() {
        let policy = policy(&settings_with(r#""scopes": ["inbound"]"#));
        let calls = fakes::Calls::default();
        let in_clear = message("not-offered", &["a@other.example"], false, &["b@ours.example"]);
        let error = policy.receive(&in_clear, &fakes::Host::default(), &calls).expect_err("no list");
        assert_eq!(error, "there is no list `partners` any more");
        assert!(!calls.concluded());
    }
}
