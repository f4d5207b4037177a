//! Knowledge: one thing for each kind and key, the last that was learned, kept until it is forgotten.

use std::sync::Arc;

use super::*;

pub(super) async fn run(fresh: &impl Fn() -> Box<dyn Place>) {
    the_last_is_kept(&*fresh()).await;
    only_what_is_named_is_forgotten(&*fresh()).await;
    a_call_is_seen_whole(fresh().open()).await;
}

async fn the_last_is_kept(place: &dyn Place) {
    let store = place.open();
    assert_eq!(store.known("sts").await, Ok(vec![]));
    store.learn(vec![]).await.expect("nothing is learned");
    let of_others = known("tls", "b.example", "3", NOW);
    let first = [known("sts", "b.example", "1", NOW), known("sts", "a.example", "2", NOW + 1), of_others.clone()];
    store.learn(first.to_vec()).await.expect("learned");
    assert_eq!(store.known("sts").await, Ok(vec![first[1].clone(), first[0].clone()]));
    let large = format!("\"{}\"", "caf\u{e9} ".repeat(20_000));
    let next = [
        known("sts", "b.example", "not yet", NOW + 9),
        known("sts", "\u{e9}.example", "{}", 0),
        known("sts", "B.example", "", NOW),
        known("sts", "", "no key", NOW),
        known("sts", "b.example", &large, NOW - 9),
    ];
    store.learn(next.to_vec()).await.expect("learned");
    drop(store);

    let store = place.open();
    // Once each, by octets, a later call and a later place in a call before an earlier, whatever their times.
    let expected = [&next[3], &next[2], &first[1], &next[4], &next[1]].map(Clone::clone).to_vec();
    assert_eq!(store.known("sts").await, Ok(expected));
    assert_eq!(store.known("tls").await, Ok(vec![of_others]));
    assert_eq!(store.known("ST").await, Ok(vec![]));
}

async fn only_what_is_named_is_forgotten(place: &dyn Place) {
    let store = place.open();
    let all = |kind| ["a", "b", "c"].map(|key| known(kind, key, "{}", NOW));
    store.learn([all("sts"), all("tls")].concat()).await.expect("learned");
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    store.forget("sts", keys(&["c", "never known", "a"])).await.expect("forgotten");
    store.forget("sts", keys(&["a"])).await.expect("forgotten before");
    store.forget("tls", keys(&[])).await.expect("none is named");
    store.forget("never known", keys(&["b"])).await.expect("no such kind");
    drop(store);
    let store = place.open();
    assert_eq!(store.known("sts").await, Ok(all("sts")[1..2].to_vec()));
    assert_eq!(store.known("tls").await, Ok(all("tls").to_vec()));
    store.learn(vec![known("sts", "a", "again", NOW + 1)]).await.expect("learned");
    let left = vec![known("sts", "a", "again", NOW + 1), known("sts", "b", "{}", NOW)];
    assert_eq!(store.known("sts").await, Ok(left));
}

async fn a_call_is_seen_whole(store: Arc<dyn Store>) {
    let call = |number: u64| ["a", "b", "c"].map(|key| known("sts", key, &number.to_string(), NOW + number)).to_vec();
    let learner = Arc::clone(&store);
    let learning = tokio::spawn(async move {
        for number in 0..20 {
            learner.learn(call(number)).await.expect("learned");
            if number % 4 == 3 {
                let keys = ["a", "b", "c"].map(str::to_owned).to_vec();
                learner.forget("sts", keys).await.expect("forgotten");
            }
        }
    });
    while !learning.is_finished() {
        let seen = store.known("sts").await.expect("read");
        let number = seen.first().map(|first| first.at - NOW);
        assert_eq!(seen, number.map(call).unwrap_or_default());
        tokio::task::yield_now().await;
    }
    learning.await.expect("a task");
    assert_eq!(store.known("sts").await, Ok(vec![]));
}
