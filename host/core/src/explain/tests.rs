//! Ledgers of one message, and what is told of it.

use serde_json::json;

use super::*;

/// A message to two recipients: accepted, planned, one refused by the floor and reported.
fn ledger() -> Vec<LedgerRecord> {
    let decision = |hook: &str, recipient: &str, demands: Value| {
        json!({
            "event": "decision", "hook": hook, "policy": "secure-transport", "generation": 1, "revision": 2,
            "component": "c0", "settings": "5e", "lists": { "partners": "11" }, "took_us": 1, "reasons": [],
            "facts": { "find(partners, ann@bank.test)": "bank.test" },
            "at_hand": { "destination.recipient": recipient, "hop.recipients": [recipient], "hop.host": "mx.bank.test" },
            "result": { "demands": demands },
        })
    };
    let events = [
        decision("receive", "", Value::Null),
        json!({
            "event": "accepted", "client": "192.0.2.1", "tls": null,
            "envelope_sender": { "local": "me", "domain": "ours.test" },
            "recipients": [{ "local": "ann", "domain": "bank.test" }, { "local": "bob", "domain": "other.test" }],
            "header_from": [{ "local": "me", "domain": "ours.test" }],
            "generation": 1, "flagged_by": [], "size": 3,
        }),
        decision("plan", "ann@bank.test", json!([["tls", "R2"]])),
        decision("plan", "bob@other.test", json!([])),
        decision("judge", "bob@other.test", Value::Null),
        json!({
            "event": "attempted", "recipient": { "local": "ann", "domain": "bank.test" }, "generation": 1, "round": 1,
            "route": "mx", "fallback": [], "reasons": [], "took_ms": 1, "settlement": "report",
            "floor": [["tls", { "rule": { "policy": "secure-transport", "rule": "R2" } }], ["trusted-chain", { "route": "mx" }]],
            "result": { "outcome": "floor-unmet", "hosts": [], "not_asked": [] },
        }),
        json!({
            "event": "attempted", "recipient": { "local": "bob", "domain": "other.test" }, "generation": 1, "round": 1,
            "route": "mx", "fallback": [], "reasons": [], "took_ms": 1, "settlement": "retry", "floor": [],
            "result": { "outcome": "inconclusive", "host": null, "why": "time-out", "reply": null },
        }),
        json!({
            "event": "reported", "report": "r1", "recipients": [{ "local": "ann", "domain": "bank.test" }], "text": "sorry",
        }),
    ];
    let line = |mut event: Value| {
        let more = json!({ "at_ms": 1_800_000_000_000_u64, "message": "m1" });
        event.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        serde_json::from_value(event).expect("a record")
    };
    events.into_iter().map(line).collect()
}

#[test]
fn an_explanation_reads_like_this() {
    let text: String = ledger().iter().flat_map(lines).map(|line| line + "\n").collect();
    assert_eq!(text, include_str!("golden.txt"));
}

#[test]
fn one_recipient_s_copy_leaves_out_the_others() {
    let rows: [(&str, &[usize]); 3] =
        [("ann@bank.test", &[0, 1, 2, 5, 7]), ("BOB@other.test", &[0, 1, 3, 4, 6]), ("eve@x.test", &[0, 1])];
    for (recipient, expected) in rows {
        let found = ledger().into_iter().enumerate().filter(|(_, record)| concerns(&record.event, recipient));
        let numbers: Vec<usize> = found.map(|(number, _)| number).collect();
        assert_eq!(numbers, expected, "{recipient}");
    }
}
