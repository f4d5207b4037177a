//! The journey as it should go, and as honest peers change it.

use super::*;

#[test]
fn a_message_goes_out_one_command_at_a_time() {
    after_ehlo(
        "",
        "> send a@x.example b@x.example from s@y.example
         C: MAIL FROM:<s@y.example>
         S: 250 ok
         C: RCPT TO:<a@x.example>
         S: 250 ok
         C: RCPT TO:<b@x.example>
         S: 251 forwarded
         C: DATA
         S: 354 go
         ! content
         > content A: 1\\r\\n\\r\\n.dot
         > end
         C: A: 1
         C:
         C: ..dot
         C: .
         S: 250 2.0.0 taken
         ! finished: delivered 250, delivered 250
         ! ready
         > quit
         C: QUIT
         S: 221 bye
         ! closed",
    );
}

#[test]
fn a_message_goes_out_in_one_flight_with_what_was_offered() {
    after_ehlo(
        "PIPELINING SIZE=1000 8BITMIME",
        "> send a@x.example size 900 eight-bit
         C: MAIL FROM:<> SIZE=900 BODY=8BITMIME
         C: RCPT TO:<a@x.example>
         C: DATA
         S: 250 ok
         S: 250 ok
         S: 354 go
         ! content
         > end
         C: .
         S: 250 ok
         ! finished: delivered 250
         ! ready",
    );
}

#[test]
fn the_demand_for_tls_is_passed_on_where_it_is_taken() {
    for (offered, mail) in [("REQUIRETLS", "MAIL FROM:<> REQUIRETLS"), ("SIZE", "MAIL FROM:<> SIZE=5")] {
        after_ehlo(
            offered,
            &format!(
                "> send a@x.example requiretls
                 C: {mail}
                 S: 550 5.7.30 no
                 ! finished: refused 550
                 ! ready"
            ),
        );
    }
}

#[test]
fn recipients_keep_their_own_answers() {
    let rest = "! content
         > end
         C: .
         S: 250 ok
         ! finished: refused 550, delivered 250, deferred 452
         ! ready
         > send c@x.example";
    after_ehlo(
        "PIPELINING",
        &format!(
            "> send a@x.example b@x.example c@x.example
             C: MAIL FROM:<>
             C: RCPT TO:<a@x.example>
             C: RCPT TO:<b@x.example>
             C: RCPT TO:<c@x.example>
             C: DATA
             S: 250 ok
             S: 550 5.1.1 who
             S: 250 ok
             S: 452 4.5.3 too many
             S: 354 go
             {rest}
             C: MAIL FROM:<>
             C: RCPT TO:<c@x.example>
             C: DATA"
        ),
    );
    after_ehlo(
        "",
        &format!(
            "> send a@x.example b@x.example c@x.example
         C: MAIL FROM:<>
         S: 250 ok
         C: RCPT TO:<a@x.example>
         S: 550 5.1.1 who
         C: RCPT TO:<b@x.example>
         S: 250 ok
         C: RCPT TO:<c@x.example>
         S: 452 4.5.3 too many
         C: DATA
         S: 354 go
         {rest}
         C: MAIL FROM:<>"
        ),
    );
}

#[test]
fn refusals_at_each_command() {
    after_ehlo("", "> send a@x.example\nC: MAIL FROM:<>\nS: 550 no\n! finished: refused 550\n! ready");
    after_ehlo("", "> send a@x.example\nC: MAIL FROM:<>\nS: 451 later\n! finished: deferred 451\n! ready");
    after_ehlo(
        "",
        "> send a@x.example\nC: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<a@x.example>\nS: 550 no
         ! finished: refused 550\nC: RSET\nS: 250 ok\n! ready",
    );
    after_ehlo(
        "",
        "> send a@x.example\nC: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<a@x.example>\nS: 250 ok\nC: DATA\nS: 451 no
         ! finished: deferred 451\nC: RSET\nS: 250 ok\n! ready",
    );
    let flight = "> send a@x.example\nC: MAIL FROM:<>\nC: RCPT TO:<a@x.example>\nC: DATA\n";
    let rows = [
        ("S: 550 no\nS: 503 no\nS: 503 no\n! finished: refused 550\n! ready"),
        ("S: 250 ok\nS: 550 no\nS: 554 no\n! finished: refused 550\nC: RSET\nS: 250 ok\n! ready"),
        ("S: 250 ok\nS: 250 ok\nS: 452 full\n! finished: deferred 452\nC: RSET\nS: 250 ok\n! ready"),
        // RFC 2920 §3.1: a 354 without a recipient is answered with an empty message.
        ("S: 250 ok\nS: 450 grey\nS: 354 go\nC: .\nS: 554 nobody\n! finished: deferred 450\nC: RSET\nS: 250 ok\n! ready"),
        ("S: 250 ok\nS: 450 grey\nS: 354 go\nC: .\nS: 250 hm\n! finished: deferred 450\nC: RSET\nS: 250 ok\n! ready"),
        ("S: 550 no\nS: 250 ok\nS: 354 go\nC: .\nS: 503 no\n! finished: refused 550\nC: RSET\nS: 250 ok\n! ready"),
        ("S: 250 ok\nS: 250 ok\nS: 354 go\n! content\n> end\nC: .\nS: 554 no\n! finished: refused 554\n! ready"),
        ("S: 250 ok\nS: 250 ok\nS: 354 go\n! content\n> end\nC: .\nS: 451 no\n! finished: deferred 451\n! ready"),
    ];
    for row in rows {
        after_ehlo("PIPELINING", &format!("{flight}{row}"));
    }
}

