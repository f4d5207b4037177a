//! Images that are built while mail flows, one after another at low priority, for chains that went live without one.
//!
//! A chain gets its image when a decision has asked it: what nobody asks costs nothing. There are [`limits::IMAGES`] at most; a
//! chain beyond them goes on being configured in each instance, which decides the same and takes some microseconds more.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

use crate::configured::{self, Configured, Order, Plain};
use crate::engine::Runtime;
use crate::generation::{ChainId, Generation};
use crate::limits;
use crate::memory;
use crate::sandbox::{Inner, LOW_PRIORITY};
use crate::threads::caught;

pub(crate) struct Images {
    orders: SyncSender<Wanted>,
    /// Held once by every image.
    counted: Arc<()>,
    /// Components that were compiled as they came, while a chain starts from them.
    plain: Mutex<BTreeMap<String, Weak<Plain>>>,
}

/// One image that was asked for.
pub(crate) struct Wanted {
    configured: Arc<Configured>,
    order: Order,
}

impl Images {
    /// And what is asked for.
    pub(crate) fn new() -> (Images, Receiver<Wanted>) {
        let (orders, wanted) = sync_channel(limits::IMAGES);
        (Images { orders, counted: Arc::default(), plain: Mutex::default() }, wanted)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        Arc::strong_count(&self.counted) - 1
    }

    /// For an image to hold.
    pub(crate) fn counted(&self) -> &Arc<()> {
        &self.counted
    }

    /// A chain starts from this component as it came.
    pub(crate) fn has_plain(&self, digest: &str) -> bool {
        self.lock().get(digest).is_some_and(|plain| plain.strong_count() > 0)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Weak<Plain>>> {
        self.plain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The component as it came, compiled unless it is at hand.
    pub(crate) fn plain(&self, component: &[u8], digest: &str, decisions: &Runtime) -> Option<Arc<Plain>> {
        if let Some(known) = self.lock().get(digest).and_then(Weak::upgrade) {
            return Some(known);
        }
        let plain = Plain::of(component, decisions);
        memory::give_back();
        let plain = Arc::new(plain?);
        let mut known = self.lock();
        known.retain(|_, plain| plain.strong_count() > 0);
        known.insert(digest.to_owned(), Arc::downgrade(&plain));
        Some(plain)
    }

    /// The policies of this chain are asked now: what has no image is to get one, if there is room.
    pub(crate) fn ask_for(&self, generation: &Generation, chain: ChainId) {
        for policy in generation.chain(chain) {
            let configured = &policy.configured;
            if !configured.awaits_image() || self.count() >= limits::IMAGES {
                continue;
            }
            let Some(component) = configured.ask_for_image() else { continue };
            let order = Order {
                component,
                component_digest: configured.component.clone(),
                settings: configured.settings.clone(),
                settings_digest: configured.settings_digest.clone(),
                profile: configured.profile,
                surroundings: Arc::clone(generation.surroundings()),
            };
            // Where the queue is full, a later decision asks.
            if self.orders.try_send(Wanted { configured: Arc::clone(configured), order }).is_err() {
                configured.forget_asking();
            }
        }
    }
}

/// Begins to build what is asked for; ends with the sandbox.
pub(crate) fn start(inner: &Arc<Inner>, wanted: Receiver<Wanted>) -> std::io::Result<()> {
    let inner = Arc::downgrade(inner);
    let named = thread::Builder::new().name("policy-image".into()).stack_size(limits::BUILD_STACK);
    named.spawn(move || {
        // Of this thread alone, on Linux. It may be forbidden; then it competes.
        let _ = rustix::process::nice(LOW_PRIORITY);
        while let Ok(wanted) = wanted.recv() {
            let Some(inner) = inner.upgrade() else { return };
            build(&inner, wanted);
        }
    })?;
    Ok(())
}

fn build(inner: &Inner, Wanted { configured, order }: Wanted) {
    // The generation is gone, or others were faster.
    if Arc::strong_count(&configured) == 1 || inner.images.count() >= limits::IMAGES {
        configured.forget_asking();
        return;
    }
    let _running = inner.ticker.running();
    let built = caught(|| configured::image(&order, &inner.builds, &inner.decisions, inner.images.counted()));
    memory::give_back();
    match built {
        Ok(Ok(image)) => configured.give(image),
        // It decides without one, as before.
        Ok(Err(flaws)) => tracing::info!(?flaws, "no image can be made of a policy's settings"),
        Err(panic) => tracing::warn!(panic, "an image was not built"),
    }
}
