//! The hostile table of the From recogniser, and a seeded search for what breaks it.

use super::*;
use crate::header::split;

const CERTAIN: bool = false;
const DOUBT: bool = true;

fn check(header: &str, mailboxes: &[&str], doubtful: bool) {
    let facts = from_of(&split(header.as_bytes()));
    let got: Vec<String> = facts.mailboxes.iter().map(Mailbox::to_string).collect();
    assert_eq!((got.as_slice(), facts.doubtful), (mailboxes.map_owned().as_slice(), doubtful), "{header:?}");
}

trait Owned {
    fn map_owned(&self) -> Vec<String>;
}

impl Owned for [&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|&text| text.to_owned()).collect()
    }
}

#[test]
fn lawful_and_obsolete_forms_leave_no_doubt() {
    let rows: [(&str, &[&str]); 37] = [
        ("a@b.example", &["a@b.example"]),
        ("<a@b.example>", &["a@b.example"]),
        ("Ann <a@b.example>", &["a@b.example"]),
        ("Ann B. C. <a@b.example>", &["a@b.example"]),
        ("\"Ann, B\" <A@B.Example>", &["A@b.example"]),
        ("\"ceo@listed.example\" <x@evil.example>", &["x@evil.example"]),
        ("\"<ceo@listed.example>\" <x@evil.example>", &["x@evil.example"]),
        ("\"a \\\" <ceo@listed.example>\" <x@evil.example>", &["x@evil.example"]),
        ("=?utf-8?q?ceo=40listed=2Eexample?= <x@evil.example>", &["x@evil.example"]),
        ("=?utf-8?B?Y2VvQGxpc3RlZC5leGFtcGxl?= <x@evil.example>", &["x@evil.example"]),
        ("x@evil.example (ceo@listed.example)", &["x@evil.example"]),
        ("(ceo@listed.example) x@evil.example", &["x@evil.example"]),
        ("(a (nested \\) (comment))) <x@evil.example>", &["x@evil.example"]),
        ("a@b.example, c@d.example", &["a@b.example", "c@d.example"]),
        ("a@b.example, , c@d.example", &["a@b.example", "c@d.example"]),
        (",a@b.example,,", &["a@b.example"]),
        ("Team: a@b.example, c@d.example;", &["a@b.example", "c@d.example"]),
        ("Team: a@b.example;, c@d.example", &["a@b.example", "c@d.example"]),
        ("\"The Team\" : Ann <a@b.example>, ,;", &["a@b.example"]),
        ("Empty:;, a@b.example", &["a@b.example"]),
        ("Ann\r\n <a@b.example>", &["a@b.example"]),
        ("\r\n\tAnn\r\n \r\n <a@b.example>\r\n ", &["a@b.example"]),
        ("\"An\r\n n\" <a@b.example>", &["a@b.example"]),
        ("a . b @ c . example", &["a.b@c.example"]),
        ("a(x).(y)b(z)@(q)c.example", &["a.b@c.example"]),
        ("\"a b\"@c.example", &["\"a b\"@c.example"]),
        ("\"a\".b@c.example", &["a.b@c.example"]),
        ("\"ceo@listed.example\"@evil.example", &["\"ceo@listed.example\"@evil.example"]),
        ("<@x.example,@y.example:a@b.example>", &["a@b.example"]),
        ("<,@x.example,,@y.example,:a@b.example>", &["a@b.example"]),
        ("a@[192.0.2.1]", &["a@[192.0.2.1]"]),
        ("a@[ IPv6:2001:DB8::1 ]", &["a@[ipv6:2001:db8::1]"]),
        ("Ann <a@b\u{fc}cher.example>", &["a@xn--bcher-kva.example"]),
        ("J\u{fc}rgen <j\u{fc}rgen@b.example>", &["j\u{fc}rgen@b.example"]),
        ("a@b.example, A@b.example, a@B.EXAMPLE", &["a@b.example", "A@b.example"]),
        ("O'Neil-x+y={z}@b.example", &["O'Neil-x+y={z}@b.example"]),
        ("a\u{40}b\u{3002}example", &["a@b.example"]),
    ];
    for (value, mailboxes) in rows {
        check(&format!("From: {value}\r\n"), mailboxes, CERTAIN);
    }
    check("FROM : a@b.example\r\n", &["a@b.example"], CERTAIN);
    check("Subject: x\r\nfrom:a@b.example\r\nResent-From: ceo@listed.example\r\n\r\n", &["a@b.example"], CERTAIN);
}

