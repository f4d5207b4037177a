//! One SMTP connection, seen from the client (RFC 5321, 1870, 2034, 2920, 3030, 3207, 3461, 4954, 6152, 6531), without socket, clock
//! or TLS.
//!
//! 1. [`Client::new`]; then feed octets with [`Client::input`] and do what [`Client::poll`] says, sending
//!    [`Client::output`] before waiting for anything.
//! 2. [`ClientStep::Ready`]: EHLO is done on this channel. [`Client::start_tls`], [`Client::authenticate`],
//!    [`Client::send`] or [`Client::quit`].
//! 3. [`ClientStep::StartTls`]: do the handshake, then [`Client::tls_established`]; EHLO follows by itself, and what
//!    was heard before is forgotten (RFC 3207 §4.2).
//! 4. [`ClientStep::SendContent`], behind DATA or in one chunk (RFC 3030): [`Client::content`] as often as needed, [`Client::content_end`], poll.
//! 5. [`ClientStep::Finished`]: every recipient's result. `Ready` follows if the session can go on, else `Failed`.
//!
//! H2: [`Client::send`] alone leads to MAIL FROM, and it takes a [`Permit`] of this very connection. There is no way
//! from here to another channel: who wants clear text after a failed handshake needs a new connection and a new permit.
//! H10: octets behind the peer's 220 to STARTTLS end the session. H11: see [`content`].

mod auth;
mod awaiting;
mod content;
mod extensions;
mod result;
mod session;
mod transaction;

use std::collections::VecDeque;
use std::fmt;

pub use self::auth::AuthFailure;
use self::auth::Exchange;
pub use self::awaiting::Awaiting;
use self::content::BareLineEnd;
pub use self::extensions::Extensions;
pub use self::result::{FailureKind, MessageResult, Misuse, RecipientResult, SessionFailure};
use self::transaction::Transaction;
use super::reply_reader::ReplyReader;
use crate::address::{Domain, Mailbox};
use crate::auth::{AuthPermit, Credentials};
use crate::dsn::Dsn;
use crate::facts::{ChannelFacts, ChannelState};
use crate::floor::{ConnectionId, Permit};
use crate::reply::Reply;

/// What a session is told of itself.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Our name in EHLO and HELO.
    pub hello_name: Domain,
    /// Names the connection; its proof and its permits carry the same.
    pub connection: ConnectionId,
    /// TLS from the first octet: the handshake is already done.
    pub implicit_tls: bool,
    /// No mail goes before [`Client::authenticate`] has had its [`ClientStep::Authenticated`].
    pub must_authenticate: bool,
}

/// One message for one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// None: the null reverse-path.
    pub sender: Option<Mailbox>,
    /// At least one.
    pub recipients: Vec<Mailbox>,
    /// Octets of the content (RFC 1870 §5).
    pub size: u64,
    /// Exactly so many octets will be given as content; they go in one chunk where CHUNKING is offered (RFC 3030). None: it is
    /// not known, and they go by DATA.
    pub octets: Option<u64>,
    /// The content has octets above 127.
    pub eight_bit: bool,
    /// It goes with REQUIRETLS where that is offered (RFC 8689); whether it may go elsewhere is for the floor.
    pub require_tls: bool,
    /// Its header is UTF-8: it goes by SMTPUTF8 or not at all (RFC 6531 §3.2), whatever its addresses are.
    pub international: bool,
    /// What the sender asks to be told, of `recipients` by their position; for a host that offers DSN.
    pub dsn: Dsn,
}

/// What the caller has to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientStep {
    /// Send the output, then wait for octets and feed them.
    NeedInput,
    /// 220 to STARTTLS: do the handshake, then call [`Client::tls_established`]; if it fails, close without a word.
    StartTls,
    /// The session is idle: see [`Client::extensions`] and [`Client::clear_channel`].
    Ready,
    /// The host knows us: mail may follow, EHLO need not be said again (RFC 4954 §4).
    Authenticated,
    /// The host does not, or not now. The session is idle; what must be authenticated is not sent on it.
    NotAuthenticated(AuthFailure),
    /// 354, and somebody was accepted: feed the content.
    SendContent,
    /// The message is settled for every recipient.
    Finished(MessageResult),
    /// The session is over. Send what output there is, and close.
    Failed(SessionFailure),
    /// The session is over; close.
    Closed,
}

