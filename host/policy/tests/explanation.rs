//! Explanations: what a policy says of the rules it tried, asked apart from every decision, bounded, and of recorded facts alone.

mod common;

use std::sync::Arc;

use common::{built, destination, guest, hop, message, of_fields, policy, source};
use sealwire_core::explain::RulesTried;
use sealwire_core::facts::MessageFacts;
use sealwire_core::ledger::DecisionRecord;
use sealwire_policy::{
    Asked, AskedFacts, ChainId, Explainable, Generation, PolicySource, Sandbox, SandboxConfig, limits,
};

/// Refuses whom `partners` lists, and explains by looking him up.
const GOOD: &str = include_str!("../../../tests/hostile/good.wat");

/// One rule, in words that would forge a line.
const TELLS: &str = r#"
    (data (i32.const 1424) "\00\00\00\00\00\08\00\00\01\00\00\00")
    (data (i32.const 2048) "\40\06\00\00\04\00\00\00\48\06\00\00\02\00\00\00\01\00\00\00\50\06\00\00\0b\00\00\00")
    (data (i32.const 1600) "mine")
    (data (i32.const 1608) "F1")
    (data (i32.const 1616) "it is\0d\0aso\1b!")"#;

/// What is done before that is said.
fn telling(first: &str) -> String {
    format!("{TELLS} (func $explain (param $message i32) (result i32) {first} (i32.const 1424))")
}

fn sandbox() -> Sandbox {
    Sandbox::start(SandboxConfig::default()).expect("a sandbox")
}

fn listed() -> Arc<MessageFacts> {
    Arc::new(message("alice@partner.example"))
}

fn explainable(record: &DecisionRecord, facts: Option<AskedFacts>) -> Explainable {
    Explainable { chain: ChainId::default(), message: "m1".into(), record: record.clone(), facts }
}

async fn explained(sandbox: &Sandbox, generation: &Arc<Generation>, asked: Explainable) -> RulesTried {
    sandbox.explain(generation, vec![asked]).await.remove(0)
}

#[tokio::test]
async fn every_hook_is_explained_and_no_decision_is_made() {
    let sandbox = sandbox();
    // The one starts from its image, the other is configured in each instance.
    let no_image = "(table $t 2 funcref) (elem declare func $ok)
        (func $configure (param i32 i32) (result i32) (table.set $t (i32.const 1) (ref.func $ok)) (call $ok))";
    for fields in [telling(""), telling("") + no_image] {
        let generation = built(&sandbox, vec![policy("p", of_fields(&fields))]).expect("builds");
        let asked = [Asked::of(&listed())];
        let mut records = sandbox.receive(&generation, &asked[0], 2_000).await.records;
        records.extend(sandbox.plan(&generation, &asked, destination("b@x.example"), 2_000).await.records);
        records.extend(sandbox.judge(&generation, &asked, hop(), 2_000).await.records);
        let facts = [
            AskedFacts::Receive(listed()),
            AskedFacts::Plan(listed(), destination("b@x.example")),
            AskedFacts::Judge(listed(), hop()),
        ];
        let by_hand = records.iter().zip(facts).map(|(record, facts)| explainable(record, Some(facts)));
        let recorded = records.iter().map(|record| explainable(record, None));
        let before = sandbox.status();
        for told in sandbox.explain(&generation, by_hand.chain(recorded).collect()).await {
            assert_eq!(told.untold, None, "{told:?}");
            let [rule] = &told.rules[..] else { panic!("{told:?}") };
            assert_eq!((rule.setting.as_str(), rule.rule.as_str(), rule.holds), ("mine", "F1", true));
            assert_eq!(told.lines(), ["  holds: rule F1 of mine: it is\\r\\nso\\u{1b}!"]);
        }
        assert_eq!(sandbox.status(), before, "an explanation is no decision");
    }
}

