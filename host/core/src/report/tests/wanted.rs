//! What a sender asks to be told is all he is told (RFC 3461), and in which type of part (RFC 6533).

use super::*;

#[test]
fn nobody_is_told_what_he_does_not_want_to_hear() {
    // NOTIFY of the recipient; what he is told of a failure, a delay, a relaying.
    let rows = [
        (None, [true, true, false]),
        (Some("NEVER"), [false; 3]),
        (Some("SUCCESS"), [false, false, true]),
        (Some("FAILURE"), [true, false, false]),
        (Some("DELAY"), [false, true, false]),
    ];
    for (notify, expected) in rows {
        let asked = RecipientDsn { notify: notify.and_then(|notify| notify.parse().ok()), orcpt: None };
        let entry = Entry { dsn: Dsn { recipients: [(3, asked)].into(), ..Dsn::default() }, ..original() };
        let told = [Action::Failed(refused()), delayed(), relayed()].map(|action| {
            let at = |index, text| Recipient { index, mailbox: mailbox(text), action: action.clone() };
            let report = report_of(&entry, &[at(3, "bob@strict.example"), at(4, "carol@strict.example")]);
            let by_default = !matches!(action, Action::Relayed(_));
            let tells = |who: &str| report.as_ref().is_some_and(|report| report.text.contains(who));
            assert_eq!(tells("carol@"), by_default, "{action:?}");
            tells("bob@")
        });
        assert_eq!(told, expected, "{notify:?}");
    }
}

#[test]
fn a_report_asks_for_no_report() {
    let message = report_of(&original(), &[to("bob@strict.example", refused())]).expect("somebody to tell");
    assert_eq!(message.entry.dsn.rcpt_parameters(0, false), " NOTIFY=NEVER");
}

#[test]
fn an_international_header_is_typed_as_one() {
    let entry = Entry { smtp_utf8: true, header: "Subject: gr\u{fc}n\r\n".into(), ..original() };
    let failures = [to("bob@strict.example", refused())];
    let typed =
        |entry: &Entry| whole(&report_of(entry, &failures).expect("somebody")).contains("message/global-headers");
    assert!(typed(&entry));
    assert!(!typed(&Entry { smtp_utf8: false, ..entry.clone() }));
    assert!(!typed(&original()));
}
