//! What a client must not get away with: injection, smuggling, floods, other protocols.

use super::*;

const GREETED: &str = "S: 220 mx.sealwire.example ESMTP sealwire
    C: HELO c
    S: 250 mx.sealwire.example
    ";
const DATA: &str = "C: MAIL FROM:<>
    S: 250 2.1.0 sender noted
    C: RCPT TO:<bob@hosted.example>
    S: 250 2.1.5 recipient noted
    C: DATA
    S: 354 send the message, end it with CR LF . CR LF
    ";

/// H10. Not a transcript: where the flight is cut is the very point.
#[test]
fn h10_octets_behind_starttls_end_the_session() {
    for behind in ["NOOP\r\n", "\r\n", "x", "\u{16}\u{3}\u{1}", "EHLO evil.example\r\nMAIL FROM:<>\r\n"] {
        let mut caller = Caller::new(server(config(limits()), false));
        caller.feed(b"EHLO c\r\n");
        caller.log.clear();
        caller.feed(format!("STARTTLS\r\n{behind}").as_bytes());
        let refused = "S: 523 5.7.10 no commands allowed to pipeline after STARTTLS\nE: close\n";
        assert_eq!(caller.log, refused, "{behind:?}");
        assert!(!caller.server.is_secured());
    }
}

/// H10, the second way in: octets that a careless caller read from the clear channel behind the 220.
#[test]
fn h10_octets_fed_before_the_handshake_end_the_session() {
    let mut server = server(config(limits()), false);
    server.input(b"STARTTLS\r\n");
    assert_eq!(server.poll(), Step::StartTls);
    server.output().clear();
    server.input(b"EHLO evil.example\r\n");
    assert_eq!(server.poll(), Step::NeedInput, "nothing is obeyed before the handshake");
    server.tls_established();
    assert_eq!(server.poll(), Step::Close);
    assert!(server.output().is_empty(), "and nothing is said");
}

/// H11: the second message is never seen, and the first is not taken.
#[test]
fn h11_only_cr_lf_dot_cr_lf_ends_the_data() {
    let ends = [
        (r"\n.\n", "bare LF"),
        (r"\n.\r\n", "bare LF"),
        (r"\r.\r\n", "bare CR"),
        (r"\r.\r", "bare CR"),
        (r"\r\n.\n", "bare LF"),
        (r"\r\n.\r", "bare CR"),
        (r"\r\n.\r\r\n", "bare CR"),
        (r"\n\n.\n\n", "bare LF"),
        (r"\r\r\n.\nX\r\n", "bare CR"),
        (r"\n\r.\r\n", "bare LF"),
    ];
    for (end, what) in ends {
        let transcript = format!(
            "{GREETED}{DATA}C: A: b
            C:
            E: header \"A: b\\r\\n\" <> to bob@hosted.example by HELO
            c: first{end}
            E: refused 554
            C: MAIL FROM:<evil@client.example>
            C: RCPT TO:<bob@hosted.example>
            C: DATA
            C: second
            C: .
            S: 554 5.6.0 {what} in the message: a line ends with CR LF and with nothing else
            C: NOOP
            S: 250 2.0.0 OK"
        );
        check(&transcript);
    }
}

#[test]
fn h11_a_fault_in_the_header_asks_nobody() {
    let rows = [
        (r"c: A: b\nFrom: x", "bare LF in the message: a line ends with CR LF and with nothing else"),
        (r"c: A: b\r", "bare CR in the message: a line ends with CR LF and with nothing else"),
        (r"c: A: \0b", "NUL in the message: neither 7bit nor 8bit data may hold one"),
    ];
    for (line, text) in rows {
        let behind = "C: C: d\n C:\n C: .";
        check(&format!(
            "{GREETED}{DATA}{line}\n E: refused 554\n {behind}\n S: 554 5.6.0 {text}\n C: NOOP\n S: 250 2.0.0 OK"
        ));
    }
}

#[test]
fn control_octets_in_commands_end_nothing() {
    check(&format!(
        r"{GREETED}C: NOOP\nMAIL FROM:<>
        S: 500 5.5.2 control octet in a command (a bare CR, a bare LF or NUL); only CR LF ends a line
        C: RSET\rQUIT
        S: 500 5.5.2 control octet in a command (a bare CR, a bare LF or NUL); only CR LF ends a line
        C: NO\0OP
        S: 500 5.5.2 control octet in a command (a bare CR, a bare LF or NUL); only CR LF ends a line
        C: NOOP
        S: 250 2.0.0 OK"
    ));
}

#[test]
fn other_protocols_are_hung_up_on() {
    check(
        "S: 220 mx.sealwire.example ESMTP sealwire
        C: POST / HTTP/1.1
        S: 421 4.7.0 this is an SMTP server; it speaks no other protocol
        E: close
        C: Host: mx.sealwire.example
        C:
        C: HELO c
        C: MAIL FROM:<>",
    );
}

