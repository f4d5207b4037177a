//! The words for a person: who did not get the message, what happened, why, and what to do about it.
//!
//! Public reasons only: rule and text. Who reads this never saw a log file.

use crate::facts::ChannelState;
use crate::outcome::{Delivery, FloorUnmet, HostUnmet, Outcome};
use crate::reason::Reason;
use crate::reply::Reply;
use crate::report::demands::{demands, lack, remedies, why};
use crate::report::document::Document;
use crate::report::encode::{subject, tame};
use crate::report::status::telling_host;
use crate::report::{Action, Recipient, ReportRequest};
use crate::settle::{Delay, Ending, Failure, HeldBy};
use crate::time::rfc5322;

/// Most characters of anything that somebody else wrote.
const QUOTE_MAX: usize = 400;
/// Most hosts that are told of one by one.
const HOSTS_MAX: usize = 10;

/// The whole text about these recipients.
pub(super) fn write(request: &ReportRequest<'_>, recipients: &[&Recipient], header_cut: bool) -> Document {
    let mut document = Document::default();
    for (opening, is_meant) in OPENINGS {
        let meant: Vec<String> = recipients.iter().filter(|it| is_meant(&it.action)).map(|it| address(it)).collect();
        if !meant.is_empty() {
            let whom = if meant.len() == 1 { "this recipient" } else { "these recipients" };
            document.words(opening.replace("{}", whom));
            document.addresses(meant);
        }
    }
    let subject = subject(&request.entry.header).map(|subject| format!("Subject: {subject}"));
    let sent = format!("Sent: {}", rfc5322(request.entry.arrived_at));
    document.facts(subject.into_iter().chain([sent]).collect());
    for recipient in recipients {
        section(&mut document, request, recipient);
    }
    let mut close = format!(
        "Written by the mail relay {}; its postmaster is {}. The id of your message there is {}. The header of your \
         message is attached, its content is not.",
        request.reporting_host, request.postmaster, request.entry.id
    );
    if header_cut {
        close.push_str(" The header was too long to be attached whole.");
    }
    document.signature(close);
    document
}

type IsMeant = fn(&Action) -> bool;

/// What the report begins with, and for whom.
const OPENINGS: [(&str, IsMeant); 3] = [
    ("Your message was not delivered to {}:", |action| matches!(action, Action::Failed(_))),
    ("Your message has not been delivered yet to {}. It is still being tried:", |action| {
        matches!(action, Action::Delayed(_))
    }),
    ("Your message was handed on, to a mail server that does not report deliveries, for {}:", |action| {
        matches!(action, Action::Relayed(_))
    }),
];

fn address(recipient: &Recipient) -> String {
    tame(&recipient.mailbox.to_string(), QUOTE_MAX)
}

fn section(document: &mut Document, request: &ReportRequest<'_>, recipient: &Recipient) {
    document.recipient(address(recipient));
    let domain = recipient.mailbox.domain.to_string();
    let asked = Asked { postmaster: request.postmaster.to_string(), domain };
    let words = match &recipient.action {
        Action::Failed(failure) => of_failure(failure, &asked),
        Action::Delayed(delay) => of_delay(delay, &asked),
        Action::Relayed(delivery) => of_relayed(delivery),
    };
    document.paragraphs("What happened", words.happened);
    document.paragraphs("Why", words.why);
    document.paragraphs("What you can do", words.you);
    document.paragraphs(&format!("What the administrators of {} can do", words.remedy_at), words.administrators);
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

fn of_failure(failure: &Failure, asked: &Asked) -> Words {
    let mut words = of_outcome(&failure.outcome, &failure.reasons, asked);
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

fn of_delay(delay: &Delay, asked: &Asked) -> Words {
    let mut words = of_outcome(&delay.last.outcome, &delay.last.reasons, asked);
    let waits = format!(
        "The message has waited for {}. It is tried again and again until {}; if it cannot be delivered by then, \
         you will be told.",
        duration(delay.waited_secs),
        rfc5322(delay.until)
    );
    words.happened.insert(0, waits);
    words.you = vec![format!(
        "Nothing needs to be done. If it is urgent, reach the recipient in another way, or ask {}.",
        asked.postmaster
    )];
    words
}

fn of_relayed(delivery: &Delivery) -> Words {
    let channel = delivery.tls.as_ref().map_or_else(
        || "over a connection that was not secure".to_owned(),
        |tls| format!("over a secure ({}) connection", tls.version.replace("TLSv", "TLS ")),
    );
    let happened = format!(
        "The mail server {} took the message {channel} and answered: {}",
        name(&delivery.host),
        quote(&delivery.reply.to_string())
    );
    let you = "Nothing needs to be done. That mail server does not say whether it has delivered a message; it tells \
               you if it could not.";
    Words { happened: vec![happened], you: vec![you.into()], ..Words::default() }
}

fn of_outcome(outcome: &Outcome, reasons: &[Reason], asked: &Asked) -> Words {
    match outcome {
        Outcome::FloorUnmet(unmet) => of_floor_unmet(unmet, reasons, asked),
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
    }
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
        Ending::Expired { after_secs, held: HeldBy::Policy } => format!(
            "The message was held back by a policy of this relay, and nobody released it within {}. It will not be \
             tried again.",
            duration(after_secs)
        ),
        Ending::Expired { after_secs, held: HeldBy::Operator } => format!(
            "The message was held back by an operator of this relay, and was not released within {}. It will not be \
             tried again.",
            duration(after_secs)
        ),
        Ending::Expired { after_secs, held: HeldBy::Nobody } => format!(
            "The message could not be delivered within {} ({}). It will not be tried again.",
            duration(after_secs),
            times(failure.rounds)
        ),
    }
}

fn of_floor_unmet(unmet: &FloorUnmet, reasons: &[Reason], asked: &Asked) -> Words {
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
    words.why = why(unmet, reasons, &asked.domain);
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
            let mut lacks: Vec<&str> = demands(host).into_iter().map(|demand| lack(demand, host.withdrawn)).collect();
            lacks.dedup();
            format!("offered a secure (TLS) connection, but {} ({detail})", lacks.join("; "))
        }
    }
}

/// Rule and text of a reason; what matched and the detail stay in the ledger.
pub(super) fn public(reason: &Reason) -> String {
    let text = quote(&reason.text);
    match (reason.rule.is_empty(), text.is_empty()) {
        (true, _) => text,
        (false, true) => format!("Rule {}.", quote(&reason.rule)),
        (false, false) => format!("Rule {}: {text}", quote(&reason.rule)),
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

pub(super) fn quote(text: &str) -> String {
    tame(text, QUOTE_MAX).trim().to_owned()
}

pub(super) fn name(host: &str) -> String {
    tame(host, QUOTE_MAX)
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
