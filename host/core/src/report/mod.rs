//! Report: what the sender is told when a message could not be delivered, is late, or was handed to a server that does not
//! report itself (RFC 3464 in RFC 6522), as far as he wants to be told (RFC 3461).
//!
//! A report never causes a report (H5): the null sender and reports of our own get none. It carries the original's
//! header only, whatever the original was and whatever RET says: H6 asks that of protected mail, and one rule is safer than
//! two. A local
//! decision invents no `smtp;` diagnostic; of a policy's reason only rule and text are told. Pure: id, time and
//! boundary are arguments.
//!
//! 1. [`text`]: the words for a person, as a [`document`]. 2. [`status`]: the fields for a program. 3. [`encode`]: lines that any mail
//!    server takes.

mod demands;
mod document;
mod encode;
mod status;
mod text;

pub(crate) use document::escaped;
pub(crate) use encode::{fold, tame_ascii, wrap};
pub use status::status_of;

use crate::address::Mailbox;
use crate::dsn::Event;
use crate::entry::Entry;
use crate::facts::{ChannelState, ClientFacts};
use crate::ledger::LedgerEvent;
use crate::outcome::Delivery;
use crate::settle::{Delay, Failure};
use crate::time::rfc5322;
use encode::Part;

/// Most octets of the original header that a report carries.
pub const ORIGINAL_HEADER_MAX: usize = 64 * 1024;

/// What to report.
#[derive(Clone, Copy, Debug)]
pub struct ReportRequest<'a> {
    /// This relay's own name.
    pub reporting_host: &'a str,
    /// Whom a person may ask.
    pub postmaster: &'a Mailbox,
    /// The message that could not be delivered.
    pub entry: &'a Entry,
    /// Its recipients of whom there is something to tell.
    pub recipients: &'a [Recipient],
    /// Id of the report's own entry.
    pub id: &'a str,
    /// Generation of the round.
    pub generation: u64,
    /// Seconds since the Unix epoch.
    pub now: u64,
    /// Letters and digits that nobody could foresee.
    pub boundary: &'a str,
}

/// One recipient, and what there is to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// In the original's envelope.
    pub index: u32,
    /// Whose copy.
    pub mailbox: Mailbox,
    /// What became of it.
    pub action: Action,
}

/// What became of one recipient's copy (RFC 3464 §2.3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It ended without a delivery.
    Failed(Failure),
    /// It is late.
    Delayed(Delay),
    /// It was delivered to a host that does not offer DSN, and the sender wants to hear of success (RFC 3461 §5.2.2).
    Relayed(Box<Delivery>),
}

impl Recipient {
    /// The sender wants to be told of this, by what he said of this recipient (RFC 3461 §4.1).
    pub fn is_wanted(&self, entry: &Entry) -> bool {
        let event = match self.action {
            Action::Failed(_) => Event::Failure,
            Action::Delayed(_) => Event::Delay,
            Action::Relayed(_) => Event::Success,
        };
        entry.dsn.wants(self.index, event)
    }
}

/// A finished report, one more entry for the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportMessage {
    /// Null sender, `is_report`, and `report_of_tls` per H6.
    pub entry: Entry,
    /// Its only recipient: the original's envelope sender.
    pub recipient: Mailbox,
    /// Content behind the blank line.
    pub body: Vec<u8>,
    /// The part for a person in plain text, lines ended by `\n`; the ledger keeps it.
    pub text: String,
}

/// The report; None where there is nobody to tell (H5) or nothing that he wants to hear.
pub fn report(request: &ReportRequest<'_>) -> Option<ReportMessage> {
    // H5: neither a null reverse-path nor a report of our own is ever answered (RFC 5321 §4.5.5).
    let recipient = request.entry.envelope_sender.clone().filter(|_| !request.entry.is_report)?;
    let told: Vec<&Recipient> = request.recipients.iter().filter(|it| it.is_wanted(request.entry)).collect();
    if told.is_empty() {
        return None;
    }
    let original = encode::original_header(request.entry, ORIGINAL_HEADER_MAX);
    let document = text::write(request, &told, original.cut);
    let text = document.plain();
    let words = [Part::of_text("text/plain", &text), Part::of_text("text/html", &document.html())];
    // RFC 6533 §6.3: a header in UTF-8 is of another type than one of 1982.
    let of_header = if request.entry.is_international() { "message/global-headers" } else { "text/rfc822-headers" };
    let parts = [
        Part::of_parts("alternative", &boundary("words", request.boundary, &words), &words),
        Part::of_octets("message/delivery-status", status::write(request, &told).as_bytes()),
        Part::of_octets(of_header, &original.octets),
    ];
    let boundary = boundary("report", request.boundary, &parts);
    let header = header(request, &recipient, &subject(&told), &boundary).into_bytes();
    let body = encode::assemble(&parts, &boundary).into_bytes();
    let came_by_tls = |client: &ClientFacts| client.channel.state == ChannelState::Secured;
    let (original, generation) = (request.entry, request.generation);
    let entry = Entry {
        sender_is_ours: false,
        // RFC 8689 §5: a report on such a message is sent with it too, where it can be.
        require_tls: original.require_tls,
        // H6: the report is planned for its own recipient; the original's flags are not its own.
        report_of_tls: original.client.as_ref().is_some_and(came_by_tls),
        ..Entry::of_our_own(request.id, request.now, &original.unit, generation, header, &body)
    };
    Some(ReportMessage { entry, recipient, body, text })
}

