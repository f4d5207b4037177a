//! One message through MAIL, RCPT, DATA (RFC 5321 §3.3), pipelined where that is offered (RFC 2920); by one BDAT instead of DATA
//! where CHUNKING is (RFC 3030), once it is known that somebody was accepted.
//!
//! Commands are numbered: 0 is MAIL, 1 to n are the RCPTs, n + 1 is DATA or BDAT. `sent` and `heard` count them, so a reply
//! belongs to command number `heard`, and at most a window of commands is unanswered: without PIPELINING, one.

use super::content::Stuffing;
use super::result::{MessageResult, RecipientResult};
use super::{Awaiting, Extensions, Outgoing};
use crate::address::Mailbox;
use crate::reply::Reply;

/// Unanswered commands under PIPELINING. Few enough that their replies fit any socket's buffer, so that neither side
/// blocks the other (RFC 2920 §3.1).
const PIPELINE_WINDOW: usize = 100;
/// Longest address in octets, as SMTP carries it: twice what RFC 5321 §4.5.3.1 allows, for quoting.
const ADDRESS_OCTETS_MAX: usize = 1_024;

#[derive(Debug)]
pub(super) struct Transaction {
    mail: String,
    /// Numbers of the recipients that RCPT is sent for, and the commands.
    asked: Vec<(usize, String)>,
    recipients: Vec<Standing>,
    window: usize,
    sent: usize,
    heard: usize,
    mail_refused: bool,
    /// It goes in one chunk, of which so many octets are still to be given.
    chunk: Option<u64>,
    phase: Phase,
    final_reply: Option<Reply>,
}

/// How one recipient stands.
#[derive(Debug)]
enum Standing {
    Open,
    Accepted,
    Settled(RecipientResult),
}

#[derive(Debug)]
enum Phase {
    Envelope,
    /// 354 was heard.
    Content(Stuffing),
    /// CR LF . CR LF was sent behind the content.
    End,
    /// 354 was heard, though nobody was accepted: an empty message ends it (RFC 2920 §3.1).
    LoneDot,
}

/// What a reply leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More replies are due.
    More,
    /// The peer waits for the content.
    SendContent,
    /// It is settled for everyone; `reset`: the peer may still think itself in a transaction.
    Over { reset: bool },
}

/// A reply that has no place here.
pub(super) struct Unexpected;

impl Transaction {
    /// Recipients that this host cannot take are settled before anything is sent.
    pub(super) fn new(message: &Outgoing, offered: &Extensions) -> Transaction {
        let mut recipients = Vec::new();
        let mut asked = Vec::new();
        let whole = refusal_of_message(message, offered);
        let utf8 = is_of_utf8(message) && offered.smtputf8();
        for (number, mailbox) in message.recipients.iter().enumerate() {
            let address = mailbox.to_string();
            match whole.clone().or_else(|| refusal_of_address(&address, offered, (1, 3))) {
                Some(reply) => {
                    recipients.push(Standing::Settled(RecipientResult::Refused { reply, by_peer: false }));
                }
                None => {
                    recipients.push(Standing::Open);
                    let position = u32::try_from(number).unwrap_or(u32::MAX);
                    let dsn = if offered.dsn() { message.dsn.rcpt_parameters(position, utf8) } else { String::new() };
                    asked.push((number, format!("RCPT TO:<{address}>{dsn}\r\n")));
                }
            }
        }
        Transaction {
            mail: mail_command(message, utf8, offered),
            asked,
            recipients,
            window: if offered.pipelining() { PIPELINE_WINDOW } else { 1 },
            sent: 0,
            heard: 0,
            mail_refused: false,
            chunk: message.octets.filter(|_| offered.chunking()),
            phase: Phase::Envelope,
            final_reply: None,
        }
    }

    /// Nobody is left to be asked for.
    pub(super) fn is_settled(&self) -> bool {
        self.asked.is_empty()
    }

    /// Writes as many commands as may be unanswered.
    pub(super) fn write_commands(&mut self, out: &mut Vec<u8>) {
        while self.sent - self.heard < self.window {
            let line = match self.sent {
                0 => self.mail.clone(),
                _ if self.mail_refused => return,
                n if n <= self.asked.len() => self.asked[n - 1].1.clone(),
                n if n == self.asked.len() + 1
                    && self.chunk.is_none()
                    && (self.has_accepted() || self.heard < self.sent) =>
                {
                    "DATA\r\n".into()
                }
                _ => return,
            };
            out.extend_from_slice(line.as_bytes());
            self.sent += 1;
        }
    }

