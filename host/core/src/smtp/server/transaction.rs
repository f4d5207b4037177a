//! MAIL, RCPT and DATA: who may send what to whom.
//!
//! Hosted domains from anyone, elsewhere only from trusted networks. Seam: recipients whose settings differ from the
//! first one's get `452 4.5.3` in `rcpt` once units have settings of their own.

use super::{Message, Server, ServerConfig, State, message};
use crate::address::Mailbox;
use crate::reply::Reply;
use crate::smtp::command::{MailParameters, Recipient};

/// What MAIL and RCPT said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// `None`: the null reverse-path.
    pub sender: Option<Mailbox>,
    /// In the order of their RCPT, each of them accepted; at least one.
    pub recipients: Vec<Mailbox>,
    /// SIZE=, octets.
    pub declared_size: Option<u64>,
    /// BODY=8BITMIME was given. What the message really holds is known at its end.
    pub declared_eight_bit: bool,
    /// REQUIRETLS was given (RFC 8689); only inside TLS.
    pub require_tls: bool,
}

impl Server {
    pub(super) fn mail(&mut self, sender: Option<Mailbox>, parameters: MailParameters) {
        let limits = &self.config.limits;
        if self.greeting.is_none() {
            return self.refuse(&Reply::new(503, (5, 1), "say EHLO first"));
        }
        if self.envelope.is_some() {
            return self.refuse(&Reply::new(503, (5, 1), "a transaction is open; RSET ends it"));
        }
        if self.transactions >= limits.transactions_max {
            return self.close_with(&Reply::new(421, (7, 0), "enough messages on one connection; open another"));
        }
        if parameters.size.is_some_and(|size| size > limits.message_size_max) {
            let reply = message::too_large(limits);
            return self.reply(&reply);
        }
        if parameters.require_tls && !self.secured {
            return self.refuse(&Reply::new(555, (5, 4), "REQUIRETLS is taken inside TLS only; say STARTTLS first"));
        }
        self.transactions += 1;
        self.envelope = Some(Envelope {
            sender,
            recipients: Vec::new(),
            declared_size: parameters.size,
            declared_eight_bit: parameters.eight_bit.unwrap_or(false),
            require_tls: parameters.require_tls,
        });
        self.say("250 2.1.0 sender noted\r\n");
    }

    pub(super) fn rcpt(&mut self, recipient: Recipient) {
        let Some(envelope) = &mut self.envelope else {
            return self.refuse(&Reply::new(503, (5, 1), "say MAIL first"));
        };
        let recipient = match recipient {
            // RFC 5321 §4.5.1: the server's own, always.
            Recipient::Postmaster => Mailbox::new("postmaster", self.config.hostname.clone()),
            Recipient::Mailbox(mailbox) => mailbox,
        };
        if !(self.client.trusted || is_ours(&self.config, &recipient)) {
            let text = format!(
                "relaying denied: {} is not hosted here and this client is not on a trusted network",
                recipient.domain
            );
            return self.reply(&Reply::new(550, (7, 1), text));
        }
        if envelope.recipients.len() >= self.config.limits.recipients_max {
            return self.reply(&Reply::new(452, (5, 3), "too many recipients; send the rest in another transaction"));
        }
        envelope.recipients.push(recipient);
        self.say("250 2.1.5 recipient noted\r\n");
    }

    pub(super) fn data(&mut self) {
        match &self.envelope {
            None => self.refuse(&Reply::new(503, (5, 1), "say MAIL first")),
            // Not a mistake of a client that pipelines and whose recipients were all refused (RFC 2920 §3.1).
            Some(envelope) if envelope.recipients.is_empty() => {
                self.reply(&Reply::new(554, (5, 1), "no valid recipients"));
            }
            Some(_) => {
                self.state = State::Data(Box::new(Message::new(&self.config.limits)));
                self.say("354 send the message, end it with CR LF . CR LF\r\n");
            }
        }
    }
}

/// A hosted domain, or the postmaster of this very server.
fn is_ours(config: &ServerConfig, recipient: &Mailbox) -> bool {
    let postmaster = recipient.domain == config.hostname && recipient.local.eq_ignore_ascii_case("postmaster");
    postmaster || config.hosted.contains(&recipient.domain)
}
