//! Hostile guests: each ends in a clear refusal or a failed decision, bounded, and the sandbox decides on.

mod common;

use std::num::NonZeroUsize;
use std::sync::Arc;

use common::{always, built, guest, message, policy, provoking};
use sealwire_core::decision::{FailureCause, Ruling, Verdict};
use sealwire_policy::limits;
use sealwire_policy::{Asked, Decided, Sandbox, SandboxConfig};

/// Guests that misbehave in a decision: what the failed decision says, and whether it is run again first.
const DECISIONS: [(&str, FailureCause, &str); 14] = [
    ("endless-loop", FailureCause::Overrun, "interrupt"),
    ("memory-bomb", FailureCause::Limit, "of memory; it may have"),
    ("deep-recursion", FailureCause::Limit, "call stack exhausted"),
    ("trap", FailureCause::Trap, "unreachable"),
    ("err", FailureCause::Err, "I would rather not OK"),
    ("no-conclude", FailureCause::NotConcluded, "without calling conclude"),
    ("conclude-twice", FailureCause::Trap, "require-secure-transport after conclude"),
    ("line-break", FailureCause::Trap, "printable ASCII"),
    ("accept-in-a-reject", FailureCause::Trap, "reply code 250"),
    ("closing-reply", FailureCause::Trap, "421"),
    ("ten-thousand-reasons", FailureCause::Limit, "more than 32 reasons"),
    ("huge-reply", FailureCause::Limit, "too much data"),
    ("handle-hoard", FailureCause::Limit, "handle limit"),
    ("fact-flood", FailureCause::Limit, "more than 4096 facts"),
];

/// Guests that never go live: what the refusal says.
const REFUSALS: [(&str, &[&str]); 9] = [
    ("loop-in-configure", &["configure did not return within 1000 ms"]),
    ("trap-at-start", &["cannot be started", "unreachable"]),
    ("memory-at-start", &["128000 KiB of memory; it may have 32768"]),
    ("kept-handle", &["1 handle(s) of lists or routes still held"]),
    ("find-in-configure", &["a list cannot be searched in configure"]),
    (
        "unknown-import",
        &["imports acme:db/query@1.0.0", "imports wasi:sockets/tcp-create-socket@0.2.0", "does not export"],
    ),
    (
        "wrong-version",
        &[
            "imports sealwire:policy/facts@0.9.0; this host offers 1.0.0-rc.2",
            "exports sealwire:policy/hooks@0.9.0; this host knows sealwire:policy/hooks@1.0.0-rc.2",
            "does not export sealwire:policy/hooks@1.0.0-rc.2",
        ],
    ),
    ("unknown-world", &["exports sealwire:policy/filters@1.0.0-rc.2, which the contract", "does not export"]),
    ("missing-hook", &["does not fit the contract 1.0.0-rc.2"]),
];

fn sandbox() -> Sandbox {
    let config = SandboxConfig { threads: NonZeroUsize::MIN, ..SandboxConfig::default() };
    Sandbox::start(config).expect("a sandbox")
}

fn accepted(decided: &Decided<Verdict>) -> bool {
    decided.result.ruling == Ruling::Accept
}

#[tokio::test]
async fn a_guest_that_misbehaves_fails_its_own_decision_and_no_other() {
    let sandbox = sandbox();
    let good = built(&sandbox, vec![policy("good", guest("good"))]).expect("a good policy");
    let plain = Arc::new(message("alice@stranger.example"));
    for (name, cause, words) in DECISIONS {
        let hostile = built(&sandbox, vec![policy("hostile", guest(name))]);
        let hostile = hostile.unwrap_or_else(|problems| panic!("{name} goes live: {problems:?}"));
        let decided = sandbox.receive(&hostile, &Asked::of(&Arc::new(provoking())), 2_000).await;
        let Ruling::Failed(failed) = &decided.result.ruling else { panic!("{name}: {:?}", decided.result) };
        assert_eq!((failed.policy.as_str(), failed.cause), ("hostile", cause), "{name}: {failed}");
        assert!(failed.detail.contains(words), "{name}: {failed}");
        assert!(failed.detail.len() <= limits::DETAIL_OCTETS && !failed.detail.contains('\n'), "{name}: {failed}");
        assert!(
            decided.result.flagged_by.is_empty() && decided.result.reasons.is_empty(),
            "{name}: nothing of it counts"
        );
        assert_eq!(decided.records.len(), 1, "{name}: the ledger has it (H8)");
        assert!(decided.records[0].result["failed"]["cause"].is_string(), "{name}: {:?}", decided.records[0].result);
        // The one decision thread there is goes on: with this guest, and with another.
        assert!(
            accepted(&sandbox.receive(&hostile, &Asked::of(&plain), 2_000).await),
            "{name} decides on a plain message"
        );
        assert!(
            accepted(&sandbox.receive(&good, &Asked::of(&plain), 2_000).await),
            "a good policy decides after {name}"
        );
    }
    let status = sandbox.status();
    assert_eq!(status.failed, u64::try_from(DECISIONS.len()).expect("few"));
    assert_eq!(status.overruns, 2, "the endless loop is run once more before it counts");
}

#[test]
fn a_guest_that_fails_the_probe_facts_never_goes_live() {
    let sandbox = sandbox();
    for (name, cause, words) in DECISIONS {
        let problems = built(&sandbox, vec![policy("hostile", always(name))]).expect_err(name);
        let [problem] = &problems[..] else { panic!("{name}: {problems:?}") };
        let expected = format!("receive could not decide on the probe facts, a plain message: {cause}");
        assert!(problem.policy == "hostile" && problem.text.contains(&expected), "{name}: {problem}");
        assert!(problem.text.contains(words), "{name}: {problem}");
    }
}

#[test]
fn a_component_that_cannot_be_trusted_to_start_is_refused_with_its_reasons() {
    let sandbox = sandbox();
    for (name, expected) in REFUSALS {
        let problems = built(&sandbox, vec![policy("hostile", guest(name))]).expect_err(name);
        let told = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        for words in expected {
            assert!(told.contains(words), "{name} tells {words:?}:\n{told}");
        }
    }
    let core = built(&sandbox, vec![policy("core", b"\0asm\x01\0\0\0".to_vec().into())]).expect_err("a core module");
    assert!(core[0].text.contains("core module, not a component"), "{}", core[0]);
}
