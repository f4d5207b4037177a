//! Client and server machine joined in memory, their octets cut at random (seeded): whatever the client sends, the
//! server receives octet by octet, in clear and behind STARTTLS, and each recipient's result is what the server said.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use sealwire_core::address::{Domain, Mailbox};
use sealwire_core::decision::{JudgeCall, Judgement, PlanCall, Standing, join_judges, join_plans};
use sealwire_core::floor::{ConnectionId, Permit, TlsProof};
use sealwire_core::reply::Reply;
use sealwire_core::smtp::client::{Client, ClientConfig, ClientStep, Outgoing, RecipientResult};
use sealwire_core::smtp::server::{ClientIdentity, Disposition, Hosted, Limits, Server, ServerConfig, Step};

const CONNECTION: ConnectionId = ConnectionId(1);
const SIZE_MAX: u64 = 4_096;

#[test]
fn what_the_client_sends_the_server_receives() {
    let mut delivered = 0;
    for seed in 0..300 {
        let mut pair = Pair::new(seed);
        pair.until_ready();
        if pair.draw(2) == 0 {
            pair.client.start_tls().expect("offered");
            pair.until_ready();
            assert!(pair.client.is_secured() && pair.server.is_secured(), "seed {seed}");
        }
        for _ in 0..pair.draw(4) {
            pair.one_message(seed);
        }
        pair.client.quit();
        assert_eq!(pair.run(), ClientStep::Closed, "seed {seed}");
        delivered += pair.delivered;
    }
    assert!(delivered > 100, "the search is no search: {delivered}");
}

struct Pair {
    client: Client,
    server: Server,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    seed: u64,
    /// What the server answers to the next header and to the next end of data.
    refuse_header: bool,
    refuse_end: bool,
    received: Vec<u8>,
    delivered: usize,
}

impl Pair {
    fn new(seed: u64) -> Pair {
        let domain = |text: &str| Domain::parse(text).expect("a domain");
        let config = ServerConfig {
            hostname: domain("mx.example"),
            hosted: Hosted::from_iter([domain("hosted.example")]),
            tls_available: true,
            limits: Limits { message_size_max: SIZE_MAX, ..Limits::default() },
        };
        let identity = ClientIdentity { address: IpAddr::V4(Ipv4Addr::LOCALHOST), trusted: false };
        let mut server = Server::new(Arc::new(config), identity);
        server.greet();
        let hello_name = domain("relay.example");
        Pair {
            client: Client::new(ClientConfig {
                hello_name,
                connection: CONNECTION,
                implicit_tls: false,
                must_authenticate: false,
            }),
            server,
            to_server: Vec::new(),
            to_client: Vec::new(),
            seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            refuse_header: false,
            refuse_end: false,
            received: Vec::new(),
            delivered: 0,
        }
    }

