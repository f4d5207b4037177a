//! Peers that break the protocol, lie, or go away: each session ends, bounded and rightly named.

use super::*;

const FLIGHT: &str = "> send a@x.example b@x.example
    C: MAIL FROM:<>
    C: RCPT TO:<a@x.example>
    C: RCPT TO:<b@x.example>
    C: DATA\n";

#[test]
fn octets_behind_the_220_to_starttls_end_the_session() {
    // H10. In one flight, the handshake is never begun; in a later one, before TLS took over, it is not gone on with.
    let before = "S: 220 mx\nC: EHLO relay.example\nS: 250-mx\nS: 250 STARTTLS\n! ready\n> starttls\nC: STARTTLS\n";
    for behind in ["250-mx", "220 again", "x"] {
        let end = format!("S: {behind}\n! failed: protocol at StartTls\n! closed");
        play_cut(&format!("{before}S: 220 go\n{end}"), false);
        play(&format!("{before}S: 220 go\n! handshake\n{end}"));
    }
}

#[test]
fn octets_behind_the_220_never_reach_the_new_channel() {
    let mut client = client(false, false);
    client.input(b"220 mx\r\n250-mx\r\n250 STARTTLS\r\n");
    while client.poll() != ClientStep::Ready {}
    client.start_tls().expect("offered");
    client.input(b"220 go\r\n");
    assert_eq!(client.poll(), ClientStep::StartTls);
    client.input(b"250-injected\r\n");
    client.tls_established();
    let ClientStep::Failed(failure) = client.poll() else { panic!("it must end") };
    assert_eq!((failure.at, failure.channel_state()), (Awaiting::StartTls, ChannelState::Failed));
    assert!(!client.is_secured());
}

#[test]
fn unlawful_answers_end_the_session() {
    // (before, the answer, what is told)
    let rows = [
        ("", "S: 250 hello", "! failed: protocol at Greeting"),
        ("", "S: SSH-2.0-OpenSSH", "! failed: protocol at Greeting"),
        ("", "S: 354 go", "! failed: protocol at Greeting"),
        ("S: 220 mx\nC: EHLO relay.example\n", "S: 220 again", "! failed: protocol at Ehlo"),
        ("S: 220 mx\nC: EHLO relay.example\n", "S: 250-mx\nS: 251 mx", "! failed: protocol at Ehlo"),
        (
            "S: 220 mx\nC: EHLO relay.example\nS: 250 mx\n! ready\n",
            "S: 250 to nothing",
            "! failed: protocol at Nothing",
        ),
        ("S: 220 mx\nC: EHLO relay.example\nS: 250 mx\n! ready\n", "S: 421 idle", "! failed: closing at Nothing"),
    ];
    for (before, answer, told) in rows {
        play(&format!("{before}{answer}\n{told}\n! closed"));
    }
    let rows = [
        ("S: 250 instead of 220", "! failed: protocol at StartTls"),
        ("S: 354 go", "! failed: protocol at StartTls"),
        ("S: 421 bye", "! failed: closing at StartTls"),
    ];
    for (answer, told) in rows {
        after_ehlo("STARTTLS", &format!("> starttls\nC: STARTTLS\n{answer}\n{told}\n! closed"));
    }
    // RFC 5321 §3.8: a host may leave at any time, with TLS just begun too.
    let secured = "> starttls\nC: STARTTLS\nS: 220 go\n! handshake\n> established\nC: EHLO relay.example\n";
    after_ehlo("STARTTLS", &format!("{secured}S: 421 bye\n! failed: closing at Ehlo\n! closed"));
    after_ehlo("STARTTLS", &format!("{secured}S: 250 mx\n! ready\nS: 421 bye\n! failed: closing at Nothing\n! closed"));
}

#[test]
fn a_message_is_settled_whatever_ends_the_session() {
    let rows = [
        ("S: 354 go", "unanswered, unanswered", "protocol at Mail"),
        ("S: garbage", "unanswered, unanswered", "protocol at Mail"),
        ("S: 421 bye", "deferred 421, deferred 421", "closing at Mail"),
        ("> lost reset", "unanswered, unanswered", "lost at Mail"),
        ("S: 250 ok\nS: 354 go", "unanswered, unanswered", "protocol at Rcpt"),
        ("S: 250 ok\nS: 550 no\nS: 421 bye", "refused 550, deferred 421", "closing at Rcpt"),
        ("S: 250 ok\nS: 550 no\n> lost reset", "refused 550, unanswered", "lost at Rcpt"),
        ("S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 250 done", "unanswered, unanswered", "protocol at DataStart"),
        ("S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 421 bye", "deferred 421, deferred 421", "closing at DataStart"),
        ("S: 250 ok\nS: 250 ok\nS: 250 ok\n> lost time", "unanswered, unanswered", "lost at DataStart"),
        (
            "S: 250 ok\nS: 450 no\nS: 450 no\nS: 354 go\nC: .\nS: 354 go",
            "deferred 450, deferred 450",
            "protocol at DataEnd",
        ),
    ];
    for (answers, settled, failed) in rows {
        after_ehlo("PIPELINING", &format!("{FLIGHT}{answers}\n! finished: {settled}\n! failed: {failed}\n! closed"));
    }
}

