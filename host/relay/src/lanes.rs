//! Places: how many rounds run at a time, in all and to one destination.
//!
//! A lane is a destination: the next hop that the route table gives an entry's first recipient. One that is slow fills its
//! lane and waits there, while others go by; and no peer sees more sessions of ours at a time than a lane is wide.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sealwire_core::plan::NextHop;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of one relay.
pub(crate) struct Lanes {
    places: Arc<Semaphore>,
    lanes: Mutex<HashMap<NextHop, Arc<Semaphore>>>,
}

/// A round's place; given back when dropped.
pub(crate) struct Place {
    _place: OwnedSemaphorePermit,
    _lane: Option<Lane>,
}

/// A place in a lane.
struct Lane {
    lanes: Arc<Lanes>,
    hop: NextHop,
    permit: Option<OwnedSemaphorePermit>,
}

impl Lanes {
    /// So many places in all.
    pub(crate) fn new(places: u32) -> Lanes {
        Lanes { places: Arc::new(Semaphore::new(places.max(1) as usize)), lanes: Mutex::default() }
    }

    /// Waits for a place in the lane, and only then for one of all: whoever waits for a slow destination keeps nobody else
    /// from a place. None: the relay stops.
    pub(crate) async fn place(self: &Arc<Self>, hop: Option<NextHop>, width: u32) -> Option<Place> {
        let lane = match hop {
            Some(hop) => Some(self.lane(hop, width).await?),
            None => None,
        };
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        Some(Place { _place: place, _lane: lane })
    }

    async fn lane(self: &Arc<Self>, hop: NextHop, width: u32) -> Option<Lane> {
        let lane = {
            let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            // Of the width that is configured when it is made.
            let made = || Arc::new(Semaphore::new(width.max(1) as usize));
            Arc::clone(lanes.entry(hop.clone()).or_insert_with(made))
        };
        // Made before it is waited for, so that a lane whose last waiter goes away is removed as well.
        let mut place = Lane { lanes: Arc::clone(self), hop, permit: None };
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
        if lanes.get(&self.hop).is_some_and(|lane| Arc::strong_count(lane) == 1) {
            lanes.remove(&self.hop);
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

    fn hop(route: &str) -> Option<NextHop> {
        let target = Target::Hosts(Vec::new());
        Some(NextHop { route: route.into(), kind: RouteKind::SmartHost, target, implicit_tls: false })
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
