//! Places: how many rounds run at a time, in all and to one destination, and who is next.
//!
//! A lane is a destination: the next hop that the route table gives an entry's first recipient. No peer sees more sessions of
//! ours at a time than a lane is wide, and large messages take at most a quarter of it, so that small ones go by.
//!
//! A lane may have one place, and more of them up to a part of those that are free: all of them where it is the only one, an
//! eighth where there are many. One slow destination has its whole width; a hundred of them leave each other a few places, and
//! always some to everybody else. (The rule is that of dynamic thresholds for queues that share a buffer: Choudhury and
//! Hahne, 1998.)

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sealwire_core::plan::NextHop;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

/// What part of the free places, or of the room to wait in, one lane may have: one so-manieth.
const LANE_PART: usize = 8;
/// What part of a lane large messages may take: one so-manieth.
const LARGE_PART: usize = 4;
/// Whoever waits longer than this for its place may as well wait in the queue: a destination this slow has time.
const LONG_WAIT: Duration = Duration::from_secs(3);
/// Lanes that are looked at for each place that comes free.
const LOOKED_AT: usize = 64;

/// The places of one relay.
pub(crate) struct Lanes(Mutex<State>);

struct State {
    free: usize,
    closed: bool,
    lanes: HashMap<NextHop, Lane>,
    /// Lanes in which somebody waits; whose turn it is stands first.
    turns: VecDeque<NextHop>,
}

#[derive(Default)]
struct Lane {
    /// As configured when somebody came last.
    width: usize,
    running: usize,
    /// Of these, for large messages.
    large: usize,
    /// The last one who waited and was given a place had a large message.
    large_last: bool,
    /// For large messages, and for others.
    waiting: [VecDeque<oneshot::Sender<Place>>; 2],
    /// How long a round took lately.
    mean: Duration,
    /// It stands among the turns.
    in_turn: bool,
    /// When a round last began or ended; the epoch is of no meaning.
    moved: Option<Instant>,
}

/// Why there is no place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// The lane is slow; back into the queue.
    Crowded,
    /// The relay stops.
    Stopping,
}

/// A round's place; given back when dropped.
pub(crate) struct Place {
    lanes: Arc<Lanes>,
    lane: Option<(NextHop, bool)>,
    since: Instant,
}

impl Lane {
    fn waiting(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }

    /// Whether one more may run while so many places are free.
    fn has_place(&self, free: usize, lanes: usize, large: bool) -> bool {
        let allowed = self.width.min((free / lanes.clamp(1, LANE_PART)).max(1));
        free > 0 && self.running < allowed && (!large || self.large < (allowed / LARGE_PART).max(1))
    }

    /// Those who wait in one class; whoever gave up is forgotten.
    fn waiters(&mut self, large: bool) -> &mut VecDeque<oneshot::Sender<Place>> {
        let waiters = &mut self.waiting[usize::from(!large)];
        while waiters.front().is_some_and(oneshot::Sender::is_closed) {
            waiters.pop_front();
        }
        waiters
    }

    fn take(&mut self, large: bool) {
        self.running += 1;
        self.large += usize::from(large);
        self.moved = Some(Instant::now());
    }

    /// How long one more would have to wait. A round that does not end is known to be slow before it ends.
    fn wait(&self) -> Duration {
        let stands = self.moved.map_or(Duration::ZERO, |moved| moved.elapsed());
        let many = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.mean.max(stands) * many(self.waiting() + 1) / many(self.running.max(1))
    }
}

