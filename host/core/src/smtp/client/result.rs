//! How things end: for a message, for each recipient of it, for the session.

use std::fmt;

use super::Awaiting;
use crate::facts::ChannelState;
use crate::reply::Reply;

/// What became of one message, however the session went on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageResult {
    /// In the order of `Outgoing::recipients`.
    pub recipients: Vec<RecipientResult>,
    /// The peer's answer to the end of the data, if it came to that.
    pub final_reply: Option<Reply>,
}

/// What became of one message for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientResult {
    /// 2xx to the end of the data: the peer has it.
    Delivered(Reply),
    /// For good: 5xx, or nothing was sent because this host cannot take it.
    Refused {
        /// The peer's, or ours.
        reply: Reply,
        /// The peer said it.
        by_peer: bool,
    },
    /// 4xx of the peer.
    Deferred(Reply),
    /// No answer, or none that can be understood.
    Unanswered {
        /// In words.
        why: String,
        /// The end of the data was sent: the peer may have the message nevertheless, and get it twice.
        maybe_delivered: bool,
    },
}

impl RecipientResult {
    /// Of a peer's 4xx or 5xx.
    pub(super) fn of_refusal(reply: Reply) -> RecipientResult {
        if reply.is_permanent() {
            RecipientResult::Refused { reply, by_peer: true }
        } else {
            RecipientResult::Deferred(reply)
        }
    }
}

/// Why a session ended before QUIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionFailure {
    /// What was awaited.
    pub at: Awaiting,
    /// Whose fault, and which.
    pub kind: FailureKind,
    /// The reply that ended it, if one did.
    pub reply: Option<Reply>,
}

/// Kinds of end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// 4xx or 5xx to the connection itself: greeting, EHLO and HELO, RSET.
    Refused,
    /// 421: the peer closes the channel (RFC 5321 §3.8).
    ServiceClosing,
    /// The peer broke the protocol.
    Protocol(String),
    /// The connection ended or was silent for too long; in the caller's words.
    Lost(String),
    /// The content had a bare CR or LF: it was not sent to its end (H11).
    Content,
}

impl SessionFailure {
    /// The word for what this failure leaves of the channel: a broken STARTTLS is `failed`; whatever else kept us from
    /// finding out is `inconclusive`.
    pub fn channel_state(&self) -> ChannelState {
        match (self.at, &self.kind) {
            (Awaiting::StartTls, FailureKind::Protocol(_)) => ChannelState::Failed,
            _ => ChannelState::Inconclusive,
        }
    }

    /// The host said in a lawful reply that it will not go on, or not now (RFC 5321 §3.8): inside TLS that is no failure of TLS.
    pub fn is_the_hosts_word(&self) -> bool {
        matches!(self.kind, FailureKind::Refused | FailureKind::ServiceClosing)
    }
}

impl fmt::Display for SessionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FailureKind::Refused => f.write_str("the host refused the session")?,
            FailureKind::ServiceClosing => f.write_str("the host closed the session")?,
            FailureKind::Protocol(what) => write!(f, "the host broke the protocol: {what}")?,
            FailureKind::Lost(why) => f.write_str(why)?,
            FailureKind::Content => f.write_str("the content has a bare CR or LF and was not sent")?,
        }
        if self.at != Awaiting::Nothing {
            write!(f, ", while waiting for {}", self.at.as_str())?;
        }
        match &self.reply {
            Some(reply) => write!(f, ": {reply}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for SessionFailure {}

/// A call that the session's state forbids; a mistake of the caller, not of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misuse {
    /// The permit is of another connection (H2).
    WrongConnection,
    /// The session is not at the point where this can be done; poll it.
    NotReady,
    /// The peer spoke out of turn, so this session cannot be trusted; poll it to see it end.
    PeerSpoke,
    /// Mail of this session goes after a login, and there was none.
    NotAuthenticated,
    /// A message without recipients.
    NoRecipients,
    /// STARTTLS was not offered, was tried, or the channel is secured.
    NoStartTls,
    /// The content has a bare CR or LF (H11); the session is over.
    BareLineEnd,
    /// The content has not as many octets as `Outgoing::octets` said; the session is over.
    Miscounted,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Misuse::WrongConnection => "the permit is of another connection; ask the floor for one of this connection",
            Misuse::NotReady => "the session is not ready for this; poll it first",
            Misuse::PeerSpoke => "the peer spoke out of turn; use another connection",
            Misuse::NotAuthenticated => "mail goes after a login here; authenticate first",
            Misuse::NoRecipients => "the message has no recipients",
            Misuse::NoStartTls => "STARTTLS is not to be had here; use another connection",
            Misuse::Miscounted => "the content is not as long as was said",
            Misuse::BareLineEnd => "the content has a bare CR or LF; lines end with CR LF",
        })
    }
}

impl std::error::Error for Misuse {}
