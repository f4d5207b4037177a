//! How replies move a session from state to state, and how it ends. Every end settles the message in progress first.

use super::auth::Heard;
use super::transaction::{Progress, Transaction};
use super::{Client, ClientStep, Extensions, FailureKind, Misuse, RecipientResult, SessionFailure, State};
use crate::reply::Reply;

impl Client {
    pub(super) fn hear(&mut self, reply: Reply) {
        if reply.code == 421 && !matches!(self.state, State::Quit) {
            return self.fail(FailureKind::ServiceClosing, Some(reply));
        }
        match &mut self.state {
            State::Greeting if reply.code == 220 => self.hello(),
            State::Ehlo if reply.code == 250 => {
                self.extensions = Extensions::of_answer(&reply.text);
                self.hello_answered();
            }
            // RFC 5321 §3.2: a server that does not know EHLO is spoken to in HELO. It offers nothing, not even TLS.
            State::Ehlo if (500..=504).contains(&reply.code) => {
                let hello = format!("HELO {}\r\n", self.config.hello_name);
                self.command(&hello, State::Helo);
            }
            State::Helo if reply.code == 250 => self.hello_answered(),
            State::Reset if reply.code == 250 => self.ready(),
            State::Greeting | State::Ehlo | State::Helo | State::Reset if reply.code >= 400 => {
                self.output.extend_from_slice(b"QUIT\r\n"); // a courtesy; its answer is not awaited
                self.fail(FailureKind::Refused, Some(reply));
            }
            State::StartTls if reply.code == 220 => {
                self.state = State::Handshake;
                if self.reader.is_empty() {
                    self.steps.push_back(ClientStep::StartTls);
                }
            }
            State::StartTls if reply.code >= 400 => {
                self.tls_refusal = Some(reply);
                self.ready();
            }
            State::Quit => {
                self.state = State::Over;
                self.steps.push_back(ClientStep::Closed);
            }
            State::Auth(exchange) => match exchange.hear(reply.clone()) {
                Heard::Answer(line) => self.output.extend_from_slice(line.as_bytes()),
                Heard::Authenticated => {
                    self.authenticated = true;
                    self.auth_ended(ClientStep::Authenticated);
                }
                Heard::Failed(failure) => self.auth_ended(ClientStep::NotAuthenticated(failure)),
                Heard::Unexpected => self.fail(FailureKind::Protocol("an unexpected reply".into()), Some(reply)),
            },
            State::Transaction(_) => self.hear_in_transaction(reply),
            State::Over => {}
            _ => self.fail(FailureKind::Protocol("an unexpected reply".into()), Some(reply)),
        }
    }

    fn hear_in_transaction(&mut self, reply: Reply) {
        let State::Transaction(transaction) = &mut self.state else { return };
        match transaction.hear(reply.clone(), &mut self.output) {
            Ok(Progress::More) => {}
            Ok(Progress::SendContent) => self.steps.push_back(ClientStep::SendContent),
            Ok(Progress::Over { reset }) => {
                if let State::Transaction(transaction) = std::mem::replace(&mut self.state, State::Ready) {
                    self.finish(*transaction, reset);
                }
            }
            Err(_) => self.fail(FailureKind::Protocol("an unexpected reply".into()), Some(reply)),
        }
    }

    pub(super) fn finish(&mut self, transaction: Transaction, reset: bool) {
        self.steps.push_back(ClientStep::Finished(transaction.into_result()));
        if reset {
            self.command("RSET\r\n", State::Reset);
        } else {
            self.ready();
        }
    }

    pub(super) fn hello(&mut self) {
        let hello = format!("EHLO {}\r\n", self.config.hello_name);
        self.command(&hello, State::Ehlo);
    }

    fn hello_answered(&mut self) {
        self.answered_hello = true;
        self.ready();
    }

    fn ready(&mut self) {
        self.state = State::Ready;
        self.steps.push_back(ClientStep::Ready);
    }

    fn auth_ended(&mut self, step: ClientStep) {
        self.state = State::Ready;
        self.steps.push_back(step);
    }

    pub(super) fn command(&mut self, line: &str, next: State) {
        self.output.extend_from_slice(line.as_bytes());
        self.state = next;
    }

    /// Ready, told so, and the peer silent since: a reply that is already here would be taken for the next command's.
    pub(super) fn must_be_ready(&self) -> Result<(), Misuse> {
        match self.state {
            State::Ready if !self.steps.is_empty() => Err(Misuse::NotReady),
            State::Ready if !self.reader.is_empty() => Err(Misuse::PeerSpoke),
            State::Ready => Ok(()),
            _ => Err(Misuse::NotReady),
        }
    }

    pub(super) fn refuse_content(&mut self) -> Misuse {
        if let State::Transaction(transaction) = &mut self.state {
            let reply = Reply::new(554, (6, 0), "The message has a line that does not end with CR LF");
            transaction.settle_all(&RecipientResult::Refused { reply, by_peer: false });
        }
        self.output.clear();
        self.fail(FailureKind::Content, None);
        Misuse::BareLineEnd
    }

    /// More or fewer octets than a chunk was said to have: the peer must not take what came for the message.
    pub(super) fn miscounted(&mut self) -> Misuse {
        self.output.clear();
        self.fail(FailureKind::Lost("the content is not as long as was said".into()), None);
        Misuse::Miscounted
    }

    /// Ends the session. A message in progress is settled first, with what the peer said of it.
    pub(super) fn fail(&mut self, kind: FailureKind, reply: Option<Reply>) {
        if matches!(self.state, State::Over) {
            return;
        }
        let failure = SessionFailure { at: self.awaiting(), kind, reply };
        // A step not yet taken is void, a result is not.
        self.steps.retain(|step| matches!(step, ClientStep::Finished(_)));
        if let State::Transaction(mut transaction) = std::mem::replace(&mut self.state, State::Over) {
            match (&failure.kind, &failure.reply) {
                (FailureKind::ServiceClosing, Some(reply)) => {
                    transaction.settle_all(&RecipientResult::Deferred(reply.clone()));
                }
                _ => transaction.give_up(&failure.to_string()),
            }
            self.steps.push_back(ClientStep::Finished(transaction.into_result()));
        }
        self.steps.push_back(ClientStep::Failed(failure));
    }
}
