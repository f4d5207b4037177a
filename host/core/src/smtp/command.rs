//! SMTP commands (RFC 5321 §4.1.1, RFC 3207): from one line to one typed value, or to the reply that says what is wrong
//! with it.
//!
//! Knows syntax only: no state, no settings. Lenient where mail in the wild is (a blank behind `FROM:`), strict where
//! hops could disagree (control octets, addresses without angle brackets). Parameters of extensions are read in
//! [`super::parameters`].

use std::fmt;

use super::parameters::{self, MailParameters};
use crate::address::{Domain, Mailbox};
use crate::dsn::RecipientDsn;
use crate::reply::Reply;

/// Longest name a client may give itself, as long as a domain (RFC 5321 §4.5.3.1.2).
const GREETING_NAME_MAX: usize = 255;

/// A command that can be obeyed, if the session's state allows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The name the client gives itself.
    Ehlo(String),
    /// The same without extensions.
    Helo(String),
    /// RFC 3207.
    StartTls,
    /// `None`: the null reverse-path `<>`.
    Mail(Option<Mailbox>, MailParameters),
    /// One recipient.
    Rcpt(Recipient, RcptParameters),
    /// The message follows.
    Data,
    /// So many octets of the message follow (RFC 3030 §2).
    Bdat {
        /// A number too large for u64 is u64::MAX.
        octets: u64,
        /// They end the message.
        last: bool,
    },
    /// Forget the transaction.
    Rset,
    /// Nothing.
    Noop,
    /// Does a mailbox exist? Never answered.
    Vrfy,
    /// Which commands are there?
    Help,
    /// The end.
    Quit,
}

/// What RCPT says besides its path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RcptParameters {
    /// NOTIFY= and ORCPT= (RFC 3461).
    pub dsn: RecipientDsn,
    /// Path or parameters are not ASCII: within SMTPUTF8 only (RFC 6531 §3.3).
    pub international: bool,
}

/// The path of RCPT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// `<postmaster>` in any case, without a domain (RFC 5321 §4.5.1).
    Postmaster,
    /// Any other.
    Mailbox(Mailbox),
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// A control octet, such as a bare CR, a bare LF or NUL.
    ControlOctet,
    /// Octets above 127 outside an address.
    NotAscii,
    /// Not a command of SMTP.
    Unknown,
    /// A command of SMTP or of an extension that this server does not offer.
    NotImplemented,
    /// A request of another protocol: somebody makes a browser or another program speak to us.
    ForeignProtocol,
    /// What the command wants to see.
    Syntax(&'static str),
    /// The name behind EHLO or HELO.
    GreetingName,
    /// The path of MAIL is no mailbox.
    Sender,
    /// The path of RCPT is no mailbox.
    Recipient,
    /// An address with octets above 127, without SMTPUTF8 or not in UTF-8 (RFC 6531 §3.5).
    InternationalAddress,
    /// A parameter of MAIL or RCPT that this server does not offer.
    Parameter,
    /// The same parameter twice.
    DuplicateParameter,
    /// A parameter whose value cannot be.
    ParameterValue(&'static str),
}

impl Command {
    /// Reads a line without its CR LF.
    pub fn parse(line: &[u8]) -> Result<Command, CommandError> {
        if line.iter().any(|&octet| octet.is_ascii_control() && octet != b'\t') {
            return Err(CommandError::ControlOctet);
        }
        let end = line.iter().position(|octet| matches!(octet, b' ' | b'\t')).unwrap_or(line.len());
        let (verb, rest) = line.split_at(end);
        let rest = match std::str::from_utf8(rest) {
            Ok(rest) if rest.is_ascii() || is_one_of(verb, &["MAIL", "RCPT"]) => rest.trim_matches([' ', '\t']),
            Err(_) if is_one_of(verb, &["MAIL", "RCPT"]) => return Err(CommandError::InternationalAddress),
            _ => return Err(CommandError::NotAscii),
        };
        let alone = |command: Command| {
            if rest.is_empty() { Ok(command) } else { Err(CommandError::Syntax("this command takes no argument")) }
        };
        // Longer than any command that is taken; what is cut off cannot be missed.
        let mut upper = [0; 9];
        let length = verb.len().min(upper.len());
        upper[..length].copy_from_slice(&verb[..length]);
        upper.make_ascii_uppercase();
        match &upper[..length] {
            b"MAIL" => mail(rest),
            b"RCPT" => rcpt(rest),
            b"DATA" => alone(Command::Data),
            b"BDAT" => bdat(rest),
            b"EHLO" => greeting_name(rest).map(Command::Ehlo),
            b"HELO" => greeting_name(rest).map(Command::Helo),
            b"STARTTLS" => alone(Command::StartTls),
            b"RSET" => alone(Command::Rset),
            b"QUIT" => alone(Command::Quit),
            b"NOOP" => Ok(Command::Noop),
            b"HELP" => Ok(Command::Help),
            b"VRFY" if rest.is_empty() => Err(CommandError::Syntax("VRFY wants a mailbox")),
            b"VRFY" => Ok(Command::Vrfy),
            _ if is_one_of(verb, OTHER_COMMANDS) => Err(CommandError::NotImplemented),
            _ if is_one_of(verb, FOREIGN_REQUESTS) => Err(CommandError::ForeignProtocol),
            _ => Err(CommandError::Unknown),
        }
    }
}

const OTHER_COMMANDS: &[&str] = &["AUTH", "BURL", "EXPN", "ETRN", "ATRN", "TURN", "SEND", "SOML", "SAML"];

/// First words of HTTP (RFC 9110 §9, RFC 9113 §3.4) and of its header fields; none is a command of SMTP.
const FOREIGN_REQUESTS: &[&str] =
    &["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI", "HOST:", "USER-AGENT:"];

fn is_one_of(verb: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| verb.eq_ignore_ascii_case(word.as_bytes()))
}

