//! What a client may expect: the ordinary session, its order of commands, and what is refused politely.

use super::*;

#[test]
fn a_message_is_taken() {
    check(
        r#"S: 220 mx.sealwire.example ESMTP sealwire
        C: EHLO client.example
        S: 250-mx.sealwire.example
        S: 250-PIPELINING
        S: 250-SIZE 1000
        S: 250-STARTTLS
        S: 250-ENHANCEDSTATUSCODES
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250 CHUNKING
        C: MAIL FROM:<Ann@Client.example> SIZE=70 BODY=8BITMIME
        S: 250 2.1.0 sender noted
        C: RCPT TO:<bob@hosted.example>
        S: 250 2.1.5 recipient noted
        C: RCPT TO:<eve@xn--bcher-kva.example>
        S: 250 2.1.5 recipient noted
        C: DATA
        S: 354 send the message, end it with CR LF . CR LF
        C: From: Ann <ann@client.example>
        C: Subject: two
        C:  lines
        C:
        E: header "From: Ann <ann@client.example>\r\nSubject: two\r\n lines\r\n" <Ann@client.example> to bob@hosted.example eve@xn--bcher-kva.example size 70 8bit
        C: ..dots..
        C: b\xc3\xbccher
        C:
        C: .
        E: content ".dots..\r\nb\xc3\xbccher\r\n\r\n" size 76 8bit
        S: 250 2.0.0 queued as 1
        C: QUIT
        S: 221 2.0.0 bye
        E: close"#,
    );
}

#[test]
fn a_null_sender_helo_postmaster_and_an_empty_message() {
    check(
        r#"S: 220 mx.sealwire.example ESMTP sealwire
        C: HELO client
        S: 250 mx.sealwire.example
        C: MAIL FROM:<>
        S: 250 2.1.0 sender noted
        C: RCPT TO:<PostMaster>
        S: 250 2.1.5 recipient noted
        C: RCPT TO:<POSTMASTER@mx.sealwire.example>
        S: 250 2.1.5 recipient noted
        C: RCPT TO:<ann@mx.sealwire.example>
        S: 550 5.7.1 relaying denied: mx.sealwire.example is not hosted here and this client is not on a trusted network
        C: DATA
        S: 354 send the message, end it with CR LF . CR LF
        C: .
        E: header "" <> to postmaster@mx.sealwire.example POSTMASTER@mx.sealwire.example by HELO
        E: content "" size 0
        S: 250 2.0.0 queued as 1"#,
    );
}

/// A transaction with the given data; the log behind the 354.
fn data(lines: &str, log: &str) {
    check(&format!(
        "S: 220 mx.sealwire.example ESMTP sealwire
        C: HELO c
        S: 250 mx.sealwire.example
        C: MAIL FROM:<>
        S: 250 2.1.0 sender noted
        C: RCPT TO:<bob@hosted.example>
        S: 250 2.1.5 recipient noted
        C: DATA
        S: 354 send the message, end it with CR LF . CR LF
        {lines}
        {log}
        C: NOOP
        S: 250 2.0.0 OK"
    ));
}

#[test]
fn header_and_content_never_lose_an_octet() {
    let rows = [
        // No blank line: all is header.
        ("C: A: b\nC: c: d\nC: .", r"A: b\r\nc: d\r\n", "", 12),
        // A blank line first: no header.
        ("C:\nC: A: b\nC: .", "", r"A: b\r\n", 8),
        // Not a header field first: all is content.
        ("C: hello\nC:\nC: A: b\nC: .", "", r"hello\r\n\r\nA: b\r\n", 15),
        ("C: From ann Mon Nov 23 16:13\nC: A: b\nC: .", "", r"From ann Mon Nov 23 16:13\r\nA: b\r\n", 33),
        ("C:  folded: nothing\nC: .", "", r" folded: nothing\r\n", 18),
        ("C: : no name\nC: .", "", r": no name\r\n", 11),
        ("C: ..dot: x\nC:\nC: .", r".dot: x\r\n", "", 11),
        ("C: obsolete : x\nC: hm\nC:\nC:\nC: .", r"obsolete : x\r\nhm\r\n", r"\r\n", 22),
    ];
    for (lines, header, content, size) in rows {
        let log = format!(
            "E: header \"{header}\" <> to bob@hosted.example by HELO
            E: content \"{content}\" size {size}
            S: 250 2.0.0 queued as 1"
        );
        data(lines, &log);
    }
}

