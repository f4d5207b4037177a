//! Places: how many rounds run at a time, in all and to one destination.
//!
//! A lane is a destination: the next hop that the route table gives an entry's first recipient. One that is slow fills its
//! lane and waits there, while others go by; and no peer sees more sessions of ours at a time than a lane is wide. Large
//! messages take at most a quarter of a lane, so that small ones to the same destination go by.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sealwire_core::plan::NextHop;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What part of a lane large messages may take: one so-manieth.
const LARGE_PART: u32 = 4;

/// The places of one relay.
pub(crate) struct Lanes {
    places: Arc<Semaphore>,
    lanes: Mutex<HashMap<Way, Arc<Semaphore>>>,
}

/// Whose places are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Way {
    pub(crate) hop: NextHop,
    /// The part of the lane that large messages may take.
    pub(crate) large: bool,
}

/// A round's place; given back when dropped.
pub(crate) struct Place {
    _place: OwnedSemaphorePermit,
    _lanes: [Option<Lane>; 2],
}

/// A place in a lane.
struct Lane {
    lanes: Arc<Lanes>,
    way: Way,
    permit: Option<OwnedSemaphorePermit>,
}

impl Lanes {
    /// So many places in all.
    pub(crate) fn new(places: u32) -> Lanes {
        Lanes { places: Arc::new(Semaphore::new(places.max(1) as usize)), lanes: Mutex::default() }
    }

    /// Waits for a place in the lane, and only then for one of all: whoever waits for a slow destination keeps nobody else
    /// from a place. None: the relay stops.
    pub(crate) async fn place(self: &Arc<Self>, way: Option<Way>, width: u32) -> Option<Place> {
        let mut taken = [None, None];
        if let Some(way) = way {
            if way.large {
                taken[0] = Some(self.lane(way.clone(), width / LARGE_PART).await?);
            }
            taken[1] = Some(self.lane(Way { large: false, ..way }, width).await?);
        }
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        Some(Place { _place: place, _lanes: taken })
    }

    async fn lane(self: &Arc<Self>, way: Way, width: u32) -> Option<Lane> {
        let lane = {
            let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            // Of the width that is configured when it is made.
            let made = || Arc::new(Semaphore::new(width.max(1) as usize));
            Arc::clone(lanes.entry(way.clone()).or_insert_with(made))
        };
        // Made before it is waited for, so that a lane whose last waiter goes away is removed as well.
        let mut place = Lane { lanes: Arc::clone(self), way, permit: None };
        place.permit = Some(lane.acquire_owned().await.ok()?);
        Some(place)
    }

    /// Nobody gets a place any more.
    pub(crate) fn close(&self) {
        self.places.close();
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(|lane| lane.close());
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut lanes = self.lanes.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.permit.take());
        // Only the map has it: nobody is in the lane or waits for it.
        if lanes.get(&self.way).is_some_and(|lane| Arc::strong_count(lane) == 1) {
            lanes.remove(&self.way);
        }
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

    fn way(route: &str, large: bool) -> Option<Way> {
        let target = Target::Hosts(Vec::new());
        let hop = NextHop { route: route.into(), kind: RouteKind::SmartHost, target, implicit_tls: false };
        Some(Way { hop, large })
    }

    fn hop(route: &str) -> Option<Way> {
        way(route, false)
    }

    /// Whether it is ready at once.
    async fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    #[tokio::test]
    async fn a_full_lane_keeps_nobody_else_from_a_place() {
        let lanes = Arc::new(Lanes::new(4));
        let first = now(lanes.place(hop("slow"), 2)).await.flatten().expect("a place");
        let _second = now(lanes.place(hop("slow"), 2)).await.flatten().expect("a place");
        let mut third = Box::pin(lanes.place(hop("slow"), 2));
        assert!(now(&mut third).await.is_none(), "the lane is full");
        let _other = now(lanes.place(hop("well"), 2)).await.flatten().expect("its lane is empty");
        let _no_lane = now(lanes.place(None, 2)).await.flatten().expect("what has no lane needs none");
        assert!(now(lanes.place(hop("well"), 2)).await.is_none(), "all places are taken");
        drop(first);
        assert!(now(&mut third).await.flatten().is_some(), "it was next");
    }

    #[tokio::test]
    async fn large_messages_leave_room_for_small_ones() {
        let lanes = Arc::new(Lanes::new(100));
        let large = now(lanes.place(way("a", true), 4)).await.flatten().expect("a place");
        let mut second = Box::pin(lanes.place(way("a", true), 4));
        assert!(now(&mut second).await.is_none(), "a quarter of the lane");
        let small = [now(lanes.place(hop("a"), 4)).await, now(lanes.place(hop("a"), 4)).await];
        assert!(small.iter().all(|place| place.as_ref().is_some_and(Option::is_some)));
        drop(large);
        assert!(now(&mut second).await.flatten().is_some(), "it was next");
        assert!(now(lanes.place(way("b", true), 1)).await.flatten().is_some(), "in a narrow lane one at least");
    }

    #[tokio::test]
    async fn a_lane_that_nobody_needs_is_gone() {
        let lanes = Arc::new(Lanes::new(4));
        let known = |lanes: &Lanes| lanes.lanes.lock().expect("no panic").len();
        let place = now(lanes.place(hop("a"), 1)).await.flatten().expect("a place");
        let mut waits = Box::pin(lanes.place(hop("a"), 1));
        assert!(now(&mut waits).await.is_none());
        drop(place);
        assert_eq!(known(&lanes), 1, "somebody waits for it");
        drop(waits);
        assert_eq!(known(&lanes), 0);
    }

    #[tokio::test]
    async fn a_relay_that_stops_gives_no_place() {
        let lanes = Arc::new(Lanes::new(1));
        let _place = now(lanes.place(hop("a"), 1)).await.flatten().expect("a place");
        let mut waits = Box::pin(lanes.place(hop("a"), 1));
        assert!(now(&mut waits).await.is_none());
        lanes.close();
        assert!(now(&mut waits).await.expect("it is told").is_none());
    }
}
