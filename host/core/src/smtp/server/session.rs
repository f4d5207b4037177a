//! From line to obeyed command: the order of commands, EHLO, STARTTLS, and the patience that ends.
//!
//! Replies leave in the order of their commands, one each (RFC 2920 §3.2); since all that was received is obeyed before
//! anything is waited for, they leave together.

use super::{Greeting, Server, State, Step};
use crate::reply::Reply;
use crate::smtp::command::{Command, CommandError};
use crate::smtp::line::{LINE_MAX, Line};

impl Server {
    pub(super) fn next_command(&mut self) -> Option<Step> {
        if self.shutting_down && !self.in_transaction() {
            let hostname = &self.config.hostname;
            self.close_with(&Reply::new(421, (3, 2), format!("{hostname} is stopping; try again")));
            return None;
        }
        let (parsed, of_chunk) = match self.input.next_line() {
            Some(Line::Complete(line)) => {
                (Command::parse(line), line.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"BDAT")))
            }
            Some(line) => {
                let endless = line == Line::Endless;
                self.too_long(endless);
                return None;
            }
            None => {
                self.input.give_back();
                return Some(Step::NeedInput);
            }
        };
        // Octets bound what comes in chunks.
        self.commands += usize::from(!matches!(parsed, Ok(Command::Bdat { octets: 1.., .. })));
        if self.commands > self.config.limits.commands_max() {
            self.close_with(&Reply::new(421, (7, 0), "too many commands without a message"));
            return None;
        }
        match parsed {
            Ok(command) => self.obey(command),
            // No second line of it is answered: a browser's octets must not become mail. Nor must those of a chunk whose length
            // cannot be read, which follow it at once.
            Err(error) if error == CommandError::ForeignProtocol || of_chunk => {
                self.close_with(&error.reply());
                None
            }
            Err(error) => {
                self.refuse(&error.reply());
                None
            }
        }
    }

    pub(super) fn obey(&mut self, command: Command) -> Option<Step> {
        let goes_on = |command: &Command| {
            matches!(command, Command::Bdat { .. } | Command::Noop | Command::Vrfy | Command::Help | Command::Quit)
        };
        if matches!(self.state, State::BetweenChunks(_)) && !goes_on(&command) {
            return self.give_up(command);
        }
        match command {
            Command::Ehlo(name) => self.ehlo(name),
            Command::Helo(name) => self.helo(name),
            Command::StartTls => return self.start_tls(),
            Command::Mail(sender, parameters) => self.mail(sender, parameters),
            Command::Rcpt(recipient, parameters) => self.rcpt(recipient, parameters),
            Command::Data => self.data(),
            Command::Bdat { octets, last } => self.bdat(octets, last),
            Command::Rset => {
                self.envelope = None;
                self.say("250 2.0.0 OK\r\n");
            }
            Command::Noop => self.say("250 2.0.0 OK\r\n"),
            // RFC 5321 §7.3: an answer would tell address harvesters what they want to know.
            Command::Vrfy => self.say("252 2.5.0 send mail to it and see\r\n"),
            Command::Help => {
                self.say("214 2.0.0 EHLO HELO STARTTLS MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT\r\n");
            }
            Command::Quit => {
                self.say("221 2.0.0 bye\r\n");
                self.close();
            }
        }
        None
    }

    /// RFC 5321 §4.1.4: EHLO and HELO end an open transaction, as RSET does.
    fn ehlo(&mut self, name: String) {
        use std::fmt::Write;
        let mut text = self.config.hostname.to_string();
        // Writing to a string cannot fail.
        let _ = write!(text, "\nPIPELINING\nSIZE {}", self.config.limits.message_size_max);
        // RFC 3207 §4.2: never offered inside TLS.
        if self.config.tls_available && !self.secured {
            text.push_str("\nSTARTTLS");
        }
        text.push_str("\nENHANCEDSTATUSCODES\n8BITMIME\nSMTPUTF8\nDSN\nCHUNKING");
        // RFC 8689 §3: never offered in clear.
        if self.secured {
            text.push_str("\nREQUIRETLS");
        }
        self.envelope = None;
        self.greeting = Some(Greeting { name, extended: true });
        self.reply(&Reply::bare(250, text));
    }

    fn helo(&mut self, name: String) {
        self.envelope = None;
        self.greeting = Some(Greeting { name, extended: false });
        self.reply(&Reply::bare(250, self.config.hostname.to_string()));
    }

    fn start_tls(&mut self) -> Option<Step> {
        let problem = match () {
            () if self.secured => Some((503, "the channel is TLS already")),
            () if !self.config.tls_available => Some((502, "TLS is not offered here")),
            () if self.envelope.is_some() => Some((503, "a transaction is open; RSET ends it")),
            () => None,
        };
        if let Some((code, text)) = problem {
            self.refuse(&Reply::new(code, (5, 1), text));
            return None;
        }
        // H10: whoever is between client and server could have put these octets there, to be taken for the client's
        // own behind the handshake. Dropping them silently would desynchronise honest clients, so neither is done.
        if !self.input.is_empty() {
            self.close_with(&Reply::new(523, (7, 10), "no commands allowed to pipeline after STARTTLS"));
            return None;
        }
        self.say("220 2.0.0 ready for TLS\r\n");
        self.input.give_back();
        self.state = State::StartTls;
        Some(Step::StartTls)
    }

    fn too_long(&mut self, endless: bool) {
        let reply = Reply::new(500, (5, 2), format!("a command line is at most {LINE_MAX} octets"));
        if endless { self.close_with(&reply) } else { self.refuse(&reply) }
    }

    /// Answers a command that could not be obeyed because of what the client did, and loses patience in the end.
    pub(super) fn refuse(&mut self, reply: &Reply) {
        self.reply(reply);
        self.bad_commands += 1;
        if self.bad_commands >= self.config.limits.bad_commands_max {
            self.close_with(&Reply::new(421, (7, 0), "too many bad commands"));
        }
    }

    /// A fixed reply, as it stands on the wire.
    pub(super) fn say(&mut self, wire: &'static str) {
        self.output.extend_from_slice(wire.as_bytes());
    }
}
