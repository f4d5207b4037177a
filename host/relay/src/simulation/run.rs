//! One seed, from its first message until nothing waits any more.
//!
//! 1. A relay is started on a store in memory, senders come, faults strike, it crashes and is started again.
//! 2. Faults cease, and virtual time runs on until the queue is empty or only held mail is left.
//! 3. The oracle compares what peers saw, what senders were answered, and what store and ledger say.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use sealwire_core::address::Domain;
use sealwire_core::sts::StsPolicy;
use sealwire_store::{MemoryPlace, QueueCounts, Store};
use tokio::io::DuplexStream;
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::task::JoinSet;

use super::chance::Chance;
use super::fault::{Fault, Struck};
use super::hop::STS;
use super::names::Names;
use super::pipe::{Cut, pipe};
use super::scene::{BEGINNING, Scene, Stage};
use super::sender::{plans, submit};
use super::shared::{EXPIRE_AFTER_SECS, RELAY, shared};
use super::store::FaultyStore;
use super::{oracle, witness::Seen};
use crate::alerts::Alerts;
use crate::counters::Counters;
use crate::delivery::{Logins, Pool};
use crate::destinations::Destinations;
use crate::fresh::Fresh;
use crate::lanes::Lanes;
use crate::listener::Sessions;
use crate::live::{Builtins, Live};
use crate::preview::Previews;
use crate::probes::Probes;
use crate::relay::Relay;
use crate::scheduler;
use crate::session::{SessionParts, serve};
use crate::socket::Socket;
use crate::sts::{Held, Policies};
use crate::tls_reports::{Received, Reports};
use crate::world::World;

/// How long after the last message could expire, and its report after it, everything must be over.
const PATIENCE: Duration = Duration::from_secs(2 * EXPIRE_AFTER_SECS + 4 * 3_600);

/// The policy of [`STS`], which no seed outlives.
fn in_hand() -> Policies {
    let policy =
        StsPolicy::parse(format!("version: STSv1\nmode: enforce\nmx: mx1.{STS}\nmax_age: 31557600\n").as_bytes());
    let policy = policy.expect("a policy");
    let held = Held { id: "1".into(), policy, fetched_at: BEGINNING, used_at: BEGINNING };
    Policies::holding(&Domain::parse(STS).expect("a domain"), held)
}

/// What became of one seed.
pub(super) struct Ran {
    pub(super) struck: Struck,
    /// Empty if all is well.
    pub(super) violations: Vec<String>,
    pub(super) trace: Vec<String>,
}

/// Plays one seed on this thread.
pub(super) fn run(seed: u64) -> Ran {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(play(seed))
}

async fn play(seed: u64) -> Ran {
    let scene = Arc::new(Scene::new(seed, shared()));
    let door = Arc::new(Door::new(Arc::clone(&scene)));
    door.start();
    for plan in plans(&scene) {
        let (scene, door) = (Arc::clone(&scene), Arc::clone(&door));
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(plan.at_ms)).await;
            submit(scene, door, plan).await;
        });
    }
    trouble(&scene, &door).await;
    scene.calm_down();
    let drained = drain(&scene, &door).await;
    let store = door.place.open();
    let mut violations = oracle::judge(&scene, &store).await;
    if !drained {
        violations.push("mail still waits though nothing is wrong any more".into());
    }
    let Seen { struck, trace, violations: seen, .. } = std::mem::take(&mut *scene.witness.seen());
    violations.extend(seen);
    Ran { struck, violations, trace }
}

/// What happens to the relay as a whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Crash,
    CrashAtCopy,
    Break,
    Mend,
    Calm,
}

async fn trouble(scene: &Arc<Scene>, door: &Arc<Door>) {
    let chance = Chance::new(scene.seed, 7);
    let mut events = vec![(2_400_000 + chance.below(1_200_000), Event::Calm)];
    if chance.percent(30) {
        events.push((chance.below(if chance.percent(50) { 3_000 } else { 1_800_000 }), Event::Crash));
    }
    if chance.percent(25) {
        events.push((chance.below(600_000), Event::CrashAtCopy));
    }
    if chance.percent(30) {
        let broken = chance.below(30_000);
        events.push((broken, Event::Break));
        events.push((broken + 30_000 + chance.below(1_200_000), Event::Mend));
    }
    events.sort_unstable();
    for (at_ms, event) in events {
        let wait = tokio::time::sleep(Duration::from_millis(at_ms.saturating_sub(scene.witness.now_ms())));
        tokio::pin!(wait);
        loop {
            tokio::select! {
                biased;
                () = scene.crash_is_due() => {
                    tokio::time::sleep(Duration::from_millis(chance.below(60))).await;
                    scene.witness.struck(Fault::CrashBehindDelivery, "");
                    crash(scene, door, &chance).await;
                }
                () = &mut wait => break,
            }
        }
        match event {
            Event::Crash => {
                scene.witness.struck(Fault::Crash, "");
                crash(scene, door, &chance).await;
            }
            Event::CrashAtCopy => scene.crash_at_copy(1 + chance.below(3)),
            Event::Break => door.go_live(true),
            Event::Mend => door.go_live(false),
            Event::Calm => {}
        }
    }
}

