//! What decisions are made of: chains, lists, records, generations that take over from one another.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{always, built, destination, guest, hop, message, of_fields, policy, provoking, source};
use sealwire_core::decision::{Judgement, Ruling, Standing, join_plans};
use sealwire_core::facts::{MessageFacts, RouteKind};
use sealwire_core::floor::{Demand, Source};
use sealwire_core::ledger::{DecisionRecord, MadeFor};
use sealwire_policy::{Asked, Mode, RouteFacts, Sandbox, SandboxConfig};
use serde_json::json;

fn sandbox() -> Sandbox {
    Sandbox::start(SandboxConfig::default()).expect("a sandbox")
}

fn listed() -> Arc<MessageFacts> {
    Arc::new(message("alice@partner.example"))
}

#[tokio::test]
async fn each_hook_decides_in_a_fresh_instance_and_leaves_a_record() {
    let sandbox = sandbox();
    let good = built(&sandbox, vec![policy("good", always("good"))]).expect("a good policy");
    assert_eq!(good.status().policies[0].mode, Mode::Snapshot);
    assert_eq!(good.status().policies[0].lists, ["partners"]);

    let decided = sandbox.receive(&good, &Asked::of(&listed()), 2_000).await;
    let Ruling::Reject(reply) = &decided.result.ruling else { panic!("{:?}", decided.result) };
    assert_eq!(reply.to_string(), "550 5.7.10 This sender must use TLS");
    assert_eq!(decided.result.reasons[0].policy, "good");
    assert_eq!(decided.result.reasons[0].matched.as_deref(), Some("partner.example"));
    let record = &decided.records[0];
    assert_eq!((record.hook.as_str(), record.policy.as_str(), record.generation), ("receive", "good", 1));
    assert_eq!(record.lists.keys().collect::<Vec<_>>(), ["partners"]);
    let facts = json!({
        "message.header(hostile)": [],
        "message.header-from": ["alice@partner.example"],
        "get-list(partners)": true,
        "find(partners, alice@partner.example)": "partner.example",
    });
    assert_eq!(record.facts, facts);
    assert_eq!(record.result["reject"]["code"], 550);

    let to = destination("bob@partner.example");
    let decided = sandbox.plan(&good, &[Asked::of(&listed())], to, 2_000).await;
    let plan = join_plans(&Standing::default(), decided.result).expect("a plan");
    let source = |rule: &str| Source::Rule { policy: "good".into(), rule: rule.into() };
    let expected = [(Demand::Tls, source("R2")), (Demand::TrustedChain, source("R2"))];
    assert!(plan.floor.demands().eq(expected.iter()), "{:?}", plan.floor);
    let decided = sandbox.judge(&good, &[Asked::of(&listed())], hop(), 2_000).await;
    assert!(matches!(decided.result, Judgement::Cleared(_)), "{:?}", decided.result);
    assert_eq!(decided.records[0].hook, "judge");
}

#[tokio::test]
async fn the_whole_chain_runs_in_order_and_sees_no_flag_during_receive() {
    // Flags every message, and traps if it sees a policy's flag.
    let flag = "(func $evil (param $message i32) (param $verdict i32) (result i32)
        (call $flags (local.get $message) (i32.const 96))
        (if (i32.ne (i32.load (i32.const 100)) (i32.const 1)) (then (unreachable)))
        (call $flag (local.get $verdict)) (call $conclude (local.get $verdict)) (call $ok))";
    let sandbox = sandbox();
    let chain = vec![policy("one", of_fields(flag)), policy("good", always("good")), policy("two", of_fields(flag))];
    let chain = built(&sandbox, chain).expect("a chain");
    assert_eq!(chain.policies().collect::<Vec<_>>(), ["one", "good", "two"]);
    let required_by = vec!["one".to_owned(), "requiretls".to_owned()];
    let facts = MessageFacts {
        header_from: message("a@partner.example").header_from,
        secure_transport_required_by: required_by,
        ..provoking()
    };
    let decided = sandbox.receive(&chain, &Asked::of(&Arc::new(facts)), 2_000).await;
    assert_eq!(decided.result.flagged_by, ["one", "two"]);
    assert!(matches!(decided.result.ruling, Ruling::Reject(_)), "{:?}", decided.result);
    let asked: Vec<&str> = decided.records.iter().map(|record| record.policy.as_str()).collect();
    assert_eq!(asked, ["one", "good", "two"]);
    assert_eq!(decided.records[0].facts["message.secure-transport-required-by"], json!(["requiretls"]));
}

