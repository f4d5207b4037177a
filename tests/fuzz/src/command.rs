//! Commands (`core::smtp::command`) and the machine that obeys them (`core::smtp::server`).
//!
//! A command that is written as the client machine writes it is read as the same command. A session is the same however
//! its octets were cut; its replies are lines of printable ASCII and bounded; its steps come in order: no header without a
//! 354, no content before the header was judged, no end of data besides, no STARTTLS in a transaction or twice (H10), and
//! no message is handed over with a bare CR or LF (H11).

use std::sync::Arc;

use sealwire_core::address::{Domain, Mailbox};
use sealwire_core::dsn::Dsn;
use sealwire_core::reply::Reply;
use sealwire_core::smtp::command::{Command, RcptParameters, Recipient};
use sealwire_core::smtp::server::{
    ClientIdentity, Disposition, HeaderReady, Hosted, Limits, Server, ServerConfig, Step,
};

use crate::input::{flights, has_bare_line_end, pieces};

/// Small, so that each is met.
const MESSAGE_MAX: u64 = 2_000;
const HEADER_MAX: usize = 300;
const RECIPIENTS_MAX: usize = 3;
/// Of one poll: the machine's own bound and one reply above it.
const OUTPUT_MAX: usize = 17 * 1_024;

/// Each line alone, and all of them as a session.
pub fn command(octets: &[u8]) {
    let (seed, flights) = flights(octets);
    for line in flights.iter().flat_map(|flight| flight.split(|octet| *octet == b'\n')) {
        one_line(line.strip_suffix(b"\r").unwrap_or(line));
    }
    let whole = session(seed, &flights, |flight| vec![flight]);
    let cut = session(seed, &flights, |flight| pieces(seed, flight));
    assert_eq!(whole, cut, "the session depends on how it was cut (seed {seed})");
}

fn one_line(line: &[u8]) {
    match Command::parse(line) {
        Err(error) => {
            let reply = error.reply();
            let class = reply.enhanced.map(|enhanced| u16::from(enhanced.0));
            assert!(reply.code >= 400 && class == Some(reply.code / 100), "{reply:?} refuses a command");
        }
        Ok(command) => {
            let written = written(&command);
            let again = Command::parse(written.as_bytes());
            // A domain in U-labels is written in A-labels.
            let same = match (command, &again) {
                (Command::Rcpt(recipient, parameters), Ok(Command::Rcpt(_, read))) if written.is_ascii() => {
                    assert!(!read.international, "{written:?}");
                    Command::Rcpt(recipient, RcptParameters { international: false, ..parameters })
                }
                (command, _) => command,
            };
            assert_eq!(again.as_ref(), Ok(&same), "{written:?}");
        }
    }
}

/// As a client writes it.
fn written(command: &Command) -> String {
    match command {
        Command::Ehlo(name) => format!("EHLO {name}"),
        Command::Helo(name) => format!("HELO {name}"),
        Command::Mail(sender, parameters) => {
            let mut line = format!("MAIL FROM:<{}>", sender.as_ref().map(Mailbox::to_string).unwrap_or_default());
            line += &parameters.size.map(|size| format!(" SIZE={size}")).unwrap_or_default();
            line += match parameters.eight_bit {
                None => "",
                Some(false) => " BODY=7BIT",
                Some(true) => " BODY=8BITMIME",
            };
            line += if parameters.require_tls { " REQUIRETLS" } else { "" };
            line += if parameters.smtp_utf8 { " SMTPUTF8" } else { "" };
            line + &Dsn { ret: parameters.ret, envid: parameters.envid.clone(), ..Dsn::default() }.mail_parameters()
        }
        Command::Rcpt(recipient, RcptParameters { dsn, .. }) => {
            let path = match recipient {
                Recipient::Postmaster => "postmaster".to_owned(),
                Recipient::Mailbox(mailbox) => mailbox.to_string(),
            };
            let dsn = Dsn { recipients: [(0, dsn.clone())].into(), ..Dsn::default() };
            format!("RCPT TO:<{path}>{}", dsn.rcpt_parameters(0, true))
        }
        Command::StartTls => "STARTTLS".to_owned(),
        Command::Data => "DATA".to_owned(),
        Command::Bdat { octets, last } => format!("BDAT {octets}{}", if *last { " LAST" } else { "" }),
        Command::Rset => "RSET".to_owned(),
        Command::Noop => "NOOP".to_owned(),
        Command::Vrfy => "VRFY x".to_owned(),
        Command::Help => "HELP".to_owned(),
        Command::Quit => "QUIT".to_owned(),
    }
}