#[test]
fn a_refused_message_is_answered_at_its_end() {
    data(
        "C: Subject: refuse-me\nC:\nC: QUIT\nC: ..\nC: .",
        r#"E: header "Subject: refuse-me\r\n" <> to bob@hosted.example by HELO
        S: 550 5.7.10 no"#,
    );
}

#[test]
fn commands_keep_their_order() {
    check(
        "S: 220 mx.sealwire.example ESMTP sealwire
        C: MAIL FROM:<>
        S: 503 5.5.1 say EHLO first
        C: HELO c
        S: 250 mx.sealwire.example
        C: RCPT TO:<bob@hosted.example>
        S: 503 5.5.1 say MAIL first
        C: DATA
        S: 503 5.5.1 say MAIL first
        C: MAIL FROM:<> SIZE=1001
        S: 552 5.3.4 the message is larger than 1000 octets
        C: MAIL FROM:<> SIZE=1000
        S: 250 2.1.0 sender noted
        C: MAIL FROM:<>
        S: 503 5.5.1 a transaction is open; RSET ends it
        C: STARTTLS
        S: 503 5.5.1 a transaction is open; RSET ends it
        C: RCPT TO:<bob@sub.hosted.example>
        S: 550 5.7.1 relaying denied: sub.hosted.example is not hosted here and this client is not on a trusted network
        C: DATA
        S: 554 5.5.1 no valid recipients
        C: RSET
        S: 250 2.0.0 OK
        C: RCPT TO:<bob@hosted.example>
        S: 503 5.5.1 say MAIL first
        C: MAIL FROM:<>
        S: 250 2.1.0 sender noted
        C: HELO again
        S: 250 mx.sealwire.example
        C: DATA
        S: 503 5.5.1 say MAIL first
        C: VRFY ann
        S: 252 2.5.0 send mail to it and see
        C: EXPN ann
        S: 502 5.5.1 this server does not offer that command
        C: HELP
        S: 214 2.0.0 EHLO HELO STARTTLS MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT
        C: QUIT
        S: 221 2.0.0 bye
        E: close",
    );
}

/// One message has one verdict. A client of ours sends to all at once, and the strictest verdict answers it.
#[test]
fn a_stranger_sends_to_recipients_of_other_settings_apart() {
    let refused = "452 4.5.3 this recipient's settings differ from the first one's; send to it in another transaction";
    for (trusted, reply) in [(false, refused), (true, "250 2.1.5 recipient noted")] {
        let transcript = format!(
            "S: 220 mx.sealwire.example ESMTP sealwire
            C: HELO c
            S: 250 mx.sealwire.example
            C: MAIL FROM:<>
            S: 250 2.1.0 sender noted
            C: RCPT TO:<bob@hosted.example>
            S: 250 2.1.5 recipient noted
            C: RCPT TO:<Boss@hosted.example>
            S: {reply}
            C: RCPT TO:<eve@hosted.example>
            S: 250 2.1.5 recipient noted
            C: RCPT TO:<eve@strict.example>
            S: {reply}
            C: RSET
            S: 250 2.0.0 OK
            C: MAIL FROM:<>
            S: 250 2.1.0 sender noted
            C: RCPT TO:<eve@strict.example>
            S: 250 2.1.5 recipient noted
            C: RCPT TO:<boss@hosted.example>
            S: 250 2.1.5 recipient noted"
        );
        check_with(&config(limits()), trusted, &transcript);
    }
}

#[test]
fn trusted_clients_send_anywhere() {
    check_with(
        &config(limits()),
        true,
        "S: 220 mx.sealwire.example ESMTP sealwire
        C: HELO c
        S: 250 mx.sealwire.example
        C: MAIL FROM:<ann@hosted.example>
        S: 250 2.1.0 sender noted
        C: RCPT TO:<bob@elsewhere.example>
        S: 250 2.1.5 recipient noted
        C: RCPT TO:<bob@[192.0.2.9]>
        S: 250 2.1.5 recipient noted",
    );
}