#[tokio::test]
async fn a_guest_that_misbehaves_is_told_of_and_harms_nothing() {
    let sandbox = sandbox();
    let explain = |body: &str| format!("(func $explain (param $message i32) (result i32) {body})");
    let answer = |at: &str| explain("(i32.const 1424)") + &format!(r#" (data (i32.const 1424) "{at}")"#);
    let big = "\\00\\30\\00\\00\\40\\0d\\03\\00";
    let rows = [
        (explain("(loop $again (br $again)) (unreachable)"), "it ran out of time", 0),
        (explain("(unreachable)"), "it trapped", 0),
        (explain("(loop $again (drop (memory.grow (i32.const 1))) (br $again)) (unreachable)"), "over a limit", 0),
        (
            answer("\\01\\00\\00\\00\\40\\06\\00\\00\\04\\00\\00\\00") + r#"(data (i32.const 1600) "no\0d\0a")"#,
            "(no  )",
            0,
        ),
        // A thousand empty records; a list that lies outside its memory; three texts of 200,000 octets.
        (answer("\\00\\00\\00\\00\\00\\30\\00\\00\\e8\\03\\00\\00"), "700 more", limits::TRIED),
        (answer("\\00\\00\\00\\00\\00\\30\\00\\00\\ff\\ff\\ff\\0f"), "it trapped", 0),
        (
            answer("\\00\\00\\00\\00\\00\\08\\00\\00\\01\\00\\00\\00")
                + &format!(r#"(data (i32.const 2048) "{big}{big}\01\00\00\00{big}")"#),
            "too much data",
            0,
        ),
        // A verdict that nobody handed it.
        (explain("(call $conclude (i32.const 1)) (unreachable)"), "it trapped", 0),
        (explain("(call $ok)"), "this policy does not tell", 0),
        ("(func $other)".to_owned(), "this policy does not tell", 0),
    ];
    for (fields, untold, count) in rows {
        let generation = built(&sandbox, vec![policy("p", of_fields(&fields))]).expect("goes live");
        let record = sandbox.receive(&generation, &Asked::of(&listed()), 2_000).await.records.remove(0);
        let told = explained(&sandbox, &generation, explainable(&record, None)).await;
        assert!(told.untold.as_ref().is_some_and(|why| why.contains(untold)), "{untold}: {:?}", told.untold);
        assert_eq!(told.rules.len(), count, "{untold}");
        let again = sandbox.receive(&generation, &Asked::of(&listed()), 2_000).await;
        assert!(again.records[0].result.get("failed").is_none(), "{untold}: it decides as before");
    }
    // One that never ends is asked once, however much there is to explain.
    let endless = explain("(loop $again (br $again)) (unreachable)");
    let generation = built(&sandbox, vec![policy("p", of_fields(&endless))]).expect("goes live");
    let record = sandbox.receive(&generation, &Asked::of(&listed()), 2_000).await.records.remove(0);
    let began = std::time::Instant::now();
    let told = sandbox.explain(&generation, vec![explainable(&record, None); 50]).await;
    assert!(told.iter().all(|told| told.untold.as_deref() == Some("it ran out of time")), "{told:?}");
    assert!(began.elapsed() < limits::EXPLANATIONS_TIME, "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_is_another_since_is_not_explained() {
    let sandbox = sandbox();
    let looks_up = telling(
        "(call $header-from (local.get $message) (i32.const 96))
         (drop (call $listed (i32.load (i32.const 96))))",
    );
    let good = |more: &str| {
        policy("good", of_fields(&format!("{GOOD}\n{looks_up}\n{more}\n(global $always i32 (i32.const 1))")))
    };
    let generation = |policies: Vec<PolicySource>, partners: &str| {
        Arc::new(sandbox.build(source(policies, partners), None).expect("builds"))
    };
    let before = generation(vec![good("")], "partner.example");
    let record = sandbox.receive(&before, &Asked::of(&listed()), 2_000).await.records.remove(0);
    let other_settings = PolicySource { settings: "{\"x\": 1}".into(), ..good("") };
    let asks_more = telling("(call $header (local.get $message) (i32.const 512) (i32.const 3) (i32.const 96))");
    let curious = policy("good", of_fields(&format!("{GOOD}\n{asks_more}\n(global $always i32 (i32.const 1))")));
    let rows = [
        (generation(vec![good("")], "partner.example"), None),
        // The list is another; what it says of him is not.
        (generation(vec![good("")], "partner.example\nother.example"), None),
        (generation(vec![good("")], "other.example"), Some("find(partners, alice@partner.example) is not what it was")),
        (generation(vec![other_settings], "partner.example"), Some("its settings have changed since")),
        (generation(vec![good("(func $another)")], "partner.example"), Some("this policy is another since")),
        (generation(vec![policy("else", guest("good"))], "partner.example"), Some("is not in the chain any more")),
    ];
    for (generation, untold) in rows {
        let told = explained(&sandbox, &generation, explainable(&record, None)).await;
        match untold {
            None => assert_eq!((told.rules.len(), &told.untold), (1, &None)),
            Some(why) => assert!(told.untold.as_ref().is_some_and(|told| told.contains(why)), "{why}: {told:?}"),
        }
    }
    let curious = generation(vec![curious], "partner.example");
    let record = sandbox.receive(&curious, &Asked::of(&listed()), 2_000).await.records.remove(0);
    let told = explained(&sandbox, &curious, explainable(&record, None)).await;
    assert_eq!(told.untold.as_deref(), Some("not on record: message.header(hos)"));
    let told = explained(&sandbox, &curious, explainable(&record, Some(AskedFacts::Receive(listed())))).await;
    assert_eq!(told.untold, None, "by hand there is nothing that is not there");
}
