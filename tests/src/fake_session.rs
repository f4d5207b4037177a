//! One session of the scripted peer: an SMTP server of a page, in clear and in TLS, and the record of what it heard.
//!
//! It is lenient on purpose: it answers whatever comes, so that a fault of the other side is recorded, not hidden.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::fake_peer::{Action, END_OF_DATA, GREETING, Handshake, Shared, lock};
use crate::wait;

/// Everything one session heard.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Every octet that came over the socket: clear text, then TLS records.
    pub wire: Vec<u8>,
    /// Where in `wire` clear text ended, by our 220 to STARTTLS.
    pub tls_from: Option<usize>,
    /// Every octet that came inside TLS.
    pub secured: Vec<u8>,
    /// The TLS that came about.
    pub tls: Option<TlsSeen>,
    /// Why no TLS came about, in rustls's words, if it was tried.
    pub handshake_error: Option<String>,
    /// The messages accepted.
    pub messages: Vec<Received>,
    /// Whether the connection is closed.
    pub ended: bool,
}

/// What the peer sees of a finished handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSeen {
    /// `TLSv1_2` or `TLSv1_3`.
    pub version: String,
    /// The name asked for (SNI).
    pub server_name: Option<String>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
}

/// One accepted message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// What followed `MAIL FROM:`, parameters included.
    pub mail_from: String,
    /// What followed each accepted `RCPT TO:`.
    pub recipients: Vec<String>,
    /// The content as sent, dots still doubled, without the last line.
    pub data: String,
    /// Whether it came by TLS.
    pub by_tls: bool,
}

impl Session {
    /// What was said before TLS; all of it, if TLS was never begun.
    pub fn clear(&self) -> String {
        let end = self.tls_from.unwrap_or(self.wire.len());
        String::from_utf8_lossy(&self.wire[..end]).into_owned()
    }

    /// What was said inside TLS.
    pub fn secured(&self) -> String {
        String::from_utf8_lossy(&self.secured).into_owned()
    }

    /// Whether a MAIL command went over the wire in clear, before TLS or after a failed handshake.
    pub fn mail_in_clear(&self) -> bool {
        self.wire.to_ascii_uppercase().windows(9).any(|octets| octets == b"MAIL FROM")
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "in clear:\n{}\nTLS: {:?} {:?}", self.clear(), self.tls, self.handshake_error)?;
        write!(f, "in TLS:\n{}", self.secured())
    }
}

/// Serves one connection until it is closed.
pub(crate) fn serve(stream: TcpStream, shared: &Arc<Shared>, number: usize) {
    let mut tap = Tap { stream, shared: Arc::clone(shared), number };
    // An error is the other side's end of the connection: the record tells what was heard until then.
    let _ended = serve_clear(&mut tap);
    let _gone = tap.stream.shutdown(Shutdown::Both);
}

fn serve_clear(tap: &mut Tap) -> io::Result<()> {
    let implicit = {
        let script = lock(&tap.shared.script);
        script.tls.clone().filter(|_| script.implicit_tls)
    };
    if let Some(config) = implicit {
        tap.shared.note(tap.number, |session| session.tls_from = Some(0));
        return serve_tls(tap, config, |secured| hello(secured));
    }
    hello(tap)?;
    if converse(tap)? == After::Close {
        return Ok(());
    }
    let (handshake, config) = {
        let script = lock(&tap.shared.script);
        (script.handshake.clone(), script.tls.clone())
    };
    let behind = if let Handshake::PlaintextBehind(text) = &handshake { text.as_str() } else { "" };
    tap.shared.note(tap.number, |session| session.tls_from = Some(session.wire.len()));
    tap.write_all(format!("220 2.0.0 Ready to start TLS\r\n{behind}").as_bytes())?;

    let mut octets = [0; 4096];
    match (handshake, config) {
        (Handshake::Complete | Handshake::PlaintextBehind(_), Some(config)) => serve_tls(tap, config, |_| Ok(())),
        (Handshake::Abort, _) => tap.read(&mut octets).map(drop),
        (Handshake::Garbage, _) => {
            let _hello = tap.read(&mut octets)?;
            tap.write_all(b"\x00\xffthis is not TLS\r\n")?;
            drain(tap)
        }
        (Handshake::Elsewhere(server), _) => pass_on(tap, server),
        (Handshake::Hold | Handshake::Complete | Handshake::PlaintextBehind(_), _) => drain(tap),
    }
}

