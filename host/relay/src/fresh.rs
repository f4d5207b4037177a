//! Fresh mail: from the door to its first round without being read back from the store.
//!
//! An arrival that is committed is durable and claimed (H1), and its claim goes to the scheduler from memory, body and all.
//! How much may lie in memory so is bounded; what finds no room is queued unclaimed and waits in the store for its turn.
//!
//! Two waits slow a client down, which waits for its 250: for room, and, once more lies there than rounds under way account
//! for, until the first round has begun. Each takes a second at most, so that a queue grows when next hops are slow, but not
//! because clients are faster than the way out (Postfix's `in_flow_delay` has the same purpose).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealwire_store::Claim;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

/// Octets of messages in memory between their 250 and the end of their first round.
const MEMORY: usize = 16 * 1024 * 1024;
/// Of one of them.
const LARGEST: usize = 128 * 1024;
/// With less than this in memory nobody is held back: so much are some eighty small messages on their way.
const FREE_FLOW: usize = 1024 * 1024;
/// Octets that one permit stands for.
const UNIT: usize = 1024;
/// What an entry takes beside header and body.
const ROUND_OCTETS: usize = 8 * 1024;
/// How long a client is held back for room, and then for the beginning of the first round.
const HOLD_BACK: Duration = Duration::from_secs(1);

/// The door's side.
pub(crate) struct Fresh {
    memory: Arc<Semaphore>,
    scheduler: mpsc::UnboundedSender<Arrived>,
    /// Until the scheduler takes it.
    arrivals: Mutex<Option<mpsc::UnboundedReceiver<Arrived>>>,
}

/// Room in memory; given back when dropped.
pub(crate) struct Room(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

/// A claim for its first round.
pub(crate) struct Arrived {
    pub(crate) claim: Claim,
    /// Seconds since the Unix epoch.
    pub(crate) lease_ends: u64,
    /// Kept until the round has ended.
    pub(crate) room: Room,
    /// Told, or dropped, when the round begins.
    pub(crate) begins: oneshot::Sender<()>,
}

impl Default for Fresh {
    fn default() -> Fresh {
        let (scheduler, arrivals) = mpsc::unbounded_channel();
        Fresh { memory: Arc::new(Semaphore::new(MEMORY / UNIT)), scheduler, arrivals: Mutex::new(Some(arrivals)) }
    }
}

impl Fresh {
    /// The scheduler's side; None when it was taken before.
    pub(crate) fn arrivals(&self) -> Option<mpsc::UnboundedReceiver<Arrived>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Room for a message of so many octets, waited for; None: it goes by way of the store.
    pub(crate) async fn room(&self, octets: u64) -> Option<Room> {
        if self.scheduler.is_closed() {
            return None;
        }
        let octets = usize::try_from(octets).ok()?.checked_add(ROUND_OCTETS)?;
        let units = u32::try_from(octets.div_ceil(UNIT)).ok()?;
        // A few that hang must not take it all.
        if octets > LARGEST {
            return None;
        }
        let room = timeout(HOLD_BACK, Arc::clone(&self.memory).acquire_many_owned(units)).await;
        Some(Room(room.ok()?.ok()?))
    }

    /// Gives a claim to the scheduler; ready when the client need not be held back any more.
    pub(crate) async fn hand_over(&self, claim: Claim, lease_ends: u64, room: Room) {
        let (begins, begun) = oneshot::channel();
        let free_flow = self.memory.available_permits() > (MEMORY - FREE_FLOW) / UNIT;
        // A scheduler that has stopped begins nothing: the lease ends with the next start.
        let handed = self.scheduler.send(Arrived { claim, lease_ends, room, begins });
        if handed.is_ok() && !free_flow {
            let _ = timeout(HOLD_BACK, begun).await;
        }
    }
}
