//! The server's tests read as transcripts: `C:` a line of the client with its CR LF, `c:` octets without one, `S:` a line
//! of the server, `E:` what the caller was told to do. `\r \n \0 \xNN` stand for octets.
//!
//! Every transcript is run whole, octet by octet, and cut in two at every octet; the outcome must not differ.

mod chunks;
mod fuzz;
mod hostile;
mod transcripts;

use super::*;

fn limits() -> Limits {
    Limits { message_size_max: 1_000, ..Limits::default() }
}

fn config(limits: Limits) -> ServerConfig {
    let domain = |text: &str| crate::address::Domain::parse(text).expect("a domain");
    let mailbox = |text: &str| crate::address::Mailbox::parse(text).expect("a mailbox");
    let domains = [("hosted.example", 0), ("b\u{fc}cher.example", 0), ("strict.example", 1)];
    let domains = domains.map(|(name, settings)| (domain(name), settings)).into();
    let hosted = Hosted::new(domains, [(mailbox("boss@hosted.example"), 1)].into());
    ServerConfig { hostname: domain("mx.sealwire.example"), hosted, tls_available: true, limits }
}

fn server(config: ServerConfig, trusted: bool) -> Server {
    Server::new(Arc::new(config), ClientIdentity { address: [192, 0, 2, 1].into(), trusted })
}

/// A caller that does what it is told and writes everything down.
struct Caller {
    server: Server,
    log: String,
    content: Vec<u8>,
    closed: bool,
}

impl Caller {
    fn new(mut server: Server) -> Caller {
        server.greet();
        let mut caller = Caller { server, log: String::new(), content: Vec::new(), closed: false };
        caller.poll();
        caller
    }

    fn feed(&mut self, octets: &[u8]) {
        if !self.closed {
            self.server.input(octets);
            self.poll();
        }
    }

    fn event(&mut self, text: &str) {
        self.log.push_str(&format!("E: {text}\n"));
    }

    fn poll(&mut self) {
        loop {
            let step = self.server.poll();
            let output = std::mem::take(self.server.output());
            assert!(output.ends_with(b"\r\n") || output.is_empty());
            for line in String::from_utf8(output).expect("ASCII").split_terminator("\r\n") {
                assert!(!line.contains(['\r', '\n']) && line.len() <= 510, "{line:?}");
                self.log.push_str(&format!("S: {line}\n"));
            }
            match step {
                Step::NeedInput => return,
                Step::Flush => {}
                Step::StartTls => {
                    self.event("starttls");
                    self.server.tls_established();
                    // Nothing that follows in this transcript line was fed yet.
                    return;
                }
                Step::Header(ready) => self.judge(&ready),
                Step::Content(octets) => {
                    assert!(!octets.is_empty() && octets.len() <= 64 * 1_024);
                    self.content.extend_from_slice(&octets);
                }
                Step::EndOfData { size, eight_bit } => {
                    let content = std::mem::take(&mut self.content).escape_ascii().to_string();
                    let eight_bit = if eight_bit { " 8bit" } else { "" };
                    self.event(&format!("content \"{content}\" size {size}{eight_bit}"));
                    self.server.content_stored(Reply::new(250, (0, 0), "queued as 1"));
                }
                Step::GivenUp => {
                    self.content.clear();
                    self.event("given up");
                }
                Step::Refused(reply) => {
                    self.content.clear();
                    self.event(&format!("refused {}", reply.code));
                }
                Step::Close => {
                    self.content.clear();
                    self.closed = true;
                    return self.event("close");
                }
            }
        }
    }

    fn judge(&mut self, ready: &HeaderReady) {
        let Envelope { sender, recipients, declared_size, declared_eight_bit, require_tls, smtp_utf8, dsn } =
            &ready.envelope;
        let sender = sender.as_ref().map(ToString::to_string).unwrap_or_default();
        let recipients: Vec<String> = recipients.iter().map(ToString::to_string).collect();
        let mut text = format!("header \"{}\" <{sender}> to {}", ready.header.escape_ascii(), recipients.join(" "));
        text += &declared_size.map(|size| format!(" size {size}")).unwrap_or_default();
        text += if *declared_eight_bit { " 8bit" } else { "" };
        text += if *require_tls { " requiretls" } else { "" };
        text += if *smtp_utf8 { " utf8" } else { "" };
        text += &dsn.mail_parameters();
        text += &(0..).zip(&recipients).map(|(i, _)| dsn.rcpt_parameters(i, true)).collect::<String>();
        text += if ready.greeting.extended { "" } else { " by HELO" };
        text += if ready.secured { " secured" } else { "" };
        self.event(&text);
        let refuse = ready.header.windows(9).any(|octets| octets == b"refuse-me");
        let refusal = Reply::new(550, (7, 10), "no");
        self.server.header_judged(if refuse { Disposition::Refuse(refusal) } else { Disposition::Keep });
    }
}

/// The client's octets, in parts between which the client must wait, and the expected log.
fn read(transcript: &str) -> (Vec<Vec<u8>>, String) {
    let (mut parts, mut log) = (vec![Vec::new()], String::new());
    for line in transcript.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
        let part = parts.last_mut().expect("never empty");
        if let Some(text) = line.strip_prefix("C:") {
            part.extend_from_slice(&unescape(text.strip_prefix(' ').unwrap_or(text)));
            part.extend_from_slice(b"\r\n");
        } else if let Some(text) = line.strip_prefix("c: ") {
            part.extend_from_slice(&unescape(text));
        } else {
            log.push_str(line);
            log.push('\n');
            if line == "E: starttls" {
                parts.push(Vec::new());
            }
        }
    }
    (parts, log)
}

fn unescape(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let (octet, used) = match (first, behind) {
            (b'\\', [b'n', ..]) => (b'\n', 2),
            (b'\\', [b'r', ..]) => (b'\r', 2),
            (b'\\', [b'0', ..]) => (0, 2),
            (b'\\', [b'x', high, low, ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).expect("two digits");
                (u8::from_str_radix(digits, 16).expect("two digits"), 4)
            }
            _ => (*first, 1),
        };
        octets.push(octet);
        rest = &rest[used..];
    }
    octets
}

/// Runs the parts, each cut into pieces by `cut`.
fn run(server: Server, parts: &[Vec<u8>], cut: impl Fn(&[u8], usize) -> Vec<Vec<u8>>) -> String {
    let mut caller = Caller::new(server);
    let mut offset = 0;
    for part in parts {
        for piece in cut(part, offset) {
            caller.feed(&piece);
        }
        offset += part.len();
    }
    caller.log
}

fn check_with(config: &ServerConfig, trusted: bool, transcript: &str) {
    let (parts, expected) = read(transcript);
    let server = || server(config.clone(), trusted);
    let whole = run(server(), &parts, |part, _| vec![part.to_vec()]);
    assert_eq!(whole, expected, "whole:\n{whole}");
    let single = run(server(), &parts, |part, _| part.iter().map(|&octet| vec![octet]).collect());
    assert_eq!(single, expected, "octet by octet");
    for at in 0..parts.iter().map(Vec::len).sum() {
        let halves = run(server(), &parts, |part, offset| {
            let (head, tail) = part.split_at(at.saturating_sub(offset).min(part.len()));
            vec![head.to_vec(), tail.to_vec()]
        });
        assert_eq!(halves, expected, "cut at octet {at}");
    }
}

/// An untrusted client and small limits.
fn check(transcript: &str) {
    check_with(&config(limits()), false, transcript);
}
