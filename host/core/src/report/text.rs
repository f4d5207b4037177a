//! The words for a person: who did not get the message, what happened, why, and what to do about it.
//!
//! Public reasons only: rule and text. Who reads this never saw a log file.

use std::collections::BTreeSet;

use crate::facts::{ChannelState, TlsVersion};
use crate::floor::{Demand, Source};
use crate::outcome::{FloorUnmet, HostUnmet, Outcome};
use crate::reason::Reason;
use crate::reply::Reply;
use crate::report::encode::{subject, tame, wrap};
use crate::report::status::telling_host;
use crate::report::{FailedRecipient, ReportRequest};
use crate::settle::{Ending, Failure};
use crate::time::rfc5322;

/// Most characters of anything that somebody else wrote.
const QUOTE_MAX: usize = 400;
/// Most hosts that are told of one by one.
const HOSTS_MAX: usize = 10;

/// The whole part, lines ended by `\n`.
pub(super) fn write(request: &ReportRequest<'_>, header_cut: bool) -> String {
    let whom = if request.failures.len() == 1 { "this recipient" } else { "these recipients" };
    let mut text = wrap(&format!("Your message was not delivered to {whom}:"), "");
    text.push('\n');
    for failed in request.failures {
        text.push_str(&format!("    {}\n", tame(&failed.mailbox.to_string(), QUOTE_MAX)));
    }
    text.push('\n');
    if let Some(subject) = subject(&request.entry.header) {
        text.push_str(&wrap(&format!("Subject: {subject}"), ""));
    }
    text.push_str(&wrap(&format!("Sent: {}", rfc5322(request.entry.arrived_at)), ""));
    for failed in request.failures {
        section(&mut text, request, failed);
    }
    text.push_str("\n-- \n");
    let mut close = format!(
        "Written by the mail relay {}; its postmaster is {}. The id of your message there is {}. The header of your \
         message is attached, its content is not.",
        request.reporting_host, request.postmaster, request.entry.id
    );
    if header_cut {
        close.push_str(" The header was too long to be attached whole.");
    }
    text.push_str(&wrap(&close, ""));
    text
}

fn section(text: &mut String, request: &ReportRequest<'_>, FailedRecipient { mailbox, failure }: &FailedRecipient) {
    text.push_str(&format!("\n{}\n", tame(&mailbox.to_string(), QUOTE_MAX)));
    let asked = Asked { postmaster: request.postmaster.to_string(), domain: mailbox.domain.to_string() };
    let words = words_of(failure, &asked);
    let administrators = format!("What the administrators of {} can do", words.remedy_at);
    let paragraphs = [
        ("What happened", words.happened),
        ("Why", words.why),
        ("What you can do", words.you),
        (administrators.as_str(), words.administrators),
    ];
    for (title, sentences) in paragraphs {
        if !sentences.is_empty() {
            text.push_str(&format!("\n  {title}:\n"));
            sentences.iter().for_each(|sentence| text.push_str(&wrap(sentence, "    ")));
        }
    }
}

/// Who may be asked for help.
struct Asked {
    postmaster: String,
    domain: String,
}

/// Paragraphs under each title.
#[derive(Default)]
struct Words {
    happened: Vec<String>,
    why: Vec<String>,
    you: Vec<String>,
    /// Whose administrators the next are for.
    remedy_at: String,
    administrators: Vec<String>,
}

fn words_of(failure: &Failure, asked: &Asked) -> Words {
    let mut words = match &failure.outcome {
        Outcome::FloorUnmet(unmet) => of_floor_unmet(unmet, failure, asked),
        Outcome::Refused { host, reply, by_peer } => of_refused(host.as_deref(), reply, *by_peer),
        Outcome::Inconclusive { host, why, reply } => of_inconclusive(host.as_deref(), why, reply.as_ref(), asked),
        Outcome::FailedDecision(failed) => Words {
            why: vec![format!(
                "This relay sends a message only after its policies have decided on it. The policy \"{}\" could not \
                 decide: {}. That is a fault of this relay, not yours and not the recipient's.",
                tame(&failed.policy, QUOTE_MAX),
                failed.cause
            )],
            you: vec![format!("Tell {}, and send the message again once it is mended.", asked.postmaster)],
            ..Words::default()
        },
        // A delivery is no failure.
        Outcome::Delivered(_) => Words::default(),
    };
    words.happened.insert(0, ending(failure));
    if let Some(route) = &failure.route {
        let way = format!(
            "As the first way did not give what is required, the message took the alternate route \"{}\".",
            quote(route)
        );
        words.happened.insert(1, way);
    }
    words
}

