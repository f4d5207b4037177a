//! AUTH (RFC 4954): PLAIN (RFC 4616), else LOGIN, which has no standard and is what some hosts offer alone.
//!
//! One exchange: the command, then what answers each 334. What is not understood is given up with `*` (§4), never answered.

use std::collections::VecDeque;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Extensions;
use crate::auth::Credentials;
use crate::reply::Reply;

/// Octets of a command line with its CR LF (RFC 5321 §4.5.3.1.4); a longer initial response waits for its 334 (RFC 4954 §4).
const COMMAND_OCTETS_MAX: usize = 512;

/// Why a login did not come about. Nothing of the credentials is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthFailure {
    /// The host offers no AUTH on this channel.
    NotOffered,
    /// It offers no mechanism that we speak; those it does.
    NoMechanism(Vec<String>),
    /// It said no, for good or for now: the credentials are wrong, or it cannot tell.
    Refused(Reply),
    /// It asked for something that the mechanism does not know; the exchange was given up.
    NotUnderstood,
}

impl fmt::Display for AuthFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuthFailure::NotOffered => f.write_str("the host does not offer AUTH"),
            AuthFailure::NoMechanism(offered) => {
                write!(f, "the host offers AUTH with {}, and neither PLAIN nor LOGIN", offered.join(" "))
            }
            AuthFailure::Refused(reply) => write!(f, "the host refused the login: {reply}"),
            AuthFailure::NotUnderstood => f.write_str("the host asked for what the mechanism does not know"),
        }
    }
}

/// An exchange under way.
pub(super) struct Exchange {
    /// What answers the next 334s, in base64 already.
    answers: VecDeque<String>,
    /// LOGIN asks in words of its own; PLAIN asks with nothing (RFC 4616 §2).
    asks_in_words: bool,
    given_up: bool,
}

/// What the host's reply leads to.
pub(super) enum Heard {
    /// Send this line.
    Answer(String),
    /// 235.
    Authenticated,
    Failed(AuthFailure),
    /// A reply that has no place here.
    Unexpected,
}

impl Exchange {
    /// The first line and the exchange behind it.
    pub(super) fn begin(credentials: &Credentials, offered: &Extensions) -> Result<(String, Exchange), AuthFailure> {
        let mechanisms = offered.auth().ok_or(AuthFailure::NotOffered)?;
        let has = |mechanism: &str| mechanisms.iter().any(|offered| offered == mechanism);
        let (user, password) = (credentials.user(), credentials.password());
        if has("PLAIN") {
            // RFC 4616 §2: no authorization identity of its own.
            let response = STANDARD.encode(format!("\0{user}\0{password}"));
            let whole = format!("AUTH PLAIN {response}\r\n");
            return Ok(if whole.len() <= COMMAND_OCTETS_MAX {
                (whole, Exchange::answering([], false))
            } else {
                ("AUTH PLAIN\r\n".to_owned(), Exchange::answering([response], false))
            });
        }
        if has("LOGIN") {
            let answers = [STANDARD.encode(user), STANDARD.encode(password)];
            return Ok(("AUTH LOGIN\r\n".to_owned(), Exchange::answering(answers, true)));
        }
        Err(AuthFailure::NoMechanism(mechanisms))
    }

    fn answering(answers: impl IntoIterator<Item = String>, asks_in_words: bool) -> Exchange {
        Exchange { answers: answers.into_iter().collect(), asks_in_words, given_up: false }
    }

    pub(super) fn hear(&mut self, reply: Reply) -> Heard {
        match reply.code {
            _ if self.given_up && reply.code >= 400 => Heard::Failed(AuthFailure::NotUnderstood),
            235 if !self.given_up && self.answers.is_empty() => Heard::Authenticated,
            334 if !self.given_up => self.answer(&reply.text),
            400.. => Heard::Failed(AuthFailure::Refused(reply)),
            _ => Heard::Unexpected,
        }
    }

    fn answer(&mut self, challenge: &str) -> Heard {
        let understood = match STANDARD.decode(challenge.trim()) {
            Ok(asked) => self.asks_in_words || asked.is_empty(),
            Err(_) => false,
        };
        match self.answers.pop_front().filter(|_| understood) {
            Some(answer) => Heard::Answer(answer + "\r\n"),
            None => {
                self.given_up = true;
                Heard::Answer("*\r\n".to_owned())
            }
        }
    }
}

/// The answers are the password's other form.
impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("answers", &self.answers.len()).finish_non_exhaustive()
    }
}
