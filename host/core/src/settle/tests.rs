//! Every rule of `settle` as a table, then H9 over every short course of events in virtual time.

use super::*;
use crate::decision::{FailedDecision, FailureCause};
use crate::facts::ChannelState;
use crate::floor::Demand;
use crate::outcome::{Delivery, HostUnmet};
use crate::reply::Reply;

const ARRIVED: u64 = 1_000_000;
const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn host_unmet(conclusive: bool) -> HostUnmet {
    let channel = if conclusive { ChannelState::NotOffered } else { ChannelState::Inconclusive };
    HostUnmet {
        host: "mx1.example".into(),
        address: "192.0.2.1:25".into(),
        channel,
        unmet: vec![(Demand::Tls, Source::Rule { policy: "secure-transport".into(), rule: "R2".into() })],
        objection: None,
        withdrawn: false,
        found: "did not offer STARTTLS".into(),
        conclusive,
    }
}

/// An outcome by its word.
fn outcome(word: &str) -> Outcome {
    let not_asked = || vec![("mx2.example".to_owned(), "time-out".to_owned())];
    let unmet = |hosts, not_asked| Outcome::FloorUnmet(FloorUnmet { hosts, not_asked });
    let by_policy = |code, enhanced| HostUnmet {
        unmet: Vec::new(),
        objection: Some((Reply::new(code, enhanced, "not this host"), Vec::new())),
        ..host_unmet(code >= 500)
    };
    let by_sender = |demand| HostUnmet { unmet: vec![(demand, Source::RequireTls)], ..host_unmet(true) };
    let published = || {
        let source = Source::MtaSts { domain: "d.example".into(), id: "1".into(), fetched_at: ARRIVED };
        HostUnmet { unmet: vec![(Demand::TrustedChain, source)], ..host_unmet(true) }
    };
    match word {
        "delivered" => Outcome::Delivered(Delivery {
            host: "mx1.example".into(),
            address: "192.0.2.1:25".into(),
            reply: Reply::new(250, (0, 0), "ok"),
            tls: None,
            in_clear: None,
            dsn: false,
            demanded: Vec::new(),
            published: Vec::new(),
        }),
        "5xx" => Outcome::Refused { host: None, reply: Reply::new(550, (1, 1), "no such user"), by_peer: true },
        "4xx" => Outcome::Inconclusive {
            host: Some("mx1.example".into()),
            why: "answered RCPT".into(),
            reply: Some(Reply::new(451, (7, 1), "greylisted")),
        },
        "nobody" => Outcome::Inconclusive { host: None, why: "no host answered".into(), reply: None },
        "nobody-unmet" => unmet(Vec::new(), not_asked()),
        "failed-decision" => Outcome::FailedDecision(FailedDecision {
            policy: "secure-transport".into(),
            cause: FailureCause::Trap,
            detail: "unreachable".into(),
        }),
        "unmet" => unmet(vec![host_unmet(true)], Vec::new()),
        "unmet-not-asked" => unmet(vec![host_unmet(true)], not_asked()),
        "unmet-454" => unmet(vec![host_unmet(true), host_unmet(false)], Vec::new()),
        "requiretls" => unmet(vec![by_sender(Demand::RequireTls)], Vec::new()),
        "requiretls-not-asked" => unmet(vec![by_sender(Demand::RequireTls)], not_asked()),
        "requiretls-null-sender" => unmet(vec![by_sender(Demand::Tls)], Vec::new()),
        "published" => unmet(vec![published()], Vec::new()),
        "published-and-listed" => unmet(vec![published(), host_unmet(true)], Vec::new()),
        "objection-5xx" => unmet(vec![by_policy(550, (7, 1))], Vec::new()),
        "objection-4xx" => unmet(vec![by_policy(450, (7, 1))], Vec::new()),
        other => panic!("no outcome {other:?}"),
    }
}

/// A fallback by its words: `gw` is a route.
fn fallback(words: &str) -> Vec<FallbackStep> {
    let step = |word: &str| match word {
        "hold" => FallbackStep::Hold,
        "bounce" => FallbackStep::Bounce,
        route => FallbackStep::Route(route.to_owned()),
    };
    words.split_whitespace().map(step).collect()
}

