//! Commands as tables: what is taken and as what, what is refused and how.

use super::*;

/// A command in one line of text.
fn show(line: &[u8]) -> String {
    let address = |mailbox: &Option<Mailbox>| mailbox.as_ref().map(Mailbox::to_string).unwrap_or_default();
    match Command::parse(line) {
        Ok(Command::Mail(sender, p)) => format!("mail <{}> {:?} {:?}", address(&sender), p.size, p.eight_bit),
        Ok(Command::Rcpt(Recipient::Mailbox(mailbox))) => format!("rcpt <{mailbox}>"),
        Ok(command) => format!("{command:?}"),
        Err(error) => {
            let reply = error.reply();
            format!("{} {:?}", reply.code, reply.enhanced.expect("every refusal has one"))
        }
    }
}

fn check(rows: &[(&str, &str)]) {
    for (line, expected) in rows {
        assert_eq!(show(line.as_bytes()), *expected, "{line:?}");
    }
}

#[test]
fn commands_are_read() {
    check(&[
        ("EHLO client.example", "Ehlo(\"client.example\")"),
        ("ehlo [192.0.2.1]", "Ehlo(\"[192.0.2.1]\")"),
        ("HELO John's_PC", "Helo(\"John's_PC\")"),
        ("EHLO", "501 5.5.4"),
        ("EHLO two words", "501 5.5.4"),
        ("EHLO (comment)", "501 5.5.4"),
        ("EHLO b\u{fc}cher", "500 5.5.2"),
        ("STARTTLS", "StartTls"),
        ("starttls  ", "StartTls"),
        ("STARTTLS now", "501 5.5.4"),
        ("DATA", "Data"),
        ("DATA x", "501 5.5.4"),
        ("RSET", "Rset"),
        ("NOOP anything", "Noop"),
        ("VRFY ann", "Vrfy"),
        ("VRFY", "501 5.5.4"),
        ("HELP me", "Help"),
        ("QUIT", "Quit"),
        ("QUIT x", "501 5.5.4"),
        ("EXPN list", "502 5.5.1"),
        ("BDAT 10 LAST", "502 5.5.1"),
        ("AUTH PLAIN", "502 5.5.1"),
        ("", "500 5.5.1"),
        (" NOOP", "500 5.5.1"),
        ("XYZZY", "500 5.5.1"),
        ("DATA\0", "500 5.5.2"),
        ("NOOP\nRSET", "500 5.5.2"),
        ("NOOP\rRSET", "500 5.5.2"),
        ("NOOP\u{7f}", "500 5.5.2"),
        ("\u{fc}", "500 5.5.1"),
        ("GET / HTTP/1.1", "421 4.7.0"),
        ("post /x HTTP/1.1", "421 4.7.0"),
        ("Host: mx.example", "421 4.7.0"),
    ]);
}

#[test]
fn senders_are_read() {
    check(&[
        ("MAIL FROM:<Ann@Example.com>", "mail <Ann@example.com> None None"),
        ("mail from: <ann@example.com>  ", "mail <ann@example.com> None None"),
        ("MAIL FROM:<>", "mail <> None None"),
        ("MAIL FROM:<> SIZE=10 BODY=8BITMIME", "mail <> Some(10) Some(true)"),
        ("MAIL FROM:<>  body=7bit   size=0", "mail <> Some(0) Some(false)"),
        ("MAIL FROM:<> SIZE=99999999999999999999", "mail <> Some(18446744073709551615) None"),
        ("MAIL FROM:<\"a> b\"@example.com>", "mail <\"a> b\"@example.com> None None"),
        ("MAIL FROM:<\"a\\\">\"@example.com>", "mail <\"a\\\">\"@example.com> None None"),
        ("MAIL FROM:<@a.example,@[IPv6:::1]:ann@example.com>", "mail <ann@example.com> None None"),
        ("MAIL FROM:<@a.example:\"x:y\"@example.com>", "mail <\"x:y\"@example.com> None None"),
        ("MAIL FROM:<@a.example>", "501 5.1.7"),
        ("MAIL FROM:<@a.example:>", "501 5.1.7"),
        ("MAIL FROM:<@:ann@example.com>", "501 5.1.7"),
        ("MAIL FROM:<ann>", "501 5.1.7"),
        ("MAIL FROM:<a b@example.com>", "501 5.1.7"),
        ("MAIL FROM:<ann@exa mple.com>", "501 5.1.7"),
        ("MAIL FROM:<ann@xn--\u{fc}.example>", "553 5.6.7"),
        ("MAIL FROM:<b\u{fc}cher@example.com>", "553 5.6.7"),
        ("MAIL FROM:ann@example.com", "501 5.5.4"),
        ("MAIL FROM:<ann@example.com", "501 5.5.4"),
        ("MAIL FROM:<ann@example.com>SIZE=1", "501 5.5.4"),
        ("MAIL TO:<ann@example.com>", "501 5.5.4"),
        ("MAIL", "501 5.5.4"),
        ("MAIL FROM:<> SIZE=1 SIZE=1", "501 5.5.4"),
        ("MAIL FROM:<> SIZE=-1", "501 5.5.4"),
        ("MAIL FROM:<> SIZE=", "501 5.5.4"),
        ("MAIL FROM:<> SIZE=999999999999999999999", "501 5.5.4"),
        ("MAIL FROM:<> BODY=BINARYMIME", "501 5.5.4"),
        ("MAIL FROM:<> SMTPUTF8", "555 5.5.4"),
        ("MAIL FROM:<> RET=HDRS", "555 5.5.4"),
        ("MAIL FROM:<> REQUIRETLS=", "555 5.5.4"),
        ("MAIL FROM:<> REQUIRETLS requiretls", "501 5.5.4"),
    ]);
}

#[test]
fn recipients_are_read() {
    check(&[
        ("RCPT TO:<Bob@Example.COM>", "rcpt <Bob@example.com>"),
        ("rcpt to: <bob@xn--bcher-kva.example>", "rcpt <bob@xn--bcher-kva.example>"),
        ("RCPT TO:<bob@[192.0.2.1]>", "rcpt <bob@[192.0.2.1]>"),
        ("RCPT TO:<Postmaster>", "Rcpt(Postmaster)"),
        ("RCPT TO:<@relay.example:bob@example.com>", "rcpt <bob@example.com>"),
        ("RCPT TO:<>", "501 5.1.3"),
        ("RCPT TO:<bob>", "501 5.1.3"),
        ("RCPT TO:<bob@example.com> NOTIFY=NEVER", "555 5.5.4"),
        ("RCPT FROM:<bob@example.com>", "501 5.5.4"),
        ("RCPT TO:<b\u{f6}b@example.com>", "553 5.6.7"),
    ]);
}

#[test]
fn an_address_may_be_octets_of_any_kind() {
    assert_eq!(show(b"MAIL FROM:<\xff\xfe@example.com>"), "553 5.6.7");
    assert_eq!(show(b"\xff\xfe"), "500 5.5.1");
}