#[tokio::test]
async fn the_edit_of_a_list_builds_no_wasm_and_is_seen_at_once() {
    let sandbox = sandbox();
    let first = sandbox.build(source(vec![policy("good", always("good"))], "other.example"), None).expect("builds");
    assert_eq!(sandbox.status().built, 1);
    let second =
        sandbox.build(source(vec![policy("good", always("good"))], "partner.example"), Some(&first)).expect("builds");
    assert_eq!(sandbox.status().built, 1, "the native code is taken over");
    let (first, second) = (Arc::new(first), Arc::new(second));
    assert_eq!(sandbox.receive(&first, &Asked::of(&listed()), 2_000).await.result.ruling, Ruling::Accept);
    assert!(matches!(sandbox.receive(&second, &Asked::of(&listed()), 2_000).await.result.ruling, Ruling::Reject(_)));
    let digest = |generation: &sealwire_policy::Generation| generation.status().lists[0].digest.clone();
    assert_ne!(digest(&first), digest(&second));

    let mut gone = source(vec![policy("good", always("good"))], "");
    gone.lists.clear();
    let problems = sandbox.build(gone, Some(&second)).expect_err("the list is gone");
    assert!(problems[0].policy == "good" && problems[0].text.contains("list \"partners\""), "{}", problems[0]);
    let mut never = source(vec![policy("good", always("good"))], "");
    never.lists.clear();
    let problems = sandbox.build(never, None).expect_err("configure says so itself");
    assert_eq!(problems[0].path.as_deref(), Some("/lists/0"));
    assert_eq!(problems[0].text, "there is no list of this name");
}

#[test]
fn a_route_that_changed_is_looked_at_again() {
    let looks = "(data (i32.const 1024) \"gw\")
        (func $configure (param i32 i32) (result i32)
          (call $get-route (i32.const 1024) (i32.const 2) (i32.const 96))
          (call $drop-route (i32.load (i32.const 100)))
          (call $ok))";
    let sandbox = sandbox();
    let with = |demands: &[&str]| {
        let mut source = source(vec![policy("looks", of_fields(looks))], "");
        let demands = demands.iter().map(|demand| (*demand).to_owned()).collect();
        source.routes = BTreeMap::from([("gw".to_owned(), RouteFacts { kind: RouteKind::AlternateSecure, demands })]);
        source
    };
    let first = sandbox.build(with(&["tls"]), None).expect("builds");
    let same = sandbox.build(with(&["tls"]), Some(&first)).expect("builds");
    assert_eq!(sandbox.status().built, 1);
    let changed = sandbox.build(with(&[]), Some(&same)).expect("builds");
    assert_eq!(sandbox.status().built, 2, "its settings were accepted because of what the route demanded");
    let mut gone = with(&[]);
    gone.routes.clear();
    let problems = sandbox.build(gone, Some(&changed)).expect_err("the route is gone");
    assert!(problems[0].text.contains("route \"gw\""), "{}", problems[0]);
}