#[test]
fn starttls_forgets_everything() {
    check(
        r#"S: 220 mx.sealwire.example ESMTP sealwire
        C: HELO client.example
        S: 250 mx.sealwire.example
        C: STARTTLS now
        S: 501 5.5.4 this command takes no argument
        C: STARTTLS
        S: 220 2.0.0 ready for TLS
        E: starttls
        C: MAIL FROM:<>
        S: 503 5.5.1 say EHLO first
        C: STARTTLS
        S: 503 5.5.1 the channel is TLS already
        C: EHLO client.example
        S: 250-mx.sealwire.example
        S: 250-PIPELINING
        S: 250-SIZE 1000
        S: 250-ENHANCEDSTATUSCODES
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-CHUNKING
        S: 250 REQUIRETLS
        C: MAIL FROM:<> RequireTLS
        S: 250 2.1.0 sender noted
        C: RCPT TO:<bob@hosted.example>
        S: 250 2.1.5 recipient noted
        C: DATA
        S: 354 send the message, end it with CR LF . CR LF
        C: A: b
        C:
        E: header "A: b\r\n" <> to bob@hosted.example requiretls secured
        C: .
        E: content "" size 8
        S: 250 2.0.0 queued as 1"#,
    );
}

#[test]
fn starttls_is_refused_where_there_is_no_tls() {
    let clear = ServerConfig { tls_available: false, ..config(limits()) };
    check_with(
        &clear,
        false,
        "S: 220 mx.sealwire.example ESMTP sealwire
        C: EHLO c
        S: 250-mx.sealwire.example
        S: 250-PIPELINING
        S: 250-SIZE 1000
        S: 250-ENHANCEDSTATUSCODES
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250 CHUNKING
        C: MAIL FROM:<> REQUIRETLS
        S: 555 5.5.4 REQUIRETLS is taken inside TLS only; say STARTTLS first
        C: STARTTLS
        S: 502 5.5.1 TLS is not offered here
        C: NOOP
        S: 250 2.0.0 OK",
    );
}

/// The log of a session in which `act` happens behind `octets`.
fn interrupted(octets: &[u8], act: impl Fn(&mut Server), more: &[u8]) -> String {
    let mut caller = Caller::new(server(config(limits()), false));
    caller.feed(octets);
    caller.log.clear();
    act(&mut caller.server);
    caller.poll();
    caller.feed(more);
    caller.log
}

#[test]
fn time_out_and_shutdown_say_421() {
    const MAIL: &[u8] = b"HELO c\r\nMAIL FROM:<>\r\n";
    const REST: &[u8] = b"RCPT TO:<bob@hosted.example>\r\nDATA\r\nA: b\r\n\r\n.\r\nNOOP\r\n";
    let idle = "S: 421 4.4.2 mx.sealwire.example waited too long; closing\nE: close\n";
    assert_eq!(interrupted(b"", Server::on_timeout, b""), idle);
    assert_eq!(interrupted(MAIL, Server::on_timeout, REST), idle);
    let stopping = "S: 421 4.3.2 mx.sealwire.example is stopping; try again\nE: close\n";
    assert_eq!(interrupted(b"HELO c\r\nNO", Server::on_shutdown, b"OP\r\n"), stopping);
    let log = interrupted(MAIL, Server::on_shutdown, REST);
    assert!(log.ends_with(&format!("S: 250 2.0.0 queued as 1\n{stopping}")), "{log}");
}

#[test]
fn the_answers_are_waited_for() {
    let mut server = server(config(limits()), false);
    server.input(b"HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@hosted.example>\r\nDATA\r\nA: b\r\n\r\nbody\r\n.\r\nQUIT\r\n");
    assert!(matches!(server.poll(), Step::Header(_)));
    // Answers to questions that were not asked, and a time-out while the client waits for us.
    server.content_stored(Reply::new(250, (0, 0), "not asked"));
    server.on_timeout();
    assert_eq!(server.poll(), Step::NeedInput);
    server.header_judged(Disposition::Keep);
    assert_eq!(server.poll(), Step::Content(b"body\r\n".to_vec()));
    assert_eq!(server.poll(), Step::EndOfData { size: 14, eight_bit: false });
    server.header_judged(Disposition::Refuse(Reply::new(550, (7, 1), "not asked")));
    server.on_timeout();
    assert_eq!(server.poll(), Step::NeedInput);
    assert!(server.in_transaction());
    server.output().clear();
    server.content_stored(Reply::new(451, (3, 0), "try again"));
    assert_eq!(server.poll(), Step::Close);
    assert_eq!(server.output(), b"451 4.3.0 try again\r\n221 2.0.0 bye\r\n");
}

