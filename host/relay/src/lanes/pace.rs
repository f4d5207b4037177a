//! How much a destination bears: fewer sessions at a time once it asks for less, and for a while none; one more for each
//! round of deliveries.
//!
//! Additive increase, multiplicative decrease, as in TCP's congestion avoidance (RFC 5681 §3.1). What counts as asking for
//! less is [`asks_for_less`](super::asks_for_less).

use std::collections::HashMap;
use std::time::Duration;

use sealwire_core::plan::NextHop;
use tokio::time::Instant;

/// The first rest of a destination that asks for less though one session at a time is all it has; each later rest is twice as
/// long.
const REST: Duration = Duration::from_secs(30);
const REST_MAX: Duration = Duration::from_secs(600);
/// What was learned of a destination is forgotten when nothing was heard of it for so long.
const FORGET: Duration = Duration::from_secs(3600);
/// Destinations of which something is known; beyond, those are forgotten of which nothing was heard for longest.
const KNOWN_MAX: usize = 10_000;

/// Of all destinations that have asked for less.
#[derive(Default)]
pub(super) struct Paces(HashMap<NextHop, Pace>);

struct Pace {
    /// Sessions at a time.
    most: usize,
    /// Attempts that delivered since it last rose.
    taken: usize,
    /// How often in a row it asked for less while there was one session.
    rests: u32,
    rests_until: Instant,
    /// When it was given less last.
    lessened: Option<Instant>,
    heard: Instant,
}

impl Paces {
    fn known(&self, hop: &NextHop) -> Option<&Pace> {
        self.0.get(hop).filter(|pace| pace.heard.elapsed() < FORGET)
    }

    /// Sessions at a time, where it is known.
    pub(super) fn most(&self, hop: &NextHop) -> Option<usize> {
        self.known(hop).map(|pace| pace.most)
    }

    /// How long it is to be left alone.
    pub(super) fn rest(&self, hop: &NextHop) -> Duration {
        self.known(hop).map_or(Duration::ZERO, |pace| pace.rests_until.saturating_duration_since(Instant::now()))
    }

    /// An attempt delivered. `width` is what the destination may have at most.
    pub(super) fn took(&mut self, hop: &NextHop, width: usize) {
        let Some(pace) = self.0.get_mut(hop) else { return };
        // By another of its hosts, perhaps, than the one that asked for less.
        (pace.heard, pace.rests, pace.rests_until) = (Instant::now(), 0, Instant::now());
        pace.taken += 1;
        if pace.taken >= pace.most {
            (pace.most, pace.taken) = (pace.most + 1, 0);
        }
        if pace.most >= width {
            self.0.remove(hop);
        }
    }

    /// Whoever rests is asked again at once: an operator wants to see.
    pub(super) fn end_rests(&mut self) {
        let now = Instant::now();
        self.0.values_mut().for_each(|pace| pace.rests_until = now);
    }

    /// An attempt that began at `since` was asked for less while so many sessions ran.
    pub(super) fn asked_for_less(&mut self, hop: &NextHop, running: usize, since: Instant) {
        let now = Instant::now();
        if self.0.len() >= KNOWN_MAX || self.known(hop).is_none() {
            self.forget(now);
        }
        // One that is heard of for the first time is given the benefit of the doubt.
        let most = running.max(2);
        let fresh = || Pace { most, taken: 0, rests: 0, rests_until: now, lessened: None, heard: now };
        let pace = self.0.entry(hop.clone()).or_insert_with(fresh);
        (pace.heard, pace.taken) = (now, 0);
        // What began before it had less speaks of the time before.
        if pace.lessened.is_some_and(|at| since <= at) {
            return;
        }
        pace.lessened = Some(now);
        if pace.most <= 1 {
            let rest = REST.saturating_mul(1 << pace.rests.min(10)).min(REST_MAX);
            (pace.rests, pace.rests_until) = (pace.rests + 1, now + rest);
        }
        pace.most = (running.min(pace.most) / 2).max(1);
        tracing::info!(route = hop.route, target = ?hop.target, sessions = pace.most, "a destination asks for less");
    }

