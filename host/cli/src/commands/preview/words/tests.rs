//! What a preview found, and how it is told.

use serde_json::json;

use super::*;

fn found(more: serde_json::Value) -> Found {
    let mut found = json!({
        "id": 1, "state": "done", "span": { "days": 7, "within": 300 }, "settings-revision": 2, "generation": 3,
        "total": 400, "done": 400, "replayed": 90, "not-replayable": 0, "why-not": {}, "per-second": 5000,
        "took-us": 18_000, "differences": [], "beyond": 0,
    });
    found.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    serde_json::from_value(found).expect("a preview")
}

fn text(found: &Found) -> String {
    tell(found).into_iter().map(|line| line + "\n").collect()
}

#[test]
fn a_preview_reads_like_this() {
    let row = |hook: &str, change: &str, domain: &str, count: u64, more: serde_json::Value| {
        let mut row = json!({
            "hook": hook, "change": change, "domain": domain, "policies": "secure-transport", "count": count, "examples": [],
        });
        row.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        row
    };
    let nothing = || json!({});
    let refused = json!({ "examples": [{ "message": "m1", "before": "accepted", "after": "refused (R1)" }] });
    let needed = json!({
        "later-rounds": 2, "had": { "yes": 9, "no": 2, "unknown": 1 },
        "examples": [{ "message": "m2", "about": "ann@bank.test", "before": "no demands", "after": "TLSv1.3 or newer" }],
    });
    let rows = [
        row("receive", "accepted -> refused (R1)", "partner.test", 30, refused),
        row("receive", "accepted -> refused (R1)", "other.test", 7, nothing()),
        row("receive", "+ secure transport asked for by content", "x.test", 1, nothing()),
        row("plan", "+ TLSv1.3 or newer", "bank.test", 12, needed),
        row("plan", "- TLS", "", 1, nothing()),
        row("plan", "route: its own -> vault", "bank.test", 3, nothing()),
        row("plan", "if no host does: none -> bounce", "bank.test", 3, nothing()),
        row("plan", "other reasons, the same effect", "bank.test", 2, nothing()),
        row("judge", "taken -> objected to (X)", "b\u{1b}nk.test", 1, nothing()),
    ];
    let why = json!({ "not on record: message.header(subject)": 4 });
    let more = json!({
        "state": "out-of-time", "done": 100, "differences": rows, "beyond": 5, "not-replayable": 4, "why-not": why,
    });
    assert_eq!(text(&found(more)), include_str!("golden.txt"));
}

#[test]
fn nothing_is_said_to_be_nothing() {
    let expected = "nothing would have been another\nall 400 records of the last 7 days were read\n\
        90 decisions made again, 5000 a second; not replayable: 0\n";
    assert_eq!(text(&found(json!({}))), expected);
    let stopped = found(json!({ "state": "cancelled", "done": 4 }));
    assert!(text(&stopped).contains("stopped: 4 of 400 records of the last 7 days were read"));
    assert_eq!(progress(&stopped), "1%  4 of 400 records, 90 decisions made again");
}