fn session<'a>(seed: u8, flights: &'a [Vec<u8>], cut: impl Fn(&'a [u8]) -> Vec<&'a [u8]>) -> Vec<String> {
    let domain = |text: &str| Domain::parse(text).expect("a domain");
    let limits = Limits {
        message_size_max: MESSAGE_MAX,
        header_size_max: HEADER_MAX,
        recipients_max: RECIPIENTS_MAX,
        received_fields_max: 4,
        bad_commands_max: 8,
        transactions_max: 6,
    };
    let hosted = Hosted::from_iter([domain("hosted.example")]);
    let config = ServerConfig { hostname: domain("mx.example"), hosted, tls_available: seed & 1 == 0, limits };
    let client = ClientIdentity { address: [192, 0, 2, 1].into(), trusted: seed & 2 == 0 };
    let mut server = Server::new(Arc::new(config.clone()), client.clone());
    server.greet();
    let mut caller = Caller {
        server,
        config,
        trusted: client.trusted,
        log: Vec::new(),
        stage: Stage::Commands,
        between_chunks: false,
    };
    caller.poll(b"");
    for flight in flights {
        for piece in cut(flight) {
            if caller.stage != Stage::Closed {
                caller.server.input(piece);
                caller.poll(piece);
            }
        }
        caller.flight_ended();
    }
    caller.log
}

/// What the caller of the machine may be asked for next.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing but commands.
    Commands,
    /// 220 to STARTTLS; the handshake begins when the flight is over.
    Handshake,
    /// 354 was said.
    Data,
    /// The header was judged `Keep`: this is what came of the message so far.
    Kept(Vec<u8>),
    /// All of it came, and was stored.
    Stored,
    /// The message was refused, by the machine or by the judge.
    Refused,
    /// The machine has closed.
    Closed,
}

struct Caller {
    server: Server,
    config: ServerConfig,
    trusted: bool,
    log: Vec<String>,
    stage: Stage,
    /// A chunk was taken, and nothing has come of the next one.
    between_chunks: bool,
}

impl Caller {
    fn poll(&mut self, fed: &[u8]) {
        // Every step uses an octet, or ends one of a few stages.
        for _ in 0..fed.len() * 4 + 64 {
            let step = self.server.poll();
            self.read_output(&step);
            if step == Step::GivenUp {
                assert!(self.between_chunks, "given up at {:?}", self.stage);
                self.stage = Stage::Commands;
            }
            if !matches!(step, Step::NeedInput | Step::Flush) {
                self.between_chunks = false;
            }
            match step {
                Step::NeedInput => return,
                Step::Flush => {}
                Step::GivenUp => self.log.push("given up".to_owned()),
                Step::StartTls => {
                    assert!(self.stage == Stage::Commands && !self.server.is_secured() && self.config.tls_available);
                    assert!(!self.server.in_transaction(), "STARTTLS in a transaction");
                    // H10: no 220 where octets came with it. Of the command itself there may be a part.
                    let last = fed.split_inclusive(|octet| *octet == b'\n').next_back().unwrap_or_default();
                    let command = last.trim_ascii().to_ascii_uppercase();
                    assert!(b"STARTTLS".ends_with(&command), "a 220 with {} behind it", last.escape_ascii());
                    self.stage = Stage::Handshake;
                    return;
                }
                Step::Header(ready) => self.judge(&ready),
                Step::Content(octets) => {
                    let Stage::Kept(message) = &mut self.stage else { panic!("content at {:?}", self.stage) };
                    assert!(!octets.is_empty() && octets.len() <= 64 * 1_024);
                    message.extend_from_slice(&octets);
                }
                Step::EndOfData { size, eight_bit } => self.store(size, eight_bit),
                Step::Refused(reply) => {
                    let stages = matches!(self.stage, Stage::Commands | Stage::Data | Stage::Kept(_));
                    assert!(stages, "refused at {:?}", self.stage);
                    assert!(reply.code >= 400, "refused with {reply:?}");
                    self.log.push(format!("refused {reply}"));
                    self.stage = Stage::Refused;
                }
                Step::Close => {
                    self.log.push("close".to_owned());
                    self.stage = Stage::Closed;
                    return;
                }
            }
        }
        panic!("the machine never comes to rest");
    }