/// Greets.
fn hello<W: Wire>(wire: &mut W) -> io::Result<()> {
    match wire.action(GREETING) {
        Some(action) => act(wire, &action),
        None => say(wire, "220 scripted.test ESMTP"),
    }
}

/// A handshake, what `first` says, and a conversation.
fn serve_tls(
    tap: &mut Tap,
    config: Arc<ServerConfig>,
    first: impl FnOnce(&mut Secured<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut connection = ServerConnection::new(config).map_err(io::Error::other)?;
    while connection.is_handshaking() {
        if let Err(why) = connection.complete_io(tap) {
            tap.shared.note(tap.number, |session| session.handshake_error = Some(why.to_string()));
            return drain(tap);
        }
    }
    let seen = TlsSeen {
        version: connection.protocol_version().map(|version| format!("{version:?}")).unwrap_or_default(),
        server_name: connection.server_name().map(str::to_owned),
        resumed: connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
    };
    tap.shared.note(tap.number, |session| session.tls = Some(seen));
    let mut secured = Secured(StreamOwned::new(connection, tap));
    let outcome = first(&mut secured).and_then(|()| converse(&mut secured)).map(drop);
    secured.0.conn.send_close_notify();
    // The other side may be gone already.
    let _flushed = secured.0.flush();
    outcome
}

/// Passes octets between the client and this server until one of them closes.
fn pass_on(tap: &mut Tap, server: SocketAddr) -> io::Result<()> {
    let mut server = TcpStream::connect(server)?;
    let (mut answers, mut client) = (server.try_clone()?, tap.stream.try_clone()?);
    let answering = thread::spawn(move || {
        let _ended = io::copy(&mut answers, &mut client);
        client.shutdown(Shutdown::Both)
    });
    let passed = io::copy(tap, &mut server);
    // It may have closed already.
    let _gone = server.shutdown(Shutdown::Both);
    let _panicked = answering.join();
    passed.map(drop)
}

/// A stream that a conversation runs over, clear or secured.
trait Wire: Read + Write {
    fn tap(&self) -> &Tap;
    const IN_TLS: bool;

    fn action(&self, command: &str) -> Option<Action> {
        let action = || lock(&self.tap().shared.script).take(command, Self::IN_TLS);
        let become_another = || match action() {
            Some(Action::Wait) => None,
            other => Some(other),
        };
        wait::until(wait::PATIENCE, "the peer to become another", become_another)
    }
}

/// The socket, everything read from it kept.
struct Tap {
    stream: TcpStream,
    shared: Arc<Shared>,
    number: usize,
}

impl Read for Tap {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.stream.read(into)?;
        self.shared.note(self.number, |session| session.wire.extend_from_slice(&into[..length]));
        Ok(length)
    }
}

impl Write for Tap {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.stream.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Wire for Tap {
    const IN_TLS: bool = false;
    fn tap(&self) -> &Tap {
        self
    }
}

/// TLS over a tap, everything read from it kept besides.
struct Secured<'a>(StreamOwned<ServerConnection, &'a mut Tap>);

impl Read for Secured<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.0.read(into)?;
        self.tap().shared.note(self.tap().number, |session| session.secured.extend_from_slice(&into[..length]));
        Ok(length)
    }
}

impl Write for Secured<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Wire for Secured<'_> {
    const IN_TLS: bool = true;
    fn tap(&self) -> &Tap {
        self.0.sock
    }
}

/// How a conversation ended.
#[derive(PartialEq, Eq)]
enum After {
    Close,
    StartTls,
}

