//! BDAT (RFC 3030): chunks are content whatever stands in them, and are answered one by one.

use super::*;

/// The session behind HELO, MAIL and RCPT.
fn behind_rcpt(rest: &str) {
    check(&format!(
        "S: 220 mx.sealwire.example ESMTP sealwire
        C: HELO client
        S: 250 mx.sealwire.example
        C: MAIL FROM:<>
        S: 250 2.1.0 sender noted
        C: RCPT TO:<bob@hosted.example>
        S: 250 2.1.5 recipient noted
        {rest}"
    ));
}

const HEADER: &str = r#"E: header "A: b\r\n" <> to bob@hosted.example by HELO"#;

#[test]
fn a_message_comes_in_chunks() {
    behind_rcpt(&format!(
        r#"c: BDAT 19 LAST\r\nA: b\r\n\r\n.\r\nQUIT\r\n..
        {HEADER}
        E: content ".\r\nQUIT\r\n.." size 19
        S: 250 2.0.0 queued as 1
        C: MAIL FROM:<>
        S: 250 2.1.0 sender noted"#
    ));
    behind_rcpt(&format!(
        r#"c: BDAT 5\r\nA: b\r
        S: 250 2.0.0 chunk taken
        C: NOOP
        S: 250 2.0.0 OK
        c: BDAT 5\r\n\n\r\nc\r
        {HEADER}
        S: 250 2.0.0 chunk taken
        c: BDAT 1\r\n\nBDAT 0 LAST\r\n
        S: 250 2.0.0 chunk taken
        E: content "c\r\n" size 11
        S: 250 2.0.0 queued as 1"#
    ));
}

#[test]
fn a_chunk_that_is_refused_ends_the_transaction() {
    let behind = r#"S: 503 5.5.1 say MAIL first
        C: NOOP
        S: 250 2.0.0 OK"#;
    // A bare LF (H11), in the first of two chunks.
    behind_rcpt(&format!(
        r#"c: BDAT 10\r\nA: b\r\n\r\nc\nBDAT 6 LAST\r\nDATA\r\n
        {HEADER}
        E: refused 554
        S: 554 5.6.0 bare LF in the message: a line ends with CR LF and with nothing else
        {behind}"#
    ));
    // By the judge.
    behind_rcpt(&format!(
        r#"c: BDAT 16\r\nA: refuse-me\r\n\r\nBDAT 6 LAST\r\nDATA\r\n
        E: header "A: refuse-me\r\n" <> to bob@hosted.example by HELO
        S: 550 5.7.10 no
        {behind}"#
    ));
    // A CR at the very end.
    behind_rcpt(&format!(
        r#"c: BDAT 10 LAST\r\nA: b\r\n\r\nc\r
        {HEADER}
        E: refused 554
        S: 554 5.6.0 bare CR in the message: a line ends with CR LF and with nothing else"#
    ));
}

#[test]
fn what_stands_between_chunks() {
    behind_rcpt(
        r#"c: BDAT 3\r\nA:b
        S: 250 2.0.0 chunk taken
        C: DATA
        S: 503 5.5.1 a message is coming in chunks; BDAT goes on, RSET gives it up
        C: MAIL FROM:<>
        S: 503 5.5.1 a message is coming in chunks; BDAT goes on, RSET gives it up
        C: STARTTLS
        S: 503 5.5.1 a message is coming in chunks; BDAT goes on, RSET gives it up
        C: RSET
        S: 250 2.0.0 OK
        E: given up
        C: BDAT 0 LAST
        S: 503 5.5.1 say MAIL first"#,
    );
    behind_rcpt(&format!(
        r#"c: BDAT 8\r\nA: b\r\n\r\n
        {HEADER}
        S: 250 2.0.0 chunk taken
        C: HELO again
        S: 250 mx.sealwire.example
        E: given up
        C: QUIT
        S: 221 2.0.0 bye
        E: close"#
    ));
    behind_rcpt(
        r#"c: BDAT 1\r\nA
        S: 250 2.0.0 chunk taken
        C: QUIT
        S: 221 2.0.0 bye
        E: close"#,
    );
}

#[test]
fn a_chunk_without_a_transaction_is_no_command_either() {
    check(
        r#"S: 220 mx.sealwire.example ESMTP sealwire
        c: BDAT 6 LAST\r\nQUIT\r\n
        S: 503 5.5.1 say MAIL first
        C: HELO client
        S: 250 mx.sealwire.example
        C: MAIL FROM:<>
        S: 250 2.1.0 sender noted
        C: RCPT TO:<bob@elsewhere.example>
        S: 550 5.7.1 relaying denied: elsewhere.example is not hosted here and this client is not on a trusted network
        c: BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\n
        S: 554 5.5.1 no valid recipients
        S: 554 5.5.1 no valid recipients
        C: NOOP
        S: 250 2.0.0 OK
        C: BDAT 99999999999999999999
        S: 554 5.5.1 no valid recipients
        E: close"#,
    );
}