    /// Takes a reply that is not 421.
    pub(super) fn hear(&mut self, reply: Reply, out: &mut Vec<u8>) -> Result<Progress, Unexpected> {
        match self.phase {
            Phase::Envelope => self.hear_envelope(reply, out),
            // A refusal before the end is an answer, but its sender no longer follows: the caller ends the session.
            Phase::Content(_) => {
                if reply.code >= 400 {
                    self.settle_accepted(&RecipientResult::of_refusal(reply));
                }
                Err(Unexpected)
            }
            Phase::End => {
                self.final_reply = Some(reply.clone());
                let result = match reply.code {
                    200..300 => RecipientResult::Delivered(reply),
                    400.. => RecipientResult::of_refusal(reply),
                    _ => return Err(Unexpected),
                };
                self.settle_accepted(&result);
                Ok(Progress::Over { reset: false })
            }
            Phase::LoneDot if reply.code / 100 == 3 => Err(Unexpected),
            Phase::LoneDot => Ok(Progress::Over { reset: true }),
        }
    }

    fn hear_envelope(&mut self, reply: Reply, out: &mut Vec<u8>) -> Result<Progress, Unexpected> {
        let command = self.heard;
        // A reply to a command that was never sent, or 3xx to another than DATA.
        if command >= self.sent || (reply.code / 100 == 3 && command <= self.asked.len()) {
            return Err(Unexpected);
        }
        self.heard += 1;
        match command {
            0 if reply.is_positive() => {}
            0 => {
                self.mail_refused = true;
                self.settle_open(&RecipientResult::of_refusal(reply));
            }
            n if n <= self.asked.len() => {
                let standing = &mut self.recipients[self.asked[n - 1].0];
                if matches!(standing, Standing::Open) {
                    let refused = !reply.is_positive();
                    *standing = if refused {
                        Standing::Settled(RecipientResult::of_refusal(reply))
                    } else {
                        Standing::Accepted
                    };
                }
            }
            _ => return self.hear_data(reply, out),
        }
        self.write_commands(out);
        if let Some(octets) = self.chunk
            && self.heard == self.asked.len() + 1
            && self.has_accepted()
        {
            // What answers it answers the whole message.
            out.extend_from_slice(format!("BDAT {octets} LAST\r\n").as_bytes());
            self.phase = Phase::Content(Stuffing::of_chunk());
            return Ok(Progress::SendContent);
        }
        let outstanding = self.heard < self.sent;
        Ok(if outstanding { Progress::More } else { Progress::Over { reset: !self.mail_refused } })
    }

    fn hear_data(&mut self, reply: Reply, out: &mut Vec<u8>) -> Result<Progress, Unexpected> {
        match reply.code {
            354 if self.has_accepted() => {
                self.phase = Phase::Content(Stuffing::new());
                Ok(Progress::SendContent)
            }
            354 => {
                self.phase = Phase::LoneDot;
                out.extend_from_slice(b".\r\n");
                Ok(Progress::More)
            }
            400.. => {
                self.settle_accepted(&RecipientResult::of_refusal(reply));
                Ok(Progress::Over { reset: !self.mail_refused })
            }
            _ => Err(Unexpected),
        }
    }

    /// The stuffing, while content is due.
    pub(super) fn content(&mut self) -> Option<&mut Stuffing> {
        match &mut self.phase {
            Phase::Content(stuffing) => Some(stuffing),
            _ => None,
        }
    }

    /// So many octets more are given; false: more than the chunk has.
    pub(super) fn counts(&mut self, octets: u64) -> bool {
        let Some(left) = &mut self.chunk else { return true };
        let rest = left.checked_sub(octets);
        *left = rest.unwrap_or(*left);
        rest.is_some()
    }

    /// The chunk has not all its octets.
    pub(super) fn is_short(&self) -> bool {
        self.chunk.is_some_and(|left| left > 0)
    }

    /// The end of the data was sent.
    pub(super) fn content_ended(&mut self) {
        self.phase = Phase::End;
    }

    pub(super) fn awaiting(&self) -> Awaiting {
        match self.phase {
            Phase::Content(_) => Awaiting::DataBlock,
            Phase::End | Phase::LoneDot => Awaiting::DataEnd,
            Phase::Envelope if self.heard == 0 => Awaiting::Mail,
            Phase::Envelope if self.heard <= self.asked.len() => Awaiting::Rcpt,
            Phase::Envelope => Awaiting::DataStart,
        }
    }

