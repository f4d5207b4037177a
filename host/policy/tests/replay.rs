//! Replay: the generation that decided gives the same again, another says what it would have done, and nobody guesses.

mod common;

use std::sync::Arc;

use common::{built, destination, guest, hop, mailbox, message, of_fields, policy, provoking, source};
use sealwire_core::facts::MessageFacts;
use sealwire_core::ledger::DecisionRecord;
use sealwire_policy::{Asked, ChainId, Generation, Replayable, Replayed, Sandbox, SandboxConfig};
use serde_json::json;

/// Guests that misbehave in a decision, each in its own way, and one that does not.
const GUESTS: [&str; 15] = [
    "good",
    "memory-bomb",
    "deep-recursion",
    "trap",
    "err",
    "no-conclude",
    "conclude-twice",
    "line-break",
    "accept-in-a-reject",
    "closing-reply",
    "ten-thousand-reasons",
    "huge-reply",
    "handle-hoard",
    "fact-flood",
    "endless-loop",
];

fn sandbox() -> Sandbox {
    Sandbox::start(SandboxConfig::default()).expect("a sandbox")
}

fn messages() -> Vec<Arc<MessageFacts>> {
    let of_unit = MessageFacts {
        organizational_unit: vec!["root".into(), "sales".into()],
        secure_transport_required_by: vec!["requiretls".into()],
        ..message("alice@partner.example")
    };
    let of_many =
        MessageFacts { recipients: vec![mailbox("bob@partner.example"); 100], ..message("eve@partner.example") };
    [message("alice@partner.example"), message("a@stranger.example"), provoking(), of_unit, of_many]
        .map(Arc::new)
        .into()
}

/// Every hook on every message.
async fn recorded(sandbox: &Sandbox, generation: &Arc<Generation>) -> Vec<Replayable> {
    let mut all = Vec::new();
    for message in messages() {
        let asked = [Asked::of(&message)];
        let mut records = sandbox.receive(generation, &asked[0], 2_000).await.records;
        for recipient in ["bob@partner.example", "b@stranger.example"] {
            records.extend(sandbox.plan(generation, &asked, destination(recipient), 2_001).await.records);
        }
        records.extend(sandbox.judge(generation, &asked, hop(), 2_002).await.records);
        let replayable = |record| Replayable { chain: ChainId::default(), message: message.id.clone(), record };
        all.extend(records.into_iter().map(replayable));
    }
    all
}

/// But for the time it took.
fn timeless(record: &DecisionRecord) -> DecisionRecord {
    DecisionRecord { took_us: 0, ..record.clone() }
}

#[tokio::test]
async fn the_generation_that_decided_decides_the_same_again() {
    for config in [SandboxConfig::default(), SandboxConfig { pooling: false, ..SandboxConfig::default() }] {
        let sandbox = Sandbox::start(config).expect("a sandbox");
        for name in GUESTS {
            let generation = built(&sandbox, vec![policy(name, guest(name))]).expect(name);
            let asked: Arc<[Replayable]> = recorded(&sandbox, &generation).await.into();
            assert_eq!(asked.len(), 20);
            let decisions = sandbox.status().decisions;
            let again = sandbox.replay(&generation, Arc::clone(&asked), Arc::default()).await;
            assert_eq!(sandbox.status().decisions, decisions, "a replay is no decision on mail");
            for (asked, again) in asked.iter().zip(again) {
                let Replayed::Decided(again) = again else { panic!("{name}: {again:?}") };
                assert!(
                    timeless(&again) == timeless(&asked.record),
                    "{name}: {} is now {}",
                    asked.record.result,
                    again.result
                );
            }
        }
    }
}

