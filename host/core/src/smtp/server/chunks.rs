//! BDAT (RFC 3030 §2): a message in chunks, each of which is answered. The octets of a chunk are never taken for commands, whatever
//! becomes of it.

use super::transaction::{no_mail, no_recipients};
use super::{Message, Server, State, Step};
use crate::reply::Reply;
use crate::smtp::command::Command;

impl Server {
    pub(super) fn bdat(&mut self, octets: u64, last: bool) {
        match std::mem::replace(&mut self.state, State::Command) {
            State::BetweenChunks(message) => self.take_chunk(message, octets, last),
            _ => match &self.envelope {
                None => self.state = State::Skipping(octets, no_mail()),
                Some(envelope) if envelope.recipients.is_empty() => {
                    self.state = State::Skipping(octets, no_recipients());
                }
                Some(_) => {
                    let message = Box::new(Message::new(&self.config.limits));
                    self.take_chunk(message, octets, last);
                }
            },
        }
    }

    fn take_chunk(&mut self, mut message: Box<Message>, octets: u64, last: bool) {
        message.begin_chunk(octets, last);
        self.state = State::Data(message);
    }

    /// A chunk that is not the last has come.
    pub(super) fn chunk_taken(&mut self) {
        if let State::Data(message) = std::mem::replace(&mut self.state, State::Command) {
            self.state = State::BetweenChunks(message);
            self.say("250 2.0.0 chunk taken\r\n");
        }
    }

    /// A command between two chunks that is neither the next of them nor without a meaning for it.
    pub(super) fn give_up(&mut self, command: Command) -> Option<Step> {
        match command {
            Command::Rset | Command::Ehlo(_) | Command::Helo(_) => {
                self.state = State::Command;
                self.obey(command);
                Some(Step::GivenUp)
            }
            _ => {
                self.refuse(&Reply::new(503, (5, 1), "a message is coming in chunks; BDAT goes on, RSET gives it up"));
                None
            }
        }
    }

    /// Octets of a chunk for which there is no transaction: a client that pipelines has sent them already.
    pub(super) fn skip(&mut self) -> Option<Step> {
        let State::Skipping(left, reply) = &mut self.state else { return None };
        // Nobody waits for the rest of it when the server stops.
        if *left > self.config.limits.refused_size_max() || (self.shutting_down && self.input.rest().is_empty()) {
            let reply = reply.clone();
            self.close_with(&reply);
            return None;
        }
        let some = self.input.rest().len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        self.input.consume(some);
        *left -= some as u64;
        if *left > 0 {
            self.input.give_back();
            return Some(Step::NeedInput);
        }
        // No mistake of a client that pipelines: the chunks behind a refused one were on their way.
        let reply = reply.clone();
        self.state = State::Command;
        self.reply(&reply);
        None
    }
}