    /// The same end for everyone who has none yet.
    pub(super) fn settle_all(&mut self, result: &RecipientResult) {
        self.settle_open(result);
        self.settle_accepted(result);
    }

    /// No answer will come any more.
    pub(super) fn give_up(&mut self, why: &str) {
        let maybe_delivered = matches!(self.phase, Phase::End);
        self.settle_all(&RecipientResult::Unanswered { why: why.to_owned(), maybe_delivered });
    }

    /// Call once everyone is settled; who is not, is taken to have no answer.
    pub(super) fn into_result(mut self) -> MessageResult {
        self.give_up("the session ended");
        let settled = |standing| match standing {
            Standing::Settled(result) => Some(result),
            Standing::Open | Standing::Accepted => None,
        };
        MessageResult {
            recipients: self.recipients.into_iter().filter_map(settled).collect(),
            final_reply: self.final_reply,
        }
    }

    fn has_accepted(&self) -> bool {
        !self.mail_refused && self.recipients.iter().any(|standing| matches!(standing, Standing::Accepted))
    }

    fn settle_open(&mut self, result: &RecipientResult) {
        for standing in self.recipients.iter_mut().filter(|standing| matches!(standing, Standing::Open)) {
            *standing = Standing::Settled(result.clone());
        }
    }

    fn settle_accepted(&mut self, result: &RecipientResult) {
        for standing in self.recipients.iter_mut().filter(|standing| matches!(standing, Standing::Accepted)) {
            *standing = Standing::Settled(result.clone());
        }
    }
}

/// Header or addresses are UTF-8. Where SMTPUTF8 is not offered, whoever needs it is refused.
fn is_of_utf8(message: &Outgoing) -> bool {
    let mut addresses = message.sender.iter().chain(&message.recipients);
    message.international || addresses.any(|mailbox| !mailbox.local.is_ascii())
}

fn mail_command(message: &Outgoing, utf8: bool, offered: &Extensions) -> String {
    let sender = message.sender.as_ref().map(Mailbox::to_string).unwrap_or_default();
    let mut command = format!("MAIL FROM:<{sender}>");
    if offered.size() {
        command.push_str(&format!(" SIZE={}", message.size)); // RFC 1870 §5
    }
    if message.eight_bit {
        command.push_str(" BODY=8BITMIME"); // RFC 6152 §3; refused before where it is not offered
    }
    if message.require_tls && offered.requiretls() {
        command.push_str(" REQUIRETLS"); // RFC 8689 §4.2.1
    }
    if utf8 {
        command.push_str(" SMTPUTF8"); // RFC 6531 §3.4
    }
    if offered.dsn() {
        command.push_str(&message.dsn.mail_parameters()); // RFC 3461 §5.2.1
    }
    command.push_str("\r\n");
    command
}

/// Why this host cannot take this message, whoever it is for.
fn refusal_of_message(message: &Outgoing, offered: &Extensions) -> Option<Reply> {
    if let Some(max) = offered.size_max().filter(|&max| message.size > max) {
        let text = format!("The message has {} octets, the host takes at most {max}", message.size);
        return Some(Reply::new(552, (3, 4), text));
    }
    if message.eight_bit && !offered.eight_bit_mime() {
        return Some(Reply::new(554, (6, 3), "The message has 8-bit content, which the host does not take"));
    }
    if message.international && !offered.smtputf8() {
        let text = "The header of the message is not ASCII, and the host takes no other (SMTPUTF8)";
        return Some(Reply::new(554, (6, 7), text));
    }
    refusal_of_address(&message.sender.as_ref()?.to_string(), offered, (1, 7))
}

/// Why this host cannot be told this address; `code` says which of the two addresses is not to be had.
fn refusal_of_address(address: &str, offered: &Extensions, code: (u16, u16)) -> Option<Reply> {
    if address.len() > ADDRESS_OCTETS_MAX || address.chars().any(char::is_control) {
        return Some(Reply::new(553, code, "The address is too long or has control characters"));
    }
    if !address.is_ascii() && !offered.smtputf8() {
        return Some(Reply::new(553, (6, 7), "The address is not ASCII, and the host takes no other (SMTPUTF8)"));
    }
    None
}