/// What ended it, in one sentence or two.
fn ending(failure: &Failure) -> String {
    match failure.ending {
        Ending::Refused => "The message was refused for good; it will not be tried again.".into(),
        Ending::FloorUnmet { rounds: 1 } => {
            "Nothing of the message was sent. One attempt was made; the message will not be tried again.".into()
        }
        Ending::FloorUnmet { rounds } => format!(
            "Nothing of the message was sent. As not every mail server could be asked, {rounds} attempts were made; \
             the message will not be tried again."
        ),
        Ending::Expired { after_secs, held: true } => format!(
            "The message was held back by a policy of this relay, and nobody released it within {}. It will not be \
             tried again.",
            duration(after_secs)
        ),
        Ending::Expired { after_secs, held: false } => format!(
            "The message could not be delivered within {} ({}). It will not be tried again.",
            duration(after_secs),
            times(failure.rounds)
        ),
    }
}

fn of_floor_unmet(unmet: &FloorUnmet, failure: &Failure, asked: &Asked) -> Words {
    let mut words = Words::default();
    for host in unmet.hosts.iter().take(HOSTS_MAX) {
        // One that was not connected has none.
        let address = if host.address.is_empty() { String::new() } else { format!(" ({})", host.address) };
        words.happened.push(format!("The mail server {}{address} {}.", name(&host.host), found(host)));
    }
    if unmet.hosts.len() > HOSTS_MAX {
        words.happened.push(format!("{} more mail servers did no better.", unmet.hosts.len() - HOSTS_MAX));
    }
    for (host, why) in unmet.not_asked.iter().take(HOSTS_MAX) {
        words.happened.push(format!("The mail server {} could not be asked: {}.", name(host), quote(why)));
    }
    words.why = why(unmet, &failure.reasons, asked);
    words.you = vec![
        "Ask the recipient for an address on a mail server that meets this requirement, or reach them in another way. \
         Sent again as it is, the message will come back again until the mail server has been changed."
            .into(),
        format!("If you think that the requirement is wrong, ask {}.", asked.postmaster),
    ];
    if let Some(host) = telling_host(unmet) {
        words.remedy_at = name(&host.host);
        words.administrators = remedies(host);
    }
    words
}

/// What one host did, as the rest of a sentence that begins with its name.
fn found(host: &HostUnmet) -> String {
    if let Some((reply, reasons)) = &host.objection {
        let given: Vec<String> = reasons.iter().map(public).collect();
        let because = if given.is_empty() { quote(&reply.text) } else { given.join(" ") };
        return format!("did not pass a check of this relay: {}", because.trim_end_matches('.'));
    }
    let detail = quote(&host.found);
    if host.barred_by().is_some() {
        return detail;
    }
    match host.channel {
        ChannelState::NotOffered => "did not offer a secure (TLS) connection".into(),
        // Words that go on behind the host's name already.
        ChannelState::Refused | ChannelState::Failed | ChannelState::Inconclusive => detail,
        ChannelState::Secured => {
            let lacks: Vec<&str> = demands(host).into_iter().map(lack).collect();
            format!("offered a secure (TLS) connection, but {} ({detail})", lacks.join("; "))
        }
    }
}

fn demands(host: &HostUnmet) -> BTreeSet<&Demand> {
    host.unmet.iter().map(|(demand, _)| demand).collect()
}

fn lack(demand: &Demand) -> &'static str {
    match demand {
        Demand::Tls => "it was not used",
        Demand::MinimumVersion(_) => "its version is too old",
        Demand::TrustedChain => "its certificate is not signed by a trusted authority (CA)",
        Demand::MatchingName => "its certificate names another server",
        Demand::Pin(..) => "its certificate is not the one expected",
        Demand::CipherSuite(_) => "its cipher suite is not one of those required",
        Demand::Dane(_) => "its certificate is not the one that its TLSA records name (DANE)",
        Demand::ListedHost => "its domain's MTA-STS policy does not list it",
        Demand::RequireTls => "it does not pass the demand for TLS on (REQUIRETLS)",
        Demand::VerifiedServer => "its certificate does not prove which server it is",
        Demand::ProvenHost => "its name is not proven",
    }
}