    fn forget(&mut self, now: Instant) {
        self.0.retain(|_, pace| now.duration_since(pace.heard) < FORGET);
        if self.0.len() >= KNOWN_MAX {
            let mut heard: Vec<Instant> = self.0.values().map(|pace| pace.heard).collect();
            let (_, median, _) = heard.select_nth_unstable(KNOWN_MAX / 2);
            let median = *median;
            self.0.retain(|_, pace| pace.heard >= median);
        }
    }
}

#[cfg(test)]
mod tests {
    use sealwire_core::facts::RouteKind;
    use sealwire_core::plan::Target;

    use super::*;

    fn hop(number: usize) -> NextHop {
        let target = Target::Hosts(Vec::new());
        NextHop { route: format!("r{number}"), kind: RouteKind::SmartHost, target, implicit_tls: false }
    }

    async fn a_moment() -> Instant {
        tokio::time::advance(Duration::from_millis(1)).await;
        Instant::now()
    }

    #[tokio::test(start_paused = true)]
    async fn half_as_many_once_it_asks_and_one_more_for_each_round_of_deliveries() {
        let (mut paces, hop) = (Paces::default(), hop(0));
        assert_eq!(paces.most(&hop), None, "nothing is known");
        let began = a_moment().await;
        paces.asked_for_less(&hop, 20, began);
        assert_eq!(paces.most(&hop), Some(10));
        // The other sessions of that moment say the same, as they end one by one.
        for running in (1..20).rev() {
            a_moment().await;
            paces.asked_for_less(&hop, running, began);
        }
        assert_eq!((paces.most(&hop), paces.rest(&hop)), (Some(10), Duration::ZERO));
        paces.asked_for_less(&hop, 10, a_moment().await);
        assert_eq!(paces.most(&hop), Some(5));
        for expected in [5, 5, 5, 5, 6] {
            paces.took(&hop, 20);
            assert_eq!(paces.most(&hop), Some(expected));
        }
        for _ in 0..200 {
            paces.took(&hop, 20);
        }
        assert_eq!(paces.most(&hop), None, "its whole width again");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_bears_not_even_one_session_is_left_alone_longer_each_time() {
        let (mut paces, hop) = (Paces::default(), hop(0));
        let mut rests = Vec::new();
        for _ in 0..8 {
            paces.asked_for_less(&hop, 1, a_moment().await);
            rests.push(paces.rest(&hop).as_secs());
            tokio::time::advance(paces.rest(&hop)).await;
            assert_eq!((paces.rest(&hop), paces.most(&hop)), (Duration::ZERO, Some(1)));
        }
        assert_eq!(rests, [0, 30, 60, 120, 240, 480, 600, 600]);
        paces.took(&hop, 20);
        paces.asked_for_less(&hop, 1, a_moment().await);
        assert_eq!(paces.most(&hop), Some(1));
        paces.asked_for_less(&hop, 1, a_moment().await);
        assert_eq!(paces.rest(&hop).as_secs(), 30, "it took something meanwhile");
        paces.end_rests();
        assert_eq!(paces.rest(&hop), Duration::ZERO);
        // What was learned yesterday is no reason to rest today.
        tokio::time::advance(FORGET).await;
        assert_eq!(paces.most(&hop), None);
        paces.asked_for_less(&hop, 1, a_moment().await);
        assert_eq!(paces.rest(&hop), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_bounded() {
        let mut paces = Paces::default();
        for number in 0..KNOWN_MAX + 5 {
            paces.asked_for_less(&hop(number), 4, Instant::now());
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!(paces.0.len() <= KNOWN_MAX && paces.most(&hop(KNOWN_MAX)).is_some());
        tokio::time::advance(FORGET).await;
        paces.forget(Instant::now());
        assert!(paces.0.is_empty());
    }
}
