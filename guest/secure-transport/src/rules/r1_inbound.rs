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

use sealwire_sdk::{Channel, Client, Host, Mailbox, Message, Reason, Reply, Verdict};

use super::Rule;
use crate::listed::Lookup;
use crate::settings::{Setting, Settings};

/// The rule as the public knows it.
pub const RULE: Rule = Rule { id: "R1", sentence: "Mail from a listed sender is accepted over TLS only." };

/// The longest domain name (RFC 1035 §2.3.4, without the final dot); keeps the reply within its 400 octets.
const DOMAIN_MAX: usize = 253;

/// Refuses, or calls nothing.
pub(crate) fn receive(
    settings: &Settings,
    message: &impl Message,
    host: &impl Host,
    verdict: &impl Verdict,
) -> Result<(), String> {
    // The cheapest facts first: nearly all mail ends at this line.
    if settings.inbound().next().is_none() || !came_in_clear(message) {
        return Ok(());
    }
    let Some(refusal) = refusal(settings, message, host)? else { return Ok(()) };
    if is_exempt(settings, &message.recipients()) {
        return Ok(());
    }
    verdict.reject(&Reply::new(550, "5.7.10", format!("{} (rule {})", refusal.text, refusal.rule)));
    verdict.because(&refusal);
    Ok(())
}

/// Anything but a secured channel is clear text. A report of our own came by no channel at all.
fn came_in_clear(message: &impl Message) -> bool {
    message.client().is_some_and(|client| client.channel().state() != "secured")
}

/// The reason, if some inbound setting lists a mailbox of From.
fn refusal(settings: &Settings, message: &impl Message, host: &impl Host) -> Result<Option<Reason>, String> {
    if message.header_from_doubtful() {
        return Ok(settings.inbound().next().map(doubtful));
    }
    let from = message.header_from();
    let mut lookup = Lookup::new(settings, &from, host);
    for setting in settings.inbound() {
        if let Some(listed) = lookup.first(setting)? {
            let text = format!(
                "Encryption needed: mail from {} is accepted here over TLS only. Turn on STARTTLS in the sending mail \
                 server, then send again.",
                printable(&from[listed.who].domain)
            );
            return Ok(Some(Reason::new(RULE.id, text).matched(listed.entry).detail(&*setting.detail)));
        }
    }
    Ok(None)
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
    use crate::testing::{HOST, mailboxes, policy, settings_with};
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

    fn receive(settings: &str, message: &fakes::Message) -> fakes::Calls {
        let calls = fakes::Calls::default();
        policy(settings).receive(message, &*HOST, &calls).expect("a decision");
        calls
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
