//! Waiting for the dump child, and saying why it ended when it did not say so itself.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use heapsee_format::control::ControlPage;
use heapsee_format::naming;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::child::WATCHDOG_SECONDS;
use crate::problem::Problem;
use crate::walk::around::Culprit;
use crate::{arena, process_info, publish};

/// How a child ended.
pub struct End {
    status: Option<WaitStatus>,
    /// Names of the temporaries it may have left.
    temporaries: Vec<String>,
}

/// Waits until the child has ended and leaves no zombie; calls `look` after each of `looks`, counted one from the other,
/// as long as it is there. Needs no GIL; the child's watchdog bounds it.
pub fn wait(child: i32, looks: &[Duration], look: impl Fn()) -> End {
    begin_to_wait(child, looks, look);
    // Until it is reaped, a dead child still has a start time, and nobody else can get its pid.
    let _ = wait_for(child, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
    let start_time = process_info::start_time(&child.to_string());
    let status = wait_for(child, WaitPidFlag::WEXITED);
    let writer = u32::try_from(child).ok().zip(start_time);
    let name = |serial| writer.map(|(pid, start_time)| naming::temp_name(pid, start_time, serial));
    End { status, temporaries: [publish::DUMP, publish::SIDECAR].into_iter().filter_map(name).collect() }
}

/// The beginning of a wait. In short sleeps: a descriptor to wait with would be kept by whoever is forked meanwhile.
fn begin_to_wait(child: i32, looks: &[Duration], look: impl Fn()) {
    const SLEEPS: u32 = 20;
    let is_there = || {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        matches!(wait_for(child, flags), Some(WaitStatus::StillAlive))
    };
    for time in looks {
        for _ in 0..SLEEPS {
            if !is_there() {
                return;
            }
            thread::sleep(*time / SLEEPS);
        }
        look();
    }
}

/// `__WALL`, because a child without a signal at its end is invisible otherwise. None: somebody else has waited for it.
fn wait_for(child: i32, flags: WaitPidFlag) -> Option<WaitStatus> {
    loop {
        match waitid(Id::Pid(Pid::from_raw(child)), flags | WaitPidFlag::__WALL) {
            Err(Errno::EINTR) => {}
            result => return result.ok(),
        }
    }
}

impl End {
    /// Removes what a child that was killed may have left in the directory it wrote to.
    pub fn sweep(&self, directory: &Path) {
        for name in &self.temporaries {
            // Mostly there is none; and one that cannot be removed the agent finds.
            let _ = fs::remove_file(directory.join(name));
        }
    }

    /// Has the child crashed on what it was doing?
    pub fn is_crash(&self) -> bool {
        use Signal::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
        let crashes = [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP];
        matches!(self.status, Some(WaitStatus::Signaled(_, signal, _)) if crashes.contains(&signal))
    }

    /// What the child was visiting.
    pub fn culprit(&self, page: &ControlPage) -> Option<Culprit> {
        Culprit::look(page.current_object.load(Relaxed), page.current_type.load(Relaxed))
    }

    /// Why there is no dump, when the child has not said so itself.
    pub fn problem(&self, page: &ControlPage, culprit: Option<&Culprit>) -> Problem {
        let far = format!("after {} objects", page.objects.load(Relaxed));
        let visiting = culprit.map(|culprit| format!(" while visiting {}", culprit.describe())).unwrap_or_default();
        Problem(match self.status {
            Some(WaitStatus::Signaled(_, Signal::SIGALRM, _)) => {
                format!("the dump child was still at work after {WATCHDOG_SECONDS} s and was ended, {far}{visiting}")
            }
            Some(WaitStatus::Signaled(_, Signal::SIGTERM, _)) => {
                format!("the dump child was told to end (SIGTERM), {far}: the service was being stopped")
            }
            Some(WaitStatus::Signaled(_, Signal::SIGKILL, _)) => format!(
                "the dump child was killed (SIGKILL), {far}: memory was short, or somebody did it; the kernel log tells"
            ),
            Some(WaitStatus::Signaled(_, signal, _)) => {
                format!("the dump child crashed ({signal}), {far}{visiting}; the worker is unharmed")
            }
            Some(WaitStatus::Exited(_, arena::EXIT_OUT_OF_MEMORY)) => {
                format!(
                    "the dump child ran out of memory, {far}: raise the limit of the worker's memory (its cgroup's, or ulimit -v)"
                )
            }
            Some(WaitStatus::Exited(_, code)) => format!("the dump child ended with exit code {code}, {far}{visiting}"),
            _ => format!("the dump child is gone, {far}, and somebody else has waited for it"),
        })
    }
}
