//! Random sessions from a fixed seed: no panic, no growth, and the same outcome however the octets were cut.

use super::*;

/// Knuth's MMIX generator; the high bits are the good ones.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

/// Words that lead deep into the machine, and octets that upset it.
const WORDS: &[&[u8]] = &[
    b"EHLO c\r\n",
    b"HELO c\r\n",
    b"MAIL FROM:<a@b.example>\r\n",
    b"MAIL FROM:<> SIZE=99 BODY=7BIT\r\n",
    b"RCPT TO:<bob@hosted.example>\r\n",
    b"RCPT TO:<postmaster>\r\n",
    b"RCPT TO:<x@y.example>\r\n",
    b"DATA\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"VRFY x\r\n",
    b"MAIL FROM:<\"",
    b"RCPT TO:<@",
    b"\r\n.\r\n",
    b"\r\n.\r\n",
    b".\r\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b".",
    b"..",
    b"\0",
    b"\xff",
    b"Received: x\r\n",
    b"Subject: refuse-me\r\n",
    b"From: a@b.example\r\n",
    b" folded\r\n",
    b"text ",
    b"QUIT\r\n",
    b"GET / HTTP/1.1\r\n",
    b"SIZE=",
    b"BDAT 0\r\n",
    b"BDAT 5\r\n",
    b"BDAT 12 LAST\r\n",
    b"BDAT 999 LAST\r\n",
];

/// Commands that open a transaction, so that most sessions get as far as the data.
const OPENING: &[u8] = b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@hosted.example>\r\nDATA\r\n";

fn session(random: &mut Random) -> Vec<u8> {
    let mut octets = Vec::new();
    for _ in 0..random.below(60) {
        match random.below(40) {
            0..4 => octets.extend_from_slice(OPENING),
            4 => octets.extend(std::iter::repeat_n(b'x', random.below(5_000))),
            5 => octets.push(random.below(256) as u8),
            6 => octets.extend_from_slice(b"A: b\r\n\r\n"),
            _ => octets.extend_from_slice(WORDS[random.below(WORDS.len())]),
        }
    }
    octets
}

#[test]
fn random_sessions_end_well() {
    let limits = Limits {
        message_size_max: 3_000,
        header_size_max: 400,
        recipients_max: 3,
        received_fields_max: 4,
        ..Limits::default()
    };
    let config = config(limits);
    let mut random = Random(20_261_123);
    let (mut taken, mut refused, mut closed) = (0, 0, 0);
    for round in 0..3_000 {
        let octets = session(&mut random);
        let mut whole = Caller::new(server(config.clone(), round % 2 == 0));
        whole.feed(&octets);
        let mut pieces = Caller::new(server(config.clone(), round % 2 == 0));
        let mut rest = octets.as_slice();
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.len().min(1 + random.below(50)));
            pieces.feed(piece);
            rest = behind;
            assert!(memory(&pieces.server) < 20_000, "round {round}: {} octets", memory(&pieces.server));
        }
        assert_eq!(whole.log, pieces.log, "round {round}: {}", octets.escape_ascii());
        taken += whole.log.matches("E: content").count();
        refused += whole.log.matches("E: refused").count();
        closed += whole.log.matches("E: close").count();
    }
    // The loop is worth its time only if it gets everywhere.
    assert!(taken > 500 && refused > 500 && closed > 500, "{taken} taken, {refused} refused, {closed} closed");
}

/// A caller that does anything at any time: nothing panics, no answer is taken that was not asked for, and no octet of a
/// body is handed out before the header was judged.
#[test]
fn a_careless_caller_does_no_harm() {
    let config = Arc::new(config(Limits { message_size_max: 3_000, header_size_max: 400, ..Limits::default() }));
    let client = ClientIdentity { address: [192, 0, 2, 1].into(), trusted: true };
    let mut random = Random(7);
    let mut stored = 0;
    for round in 0..3_000 {
        let mut server = Server::new(Arc::clone(&config), client.clone());
        let (mut judged, mut complete) = (false, false);
        for _ in 0..random.below(80) {
            match random.below(24) {
                0..4 => server.input(OPENING),
                4..8 => server.input(WORDS[random.below(WORDS.len())]),
                8 => server.input(b"A: b\r\n\r\nbody\r\n"),
                9 => server.input(b"STARTTLS\r\n"),
                10 if random.below(8) == 0 => server.tls_established(),
                11 | 12 => {
                    server.header_judged(Disposition::Keep);
                    judged = true;
                }
                13 => {
                    server.output().clear();
                    server.content_stored(Reply::new(250, (0, 0), "queued"));
                    let said = server.output().ends_with(b"queued\r\n");
                    assert!(complete || !said, "round {round}");
                    complete = false;
                }
                14 if random.below(8) == 0 => server.on_timeout(),
                15 if random.below(8) == 0 => server.on_shutdown(),
                _ => match server.poll() {
                    Step::Header(_) => judged = false,
                    Step::Content(_) => assert!(judged, "round {round}"),
                    Step::EndOfData { .. } => {
                        assert!(judged && !complete, "round {round}");
                        complete = true;
                        stored += 1;
                    }
                    Step::Flush => server.output().clear(),
                    Step::Close => break,
                    Step::GivenUp => complete = false,
                    Step::NeedInput | Step::StartTls | Step::Refused(_) => {}
                },
            }
        }
    }
    assert!(stored > 100, "{stored} messages came to their end");
}

/// A session that sends a lot and then falls silent holds next to nothing.
#[test]
fn an_idle_session_is_small() {
    let mut caller = Caller::new(server(config(Limits::default()), false));
    for _ in 0..3 {
        caller.feed(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@hosted.example>\r\nDATA\r\nA: b\r\n\r\n");
        for _ in 0..200 {
            caller.feed(&b"twenty-four octets here\r\n".repeat(600));
            assert!(memory(&caller.server) < 1_024);
        }
        caller.feed(b".\r\n");
    }
    assert_eq!(caller.log.matches("queued as 1").count(), 3);
    assert!(memory(&caller.server) < 2_048, "{} octets", memory(&caller.server));
}

/// Octets on the heap that a peer can make grow.
fn memory(server: &Server) -> usize {
    let message = if let State::Data(message) = &server.state { message.memory() } else { 0 };
    let recipients = server.envelope.as_ref().map_or(0, |envelope| envelope.recipients.capacity() * 48);
    server.input.capacity() + server.output.capacity() + message + recipients
}