#[test]
fn whatever_the_grammar_does_not_consume_leaves_doubt() {
    let rows: [(&str, &[&str]); 47] = [
        ("", &[]),
        (" ", &[]),
        ("Ann", &[]),
        ("Empty:;", &[]),
        (",,,", &[]),
        ("<>", &[]),
        ("Ann <>", &[]),
        ("Ann <ann>", &[]),
        ("a@", &[]),
        ("@b.example", &[]),
        ("a@b.example c@d.example", &["a@b.example", "c@d.example"]),
        ("<a@b.example> trailing", &["a@b.example"]),
        ("<a@b.example> (fine) trailing", &["a@b.example"]),
        ("<a@b.example> <c@d.example>", &["a@b.example", "c@d.example"]),
        ("ceo@listed.example <x@evil.example>", &["ceo@listed.example", "x@evil.example"]),
        ("Ann <a@b.example", &["a@b.example"]),
        ("Ann a@b.example>", &["a@b.example"]),
        ("Ann a@b.example", &["a@b.example"]),
        ("\"Ann <a@b.example>", &[]),
        ("Ann\" <a@b.example>", &[]),
        ("(Ann <a@b.example>", &[]),
        ("Ann) <a@b.example>", &["a@b.example"]),
        ("a@b.example (open", &["a@b.example"]),
        ("a@b.example \\", &["a@b.example"]),
        ("a@b.example.", &["a@b.example"]),
        ("a..b@c.example", &["b@c.example"]),
        (".a@c.example", &["a@c.example"]),
        ("a.@c.example", &[]),
        ("a@b..example", &["a@b"]),
        ("a@b@c.example", &["a@b"]),
        ("a@exa!mple.example", &[]),
        ("a@-.xn--a.example", &[]),
        ("a@[192.0.2.1", &["a@[192.0.2.1]"]),
        ("a@[192.0[.2.1]", &[]),
        ("[192.0.2.1]", &[]),
        ("Team: a@b.example", &["a@b.example"]),
        ("Team: Sub: a@b.example;;", &["a@b.example"]),
        (": a@b.example;", &["a@b.example"]),
        ("a@b.example;", &["a@b.example"]),
        ("a@b.example; c@d.example", &["a@b.example", "c@d.example"]),
        ("Team:; a@b.example", &["a@b.example"]),
        ("Ann <a@b.example>\u{0}", &["a@b.example"]),
        ("An\u{7}n <a@b.example>", &["a@b.example"]),
        ("\"An\u{1}n\" <a@b.example>", &["a@b.example"]),
        ("An\u{85}n <a@b.example>", &["a@b.example"]),
        ("x@evil.example\n ceo@listed.example", &[]),
        ("x@evil.example\rceo@listed.example", &[]),
    ];
    for (value, at_least) in rows {
        let facts = from_of(&split(format!("From: {value}\r\n").as_bytes()));
        assert!(facts.doubtful, "{value:?}: {facts:?}");
        let got: Vec<String> = facts.mailboxes.iter().map(Mailbox::to_string).collect();
        for mailbox in at_least {
            assert!(got.contains(&(*mailbox).to_owned()), "{mailbox} in {value:?}: {got:?}");
        }
    }
    let latin1 = [Field { name: "From".into(), value: b" J\xfcrgen <a@b.example>".to_vec() }];
    let facts = from_of(&latin1);
    assert!(facts.doubtful && facts.mailboxes.len() == 1, "{facts:?}");
}

