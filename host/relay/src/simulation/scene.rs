//! The scene of one seed: hosts, chance, faults while they last, and the world in which the relay finds itself.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::chance::Chance;
use super::fault::Fault;
use super::hop::{Hop, hops};
use super::peer;
use super::pipe::{Cut, pipe};
use super::shared::Shared;
use super::witness::Witness;
use crate::socket::Socket;
use crate::world::{Connecting, World};

/// The moment at which every run begins, seconds since the Unix epoch; certificates are valid then.
pub(super) const BEGINNING: u64 = 1_900_000_000;

/// How many in a hundred of each kind of occasion meet a fault.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Odds {
    pub(super) wire: u64,
    pub(super) replies: u64,
    pub(super) names: u64,
    pub(super) store: u64,
    pub(super) senders: u64,
}

/// What all parts of one run share.
pub(super) struct Scene {
    pub(super) seed: u64,
    pub(super) shared: &'static Shared,
    pub(super) witness: Arc<Witness>,
    pub(super) hops: Vec<Hop>,
    pub(super) odds: Odds,
    /// Preference of each domain's second host; 10 is that of the first.
    pub(super) second_preference: u16,
    pub(super) of_names: Chance,
    pub(super) of_store: Chance,
    of_relay: Chance,
    of_wire: Chance,
    calm: AtomicBool,
    /// Copies that hosts keep until the relay dies; 0: it does not die of one.
    copies_until_crash: AtomicU64,
    crash: Notify,
    connections: AtomicU64,
    began: Instant,
}

impl Scene {
    pub(super) fn new(seed: u64, shared: &'static Shared) -> Scene {
        let chance = Chance::new(seed, 1);
        // Each family of faults has seeds without it, so that rare courses are not always cut short by frequent ones.
        let odds = |all: u64| if chance.percent(35) { 0 } else { chance.below(all) };
        let odds = Odds { wire: odds(40), replies: odds(60), names: odds(25), store: odds(12), senders: odds(40) };
        Scene {
            seed,
            shared,
            witness: Arc::new(Witness::new()),
            hops: hops(&chance),
            odds,
            second_preference: if chance.percent(50) { 10 } else { 20 },
            of_names: Chance::new(seed, 2),
            of_store: Chance::new(seed, 3),
            of_relay: Chance::new(seed, 4),
            of_wire: Chance::new(seed, 5),
            calm: AtomicBool::new(false),
            copies_until_crash: AtomicU64::new(0),
            crash: Notify::new(),
            connections: AtomicU64::new(0),
            began: Instant::now(),
        }
    }

    /// From now on nothing goes wrong any more, but what hosts do by nature.
    pub(super) fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
        self.witness.note(|| "calm".into());
    }

    pub(super) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// The relay is to die when hosts have kept so many more copies.
    pub(super) fn crash_at_copy(&self, copies: u64) {
        self.copies_until_crash.store(copies, Ordering::Relaxed);
    }

    /// A host has kept a message.
    pub(super) fn copy_was_kept(&self) {
        if self.copies_until_crash.load(Ordering::Relaxed) > 0
            && self.copies_until_crash.fetch_sub(1, Ordering::Relaxed) == 1
        {
            self.crash.notify_one();
        }
    }

    /// Ready when the relay is to die of a copy.
    pub(super) async fn crash_is_due(&self) {
        self.crash.notified().await;
    }

    /// Whether a fault strikes at this occasion.
    pub(super) fn strikes(&self, chance: &Chance, percent: u64) -> bool {
        !self.is_calm() && chance.percent(percent)
    }

    /// Where a connection is to be cut, if at all. Most interesting things happen early.
    pub(super) fn cut(
        &self,
        chance: &Chance,
        percent: u64,
        faults: (Fault, Fault),
        connection: Option<usize>,
    ) -> Option<Cut> {
        if !self.strikes(chance, percent) {
            return None;
        }
        let reading = chance.percent(50);
        let reach = chance.among(&[100, 500, 2_000, 6_000]);
        let (witness, fault) = (Arc::clone(&self.witness), if reading { faults.0 } else { faults.1 });
        let struck = move || match connection {
            Some(connection) => witness.struck_on(connection, fault),
            None => witness.struck(fault, "on a sender's connection"),
        };
        Some(Cut { reading, after: usize::try_from(chance.below(reach)).unwrap_or(0), struck: Arc::new(struck) })
    }
}

/// The world of the relays of one scene.
pub(super) struct Stage(pub(super) Arc<Scene>);

impl World for Stage {
    fn since_epoch(&self) -> Duration {
        Duration::from_secs(BEGINNING) + self.0.began.elapsed()
    }

    fn roll(&self) -> u64 {
        self.0.of_relay.roll()
    }

    fn connect(&self, address: SocketAddr) -> Connecting {
        let scene = Arc::clone(&self.0);
        Box::pin(async move {
            let Some(hop) = scene.hops.iter().find(|hop| hop.socket() == address) else {
                return Err(io::ErrorKind::ConnectionRefused.into());
            };
            tokio::time::sleep(Duration::from_millis(1 + scene.of_wire.below(200))).await;
            let connection = scene.witness.connected(&address.to_string());
            let number = scene.connections.fetch_add(1, Ordering::Relaxed);
            let chance = Chance::new(scene.seed, 1_000 + number);
            if scene.strikes(&chance, scene.odds.wire / 4) {
                if chance.percent(60) {
                    scene.witness.struck_on(connection, Fault::ConnectionRefused);
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                scene.witness.struck_on(connection, Fault::ConnectionSilent);
                std::future::pending::<()>().await;
            }
            let faults = (Fault::ResetWhileReading, Fault::ResetWhileSending);
            let (ours, theirs) = pipe(scene.cut(&chance, scene.odds.wire, faults, Some(connection)));
            tokio::spawn(peer::serve(Arc::clone(&scene), hop.clone(), connection, chance, theirs));
            Ok(Socket::Pipe(ours))
        })
    }
}
