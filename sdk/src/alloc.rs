//! The allocator of a guest.
//!
//! Every call runs in a fresh instance whose memory is thrown away as a whole, so freeing is wasted work and allocating
//! can be adding to a pointer. The pointer starts at the end of the program's own data (`__heap_base`), inside the memory
//! that the instance starts with: a small call never grows memory, which would cost more than the call itself. What
//! `Vec` and `String` do most, growing the block they made last, is done in place.
//!
//! A call that allocates without end meets the host's memory limit, as it would with any other allocator.
#![expect(
    unsafe_code,
    reason = "an allocator is an unsafe trait over raw memory; each block says why it may do what it does"
)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr::null_mut;

const PAGE: usize = 64 * 1024;
/// Pages to grow by at least.
const STRIDE: usize = 16;

unsafe extern "C" {
    /// Set by the linker: the first byte after data and stack. Only its address means anything.
    static __heap_base: u8;
}

#[global_allocator]
static BUMP: Bump = Bump { next: Cell::new(0) };

struct Bump {
    /// The first free address; 0 before the first allocation.
    next: Cell<usize>,
}

// SAFETY: `Sync` promises that several threads may share the value. The target is compiled without the `atomics`
// feature (the guard below), so a module has one thread only.
unsafe impl Sync for Bump {}

#[cfg(target_feature = "atomics")]
compile_error!("the allocator of portico-sdk is for guests with one thread");

impl Bump {
    fn next(&self) -> usize {
        match self.next.get() {
            // The address is taken, the byte is never read.
            0 => (&raw const __heap_base) as usize,
            next => next,
        }
    }

    /// Makes everything below `end` part of the memory. False when the host refuses.
    fn reach(end: usize) -> bool {
        let size = core::arch::wasm32::memory_size::<0>() * PAGE;
        if end <= size {
            return true;
        }
        let missing = (end - size).div_ceil(PAGE);
        // More than is missing, as the next block will want some too; only what is missing if the host refuses that.
        grow(missing.max(STRIDE)) || grow(missing)
    }
}

fn grow(pages: usize) -> bool {
    core::arch::wasm32::memory_grow::<0>(pages) != usize::MAX
}

// SAFETY: what is handed out lies at or above `__heap_base`, where neither data nor stack nor anything else of the module
// is, and below the end of memory (`reach`). `next` only rises past what is handed out, except in `dealloc` and
// `realloc`, which give back only the block that ends at it, so that live blocks never overlap. Start addresses are
// rounded up to the alignment, which `Layout` promises to be a power of two. All sums are checked: a layout that does not
// fit the address space gives null and changes nothing. Nothing here unwinds.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let align = layout.align();
        let Some(start) = self.next().checked_add(align - 1).map(|sum| sum & !(align - 1)) else {
            return null_mut();
        };
        let Some(end) = start.checked_add(layout.size()) else {
            return null_mut();
        };
        if !Self::reach(end) {
            return null_mut();
        }
        self.next.set(end);
        start as *mut u8
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let start = block as usize;
        if start + layout.size() == self.next() {
            self.next.set(start);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = block as usize;
        if start + layout.size() == self.next() {
            let Some(end) = start.checked_add(size) else {
                return null_mut();
            };
            if !Self::reach(end) {
                return null_mut();
            }
            self.next.set(end);
            return block;
        }
        if size <= layout.size() {
            return block;
        }
        // SAFETY: the caller promises that `size` rounded up to the alignment does not overflow, and that it is not 0.
        let moved = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !moved.is_null() {
            // SAFETY: both blocks are at least `layout.size()` bytes long (it is the smaller size here), and the new one
            // was made while the old one is still live, so they do not overlap.
            unsafe { core::ptr::copy_nonoverlapping(block, moved, layout.size()) };
        }
        moved
    }
}
