//! MAIL, RCPT and DATA: who may send what to whom.
//!
//! Hosted domains from anyone, elsewhere only from trusted networks. One message has one verdict: a stranger's recipients
//! whose settings differ from the first one's come in a transaction of their own.

use super::{Message, Server, ServerConfig, State, message};
use crate::address::Mailbox;
use crate::dsn::Dsn;
use crate::reply::Reply;
use crate::smtp::command::{CommandError, RcptParameters, Recipient};
use crate::smtp::parameters::MailParameters;

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
    /// SMTPUTF8 was given (RFC 6531): addresses and header may be UTF-8.
    pub smtp_utf8: bool,
    /// What the sender asks to be told (RFC 3461).
    pub dsn: Dsn,
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
            smtp_utf8: parameters.smtp_utf8,
            dsn: Dsn { ret: parameters.ret, envid: parameters.envid, ..Dsn::default() },
        });
        self.say("250 2.1.0 sender noted\r\n");
    }

    pub(super) fn rcpt(&mut self, recipient: Recipient, parameters: RcptParameters) {
        let Some(envelope) = &mut self.envelope else {
            return self.refuse(&no_mail());
        };
        if parameters.international && !envelope.smtp_utf8 {
            return self.refuse(&CommandError::InternationalAddress.reply());
        }
        let recipient = match recipient {
            // RFC 5321 §4.5.1: the server's own, always.
            Recipient::Postmaster => Mailbox::new("postmaster", self.config.hostname.clone()),
            Recipient::Mailbox(mailbox) => mailbox,
        };
        let settings = settings_of(&self.config, &recipient);
        if !(self.client.trusted || settings.is_some()) {
            let text = format!(
                "relaying denied: {} is not hosted here and this client is not on a trusted network",
                recipient.domain
            );
            return self.reply(&Reply::new(550, (7, 1), text));
        }
        if envelope.recipients.len() >= self.config.limits.recipients_max {
            return self.reply(&Reply::new(452, (5, 3), "too many recipients; send the rest in another transaction"));
        }
        let first = envelope.recipients.first().map(|first| settings_of(&self.config, first));
        if !self.client.trusted && first.is_some_and(|first| first != settings) {
            let text = "this recipient's settings differ from the first one's; send to it in another transaction";
            return self.reply(&Reply::new(452, (5, 3), text));
        }
        if !parameters.dsn.is_empty() {
            // A transaction has far fewer than that.
            let index = u32::try_from(envelope.recipients.len()).unwrap_or(u32::MAX);
            envelope.dsn.recipients.insert(index, parameters.dsn);
        }
        envelope.recipients.push(recipient);
        self.say("250 2.1.5 recipient noted\r\n");
    }

    pub(super) fn data(&mut self) {
        match &self.envelope {
            None => self.refuse(&no_mail()),
            // Not a mistake of a client that pipelines and whose recipients were all refused (RFC 2920 §3.1).
            Some(envelope) if envelope.recipients.is_empty() => self.reply(&no_recipients()),
            Some(_) => {
                self.state = State::Data(Box::new(Message::new(&self.config.limits)));
                self.say("354 send the message, end it with CR LF . CR LF\r\n");
            }
        }
    }
}

pub(super) fn no_mail() -> Reply {
    Reply::new(503, (5, 1), "say MAIL first")
}

pub(super) fn no_recipients() -> Reply {
    Reply::new(554, (5, 1), "no valid recipients")
}

/// The settings of a hosted recipient, or of the postmaster of this very server.
fn settings_of(config: &ServerConfig, recipient: &Mailbox) -> Option<u32> {
    let postmaster = recipient.domain == config.hostname && recipient.local.eq_ignore_ascii_case("postmaster");
    config.hosted.settings_of(recipient).or(postmaster.then_some(0))
}
