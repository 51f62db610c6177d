//! Memory for Rust code on both sides of the snapshot.
//!
//! In the worker, everything goes to the process's own allocator, and to [`spare`] where that has no more. In the dump
//! child nothing may: another thread of the worker may have been inside `malloc` at the moment of the clone, so its locks
//! and lists are as that thread left them, for ever. The child therefore takes memory from a region of its own, and blocks
//! that came over from the worker are never given back. This module knows nothing of Python; whoever points CPython's
//! allocators at Rust's in the child points them here.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use dlmalloc::Dlmalloc;

use crate::spare;

/// How the child says, as its exit code, that its region is used up.
pub const EXIT_OUT_OF_MEMORY: i32 = 71;

/// Address space the child asks for first; it is only reserved, and less is asked for where that is refused.
const REGION: usize = 64 << 30;
/// With less than this the child cannot do its work.
pub const REGION_MIN: usize = 64 << 20;
/// The region is made usable in steps of this size: one system call each.
const STEP: usize = 4 << 20;
/// Zeroed blocks from this size on are fresh pages: clearing them would touch (and cost) every page.
const LARGE: usize = 256 << 10;

static IN_CHILD: AtomicBool = AtomicBool::new(false);

/// True in the dump child, from [`enter_child`] on.
pub fn in_child() -> bool {
    IN_CHILD.load(Relaxed)
}

/// Switches this process to the region. Called once, first thing in the child, while it has one thread.
///
/// Returns false where not even a small region can be reserved.
pub fn enter_child() -> bool {
    let mut size = REGION;
    while size >= REGION_MIN {
        if REGION_ENDS.reserve(size) {
            IN_CHILD.store(true, Relaxed);
            return true;
        }
        size /= 2;
    }
    false
}

/// The allocator of all Rust code in this extension.
pub struct Arena;

// SAFETY: in the worker every call goes to System unchanged; where that has no more, blocks of the spare memory are of the
// wanted size and alignment and overlap no other, and an address tells whose a block is. In the child, alloc and realloc
// give what dlmalloc or fresh pages give: such blocks too; null when there is no more.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if in_child() {
            // SAFETY: enter_child's contract: one thread. The size is not 0 (GlobalAlloc's contract).
            return or_exit(unsafe { (*HEAP.0.get()).malloc(layout.size(), layout.align()) });
        }
        // SAFETY: the caller's contract is System's.
        let block = unsafe { System.alloc(layout) };
        if block.is_null() { spare::take(layout) } else { block }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !in_child() {
            // SAFETY: the caller's contract is System's.
            let block = unsafe { System.alloc_zeroed(layout) };
            return if block.is_null() { zeroed(spare::take(layout), layout.size()) } else { block };
        }
        if layout.size() >= LARGE && layout.align() <= REGION_ENDS.page_size() {
            return or_exit(REGION_ENDS.take_pages(layout.size()));
        }
        // SAFETY: enter_child's contract: one thread. The size is not 0 (GlobalAlloc's contract).
        or_exit(unsafe { (*HEAP.0.get()).calloc(layout.size(), layout.align()) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !in_child() {
            if spare::holds(block) {
                return spare::give_back();
            }
            // SAFETY: the caller's contract is System's.
            unsafe { System.dealloc(block, layout) }
        } else if REGION_ENDS.is_small(block) {
            // SAFETY: a live block of this heap with this layout (the caller; the address says whose); one thread.
            unsafe { (*HEAP.0.get()).free(block, layout.size(), layout.align()) }
        } else if REGION_ENDS.is_pages(block) {
            REGION_ENDS.give_back_pages(block, layout.size());
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if !in_child() {
            if !spare::holds(block) {
                // SAFETY: the caller's contract is System's.
                let new = unsafe { System.realloc(block, layout, new_size) };
                if !new.is_null() {
                    return new;
                }
            }
        } else if REGION_ENDS.is_small(block) {
            // SAFETY: a live block of this heap with this layout (the caller; the address says whose); one thread.
            let new = unsafe { (*HEAP.0.get()).realloc(block, layout.size(), layout.align(), new_size) };
            return or_exit(new);
        }
        // SAFETY: the new size is not 0 and fits the alignment (GlobalAlloc's contract).
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(new_size, layout.align())) };
        if !new.is_null() {
            // SAFETY: `block` has layout.size() bytes (the caller), `new` has new_size; a fresh block overlaps nothing.
            unsafe { ptr::copy_nonoverlapping(block, new, layout.size().min(new_size)) };
            // SAFETY: the caller gives the block up.
            unsafe { self.dealloc(block, layout) };
        }
        new
    }
}

/// Clears a fresh block, if it is one.
fn zeroed(block: *mut u8, size: usize) -> *mut u8 {
    if !block.is_null() {
        // SAFETY: a fresh block of this size.
        unsafe { block.write_bytes(0, size) };
    }
    block
}

