//! Every pair of decisions in both orders.

use std::collections::BTreeSet;

use super::*;
use crate::facts::TlsVersion;
use crate::floor::PinKind;

fn reply(code: u16, policy: &str) -> Reply {
    Reply::new(code, (7, 1), policy)
}

fn failed(policy: &str) -> FailedDecision {
    FailedDecision { policy: policy.into(), cause: FailureCause::Trap, detail: String::new() }
}

fn receive(policy: &str, kind: &str) -> Called<ReceiveCall> {
    let of = |wanted: &str, code| (kind == wanted).then(|| reply(code, policy));
    if kind == "failed" {
        return Err(failed(policy));
    }
    Ok(ReceiveCall {
        policy: policy.into(),
        reject: of("reject", 550),
        defer: of("defer", 451),
        require_secure_transport: kind == "flag",
        reasons: Vec::new(),
    })
}

#[test]
fn rulings_join_the_same_in_either_order() {
    let rows = [
        ("accept", "accept", "accept"),
        ("accept", "flag", "accept"),
        ("accept", "defer", "defer"),
        ("accept", "failed", "failed"),
        ("accept", "reject", "reject"),
        ("flag", "flag", "accept"),
        ("flag", "defer", "defer"),
        ("flag", "failed", "failed"),
        ("flag", "reject", "reject"),
        ("defer", "defer", "defer"),
        ("defer", "reject", "reject"),
        ("failed", "reject", "reject"),
        ("failed", "failed", "failed"),
        ("reject", "reject", "reject"),
    ];
    let word = |ruling: &Ruling| match ruling {
        Ruling::Accept => "accept",
        Ruling::Reject(_) => "reject",
        Ruling::Defer(_) => "defer",
        Ruling::Failed(_) => "failed",
    };
    for (a, b, expected) in rows {
        for (first, second) in [(a, b), (b, a)] {
            let verdict = join_receives(vec![receive("one", first), receive("two", second)]);
            assert_eq!(word(&verdict.ruling), expected, "{first} then {second}");
            assert_eq!(verdict.flagged_by.len(), [first, second].iter().filter(|k| **k == "flag").count());
        }
    }
    // Equal strength: the first in the chain speaks.
    for (first, second, expected) in [("defer", "failed", "defer"), ("failed", "defer", "failed")] {
        let verdict = join_receives(vec![receive("one", first), receive("two", second)]);
        assert_eq!(word(&verdict.ruling), expected);
    }
    assert_eq!(word(&join_receives(Vec::new()).ruling), "failed", "no policy, no acceptance");
}

fn plan(policy: &str, demands: &[Demand], route: Option<&str>, fallback: &[FallbackStep]) -> Called<PlanCall> {
    Ok(PlanCall {
        policy: policy.into(),
        demands: demands.iter().map(|d| (d.clone(), "R".into())).collect(),
        take_route: route.map(Into::into),
        fallback: fallback.to_vec(),
        reasons: Vec::new(),
    })
}

#[test]
fn every_pair_of_demands_joins_to_both_in_either_order() {
    let pin = |kind, digest: u8| Demand::Pin(kind, BTreeSet::from([[digest; 32]]));
    let suite = |name: &str| Demand::CipherSuite(BTreeSet::from([name.to_owned()]));
    let demands = [
        Demand::Tls,
        Demand::MinimumVersion(TlsVersion::TLS12),
        Demand::MinimumVersion(TlsVersion::TLS13),
        Demand::TrustedChain,
        Demand::MatchingName,
        // Two pins, or two sets of suites, are two demands: a union would be met by either.
        pin(PinKind::CertificateSha256, 1),
        pin(PinKind::CertificateSha256, 2),
        pin(PinKind::SpkiSha256, 1),
        suite("TLS_AES_128_GCM_SHA256"),
        suite("TLS_AES_256_GCM_SHA384"),
    ];
    for a in &demands {
        for b in &demands {
            let calls = || {
                vec![plan("one", std::slice::from_ref(a), None, &[]), plan("two", std::slice::from_ref(b), None, &[])]
            };
            let floor = join_plans(&Standing::default(), calls()).expect("no failure").floor;
            let all: Vec<_> = floor.demands().map(|(demand, _)| demand.clone()).collect();
            assert!(all.contains(a) && all.contains(b) && all.len() == 2, "{a} and {b}: {all:?}");
        }
    }
}

#[test]
fn the_first_in_the_chain_names_route_and_fallback_whole() {
    use FallbackStep::{Bounce, Hold, Route};
    let one = plan("one", &[], None, &[Route("gw".into()), Bounce]);
    let two = plan("two", &[], Some("b"), &[Hold]);
    let three = plan("three", &[], Some("c"), &[]);
    let joined = join_plans(&Standing::default(), vec![one, two, three]).expect("no failure");
    assert_eq!(joined.fallback, [Route("gw".into()), Bounce]);
    assert_eq!(joined.take_route.as_deref(), Some("b"));
    let second = plan("one", &[Demand::TrustedChain], Some("elsewhere"), &[Hold]);
    let second = join_plans(&Standing::default(), vec![second]).expect("no failure");
    let both = joined.with_second(second);
    assert_eq!(both.fallback, [Route("gw".into()), Bounce], "the first plan's cascade goes on");
    assert!(both.floor.requires_tls());
}