#[test]
fn patience_ends() {
    let few = Limits { bad_commands_max: 2, transactions_max: 1, recipients_max: 1, ..limits() };
    check_with(
        &config(few),
        false,
        "S: 220 mx.sealwire.example ESMTP sealwire
        C: HELO c
        S: 250 mx.sealwire.example
        C: XYZZY
        S: 500 5.5.1 unknown command
        C: MAIL FROM:<>
        S: 250 2.1.0 sender noted
        C: RCPT TO:<bob@hosted.example>
        S: 250 2.1.5 recipient noted
        C: RCPT TO:<eve@hosted.example>
        S: 452 4.5.3 too many recipients; send the rest in another transaction
        C: DATA
        S: 354 send the message, end it with CR LF . CR LF
        C: .
        E: header \"\" <> to bob@hosted.example by HELO
        E: content \"\" size 0
        S: 250 2.0.0 queued as 1
        C: MAIL FROM:<>
        S: 421 4.7.0 enough messages on one connection; open another
        E: close",
    );
    check_with(
        &config(Limits { bad_commands_max: 2, ..limits() }),
        false,
        "S: 220 mx.sealwire.example ESMTP sealwire
        C: MAIL
        S: 501 5.5.4 MAIL wants FROM:<address>, in angle brackets
        C: DATA
        S: 503 5.5.1 say MAIL first
        S: 421 4.7.0 too many bad commands
        E: close
        C: NOOP",
    );
}

/// The log of octets fed in pieces of `size`.
fn log(octets: &[u8], limits: Limits, size: usize) -> String {
    let mut caller = Caller::new(server(config(limits), false));
    octets.chunks(size).for_each(|piece| caller.feed(piece));
    caller.log
}

fn message(lines: &[u8]) -> Vec<u8> {
    [b"HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@hosted.example>\r\nDATA\r\n", lines, b".\r\nNOOP\r\n"].concat()
}

/// The last lines of the log, however the octets are cut.
fn ends_with(octets: &[u8], limits: &Limits, expected: &str) {
    for size in [1, 2, 3, 1_000, 4_096, 65_536, usize::MAX] {
        let log = log(octets, limits.clone(), size);
        assert!(log.ends_with(expected), "in pieces of {size}: {}", &log[log.len().saturating_sub(400)..]);
    }
}

#[test]
fn sizes_have_an_end() {
    let limits = Limits { message_size_max: 1_000, header_size_max: 300, received_fields_max: 3, ..Limits::default() };
    let check = |lines: &[u8], expected: &str| ends_with(&message(lines), &limits, expected);
    let text = |octets: usize| [vec![b'x'; octets - 2], b"\r\n".to_vec()].concat();
    let field = |octets: usize| [b"A: ".to_vec(), text(octets - 3)].concat();
    let queued = "S: 250 2.0.0 queued as 1\nS: 250 2.0.0 OK\n";
    let too_large = "E: refused 552\nS: 552 5.3.4 the message is larger than 1000 octets\nS: 250 2.0.0 OK\n";
    let large_header = "E: refused 552\nS: 552 5.3.4 the header is larger than 300 octets\nS: 250 2.0.0 OK\n";
    check(&[b"A: b\r\n\r\n", &text(992)[..]].concat(), queued);
    check(&[b"A: b\r\n\r\n", &text(993)[..]].concat(), too_large);
    // RFC 1870 §6.3: whatever the client had said.
    let content = [b"A: b\r\n\r\n", &text(993)[..]].concat();
    let declared = String::from_utf8(message(&content)).expect("ASCII").replacen("FROM:<>", "FROM:<> SIZE=10", 1);
    ends_with(declared.replacen("HELO", "EHLO", 1).as_bytes(), &limits, too_large);
    check(&[&field(300)[..], b"\r\n"].concat(), queued);
    check(&field(300), queued);
    for octets in [301, 302, 303, 304, 900] {
        check(&[&field(octets)[..], b"\r\n"].concat(), large_header);
        check(&field(octets), large_header);
    }
    check(&[&b"Received: x\r\n".repeat(2)[..], b"RECEIVED: x\r\n\r\nReceived: x\r\n"].concat(), queued);
    // RFC 5321 §6.3: what is no loop passes.
    assert!(Limits::default().received_fields_max >= 100);
    let looping = "E: refused 554\nS: 554 5.4.6 too many Received fields: this message is in a loop\nS: 250 2.0.0 OK\n";
    check(&b"Received: x\r\n".repeat(4), looping);
    // Whoever does not stop is stopped, whatever it is made of.
    let closed = "S: 552 5.3.4 the message is larger than 1000 octets\nE: close\n";
    check(&[b"A: b\r\n\r\n", &text(2_000)[..]].concat(), closed);
    check(&[b"A: b\r\n\r\n", &text(1_992)[..]].concat(), too_large);
    let bare = "S: 554 5.6.0 bare LF in the message: a line ends with CR LF and with nothing else\nE: close\n";
    check(&b"\n".repeat(2_001), bare);
}

#[test]
fn long_command_lines_are_thrown_away() {
    let line = |octets: usize| [b"NOOP ".to_vec(), vec![b'x'; octets - 7], b"\r\nNOOP\r\n".to_vec()].concat();
    ends_with(&line(2_048), &limits(), "sealwire\nS: 250 2.0.0 OK\nS: 250 2.0.0 OK\n");
    let refused = "sealwire\nS: 500 5.5.2 a command line is at most 2048 octets\nS: 250 2.0.0 OK\n";
    ends_with(&line(2_049), &limits(), refused);
    ends_with(&line(60_000), &limits(), refused);
    let endless = "sealwire\nS: 500 5.5.2 a command line is at most 2048 octets\nE: close\n";
    ends_with(&line(70_000), &limits(), endless);
    ends_with(&vec![b'\n'; 70_000], &limits(), endless);
}

#[test]
fn endless_harmless_commands_end() {
    let few = Limits { recipients_max: 1, ..limits() };
    let expected = "S: 250 2.0.0 OK\nS: 421 4.7.0 too many commands without a message\nE: close\n";
    ends_with(&b"NOOP\r\n".repeat(1_100), &few, expected);
}
