//! One message between 354, or its first BDAT, and the reply to its end: header, verdict, body, store.
//!
//! Holds the header (it has a limit) and one piece of the body, never more. The first refusal stands: what comes behind
//! it is read and thrown away up to the true end of the data, because a reply in between would put client and server
//! out of step (RFC 5321 §4.1.1.4).

use memchr::memmem;

use super::{Disposition, Limits};
use crate::reply::Reply;
use crate::smtp::data::{DataReceiver, Fault, TEXT_LINE_MAX};
use crate::smtp::line::LineBuffer;

/// Largest piece of content handed over at once.
const PIECE_MAX: usize = 64 * 1_024;

#[derive(Debug)]
pub(super) struct Message {
    receiver: DataReceiver,
    phase: Phase,
    /// The header as far as it has come, then the next piece of the body.
    held: Vec<u8>,
    /// Octets of `held` that were searched for the header's end.
    searched: usize,
    refusal: Option<Reply>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Header,
    AwaitVerdict,
    Body,
    AwaitStore,
    Discard,
}

/// What has come about.
#[derive(Debug)]
pub(super) enum Progress {
    NeedInput,
    Header(Vec<u8>),
    Content(Vec<u8>),
    /// The chunk has been taken; the next one may follow.
    Chunk,
    Complete {
        size: u64,
        eight_bit: bool,
    },
    /// The machine's own refusal; its end is still to come.
    Refused(Reply),
    /// A refused message has ended.
    RefusedToTheEnd(Reply),
    /// A refused message does not end.
    RefusedWithoutEnd(Reply),
}

impl Message {
    pub(super) fn new(limits: &Limits) -> Message {
        Message {
            receiver: DataReceiver::new(limits.message_size_max),
            phase: Phase::Header,
            held: Vec::new(),
            searched: 0,
            refusal: None,
        }
    }

    /// A chunk of so many octets follows (RFC 3030 §2).
    pub(super) fn begin_chunk(&mut self, octets: u64, last: bool) {
        self.receiver.begin_chunk(octets, last);
    }

    pub(super) fn awaits_store(&self) -> bool {
        self.phase == Phase::AwaitStore
    }

    pub(super) fn awaits_answer(&self) -> bool {
        matches!(self.phase, Phase::AwaitVerdict | Phase::AwaitStore)
    }

