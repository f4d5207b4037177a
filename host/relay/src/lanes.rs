//! Places: how many rounds run at a time, in all and to one destination, and who is next.
//!
//! A lane is a destination: a next hop. No peer sees more sessions of ours at a time than a lane is wide, and large messages
//! take at most a quarter of it and pause while small ones wait.
//!
//! A round begins in the lane of the hop that the route table gives its first recipient. Once it is planned, each attempt has a
//! place of its own in the lane of the hop that it really goes to: the round's, or one that it waits for holding no other, so
//! that no two wait for each other.
//!
//! A lane may have one place, and more of them up to a part of those that are free: all of them where it is the only one, an
//! eighth where there are many. One slow destination has its whole width; a hundred of them leave each other a few places, and
//! always some to everybody else. One that asks for less has fewer at a time, or none for a while ([`pace`]). (The rule is that of dynamic thresholds for queues that share a buffer: Choudhury and
//! Hahne, 1998.)

mod pace;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pace::Paces;
use sealwire_core::plan::NextHop;
use sealwire_core::reply::{Enhanced, Reply};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

/// What part of the free places, or of the room to wait in, one lane may have: one so-manieth.
const LANE_PART: usize = 8;
/// What part of a lane large messages may take: one so-manieth.
const LARGE_PART: usize = 4;
/// Whoever waits longer than this for its place may as well wait in the queue: a destination this slow has time.
const LONG_WAIT: Duration = Duration::from_secs(3);
/// How long a large message lets small ones by, before each of its pieces.
const GIVES_WAY: Duration = Duration::from_millis(500);
/// Between two looks whether any still wait.
const LOOKS_AGAIN: Duration = Duration::from_millis(5);
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
    /// Of destinations that asked for less.
    paces: Paces,
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

    /// Whoever gave up waiting is forgotten.
    fn prune(&mut self) {
        self.waiting.iter_mut().for_each(|waiters| waiters.retain(|waiter| !waiter.is_closed()));
    }

    /// Whether one more may run while so many places are free, of a destination that bears `most`.
    fn has_place(&self, free: usize, lanes: usize, most: Option<usize>, large: bool) -> bool {
        let width = most.map_or(self.width, |most| most.min(self.width));
        let allowed = width.min((free / lanes.clamp(1, LANE_PART)).max(1));
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
        let (free, many, most) = (self.free, self.lanes.len(), self.paces.most(hop));
        if !self.paces.rest(hop).is_zero() {
            return None;
        }
        let lane = self.lanes.get_mut(hop)?;
        for large in [!lane.large_last, lane.large_last] {
            if lane.waiters(large).is_empty() || !lane.has_place(free, many, most, large) {
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
        Lanes(Mutex::new(State {
            free,
            closed: false,
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            paces: Paces::default(),
        }))
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
            if !state.paces.rest(&hop).is_zero() {
                return Err(NoPlace::Crowded);
            }
            let (free, most) = (state.free, state.paces.most(&hop));
            let many = state.lanes.len() + usize::from(!state.lanes.contains_key(&hop));
            let lane = state.lanes.entry(hop.clone()).or_default();
            lane.width = width.max(1) as usize;
            if lane.waiters(large).is_empty() && lane.has_place(free, many, most, large) {
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
        let mut state = self.lock();
        state.lanes.get_mut(hop).is_some_and(|lane| {
            lane.prune();
            lane.waiting() > room / LANE_PART && lane.wait() > LONG_WAIT
        })
    }

    /// How long one more would have to wait in this lane, by what is known.
    pub(crate) fn wait(&self, hop: &NextHop) -> Duration {
        let mut state = self.lock();
        let rest = state.paces.rest(hop);
        let Some(lane) = state.lanes.get_mut(hop) else { return rest };
        lane.prune();
        lane.wait().max(rest)
    }

    /// What an operator wants tried again is tried at once, whatever its destination asked for.
    pub(crate) fn end_rests(&self) {
        self.lock().paces.end_rests();
    }

    fn small_ones_wait(&self, hop: &NextHop) -> bool {
        self.lock().lanes.get_mut(hop).is_some_and(|lane| !lane.waiters(false).is_empty())
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

/// 421, or a 4xx whose enhanced code says that there is too much: "system not accepting network messages", "mail system
/// congestion" (RFC 3463 §3.4, §3.5). Greylisting says nothing of the kind.
pub(crate) fn asks_for_less(reply: &Reply) -> bool {
    let congested = matches!(reply.enhanced, Some(Enhanced(4, 3, 2) | Enhanced(4, 4, 5)));
    reply.code == 421 || (reply.is_transient() && congested)
}

impl Place {
    /// It is one in the lane of this hop.
    pub(crate) fn is_of(&self, hop: &NextHop) -> bool {
        self.lane.as_ref().is_some_and(|(lane, _)| lane == hop)
    }

    /// The destination took a message; `width` is what it may have at most. Once for each attempt.
    pub(crate) fn took(&self, width: u32) {
        let Some((hop, _)) = &self.lane else { return };
        self.lanes.lock().paces.took(hop, width.max(1) as usize);
    }

    /// The destination asked for less: see [`asks_for_less`]. Once for each attempt.
    pub(crate) fn asked_for_less(&self) {
        let Some((hop, _)) = &self.lane else { return };
        let mut state = self.lanes.lock();
        // This place is one of them.
        let running = state.lanes.get(hop).map_or(1, |lane| lane.running);
        state.paces.asked_for_less(hop, running, self.since);
    }

    /// A large message lets small ones by that wait for the same destination, for a moment: half a megabyte at a time it
    /// still goes on, at least as slowly as a slow line would have it.
    pub(crate) async fn give_way(&self) {
        let Some((hop, true)) = &self.lane else { return };
        let began = Instant::now();
        while began.elapsed() < GIVES_WAY && self.lanes.small_ones_wait(hop) {
            tokio::time::sleep(LOOKS_AGAIN).await;
        }
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
mod tests;