#[test]
fn a_message_whose_end_was_not_answered_may_have_arrived() {
    let data = "S: 250 ok\nS: 550 no\nS: 250 ok\nS: 354 go\n! content\n> content x\\r\\n\nC: x\n";
    let rows = [
        // Before the end: it cannot have arrived.
        ("> lost reset", "refused 550, unanswered", "lost at DataBlock"),
        ("S: 250 taken", "refused 550, unanswered", "protocol at DataBlock"),
        ("S: 354 again", "refused 550, unanswered", "protocol at DataBlock"),
        ("S: 552 too large", "refused 550, refused 552", "protocol at DataBlock"),
        ("S: 421 bye", "refused 550, deferred 421", "closing at DataBlock"),
        // After the end.
        ("> end\nC: .\n> lost reset", "refused 550, maybe", "lost at DataEnd"),
        ("> end\nC: .\nS: 354 again", "refused 550, maybe", "protocol at DataEnd"),
        ("> end\nC: .\nS: what", "refused 550, maybe", "protocol at DataEnd"),
        ("> end\nC: .\nS: 421 bye", "refused 550, deferred 421", "closing at DataEnd"),
    ];
    for (end, settled, failed) in rows {
        let rest = format!("{FLIGHT}{data}{end}\n! finished: {settled}\n! failed: {failed}\n! closed");
        after_ehlo("PIPELINING", &rest);
    }
}

/// All of it in one segment: the machine is not asked before the content is complete.
#[test]
fn a_reply_behind_the_354_is_no_answer_to_the_end_of_the_data() {
    for (early, delivered) in [("250 taken\r\n", false), ("552 too large\r\n", false), ("", true)] {
        let mut client = client(false, false);
        client.input(b"220 mx\r\n250 mx\r\n");
        while client.poll() != ClientStep::Ready {}
        client.send(permit(CONNECTION), &outgoing("a@x.example")).expect("ready");
        for reply in ["250 ok\r\n".to_owned(), "250 ok\r\n".to_owned(), format!("354 go\r\n{early}")] {
            assert_eq!(client.poll(), ClientStep::NeedInput);
            client.input(reply.as_bytes());
        }
        assert_eq!(client.poll(), ClientStep::SendContent);
        client.content(b"x\r\n").expect("content");
        let _ = client.content_end();
        client.input(b"250 ok\r\n");
        let ClientStep::Finished(result) = client.poll() else { panic!("{early:?}: not finished") };
        let taken = matches!(result.recipients[..], [RecipientResult::Delivered(_)]);
        assert_eq!(taken, delivered, "{early:?}: {result:?}");
    }
}

#[test]
fn bare_line_ends_never_leave() {
    // H11: what is already said has no end, so the peer can take nothing.
    let data = "S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\n! content\n";
    let own = "! BareLineEnd\n! finished: unsent 5.6.0, unsent 5.6.0\n! failed: content at DataBlock\n! closed";
    for content in ["a\\n.\\nb", "a\\r.\\r\\n", "\\n", "\\r\n> end"] {
        after_ehlo("PIPELINING", &format!("{FLIGHT}{data}> content {content}\n{own}"));
    }
}

#[test]
fn a_peer_that_speaks_out_of_turn_gets_no_message() {
    let mut client = client(false, false);
    client.input(b"220 mx\r\n250 mx\r\n");
    while client.poll() != ClientStep::Ready {}
    client.output().clear();
    client.input(b"250 for the MAIL to come\r\n");
    assert_eq!(client.send(permit(CONNECTION), &outgoing("a@x.example")), Err(Misuse::PeerSpoke));
    assert_eq!(in_words(&client.poll()), "failed: protocol at Nothing");
    assert!(client.output().is_empty());
}

#[test]
fn an_endless_reply_ends_in_bounded_memory() {
    let lines: [&[u8]; 2] = [b"250-more\r\n", b"x"];
    for line in lines {
        let mut client = client(false, false);
        let fed = (1..1_000_000).find(|_| {
            client.input(line);
            matches!(client.poll(), ClientStep::Failed(_))
        });
        assert!(fed.is_some_and(|fed| fed * line.len() <= 128 * 1_024), "{fed:?}");
    }
}

/// A refusal and a close in one breath is a refusal.
#[test]
fn what_came_before_the_end_counts() {
    let mut client = client(false, false);
    client.input(b"554 go away\r\n");
    client.lost("connection closed");
    assert_eq!(in_words(&client.poll()), "failed: refused at Greeting");
    assert_eq!(client.poll(), ClientStep::Closed);
}

#[test]
fn misuse_is_refused_and_harmless() {
    play(
        "> reset\n! NotReady\n> starttls\n! NotReady\n> content x\n! NotReady\n> end\n! NotReady\nS: 220 mx\nC: EHLO relay.example",
    );
    after_ehlo(
        "",
        "> reset\nC: RSET\nS: 250 ok\n! ready\n> reset\nC: RSET\nS: 500 no\n! failed: refused at Reset\n! closed\nC: QUIT",
    );
    after_ehlo("", "> quit\nC: QUIT\n> quit\n> lost closed\n! closed");
    after_ehlo("", "> established\n! failed: lost at Nothing\n! closed");
}