/// Any one word is taken: clients call themselves the strangest things. RFC 5322 specials are not, since the name will
/// stand in a Received field, where they would mean something.
fn greeting_name(rest: &str) -> Result<String, CommandError> {
    let plain = |b: u8| b.is_ascii_graphic() && !b"()<>@,;\\\"".contains(&b);
    if rest.is_empty() || rest.len() > GREETING_NAME_MAX || !rest.bytes().all(plain) {
        return Err(CommandError::GreetingName);
    }
    Ok(rest.to_owned())
}

fn bdat(rest: &str) -> Result<Command, CommandError> {
    const SYNTAX: CommandError = CommandError::Syntax("BDAT wants a number of octets and, behind the last, LAST");
    let (size, last) = match rest.split_once([' ', '\t']) {
        None => (rest, false),
        Some((size, last)) if last.trim_start().eq_ignore_ascii_case("LAST") => (size, true),
        Some(_) => return Err(SYNTAX),
    };
    let octets = parameters::size(size).map_err(|_| SYNTAX)?;
    Ok(Command::Bdat { octets, last })
}

fn mail(rest: &str) -> Result<Command, CommandError> {
    const SYNTAX: CommandError = CommandError::Syntax("MAIL wants FROM:<address>, in angle brackets");
    let (path, parameters) = split_path(rest, "FROM:").ok_or(SYNTAX)?;
    let sender = match path {
        "" => None,
        path => Some(mailbox(path).ok_or(CommandError::Sender)?),
    };
    let read = parameters::of_mail(parameters)?;
    // RFC 6531 §3.3: whoever does not say so gets no other address through.
    if !read.smtp_utf8 && !rest.is_ascii() {
        return Err(CommandError::InternationalAddress);
    }
    Ok(Command::Mail(sender, read))
}

