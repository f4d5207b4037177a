//! Report: what the sender is told when a message could not be delivered (RFC 3464 in RFC 6522).
//!
//! A report never causes a report (H5): the null sender and reports of our own get none. It carries the original's
//! header only, whatever the original was: H6 asks that of protected mail, and one rule is safer than two. A local
//! decision invents no `smtp;` diagnostic; of a policy's reason only rule and text are told. Pure: id, time and
//! boundary are arguments.
//!
//! 1. [`text`]: the words for a person. 2. [`status`]: the fields for a program. 3. [`encode`]: lines that any mail
//!    server takes.

mod encode;
mod status;
mod text;

pub use status::status_of;

use crate::address::Mailbox;
use crate::entry::Entry;
use crate::facts::{ChannelState, ClientFacts};
use crate::settle::Failure;
use crate::time::rfc5322;
use encode::{Part, fold};

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
    /// Its recipients that ended without a delivery in this round.
    pub failures: &'a [FailedRecipient],
    /// Id of the report's own entry.
    pub id: &'a str,
    /// Generation of the round.
    pub generation: u64,
    /// Seconds since the Unix epoch.
    pub now: u64,
    /// Letters and digits that nobody could foresee.
    pub boundary: &'a str,
}

/// One recipient that ended without a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRecipient {
    /// Whose copy.
    pub mailbox: Mailbox,
    /// Why.
    pub failure: Failure,
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
    /// The part for a person, lines ended by `\n`; the ledger keeps it.
    pub text: String,
}

/// The report; None where there is nobody to tell (H5) or nothing to tell of.
pub fn report(request: &ReportRequest<'_>) -> Option<ReportMessage> {
    // H5: neither a null reverse-path nor a report of our own is ever answered (RFC 5321 §4.5.5).
    let recipient = request.entry.envelope_sender.clone().filter(|_| !request.entry.is_report)?;
    if request.failures.is_empty() {
        return None;
    }
    let original = encode::original_header(request.entry, ORIGINAL_HEADER_MAX);
    let text = text::write(request, original.cut);
    let parts = [
        Part::of_text("text/plain", &text),
        Part::of_octets("message/delivery-status", status::write(request).as_bytes()),
        Part::of_octets("text/rfc822-headers", &original.octets),
    ];
    let boundary = boundary(request.boundary, &parts);
    let header = header(request, &recipient, &boundary).into_bytes();
    let body = assemble(&parts, &boundary);
    let came_by_tls = |client: &ClientFacts| client.channel.state == ChannelState::Secured;
    let entry = Entry {
        id: request.id.to_owned(),
        arrived_at: request.now,
        envelope_sender: None,
        trace: String::new(),
        size: (header.len() + 2 + body.len()) as u64,
        header,
        eight_bit: false,
        declared_size: None,
        client: None,
        sender_is_ours: false,
        is_report: true,
        // RFC 8689 §5: a report on such a message is sent with it too, where it can be.
        require_tls: request.entry.require_tls,
        report_of_tls: request.entry.client.as_ref().is_some_and(came_by_tls),
        unit: request.entry.unit.clone(),
        // H6: the report is planned for its own recipient; the original's flags are not its own.
        flagged_by: Vec::new(),
        generation: request.generation,
    };
    Some(ReportMessage { entry, recipient, body, text })
}

fn header(request: &ReportRequest<'_>, recipient: &Mailbox, boundary: &str) -> String {
    let host = request.reporting_host;
    // RFC 5322 has no way to write such an address; the envelope still carries it.
    let to = if recipient.to_string().is_ascii() { recipient.to_string() } else { "undisclosed-recipients:;".into() };
    let mut header = String::new();
    let mut field = |name: &str, value: &str| header.push_str(&fold(name, value));
    field("Date", &rfc5322(request.now));
    field("From", &format!("Mail Delivery System <MAILER-DAEMON@{host}>"));
    field("To", &to);
    field("Subject", &subject(request.failures));
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

fn subject(failures: &[FailedRecipient]) -> String {
    let first = failures.first().map(|failed| failed.mailbox.to_string()).filter(|mailbox| mailbox.is_ascii());
    match (failures.len(), first) {
        (1, Some(first)) => format!("Undelivered: your message to {first}"),
        (1, None) => "Undelivered: your message".to_owned(),
        (count, _) => format!("Undelivered: your message to {count} recipients"),
    }
}

/// A boundary that no line of the parts begins with, whatever a stranger wrote into them.
fn boundary(seed: &str, parts: &[Part]) -> String {
    let seed: String = seed.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    let mut boundary = format!("report-{seed}");
    while parts.iter().any(|part| part.text.contains(&boundary)) && boundary.len() < 70 {
        boundary.push('x');
    }
    boundary
}

fn assemble(parts: &[Part], boundary: &str) -> Vec<u8> {
    let mut body = String::new();
    for part in parts {
        body.push_str(&format!("--{boundary}\r\n{}\r\n", part.header()));
        body.push_str(&part.text);
        body.push_str("\r\n");
    }
    body.push_str(&format!("--{boundary}--\r\n"));
    body.into_bytes()
}

#[cfg(test)]
mod tests;