#[test]
fn a_chunk_is_bounded_as_any_message_is() {
    let mut caller = Caller::new(server(config(limits()), false));
    caller.feed(b"HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@hosted.example>\r\nBDAT 99999999999999999999 LAST\r\n");
    for _ in 0..100 {
        caller.feed(&[b"x".repeat(98), b"\r\n".to_vec()].concat());
        assert!(caller.server.input.capacity() < 64 * 1_024);
    }
    assert!(caller.closed && caller.log.contains("S: 552 5.3.4"), "{}", caller.log);
}

/// Together, not each.
#[test]
fn the_chunks_of_a_message_are_bounded_together() {
    let lines = [b"x".repeat(98), b"\r\n".to_vec()].concat().repeat(5);
    for (chunks, expected) in
        [(1, "S: 250 2.0.0 queued as 1\n"), (2, "S: 552 5.3.4 the message is larger than 1000 octets\n")]
    {
        let mut caller = Caller::new(server(config(limits()), false));
        caller.feed(b"HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@hosted.example>\r\nBDAT 8\r\nA: b\r\n\r\n");
        for _ in 0..chunks {
            caller.feed(&[b"BDAT 500\r\n", &lines[..]].concat());
        }
        assert_eq!(caller.log.contains("S: 552"), chunks > 1, "{}", caller.log);
        if chunks == 1 {
            caller.feed(b"BDAT 0 LAST\r\n");
        }
        assert!(caller.log.ends_with(expected), "{}", caller.log);
    }
}

#[test]
fn a_chunk_whose_length_cannot_be_read_ends_the_session() {
    for line in ["BDAT 6 LAST x", "BDAT +6", "BDAT", "BDAT 999999999999999999999", "bdat 6\\x01"] {
        let mut caller = Caller::new(server(config(limits()), false));
        let octets = unescape(&format!(
            "HELO c\\r\\nMAIL FROM:<>\\r\\nRCPT TO:<bob@hosted.example>\\r\\n{line}\\r\\nRSET\\r\\n"
        ));
        caller.feed(&octets);
        assert!(caller.closed && !caller.log.contains("S: 250 2.0.0 OK"), "{line}: {}", caller.log);
    }
}

#[test]
fn chunks_behind_a_refused_one_are_no_bad_commands() {
    let mut caller = Caller::new(server(config(limits()), false));
    caller.feed(b"HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@hosted.example>\r\nBDAT 18\r\nA: refuse-me\r\n\r\nx\n");
    for _ in 0..100 {
        caller.feed(b"BDAT 6\r\nQUIT\r\n");
    }
    assert!(!caller.closed && caller.log.matches("S: 503 5.5.1 say MAIL first").count() == 100, "{}", caller.log);
}

#[test]
fn a_message_may_have_many_chunks() {
    let limits = Limits { message_size_max: 100_000, recipients_max: 1, ..limits() };
    let mut caller = Caller::new(server(config(limits), false));
    caller.feed(b"HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@hosted.example>\r\nBDAT 8\r\nA: b\r\n\r\n");
    for _ in 0..5_000 {
        caller.feed(b"BDAT 4\r\nxx\r\n");
    }
    caller.feed(b"BDAT 0 LAST\r\n");
    assert!(caller.log.ends_with("S: 250 2.0.0 queued as 1\n"), "{}", &caller.log[caller.log.len() - 200..]);
}

#[test]
fn a_server_that_stops_waits_for_no_chunk_that_it_throws_away() {
    let mut caller = Caller::new(server(config(limits()), false));
    caller.feed(b"HELO c\r\nBDAT 100 LAST\r\nhalf of it");
    caller.server.on_shutdown();
    caller.poll();
    assert!(caller.closed, "{}", caller.log);
}

/// RFC 5322 knows no header without a field: all of it is content, as behind DATA.
#[test]
fn what_is_no_field_is_no_header() {
    behind_rcpt(
        r#"c: BDAT 5 LAST\r\nhello
        E: header "" <> to bob@hosted.example by HELO
        E: content "hello" size 5
        S: 250 2.0.0 queued as 1"#,
    );
    behind_rcpt(
        r#"c: BDAT 5 LAST\r\nA: b\n
        E: refused 554
        S: 554 5.6.0 bare LF in the message: a line ends with CR LF and with nothing else"#,
    );
}
