//! Waiting for the dump child, and saying why it ended when it did not say so itself.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use heapsee_format::control::ControlPage;
use heapsee_format::naming;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::child::WATCHDOG_SECONDS;
use super::clone::Child;
use crate::problem::Problem;
use crate::{arena, process_info, publish, state};

/// Where there is no pidfd (before Linux 5.2), how often to look.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How a child ended.
pub struct End {
    status: Option<WaitStatus>,
    /// Names of the temporaries it may have left.
    temporaries: Vec<String>,
}

/// Waits until the child has ended and leaves no zombie. Takes no signal and no GIL; a watchdog ends the child.
pub fn wait(child: Child) -> End {
    if let Some(pidfd) = child.pidfd() {
        let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        while matches!(poll(&mut fds, PollTimeout::NONE), Err(Errno::EINTR)) {}
    }
    // Until it is waited for, a dead child still has a start time.
    let start_time = process_info::start_time(&child.pid.to_string());
    let status = reap(child.pid);
    state::lock().child_pidfd = -1;
    let writer = u32::try_from(child.pid).ok().zip(start_time);
    let name = |serial| writer.map(|(pid, start_time)| naming::temp_name(pid, start_time, serial));
    End { status, temporaries: [publish::DUMP, publish::SIDECAR].into_iter().filter_map(name).collect() }
}

/// By pid: it cannot have been given to another process before this call. `__WALL`, because a child without a signal at
/// its end is invisible otherwise.
fn reap(pid: i32) -> Option<WaitStatus> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::__WALL;
    loop {
        match waitid(Id::Pid(Pid::from_raw(pid)), flags) {
            Err(Errno::EINTR) => thread::sleep(LOOK_EVERY),
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

    /// Why there is no dump, when the child has not said so itself.
    pub fn problem(&self, page: &ControlPage) -> Problem {
        let far = format!("after {} objects", page.objects.load(Relaxed));
        let visiting = match page.current_type.load(Relaxed) {
            0 => String::new(),
            at => format!(" while visiting an object of the type at {at} ({at:#x})"),
        };
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
                format!(
                    "the dump child crashed ({signal}), {far}{visiting}; the worker is unharmed: please report this"
                )
            }
            Some(WaitStatus::Exited(_, arena::EXIT_OUT_OF_MEMORY)) => {
                format!("the dump child ran out of memory, {far}: raise the limit of the worker's memory")
            }
            Some(WaitStatus::Exited(_, code)) => format!("the dump child ended with exit code {code}, {far}{visiting}"),
            _ => format!("the dump child is gone, {far}, and somebody else has waited for it"),
        })
    }
}
