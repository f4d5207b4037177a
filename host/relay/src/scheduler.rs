//! The scheduler: runs one round for each entry that is due and for each that has just arrived, so many at a time.
//!
//! It sleeps until the store tells of a change, the next due time comes or mail arrives; it never polls. Every claim has a
//! task of its own, which waits for a place ([`Lanes`]) and then runs its round under a lease that is renewed all the while
//! ([`Leases`]). A relay that dies loses its leases, and the store gives the entries out again.

use std::sync::Arc;
use std::time::Duration;

use sealwire_core::entry::QueuedRecipient;
use sealwire_core::plan::NextHop;
use sealwire_store::{CONTENT_INLINE_MAX, Claim, Settled};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::fresh::Arrived;
use crate::lanes::{Lanes, NoPlace};
use crate::leases::{LEASE_SECS, Leases};
use crate::relay::Relay;
use crate::round::crowded_until;
use crate::spine::{attempt, give_up};

/// Entries claimed at once.
const CLAIM_MAX: usize = 64;
/// Claims from the store in memory, for each place: one that runs and one that waits.
const CLAIMS_PER_PLACE: usize = 2;
/// How long after a store error the queue is looked at again.
const STORE_ERROR_PAUSE: Duration = Duration::from_secs(1);
/// How long rounds under way may take to end when the relay stops.
const STOP_TIME: Duration = Duration::from_secs(30);
/// How often connections that waited too long are ended.
const SWEEP: Duration = Duration::from_secs(5);

/// Runs until the relay stops, then waits for the rounds that are under way.
pub(crate) async fn run(relay: Arc<Relay>, mut stopping: watch::Receiver<bool>) {
    let mut changes = relay.store.queue_changes();
    let mut arrivals = relay.fresh.arrivals().unwrap_or_else(|| mpsc::unbounded_channel().1);
    let mut scheduler = Scheduler::new(Arc::clone(&relay));
    let mut sweep = tokio::time::interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !*stopping.borrow() {
        // In this order, so that what is rare or bounded is not kept waiting by what may be ready all the time.
        tokio::select! {
            biased;
            _ = stopping.changed() => {}
            // While no connection waits or may come to wait there is nothing to wake up for.
            _ = sweep.tick(), if !relay.pool.is_empty() || !scheduler.rounds.is_empty() => sweep_pool(&relay).await,
            // These wait for their lease, and are never many: their memory is bounded.
            Some(arrived) = arrivals.recv() => scheduler.arrived(arrived),
            _ = scheduler.rounds.join_next(), if !scheduler.rounds.is_empty() => scheduler.ended().await,
            _ = changes.changed() => scheduler.look().await,
            () = tokio::time::sleep_until(scheduler.look_at) => scheduler.look().await,
        }
    }
    arrivals.close();
    scheduler.stop().await;
}

struct Scheduler {
    relay: Arc<Relay>,
    lanes: Arc<Lanes>,
    leases: Arc<Leases>,
    rounds: JoinSet<()>,
    /// For claims from the store.
    room: Arc<Semaphore>,
    /// When the store next has something due.
    look_at: Instant,
    /// More was due at the last look than there was room for.
    more: bool,
}

impl Scheduler {
    fn new(relay: Arc<Relay>) -> Scheduler {
        let places = relay.live().config.limits.deliveries;
        Scheduler {
            lanes: Arc::clone(&relay.lanes),
            leases: Arc::new(Leases::new(relay.world.now())),
            rounds: JoinSet::new(),
            room: Arc::new(Semaphore::new(places as usize * CLAIMS_PER_PLACE)),
            look_at: Instant::now(),
            more: false,
            relay,
        }
    }

    /// Claims what is due, as far as there is room, and finds out when to look next.
    async fn look(&mut self) {
        let room = self.room.available_permits().min(CLAIM_MAX);
        self.more = room == 0;
        if self.more {
            // As soon as a round has ended; the time is for what nobody thought of.
            return self.look_in(Duration::from_secs(LEASE_SECS));
        }
        let wait = match self.claim(room).await {
            // There may be more; first it is the turn of whatever else is ready.
            Ok(claimed) if claimed == room => Duration::ZERO,
            Ok(_) => until_due(&self.relay).await,
            Err(()) => STORE_ERROR_PAUSE,
        };
        self.look_in(wait);
    }

    fn look_in(&mut self, wait: Duration) {
        self.look_at = Instant::now() + wait;
    }

    async fn claim(&mut self, most: usize) -> Result<usize, ()> {
        let now = self.leases.all_alive(&self.relay).await?;
        let claims = self.relay.store.claim(now, now + LEASE_SECS, most).await.map_err(|error| {
            self.relay.alert_once("claim", format!("the queue cannot be read: {error}"));
        })?;
        let count = claims.len();
        for claim in claims {
            let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else { break };
            self.begin(claim, room, None);
        }
        Ok(count)
    }

