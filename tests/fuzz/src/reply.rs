//! Replies (`core::smtp::reply_reader`, `core::reply`) and the machine that asks for them (`core::smtp::client`).
//!
//! Replies are the same however their octets were cut; what is read of them is bounded and printable, and written again it
//! is read as the same. A session ends for any octets; it says MAIL once at most for each permit it was given and never
//! without one (H2); every message it took is settled once, for each recipient; nobody is told that a message was
//! delivered before its end was sent; nothing is said between STARTTLS and the handshake (H10).

use sealwire_core::address::{Domain, Mailbox};
use sealwire_core::decision::{JudgeCall, Judgement, PlanCall, Standing, join_judges, join_plans};
use sealwire_core::floor::{ConnectionId, Permit, TlsProof};
use sealwire_core::reply::{REPLY_LINE_MAX, Reply};
use sealwire_core::smtp::client::{Client, ClientConfig, ClientStep, Outgoing, RecipientResult};
use sealwire_core::smtp::line::LINE_MAX;
use sealwire_core::smtp::reply_reader::{REPLY_LINES_MAX, ReplyReader};

use crate::input::{find, flights, pieces};

const CONNECTION: ConnectionId = ConnectionId(1);
/// Messages the caller has for this host.
const MESSAGES: usize = 2;
/// What it says in one session: four messages' worth of commands and content.
const SAID_MAX: usize = 8 * 1_024;
const CONTENT: &[u8] = b"Subject: x\r\n\r\n.\r\n..\r\nDATA\r\nlast";

/// Replies alone, and as answers in a session.
pub fn reply(octets: &[u8]) {
    let (seed, flights) = flights(octets);
    let all = flights.concat();
    let whole = replies(&[&all]);
    assert_eq!(whole, replies(&pieces(seed, &all)), "replies depend on how they were cut (seed {seed})");
    for reply in whole.iter().filter_map(|read| read.as_ref().ok()) {
        one_reply(reply);
    }
    let whole = session(seed, &flights, |flight| vec![flight], false);
    let cut = session(seed, &flights, |flight| pieces(seed, flight), false);
    assert_eq!(whole, cut, "the session depends on how it was cut (seed {seed})");
    // Who sends the content at once cannot know what else the peer says meanwhile: another session, the same promises.
    session(seed, &flights, |flight| vec![flight], true);
}

/// Up to the first fault.
fn replies(pieces: &[&[u8]]) -> Vec<Result<Reply, String>> {
    let mut reader = ReplyReader::default();
    let mut read = Vec::new();
    for piece in pieces {
        reader.push(piece);
        loop {
            match reader.next_reply() {
                Ok(Some(reply)) => read.push(Ok(reply)),
                Ok(None) => break,
                Err(fault) => {
                    read.push(Err(fault.to_string()));
                    reader.push(b"250 behind a fault\r\n");
                    assert_eq!(reader.next_reply(), Err(fault), "something is read behind a fault");
                    return read;
                }
            }
        }
    }
    read
}

fn one_reply(reply: &Reply) {
    let lines: Vec<&str> = reply.text.split('\n').collect();
    assert!((200..=599).contains(&reply.code) && lines.len() <= REPLY_LINES_MAX, "{reply:?}");
    // One octet that is not UTF-8 is shown as three.
    assert!(lines.iter().all(|line| line.len() <= LINE_MAX * 3 && !line.chars().any(char::is_control)), "{reply:?}");
    assert!(reply.enhanced.is_none_or(|enhanced| u16::from(enhanced.0) == reply.code / 100), "{reply:?}");
    let prefix = 4 + reply.enhanced.map_or(0, |enhanced| enhanced.to_string().len() + 1);
    let mut written = Vec::new();
    reply.write(&mut written);
    assert!(written.split_inclusive(|octet| *octet == b'\n').all(|line| line.len() <= REPLY_LINE_MAX), "{reply:?}");
    // A longer line is wrapped, and is another reply then.
    if lines.iter().all(|line| prefix + line.len() + 2 <= REPLY_LINE_MAX) {
        assert_eq!(replies(&[&written]), [Ok(reply.clone())], "written as {}", written.escape_ascii());
    }
}

fn session<'a>(seed: u8, flights: &'a [Vec<u8>], cut: impl Fn(&'a [u8]) -> Vec<&'a [u8]>, eager: bool) -> Vec<String> {
    let hello_name = Domain::parse("relay.example").expect("a domain");
    let config =
        ClientConfig { hello_name, connection: CONNECTION, implicit_tls: seed & 1 != 0, must_authenticate: false };
    let mut caller = Caller {
        client: Client::new(config),
        wants_tls: seed & 2 == 0,
        permits: if seed & 4 == 0 { MESSAGES } else { 0 },
        permits_used: 0,
        unsettled: None,
        end_sent: false,
        answered: false,
        eager,
        said: Vec::new(),
        log: Vec::new(),
        next: ClientStep::NeedInput,
    };
    for flight in flights {
        for piece in cut(flight) {
            caller.answered = caller.end_sent;
            caller.client.input(piece);
            caller.poll(piece.len());
        }
        caller.act();
    }
    caller.client.lost("the connection ended");
    caller.poll(0);
    assert_eq!(caller.client.poll(), ClientStep::Closed, "the session does not end");
    assert!(caller.unsettled.is_none(), "a message was never settled");
    caller.log.push(caller.said.escape_ascii().to_string());
    caller.log
}