/// Answers commands until QUIT, the end of the connection, or a STARTTLS that is ours to accept.
fn converse<W: Wire>(wire: &mut W) -> io::Result<After> {
    let mut lines = Lines::default();
    let mut message = None;
    while let Some(line) = lines.next(wire)? {
        let command = line.trim_end().to_owned();
        let scripted = wire.action(&command);
        let verb = command.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let offers = !W::IN_TLS && lock(&wire.tap().shared.script).offers_starttls;
        match (verb.as_str(), scripted) {
            (_, Some(action)) => act(wire, &action)?,
            ("EHLO", None) => greet(wire, offers)?,
            ("STARTTLS", None) if offers => return Ok(After::StartTls),
            ("HELO" | "NOOP", None) => say(wire, "250 2.0.0 ok")?,
            ("RSET", None) => {
                message = None;
                say(wire, "250 2.0.0 ok")?;
            }
            ("MAIL", None) => {
                message = Some(new_message(&command, W::IN_TLS));
                say(wire, "250 2.1.0 ok")?;
            }
            ("RCPT", None) => {
                let to = command.split_once(':').map_or("", |(_, to)| to).to_owned();
                message.iter_mut().for_each(|message| message.recipients.push(to.clone()));
                say(wire, "250 2.1.5 ok")?;
            }
            ("DATA", None) => take_data(wire, &mut lines, message.take())?,
            ("QUIT", None) => {
                say(wire, "221 2.0.0 bye")?;
                return Ok(After::Close);
            }
            _ => say(wire, "502 5.5.1 not implemented")?,
        }
    }
    Ok(After::Close)
}

fn greet<W: Wire>(wire: &mut W, offers_starttls: bool) -> io::Result<()> {
    let mut lines = vec!["scripted.test".to_owned()];
    lines.extend(lock(&wire.tap().shared.script).extensions.clone());
    lines.extend(offers_starttls.then(|| "STARTTLS".to_owned()));
    let last = lines.len() - 1;
    let lines = lines.iter().enumerate().map(|(at, line)| format!("250{}{line}", if at == last { ' ' } else { '-' }));
    say(wire, &lines.collect::<Vec<_>>().join("\r\n"))
}

fn new_message(command: &str, by_tls: bool) -> Received {
    let mail_from = command.split_once(':').map_or("", |(_, from)| from).to_owned();
    Received { mail_from, recipients: Vec::new(), data: String::new(), by_tls }
}

fn take_data<W: Wire>(wire: &mut W, lines: &mut Lines, message: Option<Received>) -> io::Result<()> {
    say(wire, "354 go on")?;
    let mut data = String::new();
    loop {
        let Some(line) = lines.next(wire)? else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        if line == ".\r\n" {
            break;
        }
        data.push_str(&line);
    }
    if let Some(action) = wire.action(END_OF_DATA) {
        return act(wire, &action);
    }
    if let Some(message) = message {
        let number = wire.tap().number;
        wire.tap().shared.note(number, |session| session.messages.push(Received { data, ..message }));
    }
    say(wire, "250 2.0.0 taken")
}

/// Does what the script says. `Drop` and `Hold` end the session, by an error.
fn act<W: Wire>(wire: &mut W, action: &Action) -> io::Result<()> {
    match action {
        Action::Reply(text) => say(wire, text),
        Action::Drop => Err(io::ErrorKind::ConnectionAborted.into()),
        Action::Hold => drain(wire).and(Err(io::ErrorKind::TimedOut.into())),
        // Waited for before; nobody acts on it.
        Action::Wait => Ok(()),
    }
}

fn say(wire: &mut impl Write, text: &str) -> io::Result<()> {
    wire.write_all(format!("{text}\r\n").as_bytes())?;
    wire.flush()
}

/// Reads, and thereby records, until the other side closes.
fn drain(from: &mut impl Read) -> io::Result<()> {
    io::copy(from, &mut io::sink()).map(drop)
}

/// Lines out of octets; what came behind a line is held for the next.
#[derive(Default)]
struct Lines {
    held: Vec<u8>,
}

impl Lines {
    /// The next line with its end, or `None` at the end of the connection.
    fn next(&mut self, from: &mut impl Read) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.held.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
            let mut octets = [0; 4096];
            match from.read(&mut octets)? {
                0 => return Ok(None),
                length => self.held.extend_from_slice(&octets[..length]),
            }
        }
    }
}
