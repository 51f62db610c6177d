//! How much the limits of address space (`ulimit -v`, `RLIMIT_AS`) and of data (`ulimit -d`, `RLIMIT_DATA`) leave this process.
//!
//! Where memory cannot be had, Rust code and the C library end the process; so whoever is about to need some asks here
//! first. Allocates nothing. It is a look, not a claim: to try it out with a mapping would take it from the worker's other
//! threads for a moment.

use std::fs::File;
use std::io::{self, Read};

use nix::unistd::{SysconfVar, sysconf};

/// What a new thread may take until it is at its work: stack, thread-local storage, a page for each of its first blocks.
const THREAD: u64 = 8 << 20;

/// Is there room for one more thread?
///
/// # Errors
/// That of `clone(2)` in such a case: the C library would not say so but end the process, when the new thread finds no
/// room for its thread-local storage.
pub fn enough_for_thread() -> io::Result<()> {
    match [left(), data_left()].into_iter().flatten().min() {
        Some(left) if left < THREAD => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
        _ => Ok(()),
    }
}

/// Bytes that may still be mapped; `None`: no limit. To be called with forks held up (see [`crate::gate`]), as the
/// lock of [`crate::state`] does too: a descriptor is open for a moment.
pub fn left() -> Option<u64> {
    Some(limit(libc::RLIMIT_AS)?.saturating_sub(used(SIZE)?))
}

/// The same for memory that is private and can be written to.
pub fn data_left() -> Option<u64> {
    Some(limit(libc::RLIMIT_DATA)?.saturating_sub(used(DATA)?))
}

/// Fields of `statm`.
const SIZE: usize = 0;
/// With the stack, which the limit does not count.
const DATA: usize = 5;

fn limit(which: libc::__rlimit_resource_t) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place.
    let known = unsafe { libc::getrlimit(which, &mut limit) == 0 };
    (known && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

fn used(field: usize) -> Option<u64> {
    let mut buffer = [0; 128];
    let length = File::open("/proc/self/statm").ok()?.read(&mut buffer).ok()?;
    let text = std::str::from_utf8(buffer.get(..length)?).ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(field)?.parse().ok()?;
    pages.checked_mul(u64::try_from(sysconf(SysconfVar::PAGE_SIZE).ok()??).ok()?)
}