#[test]
fn what_the_host_cannot_take_is_not_said_to_it() {
    let rows = [
        ("SIZE=100", "a@x.example size 101", "unsent 5.3.4"),
        ("SIZE=100", "a@x.example b@x.example eight-bit", "unsent 5.6.3, unsent 5.6.3"),
        ("8BITMIME", "j\u{fc}rgen@x.example", "unsent 5.6.7"),
        ("8BITMIME", "a@x.example from j\u{fc}rgen@x.example", "unsent 5.6.7"),
        ("8BITMIME", "a@x.example international", "unsent 5.6.7"),
    ];
    for (offered, message, expected) in rows {
        after_ehlo(offered, &format!("> send {message}\n! finished: {expected}\n! ready"));
    }
    after_ehlo(
        "PIPELINING",
        "> send j\u{fc}rgen@x.example a@x.example\nC: MAIL FROM:<>\nC: RCPT TO:<a@x.example>\nC: DATA
         S: 250 ok\nS: 550 no\nS: 503 no\n! finished: unsent 5.6.7, refused 550\nC: RSET",
    );
    after_ehlo(
        "SMTPUTF8",
        "> send j\u{fc}rgen@x.example\nC: MAIL FROM:<> SMTPUTF8\nS: 250 ok\nC: RCPT TO:<j\u{fc}rgen@x.example>",
    );
    after_ehlo(
        "",
        r#"> send "a\\b"@x.example
           C: MAIL FROM:<>
           S: 250 ok
           C: RCPT TO:<"a\\b"@x.example>"#,
    );
}

#[test]
fn what_the_sender_asks_to_be_told_is_passed_on_where_dsn_is_offered() {
    let message = "> send a@x.example notify SUCCESS,DELAY b@x.example c@x.example notify NEVER envid a=b ret HDRS";
    for (offered, mail, notify) in
        [("DSN", " RET=HDRS ENVID=a+3Db", [" NOTIFY=SUCCESS,DELAY", "", " NOTIFY=NEVER"]), ("XDSN", "", ["", "", ""])]
    {
        let [a, b, c] = notify;
        after_ehlo(
            offered,
            &format!(
                "{message}\nC: MAIL FROM:<>{mail}\nS: 250 ok\nC: RCPT TO:<a@x.example>{a}\nS: 250 ok
                 C: RCPT TO:<b@x.example>{b}\nS: 550 no\nC: RCPT TO:<c@x.example>{c}"
            ),
        );
    }
    // RFC 3461 §5.2.1: what nobody asked for is not said.
    after_ehlo("DSN", "> send a@x.example\nC: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<a@x.example>");
    after_ehlo("SMTPUTF8 DSN", "> send a@x.example international\nC: MAIL FROM:<> SMTPUTF8");
}

#[test]
fn addresses_from_elsewhere_cannot_smuggle_a_command() {
    let mut client = client(false, false);
    client.input(b"220 mx\r\n");
    while client.poll() != ClientStep::NeedInput {}
    client.input(b"250 mx\r\n");
    assert_eq!(client.poll(), ClientStep::Ready);
    client.output().clear();
    let domain = Domain::parse("x.example").expect("a domain");
    for local in ["a>\r\nRCPT TO:<b", "a\nb", "a\0b", &"a".repeat(2_000)] {
        let message = Outgoing { recipients: vec![Mailbox::new(local, domain.clone())], size: 1, ..outgoing("") };
        client.send(permit(CONNECTION), &message).expect("ready");
        assert_eq!(in_words(&client.poll()), "finished: unsent 5.1.3", "{local:?}");
        assert_eq!(client.poll(), ClientStep::Ready);
        assert!(client.output().is_empty());
    }
}

#[test]
fn more_recipients_than_a_window_are_pipelined_in_windows() {
    let recipients: Vec<String> = (0..250).map(|n| format!("u{n}@x.example")).collect();
    let mut client = client(false, false);
    client.input(b"220 mx\r\n250-mx\r\n250 PIPELINING\r\n");
    while client.poll() != ClientStep::Ready {}
    client.output().clear();
    client.send(permit(CONNECTION), &outgoing(&recipients.join(" "))).expect("ready");
    let (mut commands, mut heard) = (0, 0);
    loop {
        commands += std::mem::take(client.output()).iter().filter(|&&b| b == b'\n').count();
        assert!(commands - heard <= 100, "at most a window is unanswered");
        client.input(if heard == 251 { b"354 go\r\n" } else { b"250 ok\r\n" });
        heard += 1;
        if client.poll() == ClientStep::SendContent {
            break;
        }
    }
    assert_eq!((commands, heard), (252, 252));
}