/// One connection.
pub struct Client {
    config: ClientConfig,
    reader: ReplyReader,
    output: Vec<u8>,
    steps: VecDeque<ClientStep>,
    state: State,
    secured: bool,
    extensions: Extensions,
    answered_hello: bool,
    /// The answer to STARTTLS other than 220.
    tls_refusal: Option<Reply>,
    authenticated: bool,
}

#[derive(Debug)]
enum State {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Handshake,
    Ready,
    Auth(Exchange),
    Transaction(Box<Transaction>),
    Reset,
    Quit,
    Over,
}

impl Client {
    /// A connection that was just made; the peer speaks first.
    pub fn new(config: ClientConfig) -> Client {
        Client {
            secured: config.implicit_tls,
            config,
            reader: ReplyReader::default(),
            output: Vec::new(),
            steps: VecDeque::new(),
            state: State::Greeting,
            extensions: Extensions::default(),
            answered_hello: false,
            tls_refusal: None,
            authenticated: false,
        }
    }

    /// Takes octets from the peer. Poll afterwards.
    pub fn input(&mut self, octets: &[u8]) {
        if !matches!(self.state, State::Over) {
            self.reader.push(octets);
        }
    }

    /// Octets to send. The caller takes them out.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// What to do next. Call until it needs input, after every other call.
    pub fn poll(&mut self) -> ClientStep {
        loop {
            if let Some(step) = self.steps.pop_front() {
                return step;
            }
            match self.state {
                State::Over => return ClientStep::Closed,
                State::Handshake if !self.reader.is_empty() => {
                    self.fail(FailureKind::Protocol("octets behind the 220 to STARTTLS".into()), None); // H10
                    continue;
                }
                _ => {}
            }
            match self.reader.next_reply() {
                Ok(None) => return ClientStep::NeedInput,
                Ok(Some(reply)) => self.hear(reply),
                Err(fault) => self.fail(FailureKind::Protocol(fault.to_string()), None),
            }
        }
    }

    /// Asks for TLS. Only when ready, offered, not tried, and not secured.
    pub fn start_tls(&mut self) -> Result<(), Misuse> {
        self.must_be_ready()?;
        if self.secured || self.tls_refusal.is_some() || !self.extensions.starttls() {
            return Err(Misuse::NoStartTls);
        }
        self.command("STARTTLS\r\n", State::StartTls);
        Ok(())
    }

    /// The handshake is done. Everything heard in clear is forgotten (RFC 3207 §4.2, H10), and EHLO is said again.
    pub fn tls_established(&mut self) {
        if !matches!(self.state, State::Handshake) {
            return self.fail(FailureKind::Lost("TLS was established where none was asked for".into()), None);
        }
        if !self.reader.is_empty() {
            return; // the next poll ends the session (H10)
        }
        self.secured = true;
        self.extensions = Extensions::default();
        self.hello();
    }

    /// Logs in; [`ClientStep::Authenticated`] or [`ClientStep::NotAuthenticated`] follows. The permit must be of this connection,
    /// and the channel TLS: credentials are told to nobody else (RFC 4954 §4, RFC 8314 §5.1).
    pub fn authenticate(&mut self, permit: AuthPermit, credentials: &Credentials) -> Result<(), Misuse> {
        if permit.connection() != self.config.connection || !self.secured {
            return Err(Misuse::WrongConnection);
        }
        self.must_be_ready()?;
        // RFC 4954 §4: once is enough, and twice is an error.
        if self.authenticated {
            return Err(Misuse::NotReady);
        }
        match Exchange::begin(credentials, &self.extensions) {
            Ok((line, exchange)) => self.command(&line, State::Auth(exchange)),
            Err(failure) => self.steps.push_back(ClientStep::NotAuthenticated(failure)),
        }
        Ok(())
    }

    /// The host knows us on this connection.
    pub fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// Sends one message. The permit must be of this connection (H2). What this host cannot take is settled without
    /// a word to it: see [`RecipientResult::Refused`].
    pub fn send(&mut self, permit: Permit, message: &Outgoing) -> Result<(), Misuse> {
        if permit.connection() != self.config.connection {
            return Err(Misuse::WrongConnection);
        }
        self.must_be_ready()?;
        if self.config.must_authenticate && !self.authenticated {
            return Err(Misuse::NotAuthenticated);
        }
        if message.recipients.is_empty() {
            return Err(Misuse::NoRecipients);
        }
        let mut transaction = Box::new(Transaction::new(message, &self.extensions));
        if transaction.is_settled() {
            self.finish(*transaction, false);
        } else {
            transaction.write_commands(&mut self.output);
            self.state = State::Transaction(transaction);
        }
        Ok(())
    }