#[test]
fn a_message_thrown_away_is_never_accepted() {
    for (reply, expected) in [
        (Reply::new(550, (7, 10), "no"), "550 5.7.10 no\r\n"),
        (Reply::new(250, (0, 0), "a mistake"), "451 4.3.0 try again later\r\n"),
    ] {
        let mut server = server(config(limits()), false);
        server.input(b"HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@hosted.example>\r\nDATA\r\nA: b\r\n\r\nbody\r\n.\r\n");
        assert!(matches!(server.poll(), Step::Header(_)));
        server.output().clear();
        server.header_judged(Disposition::Refuse(reply));
        assert_eq!(server.poll(), Step::NeedInput);
        assert_eq!(String::from_utf8_lossy(server.output()), expected);
    }
}

#[test]
fn what_the_sender_asks_to_be_told_goes_with_the_message() {
    check(
        r#"S: 220 mx.sealwire.example ESMTP sealwire
        C: HELO client
        S: 250 mx.sealwire.example
        C: MAIL FROM:<ann@client.example> RET=HDRS ENVID=QQ+2D1
        S: 250 2.1.0 sender noted
        C: RCPT TO:<bob@hosted.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bob@old.example
        S: 250 2.1.5 recipient noted
        C: RCPT TO:<ann@elsewhere.example> NOTIFY=NEVER
        S: 550 5.7.1 relaying denied: elsewhere.example is not hosted here and this client is not on a trusted network
        C: RCPT TO:<carol@hosted.example>
        S: 250 2.1.5 recipient noted
        C: RCPT TO:<dave@hosted.example> NOTIFY=NEVER
        S: 250 2.1.5 recipient noted
        C: RCPT TO:<eve@hosted.example> NOTIFY=ALWAYS
        S: 501 5.5.4 NOTIFY is NEVER, or some of SUCCESS, FAILURE, DELAY with commas between
        C: DATA
        S: 354 send the message, end it with CR LF . CR LF
        C: A: b
        C:
        E: header "A: b\r\n" <ann@client.example> to bob@hosted.example carol@hosted.example dave@hosted.example RET=HDRS ENVID=QQ-1 NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bob@old.example NOTIFY=NEVER by HELO
        C: .
        E: content "" size 8
        S: 250 2.0.0 queued as 1"#,
    );
}

#[test]
fn international_addresses_want_smtputf8() {
    check(
        r#"S: 220 mx.sealwire.example ESMTP sealwire
        C: HELO client
        S: 250 mx.sealwire.example
        C: MAIL FROM:<j\xc3\xbcrgen@client.example>
        S: 553 5.6.7 this address is no ASCII; it wants UTF-8 and SMTPUTF8 behind MAIL
        C: MAIL FROM:<ann@client.example>
        S: 250 2.1.0 sender noted
        C: RCPT TO:<j\xc3\xbcrgen@hosted.example>
        S: 553 5.6.7 this address is no ASCII; it wants UTF-8 and SMTPUTF8 behind MAIL
        C: RSET
        S: 250 2.0.0 OK
        C: MAIL FROM:<j\xc3\xbcrgen@client.example> SMTPUTF8 BODY=8BITMIME
        S: 250 2.1.0 sender noted
        C: RCPT TO:<j\xc3\xbcrgen@hosted.example>
        S: 250 2.1.5 recipient noted
        C: RCPT TO:<j\xfcrgen@hosted.example>
        S: 553 5.6.7 this address is no ASCII; it wants UTF-8 and SMTPUTF8 behind MAIL
        C: DATA
        S: 354 send the message, end it with CR LF . CR LF
        C: A: \xc3\xbc
        C:
        E: header "A: \xc3\xbc\r\n" <jürgen@client.example> to jürgen@hosted.example 8bit utf8 by HELO
        C: .
        E: content "" size 9 8bit
        S: 250 2.0.0 queued as 1"#,
    );
}