/// What the ledger keeps of what the sender is told, and of failures of which he does not want to hear.
pub fn events(entry: &Entry, recipients: &[Recipient], message: Option<&ReportMessage>) -> Vec<LedgerEvent> {
    let nobody = entry.envelope_sender.is_none() || entry.is_report;
    let of = |is_meant: fn(&Action) -> bool, wanted: bool| -> Vec<Mailbox> {
        let meant = recipients.iter().filter(|it| is_meant(&it.action) && (nobody || it.is_wanted(entry)) == wanted);
        meant.map(|it| it.mailbox.clone()).collect()
    };
    let failed = |action: &Action| matches!(action, Action::Failed(_));
    let (told, unwanted) = (of(failed, true), of(failed, false));
    let mut events = Vec::new();
    if !told.is_empty() {
        let (report, text) = message.map_or((None, String::new()), |m| (Some(m.entry.id.clone()), m.text.clone()));
        events.push(LedgerEvent::Reported { unit: entry.unit.clone(), report, recipients: told, text });
    }
    if !unwanted.is_empty() {
        let text = "The sender asked not to be told of it (NOTIFY, RFC 3461).".to_owned();
        events.push(LedgerEvent::Reported { unit: entry.unit.clone(), report: None, recipients: unwanted, text });
    }
    let delayed = of(|action| matches!(action, Action::Delayed(_)), true);
    let relayed = of(|action| matches!(action, Action::Relayed(_)), true);
    if let (Some(message), false) = (message, delayed.is_empty() && relayed.is_empty()) {
        let (unit, report) = (entry.unit.clone(), message.entry.id.clone());
        events.push(LedgerEvent::Notified { unit, report, delayed, relayed });
    }
    events
}

fn header(request: &ReportRequest<'_>, recipient: &Mailbox, subject: &str, boundary: &str) -> String {
    let host = request.reporting_host;
    // RFC 5322 has no way to write such an address; the envelope still carries it.
    let to = if recipient.to_string().is_ascii() { recipient.to_string() } else { "undisclosed-recipients:;".into() };
    let mut header = String::new();
    let mut field = |name: &str, value: &str| header.push_str(&fold(name, value));
    field("Date", &rfc5322(request.now));
    field("From", &format!("Mail Delivery System <MAILER-DAEMON@{host}>"));
    field("To", &to);
    field("Subject", subject);
    field("Message-ID", &format!("<{}@{host}>", request.id));
    if let Some(original) = encode::message_id(&request.entry.header) {
        field("In-Reply-To", &original);
        field("References", &original);
    }
    // RFC 3834 §5: so that no vacation notice answers it.
    field("Auto-Submitted", "auto-replied");
    field("MIME-Version", "1.0");
    field("Content-Type", &format!("multipart/report; report-type=delivery-status; boundary=\"{boundary}\""));
    header
}

/// By the worst there is to tell.
fn subject(told: &[&Recipient]) -> String {
    let any = |is: fn(&Action) -> bool| told.iter().any(|recipient| is(&recipient.action));
    let what = match () {
        () if any(|action| matches!(action, Action::Failed(_))) => "Undelivered",
        () if any(|action| matches!(action, Action::Delayed(_))) => "Delayed",
        () => "Handed on",
    };
    let first = told.first().map(|recipient| recipient.mailbox.to_string()).filter(|mailbox| mailbox.is_ascii());
    match (told.len(), first) {
        (1, Some(first)) => format!("{what}: your message to {first}"),
        (1, None) => format!("{what}: your message"),
        (count, _) => format!("{what}: your message to {count} recipients"),
    }
}

/// A boundary that no line of the parts begins with, whatever a stranger wrote into them.
fn boundary(kind: &str, seed: &str, parts: &[Part]) -> String {
    let seed: String = seed.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    let mut boundary = format!("{kind}-{seed}");
    while parts.iter().any(|part| part.text.contains(&boundary)) && boundary.len() < 70 {
        boundary.push('x');
    }
    boundary
}

#[cfg(test)]
mod tests;