struct Caller {
    client: Client,
    wants_tls: bool,
    permits: usize,
    permits_used: usize,
    /// Recipients of the message that was sent and not yet settled.
    unsettled: Option<usize>,
    /// Its last octet was sent.
    end_sent: bool,
    /// The peer has spoken since.
    answered: bool,
    /// Sends the content the moment it is asked for.
    eager: bool,
    said: Vec<u8>,
    log: Vec<String>,
    /// What the machine asked for last; done when the flight is over.
    next: ClientStep,
}

impl Caller {
    fn poll(&mut self, fed: usize) {
        // A reply has four octets at least and leads to a few steps.
        for _ in 0..fed + 64 {
            let step = self.client.poll();
            let mut output = std::mem::take(self.client.output());
            self.hear(&mut output);
            match step {
                ClientStep::NeedInput | ClientStep::Closed => return,
                ClientStep::Finished(ref result) => {
                    let asked = self.unsettled.take().expect("a result without a message");
                    assert_eq!(result.recipients.len(), asked, "a result for each recipient");
                    let delivered: fn(&RecipientResult) -> bool =
                        |result| matches!(result, RecipientResult::Delivered(_));
                    let maybe: fn(&RecipientResult) -> bool =
                        |result| matches!(result, RecipientResult::Unanswered { maybe_delivered: true, .. });
                    let said = |said: fn(&RecipientResult) -> bool| result.recipients.iter().any(said);
                    assert!(!said(delivered) || self.answered, "delivered before its end was answered: {result:?}");
                    assert!(!said(maybe) || self.end_sent, "delivered before its end was sent: {result:?}");
                }
                _ => {}
            }
            // Octets behind the 220 end the session (H10) whether or not the step came before them.
            if step != ClientStep::StartTls {
                self.log.push(format!("{step:?}"));
            }
            if self.eager && step == ClientStep::SendContent {
                self.content();
            } else {
                self.next = step;
            }
        }
        panic!("the machine never comes to rest");
    }

    fn hear(&mut self, output: &mut Vec<u8>) {
        self.said.append(output);
        assert!(self.said.len() <= SAID_MAX, "the client said {} octets", self.said.len());
        let mails = self.said.windows(10).filter(|octets| octets == b"MAIL FROM:").count();
        assert!(mails <= self.permits_used, "{mails} MAIL with {} permits (H2)", self.permits_used);
    }

    /// The peer has said what it had to say.
    fn act(&mut self) {
        match std::mem::replace(&mut self.next, ClientStep::NeedInput) {
            ClientStep::Ready => self.ready(),
            ClientStep::StartTls => {
                assert!(self.said.ends_with(b"STARTTLS\r\n"), "something is said behind STARTTLS (H10)");
                self.client.tls_established();
                assert!(self.client.is_secured() && self.client.extensions().size_max().is_none());
            }
            ClientStep::SendContent => self.content(),
            _ => return,
        }
        self.poll(64);
    }

    fn ready(&mut self) {
        if self.wants_tls && self.client.start_tls().is_ok() {
            self.wants_tls = false;
            return;
        }
        if self.permits_used == self.permits {
            return self.client.quit();
        }
        self.permits_used += 1;
        let message = self.outgoing();
        let sent = self.client.send(permit(), &message);
        self.log.push(format!("send: {sent:?}"));
        (self.end_sent, self.answered) = (false, false);
        self.unsettled = sent.is_ok().then_some(message.recipients.len());
    }

    fn outgoing(&self) -> Outgoing {
        let recipients = ["ann@peer.example", "\"b b\"@peer.example", "j\u{fc}rgen@peer.example"];
        let recipients = recipients.iter().take(1 + self.permits_used);
        Outgoing {
            sender: None,
            recipients: recipients.map(|text| Mailbox::parse(text).expect("a mailbox")).collect(),
            size: CONTENT.len() as u64,
            eight_bit: self.permits_used == 2,
            require_tls: self.permits_used == 1,
            ..Outgoing::default()
        }
    }

    fn content(&mut self) {
        let before = self.said.len();
        for piece in CONTENT.chunks(5) {
            self.client.content(piece).expect("it was asked for, and its lines end with CR LF");
        }
        let ended = self.client.content_end();
        self.log.push(format!("end: {ended:?}"));
        self.end_sent = ended.is_ok();
        let mut output = std::mem::take(self.client.output());
        self.hear(&mut output);
        // H11: one end, and it is the last that was said.
        let data = &self.said[before..];
        let end = find(data, b"\r\n.\r\n").map(|end| end + 5);
        assert_eq!(end, self.end_sent.then_some(data.len()), "{}", data.escape_ascii());
    }
}

/// What a chain without demands and objections gives.
fn permit() -> Permit {
    let policy = || "fuzz".to_owned();
    let plan =
        PlanCall { policy: policy(), demands: Vec::new(), take_route: None, fallback: Vec::new(), reasons: Vec::new() };
    let floor = join_plans(&Standing::default(), vec![Ok(plan)]).expect("a plan").floor;
    let judge = JudgeCall { policy: policy(), objection: None, reasons: Vec::new() };
    let Judgement::Cleared(cleared) = join_judges(vec![Ok(judge)]) else { panic!("nobody objects") };
    floor.permit(&TlsProof::of_nothing(CONNECTION), cleared).expect("an empty floor")
}