    fn one_message(&mut self, seed: u64) {
        let body = self.body();
        let message = [b"Subject: x\r\n\r\n".as_slice(), &body].concat();
        let recipients: Vec<Mailbox> = (0..=self.draw(3)).map(|n| self.recipient(n)).collect();
        let eight_bit = !body.is_ascii();
        let size = message.len() as u64;
        let octets = (self.draw(2) == 0).then_some(size);
        let outgoing = Outgoing { recipients, size, octets, eight_bit, ..Outgoing::default() };
        (self.refuse_header, self.refuse_end) = (self.draw(5) == 0, self.draw(5) == 0);
        self.received.clear();
        self.client.send(permit(), &outgoing).expect("ready");
        let mut step = self.run();
        if step == ClientStep::SendContent {
            let mut rest = message.as_slice();
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(rest.len().min(1 + self.draw(700)));
                self.client.content(piece).expect("CR LF");
                rest = behind;
            }
            self.client.content_end().expect("CR LF");
            step = self.run();
            if !self.refuse_header {
                assert_eq!(self.received, message, "seed {seed}");
            }
        }
        let ClientStep::Finished(result) = step else { panic!("seed {seed}: {step:?}") };
        for (mailbox, result) in outgoing.recipients.iter().zip(&result.recipients) {
            let hosted = mailbox.domain.as_str() == "hosted.example";
            let taken = hosted && size <= SIZE_MAX && !self.refuse_header && !self.refuse_end;
            let as_expected = match result {
                RecipientResult::Delivered(_) => taken,
                RecipientResult::Refused { by_peer, .. } => !taken && *by_peer == (size <= SIZE_MAX),
                RecipientResult::Deferred(_) => !taken && hosted && !self.refuse_header,
                RecipientResult::Unanswered { .. } => false,
            };
            self.delivered += usize::from(taken);
            assert!(as_expected, "seed {seed}: {mailbox:?} {size} {result:?}");
        }
        self.until_ready();
    }

    fn until_ready(&mut self) {
        let step = self.run();
        assert_eq!(step, ClientStep::Ready);
    }

    /// Carries octets until the client has something to tell.
    fn run(&mut self) -> ClientStep {
        for _ in 0..1_000_000 {
            match self.client.poll() {
                ClientStep::NeedInput => {}
                ClientStep::StartTls => {
                    assert!(self.to_client.is_empty() && self.to_server.is_empty());
                    self.client.tls_established();
                    self.server.tls_established();
                }
                step => return step,
            }
            self.to_server.append(self.client.output());
            let piece = self.cut(true);
            self.server.input(&piece);
            self.serve();
            let piece = self.cut(false);
            self.client.input(&piece);
        }
        panic!("neither machine moves: {:?} {:?}", self.client, self.server);
    }

    fn serve(&mut self) {
        loop {
            let step = self.server.poll();
            self.to_client.append(self.server.output());
            match step {
                Step::NeedInput | Step::StartTls | Step::Close => return,
                Step::Flush | Step::Refused(_) | Step::GivenUp => {}
                Step::Header(ready) => {
                    self.received.extend_from_slice(&ready.header);
                    self.received.extend_from_slice(b"\r\n");
                    let refusal = Disposition::Refuse(Reply::new(550, (7, 1), "refused at the header"));
                    self.server.header_judged(if self.refuse_header { refusal } else { Disposition::Keep });
                }
                Step::Content(octets) => self.received.extend_from_slice(&octets),
                Step::EndOfData { size, eight_bit } => {
                    assert_eq!((size, eight_bit), (self.received.len() as u64, !self.received.is_ascii()));
                    let reply = if self.refuse_end { (451, "later") } else { (250, "taken") };
                    self.server.content_stored(Reply::new(reply.0, (0, 0), reply.1));
                }
            }
        }
    }

    /// A piece of what is under way, of random length.
    fn cut(&mut self, to_server: bool) -> Vec<u8> {
        let most = if self.draw(3) == 0 { 1 } else { 900 };
        let len = 1 + self.draw(most);
        let pipe = if to_server { &mut self.to_server } else { &mut self.to_client };
        pipe.drain(..len.min(pipe.len())).collect()
    }

    /// Lines with dots where they hurt.
    fn body(&mut self) -> Vec<u8> {
        const PIECES: [&[u8]; 8] =
            [b".", b"..", b"\r\n", b"\r\n.\r\n", b"text ", b"\r\n.", b"\xc3\xbc", b"DATA\r\nQUIT\r\n"];
        let mut body = Vec::new();
        let pieces = if self.draw(4) == 0 { 2_000 } else { self.draw(40) };
        for _ in 0..pieces {
            body.extend_from_slice(PIECES[self.draw(PIECES.len())]);
        }
        body.extend_from_slice(b"\r\n");
        body
    }

    fn recipient(&mut self, n: usize) -> Mailbox {
        let domain = if self.draw(3) == 0 { "elsewhere.example" } else { "hosted.example" };
        Mailbox::new(format!("u{n}"), Domain::parse(domain).expect("a domain"))
    }

    fn draw(&mut self, below: usize) -> usize {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) as usize % below
    }
}

/// What a chain without demands and objections gives.
fn permit() -> Permit {
    let policy = || "test".to_owned();
    let plan =
        PlanCall { policy: policy(), demands: Vec::new(), take_route: None, fallback: Vec::new(), reasons: Vec::new() };
    let floor = join_plans(&Standing::default(), vec![Ok(plan)]).expect("a plan").floor;
    let judge = JudgeCall { policy: policy(), objection: None, reasons: Vec::new() };
    let Judgement::Cleared(cleared) = join_judges(vec![Ok(judge)]) else { panic!("nobody objects") };
    floor.permit(&TlsProof::of_nothing(CONNECTION), cleared).expect("an empty floor")
}
