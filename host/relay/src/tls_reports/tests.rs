//! The book: what is counted, kept, and made a report of, and when.

use sealwire_core::tlsrpt::{Policy, ResultType, SessionFailure};
use sealwire_store::MemoryPlace;

use super::*;

/// 10 seconds into a day.
const NOW: u64 = 20_000 * DAY + 10;

fn domain(text: &str) -> Domain {
    Domain::parse(text).expect("a domain")
}

fn session(kind: PolicyType, of: &str, good: bool) -> Session {
    let failure = SessionFailure { result: ResultType::ValidationFailure, reason: "why".into() };
    Session {
        policy: Policy { kind, text: Vec::new(), domain: of.into(), mx_host: Vec::new() },
        result: if good { Ok(()) } else { Err(failure) },
        host: "mx.test".into(),
        address: None,
        from: None,
    }
}

fn counted(reports: &Reports) -> Vec<(u64, String, u64, u64)> {
    let mut counted: Vec<_> = locked(&reports.counting)
        .iter()
        .map(|((day, about), of_day)| {
            let sum = of_day.counts.summary();
            (*day, about.to_string(), sum.total_successful_session_count, sum.total_failure_session_count)
        })
        .collect();
    counted.sort();
    counted
}

fn to_send(reports: &Reports) -> Vec<ToSend> {
    let mut to_send: Vec<ToSend> = locked(&reports.to_send).values().cloned().collect();
    to_send.sort_by_key(|one| key_of(one.since, &one.about));
    to_send
}

/// What TLSA records came to is their domain's business and the recipient's.
#[test]
fn sessions_are_counted_for_the_recipients_domain_and_for_that_of_tlsa_records() {
    let reports = Reports::default();
    let none = PolicyType::NoPolicyFound;
    for (now, about, sessions) in [
        (NOW, "a.test", vec![session(none, "a.test", true)]),
        (NOW, "a.test", vec![session(PolicyType::Tlsa, "mx.b.test", false), session(PolicyType::Sts, "a.test", true)]),
        (NOW, "mx.b.test", vec![session(PolicyType::Tlsa, "mx.b.test", true)]),
        (NOW + DAY, "a.test", vec![session(none, "a.test", false)]),
    ] {
        assert!(reports.count(now, &domain(about), sessions));
    }
    let day = NOW / DAY;
    let expected = [(day, "a.test".into(), 2, 1), (day, "mx.b.test".into(), 1, 1), (day + 1, "a.test".into(), 0, 1)];
    assert_eq!(counted(&reports), expected);
}

#[tokio::test]
async fn counts_outlive_a_restart_and_a_day_that_has_ended_is_due_hours_later() {
    let store = MemoryPlace::default().open();
    let reports = Reports::default();
    let (a, b) = (domain("a.test"), domain("b.test"));
    reports.count(NOW, &a, vec![session(PolicyType::Sts, "a.test", true)]);
    reports.keep(&store, NOW).await;
    reports.count(NOW + 60, &a, vec![session(PolicyType::Sts, "a.test", false)]);
    reports.keep(&store, NOW + 60).await;
    let before = counted(&reports);
    let reports = Reports::of_store(&store).await.expect("a store");
    assert_eq!(counted(&reports), before);

    // The same day: nothing is due. The next one: yesterday's is, as the caller says, and today's goes on.
    reports.end(&store, NOW + 61, None, |_| 0).await;
    assert_eq!((counted(&reports), to_send(&reports).len()), (before, 0));
    let tomorrow = NOW + DAY;
    reports.count(tomorrow, &b, vec![session(PolicyType::Sts, "b.test", true)]);
    reports.keep(&store, tomorrow).await;
    reports.end(&store, tomorrow, None, |ended_at| ended_at + 7).await;
    for reports in [&reports, &Reports::of_store(&store).await.expect("a store")] {
        assert_eq!(counted(reports), [(NOW / DAY + 1, "b.test".into(), 1, 0)]);
        let found = to_send(reports);
        let [one] = found.as_slice() else { panic!("{found:?}") };
        let end = (NOW / DAY + 1) * DAY;
        assert_eq!((&one.about, one.since, one.due_at, one.ends_at), (&a, NOW / DAY * DAY, end + 7, end + 7 + DAY));
        assert_eq!(one.counts.summary().total_failure_session_count, 1);
    }
}

#[tokio::test]
async fn what_is_counted_after_a_report_at_once_is_another_report() {
    let store = MemoryPlace::default().open();
    let reports = Reports::default();
    let (a, b) = (domain("a.test"), domain("b.test"));
    for about in [&a, &b] {
        reports.count(NOW, about, vec![session(PolicyType::Sts, "a.test", true)]);
    }
    let only_a = |about: &Domain| *about == a;
    reports.end(&store, NOW + 5, Some(&only_a), |ended_at| ended_at.min(NOW + 5)).await;
    reports.end(&store, NOW + 6, Some(&only_a), |_| 0).await;
    reports.count(NOW + 9, &a, vec![session(PolicyType::Sts, "a.test", true)]);
    reports.end(&store, NOW + DAY, None, |ended_at| ended_at).await;
    let found: Vec<_> = to_send(&reports).into_iter().map(|one| (one.about, one.since, one.until)).collect();
    let day = NOW / DAY * DAY;
    let expected = [(a.clone(), day, NOW + 5), (b, day, NOW + DAY), (a, NOW + 6, NOW + DAY)];
    assert_eq!(found, expected);
    assert_eq!(counted(&reports), []);
}

/// What stands in the store in both places, after a crash between the two, is told once.
#[tokio::test]
async fn a_crash_between_count_and_report_tells_nothing_twice() {
    let store = MemoryPlace::default().open();
    let reports = Reports::default();
    reports.count(NOW, &domain("a.test"), vec![session(PolicyType::Sts, "a.test", true)]);
    reports.keep(&store, NOW).await;
    let counting = store.known(COUNTING).await.expect("a store");
    reports.end(&store, NOW + DAY, None, |ended_at| ended_at).await;
    store.learn(counting).await.expect("a store");
    let reports = Reports::of_store(&store).await.expect("a store");
    assert_eq!((counted(&reports), to_send(&reports).len()), (Vec::new(), 1));
}
