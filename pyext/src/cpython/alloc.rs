//! `cpython/pymem.h`: CPython's allocators, pointed at Rust's in a forked copy.
//!
//! A C `__sizeof__` returns an int, so it allocates. In a forked copy that must not touch the allocators that another
//! thread may have been inside of. There they are replaced by one that asks Rust's allocator (which in the copy is
//! [`crate::arena`]) for chunks and takes back the block it gave last: what a call allocates it frees again at once.

use std::alloc::{Layout, alloc, dealloc};
use std::cell::UnsafeCell;
use std::ffi::c_void;

use pyo3::ffi;

const CHUNK: usize = 1 << 16;
/// Before each block: its size.
const HEADER: usize = 16;

/// The chunk in use and how much of it is taken.
struct Chunk {
    start: *mut u8,
    size: usize,
    used: usize,
}

struct Chunks(UnsafeCell<Chunk>);

// SAFETY: used only in a forked copy, which has one thread.
unsafe impl Sync for Chunks {}

static CHUNKS: Chunks = Chunks(UnsafeCell::new(Chunk { start: std::ptr::null_mut(), size: 0, used: 0 }));

/// Points all of CPython's allocators at Rust's, for good.
///
/// # Safety
/// This process is a forked copy with one thread, and Rust's allocator may be used in it.
pub unsafe fn adopt() {
    let mut ours = ffi::PyMemAllocatorEx {
        ctx: std::ptr::null_mut(),
        malloc: Some(malloc),
        calloc: Some(calloc),
        realloc: Some(realloc),
        free: Some(free),
    };
    use ffi::PyMemAllocatorDomain::{PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ, PYMEM_DOMAIN_RAW};
    for domain in [PYMEM_DOMAIN_RAW, PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ] {
        // SAFETY: the structure is copied; the functions keep the allocators' contract.
        unsafe { ffi::PyMem_SetAllocator(domain, &raw mut ours) };
    }
}

impl Chunk {
    fn holds(&self, block: *mut u8) -> bool {
        !self.start.is_null() && (self.start.addr()..self.start.addr() + self.used).contains(&block.addr())
    }

    /// Takes `size` bytes; null when there is no memory.
    ///
    /// # Safety
    /// One thread only.
    unsafe fn take(&mut self, size: usize) -> *mut u8 {
        let Some(whole) = size.checked_add(2 * HEADER - 1).map(|n| n & !(HEADER - 1)) else {
            return std::ptr::null_mut();
        };
        // SAFETY: a chunk is left only when it is empty or full; what is in a full one stays (the copy is short-lived).
        unsafe {
            if self.size - self.used < whole {
                if self.used == 0 && !self.start.is_null() {
                    dealloc(self.start, Layout::from_size_align_unchecked(self.size, HEADER));
                }
                let size = whole.max(CHUNK);
                let start = alloc(Layout::from_size_align_unchecked(size, HEADER));
                if start.is_null() {
                    *self = Chunk { start, size: 0, used: 0 };
                    return start;
                }
                *self = Chunk { start, size, used: 0 };
            }
            let header = self.start.add(self.used);
            header.cast::<usize>().write(whole);
            self.used += whole;
            header.add(HEADER)
        }
    }
}

extern "C" fn malloc(_: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: one thread (see `adopt`).
    unsafe { (*CHUNKS.0.get()).take(size).cast() }
}

extern "C" fn calloc(_: *mut c_void, count: usize, size: usize) -> *mut c_void {
    let Some(size) = count.checked_mul(size) else { return std::ptr::null_mut() };
    // SAFETY: one thread; a block that is not null is `size` bytes long.
    unsafe {
        let block = (*CHUNKS.0.get()).take(size);
        if !block.is_null() {
            block.write_bytes(0, size);
        }
        block.cast()
    }
}

/// Grows a block of the present chunk. How long any other block is nobody knows here: that fails, as no memory would.
extern "C" fn realloc(_: *mut c_void, block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: one thread; a block of the chunk has a header.
    unsafe {
        let chunk = &mut *CHUNKS.0.get();
        let block = block.cast::<u8>();
        if block.is_null() {
            return chunk.take(size).cast();
        }
        if !chunk.holds(block) {
            return std::ptr::null_mut();
        }
        let old = *block.sub(HEADER).cast::<usize>() - HEADER;
        if size <= old {
            return block.cast();
        }
        let new = chunk.take(size);
        if !new.is_null() {
            new.copy_from_nonoverlapping(block, old);
        }
        new.cast()
    }
}

extern "C" fn free(_: *mut c_void, block: *mut c_void) {
    // SAFETY: one thread; a block of the chunk has a header. Any other block belongs to the copied heap: let it be.
    unsafe {
        let chunk = &mut *CHUNKS.0.get();
        let block = block.cast::<u8>();
        if chunk.holds(block) {
            let header = block.sub(HEADER);
            let whole = *header.cast::<usize>();
            if header.addr() + whole == chunk.start.addr() + chunk.used {
                chunk.used -= whole;
            }
        }
    }
}