    /// Octets of memory behind what is held.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.held.capacity()
    }

    pub(super) fn header_judged(&mut self, disposition: Disposition) {
        if self.phase != Phase::AwaitVerdict {
            return;
        }
        match disposition {
            Disposition::Keep => self.phase = Phase::Body,
            Disposition::Refuse(reply) => {
                // A message that is thrown away must never be answered with 250, whoever made the mistake (H1).
                let refusal = reply.is_transient() || reply.is_permanent();
                self.refuse(if refusal { reply } else { Reply::new(451, (3, 0), "try again later") });
            }
        }
    }

    pub(super) fn advance(&mut self, input: &mut LineBuffer, limits: &Limits) -> Progress {
        loop {
            let progress = match self.phase {
                Phase::AwaitVerdict | Phase::AwaitStore => Some(Progress::NeedInput),
                Phase::Header => self.header(limits),
                Phase::Body => self.body(limits),
                Phase::Discard => self.discard(limits),
            };
            if let Some(progress) = progress {
                return progress;
            }
            if self.receiver.awaits_chunk() {
                return Progress::Chunk;
            }
            if input.is_empty() {
                return Progress::NeedInput;
            }
            let piece = &input.rest()[..input.rest().len().min(PIECE_MAX)];
            if self.phase != Phase::Discard {
                self.held.reserve(piece.len());
            }
            let used = self.receiver.receive(piece, &mut self.held);
            input.consume(used);
        }
    }

    fn header(&mut self, limits: &Limits) -> Option<Progress> {
        let max = limits.header_size_max;
        // As far as a header can reach that is one octet too large; so the pieces it came in make no difference.
        let reach = self.held.len().min(max.saturating_add(3));
        let ended = self.receiver.ended();
        // All of it is header, if any is; what is faulty is not judged.
        let is_whole = ended && self.receiver.fault().is_none() && reach <= max.saturating_add(2);
        let end = end_of_header(&self.held[..reach], self.searched);
        let end = end.or_else(|| is_whole.then(|| if is_field(&self.held[..reach]) { (reach, reach) } else { (0, 0) }));
        self.searched = reach;
        let Some((length, body_at)) = end else {
            return match self.receiver.fault() {
                _ if reach > max.saturating_add(2) => Some(self.refuse(header_too_large(max))),
                Some(fault) => Some(self.refuse(fault_reply(fault, limits))),
                None => None,
            };
        };
        if length > max {
            return Some(self.refuse(header_too_large(max)));
        }
        let header = self.held[..length].to_vec();
        if received_fields(&header) > limits.received_fields_max {
            return Some(self.refuse(Reply::new(554, (4, 6), "too many Received fields: this message is in a loop")));
        }
        self.held.drain(..body_at);
        self.phase = Phase::AwaitVerdict;
        Some(Progress::Header(header))
    }

    fn body(&mut self, limits: &Limits) -> Option<Progress> {
        if let Some(fault) = self.receiver.fault() {
            return Some(self.refuse(fault_reply(fault, limits)));
        }
        if !self.held.is_empty() {
            return Some(Progress::Content(std::mem::take(&mut self.held)));
        }
        if !self.receiver.ended() {
            return None;
        }
        self.phase = Phase::AwaitStore;
        Some(Progress::Complete { size: self.receiver.size(), eight_bit: self.receiver.eight_bit() })
    }

    fn discard(&mut self, limits: &Limits) -> Option<Progress> {
        self.held.clear();
        let reply = self.refusal.as_ref()?;
        if self.receiver.size() > limits.refused_size_max() {
            return Some(Progress::RefusedWithoutEnd(reply.clone()));
        }
        // A chunk that is refused ends the transaction (RFC 3030 §2): the chunks behind it find none.
        let ended = self.receiver.ended() || self.receiver.awaits_chunk();
        ended.then(|| Progress::RefusedToTheEnd(reply.clone()))
    }

    fn refuse(&mut self, reply: Reply) -> Progress {
        self.phase = Phase::Discard;
        self.held = Vec::new();
        self.refusal = Some(reply.clone());
        Progress::Refused(reply)
    }
}

/// Where the header ends and where the body starts. `searched` octets were searched before, in vain.
fn end_of_header(octets: &[u8], searched: usize) -> Option<(usize, usize)> {
    // The first line decides alone, once it is complete.
    let first = memmem::find(octets, b"\r\n")?;
    if first == 0 {
        return Some((0, 2));
    }
    if !is_field(&octets[..first]) {
        return Some((0, 0));
    }
    let from = searched.saturating_sub(3);
    memmem::find(&octets[from..], b"\r\n\r\n").map(|at| (from + at + 2, from + at + 4))
}

/// A field name and a colon, with the blanks in between that RFC 5322 §4.5 still allows.
fn is_field(line: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', line) else { return false };
    let name = line[..colon].trim_ascii_end();
    !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
}

fn received_fields(header: &[u8]) -> usize {
    const NAME: &[u8] = b"Received:";
    let is_one = |at: usize| header.get(at..at + NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME));
    usize::from(is_one(0)) + memmem::find_iter(header, b"\r\n").filter(|at| is_one(at + 2)).count()
}

fn header_too_large(max: usize) -> Reply {
    Reply::new(552, (3, 4), format!("the header is larger than {max} octets"))
}

fn fault_reply(fault: Fault, limits: &Limits) -> Reply {
    let text = match fault {
        Fault::BareCr => "bare CR in the message: a line ends with CR LF and with nothing else".to_owned(),
        Fault::BareLf => "bare LF in the message: a line ends with CR LF and with nothing else".to_owned(),
        Fault::Nul => "NUL in the message: neither 7bit nor 8bit data may hold one".to_owned(),
        Fault::LineTooLong => format!("a line of the message is longer than {TEXT_LINE_MAX} octets"),
        Fault::TooLarge => return too_large(limits),
    };
    Reply::new(554, (6, 0), text)
}

/// RFC 1870 §6.1 (1) and §6.3: the same at MAIL and at the end.
pub(super) fn too_large(limits: &Limits) -> Reply {
    Reply::new(552, (3, 4), format!("the message is larger than {} octets", limits.message_size_max))
}