fn settle_at(progress: &Progress, word: &str, steps: &str, after: u64, schedule: &Schedule) -> Settlement {
    let (outcome, fallback) = (outcome(word), fallback(steps));
    let round = RoundResult { outcome: &outcome, fallback: &fallback, reasons: &[] };
    settle(progress, round, Timing { arrived_at: ARRIVED, now: ARRIVED + after, jitter: 0.0 }, schedule)
}

/// A settlement in a few words, times counted from the round's end.
fn word(settlement: &Settlement, after: u64) -> String {
    let now = ARRIVED + after;
    match settlement {
        Settlement::Delivered => "delivered".into(),
        Settlement::RetryAt { at, progress } => match progress.route() {
            Some(route) => format!("{route} in {}", at - now),
            None => format!("again in {}", at - now),
        },
        Settlement::Held { expires_at, .. } => format!("held for {}", expires_at - now),
        Settlement::Failed { failure } => failure.ending.to_string(),
    }
}

#[test]
fn every_outcome_of_a_first_round() {
    let rows = [
        ("delivered", "", "delivered"),
        ("5xx", "gw hold", "refused for good"),
        ("4xx", "bounce", "again in 300"),
        ("nobody", "bounce", "again in 300"),
        ("nobody-unmet", "bounce", "again in 300"),
        ("failed-decision", "bounce", "again in 60"),
        ("unmet", "bounce", "floor unmet, one attempt"),
        ("unmet", "gw bounce", "gw in 0"),
        ("unmet", "hold", "held for 432000"),
        ("unmet", "", "again in 300"),
        // RFC 8689: over at once, unless a policy knows another way.
        ("requiretls", "", "floor unmet, one attempt"),
        ("requiretls", "gw", "gw in 0"),
        ("requiretls-not-asked", "", "again in 300"),
        ("requiretls-null-sender", "", "again in 300"),
        // What is published may have changed by the next round; a rule of ours decides at once.
        ("published", "bounce", "again in 300"),
        ("published-and-listed", "bounce", "floor unmet, one attempt"),
        ("objection-5xx", "bounce", "floor unmet, one attempt"),
        ("objection-5xx", "", "again in 300"),
        ("objection-4xx", "bounce", "again in 300"),
        ("unmet-not-asked", "bounce", "again in 300"),
        ("unmet-not-asked", "gw", "again in 300"),
        ("unmet-454", "bounce", "again in 300"),
        ("unmet-not-asked", "", "again in 300"),
    ];
    for (outcome, fallback, expected) in rows {
        let settlement = settle_at(&Progress::default(), outcome, fallback, 0, &Schedule::default());
        assert_eq!(word(&settlement, 0), expected, "{outcome} with fallback {fallback:?}");
    }
}

/// Runs rounds one after the other, each when it is due; a held message is retried by its operator a minute later.
fn course(steps: &str, schedule: &Schedule, words: &[&str]) -> (Vec<String>, Progress) {
    let (mut progress, mut after, mut told) = (Progress::default(), 0, Vec::new());
    for outcome in words {
        let settlement = settle_at(&progress, outcome, steps, after, schedule);
        told.push(word(&settlement, after));
        match settlement {
            Settlement::RetryAt { at, progress: next } => (progress, after) = (next, at - ARRIVED),
            Settlement::Held { progress: next, .. } => (progress, after) = (next, after + MINUTE),
            Settlement::Delivered | Settlement::Failed { .. } => break,
        }
    }
    (told, progress)
}

