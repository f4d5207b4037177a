//! What an operator may put into the chain (`policy`): any octets at all, or a guest written as those of `tests/hostile`.
//!
//! It goes live only if all three hooks have concluded on the probe facts; else every problem names the policy and is
//! bounded and printable. What is live decides, or fails to, within bounds: a failed decision leaves no flag and no reason
//! (H3), its words are bounded, it leaves one record (H8), and asked again it decides the same.

use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use sealwire_core::decision::{FailureCause, Judgement, Ruling, Verdict};
use sealwire_policy::{Asked, BuildProblem, Decided, Generation, Profile, Sandbox, SandboxConfig, limits};

/// Test guests, as the sandbox's own tests have them.
#[path = "../../../host/policy/tests/common/mod.rs"]
mod guests;

/// No input is larger: compiling takes time that finds nothing.
const OCTETS_MAX: usize = 32 * 1_024;
/// Configure and three probes may use up their time, each decision once more; compiling is bounded by the size above.
const BUILD_TIME_MAX: Duration = Duration::from_secs(120);
/// Two runs of 100 ms, and whatever a busy machine adds.
const DECISION_TIME_MAX: Duration = Duration::from_secs(30);

/// A component, or the fields of a guest's module.
pub fn component(octets: &[u8]) {
    if octets.len() > OCTETS_MAX {
        return;
    }
    let component = match std::str::from_utf8(octets) {
        _ if octets.starts_with(b"\0asm") => Some(octets.into()),
        Ok(fields) => guests::assembled(fields).ok(),
        Err(_) => None,
    };
    let Some(component) = component else { return };
    let sandbox = sandbox();
    let (started, before) = (Instant::now(), sandbox.status());
    let built = guests::built(sandbox, vec![guests::policy("fuzzed", component)]);
    assert!(started.elapsed() < BUILD_TIME_MAX, "the build took {:?}", started.elapsed());
    let (after, asked) = (sandbox.status(), |after: u64, before: u64| after - before);
    match built {
        Err(problems) => check_problems(&problems),
        Ok(generation) => {
            let probes = asked(after.decisions, before.decisions);
            let failed = asked(after.failed, before.failed);
            assert_eq!((probes, failed), (3, 0), "probes asked and failed of what goes live");
            check_live(sandbox, &generation);
        }
    }
}

fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| {
        let config = SandboxConfig { threads: NonZeroUsize::MIN, ..SandboxConfig::default() };
        Sandbox::start(config).expect("a sandbox")
    })
}

fn check_problems(problems: &[BuildProblem]) {
    assert!(!problems.is_empty() && problems.len() <= limits::PROBLEMS * 10, "{} problems", problems.len());
    for problem in problems {
        assert_eq!(problem.policy, "fuzzed", "{problem}");
        assert!(
            !problem.text.is_empty() && problem.text.len() <= limits::PROBLEM_OCTETS,
            "{} octets",
            problem.text.len()
        );
        let printable = |text: &str| !text.chars().any(char::is_control);
        assert!(printable(&problem.text), "a problem moves cursors: {:?}", problem.text);
        let path = problem.path.as_deref().unwrap_or_default();
        assert!(path.len() <= limits::DETAIL_OCTETS && printable(path), "{path:?}");
    }
}

fn check_live(sandbox: &Sandbox, generation: &Arc<Generation>) {
    let status = generation.status();
    assert!(status.policies.iter().all(|policy| policy.memory_octets <= Profile::Native.memory()), "{status:?}");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let report = Arc::new(guests::provoking());
    let receive = || {
        let started = Instant::now();
        let decided = runtime.block_on(sandbox.receive(generation, &Asked::of(&report), 2_000));
        assert!(started.elapsed() < DECISION_TIME_MAX, "it took {:?}", started.elapsed());
        decided
    };
    let (first, second) = (receive(), receive());
    check_verdict(&first);
    // An overrun is the one thing that depends on more than the facts.
    if !overran(&first.result) && !overran(&second.result) {
        assert_eq!(first.result, second.result, "the same facts, another decision");
    }
    let destination = guests::destination("bob@partner.example");
    let planned = runtime.block_on(sandbox.plan(generation, &[Asked::of(&report)], destination, 2_000));
    assert_eq!((planned.result.len(), planned.records.len()), (1, 1));
    if let Ok(plan) = &planned.result[0] {
        let within = plan.demands.len() <= limits::DEMANDS
            && plan.fallback.len() <= limits::FALLBACK_STEPS
            && plan.reasons.len() <= limits::REASONS;
        assert!(within, "{plan:?}");
    }
    let judged = runtime.block_on(sandbox.judge(generation, &[Asked::of(&report)], guests::hop(), 2_000));
    assert_eq!(judged.records.len(), 1);
    if let Judgement::Objected { reply, reasons, .. } = &judged.result {
        assert!(reply.code >= 400 && reply.code != 421 && reasons.len() <= limits::REASONS, "{reply:?}");
    }
}

fn check_verdict(decided: &Decided<Verdict>) {
    let Verdict { ruling, flagged_by, reasons } = &decided.result;
    assert_eq!(decided.records.len(), 1, "the ledger has it (H8)");
    assert!(reasons.len() <= limits::REASONS);
    match ruling {
        Ruling::Failed(failed) => {
            assert!(flagged_by.is_empty() && reasons.is_empty(), "nothing of a failed decision counts (H3)");
            assert!(failed.detail.len() <= limits::DETAIL_OCTETS && !failed.detail.chars().any(char::is_control));
        }
        Ruling::Reject(reply) | Ruling::Defer(reply) => {
            assert!(reply.code >= 400 && reply.code != 421, "{reply:?}");
            assert!(
                reply.text.len() <= limits::REASON_OCTETS && reply.text.bytes().all(|b| (b' '..=b'~').contains(&b))
            );
        }
        Ruling::Accept => {}
    }
}

fn overran(verdict: &Verdict) -> bool {
    matches!(&verdict.ruling, Ruling::Failed(failed) if failed.cause == FailureCause::Overrun)
}
