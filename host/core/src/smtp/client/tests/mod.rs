//! Transcripts, whole and octet by octet. `S:` the server says, `C:` the client has said, `!` a step, `>` the caller.

use super::*;
use crate::facts::{ChainVerdict, Handshake, TlsVersion};
use crate::floor::{Cleared, TlsFloor, TlsProof};

mod auth;
mod chunk;
mod hostile;
mod transcripts;

const CONNECTION: ConnectionId = ConnectionId(7);

fn permit(connection: ConnectionId) -> Permit {
    let floor = TlsFloor::of_finished_chain([]);
    floor.permit(&TlsProof::of_nothing(connection), Cleared::by_the_whole_chain()).expect("an empty floor")
}

fn client(implicit_tls: bool, must_authenticate: bool) -> Client {
    let hello_name = Domain::parse("relay.example").expect("a domain");
    Client::new(ClientConfig { hello_name, connection: CONNECTION, implicit_tls, must_authenticate })
}

/// Of a good proof; what makes one is tested beside it.
fn auth_permit(connection: ConnectionId) -> AuthPermit {
    let handshake = Handshake {
        version: TlsVersion::TLS13,
        cipher_suite: "TLS_AES_128_GCM_SHA256".into(),
        key_exchange: "x25519".into(),
        server_name: None,
        implicit: false,
        resumed: false,
        chain: ChainVerdict::Trusted,
        name_matches: true,
        certificates: Vec::new(),
        dane: None,
        revocation: Default::default(),
    };
    let proof = TlsProof::of_handshake(connection, std::sync::Arc::new(handshake));
    AuthPermit::of(&proof, &[]).expect("a good proof")
}

/// `send a@x b@y from s@z size 9 eight-bit`; without `from`, the null reverse-path.
fn outgoing(words: &str) -> Outgoing {
    let mut message = Outgoing { size: 5, ..Outgoing::default() };
    let mut words = words.split_whitespace();
    let mailbox = |text: &str| Mailbox::parse(text).expect("a mailbox");
    while let Some(word) = words.next() {
        match word {
            "from" => message.sender = words.next().map(mailbox),
            "size" => message.size = words.next().and_then(|n| n.parse().ok()).expect("a size"),
            "eight-bit" => message.eight_bit = true,
            "requiretls" => message.require_tls = true,
            "octets" => message.octets = words.next().and_then(|n| n.parse().ok()),
            "international" => message.international = true,
            "envid" => message.dsn.envid = words.next().map(str::to_owned),
            "ret" => message.dsn.ret = words.next().and_then(|ret| ret.parse().ok()),
            "notify" => {
                let position = message.recipients.len() as u32 - 1;
                let notify = words.next().and_then(|notify| notify.parse().ok());
                message.dsn.recipients.entry(position).or_default().notify = notify;
            }
            recipient => message.recipients.push(mailbox(recipient)),
        }
    }
    message
}

struct Play {
    client: Client,
    said: String,
    steps: VecDeque<String>,
}

impl Play {
    fn poll(&mut self) {
        loop {
            let step = self.client.poll();
            let done = matches!(step, ClientStep::NeedInput | ClientStep::Closed);
            self.said.push_str(&String::from_utf8_lossy(&std::mem::take(self.client.output())));
            match step {
                ClientStep::NeedInput => {}
                // Said again and again; told once.
                ClientStep::Closed if self.steps.back().is_some_and(|last| last == "closed") => {}
                step => self.steps.push_back(in_words(&step)),
            }
            if done {
                return;
            }
        }
    }

    fn act(&mut self, action: &str) {
        let (verb, rest) = action.split_once(' ').unwrap_or((action, ""));
        let text = || rest.replace("\\r", "\r").replace("\\n", "\n");
        let mut outcome = Ok(());
        match verb {
            "starttls" => outcome = self.client.start_tls(),
            "established" => self.client.tls_established(),
            "auth" => {
                let (user, password) = rest.split_once(' ').expect("user and password");
                let password = password.replace("LONG", &"x".repeat(250));
                let credentials = Credentials::new(user, password).expect("good ones");
                outcome = self.client.authenticate(auth_permit(CONNECTION), &credentials);
            }
            "send" => outcome = self.client.send(permit(CONNECTION), &outgoing(rest)),
            "content" => outcome = self.client.content(text().as_bytes()),
            "end" => outcome = self.client.content_end(),
            "reset" => outcome = self.client.reset(),
            "quit" => self.client.quit(),
            "lost" => self.client.lost(rest),
            other => panic!("no such action: {other}"),
        }
        if let Err(misuse) = outcome {
            self.steps.push_back(format!("{misuse:?}"));
        }
        self.poll();
    }
}

