//! Commands as tables: what is taken and as what, what is refused and how.

use super::*;
use crate::dsn::Dsn;

/// A command in one line of text.
fn show(line: &[u8]) -> String {
    let address = |mailbox: &Option<Mailbox>| mailbox.as_ref().map(Mailbox::to_string).unwrap_or_default();
    match Command::parse(line) {
        Ok(Command::Mail(sender, p)) => {
            let dsn = Dsn { ret: p.ret, envid: p.envid, ..Dsn::default() }.mail_parameters();
            let utf8 = if p.smtp_utf8 { " utf8" } else { "" };
            format!("mail <{}> {:?} {:?}{utf8}{dsn}", address(&sender), p.size, p.eight_bit)
        }
        Ok(Command::Rcpt(Recipient::Mailbox(mailbox), p)) => {
            let dsn = Dsn { recipients: [(0, p.dsn)].into(), ..Dsn::default() }.rcpt_parameters(0, true);
            format!("rcpt <{mailbox}>{}{dsn}", if p.international { " utf8" } else { "" })
        }
        Ok(Command::Rcpt(Recipient::Postmaster, _)) => "rcpt postmaster".to_owned(),
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
        ("BDAT 10 LAST", "Bdat { octets: 10, last: true }"),
        ("bdat 0  last", "Bdat { octets: 0, last: true }"),
        ("BDAT 99999999999999999999", "Bdat { octets: 18446744073709551615, last: false }"),
        ("BDAT", "501 5.5.4"),
        ("BDAT -1", "501 5.5.4"),
        ("BDAT 1 FIRST", "501 5.5.4"),
        ("BDAT LAST", "501 5.5.4"),
        ("BURL x", "502 5.5.1"),
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
        ("MAIL FROM:<ann@xn--\u{fc}.example>", "501 5.1.7"),
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
        ("MAIL FROM:<> SMTPUTF8", "mail <> None None utf8"),
        ("MAIL FROM:<> SMTPUTF8 smtputf8", "501 5.5.4"),
        ("MAIL FROM:<> SMTPUTF8=yes", "555 5.5.4"),
        ("MAIL FROM:<b\u{fc}cher@example.com> smtputf8", "mail <b\u{fc}cher@example.com> None None utf8"),
        ("MAIL FROM:<ann@b\u{fc}cher.example> SMTPUTF8", "mail <ann@xn--bcher-kva.example> None None utf8"),
        ("MAIL FROM:<ann@b\u{fc}cher.example>", "553 5.6.7"),
        ("MAIL FROM:<> RET=HDRS envid=a+20b", "mail <> None None RET=HDRS ENVID=a+20b"),
        ("MAIL FROM:<> RET=full", "mail <> None None RET=FULL"),
        ("MAIL FROM:<> RET=SOME", "501 5.5.4"),
        ("MAIL FROM:<> RET=FULL RET=HDRS", "501 5.5.4"),
        ("MAIL FROM:<> ENVID=", "501 5.5.4"),
        ("MAIL FROM:<> ENVID=a+0D+0A", "501 5.5.4"),
        ("MAIL FROM:<> AUTH=<>", "555 5.5.4"),
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
        ("RCPT TO:<Postmaster>", "rcpt postmaster"),
        ("RCPT TO:<@relay.example:bob@example.com>", "rcpt <bob@example.com>"),
        ("RCPT TO:<>", "501 5.1.3"),
        ("RCPT TO:<bob>", "501 5.1.3"),
        ("RCPT TO:<bob@example.com> NOTIFY=NEVER", "rcpt <bob@example.com> NOTIFY=NEVER"),
        (
            "RCPT TO:<bob@example.com> orcpt=rfc822;b+2Bob@example.com notify=delay,SUCCESS",
            "rcpt <bob@example.com> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bob@example.com",
        ),
        ("RCPT TO:<bob@example.com> NOTIFY=NEVER,FAILURE", "501 5.5.4"),
        ("RCPT TO:<bob@example.com> NOTIFY=NEVER NOTIFY=FAILURE", "501 5.5.4"),
        ("RCPT TO:<bob@example.com> ORCPT=bob@example.com", "501 5.5.4"),
        ("RCPT TO:<bob@example.com> NOTIFY", "555 5.5.4"),
        ("RCPT TO:<bob@example.com> RET=HDRS", "555 5.5.4"),
        ("RCPT FROM:<bob@example.com>", "501 5.5.4"),
        ("RCPT TO:<b\u{f6}b@example.com>", "rcpt <b\u{f6}b@example.com> utf8"),
        ("RCPT TO:<bob@b\u{f6}b.example>", "rcpt <bob@xn--bb-fka.example> utf8"),
    ]);
}

#[test]
fn an_address_may_be_octets_of_any_kind() {
    assert_eq!(show(b"MAIL FROM:<\xff\xfe@example.com>"), "553 5.6.7");
    assert_eq!(show(b"\xff\xfe"), "500 5.5.1");
}