async fn crash(scene: &Scene, door: &Door, chance: &Chance) {
    door.crash();
    let at = scene.witness.now_ms();
    scene.witness.seen().crashes.push(at);
    tokio::time::sleep(Duration::from_millis(chance.below(90_000))).await;
    door.start();
}

/// Waits until nothing is queued. False: it took longer than anything may.
async fn drain(scene: &Scene, door: &Door) -> bool {
    let store = door.store();
    let mut waited = Duration::ZERO;
    let chance = Chance::new(scene.seed, 8);
    let with_held = chance.percent(20);
    while waited < PATIENCE {
        let QueueCounts { entries, queued, claimed, .. } = store.counts().await.unwrap_or_default();
        if entries == 0 || (queued == 0 && claimed == 0 && !with_held) {
            return true;
        }
        let pause = Duration::from_secs(300);
        tokio::time::sleep(pause).await;
        waited += pause;
    }
    false
}

/// Where senders find the relay, whichever is running.
pub(super) struct Door {
    scene: Arc<Scene>,
    place: MemoryPlace,
    running: Mutex<Option<Running>>,
    broken: AtomicBool,
}

/// One relay, from its start to its crash.
struct Running {
    relay: Arc<Relay>,
    dead: Arc<AtomicBool>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Door {
    fn new(scene: Arc<Scene>) -> Door {
        Door { scene, place: MemoryPlace::default(), running: Mutex::default(), broken: AtomicBool::new(false) }
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> Live {
        let shared = self.scene.shared;
        let live = if self.broken.load(Ordering::Relaxed) { &shared.broken } else { &shared.sound };
        live.with_resolver(Arc::new(Names::new(Arc::clone(&self.scene))))
    }

    fn start(&self) {
        self.scene.witness.note(|| "the relay starts".into());
        let dead = Arc::new(AtomicBool::new(false));
        let store = FaultyStore::open(&self.place, Arc::clone(&self.scene), Arc::clone(&dead));
        let world: Arc<dyn World> = Arc::new(Stage(Arc::clone(&self.scene)));
        let relay = Arc::new(Relay {
            started_at: world.now(),
            world,
            sandbox: self.scene.shared.sandbox.clone(),
            store: Arc::new(store),
            fresh: Fresh::default(),
            pool: Pool::default(),
            logins: Logins::default(),
            lanes: Arc::new(Lanes::new(self.live().config.limits.deliveries)),
            sts: in_hand(),
            destinations: Destinations::default(),
            probes: Probes::default(),
            tls_reports: Reports::default(),
            tls_reports_received: Received::default(),
            sessions: Arc::new(Sessions::default()),
            live: ArcSwap::from_pointee(self.live()),
            acceptors: ArcSwap::default(),
            builtins: Builtins::new(),
            configuration: None,
            evidence_key: "evidence.key".into(),
            listening: Vec::new(),
            building: AsyncMutex::new(()),
            alerts: Alerts::default(),
            counters: Counters::default(),
            previews: Previews::default(),
        });
        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(scheduler::run(Arc::clone(&relay), stopping));
        *self.running() = Some(Running { relay, dead, stop, tasks });
    }

    /// The relay dies: its tasks end where they are, and nothing of it reaches the store any more.
    fn crash(&self) {
        self.scene.witness.note(|| "the relay dies".into());
        if let Some(running) = self.running().take() {
            running.dead.store(true, Ordering::Relaxed);
        }
    }

    /// Another generation is live from now on.
    fn go_live(&self, broken: bool) {
        self.broken.store(broken, Ordering::Relaxed);
        self.scene.witness.note(|| format!("a generation is live, broken: {broken}"));
        if let Some(running) = &*self.running() {
            running.relay.live.store(Arc::new(self.live()));
        }
    }

    fn store(&self) -> Arc<dyn Store> {
        let running = self.running();
        running.as_ref().map(|running| Arc::clone(&running.relay.store)).expect("a relay runs while the queue drains")
    }

    /// A sender connects; None: nobody is there.
    pub(super) fn connect(&self, cut: Option<Cut>) -> Option<DuplexStream> {
        let mut running = self.running();
        let running = running.as_mut()?;
        let (ours, theirs) = pipe(cut);
        let parts = SessionParts {
            relay: Arc::clone(&running.relay),
            listener: RELAY.into(),
            acceptor: Some(self.scene.shared.acceptor.clone()),
            peer: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 40_000),
            idle: Duration::from_secs(300),
            stopping: running.stop.subscribe(),
        };
        running.tasks.spawn(serve(parts, Socket::Pipe(ours)));
        Some(theirs)
    }
}