#[test]
fn greeting_and_hello() {
    play("S: 220-mx\nS: 220 here\nC: EHLO relay.example\nS: 250 mx\n! ready");
    play(
        "S: 220 mx\nC: EHLO relay.example\nS: 502 what\nC: HELO relay.example\nS: 250 mx\n! ready\n> starttls\n! NoStartTls",
    );
    play(
        "S: 220 mx\nC: EHLO relay.example\nS: 500 what\nC: HELO relay.example\nS: 550 no\n! failed: refused at Ehlo\n! closed\nC: QUIT",
    );
    play("S: 220 mx\nC: EHLO relay.example\nS: 550 no\n! failed: refused at Ehlo\n! closed\nC: QUIT");
    play("S: 220 mx\nC: EHLO relay.example\nS: 451 no\n! failed: refused at Ehlo\n! closed\nC: QUIT");
    play("S: 554 no\n! failed: refused at Greeting\n! closed\nC: QUIT");
    play("S: 450 later\n! failed: refused at Greeting\n! closed\nC: QUIT");
    play("S: 421 busy\n! failed: closing at Greeting\n! closed");
    play("> lost gone\n! failed: lost at Greeting\n! closed");
}

/// RFC 6531 §3.7.1: in A-labels, however the name was written.
#[test]
fn an_international_name_is_said_in_a_labels() {
    let hello_name = Domain::parse("relay.b\u{fc}cher.example").expect("a domain");
    let config = ClientConfig { hello_name, connection: CONNECTION, implicit_tls: false, must_authenticate: false };
    let mut client = Client::new(config);
    client.input(b"220 mx\r\n");
    while client.poll() != ClientStep::NeedInput {}
    assert_eq!(std::mem::take(client.output()), b"EHLO relay.xn--bcher-kva.example\r\n");
    client.input(b"502 what\r\n");
    while client.poll() != ClientStep::NeedInput {}
    assert_eq!(std::mem::take(client.output()), b"HELO relay.xn--bcher-kva.example\r\n");
}

#[test]
fn starttls_forgets_what_was_heard_in_clear() {
    after_ehlo(
        "STARTTLS PIPELINING SIZE=10",
        "> starttls
         C: STARTTLS
         S: 220 go
         ! handshake
         > established
         C: EHLO relay.example
         S: 250 mx
         ! ready
         > starttls
         ! NoStartTls
         > send a@x.example size 100
         C: MAIL FROM:<>
         S: 250 ok
         C: RCPT TO:<a@x.example>",
    );
    play("> implicit\nS: 220 mx\nC: EHLO relay.example\nS: 250-mx\nS: 250 STARTTLS\n! ready\n> starttls\n! NoStartTls");
}

#[test]
fn what_became_of_the_channel_is_told() {
    // (EHLO line, answer to STARTTLS, state)
    let rows = [
        ("HELP", None, Some(ChannelState::NotOffered)),
        ("STARTTLS", None, None),
        ("STARTTLS", Some("502 no"), Some(ChannelState::Refused)),
        ("STARTTLS", Some("554 5.7.3 no"), Some(ChannelState::Refused)),
        ("STARTTLS", Some("454 4.7.0 later"), Some(ChannelState::Inconclusive)),
    ];
    for (offered, answer, expected) in rows {
        let mut client = client(false, false);
        assert_eq!((client.clear_channel(), client.answered_hello()), (None, false));
        client.input(format!("220 mx\r\n250-mx\r\n250 {offered}\r\n").as_bytes());
        while client.poll() != ClientStep::Ready {}
        assert!(client.answered_hello());
        if let Some(answer) = answer {
            client.start_tls().expect("offered");
            client.input(format!("{answer}\r\n").as_bytes());
            assert_eq!(client.poll(), ClientStep::Ready, "a refusal leaves the session usable");
            assert_eq!(client.start_tls(), Err(Misuse::NoStartTls), "and is not asked twice");
        }
        assert_eq!(client.clear_channel().map(|facts| facts.state), expected, "{offered} {answer:?}");
    }
}

#[test]
fn a_permit_is_good_for_its_own_connection_alone() {
    let mut client = client(false, false);
    let message = outgoing("a@x.example");
    assert_eq!(client.send(permit(CONNECTION), &message), Err(Misuse::NotReady));
    client.input(b"220 mx\r\n250 mx\r\n");
    while client.poll() != ClientStep::Ready {}
    client.output().clear();
    assert_eq!(client.send(permit(ConnectionId(8)), &message), Err(Misuse::WrongConnection));
    assert_eq!(client.send(permit(CONNECTION), &outgoing("")), Err(Misuse::NoRecipients));
    assert!(client.output().is_empty());
    client.send(permit(CONNECTION), &message).expect("its own");
    assert_eq!(client.send(permit(CONNECTION), &message), Err(Misuse::NotReady), "one at a time");
}
