//! The clone that is the snapshot: a copy of the process with this one thread.
//!
//! The raw system call, not `fork(3)`: no at-fork handler of the application's or of libc's runs, no SIGCHLD tells
//! the application of a child it knows nothing of, and its `waitpid(-1)` does not see it.

use std::io;

use nix::errno::Errno;

/// Who is asking.
pub enum Side {
    /// This is the copy.
    Child,
    /// This is the worker; the copy has this pid.
    Parent(i32),
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
    let (no_flags, no_stack) = (0 as libc::c_long, 0 as libc::c_long);
    // SAFETY: without CLONE_VM the child has a copy of this stack and of thread-local storage and goes on here. All
    // further arguments are 0, so that their order, which differs between architectures, does not matter.
    match unsafe { libc::syscall(libc::SYS_clone, no_flags, no_stack, 0, 0, 0) } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Side::Child),
        pid => Ok(Side::Parent(pid as i32)),
    }
}

/// Can this process never be cloned (a seccomp filter, say)? To be out of memory just now is another matter.
pub fn is_impossible(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| matches!(Errno::from_raw(code), Errno::EPERM | Errno::ENOSYS))
}
