//! The scheduler: claims what is due and runs one round for each entry, so many at a time.
//!
//! It sleeps until the store tells of a change or the next due time comes; it never polls. A lease is renewed while its
//! round runs ([`Leases`]); a relay that dies loses its leases, and the store gives the entries out again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::leases::{LEASE_SECS, Leases};
use crate::relay::Relay;

/// Entries claimed at once.
const CLAIM_MAX: usize = 64;
/// How long after a store error the queue is looked at again.
const STORE_ERROR_PAUSE: Duration = Duration::from_secs(1);
/// How long rounds under way may take to end when the relay stops.
const STOP_TIME: Duration = Duration::from_secs(30);
/// How often connections that waited too long are ended.
const SWEEP: Duration = Duration::from_secs(5);

/// Runs until the relay stops, then waits for the rounds that are under way.
pub(crate) async fn run(relay: Arc<Relay>, mut stopping: watch::Receiver<bool>) {
    let mut changes = relay.store.queue_changes();
    let places = Arc::new(Semaphore::new(relay.live().config.limits.deliveries.max(1) as usize));
    let leases = Arc::new(Leases::new(relay.world.now()));
    let mut rounds = JoinSet::new();
    let mut sweep = tokio::time::interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !*stopping.borrow() {
        changes.mark_unchanged();
        let claimed = claim(&relay, &places, &leases, &mut rounds).await;
        while rounds.try_join_next().is_some() {}
        let pause = match claimed {
            // There may be more: go on as soon as there is a place.
            Ok(n) if n > 0 => Duration::ZERO,
            Ok(_) => until_due(&relay).await,
            Err(()) => STORE_ERROR_PAUSE,
        };
        if pause.is_zero() {
            continue;
        }
        // In this order, so that what is rare is not kept waiting by what is ready all the time.
        tokio::select! {
            biased;
            _ = stopping.changed() => {}
            // While no connection waits or may come to wait there is nothing to wake up for.
            _ = sweep.tick(), if !relay.pool.is_empty() || !rounds.is_empty() => sweep_pool(&relay).await,
            _ = changes.changed() => {}
            _ = rounds.join_next(), if !rounds.is_empty() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    // What a slow peer still holds up is given up: its lease is cleared at the next start and the round is repeated.
    let finished = async { while rounds.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_TIME, finished).await.is_err() {
        tracing::warn!(rounds = rounds.len(), "stopping in the middle of rounds; they are repeated after the start");
        rounds.abort_all();
    }
    for connection in relay.pool.take_idle(true) {
        connection.quit().await;
    }
}

async fn claim(
    relay: &Arc<Relay>,
    places: &Arc<Semaphore>,
    leases: &Arc<Leases>,
    rounds: &mut JoinSet<()>,
) -> Result<usize, ()> {
    let free = places.available_permits().min(CLAIM_MAX);
    if free == 0 {
        return Ok(0);
    }
    let now = leases.all_alive(relay).await?;
    let claims = relay.store.claim(now, now + LEASE_SECS, free).await.map_err(|error| {
        relay.alert_once("claim", format!("the queue cannot be read: {error}"));
    })?;
    let count = claims.len();
    for claim in claims {
        let Ok(place) = Arc::clone(places).try_acquire_owned() else { break };
        let round = Arc::clone(leases).round(Arc::clone(relay), claim);
        rounds.spawn(async move {
            round.await;
            drop(place);
        });
    }
    Ok(count)
}

async fn until_due(relay: &Arc<Relay>) -> Duration {
    match relay.store.next_due().await {
        Ok(Some(at)) => {
            let wait = Duration::from_secs(at.saturating_sub(relay.world.now()));
            // What is due and could not be claimed waits for a place; a moment keeps this from spinning.
            wait.max(Duration::from_millis(100))
        }
        Ok(None) => Duration::from_secs(3600),
        Err(_) => STORE_ERROR_PAUSE,
    }
}

async fn sweep_pool(relay: &Arc<Relay>) {
    for connection in relay.pool.take_idle(false) {
        connection.quit().await;
    }
}