    /// Content, in pieces of any size, after [`ClientStep::SendContent`]: lines ended by CR LF, dots not stuffed.
    /// A bare CR or LF ends the session before the message is complete (H11).
    pub fn content(&mut self, octets: &[u8]) -> Result<(), Misuse> {
        let State::Transaction(transaction) = &mut self.state else { return Err(Misuse::NotReady) };
        if !transaction.counts(octets.len() as u64) {
            return Err(self.miscounted());
        }
        let stuffing = transaction.content().ok_or(Misuse::NotReady)?;
        stuffing.piece(octets, &mut self.output).map_err(|BareLineEnd| self.refuse_content())
    }

    /// The content is complete. A missing last CR LF is added, but to a chunk.
    pub fn content_end(&mut self) -> Result<(), Misuse> {
        // What was heard before the end is no answer to it, least of all a 250.
        while let (State::Transaction(_), Ok(Some(reply))) = (&self.state, self.reader.next_reply()) {
            self.hear(reply);
        }
        let State::Transaction(transaction) = &mut self.state else { return Err(Misuse::NotReady) };
        if transaction.is_short() {
            return Err(self.miscounted());
        }
        let stuffing = transaction.content().ok_or(Misuse::NotReady)?;
        match stuffing.end(&mut self.output) {
            Ok(()) => {
                transaction.content_ended();
                Ok(())
            }
            Err(BareLineEnd) => Err(self.refuse_content()),
        }
    }

    /// Says RSET: tells whether a connection that was idle is still good. `Ready` follows.
    pub fn reset(&mut self) -> Result<(), Misuse> {
        self.must_be_ready()?;
        self.command("RSET\r\n", State::Reset);
        Ok(())
    }

    /// Ends the session: with QUIT where the peer waits for a command, else at once.
    pub fn quit(&mut self) {
        match self.state {
            State::Ready => self.command("QUIT\r\n", State::Quit),
            State::Quit => {}
            _ => self.lost("the session was given up"),
        }
    }

    /// The connection ended, failed or was silent for too long, or the caller gives it up; `why` in words.
    pub fn lost(&mut self, why: &str) {
        match self.state {
            State::Over => {}
            State::Quit => self.state = State::Over,
            _ => {
                // What came before the end counts: a refusal followed by a close is a refusal.
                while let Ok(Some(reply)) = self.reader.next_reply() {
                    self.hear(reply);
                }
                self.fail(FailureKind::Lost(why.to_owned()), None);
            }
        }
    }

    /// What is awaited, and with it for how long.
    pub fn awaiting(&self) -> Awaiting {
        match &self.state {
            State::Greeting => Awaiting::Greeting,
            State::Ehlo | State::Helo => Awaiting::Ehlo,
            State::StartTls | State::Handshake => Awaiting::StartTls,
            State::Ready | State::Over => Awaiting::Nothing,
            State::Auth(_) => Awaiting::Auth,
            State::Transaction(transaction) => transaction.awaiting(),
            State::Reset => Awaiting::Reset,
            State::Quit => Awaiting::Quit,
        }
    }

    /// Offered on this channel.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The channel is TLS.
    pub fn is_secured(&self) -> bool {
        self.secured
    }

    /// The peer got as far as answering EHLO or HELO: the round was conclusive to that extent (H9).
    pub fn answered_hello(&self) -> bool {
        self.answered_hello
    }

    /// What became of a channel that is in clear: not offered, refused, inconclusive. None while STARTTLS is offered and
    /// not tried, before EHLO was answered, and once secured.
    pub fn clear_channel(&self) -> Option<ChannelFacts> {
        if self.secured || !self.answered_hello {
            return None;
        }
        let (state, detail) = match &self.tls_refusal {
            Some(reply) if reply.is_permanent() => (ChannelState::Refused, reply.to_string()),
            Some(reply) => (ChannelState::Inconclusive, reply.to_string()),
            None if self.extensions.starttls() => return None,
            None => (ChannelState::NotOffered, "STARTTLS was not offered".to_owned()),
        };
        Some(ChannelFacts { state, detail, handshake: None })
    }
}

/// Without the output, which may hold a password.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Client");
        shown.field("connection", &self.config.connection).field("awaiting", &self.awaiting());
        shown.field("secured", &self.secured).field("authenticated", &self.authenticated).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