#[tokio::test]
async fn what_cannot_be_snapshotted_is_configured_in_each_instance() {
    // Remembers in a table, which no snapshot can hold, that it was configured.
    let table = "(table $t 2 funcref) (elem declare func $ok)
        (func $configure (param i32 i32) (result i32) (table.set $t (i32.const 1) (ref.func $ok)) (call $ok))
        (func $evil (param i32) (param $verdict i32) (result i32)
          (if (ref.is_null (table.get $t (i32.const 1))) (then (unreachable)))
          (call $conclude (local.get $verdict)) (call $ok))
        (global $always i32 (i32.const 1))";
    let sandbox = sandbox();
    let generation = built(&sandbox, vec![policy("table", of_fields(table))]).expect("builds");
    let Mode::EachInstance { why } = &generation.status().policies[0].mode else { panic!("{:?}", generation.status()) };
    assert!(why.contains("table.set"), "{why}");
    assert_eq!(sandbox.receive(&generation, &Asked::of(&listed()), 2_000).await.result.ruling, Ruling::Accept);
}

#[tokio::test]
async fn nothing_one_message_leaves_behind_reaches_the_next() {
    // Accepts once in the life of its memory.
    let once = "(func $evil (param i32) (param $verdict i32) (result i32)
        (if (i32.load (i32.const 200)) (then (unreachable)))
        (i32.store (i32.const 200) (i32.const 1))
        (call $conclude (local.get $verdict)) (call $ok))
        (global $always i32 (i32.const 1))";
    for config in [
        SandboxConfig::default(),
        SandboxConfig { pagemap_scan: false, ..Default::default() },
        SandboxConfig { pooling: false, ..Default::default() },
        SandboxConfig { inline: true, ..Default::default() },
    ] {
        let sandbox = Sandbox::start(config.clone()).expect("a sandbox");
        let generation = built(&sandbox, vec![policy("once", of_fields(once))]).expect("builds");
        for _ in 0..50 {
            let decided = sandbox.receive(&generation, &Asked::of(&listed()), 2_000).await;
            assert_eq!(decided.result.ruling, Ruling::Accept, "{config:?}");
        }
    }
}

#[tokio::test]
async fn wasi_stands_still_and_repeats_itself() {
    // Returns as err what the clock says and what randomness gives, as sixteen letters each.
    let vendor = "(import \"wasi:clocks/wall-clock@0.2.6\" \"now\" (func $now (param i32)))
        (import \"wasi:random/random@0.2.6\" \"get-random-u64\" (func $random (result i64)))
        (data (i32.const 80) \"\\01\\00\\00\\00\\00\\04\\00\\00\\20\\00\\00\\00\")
        (func $letters (param $at i32) (param $number i64)
          (local $n i32)
          (loop $again
            (i32.store8 (i32.add (local.get $at) (local.get $n))
              (i32.add (i32.const 97) (i32.wrap_i64 (i64.and (local.get $number) (i64.const 15)))))
            (local.set $number (i64.shr_u (local.get $number) (i64.const 4)))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const 16)))))
        (func $evil (param i32 i32) (result i32)
          (call $now (i32.const 96))
          (call $letters (i32.const 1024) (i64.load (i32.const 96)))
          (call $letters (i32.const 1040) (call $random))
          (i32.const 80))";
    let sandbox = sandbox();
    let generation = built(&sandbox, vec![policy("vendor", of_fields(vendor))]).expect("inert WASI is offered");
    let mut said = Vec::new();
    for (id, now) in [("m1", 2_000), ("m1", 2_000), ("m2", 2_000), ("m1", 2_001)] {
        let facts = Arc::new(MessageFacts { id: id.to_owned(), ..provoking() });
        let Ruling::Failed(failed) = sandbox.receive(&generation, &Asked::of(&facts), now).await.result.ruling else {
            panic!()
        };
        said.push(failed.detail);
    }
    assert_eq!(said[0], said[1], "equal decisions are equal");
    assert_eq!(&said[0][..16], "anhaaaaaaaaaaaaa", "2000 is 0x7d0");
    assert!(said[0][..16] == said[2][..16] && said[0][16..] != said[2][16..], "the id seeds: {said:?}");
    assert_ne!(said[0][..16], said[3][..16], "the clock is the decision's");
}

