//! Places, lanes, turns, in paused time.

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

#[tokio::test(start_paused = true)]
async fn a_destination_that_asks_for_less_has_less() {
    let lanes = Arc::new(Lanes::new(100));
    let a = hop("a").expect("a hop");
    let mut taken = fill(&lanes, "a", 8).await;
    taken[0].asked_for_less();
    taken.truncate(3);
    assert_eq!(fill(&lanes, "a", 8).await.len(), 1, "half of eight");
    taken.clear();
    assert_eq!(fill(&lanes, "a", 8).await.len(), 4);
    assert_eq!(fill(&lanes, "b", 8).await.len(), 8, "others have theirs");
    // Down to one, and then none for a while: what comes goes back into the queue at once.
    for _ in 0..2 {
        tokio::time::advance(Duration::from_millis(1)).await;
        let one = now(lanes.place(hop("a"), false, 8)).await.expect("a place");
        one.asked_for_less();
    }
    assert_eq!(lanes.place(hop("a"), false, 8).await.err(), Some(NoPlace::Crowded));
    let rest = lanes.wait(&a);
    assert!(rest >= Duration::from_secs(30), "{rest:?}");
    assert!(now(lanes.place(hop("b"), false, 8)).await.is_some());
    tokio::time::advance(rest).await;
    let one = now(lanes.place(hop("a"), false, 8)).await.expect("a place again");
    one.took(8);
    assert_eq!(fill(&lanes, "a", 8).await.len(), 1, "one more for each that it takes");
}

/// Rounds that waited when a rest began give up, and are nobody's hindrance once it is over.
#[tokio::test(start_paused = true)]
async fn a_rest_leaves_no_lane_crowded() {
    let lanes = Arc::new(Lanes::new(100));
    let a = hop("a").expect("a hop");
    for _ in 0..2 {
        tokio::time::advance(Duration::from_millis(1)).await;
        now(lanes.place(hop("a"), false, 1)).await.expect("a place").asked_for_less();
    }
    let last = now(lanes.place(hop("a"), false, 1)).await;
    assert!(last.is_none(), "it rests");
    lanes.end_rests();
    tokio::time::advance(Duration::from_millis(1)).await;
    let last = now(lanes.place(hop("a"), false, 1)).await.expect("a place");
    let mut waits: Vec<_> = (0..30).map(|_| Box::pin(lanes.place(hop("a"), false, 1))).collect();
    for wait in &mut waits {
        assert!(now(wait).await.is_none());
    }
    last.asked_for_less();
    drop(last);
    for wait in &mut waits {
        assert_eq!(wait.await.err(), Some(NoPlace::Crowded), "all give up");
    }
    drop(waits);
    tokio::time::advance(lanes.wait(&a)).await;
    assert!(!lanes.is_crowded(&a, 100), "nobody waits any more");
    assert!(now(lanes.place(hop("a"), false, 1)).await.is_some());
}

#[test]
fn what_asks_for_less_and_what_does_not() {
    let reply = |code, enhanced| Reply { code, enhanced, text: String::new() };
    for (code, enhanced, expected) in [
        (421, None, true),
        (421, Some(Enhanced(4, 7, 0)), true),
        (450, Some(Enhanced(4, 3, 2)), true),
        (451, Some(Enhanced(4, 4, 5)), true),
        (451, Some(Enhanced(4, 7, 1)), false),
        (450, None, false),
        (452, Some(Enhanced(4, 5, 3)), false),
        (554, Some(Enhanced(5, 3, 2)), false),
    ] {
        assert_eq!(asks_for_less(&reply(code, enhanced)), expected, "{code} {enhanced:?}");
    }
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

/// Between two of its pieces a large message waits while small ones wait for the same destination, and not for ever.
#[tokio::test(start_paused = true)]
async fn large_messages_give_way_to_small_ones_that_wait() {
    let lanes = Arc::new(Lanes::new(100));
    let large = now(lanes.place(hop("a"), true, 4)).await.expect("a place");
    let mut small = fill(&lanes, "a", 4).await;
    let took = async || {
        let began = Instant::now();
        large.give_way().await;
        began.elapsed()
    };
    assert_eq!(took().await, Duration::ZERO, "nobody waits");
    let elsewhere = fill(&lanes, "b", 9).await;
    let mut other = Box::pin(lanes.place(hop("b"), false, 9));
    assert!(now(&mut other).await.is_none() && took().await == Duration::ZERO, "nobody waits here");
    drop((elsewhere, other));
    let mut waits = Box::pin(lanes.place(hop("a"), false, 4));
    assert!(now(&mut waits).await.is_none());
    assert!((GIVES_WAY..GIVES_WAY * 2).contains(&took().await));
    small.pop();
    assert!(now(&mut waits).await.is_some() && took().await == Duration::ZERO, "it has its place");
    let before = Instant::now();
    small.remove(0).give_way().await;
    assert_eq!(before.elapsed(), Duration::ZERO, "small ones give way to nobody");
}