    fn read_output(&mut self, step: &Step) {
        let output = std::mem::take(self.server.output());
        assert!(output.is_empty() || output.ends_with(b"\r\n"), "half a reply");
        assert!(output.len() <= OUTPUT_MAX, "{} octets of replies wait", output.len());
        let output = String::from_utf8(output).expect("replies are ASCII");
        for line in output.split_terminator("\r\n") {
            let text = line.get(4..).unwrap_or_default();
            assert!(line.len() <= 510 && text.bytes().all(|octet| (b' '..=b'~').contains(&octet)), "{line:?}");
            match line.get(..4) {
                Some("354 ") => self.stage = Stage::Data,
                _ if line == "250 2.0.0 chunk taken" => self.between_chunks = true,
                // Of a command between two chunks.
                Some(_) if self.between_chunks => {}
                // Answers to the data that the machine gives by itself, and to what the caller said.
                Some(code) if code.ends_with(' ') && self.stage != Stage::Handshake => {
                    let unstored = matches!(self.stage, Stage::Data | Stage::Kept(_) | Stage::Refused);
                    assert!(!unstored || !line.starts_with('2'), "{line:?} to a message that is not stored (H1)");
                    if !matches!(self.stage, Stage::Closed) {
                        self.stage = Stage::Commands;
                    }
                }
                _ => {}
            }
            // H10 depends on what came in one piece by its nature; see `flight_ended`.
            let of_starttls = *step == Step::StartTls && line.starts_with("220 ");
            if !of_starttls {
                self.log.push(line.to_owned());
            }
        }
    }

    /// The handshake begins when the client has sent all it wanted to send before it. Octets behind STARTTLS end the
    /// session, by 523 if they came with it and without a word if they came later; both are told alike here.
    fn flight_ended(&mut self) {
        if self.log.iter().rev().nth(1).is_some_and(|line| line.starts_with("523 5.7.10")) {
            self.log.truncate(self.log.len() - 2);
            self.log.push("octets behind STARTTLS".to_owned());
        }
        if self.stage != Stage::Handshake {
            return;
        }
        assert_eq!(self.server.poll(), Step::NeedInput, "nothing is obeyed before the handshake");
        self.server.tls_established();
        self.stage = Stage::Commands;
        if self.server.poll() == Step::Close {
            self.log.push("octets behind STARTTLS".to_owned());
            self.stage = Stage::Closed;
        } else {
            assert!(self.server.is_secured() && !self.server.in_transaction());
            self.log.push("secured".to_owned());
        }
        assert!(self.server.output().is_empty(), "something is said around the handshake");
    }

    fn judge(&mut self, ready: &HeaderReady) {
        // Behind a 354, or of a chunk.
        assert!(matches!(self.stage, Stage::Data | Stage::Commands), "a header at {:?}", self.stage);
        let HeaderReady { envelope, greeting, secured, header } = ready;
        assert_eq!(*secured, self.server.is_secured());
        assert!(header.len() <= HEADER_MAX && !has_bare_line_end(header) && !header.contains(&0));
        assert!((1..=RECIPIENTS_MAX).contains(&envelope.recipients.len()));
        let ours = |mailbox: &Mailbox| {
            self.config.hosted.settings_of(mailbox).is_some() || mailbox.domain == self.config.hostname
        };
        assert!(self.trusted || envelope.recipients.iter().all(ours), "an open relay: {:?}", envelope.recipients);
        self.log.push(format!("header {envelope:?} {greeting:?} {}", header.escape_ascii()));
        let refuse = header.windows(6).any(|octets| octets == b"refuse");
        self.server.header_judged(if refuse {
            Disposition::Refuse(Reply::new(550, (7, 10), "refused by the judge"))
        } else {
            Disposition::Keep
        });
        self.stage = if refuse { Stage::Refused } else { Stage::Kept(header.clone()) };
    }

    fn store(&mut self, size: u64, eight_bit: bool) {
        let Stage::Kept(message) = &self.stage else { panic!("the data ends at {:?}", self.stage) };
        // The blank line is in neither header nor content.
        let octets = message.len() as u64;
        assert!(size <= MESSAGE_MAX && (size == octets || size == octets + 2), "{size} is not {octets}");
        assert!(!has_bare_line_end(message) && !message.contains(&0), "H11: {}", message.escape_ascii());
        assert_eq!(eight_bit, !message.is_ascii());
        self.log.push(format!("message of {size}: {}", message.escape_ascii()));
        self.server.content_stored(Reply::new(250, (0, 0), "stored"));
        self.stage = Stage::Stored;
    }
}
