//! Tables of R8: what an entry lists, what it does not, and what is refused with a way to mend it.

use super::*;

fn list(text: &str) -> AddressList {
    AddressList::parse(text).unwrap_or_else(|problems| panic!("{text:?}: {problems:?}"))
}

fn found(list: &AddressList, address: &str) -> Option<String> {
    let mailbox = Mailbox::parse(address).expect("an address");
    list.find(&mailbox, 0).map(|entry| entry.text.to_owned())
}

#[test]
fn an_entry_lists_what_its_form_says_and_no_more() {
    // (list, address, the entry that matched)
    let rows = [
        ("ann@example.com", "ann@example.com", Some("ann@example.com")),
        ("ann@example.com", "ANN@Example.COM", Some("ann@example.com")),
        ("Ann@Example.com", "ann@example.com", Some("Ann@Example.com")),
        ("ann@example.com", "bob@example.com", None),
        ("ann@example.com", "ann@sub.example.com", None),
        ("example.com", "ann@example.com", Some("example.com")),
        ("Example.COM.", "ann@example.com", Some("Example.COM.")),
        ("example.com", "ann@sub.example.com", None),
        ("example.com", "ann@notexample.com", None),
        ("*.example.com", "ann@example.com", None),
        ("*.example.com", "ann@sub.example.com", Some("*.example.com")),
        ("*.example.com", "ann@a.b.example.com", Some("*.example.com")),
        ("*.example.com", "ann@subexample.com", None),
        ("*.Example.COM", "ann@SUB.example.com", Some("*.Example.COM")),
        ("example", "ann@example.example", None),
        ("*.com", "ann@example.com", Some("*.com")),
        ("bücher.example", "ann@xn--bcher-kva.example", Some("bücher.example")),
        ("xn--bcher-kva.example", "ann@BÜCHER.example", Some("xn--bcher-kva.example")),
        ("*.bücher.example", "ann@a.xn--bcher-kva.example", Some("*.bücher.example")),
        ("ann@bücher.example", "ann@xn--bcher-kva.example", Some("ann@bücher.example")),
        ("JÜRGEN@example.com", "jürgen@example.com", Some("JÜRGEN@example.com")),
        ("[192.0.2.1]", "ann@[192.0.2.1]", Some("[192.0.2.1]")),
        ("\"a b\"@example.com", "\"A B\"@example.com", Some("\"a b\"@example.com")),
        ("\"ann\"@example.com", "ann@example.com", Some("\"ann\"@example.com")),
        ("\"a, b # c\"@example.com", "\"a, b # c\"@example.com", Some("\"a, b # c\"@example.com")),
        ("\"*\"@example.com", "ann@example.com", None),
        ("\"*.b\"@example.com", "\"*.b\"@example.com", Some("\"*.b\"@example.com")),
        ("a#b@example.com", "a#b@example.com", Some("a#b@example.com")),
        ("", "ann@example.com", None),
    ];
    for (text, address, expected) in rows {
        let Ok(list) = AddressList::parse(text) else {
            assert_eq!(expected, None, "{text:?} was refused");
            continue;
        };
        assert_eq!(found(&list, address).as_deref(), expected, "{address} in {text:?}");
    }
}

#[test]
fn the_short_way_to_the_one_form_ends_where_the_long_one_does() {
    let long = format!("{}.example", "a".repeat(63));
    let too_long = format!("{}.example", "a".repeat(64));
    let rows = [
        ("ann@example.com", true),
        ("a.b_c-d@x-y.example", true),
        ("example", true),
        (&long, true),
        (&too_long, false),
        ("Ann@example.com", false),
        ("xn--bcher-kva.example", false),
        ("a+b@example.com", false),
        ("a@b@example.com", false),
        ("a..b", false),
        (".a", false),
        ("a.", false),
        ("@a", false),
        ("a@", false),
        ("a.@b", false),
        ("", false),
        ("*.example", false),
    ];
    for (text, short) in rows {
        assert_eq!(is_normal(text), short, "{text}");
        if short {
            assert_eq!(brought_to_normal(text).as_deref(), Ok(text));
        }
    }
}

