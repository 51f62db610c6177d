//! The dump child: a copy of the worker that reads its own memory, writes one file and ends.
//!
//! It is a guest: it must not keep a client's connection open, not compete with the worker for the CPU, be the first to
//! go when memory is short, and never run for ever. Nothing here may use the worker's allocator or wait for a lock.

use std::any::Any;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;

use heapsee_format::control::{Outcome, State as DumpState};

use super::consistency::Consistency;
use super::{Job, Target, signals, writing};
use crate::arena;
use crate::cpython::alloc;
use crate::cpython::thread_state::PresentState;
use crate::problem::Problem;
use crate::walk::Moment;

/// After this many seconds the child is ended by the kernel: no dump takes so long but one that hangs.
pub const WATCHDOG_SECONDS: u32 = 900;
/// The child's name, as `ps -L` and `top` show it.
const NAME: &std::ffi::CStr = c"heapsee-dump";
const NICE: i32 = 10;
/// "Best effort", the lowest priority of that class.
const IO_PRIORITY: i32 = (2 << 13) | 7;

/// What the child's exit code says; the page says more.
const EXIT_PUBLISHED: i32 = 0;
const EXIT_FAILED: i32 = 1;

/// Everything the child does. Called first thing after a clone taken with the GIL held.
pub fn run(job: &Job, moment: &Moment) -> ! {
    end(job, || write(job, moment, Consistency::Fork))
}

/// Everything the child does after a clone taken without the GIL.
pub fn run_without_gil(job: &Job, place: PresentState) -> ! {
    end(job, || {
        // SAFETY: this is the clone, it has one thread, that of whoever has looked the place up; `end` has replaced
        // the allocators.
        let moment = unsafe { job.walker.hold_without_gil(place) };
        write(job, &moment, Consistency::ForkWithoutGil)
    })
}

fn end(job: &Job, write: impl FnOnce() -> Result<String, Problem>) -> ! {
    let code = if arena::enter_child() {
        // No panic may unwind into the copy of whatever the worker was doing.
        match catch_unwind(AssertUnwindSafe(|| dump(job, write))) {
            Ok(code) => code,
            Err(panic) => fail(job, &format!("heapsee failed with a bug of its own: {}", panic_text(&*panic))),
        }
    } else {
        arena::EXIT_OUT_OF_MEMORY
    };
    // SAFETY: _exit has no precondition, and runs nothing of the worker's (no atexit, no destructors).
    unsafe { libc::_exit(code) }
}

fn dump(job: &Job, write: impl FnOnce() -> Result<String, Problem>) -> i32 {
    job.page.child_pid.store(std::process::id(), Relaxed);
    job.page.set_state(DumpState::Walking);
    signals::reset_in_child();
    let keep = match job.target {
        Target::File(fd) => Some(fd),
        _ => None,
    };
    close_inherited(keep);
    be_a_guest();
    // SAFETY: this is the clone, it has one thread, and it has entered the region.
    unsafe { alloc::adopt() };
    match write() {
        Ok(path) => {
            job.page.end(Outcome::Published, &path);
            EXIT_PUBLISHED
        }
        Err(problem) => fail(job, &problem.0),
    }
}

fn write(job: &Job, moment: &Moment, consistency: Consistency) -> Result<String, Problem> {
    let mut output = writing::open(job)?;
    // SAFETY: this is the clone, and it has one thread.
    let walked = unsafe { writing::walk(job, moment, &mut output, consistency) }?;
    writing::publish(job, output, walked)
}

fn fail(job: &Job, reason: &str) -> i32 {
    job.page.end(Outcome::Failed, reason);
    EXIT_FAILED
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic")
}

/// Lowers the child's claims. Each is best effort: a dump with the wrong priority is better than none.
fn be_a_guest() {
    // SAFETY: plain system calls about this process; the name is a C string.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, NAME.as_ptr());
        libc::alarm(WATCHDOG_SECONDS);
        libc::setpriority(libc::PRIO_PROCESS, 0, NICE);
        libc::syscall(libc::SYS_ioprio_set, 1, 0, IO_PRIORITY);
    }
    no_core_file();
    if let Ok(mut file) = File::options().write(true).open("/proc/self/oom_score_adj") {
        // Refused only where the whole file system is read-only.
        let _ = file.write_all(b"1000");
    }
}

/// A crash of the child must not write the worker's whole memory to the disk once more. A limit of 1 byte also stops
/// a core handler that is a program (`core_pattern` with `|`), which 0 does not.
fn no_core_file() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_CORE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max.min(1);
            libc::setrlimit(libc::RLIMIT_CORE, &limit);
        }
    }
}

/// Closes what came over from the worker: a client whose connection the worker has closed waits for our copy too.
/// Then puts `/dev/null` where standard streams are expected, so that no file of ours gets such a number.
fn close_inherited(keep: Option<RawFd>) {
    let closed = match keep.and_then(|fd| u32::try_from(fd).ok()) {
        Some(keep) => (keep == 0 || close_range(0, keep - 1)) && close_range(keep + 1, u32::MAX),
        None => close_range(0, u32::MAX),
    };
    if !closed {
        close_listed(keep);
    }
    while let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        if null.as_raw_fd() > 2 {
            break;
        }
        let _stays_open = null.into_raw_fd();
    }
}

fn close_range(first: u32, last: u32) -> bool {
    // SAFETY: the child uses none of these descriptors.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) == 0 }
}

/// For kernels before 5.9: what `/proc/self/fd` lists. Read with `getdents64`, because `readdir` allocates.
fn close_listed(keep: Option<RawFd>) {
    let Ok(directory) = File::open("/proc/self/fd") else { return };
    let own = directory.as_raw_fd();
    let mut buffer = [0u64; 512];
    loop {
        // SAFETY: the buffer is writable for its size, and aligned as the kernel's entries are.
        let n = unsafe { libc::syscall(libc::SYS_getdents64, own, buffer.as_mut_ptr(), size_of_val(&buffer)) };
        let Ok(n @ 1..) = usize::try_from(n) else { return };
        // SAFETY: the kernel has written n bytes, no more than the buffer has.
        let entries = unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), n) };
        for fd in listed(entries) {
            if fd != own && Some(fd) != keep {
                // SAFETY: the child does not use this descriptor.
                unsafe { libc::close(fd) };
            }
        }
    }
}

/// The numbers among the names of a buffer of `linux_dirent64`: a u16 length at 16, the name from 19.
fn listed(mut entries: &[u8]) -> impl Iterator<Item = RawFd> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes([*entries.get(16)?, *entries.get(17)?]));
        let name = entries.get(19..length)?.split(|&byte| byte == 0).next()?;
        entries = entries.get(length..)?;
        Some(std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()))
    })
    .flatten()
}
