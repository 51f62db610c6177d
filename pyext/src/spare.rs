//! Spare memory: what Rust code in the worker gets where the process can get no more.
//!
//! Python survives a limit of address space (`ulimit -v`): it raises `MemoryError`. Rust code aborts the process. So some
//! address space is set aside while there is some, and serves the small blocks of a refusal or of a dump's end. Its pages
//! are untouched until then. Not a heap: it begins anew only when all its blocks are given back. Nothing large comes from
//! here; what needs that asks [`crate::address_space`] first.

use std::alloc::Layout;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};

const SIZE: usize = 1 << 20;

/// Where it is; 0: nowhere yet.
static START: AtomicUsize = AtomicUsize::new(0);
/// How many blocks are out (upper half) and where the last one ends (lower half), so that both change in one step.
static USED: AtomicU64 = AtomicU64::new(0);

/// Sets it aside, once.
///
/// # Errors
/// The process has not even this much.
pub fn set_aside() -> io::Result<()> {
    if START.load(Relaxed) != 0 {
        return Ok(());
    }
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a fresh mapping at an address of the kernel's choice touches nothing that exists.
    let start = unsafe { libc::mmap(ptr::null_mut(), SIZE, protection, flags | libc::MAP_NORESERVE, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    if START.compare_exchange(0, start as usize, Release, Relaxed).is_err() {
        // SAFETY: the mapping made above; another thread was quicker, and nobody has seen this one.
        unsafe { libc::munmap(start, SIZE) };
    }
    Ok(())
}

/// A block, not zeroed; null when this too is used up, or was never set aside.
pub fn take(layout: Layout) -> *mut u8 {
    let start = START.load(Acquire);
    if start == 0 {
        return ptr::null_mut();
    }
    let before = USED.fetch_update(AcqRel, Acquire, |used| {
        let (blocks, _) = split(used);
        let end = place(start, used, layout)?.checked_add(layout.size()).filter(|&end| end <= start + SIZE)?;
        Some(join(blocks + 1, end - start))
    });
    before.ok().and_then(|used| place(start, used, layout)).map_or(ptr::null_mut(), |at| at as *mut u8)
}

/// Is the block one of [`take`]'s?
pub fn holds(block: *mut u8) -> bool {
    let start = START.load(Relaxed);
    start != 0 && (start..start + SIZE).contains(&(block as usize))
}

/// One of its blocks is not needed any more.
pub fn give_back() {
    // The closure always has an answer.
    let _ = USED.fetch_update(AcqRel, Acquire, |used| match split(used) {
        (blocks @ 2.., end) => Some(join(blocks - 1, end)),
        _ => Some(0),
    });
}

/// The address at which a block would come.
fn place(start: usize, used: u64, layout: Layout) -> Option<usize> {
    (start + split(used).1).checked_next_multiple_of(layout.align())
}

fn split(used: u64) -> (u64, usize) {
    (used >> 32, (used & u64::from(u32::MAX)) as usize)
}

fn join(blocks: u64, end: usize) -> u64 {
    blocks << 32 | end as u64
}