#[test]
fn the_nearest_entry_wins() {
    let all = "*.example *.b.example a.b.example ann@a.b.example";
    let rows = [
        (all, "ann@a.b.example"),
        ("*.example *.b.example a.b.example", "a.b.example"),
        ("*.example *.b.example", "*.b.example"),
        ("*.example", "*.example"),
    ];
    for (text, expected) in rows {
        assert_eq!(found(&list(text), "ann@a.b.example").as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn entries_stand_apart_by_commas_white_space_and_line_ends() {
    let text = "\u{feff}a@x.example,b@x.example ; not\n".replace(" ; not", "\t# the rest, is a comment c@x.example")
        + "\r\nd.example\r# old line end\re.example ,, f.example\n#g.example";
    let list = list(&text);
    assert_eq!(list.len(), 5);
    for address in ["a@x.example", "b@x.example", "x@d.example", "x@e.example", "x@f.example"] {
        assert!(found(&list, address).is_some(), "{address}");
    }
    assert!(found(&list, "c@x.example").is_none() && found(&list, "x@g.example").is_none());
}

#[test]
fn every_problem_is_told_with_its_line_and_a_way_to_mend_it() {
    let rows = [
        ("*@example.com", "the domain alone"),
        ("@example.com", "the domain alone"),
        (".example.com", "`*.example.com`"),
        ("*", "`*.example.com`"),
        ("a.*.example", "`*.example.com`"),
        ("*.*.example", "is not a domain"),
        ("*.", "is not a domain"),
        ("*.[192.0.2.1]", "without `*.`"),
        ("<ann@example.com>", "without < >"),
        ("ann@", "not an address"),
        ("ann@exa_mple..com", "not an address"),
        ("\"open@example.com", "not an address"),
        ("a@b.example;c@d.example", "not an address"),
        ("example.com#ours", "neither an address"),
        ("exämple..com", "neither an address"),
    ];
    let text: String = rows.iter().map(|(entry, _)| format!("fine.example\n{entry}\n")).collect();
    let problems = AddressList::parse(&text).expect_err("all of them");
    assert_eq!(problems.len(), rows.len(), "{problems:?}");
    for (i, ((entry, hint), problem)) in rows.iter().zip(&problems).enumerate() {
        assert_eq!((problem.line, problem.text.as_str()), (2 * i + 2, *entry));
        assert!(problem.why.contains(hint), "{problem}");
    }
    let long = format!("{}@example.com", "a".repeat(2_000));
    let problem = AddressList::parse(&long).expect_err("too long").remove(0);
    assert!(problem.text.len() < 100 && problem.why.contains("longer"), "{problem}");
    assert_eq!(AddressList::parse(&"@ ".repeat(5_000)).expect_err("many").len(), PROBLEMS_MAX + 1);
}

#[test]
fn equal_content_has_an_equal_digest() {
    let one = list("b.example, a@x.example *.c.example");
    let two = list("*.C.example\nA@X.EXAMPLE # same\nb.example. b.example");
    assert_eq!(one.digest(), two.digest());
    assert_eq!((one.len(), two.len()), (3, 3));
    assert_eq!(one.digest().len(), 64);
    assert_ne!(one.digest(), list("b.example, a@x.example c.example").digest());
    assert_eq!(list("").digest(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(found(&two, "x@b.example").as_deref(), Some("b.example."), "the first of equal entries is kept");
}

#[test]
fn every_one_of_many_entries_is_found_and_none_besides() {
    let text: String = (0..20_000).map(|n| format!("user{n}@d{}.example\n", n % 97)).collect();
    let list = list(&text);
    assert_eq!(list.len(), 20_000);
    for n in 0..20_000 {
        assert!(found(&list, &format!("User{n}@D{}.example", n % 97)).is_some(), "{n}");
        assert!(found(&list, &format!("user{n}@d{}.example", (n + 1) % 97)).is_none(), "{n}");
    }
}

/// A third of them each kind. Some look-ups of each kind stand for all: the index has no part that grows old.
#[test]
fn a_long_list_finds_each_kind_of_entry() {
    const ENTRIES: usize = 1_000_000;
    let entry = |n: usize| match n % 3 {
        0 => format!("user{n}@example.com\n"),
        1 => format!("d{n}.example\n"),
        _ => format!("*.d{n}.example\n"),
    };
    let list = list(&(0..ENTRIES).map(entry).collect::<String>());
    assert_eq!(list.len(), ENTRIES);
    for n in (0..ENTRIES).step_by(997) {
        let (listed, unlisted) = match n % 3 {
            0 => (format!("USER{n}@example.com"), format!("user{n}@d{n}.test")),
            1 => (format!("ann@D{n}.example"), format!("ann@a.d{n}.example")),
            _ => (format!("ann@a.b.d{n}.example"), format!("ann@d{n}.example")),
        };
        assert_eq!(found(&list, &listed).as_deref(), Some(entry(n).trim()), "{listed}");
        assert_eq!(found(&list, &unlisted), None, "{unlisted}");
    }
}

#[test]
fn an_entry_lists_until_its_time_and_says_for_which_senders() {
    let text = "bank.example until=1970-01-01 sender=authenticated, ann@bank.example until=1970-01-01T00:00:10Z
        *.bank.example # always
        twice.example until=1970-01-01
        twice.example
        later.example until=1970-01-01
        later.example until=1970-01-02 sender=authenticated";
    let list = list(text);
    // (address, now, the entry and whether it is for authenticated senders alone)
    let rows = [
        ("bob@bank.example", 86_399, Some(("bank.example", true))),
        ("bob@bank.example", 86_400, None),
        ("ann@bank.example", 9, Some(("ann@bank.example", false))),
        // Its own entry is over, its domain's is not.
        ("ann@bank.example", 10, Some(("bank.example", true))),
        ("ann@sub.bank.example", 86_400, Some(("*.bank.example", false))),
        // Of equal entries the wider one stands.
        ("ann@twice.example", u64::MAX, Some(("twice.example", false))),
        ("ann@later.example", 172_799, Some(("later.example", false))),
        ("ann@later.example", 172_800, None),
    ];
    for (address, now, expected) in rows {
        let mailbox = Mailbox::parse(address).expect("an address");
        let found = list.find(&mailbox, now).map(|entry| (entry.text, entry.authenticated_sender_only));
        assert_eq!(found, expected, "{address} at {now}");
    }
    let rows = [
        ("until=2026-12-31", "stands behind no entry"),
        ("a.example until=tomorrow", "is no end"),
        ("a.example until=2026-02-30", "is no end"),
        ("a.example sender=anyone", "only `sender=authenticated`"),
        ("a.example note=x", "there is no such word"),
        ("a.example\nuntil=2026-12-31", "stands behind no entry"),
    ];
    for (text, expected) in rows {
        let problems = AddressList::parse(text).err().unwrap_or_default();
        assert!(problems.len() == 1 && problems[0].why.contains(expected), "{text}: {problems:?}");
    }
}

#[test]
fn equal_lists_have_equal_digests_and_attributes_count() {
    let digest = |text: &str| list(text).digest().to_owned();
    assert_eq!(digest("b.example\na.example # x"), digest("A.example, b.example"));
    assert_ne!(digest("a.example"), digest("a.example until=2026-12-31"));
    assert_ne!(digest("a.example until=2026-12-30"), digest("a.example until=2026-12-31"));
    assert_eq!(digest("a.example until=2026-12-30\na.example"), digest("a.example"));
}

#[test]
fn a_text_is_read_entry_by_entry_and_edited_where_it_must_be() {
    let text = "# ours\nbank.example, Ann@Bank.example until=2026-12-31 # our bank\n*.x.example\n";
    let found: Vec<String> =
        written(text).map(|e| format!("{} {} {} {:?}", e.line, e.text, e.attributes, e.note)).collect();
    let expected = [
        "2 bank.example  \"our bank\"",
        "2 Ann@Bank.example  until=2027-01-01T00:00:00Z \"our bank\"",
        "3 *.x.example  \"\"",
    ];
    assert_eq!(found, expected);
    let rows = [
        (&["ann@bank.example"][..], "# ours\nbank.example # our bank\n*.x.example\n", 1),
        (&["bank.example", "ann@bank.example"], "# ours\n# our bank\n*.x.example\n", 2),
        (&["*.x.example"], "# ours\nbank.example, Ann@Bank.example until=2026-12-31 # our bank\n", 1),
        (&["x.example"], text, 0),
    ];
    for (entries, expected, count) in rows {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        assert_eq!(remove(text, &entries), Ok((expected.to_owned(), count)), "{entries:?}");
    }
    let entry = |text: &str| NewEntry { text: text.to_owned(), ..NewEntry::default() };
    let with = NewEntry {
        with_subdomains: true,
        until: Some("2026-12-31".into()),
        note: "new #1".into(),
        ..entry("y.example")
    };
    let added = add("a.example", &[entry("b.example"), with]).expect("good entries");
    assert_eq!(
        added,
        "a.example\nb.example\ny.example until=2026-12-31 # new #1\n*.y.example until=2026-12-31 # new #1\n"
    );
    let bad = [
        NewEntry { note: "two\nlines".into(), ..entry("a.example") },
        entry("a.example b.example"),
        entry("a.example # x"),
        entry("@"),
        entry(""),
        NewEntry { until: Some("soon".into()), ..entry("a.example") },
        NewEntry { with_subdomains: true, ..entry("ann@a.example") },
    ];
    for bad in bad {
        assert!(add("", std::slice::from_ref(&bad)).is_err(), "{bad:?}");
    }
}