/// Where two differ the chain's order decides, and nothing else does.
#[test]
fn routes_and_fallbacks_of_every_pair_come_from_the_first_that_names_one() {
    use FallbackStep::{Bounce, Hold, Route};
    let routes = [None, Some("a"), Some("b")];
    let fallbacks: [&[FallbackStep]; 5] = [&[], &[Hold], &[Bounce], &[Route("a".into()), Hold], &[Route("b".into())]];
    let join = |one, two| join_plans(&Standing::default(), vec![one, two]).expect("no failure");
    for first in routes {
        for second in routes {
            let joined = join(plan("one", &[], first, &[]), plan("two", &[], second, &[]));
            assert_eq!(joined.take_route.as_deref(), first.or(second), "{first:?} then {second:?}");
        }
    }
    for first in fallbacks {
        for second in fallbacks {
            let joined = join(plan("one", &[], None, first), plan("two", &[], None, second));
            assert_eq!(joined.fallback, if first.is_empty() { second } else { first }, "{first:?} then {second:?}");
        }
    }
}

#[test]
fn judgements_join_in_either_order() {
    // The first objection's reply is used; a failed decision beats it from either side.
    let rows = [
        ("clear", "clear", "cleared"),
        ("clear", "object", "object two"),
        ("object", "clear", "object one"),
        ("object", "object", "object one"),
        ("clear", "failed", "failed two"),
        ("failed", "clear", "failed one"),
        ("object", "failed", "failed two"),
        ("failed", "object", "failed one"),
        ("failed", "failed", "failed one"),
    ];
    let judge = |policy: &str, kind: &str| match kind {
        "failed" => Err(failed(policy)),
        _ => {
            let objection = (kind == "object").then(|| reply(550, policy));
            Ok(JudgeCall { policy: policy.into(), objection, reasons: vec![reason(policy)] })
        }
    };
    for (first, second, expected) in rows {
        let found = match join_judges(vec![judge("one", first), judge("two", second)]) {
            Judgement::Cleared(_) => "cleared".to_owned(),
            Judgement::Objected { policy, reply: said, reasons } => {
                assert_eq!(said, reply(550, &policy), "{first} then {second}");
                assert_eq!(reasons, [reason("one"), reason("two")], "{first} then {second}");
                format!("object {policy}")
            }
            Judgement::Failed(failure) => format!("failed {}", failure.policy),
        };
        assert_eq!(found, expected, "{first} then {second}");
    }
}

fn reason(text: &str) -> Reason {
    Reason { policy: String::new(), rule: text.into(), text: text.into(), matched: None, detail: None }
}

#[test]
fn reasons_keep_the_chains_order_and_within_a_policy_its_own() {
    let texts = ["z", "a", "m", "b"];
    let (one, two) = (vec![reason("z"), reason("a")], vec![reason("m"), reason("b")]);
    let in_order = |reasons: &[Reason]| reasons.iter().map(|reason| reason.text.clone()).collect::<Vec<_>>();

    let received = |policy, reasons: &Vec<Reason>| {
        receive(policy, "flag").map(|call| ReceiveCall { reasons: reasons.clone(), ..call })
    };
    assert_eq!(in_order(&join_receives(vec![received("one", &one), received("two", &two)]).reasons), texts);

    let planned = |policy, reasons: &Vec<Reason>| {
        plan(policy, &[], None, &[]).map(|call| PlanCall { reasons: reasons.clone(), ..call })
    };
    let join = |calls| join_plans(&Standing::default(), calls).expect("no failure");
    assert_eq!(in_order(&join(vec![planned("one", &one), planned("two", &two)]).reasons), texts);
    let both = join(vec![planned("one", &one)]).with_second(join(vec![planned("one", &two)]));
    assert_eq!(in_order(&both.reasons), texts, "the second plan's come after the first's");
}

#[test]
fn one_failed_decision_leaves_no_floor_and_no_clearance() {
    assert!(join_plans(&Standing::default(), vec![plan("one", &[], None, &[]), Err(failed("two"))]).is_err());
    assert!(join_plans(&Standing::default(), Vec::new()).is_err());
    let judge = |objection: Option<Reply>| Ok(JudgeCall { policy: "one".into(), objection, reasons: Vec::new() });
    assert!(matches!(join_judges(vec![judge(None)]), Judgement::Cleared(_)));
    assert!(matches!(join_judges(vec![judge(None), Err(failed("two"))]), Judgement::Failed(_)));
    assert!(matches!(join_judges(vec![judge(Some(reply(550, "one"))), judge(None)]), Judgement::Objected { .. }));
    assert!(matches!(join_judges(vec![judge(None), judge(Some(reply(450, "two")))]), Judgement::Objected { .. }));
    assert!(matches!(join_judges(vec![judge(Some(reply(550, "one"))), Err(failed("two"))]), Judgement::Failed(_)));
    assert!(matches!(join_judges(Vec::new()), Judgement::Failed(_)));
}

#[test]
fn route_flags_and_h6_stand_in_every_floor() {
    let flags = ["content".to_owned()];
    let route = [Demand::Tls, Demand::TrustedChain];
    let standing = Standing { route: Some(("gw", &route)), flags: &flags, report_of_tls: true, require_tls: None };
    let floor = join_plans(&standing, vec![plan("one", &[], None, &[])]).expect("no failure").floor;
    let sources: Vec<_> = floor.demands().map(|(_, source)| source.clone()).collect();
    assert!(sources.contains(&Source::Route("gw".into())));
    assert!(sources.contains(&Source::Flag("content".into())));
    assert!(sources.contains(&Source::Report));
}
