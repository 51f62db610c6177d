//! Signal masks, and a dump child's way with signals.

use std::mem::MaybeUninit;
use std::ptr;

/// Puts the mask back when dropped.
pub struct Mask(libc::sigset_t);

/// Blocks every signal for this thread, until the result is dropped.
pub fn block_all() -> Mask {
    let mut before = MaybeUninit::uninit();
    let all = full_set();
    // SAFETY: `all` is a whole set; the call fills `before` in (SIG_SETMASK with valid sets cannot fail).
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, before.as_mut_ptr());
        Mask(before.assume_init())
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        // SAFETY: the set was filled in by block_all.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, ptr::null_mut()) };
    }
}

fn full_set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigfillset fills the whole set in.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        set.assume_init()
    }
}

/// In the dump child: no handler of the application's may run here, so all are set to the default; and then every
/// signal stays blocked but for two.
///
/// * SIGALRM is the watchdog.
/// * SIGTERM: whoever stops the whole service (systemd signals every process of it) must not have to wait for a dump.
///
/// The rest must not end a dump by the way: Ctrl-C and a terminal's hang-up go to the whole process group, SIGPIPE and
/// SIGXFSZ come back as errors. A crash is delivered whatever is blocked.
pub fn reset_in_child() {
    /// The kernel's own `struct sigaction`: handler, flags, restorer, mask; all zero means the default.
    const DEFAULT: [u64; 4] = [0; 4];
    for signal in 1..=64 {
        // SAFETY: only the child's own table changes. By number, because libc's sigaction takes a lock for SIGABRT.
        // KILL and STOP are refused, which is as well.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, DEFAULT.as_ptr(), ptr::null_mut::<u64>(), 8usize) };
    }
    let mut set = full_set();
    // SAFETY: `set` is a whole set, and both are signals.
    unsafe {
        libc::sigdelset(&mut set, libc::SIGALRM);
        libc::sigdelset(&mut set, libc::SIGTERM);
        libc::pthread_sigmask(libc::SIG_SETMASK, &set, ptr::null_mut());
    }
}