/// What is configured in each instance, or reaches for WASI, is no exception.
#[tokio::test]
async fn clock_and_randomness_stand_as_they_stood() {
    let vendor = "(import \"wasi:clocks/wall-clock@0.2.6\" \"now\" (func $now (param i32)))
        (import \"wasi:random/random@0.2.6\" \"get-random-u64\" (func $random (result i64)))
        (table $t 2 funcref) (elem declare func $ok)
        (func $configure (param i32 i32) (result i32) (table.set $t (i32.const 1) (ref.func $ok)) (call $ok))
        (data (i32.const 80) \"\\01\\00\\00\\00\\00\\04\\00\\00\\10\\00\\00\\00\")
        (func $letter (param $at i32) (param $number i64)
          (i32.store8 (local.get $at)
            (i32.add (i32.const 97) (i32.wrap_i64 (i64.and (local.get $number) (i64.const 15))))))
        (func $evil (param i32 i32) (result i32)
          (local $n i32)
          (call $now (i32.const 96))
          (call $letter (i32.const 1024) (i64.load (i32.const 96)))
          (loop $again
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (call $letter (i32.add (i32.const 1024) (local.get $n)) (call $random))
            (br_if $again (i32.lt_u (local.get $n) (i32.const 15))))
          (i32.const 80))";
    let sandbox = sandbox();
    let generation = built(&sandbox, vec![policy("vendor", of_fields(vendor))]).expect("builds");
    let mut asked = Vec::new();
    for (id, now) in [("m1", 2_000), ("m2", 2_001)] {
        let facts = Arc::new(MessageFacts { id: id.into(), ..provoking() });
        let records = sandbox.receive(&generation, &Asked::of(&facts), now).await.records;
        let replayable = |record| Replayable { chain: ChainId::default(), message: id.into(), record };
        asked.extend(records.into_iter().map(replayable));
    }
    let said = |record: &DecisionRecord| record.result["failed"]["detail"].clone();
    assert_ne!(said(&asked[0].record), said(&asked[1].record), "it says what it drew");
    let asked: Arc<[Replayable]> = asked.into();
    for (asked, again) in asked.iter().zip(sandbox.replay(&generation, Arc::clone(&asked), Arc::default()).await) {
        let Replayed::Decided(again) = again else { panic!("{again:?}") };
        assert_eq!(timeless(&again), timeless(&asked.record));
    }
}

#[tokio::test]
async fn another_generation_is_asked_with_its_own_lists() {
    let sandbox = sandbox();
    let before = built(&sandbox, vec![policy("good", common::always("good"))]).expect("builds");
    let other = source(vec![policy("good", common::always("good"))], "stranger.example");
    let after = Arc::new(sandbox.build(other, Some(&before)).expect("builds"));
    let asked: Arc<[Replayable]> = recorded(&sandbox, &before).await.into();
    let again = sandbox.replay(&after, Arc::clone(&asked), Arc::default()).await;
    let mut seen = Vec::new();
    for (asked, again) in asked.iter().zip(again).take(8) {
        let Replayed::Decided(again) = again else { panic!("{again:?}") };
        let is_strict = |record: &DecisionRecord| {
            let demands = record.result["demands"].as_array().is_some_and(|demands| !demands.is_empty());
            record.result["reject"].is_object() || demands
        };
        seen.push((asked.record.hook.clone(), is_strict(&asked.record), is_strict(&again)));
    }
    let row = |hook: &str, before, after| (hook.to_owned(), before, after);
    let expected = [
        // From partner.example: a recipient there, one at stranger.example, a host.
        row("receive", true, false),
        row("plan", true, false),
        row("plan", false, true),
        row("judge", false, false),
        // From stranger.example.
        row("receive", false, true),
        row("plan", true, false),
        row("plan", false, true),
        row("judge", false, false),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn what_is_not_on_record_is_never_guessed() {
    let sandbox = sandbox();
    let idle = built(&sandbox, vec![policy("p", guest("no-conclude"))]).expect("builds");
    // Asks for the Subject, whoever sent it.
    let curious = "(data (i32.const 1024) \"subject\")
        (func $evil (param $message i32) (param $verdict i32) (result i32)
          (call $header (local.get $message) (i32.const 1024) (i32.const 7) (i32.const 96))
          (call $conclude (local.get $verdict)) (call $ok))
        (global $always i32 (i32.const 1))";
    let curious = built(&sandbox, vec![policy("p", of_fields(curious))]).expect("builds");
    let message = Arc::new(message("alice@partner.example"));
    let record = sandbox.receive(&idle, &Asked::of(&message), 2_000).await.records.remove(0);
    let asked = |change: &dyn Fn(&mut DecisionRecord)| {
        let mut record = record.clone();
        change(&mut record);
        Replayable { chain: ChainId::default(), message: "m1".into(), record }
    };
    let rows = [
        (asked(&|_| {}), "not on record: message.header(subject)"),
        (asked(&|record| record.policy = "q".into()), "policy q is not in the chain"),
        (asked(&|record| record.at_hand.clear()), "not on record: message.now"),
        (asked(&|record| record.hook = "later".into()), "not on record: hook \"later\" is unknown"),
        (
            asked(&|record| {
                record.result = json!({ "failed": { "policy": "p", "cause": "unavailable", "detail": "" } });
            }),
            "the policy could not be run",
        ),
        (Replayable { chain: ChainId(9), ..asked(&|_| {}) }, "policy p is not in the chain"),
    ];
    let all: Arc<[Replayable]> = rows.iter().map(|(asked, _)| asked.clone()).collect();
    for (again, (_, why)) in sandbox.replay(&curious, Arc::clone(&all), Arc::default()).await.into_iter().zip(&rows) {
        assert_eq!(again, Replayed::NotReplayable((*why).to_owned()));
    }
    let stopped = sandbox.replay(&curious, all, Arc::new(true.into())).await;
    assert_eq!(stopped, vec![Replayed::NotReplayable("it was stopped".to_owned()); rows.len()]);
}
