//! The clone that is the snapshot: a copy of the process with this one thread.
//!
//! The raw system call, not `fork(3)`: no at-fork handler of the application's or of libc's runs, no SIGCHLD tells
//! the application of a child it knows nothing of, and its `waitpid(-1)` does not see it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

/// Who is asking.
pub enum Side {
    /// This is the copy.
    Child,
    /// This is the worker.
    Parent(Child),
}

/// The copy, as the worker sees it.
pub struct Child {
    /// Its pid.
    pub pid: i32,
    pidfd: Option<OwnedFd>,
}

impl Child {
    /// Its pidfd; none before Linux 5.2.
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// The pidfd's number, -1 if there is none.
    pub fn pidfd_number(&self) -> RawFd {
        self.pidfd.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }
}

/// Clones this process, with this thread only, without a signal at its end.
///
/// # Errors
/// Those of `clone(2)`.
///
/// # Safety
/// On [`Side::Child`], all that other threads had in hand stays as it was, for ever: the caller must use no lock
/// and no allocator of the worker, must not return into code that would, and must end with `_exit`.
pub unsafe fn clone_process() -> io::Result<Side> {
    let mut pidfd: RawFd = -1;
    let flags = libc::CLONE_PIDFD as libc::c_long;
    let no_stack: libc::c_long = 0;
    // SAFETY: without CLONE_VM the child has a copy of this stack and of thread-local storage and goes on here. The
    // kernel writes the pidfd to `pidfd`. The first three arguments are the same on all architectures; the rest is 0.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, no_stack, &raw mut pidfd, 0, 0) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Side::Child),
        pid => {
            // SAFETY: a fresh descriptor that only we know of. Older kernels ignore the flag and leave the -1.
            let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
            Ok(Side::Parent(Child { pid: pid as i32, pidfd }))
        }
    }
}

/// Can this process never be cloned (a seccomp filter, say)? To be out of memory just now is another matter.
pub fn is_impossible(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| matches!(Errno::from_raw(code), Errno::EPERM | Errno::ENOSYS))
}