#[test]
fn the_number_of_from_fields_counts() {
    check("Subject: no From\r\n", &[], DOUBT);
    check("", &[], DOUBT);
    check("From: a@b.example\r\nX: y\r\nFROM: c@d.example\r\n", &["a@b.example", "c@d.example"], DOUBT);
    check("From: a@b.example\r\nFrom: a@b.example\r\n", &["a@b.example"], DOUBT);
    check("From:\r\nFrom: a@b.example\r\n", &["a@b.example"], DOUBT);
    // What another reader may take for a From.
    check("From: a@b.example\r\nSubject: x\nFrom: ceo@listed.example\r\n", &["a@b.example"], DOUBT);
    check("X\nFrom: ceo@listed.example\r\nFrom: a@b.example\r\n", &["a@b.example"], DOUBT);
    check("\nX: y\r\nFrom: a@b.example\r\n", &["a@b.example"], DOUBT);
    check("X\r\rFrom: ceo@listed.example\r\nFrom: a@b.example\r\n", &["a@b.example"], DOUBT);
    check("From: a@b.example\r\nFr\0om: ceo@listed.example\r\n", &["a@b.example"], DOUBT);
    check(":From: ceo@listed.example\r\nFrom: a@b.example\r\n", &["a@b.example"], DOUBT);
    check("From: a@b.example\r\n::fRoM: ceo@listed.example\r\n", &["a@b.example"], DOUBT);
    check("From: a@b.example\r\n>From ceo@listed.example\r\n", &["a@b.example"], DOUBT);
    check(" From: ceo@listed.example\r\nFrom: a@b.example\r\n", &["a@b.example"], DOUBT);
    check("From: a@b.example\r\nFrom-Where: ceo@listed.example\r\n", &["a@b.example"], CERTAIN);
    check("From: a@b.example\r\n\r\nFrom: ceo@listed.example\r\n", &["a@b.example"], CERTAIN);
}

#[test]
fn huge_values_are_read_once_and_left_in_doubt() {
    let header_max = 1 << 18;
    for piece in [
        "(",
        ")",
        "\"",
        "<",
        ">",
        "a@",
        "a@b,",
        "a.",
        ".",
        "a ",
        "=?a",
        "=?utf-8?q?x",
        "=?utf-8?b?",
        "[",
        "\\",
        "@a,",
        "<@a",
        ":",
        ";",
        "g:",
    ] {
        let value = piece.repeat(header_max / piece.len());
        assert!(from_of(&[Field { name: "From".into(), value: value.into() }]).doubtful, "{piece:?}");
        let value = piece.repeat(LENIENT_OCTETS_MAX / piece.len());
        from_of(&[Field { name: "From".into(), value: value.into() }]);
    }
    let deep = format!("From: {}{} a@b.example\r\n", "(".repeat(30), ")".repeat(30));
    check(&deep, &["a@b.example"], CERTAIN);
    let deeper = format!("From: {}{} a@b.example\r\n", "(".repeat(40), ")".repeat(40));
    check(&deeper, &["a@b.example"], DOUBT);
}

/// Whatever the octets: no panic, nothing that mail-parser sees is missing, and a certain From has a mailbox.
#[test]
fn a_seeded_search_finds_nothing_that_is_missed() {
    const PIECES: [&str; 32] = [
        "a",
        "b.example",
        "@",
        "<",
        ">",
        "\"",
        "(",
        ")",
        ",",
        ";",
        ":",
        ".",
        " ",
        "\t",
        "\r\n ",
        "\\",
        "[",
        "]",
        "1.2.3.4",
        "=?utf-8?q?",
        "?=",
        "ceo@listed.example",
        "\u{fc}",
        "\0",
        "\r",
        "\n",
        "Ann",
        "\u{7f}",
        "\u{feff}",
        "=",
        "_",
        "xn--",
    ];
    let mut seed = 0x5ea1_u64;
    for _ in 0..40_000 {
        let mut value = Vec::new();
        let mut draw = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize
        };
        for _ in 0..draw() % 14 {
            value.extend_from_slice(PIECES[draw() % PIECES.len()].as_bytes());
            if draw() % 40 == 0 {
                value.push(draw() as u8);
            }
        }
        let facts = from_of(&[Field { name: "From".into(), value: value.clone() }]);
        let shown = String::from_utf8_lossy(&value);
        assert!(facts.doubtful || !facts.mailboxes.is_empty(), "{shown:?}");
        for mailbox in lenient(&value) {
            assert!(facts.mailboxes.contains(&mailbox), "{mailbox} in {shown:?}");
        }
    }
}
