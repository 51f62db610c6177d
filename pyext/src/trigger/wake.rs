//! Waking the watcher: a futex in the control page.
//!
//! Not an eventfd, because a descriptor is not safe in somebody else's process: a worker that turns itself into a daemon
//! closes every descriptor it finds, and the handler would then write into whatever file got the number next. In the
//! page, so that the agent can wake the watcher too. An idle wait costs no wake-up. A forked child has a page of its
//! own at the same address before its watcher starts.

use std::ptr;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Duration;

use heapsee_format::control::ControlPage;
use nix::sys::time::TimeSpec;

/// How often the watcher has been woken so far: for [`wait`].
pub fn seen(page: &ControlPage) -> u32 {
    page.wake.load(Acquire)
}

/// Wakes the watcher. Async-signal-safe but for `errno`.
pub fn post(page: &ControlPage) {
    page.wake.fetch_add(1, Release);
    futex(page, libc::FUTEX_WAKE, 1, None);
}

/// Waits to be woken more often than `seen`, no longer than `time`. May return for no reason: the caller looks for one.
pub fn wait(page: &ControlPage, seen: u32, time: Option<Duration>) {
    futex(page, libc::FUTEX_WAIT, seen, time);
}

/// Not FUTEX_PRIVATE: others have the page mapped elsewhere.
fn futex(page: &ControlPage, operation: i32, value: u32, time: Option<Duration>) {
    let time = time.map(TimeSpec::from_duration);
    let timeout = time.as_ref().map_or(ptr::null(), |time| ptr::from_ref::<libc::timespec>(time.as_ref()));
    // SAFETY: the kernel reads the word and the time, which their references keep in place, and changes nothing.
    unsafe { libc::syscall(libc::SYS_futex, page.wake.as_ptr(), operation, value, timeout) };
}