/// What was required, and who requires it: each rule once, in its own public words.
fn why(unmet: &FloorUnmet, reasons: &[Reason], asked: &Asked) -> Vec<String> {
    let sourced: BTreeSet<_> = unmet.hosts.iter().flat_map(|host| &host.unmet).collect();
    if sourced.is_empty() {
        return Vec::new();
    }
    let demands: BTreeSet<&Demand> = sourced.iter().map(|(demand, _)| demand).collect();
    let besides: Vec<String> = demands.into_iter().filter_map(required).collect();
    let with = if besides.is_empty() { String::new() } else { format!(", with {}", besides.join(" and ")) };
    let sources: BTreeSet<&Source> = sourced.iter().map(|(_, source)| source).collect();
    let who = if sources.iter().all(|source| **source == Source::RequireTls) {
        "Whoever sent this message"
    } else {
        "The organization that runs this relay"
    };
    let mut why = vec![format!(
        "{who} requires that this message to {} travels only over a secure (TLS) connection{with}.",
        asked.domain
    )];
    let mut told = BTreeSet::new();
    for sentence in sources.into_iter().map(|source| demanded_by(source, reasons)) {
        if told.insert(sentence.clone()) {
            why.push(sentence);
        }
    }
    why
}

/// What a demand asks for besides TLS itself.
fn required(demand: &Demand) -> Option<String> {
    Some(match demand {
        Demand::Tls => return None,
        Demand::MinimumVersion(version) => format!("{} or newer", version_name(*version)),
        Demand::TrustedChain => "a certificate signed by a trusted authority (CA)".into(),
        Demand::MatchingName => "a certificate that names the mail server".into(),
        Demand::Pin(..) => "the certificate that is expected there".into(),
        Demand::CipherSuite(_) => quote(&demand.to_string()),
        Demand::Dane(_) => "a certificate that the mail server's TLSA records name (DANE)".into(),
        Demand::ListedHost => "a mail server that the recipient's domain lists in its MTA-STS policy".into(),
        Demand::RequireTls => "a mail server that passes this demand on (REQUIRETLS)".into(),
        Demand::VerifiedServer => "a certificate that proves which mail server it is".into(),
        Demand::ProvenHost => "a mail server whose name is proven (by DNSSEC or MTA-STS)".into(),
    })
}

fn demanded_by(source: &Source, reasons: &[Reason]) -> String {
    match source {
        Source::Rule { policy, rule } => {
            let given = reasons.iter().find(|reason| reason.policy == *policy && reason.rule == *rule);
            given.map(public).unwrap_or_else(|| format!("It is demanded by {}.", quote(&source.to_string())))
        }
        Source::Flag(policy) => {
            format!("The policy \"{}\" marked this message for secure transport when it arrived.", quote(policy))
        }
        Source::Route(name) => format!("The route \"{}\" that this message takes demands it.", quote(name)),
        Source::Report => "The message that this one reports on came over a secure connection.".into(),
        Source::Dane(name) => format!(
            "The owner of the mail server demands it: see the TLSA records of {} (DANE, RFC 7672).",
            quote(name)
        ),
        Source::RequireTls => "The message was sent with the option REQUIRETLS (RFC 8689).".into(),
        Source::MtaSts { domain, .. } => format!(
            "The owner of {0} demands it: see the policy at https://mta-sts.{0}/.well-known/mta-sts.txt (MTA-STS, \
             RFC 8461).",
            quote(domain)
        ),
    }
}

/// Rule and text of a reason; what matched and the detail stay in the ledger.
fn public(reason: &Reason) -> String {
    let text = quote(&reason.text);
    match (reason.rule.is_empty(), text.is_empty()) {
        (true, _) => text,
        (false, true) => format!("Rule {}.", quote(&reason.rule)),
        (false, false) => format!("Rule {}: {text}", quote(&reason.rule)),
    }
}