fn rcpt(rest: &str) -> Result<Command, CommandError> {
    const SYNTAX: CommandError = CommandError::Syntax("RCPT wants TO:<address>, in angle brackets");
    let (path, parameters) = split_path(rest, "TO:").ok_or(SYNTAX)?;
    let recipient = if path.eq_ignore_ascii_case("postmaster") {
        Recipient::Postmaster
    } else {
        Recipient::Mailbox(mailbox(path).ok_or(CommandError::Recipient)?)
    };
    let dsn = parameters::of_rcpt(parameters)?;
    Ok(Command::Rcpt(recipient, RcptParameters { dsn, international: !rest.is_ascii() }))
}

/// Splits `FROM:<path> parameters` into path and parameters; `None` where this is not the shape.
fn split_path<'a>(rest: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let head = rest.get(..keyword.len())?;
    if !head.eq_ignore_ascii_case(keyword) {
        return None;
    }
    // RFC 5321 §3.3 allows no blank here; many clients send one.
    let path = rest[keyword.len()..].trim_start_matches([' ', '\t']).strip_prefix('<')?;
    let (path, behind) = path.split_at(closing_bracket(path)?);
    let behind = &behind[1..];
    (behind.is_empty() || behind.starts_with([' ', '\t'])).then_some((path, behind.trim_start_matches([' ', '\t'])))
}

/// The first `>` outside a quoted string.
fn closing_bracket(path: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, octet) in path.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// A mailbox, its source route read and dropped (RFC 5321 §4.1.1.3, appendix C: "SHOULD be ignored").
fn mailbox(path: &str) -> Option<Mailbox> {
    let mut path = path;
    if path.starts_with('@') {
        loop {
            let route = path.strip_prefix('@')?;
            // The colons of an IPv6 literal are not the route's end.
            let from = if route.starts_with('[') { route.find(']')? } else { 0 };
            let (domain, behind) = route.split_at(from + route[from..].find([',', ':'])?);
            Domain::parse(domain).ok()?;
            path = &behind[1..];
            if behind.starts_with(':') {
                break;
            }
        }
    }
    Mailbox::parse(path).ok()
}

impl CommandError {
    /// What the client is told.
    pub fn reply(self) -> Reply {
        let (code, enhanced) = match self {
            CommandError::ControlOctet | CommandError::NotAscii => (500, (5, 2)),
            CommandError::Unknown => (500, (5, 1)),
            CommandError::NotImplemented => (502, (5, 1)),
            CommandError::ForeignProtocol => (421, (7, 0)),
            CommandError::Syntax(_) | CommandError::GreetingName => (501, (5, 4)),
            CommandError::DuplicateParameter | CommandError::ParameterValue(_) => (501, (5, 4)),
            CommandError::Sender => (501, (1, 7)),
            CommandError::Recipient => (501, (1, 3)),
            CommandError::InternationalAddress => (553, (6, 7)),
            CommandError::Parameter => (555, (5, 4)),
        };
        Reply::new(code, enhanced, self.to_string())
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CommandError::ControlOctet => {
                "control octet in a command (a bare CR, a bare LF or NUL); only CR LF ends a line"
            }
            CommandError::NotAscii => "this command is not ASCII",
            CommandError::Unknown => "unknown command",
            CommandError::NotImplemented => "this server does not offer that command",
            CommandError::ForeignProtocol => "this is an SMTP server; it speaks no other protocol",
            CommandError::Syntax(text) | CommandError::ParameterValue(text) => text,
            CommandError::GreetingName => "EHLO and HELO want the name of the client, one word",
            CommandError::Sender => "the sender is not a mailbox: <local-part@domain> or <>",
            CommandError::Recipient => "the recipient is not a mailbox: <local-part@domain>",
            CommandError::InternationalAddress => "this address is no ASCII; it wants UTF-8 and SMTPUTF8 behind MAIL",
            CommandError::Parameter => {
                "unknown parameter; MAIL takes SIZE, BODY, SMTPUTF8, RET, ENVID and, inside TLS, REQUIRETLS, RCPT takes \
                 NOTIFY and ORCPT"
            }
            CommandError::DuplicateParameter => "a parameter may be given once",
        })
    }
}

impl std::error::Error for CommandError {}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
