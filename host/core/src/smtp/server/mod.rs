//! One SMTP connection, seen from the server (RFC 5321, 1870, 2034, 2920, 3030, 3207, 3461, 6152, 6531), without socket, clock or store.
//!
//! 1. [`Server::new`]; under implicit TLS [`Server::tls_established`]; then [`Server::greet`].
//! 2. Feed octets with [`Server::input`], then call [`Server::poll`] and do what its [`Step`] says, until
//!    [`Step::NeedInput`]. Send [`Server::output`] before waiting for anything: peer, policy or store.
//! 3. [`Step::StartTls`] is answered with [`Server::tls_established`], [`Step::Header`] with [`Server::header_judged`],
//!    [`Step::EndOfData`] with [`Server::content_stored`]. Until then `poll` stands still at `NeedInput`.
//!
//! H10: nothing heard before STARTTLS survives it, and octets behind it in the same flight end the session.
//! H11: CR LF . CR LF alone ends the data ([`crate::smtp::data`]). The machine never says 250 to a message by itself.
//! BINARYMIME is not offered: a bare CR, LF or NUL would have to be passed on as it is (H11).
//! Seams: AUTH would be one more `Step`; require-TLS one check in `obey`.

mod chunks;
mod message;
mod session;
mod settings;
mod transaction;

use std::sync::Arc;

use self::message::{Message, Progress};
pub use self::settings::{ClientIdentity, Hosted, Limits, ServerConfig};
pub use self::transaction::Envelope;
use super::line::LineBuffer;
use crate::reply::Reply;

/// Replies that may wait in memory before they must be sent, so that a client that only talks cannot make them grow.
const OUTPUT_MAX: usize = 16 * 1_024;

/// One connection.
#[derive(Debug)]
pub struct Server {
    config: Arc<ServerConfig>,
    client: ClientIdentity,
    input: LineBuffer,
    output: Vec<u8>,
    state: State,
    secured: bool,
    greeting: Option<Greeting>,
    envelope: Option<Envelope>,
    bad_commands: usize,
    commands: usize,
    transactions: usize,
    shutting_down: bool,
}

#[derive(Debug)]
enum State {
    /// Between commands.
    Command,
    /// The 220 to STARTTLS is queued; only `tls_established` leads on.
    StartTls,
    /// The 354 is queued; the data of a message is coming, or one of our answers to it.
    Data(Box<Message>),
    /// Between two chunks of a message (RFC 3030).
    BetweenChunks(Box<Message>),
    /// So many octets of a chunk are thrown away, then this is the reply to it.
    Skipping(u64, Reply),
    /// The last reply is queued.
    Closed,
}

/// How the client introduced itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// One word of printable ASCII without RFC 5322 specials other than `[ ] : .`; not verified in any way.
    pub name: String,
    /// EHLO, not HELO.
    pub extended: bool,
}

/// What the caller has to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send the output, then wait for octets and feed them. Nothing that was fed is left but an unfinished line.
    NeedInput,
    /// Send the output, then poll again: more waits to be obeyed.
    Flush,
    /// Send the output, handshake, then call `tls_established`; if the handshake fails, close without a word.
    StartTls,
    /// The header is complete: judge it, then call `header_judged`.
    Header(Box<HeaderReady>),
    /// Octets of the body, never none, at most 64 KiB: without stuffed dots, lines ended by CR LF. Only after `Keep`.
    Content(Vec<u8>),
    /// The data has ended and may be kept: make it durable (H1), then call `content_stored`.
    EndOfData {
        /// Octets of header, separating blank line and body as received, without stuffed dots (RFC 1870 §5).
        size: u64,
        /// There is an octet above 127 in header or body, whatever BODY said.
        eight_bit: bool,
    },
    /// The machine itself refuses this message (size, loop, bare CR or LF): throw away the content so far. The client
    /// is given this reply at the end of its data; there is nothing to answer. May come before any `Header`.
    Refused(Reply),
    /// The client gave its message up between two chunks: throw away what there is of it; there is nothing to answer.
    GivenUp,
    /// Send the output and close, in TLS with a close_notify. Whatever was kept of an unfinished message is void.
    Close,
}

/// All that is known when a header is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderReady {
    /// Sender, recipients and parameters.
    pub envelope: Envelope,
    /// The client's name for itself.
    pub greeting: Greeting,
    /// It came over TLS.
    pub secured: bool,
    /// Raw octets without stuffed dots, up to and with the CR LF of the last field, without the blank line behind it
    /// (which is in neither header nor content). Empty if the message starts with a blank line, or with a line that is
    /// no header field: then all of the message is content, and no octet is lost. Without a blank line all is header.
    pub header: Vec<u8>,
}

/// The answer to [`Step::Header`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Hand over the content.
    Keep,
    /// Read and throw away the rest; this reply, 4xx or 5xx, answers the end of the data.
    Refuse(Reply),
}

impl Server {
    /// A connection in clear text that was just accepted.
    pub fn new(config: Arc<ServerConfig>, client: ClientIdentity) -> Server {
        Server {
            config,
            client,
            input: LineBuffer::default(),
            output: Vec::new(),
            state: State::Command,
            secured: false,
            greeting: None,
            envelope: None,
            bad_commands: 0,
            commands: 0,
            transactions: 0,
            shutting_down: false,
        }
    }