fn remedies(host: &HostUnmet) -> Vec<String> {
    if host.objection.is_some() {
        return Vec::new();
    }
    let name = name(&host.host);
    if let Some(demand) = host.barred_by() {
        return vec![remedy(demand, &name)];
    }
    match host.channel {
        ChannelState::NotOffered | ChannelState::Refused | ChannelState::Inconclusive => {
            vec![format!("Offer STARTTLS (RFC 3207) with TLS 1.2 or newer on {name}.")]
        }
        ChannelState::Failed => {
            vec![format!("Mend TLS on {name}: a handshake with TLS 1.2 or TLS 1.3 must succeed after STARTTLS.")]
        }
        ChannelState::Secured => demands(host).into_iter().map(|demand| remedy(demand, &name)).collect(),
    }
}

fn remedy(demand: &Demand, name: &str) -> String {
    match demand {
        Demand::Tls => format!("Offer STARTTLS (RFC 3207) with TLS 1.2 or newer on {name}."),
        Demand::MinimumVersion(version) => format!("Enable {} on {name}.", version_name(*version)),
        Demand::TrustedChain => format!(
            "Install on {name} a certificate that a public certification authority has signed, that is in date, and \
             that comes with its intermediate certificates."
        ),
        Demand::MatchingName => {
            format!("Install on {name} a certificate that has {name} among its subject alternative names.")
        }
        Demand::Pin(..) => format!("Tell the sender's postmaster about the new certificate of {name}."),
        Demand::CipherSuite(_) => format!("Enable one of the cipher suites named above on {name}."),
        Demand::Dane(_) => format!(
            "Publish TLSA records for {name} that name the certificate it has now, or give it back the one they name."
        ),
        Demand::RequireTls => format!("Offer REQUIRETLS (RFC 8689) on {name}, or have it sent without this option."),
        Demand::VerifiedServer => format!(
            "Install on {name} a certificate that has {name} among its subject alternative names and that a public \
             certification authority has signed, or publish TLSA records for it."
        ),
        Demand::ProvenHost => {
            format!("Sign the domain whose mail {name} takes (DNSSEC), or publish an MTA-STS policy for it.")
        }
        Demand::ListedHost => {
            format!("List {name} in the MTA-STS policy of the domain, or take it out of its MX records.")
        }
    }
}

fn of_refused(host: Option<&str>, reply: &Reply, by_peer: bool) -> Words {
    let happened = match host {
        Some(host) if by_peer => format!("The mail server {} answered: {}", name(host), quote(&reply.to_string())),
        _ => format!("The reason: {}.", quote(&reply.text).trim_end_matches('.')),
    };
    let you = "Check the address. If it is right, the recipient or their administrators can tell you more.";
    Words { happened: vec![happened], you: vec![you.into()], ..Words::default() }
}

fn of_inconclusive(host: Option<&str>, why: &str, reply: Option<&Reply>, asked: &Asked) -> Words {
    let whose = host.map_or_else(String::new, |host| format!(", with the mail server {}", name(host)));
    let mut happened = vec![format!("The last attempt{whose}: {}.", quote(why).trim_end_matches('.'))];
    happened.extend(reply.map(|reply| format!("It answered: {}", quote(&reply.to_string()))));
    let you = format!(
        "Reach the recipient in another way, or send the message again later. If mail to {} keeps coming back, ask {}.",
        asked.domain, asked.postmaster
    );
    Words { happened, you: vec![you], ..Words::default() }
}

fn quote(text: &str) -> String {
    tame(text, QUOTE_MAX).trim().to_owned()
}

fn name(host: &str) -> String {
    tame(host, QUOTE_MAX)
}

fn version_name(version: TlsVersion) -> String {
    version.name().replace("TLSv", "TLS ")
}

fn times(rounds: u32) -> String {
    match rounds {
        0 => "it was never tried".into(),
        1 => "tried once".into(),
        rounds => format!("tried {rounds} times"),
    }
}

fn duration(secs: u64) -> String {
    let of = |count: u64, unit: &str| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
    match secs {
        secs if secs >= 86_400 && secs % 86_400 == 0 => of(secs / 86_400, "day"),
        secs if secs >= 3600 && secs % 3600 == 0 => of(secs / 3600, "hour"),
        secs if secs >= 60 => of(secs / 60, "minute"),
        secs => of(secs, "second"),
    }
}
