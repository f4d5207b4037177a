//! Many chains: one image is waited for, the others decide without and get theirs once they are asked.

mod common;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use common::{of_fields, policy, provoking, source};
use sealwire_core::decision::Ruling;
use sealwire_core::facts::{MessageFacts, RouteKind};
use sealwire_policy::{
    Asked, BuildProblem, ChainId, Generation, GenerationSource, PolicySource, Profile, RouteFacts, Sandbox,
    SandboxConfig, limits,
};

/// A component is compiled so long at most, on a machine with other work.
const PATIENCE: Duration = Duration::from_secs(120);

/// Accepts where its settings have an even number of octets, and traps where they have an odd one.
const EVEN: &str = "(func $configure (param i32 i32) (result i32)
      (i32.store (i32.const 200) (local.get 1)) (call $ok))
    (func $evil (param i32) (param $verdict i32) (result i32)
      (if (i32.and (i32.load (i32.const 200)) (i32.const 1)) (then (unreachable)))
      (call $conclude (local.get $verdict)) (call $ok))";

fn sandbox() -> Sandbox {
    Sandbox::start(SandboxConfig::default()).expect("a sandbox")
}

/// So many chains of one component; the settings of each are an octet longer than those before.
fn chains(component: &Arc<[u8]>, count: usize, limits: Profile) -> GenerationSource {
    longer_chains(component, 0, count, limits)
}

/// The same, each longer by so many octets.
fn longer_chains(component: &Arc<[u8]>, by: usize, count: usize, limits: Profile) -> GenerationSource {
    let chain = |n| {
        let policy = policy("even", Arc::clone(component));
        vec![PolicySource { settings: format!("{{}}{}", " ".repeat(by + n)), limits, ..policy }]
    };
    GenerationSource { chains: (0..count).map(chain).collect(), ..source(Vec::new(), "partner.example") }
}

fn built(sandbox: &Sandbox, source: GenerationSource) -> Result<Arc<Generation>, Vec<BuildProblem>> {
    sandbox.build(source, None).map(Arc::new)
}

/// Every chain decides by its own settings.
async fn all_decide(sandbox: &Sandbox, generation: &Arc<Generation>, count: usize) {
    let message = Arc::new(provoking());
    for n in 0..count {
        let chain = ChainId(u32::try_from(n).expect("few"));
        let asked = Asked { chain, internal: false, message: Arc::clone(&message), also_for: Vec::new() };
        let ruling = sandbox.receive(generation, &asked, 2_000).await.result.ruling;
        let expected = n % 2 == 0;
        assert_eq!(ruling == Ruling::Accept, expected, "chain {n}: {ruling:?}");
    }
}

fn wait_for_images(sandbox: &Sandbox, count: usize) {
    let until = Instant::now() + PATIENCE;
    while sandbox.status().images != count {
        assert!(Instant::now() < until, "{} images, and not {count}", sandbox.status().images);
        thread::yield_now();
    }
}

#[tokio::test]
async fn what_is_asked_gets_its_image_as_long_as_there_is_room() {
    let count = limits::IMAGES + 10;
    let (sandbox, component) = (sandbox(), of_fields(EVEN));
    let generation = built(&sandbox, chains(&component, count, Profile::Native)).expect("builds");
    let status = sandbox.status();
    assert_eq!((status.built, status.images), (1, 1), "the others do not wait");

    all_decide(&sandbox, &generation, 10).await;
    wait_for_images(&sandbox, 10);
    all_decide(&sandbox, &generation, count).await;
    wait_for_images(&sandbox, limits::IMAGES);
    all_decide(&sandbox, &generation, count).await;
    assert_eq!(sandbox.status().images, limits::IMAGES, "and no more");

    let again = sandbox.build(chains(&component, count, Profile::Native), Some(&generation)).map(Arc::new);
    let again = again.expect("builds");
    drop(generation);
    assert_eq!(sandbox.status().images, limits::IMAGES, "images are taken over");
    all_decide(&sandbox, &again, count).await;

    let others = sandbox.build(longer_chains(&component, 1_000, count, Profile::Native), Some(&again)).map(Arc::new);
    let others = others.expect("builds");
    assert_eq!(sandbox.status().built, 1, "a change waits for none where the component is at hand");
    drop(again);
    all_decide(&sandbox, &others, count).await;
    drop(others);
    wait_for_images(&sandbox, 0);
}