/// Ends the child when a block could not be had: nothing that follows could run without memory, and Rust's own way
/// (a message and `abort`) would leave the reason unsaid.
fn or_exit(block: *mut u8) -> *mut u8 {
    if block.is_null() {
        // SAFETY: _exit has no precondition; only the child comes here.
        unsafe { libc::_exit(EXIT_OUT_OF_MEMORY) }
    }
    block
}

struct Heap(UnsafeCell<Dlmalloc<Low>>);

// SAFETY: touched only while in_child() is true, and that process has one thread.
unsafe impl Sync for Heap {}

static HEAP: Heap = Heap(UnsafeCell::new(Dlmalloc::new_with_allocator(Low)));

/// The region's bounds. Small blocks grow from its start, large zeroed ones from its end, so that an address tells
/// where a block belongs: outside of both, it came over from the worker.
struct Region {
    start: AtomicUsize,
    /// End of what was handed to the heap of small blocks.
    low: AtomicUsize,
    /// End of what is readable and writable of that.
    usable: AtomicUsize,
    /// Start of the lowest run of pages handed out.
    high: AtomicUsize,
    end: AtomicUsize,
}

static REGION_ENDS: Region = Region {
    start: AtomicUsize::new(0),
    low: AtomicUsize::new(0),
    usable: AtomicUsize::new(0),
    high: AtomicUsize::new(0),
    end: AtomicUsize::new(0),
};

impl Region {
    fn reserve(&self, size: usize) -> bool {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a fresh mapping at an address of the kernel's choice touches nothing that exists.
        let start = unsafe { libc::mmap(ptr::null_mut(), size, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return false;
        }
        let start = start as usize;
        for bound in [&self.start, &self.low, &self.usable] {
            bound.store(start, Relaxed);
        }
        for bound in [&self.high, &self.end] {
            bound.store(start + size, Relaxed);
        }
        true
    }

    fn is_small(&self, block: *mut u8) -> bool {
        (self.start.load(Relaxed)..self.low.load(Relaxed)).contains(&(block as usize))
    }

    fn is_pages(&self, block: *mut u8) -> bool {
        (self.high.load(Relaxed)..self.end.load(Relaxed)).contains(&(block as usize))
    }

    fn page_size(&self) -> usize {
        // SAFETY: sysconf reads a constant.
        usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
    }

    fn whole_pages(&self, size: usize) -> Option<usize> {
        size.checked_next_multiple_of(self.page_size())
    }

    /// The next `size` bytes of the low end; the heap of small blocks sees one growing segment.
    fn grow(&self, size: usize) -> Option<usize> {
        let low = self.low.load(Relaxed);
        let high = self.high.load(Relaxed);
        let end = low.checked_add(size).filter(|&end| end <= high)?;
        let usable = self.usable.load(Relaxed);
        if end > usable {
            let target = end.checked_next_multiple_of(STEP)?.min(high);
            open(usable, target - usable)?;
            self.usable.store(target, Relaxed);
        }
        self.low.store(end, Relaxed);
        Some(low)
    }

    fn take_pages(&self, size: usize) -> *mut u8 {
        let usable = self.usable.load(Relaxed);
        let high = self.high.load(Relaxed);
        let start = self.whole_pages(size).and_then(|size| high.checked_sub(size)).filter(|&start| start >= usable);
        match start {
            Some(start) if open(start, high - start).is_some() => {
                self.high.store(start, Relaxed);
                start as *mut u8
            }
            _ => ptr::null_mut(),
        }
    }

    /// Their memory goes back; their addresses are not used again (there are more than a dump can use).
    fn give_back_pages(&self, block: *mut u8, size: usize) {
        if let Some(size) = self.whole_pages(size) {
            // SAFETY: these whole pages were one block of take_pages, and its owner gave it up.
            unsafe { libc::madvise(block.cast(), size, libc::MADV_DONTNEED) };
        }
    }
}

/// Makes reserved pages readable and writable.
fn open(start: usize, size: usize) -> Option<()> {
    // SAFETY: the pages belong to the region reserved by enter_child, in which nothing has been handed out there yet.
    let result = unsafe { libc::mprotect(start as *mut libc::c_void, size, libc::PROT_READ | libc::PROT_WRITE) };
    (result == 0).then_some(())
}

/// Where the heap of small blocks gets its memory: the low end of the region.
struct Low;

// SAFETY: alloc gives memory that is the region's, usable, and handed out once; nothing is ever taken back.
unsafe impl dlmalloc::Allocator for Low {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let granted = REGION_ENDS.whole_pages(size).and_then(|size| Some((REGION_ENDS.grow(size)?, size)));
        granted.map_or((ptr::null_mut(), 0, 0), |(start, size)| (start as *mut u8, size, 0))
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        ptr::null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        REGION_ENDS.page_size()
    }
}