impl State {
    /// The next in turn who has a place now.
    fn next(&mut self, lanes: &Arc<Lanes>) -> Option<(oneshot::Sender<Place>, Place)> {
        for _ in 0..self.turns.len().min(LOOKED_AT) {
            let hop = self.turns.pop_front()?;
            let found = self.next_of(&hop, lanes);
            if let Some(lane) = self.lanes.get_mut(&hop) {
                lane.in_turn = lane.waiting() > 0;
                if lane.in_turn {
                    self.turns.push_back(hop);
                } else if lane.running == 0 {
                    self.lanes.remove(&hop);
                }
            }
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// The next in one lane. Large messages and others take turns.
    fn next_of(&mut self, hop: &NextHop, lanes: &Arc<Lanes>) -> Option<(oneshot::Sender<Place>, Place)> {
        let (free, many) = (self.free, self.lanes.len());
        let lane = self.lanes.get_mut(hop)?;
        for large in [!lane.large_last, lane.large_last] {
            if lane.waiters(large).is_empty() || !lane.has_place(free, many, large) {
                continue;
            }
            let waiter = lane.waiters(large).pop_front()?;
            lane.take(large);
            lane.large_last = large;
            self.free -= 1;
            let place = Place { lanes: Arc::clone(lanes), lane: Some((hop.clone(), large)), since: Instant::now() };
            return Some((waiter, place));
        }
        None
    }
}

impl Lanes {
    /// So many places in all.
    pub(crate) fn new(places: u32) -> Lanes {
        let free = places.max(1) as usize;
        Lanes(Mutex::new(State { free, closed: false, lanes: HashMap::new(), turns: VecDeque::new() }))
    }

    /// Waits for a place, but not for long; without a lane there is nothing to wait for.
    pub(crate) async fn place(
        self: &Arc<Self>,
        hop: Option<NextHop>,
        large: bool,
        width: u32,
    ) -> Result<Place, NoPlace> {
        let wait = {
            let mut state = self.lock();
            if state.closed {
                return Err(NoPlace::Stopping);
            }
            let Some(hop) = hop else {
                return Ok(Place { lanes: Arc::clone(self), lane: None, since: Instant::now() });
            };
            let free = state.free;
            let many = state.lanes.len() + usize::from(!state.lanes.contains_key(&hop));
            let lane = state.lanes.entry(hop.clone()).or_default();
            lane.width = width.max(1) as usize;
            if lane.waiters(large).is_empty() && lane.has_place(free, many, large) {
                lane.take(large);
                state.free -= 1;
                return Ok(Place { lanes: Arc::clone(self), lane: Some((hop, large)), since: Instant::now() });
            }
            let (place, wait) = oneshot::channel();
            lane.waiters(large).push_back(place);
            if !std::mem::replace(&mut lane.in_turn, true) {
                state.turns.push_back(hop);
            }
            wait
        };
        match timeout(LONG_WAIT, wait).await {
            Ok(place) => place.map_err(|_| NoPlace::Stopping),
            Err(_) => Err(NoPlace::Crowded),
        }
    }

    /// Whether one more would wait long in this lane and take the room of others, of which so much is left.
    pub(crate) fn is_crowded(&self, hop: &NextHop, room: usize) -> bool {
        let state = self.lock();
        state.lanes.get(hop).is_some_and(|lane| lane.waiting() > room / LANE_PART && lane.wait() > LONG_WAIT)
    }

    /// How long one more would have to wait in this lane, by what is known.
    pub(crate) fn wait(&self, hop: &NextHop) -> Duration {
        self.lock().lanes.get(hop).map_or(Duration::ZERO, Lane::wait)
    }

    /// Nobody gets a place any more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.turns.clear();
        state.lanes.values_mut().flat_map(|lane| &mut lane.waiting).for_each(VecDeque::clear);
    }

    /// No panic leaves half a change under this lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((hop, large)) = self.lane.take() else { return };
        let mut state = self.lanes.lock();
        state.free += 1;
        if let Some(lane) = state.lanes.get_mut(&hop) {
            lane.running -= 1;
            lane.large -= usize::from(large);
            let took = self.since.elapsed();
            lane.mean = if lane.mean.is_zero() { took } else { (lane.mean * 3 + took) / 4 };
            lane.moved = Some(Instant::now());
            if lane.running == 0 && !lane.in_turn {
                state.lanes.remove(&hop);
            }
        }
        let mut given = Vec::new();
        while let Some(next) = state.next(&self.lanes) {
            given.push(next);
        }
        // It may not have been its turn among so many; what is left of its place must not lie idle.
        while let Some(next) = state.next_of(&hop, &self.lanes) {
            given.push(next);
        }
        drop(state);
        // A place that nobody waits for any more is dropped here, outside the lock, and given on.
        given.into_iter().for_each(|(waiter, place)| drop(waiter.send(place)));
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use sealwire_core::facts::RouteKind;
    use sealwire_core::plan::Target;

    use super::*;

    fn hop(route: &str) -> Option<NextHop> {
        let target = Target::Hosts(Vec::new());
        Some(NextHop { route: route.into(), kind: RouteKind::SmartHost, target, implicit_tls: false })
    }

    /// What it gives if it is ready at once.
    async fn now(future: impl Future<Output = Result<Place, NoPlace>>) -> Option<Place> {
        let mut future = pin!(future);
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(place) => Poll::Ready(place.ok()),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    /// Places in a lane, as many as there are.
    async fn fill(lanes: &Arc<Lanes>, route: &str, width: u32) -> Vec<Place> {
        let mut places = Vec::new();
        while let Some(place) = now(lanes.place(hop(route), false, width)).await {
            places.push(place);
        }
        places
    }

    #[tokio::test]
    async fn a_full_lane_keeps_nobody_else_from_a_place() {
        let lanes = Arc::new(Lanes::new(100));
        let mut slow = fill(&lanes, "slow", 3).await;
        assert_eq!(slow.len(), 3, "its width");
        let mut next = Box::pin(lanes.place(hop("slow"), false, 3));
        assert!(now(&mut next).await.is_none(), "the lane is full");
        assert!(now(lanes.place(hop("well"), false, 3)).await.is_some(), "another is not");
        slow.pop();
        assert!(now(&mut next).await.is_some(), "it was next");
    }

    #[tokio::test]
    async fn many_full_lanes_leave_each_other_few_places_and_some_to_others() {
        let lanes = Arc::new(Lanes::new(500));
        let mut taken: Vec<Vec<Place>> = (0..100).map(|_| Vec::new()).collect();
        for _ in 0..20 {
            for (n, places) in taken.iter_mut().enumerate() {
                places.extend(now(lanes.place(hop(&format!("slow{n}")), false, 20)).await);
            }
        }
        assert!(taken.iter().all(|places| (4..=5).contains(&places.len())), "each has its part");
        assert!(fill(&lanes, "well", 20).await.len() >= 4, "and there is one for others");
    }

    #[tokio::test]
    async fn a_place_that_comes_free_goes_round_the_lanes() {
        let lanes = Arc::new(Lanes::new(2));
        let mut a = fill(&lanes, "a", 9).await;
        let mut b = fill(&lanes, "b", 9).await;
        assert_eq!((a.len(), b.len()), (1, 1), "all are taken");
        let (mut c, mut d) = (Box::pin(lanes.place(hop("c"), false, 9)), Box::pin(lanes.place(hop("d"), false, 9)));
        assert!(now(&mut c).await.is_none() && now(&mut d).await.is_none());
        a.pop();
        let c = now(&mut c).await;
        assert!(c.is_some() && now(&mut d).await.is_none(), "c came first");
        b.pop();
        assert!(now(&mut d).await.is_some());
    }

    #[tokio::test]
    async fn large_messages_leave_room_for_small_ones() {
        let lanes = Arc::new(Lanes::new(100));
        let large = now(lanes.place(hop("a"), true, 4)).await.expect("a place");
        let mut second = Box::pin(lanes.place(hop("a"), true, 4));
        assert!(now(&mut second).await.is_none(), "a quarter of the lane");
        assert_eq!(fill(&lanes, "a", 4).await.len(), 3, "small ones have the rest");
        drop(large);
        assert!(now(&mut second).await.is_some(), "it was next");
    }

    #[tokio::test]
    async fn whoever_goes_away_takes_no_place_along() {
        let lanes = Arc::new(Lanes::new(100));
        let mut taken = fill(&lanes, "a", 1).await;
        let mut goes = Box::pin(lanes.place(hop("a"), false, 1));
        let mut stays = Box::pin(lanes.place(hop("a"), false, 1));
        assert!(now(&mut goes).await.is_none() && now(&mut stays).await.is_none());
        drop(goes);
        taken.clear();
        drop(now(&mut stays).await.expect("the other's place"));
        let mut given = Box::pin(lanes.place(hop("a"), false, 1));
        let first = now(&mut given).await.expect("a place");
        let mut unread = Box::pin(lanes.place(hop("a"), false, 1));
        assert!(now(&mut unread).await.is_none());
        drop(first);
        drop(unread);
        let state = lanes.lock();
        assert_eq!((state.free, state.lanes.len(), state.turns.len()), (100, 0, 0), "and nothing is left");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_is_crowded_where_many_wait_long() {
        let lanes = Arc::new(Lanes::new(100));
        let a = hop("a").expect("a hop");
        let mut taken = fill(&lanes, "a", 1).await;
        let mut waits: Vec<_> = (0..3).map(|_| Box::pin(lanes.place(hop("a"), false, 1))).collect();
        for wait in &mut waits {
            assert!(now(wait).await.is_none());
        }
        assert!(!lanes.is_crowded(&a, 8), "nobody knows how long a round takes");
        tokio::time::advance(LONG_WAIT).await;
        assert!(lanes.is_crowded(&a, 8), "the round goes on and on");
        assert!(!lanes.is_crowded(&a, 100), "there is room for them");
        taken.clear();
        assert!(lanes.is_crowded(&a, 8), "it was slow, and the next will be");
        assert!(!lanes.is_crowded(&hop("b").expect("a hop"), 0), "nobody waits there");
    }

    #[tokio::test]
    async fn a_relay_that_stops_gives_no_place() {
        let lanes = Arc::new(Lanes::new(100));
        let _taken = fill(&lanes, "a", 1).await;
        let waits = lanes.place(hop("a"), false, 1);
        let close = async { lanes.close() };
        let (waited, ()) = tokio::join!(waits, close);
        assert_eq!(waited.err(), Some(NoPlace::Stopping), "whoever waits is told");
        assert_eq!(lanes.place(hop("b"), false, 1).await.err(), Some(NoPlace::Stopping), "and whoever comes");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_long() {
        let lanes = Arc::new(Lanes::new(100));
        let _taken = fill(&lanes, "a", 1).await;
        let came = Instant::now();
        assert_eq!(lanes.place(hop("a"), false, 1).await.err(), Some(NoPlace::Crowded));
        assert_eq!(came.elapsed(), LONG_WAIT);
        for _ in 0..3 {
            assert_eq!(lanes.place(hop("a"), false, 1).await.err(), Some(NoPlace::Crowded));
        }
        assert_eq!(lanes.lock().turns.len(), 1, "however many gave up, a lane stands once among the turns");
    }
}