fn in_words(step: &ClientStep) -> String {
    match step {
        ClientStep::NeedInput => "need input".into(),
        ClientStep::StartTls => "handshake".into(),
        ClientStep::Ready => "ready".into(),
        ClientStep::Authenticated => "authenticated".into(),
        ClientStep::NotAuthenticated(failure) => format!("not authenticated: {failure}"),
        ClientStep::SendContent => "content".into(),
        ClientStep::Closed => "closed".into(),
        ClientStep::Finished(result) => {
            let each = result.recipients.iter().map(|recipient| match recipient {
                RecipientResult::Delivered(reply) => format!("delivered {}", reply.code),
                RecipientResult::Refused { reply, by_peer: true } => format!("refused {}", reply.code),
                RecipientResult::Refused { reply, by_peer: false } => {
                    format!("unsent {}", reply.enhanced.expect("ours has one"))
                }
                RecipientResult::Deferred(reply) => format!("deferred {}", reply.code),
                RecipientResult::Unanswered { maybe_delivered: false, .. } => "unanswered".into(),
                RecipientResult::Unanswered { maybe_delivered: true, .. } => "maybe".into(),
            });
            format!("finished: {}", each.collect::<Vec<_>>().join(", "))
        }
        ClientStep::Failed(failure) => {
            let kind = match failure.kind {
                FailureKind::Refused => "refused",
                FailureKind::ServiceClosing => "closing",
                FailureKind::Protocol(_) => "protocol",
                FailureKind::Lost(_) => "lost",
                FailureKind::Content => "content",
            };
            format!("failed: {kind} at {:?}", failure.at)
        }
    }
}

/// Plays a transcript twice: what the server says in whole flights, and octet by octet.
fn play(transcript: &str) {
    for by_octet in [false, true] {
        play_cut(transcript, by_octet);
    }
}

fn play_cut(transcript: &str, by_octet: bool) {
    let (implicit, after_login) = (transcript.contains("> implicit"), transcript.contains("> after login"));
    let mut play = Play { client: client(implicit, after_login), said: String::new(), steps: VecDeque::new() };
    let mut lines = transcript
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !["> implicit", "> after login"].contains(l))
        .peekable();
    while let Some(line) = lines.next() {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            "S:" => {
                let mut flight = format!("{rest}\r\n");
                while let Some(more) = lines.peek().and_then(|line| line.strip_prefix("S:")) {
                    flight.push_str(&format!("{}\r\n", more.trim_start()));
                    lines.next();
                }
                for piece in flight.as_bytes().chunks(if by_octet { 1 } else { flight.len() }) {
                    play.client.input(piece);
                    play.poll();
                }
            }
            "C:" => {
                let expected = format!("{rest}\r\n");
                let said = play.said.strip_prefix(&expected);
                play.said = said.unwrap_or_else(|| panic!("{line:?}, but {:?}\n{transcript}", play.said)).to_owned();
            }
            "!" => assert_eq!(play.steps.pop_front().as_deref(), Some(rest), "by octet: {by_octet}\n{transcript}"),
            ">" => play.act(rest),
            _ => panic!("neither S:, C:, ! nor >: {line:?}"),
        }
    }
    assert_eq!(
        (play.said.as_str(), play.steps),
        ("", VecDeque::new()),
        "left over, by octet: {by_octet}\n{transcript}"
    );
}

/// EHLO done, with these extensions; each transcript then begins at `ready`.
fn after_ehlo(extensions: &str, rest: &str) {
    let offered: Vec<&str> = extensions.split_whitespace().collect();
    let offered: Vec<String> = offered.iter().map(|word| format!("S: 250-{}\n", word.replace('=', " "))).collect();
    play(&format!("S: 220 mx\nC: EHLO relay.example\nS: 250-mx\n{}S: 250 HELP\n! ready\n{rest}", offered.concat()));
}