#[test]
fn courses_of_rounds() {
    type Row = (&'static str, &'static [&'static str], &'static [&'static str]);
    let rows: &[Row] = &[
        // Hosts that could not be asked: three repeats, then the last result stands.
        (
            "bounce",
            &["unmet-not-asked", "unmet-454", "objection-4xx", "unmet-not-asked"],
            &["again in 300", "again in 600", "again in 1200", "floor unmet in 4 rounds"],
        ),
        // The first conclusive round ends it, whatever went before.
        ("bounce", &["unmet-not-asked", "unmet"], &["again in 300", "floor unmet in 2 rounds"]),
        // Rounds in which nobody answered, greylisting and failed decisions use nothing up.
        (
            "bounce",
            &["nobody", "unmet-not-asked", "4xx", "failed-decision", "unmet-not-asked", "unmet"],
            &["again in 300", "again in 300", "again in 600", "again in 60", "again in 600", "floor unmet in 3 rounds"],
        ),
        // The cascade, each route with rounds of its own.
        ("gw bounce", &["unmet", "unmet"], &["gw in 0", "floor unmet, one attempt"]),
        ("gw", &["unmet", "unmet"], &["gw in 0", "floor unmet, one attempt"]),
        (
            "gw b hold",
            &["unmet", "unmet-not-asked", "unmet", "4xx", "unmet"],
            &["gw in 0", "gw in 300", "b in 0", "b in 300", "held for 431400"],
        ),
        ("gw bounce", &["unmet", "5xx"], &["gw in 0", "refused for good"]),
        ("gw bounce", &["unmet", "4xx", "delivered"], &["gw in 0", "gw in 300", "delivered"]),
        // What was held and retried: the cascade goes on, and a hold that ends it holds again.
        ("hold bounce", &["unmet", "unmet"], &["held for 432000", "floor unmet, one attempt"]),
        ("hold", &["unmet", "unmet", "delivered"], &["held for 432000", "held for 431940", "delivered"]),
        ("gw hold", &["unmet", "unmet", "4xx"], &["gw in 0", "held for 432000", "gw in 300"]),
        // No fallback named: the ordinary schedule.
        (
            "",
            &["unmet", "unmet", "unmet-454", "delivered"],
            &["again in 300", "again in 600", "again in 1200", "delivered"],
        ),
    ];
    for (steps, words, expected) in rows {
        assert_eq!(course(steps, &Schedule::default(), words).0, *expected, "{words:?} with fallback {steps:?}");
    }
}

#[test]
fn repeats_and_window_are_settings() {
    let of = |repeats, window| Schedule {
        inconclusive_repeats: repeats,
        inconclusive_window_secs: window,
        ..Schedule::default()
    };
    let rows: [(Schedule, &[&str]); 5] = [
        (of(0, HOUR), &["floor unmet, one attempt"]),
        (of(3, 0), &["floor unmet, one attempt"]),
        (of(1, HOUR), &["again in 300", "floor unmet in 2 rounds"]),
        // The repeat that would fall behind the window's end is put at its end; what comes then stands.
        (of(3, 400), &["again in 300", "again in 100", "floor unmet in 3 rounds"]),
        (of(9, 500), &["again in 300", "again in 200", "floor unmet in 3 rounds"]),
    ];
    for (schedule, expected) in rows {
        assert_eq!(course("bounce", &schedule, &["unmet-454"; 9]).0, expected, "{schedule:?}");
    }
    // A repeat that was late (the relay was down) stands.
    let late = Progress { unmet: Some(UnmetWindow { since: ARRIVED, rounds: 1 }), ..Progress::default() };
    let settlement = settle_at(&late, "unmet-454", "bounce", 2 * HOUR, &Schedule::default());
    assert_eq!(word(&settlement, 2 * HOUR), "floor unmet in 2 rounds");
}

#[test]
fn expiry_ends_everything() {
    let schedule = Schedule::default();
    let rows = [
        ("4xx", "", "expired"),
        ("nobody", "bounce", "expired"),
        ("failed-decision", "bounce", "expired"),
        ("unmet", "", "expired"),
        ("unmet-454", "gw", "expired"),
        ("unmet", "gw", "expired"),
        ("unmet", "hold", "expired while held"),
        ("unmet", "bounce", "floor unmet, one attempt"),
        ("delivered", "", "delivered"),
        ("5xx", "", "refused for good"),
    ];
    for (outcome, fallback, expected) in rows {
        let settlement = settle_at(&Progress::default(), outcome, fallback, 5 * DAY, &schedule);
        assert_eq!(word(&settlement, 5 * DAY), expected, "{outcome} with fallback {fallback:?}");
        assert!(
            !word(&settle_at(&Progress::default(), outcome, fallback, 5 * DAY - 1, &schedule), 0).contains("expired")
        );
    }
    // The last retry is put at the expiry, not behind it.
    let settlement = settle_at(&Progress { retries: 9, ..Progress::default() }, "4xx", "", 5 * DAY - 7, &schedule);
    assert_eq!(word(&settlement, 5 * DAY - 7), "again in 7");
}

#[test]
fn held_mail_expires_with_what_its_last_round_told() {
    let schedule = Schedule::default();
    let Settlement::Held { expires_at, progress } = settle_at(&Progress::default(), "unmet", "hold", 60, &schedule)
    else {
        panic!("not held")
    };
    assert_eq!(expires_at, ARRIVED + 5 * DAY);
    assert_eq!(expired(&progress, false, ARRIVED, expires_at - 1, &schedule), None);
    let failure = expired(&progress, false, ARRIVED, expires_at, &schedule).expect("it has expired");
    assert_eq!(failure.ending, Ending::Expired { after_secs: 5 * DAY, held: HeldBy::Policy });
    assert_eq!((failure.outcome, failure.at, failure.rounds), (outcome("unmet"), ARRIVED + 60, 1));
    let never = expired(&Progress::default(), false, ARRIVED, expires_at, &schedule).expect("it has expired");
    assert!(matches!(never.outcome, Outcome::Inconclusive { .. }));
    assert_eq!(never.ending, Ending::Expired { after_secs: 5 * DAY, held: HeldBy::Nobody });
    // An operator's hold is told as such, of what a policy holds too.
    for progress in [progress, Progress::default()] {
        assert_eq!(expired(&progress, true, ARRIVED, expires_at - 1, &schedule), None);
        let failure = expired(&progress, true, ARRIVED, expires_at, &schedule).expect("it has expired");
        assert_eq!(failure.ending.to_string(), "expired while an operator held it");
    }
}

#[test]
fn failed_decisions_use_up_no_round_and_alert_once_they_last() {
    let schedule = Schedule::default();
    let (_, progress) = course("bounce", &schedule, &["4xx", "failed-decision", "failed-decision"]);
    assert_eq!((progress.rounds, progress.retries), (1, 1));
    assert_eq!(progress.failing_since, Some(ARRIVED + 5 * MINUTE));
    assert_eq!(progress.alert_at(&schedule), Some(ARRIVED + 10 * MINUTE));
    assert!(progress.last.contains("secure-transport"), "{}", progress.last);
    let (_, progress) = course("bounce", &schedule, &["4xx", "failed-decision", "4xx"]);
    assert_eq!((progress.failing_since, progress.alert_at(&schedule)), (None, None));
    let over = settle_at(&progress, "failed-decision", "bounce", 5 * DAY, &schedule);
    let Settlement::Failed { failure } = over else { panic!("not failed") };
    assert!(matches!(failure.outcome, Outcome::FailedDecision(_)));
    assert_eq!(failure.rounds, 2);
}

#[test]
fn progress_survives_the_store() {
    let (_, progress) = course("gw hold", &Schedule::default(), &["unmet", "unmet-454"]);
    let text = serde_json::to_string(&progress).expect("progress is plain data");
    assert_eq!(serde_json::from_str::<Progress>(&text).expect("as written"), progress);
    assert_eq!(serde_json::from_str::<Progress>("{}").expect("everything has a default"), Progress::default());
}

/// What one leg (the recipient's own route, or one of the cascade's) has seen.
#[derive(Default)]
struct Leg {
    first_unmet: Option<u64>,
    unmet_rounds: u32,
}

/// H9 for every course of five events under every fallback and three settings.
#[test]
fn h9_holds_for_every_short_course() {
    const WORDS: [&str; 6] = ["unmet", "unmet-not-asked", "unmet-454", "4xx", "nobody", "failed-decision"];
    let strict = Schedule { inconclusive_repeats: 0, ..Schedule::default() };
    let short = Schedule { inconclusive_window_secs: 10 * MINUTE, ..Schedule::default() };
    for schedule in [Schedule::default(), strict, short] {
        for steps in ["bounce", "gw bounce", "hold", "gw b hold"] {
            for number in 0..WORDS.len().pow(5) {
                let words: Vec<&str> =
                    (0..5).map(|digit| WORDS[number / WORDS.len().pow(digit) % WORDS.len()]).collect();
                h9_holds(&schedule, steps, &words);
            }
        }
    }
}

fn h9_holds(schedule: &Schedule, steps: &str, words: &[&str]) {
    let (mut progress, mut after, mut leg) = (Progress::default(), 0, Leg::default());
    for word in words {
        let settlement = settle_at(&progress, word, steps, after, schedule);
        let context = || format!("{words:?} at {word} after {after}, fallback {steps:?}, {schedule:?}");
        let unmet = word.starts_with("unmet");
        if unmet {
            leg.unmet_rounds += 1;
            leg.first_unmet.get_or_insert(after);
        }
        let (next, at) = match settlement {
            Settlement::RetryAt { at, progress: next } => (next, at - ARRIVED),
            Settlement::Held { progress: next, .. } => (next, after + MINUTE),
            Settlement::Delivered | Settlement::Failed { .. } => {
                assert!(unmet, "only an unmet floor ends here: {}", context());
                return;
            }
        };
        let same_leg = next.cascade == progress.cascade && !(next.unmet.is_none() && unmet);
        if unmet && same_leg {
            assert_ne!(*word, "unmet", "a conclusive round is the only one: {}", context());
            assert!(leg.unmet_rounds <= schedule.inconclusive_repeats, "repeats: {}", context());
            let window_end = leg.first_unmet.unwrap_or(after) + schedule.inconclusive_window_secs;
            assert!(at <= window_end, "within the window: {}", context());
        }
        if !unmet {
            assert_eq!(next.unmet, progress.unmet, "uses nothing up: {}", context());
            assert_eq!(next.cascade, progress.cascade, "takes no step: {}", context());
        }
        if !same_leg {
            leg = Leg::default();
        }
        assert!(at > after || !same_leg, "time goes on: {}", context());
        (progress, after) = (next, at);
    }
}

/// Mail that needed TLS takes no fallback in clear; mail a policy merely objected to may.
#[test]
fn a_fallback_remembers_that_a_floor_was_unmet() {
    let rows = [("unmet", true), ("unmet-not-asked", true), ("objection-5xx", false)];
    for (word, secure) in rows {
        let schedule = Schedule { inconclusive_repeats: 0, ..Schedule::default() };
        let settlement = settle_at(&Progress::default(), word, "gw bounce", 0, &schedule);
        let Settlement::RetryAt { progress, .. } = settlement else { panic!("{word}: {settlement:?}") };
        assert_eq!(progress.route(), Some("gw"), "{word}");
        assert_eq!(progress.must_stay_secure(), secure, "{word}");
    }
    assert!(!Progress::default().must_stay_secure(), "no fallback was entered");
}

/// RFC 3461 §4.1: once, when it is late, whatever keeps it waiting.
#[test]
fn a_delay_is_told_once_it_lasts() {
    let schedule = Schedule { delay_notice_after_secs: 100, ..Schedule::default() };
    let never = Schedule { delay_notice_after_secs: 0, ..Schedule::default() };
    let told = Progress { delay_told: true, ..Progress::default() };
    let outcome = outcome("failed-decision");
    let round = RoundResult { outcome: &outcome, fallback: &[], reasons: &[] };
    for (progress, schedule, waited, expected) in [
        (&Progress::default(), &schedule, 99, None),
        (&Progress::default(), &schedule, 100, Some(100)),
        (&told, &schedule, 100, None),
        (&Progress::default(), &never, 1_000_000, None),
    ] {
        let timing = Timing { arrived_at: 1_000, now: 1_000 + waited, jitter: 0.0 };
        let delay = delay(progress, round, timing, schedule);
        assert_eq!(delay.as_ref().map(|delay| delay.waited_secs), expected, "{waited}");
        if let Some(delay) = delay {
            assert_eq!((delay.last.at, &delay.last.outcome), (timing.now, &outcome));
            assert_eq!(delay.until, schedule.expires_at(1_000));
        }
    }
}