/// Refuses and demands TLS in a unit two levels below the root, and nowhere else.
const BY_UNIT: &str = r#"
    (import "sealwire:policy/facts@1.0.0-rc.2" "[method]message.organizational-unit" (func $unit (param i32 i32)))
    (data (i32.const 1024) "5.7.1")
    (data (i32.const 1040) "not in this unit")
    (global $always i32 (i32.const 1))
    (func $evil (param $message i32) (param $verdict i32) (result i32)
      (call $unit (local.get $message) (i32.const 96))
      (if (i32.eq (i32.load (i32.const 100)) (i32.const 3))
        (then (call $reject (local.get $verdict) (i32.const 550) (i32.const 1024) (i32.const 5) (i32.const 1040) (i32.const 16))))
      (call $conclude (local.get $verdict)) (call $ok))
    (func $plan (param $message i32) (param i32) (param $floor i32) (result i32)
      (call $unit (local.get $message) (i32.const 96))
      (if (i32.eq (i32.load (i32.const 100)) (i32.const 3)) (then (call $require-tls (local.get $floor))))
      (call $floor-conclude (local.get $floor)) (call $ok))"#;

#[tokio::test]
async fn a_policy_that_reads_the_unit_is_asked_for_every_unit_of_its_chain() {
    let sandbox = sandbox();
    let policies = vec![policy("by-unit", of_fields(BY_UNIT)), policy("idle", guest("no-conclude"))];
    let generation = built(&sandbox, policies).expect("builds");
    let made_for = |unit: &[&str], internal| MadeFor {
        unit: ["root"].iter().chain(unit).map(|name| (*name).to_owned()).collect(),
        internal,
    };
    let below = ["sales", "emea"];
    let also_for = vec![made_for(&[], true), made_for(&below, false), made_for(&below, true), made_for(&["it"], false)];
    let asked = Asked { also_for: also_for.clone(), ..Asked::of(&listed()) };
    let decided = sandbox.receive(&generation, &asked, 2_000).await;
    assert!(matches!(decided.result.ruling, Ruling::Reject(_)), "{:?}", decided.result);
    let of = |record: &DecisionRecord| {
        let own = MadeFor { unit: record.unit.clone(), internal: record.internal };
        (record.policy.clone(), own, record.also_for.clone(), record.result["reject"].is_object())
    };
    let row =
        |policy: &str, own, also_for: &[MadeFor], is_refused| (policy.to_owned(), own, also_for.to_vec(), is_refused);
    let expected = [
        row("by-unit", made_for(&[], false), &also_for[..1], false),
        row("by-unit", made_for(&below, false), &also_for[2..3], true),
        row("by-unit", made_for(&["it"], false), &[], false),
        // Who does not read it is asked once for all.
        row("idle", made_for(&[], false), &also_for, false),
    ];
    assert_eq!(decided.records.iter().map(of).collect::<Vec<_>>(), expected);
    let decided = sandbox.plan(&generation, &[asked], destination("b@x.example"), 2_000).await;
    let plan = join_plans(&Standing::default(), decided.result).expect("a plan");
    assert!(plan.floor.requires_tls(), "one of the units demands it");
    let decided = sandbox.plan(&generation, &[Asked::of(&listed())], destination("b@x.example"), 2_000).await;
    assert!(!join_plans(&Standing::default(), decided.result).expect("a plan").floor.requires_tls());
}

#[test]
fn a_chain_must_make_sense_before_anything_is_built() {
    let sandbox = sandbox();
    let good = || guest("no-conclude");
    let rows = [
        (vec![], "the chain is empty"),
        (vec![policy("", good())], "a policy's name has 1 to"),
        (vec![policy("two words", good())], "a policy's name has 1 to"),
        (vec![policy("requiretls", good())], "no policy may be named so"),
        (vec![policy("a", good()), policy("a", good())], "two policies of the chain have this name"),
        (vec![policy("a", vec![0; 33 << 20].into())], "octets; 33554432 are allowed"),
    ];
    for (policies, expected) in rows {
        let problems = built(&sandbox, policies).expect_err(expected);
        assert!(problems.len() == 1 && problems[0].text.contains(expected), "{problems:?}");
    }
    assert_eq!(sandbox.status().built, 0);
}