    fn arrived(&mut self, Arrived { claim, lease_ends, room, begins }: Arrived) {
        // Should its lease be lost, the store has it again then.
        self.look_at = self.look_at.min(Instant::now() + Duration::from_secs(LEASE_SECS));
        // The lease began at the door. Where much of it is gone, or the clock was set, somebody else may soon have it.
        if lease_ends.saturating_sub(self.relay.world.now()) > LEASE_SECS / 3 * 2 {
            self.begin(claim, room, Some(begins));
        }
    }

    /// One round, once there is a place for it; `room` is kept until it has ended. What would wait long for a slow
    /// destination goes back into the queue.
    fn begin(&mut self, claim: Claim, room: impl Send + 'static, begins: Option<oneshot::Sender<()>>) {
        let (relay, lanes) = (Arc::clone(&self.relay), Arc::clone(&self.lanes));
        let (token, left) = (claim.token.clone(), self.room.available_permits());
        let round = async move {
            let limits = relay.live().config.limits;
            let large = claim.entry.size > CONTENT_INLINE_MAX as u64;
            let hop = lane_of(&relay, &claim);
            let place = match &hop {
                Some(hop) if lanes.is_crowded(hop, left) => Err(NoPlace::Crowded),
                _ => lanes.place(hop.clone(), large, limits.deliveries_per_destination).await,
            };
            match (place, hop) {
                (Ok(place), _) => {
                    // Whoever waited for it may have gone.
                    let _ = begins.map(|begins| begins.send(()));
                    attempt(&relay, claim, place).await;
                }
                (Err(NoPlace::Crowded), Some(hop)) => {
                    drop(begins);
                    put_back(&relay, claim, &hop).await;
                }
                (Err(_), _) => {}
            }
            drop(room);
        };
        self.rounds.spawn(Arc::clone(&self.leases).keep(Arc::clone(&self.relay), token, round));
    }

    /// A round has ended: others may have, and there may be room again.
    async fn ended(&mut self) {
        while self.rounds.try_join_next().is_some() {}
        if self.more {
            self.look().await;
        }
    }

    /// What a slow peer still holds up is given up: its lease is cleared at the next start and the round is repeated.
    async fn stop(mut self) {
        self.lanes.close();
        let rounds = &mut self.rounds;
        let finished = async { while rounds.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_TIME, finished).await.is_err() {
            let rounds = self.rounds.len();
            tracing::warn!(rounds, "stopping in the middle of rounds; they are repeated after the start");
            self.rounds.abort_all();
        }
        for connection in self.relay.pool.take_idle(true) {
            connection.quit().await;
        }
    }
}

/// Back into the queue for what goes to this destination, so that others have room. This is no round and leaves no record,
/// unless the time is over: then it is reported without one more attempt.
async fn put_back(relay: &Arc<Relay>, claim: Claim, hop: &NextHop) {
    let now = relay.world.now();
    let schedule = &relay.live().config.schedule;
    if schedule.expires_at(claim.entry.arrived_at) <= now {
        return give_up(relay, claim).await;
    }
    let due_at = crowded_until(relay, hop);
    let of_lane = |r: &QueuedRecipient| r.is_due(now) && next_hop(relay, r).as_ref() == Some(hop);
    let recipients = claim.recipients.into_iter().filter(of_lane).map(|r| QueuedRecipient { due_at, ..r }).collect();
    let (reports, records) = (Vec::new(), Vec::new());
    let settled = Settled { token: claim.token, recipients, reports, records, release: true };
    if let Err(error) = relay.store.settle(settled).await {
        // It comes back with the end of its lease.
        tracing::warn!(message = %claim.entry.id, %error, "an entry could not be put back into the queue");
    }
}

/// The destination of the first recipient that is due. None: nothing of it needs a connection.
fn lane_of(relay: &Relay, claim: &Claim) -> Option<NextHop> {
    let now = relay.world.now();
    claim.recipients.iter().filter(|recipient| recipient.is_due(now)).find_map(|recipient| next_hop(relay, recipient))
}

/// Where the route table sends a recipient; policies have not been asked yet. None for one that is held.
fn next_hop(relay: &Relay, recipient: &QueuedRecipient) -> Option<NextHop> {
    if recipient.is_held() {
        return None;
    }
    let live = relay.live();
    let routes = &live.config.routes;
    let reached = recipient.progress.route().and_then(|name| routes.by_name(name));
    Some(reached.unwrap_or_else(|| routes.for_recipient(&recipient.mailbox)).next_hop(&recipient.mailbox))
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