    /// Queues the greeting.
    pub fn greet(&mut self) {
        self.reply(&Reply::bare(220, format!("{} ESMTP sealwire", self.config.hostname)));
    }

    /// Takes octets from the socket. They are held until used: feed at most some 16 KiB, then poll.
    pub fn input(&mut self, octets: &[u8]) {
        if !matches!(self.state, State::Closed) {
            self.input.push(octets);
        }
    }

    /// What to do next. Call until it needs input, even if nothing was fed: `on_shutdown` is noticed here.
    pub fn poll(&mut self) -> Step {
        loop {
            let step = match self.state {
                State::Closed => Some(Step::Close),
                _ if self.output.len() >= OUTPUT_MAX => Some(Step::Flush),
                State::StartTls => Some(Step::NeedInput),
                State::Command | State::BetweenChunks(_) => self.next_command(),
                State::Skipping(..) => self.skip(),
                State::Data(_) => self.next_of_message(),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    /// Octets to send. The caller takes them out, best with their memory: `std::mem::take(server.output())`.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// The handshake is done. Greeting name and transaction are forgotten (H10; RFC 3207 §4.2); limits go on counting.
    pub fn tls_established(&mut self) {
        self.secured = true;
        self.greeting = None;
        self.envelope = None;
        match self.state {
            State::StartTls | State::Command if self.input.is_empty() => self.state = State::Command,
            // Clear octets were fed behind the 220: an injection, or a caller who mixes up its channels.
            _ => self.close(),
        }
    }

    /// The answer to [`Step::Header`].
    pub fn header_judged(&mut self, disposition: Disposition) {
        if let State::Data(message) = &mut self.state {
            message.header_judged(disposition);
        }
    }

    /// The answer to [`Step::EndOfData`]: 250 once the entry is durable (H1), else 4xx or 5xx. A 421 closes.
    pub fn content_stored(&mut self, reply: Reply) {
        if matches!(&self.state, State::Data(message) if message.awaits_store()) {
            self.end_transaction(&reply);
        }
    }

    /// The client was silent for too long: 421 and close. Without effect while the client waits for us.
    pub fn on_timeout(&mut self) {
        let client_waits = matches!(&self.state, State::Data(message) if message.awaits_answer());
        if !client_waits {
            let hostname = &self.config.hostname;
            self.close_with(&Reply::new(421, (4, 2), format!("{hostname} waited too long; closing")));
        }
    }

    /// The server is stopping: 421 and close, at once or when the transaction in progress is over. Poll afterwards.
    pub fn on_shutdown(&mut self) {
        self.shutting_down = true;
    }

    /// Says a last reply and closes: for a connection that is one too many, before or instead of the greeting.
    pub fn close_with(&mut self, reply: &Reply) {
        // In the middle of a handshake nothing may be said in clear; behind a last reply nothing at all.
        if !matches!(self.state, State::Closed | State::StartTls) {
            self.reply(reply);
        }
        self.close();
    }

    /// The channel is TLS.
    pub fn is_secured(&self) -> bool {
        self.secured
    }

    /// A MAIL was accepted and its transaction is not over: what a shutdown waits for.
    pub fn in_transaction(&self) -> bool {
        self.envelope.is_some() || matches!(self.state, State::Data(_) | State::BetweenChunks(_))
    }

    /// What is live now, before a transaction: who is ours and how much is taken is not what it was when the client came, and
    /// it may not be who it was.
    pub fn renew(&mut self, config: Arc<ServerConfig>, client: ClientIdentity) {
        if !self.in_transaction() {
            (self.config, self.client) = (config, client);
        }
    }

    /// The client, as given to `new` or `renew`.
    pub fn client(&self) -> &ClientIdentity {
        &self.client
    }

    fn next_of_message(&mut self) -> Option<Step> {
        let State::Data(message) = &mut self.state else { return None };
        match message.advance(&mut self.input, &self.config.limits) {
            Progress::NeedInput => {
                self.input.give_back();
                Some(Step::NeedInput)
            }
            Progress::Header(header) => {
                // DATA is obeyed only with both of these, and nothing takes them away before the data has ended.
                let (envelope, greeting) = self.envelope.take().zip(self.greeting.clone())?;
                Some(Step::Header(Box::new(HeaderReady { envelope, greeting, secured: self.secured, header })))
            }
            Progress::Content(octets) => Some(Step::Content(octets)),
            Progress::Chunk => {
                self.chunk_taken();
                None
            }
            Progress::Complete { size, eight_bit } => Some(Step::EndOfData { size, eight_bit }),
            Progress::Refused(reply) => Some(Step::Refused(reply)),
            Progress::RefusedToTheEnd(reply) => {
                self.end_transaction(&reply);
                None
            }
            Progress::RefusedWithoutEnd(reply) => {
                self.close_with(&reply);
                None
            }
        }
    }

    fn end_transaction(&mut self, reply: &Reply) {
        self.state = State::Command;
        self.envelope = None;
        if reply.is_positive() {
            self.commands = 0;
        }
        self.reply(reply);
        if reply.code == 421 {
            self.close();
        }
    }

    fn reply(&mut self, reply: &Reply) {
        reply.write(&mut self.output);
    }

    fn close(&mut self) {
        self.state = State::Closed;
        self.envelope = None;
        self.input.clear();
    }
}

#[cfg(test)]
mod tests;
