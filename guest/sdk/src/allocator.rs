//! Memory for a component whose decisions are thrown away: allocation moves a pointer, nothing is given back.
//!
//! A decision runs in a fresh instance for some microseconds; freeing would only touch more pages, and each page
//! touched is copied. The last block alone grows in place and can be taken back, which is what a growing vector needs.

use std::alloc::{GlobalAlloc, Layout};
use std::arch::wasm32::{memory_grow, memory_size};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const PAGE: usize = 64 * 1024;
/// Left free in the image, so that an ordinary decision need not grow its memory: growing costs a system call.
const ROOM: usize = 32 * 1024;

#[global_allocator]
static BUMP: Bump = Bump { next: AtomicUsize::new(0) };

/// Makes the room; called once, at the end of `configure`.
pub(crate) fn leave_room() {
    let next = BUMP.start(1);
    grow_to(next + ROOM);
}

struct Bump {
    /// Where the next block may start; 0 before the first. A component has one thread, so relaxed order will do.
    next: AtomicUsize,
}

impl Bump {
    fn start(&self, align: usize) -> usize {
        let next = match self.next.load(Relaxed) {
            0 => heap_base(),
            next => next,
        };
        next.next_multiple_of(align)
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
// `next` only moves back when the block that ends there is the one given back.
#[allow(unsafe_code, reason = "an allocator cannot be written without it")]
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = self.start(layout.align());
        let Some(end) = start.checked_add(layout.size()).filter(|&end| grow_to(end)) else {
            return std::ptr::null_mut();
        };
        self.next.store(end, Relaxed);
        start as *mut u8
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if block as usize + layout.size() == self.next.load(Relaxed) {
            self.next.store(block as usize, Relaxed);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = block as usize;
        if start + layout.size() == self.next.load(Relaxed) {
            let Some(end) = start.checked_add(size).filter(|&end| grow_to(end)) else {
                return std::ptr::null_mut();
            };
            self.next.store(end, Relaxed);
            return block;
        }
        if size <= layout.size() {
            return block;
        }
        // SAFETY: alignment is that of an existing layout; the new block is larger than the old and apart from it.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                std::ptr::copy_nonoverlapping(block, moved, layout.size());
            }
            moved
        }
    }
}