#[tokio::test]
async fn what_takes_long_to_configure_waits_for_its_image() {
    let slow = EVEN.replace(
        "(i32.store",
        "(local $n i32) (loop $again (local.set $n (i32.add (local.get $n) (i32.const 1)))
         (br_if $again (i32.lt_u (local.get $n) (i32.const 100000000)))) (i32.store",
    );
    for (fields, profile) in [(slow.as_str(), Profile::Native), (EVEN, Profile::Scripted)] {
        let sandbox = sandbox();
        let generation = built(&sandbox, chains(&of_fields(fields), 4, profile)).expect("builds");
        assert_eq!((sandbox.status().built, sandbox.status().images), (4, 4), "{profile:?}");
        all_decide(&sandbox, &generation, 4).await;
    }
}

#[test]
fn where_every_chain_needs_an_image_there_are_no_more_chains_than_images() {
    let problems = built(&sandbox(), chains(&of_fields(EVEN), limits::IMAGES + 1, Profile::Scripted));
    let problems = problems.expect_err("too many");
    assert_eq!((problems.len(), problems[0].chain), (1, ChainId(u32::try_from(limits::IMAGES).expect("few"))));
    assert!(problems[0].text.contains("cannot be configured in every decision"), "{problems:?}");
}

#[test]
fn chains_are_counted_before_anything_is_built() {
    let sandbox = sandbox();
    let problems = built(&sandbox, chains(&of_fields(EVEN), limits::CHAINS + 1, Profile::Native));
    let problems = problems.expect_err("too many");
    assert!(problems[0].text.contains("10001 different settings; 10000 are allowed"), "{problems:?}");
    assert_eq!(sandbox.status().built, 0);
}

/// The edit of one unit among many asks no other about the probe facts; that of a list asks all.
#[test]
fn who_decided_on_the_probe_facts_is_not_asked_again() {
    const HOOKS: u64 = 3;
    let (sandbox, component) = (sandbox(), of_fields(EVEN));
    let lists = chains(&component, 1, Profile::Native).lists;
    let of = |count| GenerationSource { lists: lists.clone(), ..chains(&component, count, Profile::Native) };
    let first = built(&sandbox, of(10)).expect("builds");
    let asked = |source: GenerationSource| {
        let before = sandbox.status().decisions;
        sandbox.build(source, Some(&first)).expect("builds");
        sandbox.status().decisions - before
    };
    let edited = GenerationSource { lists: chains(&component, 1, Profile::Native).lists, ..of(10) };
    let routed = GenerationSource {
        routes: [("gw".to_owned(), RouteFacts { kind: RouteKind::SmartHost, demands: Vec::new() })].into(),
        ..of(10)
    };
    let rows = [("nothing", of(10), 0), ("one chain", of(11), 1), ("a list", edited, 10), ("a route", routed, 10)];
    for (what, source, chains) in rows {
        assert_eq!(asked(source), chains * HOOKS, "{what} is new");
    }
}

/// Its settings are judged like those of the first chains.
#[tokio::test]
async fn a_chain_without_an_image_is_refused_for_what_its_settings_say() {
    // Refuses settings of more than five octets, without a word.
    let short = "(func $configure (param i32 i32) (result i32)
        (if (i32.gt_u (local.get 1) (i32.const 5)) (then (unreachable))) (call $ok))";
    let sandbox = sandbox();
    let problems = built(&sandbox, chains(&of_fields(short), 6, Profile::Native)).expect_err("two are too long");
    let chains: Vec<ChainId> = problems.iter().map(|problem| problem.chain).collect();
    assert_eq!(chains, [ChainId(4), ChainId(5)]);
    assert!(problems[0].text.contains("configure did not return"), "{problems:?}");
    let listed = Arc::new(MessageFacts { id: "m2".to_owned(), ..provoking() });
    let few = built(&sandbox, self::chains(&of_fields(short), 4, Profile::Native)).expect("the others will do");
    let asked = Asked { chain: ChainId(3), internal: false, message: listed, also_for: Vec::new() };
    assert_eq!(sandbox.receive(&few, &asked, 2_000).await.result.ruling, Ruling::Accept);
}
