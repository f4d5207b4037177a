//! Memory for a component whose decisions are thrown away: allocation moves a pointer, freeing counts.
//!
//! A decision runs in a fresh instance for some microseconds; a real heap would only touch more pages, and each page
//! touched is copied. The last block alone grows in place and can be taken back, which is what a growing vector needs. In
//! an instance that is kept, as benches do, the pointer returns to where `configure` left it once every block since then
//! has been freed.

use std::alloc::{GlobalAlloc, Layout};
use std::arch::wasm32::{memory_grow, memory_size};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const PAGE: usize = 64 * 1024;
/// Left free in the image: an ordinary decision then grows no memory, which would cost a system call, and with ordinary
/// settings the image is a single page, the first 64 KiB, which a host keeps resident.
const ROOM: usize = 8 * 1024;

#[global_allocator]
static BUMP: Bump = Bump { next: AtomicUsize::new(0), mark: AtomicUsize::new(0), live: AtomicUsize::new(0) };

/// What is allocated from here on belongs to one decision. Called once, at the end of `configure`.
pub(crate) fn mark() {
    let next = BUMP.start(1);
    BUMP.next.store(next, Relaxed);
    BUMP.mark.store(next, Relaxed);
    BUMP.live.store(0, Relaxed);
    grow_to(next + ROOM);
}

/// A component has one thread, so relaxed order will do.
struct Bump {
    /// Where the next block may start; 0 before the first.
    next: AtomicUsize,
    /// Blocks from here on are counted; those before are settings and stay.
    mark: AtomicUsize,
    /// Counted blocks that are not freed.
    live: AtomicUsize,
}

impl Bump {
    fn start(&self, align: usize) -> usize {
        let next = match self.next.load(Relaxed) {
            0 => heap_base(),
            next => next,
        };
        next.next_multiple_of(align)
    }

    fn take(&self, start: usize, size: usize) -> *mut u8 {
        let Some(end) = start.checked_add(size).filter(|&end| grow_to(end)) else {
            return std::ptr::null_mut();
        };
        self.next.store(end, Relaxed);
        start as *mut u8
    }

    fn is_last(&self, block: *mut u8, layout: Layout) -> bool {
        block as usize + layout.size() == self.next.load(Relaxed)
    }
}

#[allow(unsafe_code, reason = "an allocator cannot be written without it")]
fn heap_base() -> usize {
    unsafe extern "C" {
        static __heap_base: u8;
    }
    // Only the address is taken; the linker sets it behind the last static.
    &raw const __heap_base as usize
}

fn grow_to(end: usize) -> bool {
    let missing = end.saturating_sub(memory_size(0) * PAGE);
    missing == 0 || memory_grow(0, missing.div_ceil(PAGE)) != usize::MAX
}

// SAFETY: blocks are carved from memory behind the statics, aligned, within the memory's size, and never overlap, for
// `next` only moves back to the start of a freed last block, or to `mark` when no block from there on is in use.
#[allow(unsafe_code, reason = "an allocator cannot be written without it")]
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = self.take(self.start(layout.align()), layout.size());
        if !block.is_null() {
            self.live.store(self.live.load(Relaxed) + 1, Relaxed);
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let mark = self.mark.load(Relaxed);
        if (block as usize) < mark {
            return;
        }
        let live = self.live.load(Relaxed).saturating_sub(1);
        self.live.store(live, Relaxed);
        if live == 0 && mark != 0 {
            self.next.store(mark, Relaxed);
        } else if self.is_last(block, layout) {
            self.next.store(block as usize, Relaxed);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let counted = block as usize >= self.mark.load(Relaxed);
        if counted && self.is_last(block, layout) {
            return self.take(block as usize, size);
        }
        if size <= layout.size() {
            return block;
        }
        // SAFETY: alignment is that of an existing layout; the new block is larger than the old and apart from it.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                std::ptr::copy_nonoverlapping(block, moved, layout.size());
                self.dealloc(block, layout);
            }
            moved
        }
    }
}
