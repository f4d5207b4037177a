//! Derivations as the ledger and `decide` have them, and how they read.

use serde_json::json;

use super::*;

/// As the ledger has one.
pub(crate) fn record(hook: &str, more: Value) -> DecisionRecord {
    let mut record = json!({
        "hook": hook, "policy": "secure-transport", "generation": 4, "revision": 3, "revision_at": 1_800_000_000_u64, "component": "c0", "settings": "5e",
        "lists": {}, "facts": {}, "result": {}, "reasons": [], "took-us": 1, "took_us": 1,
    });
    let more = more.as_object().expect("an object").clone();
    record.as_object_mut().expect("an object").extend(more);
    serde_json::from_value(record).expect("a record")
}

#[test]
fn a_derivation_reads_like_this() {
    let refused = record(
        "receive",
        json!({
            "unit": ["root", "sales"],
            "facts": {
                "message.client": true, "client.channel.state": "not-offered",
                "message.header-from": ["carol@partner.test", "eve@\u{1b}[2J.test"],
                "message.envelope-sender": null,
                "get-list(partners)": true, "find(partners, carol@partner.test)": "*.test",
                "find(banks, carol@partner.test)": null,
            },
            "result": { "reject": { "code": 550, "enhanced": "5.7.10", "text": "Encryption needed (rule R1)" },
                        "defer": null, "require-secure-transport": true },
            "reasons": [{ "policy": "secure-transport", "rule": "R1", "text": "Encryption needed",
                          "matched": "*.test", "detail": "setting \"Partners\"" }],
        }),
    );
    let planned = record(
        "plan",
        json!({
            "internal": true,
            "facts": { "destination.recipient": "ann@bank.test", "message.now": 7 },
            "result": {
                "demands": [["tls", "R2"], [{ "minimum-version": 772 }, "R2"], ["trusted-chain", ""]],
                "take-route": "gateway",
                "fallback": [{ "step": "route", "route": "vault" }, { "step": "bounce" }],
            },
            "reasons": [{ "policy": "secure-transport", "rule": "R2", "text": "Over TLS only.", "matched": null, "detail": null }],
        }),
    );
    let idle = record("judge", json!({ "revision": 0, "revision_at": 0, "result": { "objection": null } }));
    let failed = record(
        "plan",
        json!({ "result": { "failed": { "policy": "p", "cause": "trap", "detail": "it panicked\nthere" } } }),
    );
    let all = [refused, planned, idle, failed];
    let text: String = all.iter().flat_map(lines).map(|line| line + "\n").collect();
    assert_eq!(text, include_str!("golden.txt"));
}

#[test]
fn what_is_long_is_cut_and_says_so() {
    let facts: serde_json::Map<String, Value> =
        (0..50).map(|n| (format!("message.header({n:02})"), "x".repeat(300).into())).collect();
    let told = lines(&record("receive", json!({ "facts": facts })));
    assert!(told[2].ends_with("xxx...") && told[2].len() < 260, "{}", told[2]);
    assert_eq!(told.last().map(String::as_str), Some("  and 10 facts more, in --json"));
}
