//! Whether a process would answer the signal with a dump, and the only place from which a signal is sent.
//!
//! SIGPROF's default action kills. So a signal goes out only if the control block says armed, *and* names this very
//! process by pid and start time, *and* the kernel says that the signal has a handler, *and* the process says that the
//! handler is still heapsee's; all of it looked at while a pidfd holds the process's identity, looked at again just
//! before, and sent through that pidfd. What is left is the instant between the last look and the signal, in which a
//! worker might uninstall its handler.

use std::io;
use std::num::NonZeroI32;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use heapsee_format::control::{ControlError, ControlView};
use nix::unistd::{Uid, User};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::block::{Block, BlockError};
use crate::check::Check;
use crate::exit::{Exit, Failure};
use crate::procfs::{self, Stat, Status};

/// A process that has been found armed, held by a pidfd.
pub struct Worker {
    /// Its pid here.
    pub pid: u32,
    /// Its start time in clock ticks since boot.
    pub start_time: u64,
    /// Its identities as the kernel gave them.
    pub status: Status,
    /// Its control block.
    pub block: Block,
    /// What the block said when it was found armed.
    pub view: ControlView,
    pidfd: OwnedFd,
}

/// Why a process that is there, and could be looked at, would not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unarmed {
    /// heapsee is not in it.
    #[error("heapsee is not installed in it")]
    NotInstalled,
    /// It was forked from a process that had heapsee, and has not armed itself since.
    #[error("it was forked from process {0}, which had heapsee, and has not been armed since")]
    NotRearmed(u32),
    /// Its heapsee speaks another version, or the block makes no sense.
    #[error("{0}")]
    Block(#[from] ControlError),
    /// Uninstalled, or shutting down.
    #[error("its memory dumper was uninstalled, or it is shutting down")]
    Uninstalled,
    /// Somebody has taken the signal away.
    #[error("{} has no handler in it any more: something has reset it", signal_name(*.0))]
    HandlerGone(u32),
    /// The worker has looked, and found that the signal would not reach heapsee.
    #[error("{} has got another handler since heapsee was installed in it, or it is shutting down", signal_name(*.0))]
    HandlerTaken(u32),
    /// Its watcher thread has not answered.
    #[error("heapsee's thread in it does not answer: the process may be stopped")]
    Silent,
    /// A number that is no signal one can catch.
    #[error("its control block names signal {0}, which cannot be caught")]
    NoSuchSignal(u32),
}

impl Unarmed {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Unarmed::NotInstalled => {
                "call heapsee.install_memory_dumper() when the worker starts (gunicorn: from heapsee.gunicorn import post_fork)"
            }
            Unarmed::NotRearmed(_) => "call heapsee.install_memory_dumper() in the worker, for gunicorn in post_fork",
            Unarmed::Block(_) => "use a heapsee-agent and a heapsee of the same version",
            Unarmed::Uninstalled => "call heapsee.install_memory_dumper() in it again, or restart it",
            Unarmed::Silent => "see whether it is stopped (kill -CONT lets it go on) or frozen, and try again",
            Unarmed::HandlerGone(_) | Unarmed::HandlerTaken(_) => {
                "install after whatever else sets a handler, or choose another: install_memory_dumper(signal.SIGUSR2)"
            }
            Unarmed::NoSuchSignal(_) => "choose another signal: install_memory_dumper(signal.SIGPROF)",
        }
    }
}

/// Why there is no armed worker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The process does not exist (any more).
    #[error("there is no such process")]
    Gone,
    /// The kernel does not let us look.
    #[error("{0}")]
    Denied(String),
    /// It would not answer.
    #[error("{0}")]
    Unarmed(#[from] Unarmed),
    /// The kernel lacks something, or `/proc` is odd.
    #[error("{0}")]
    Unsupported(String),
}

impl Refusal {
    /// The refusal as the end of a command that wanted process `pid`.
    pub fn into_failure(self, pid: u32) -> Failure {
        match self {
            Refusal::Gone => Failure::new(
                Exit::NoSuchProcess,
                format!("there is no process {pid}: `heapsee-agent list` shows those there are"),
            ),
            Refusal::Denied(why) => Failure::new(Exit::Permission, format!("process {pid}: {why}")),
            Refusal::Unarmed(why) => Failure::new(
                Exit::NotArmed,
                format!("process {pid} is not armed and was left alone: {why}; {}", why.advice()),
            ),
            Refusal::Unsupported(why) => Failure::new(Exit::Permission, format!("process {pid}: {why}")),
        }
    }
}

impl Worker {
    /// Looks at process `pid`, and returns it if it is armed.
    pub fn find(pid: u32) -> Result<Worker, Refusal> {
        let pidfd = open_pidfd(pid)?;
        let outcome = Worker::look(pid);
        // While the pidfd's process has not been reaped, its pid was not given away, and what was read is its own.
        if has_exited(pidfd.as_fd()) {
            return Err(Refusal::Gone);
        }
        let (stat, status, block, view) = outcome?;
        Ok(Worker { pid, start_time: stat.start_time, status, block, view, pidfd })
    }

    fn look(pid: u32) -> Result<(Stat, Status, Block, ControlView), Refusal> {
        let (stat, status) = identity(pid)?;
        let own_pid = status.own_pid().unwrap_or(pid);
        let block = Block::find(pid, own_pid, stat.start_time).map_err(|error| block_refusal(error, &status))?;
        let view = checked(&block, &status)?;
        Ok((stat, status, block, view))
    }

    /// Looks again at as little as can be, for whoever looks often: what the kernel says of it now, and its block if
    /// it is armed. The pidfd alone vouches for its identity.
    pub fn glance(&self) -> Result<(Status, Result<ControlView, Refusal>), Refusal> {
        let looked = procfs::status(self.pid).map_err(proc_refusal).map(|status| {
            let view = self.block.read().map_err(Unarmed::Block);
            let armed = view.and_then(|view| check(&view, &status).map(|()| view));
            (status, armed.map_err(Refusal::from))
        });
        if self.has_exited() { Err(Refusal::Gone) } else { looked }
    }

    /// Looks again, from outside, and returns what the block says now.
    pub fn recheck(&self) -> Result<ControlView, Refusal> {
        let outcome = self.look_again();
        if self.has_exited() { Err(Refusal::Gone) } else { outcome }
    }

    fn look_again(&self) -> Result<ControlView, Refusal> {
        let (stat, status) = identity(self.pid)?;
        if stat.start_time != self.start_time {
            return Err(Refusal::Gone);
        }
        let view = self.block.read().map_err(Unarmed::Block)?;
        check(&view, &status)?;
        Ok(view)
    }

    /// Asks for a dump, if the process is still armed. Returns what the block said just before.
    pub fn signal(&self) -> Result<ControlView, Refusal> {
        self.recheck()?;
        let view = checked(&self.block, &self.status)?;
        let signal = catchable(view.signal).ok_or(Unarmed::NoSuchSignal(view.signal))?;
        pidfd_send_signal(&self.pidfd, signal).map_err(|errno| match errno {
            Errno::SRCH => Refusal::Gone,
            Errno::PERM => denied(&self.status),
            other => Refusal::Unsupported(format!("the signal cannot be sent: {other}")),
        })?;
        Ok(view)
    }

    /// Whether the process has exited.
    pub fn has_exited(&self) -> bool {
        has_exited(self.pidfd.as_fd())
    }
}

/// A pidfd of process `pid`.
pub fn open_pidfd(pid: u32) -> Result<OwnedFd, Refusal> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Refusal::Gone)?;
    pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| match errno {
        // EINVAL and ENOENT: a thread, not a process.
        Errno::SRCH | Errno::INVAL | Errno::NOENT => Refusal::Gone,
        // It has no reason of its own to say EPERM: so do filters of system calls.
        Errno::NOSYS | Errno::PERM => Refusal::Unsupported(
            "pidfd_open cannot be had, which needs Linux 5.3 or newer and that no filter of system calls takes it away"
                .into(),
        ),
        other => Refusal::Unsupported(format!("pidfd_open: {other}")),
    })
}

/// Whether the pidfd's process has exited.
pub fn has_exited(pidfd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
}

/// `SIGPROF`, `SIGRTMIN+3`, or the number.
pub fn signal_name(signal: u32) -> String {
    match i32::try_from(signal).map(nix::sys::signal::Signal::try_from) {
        Ok(Ok(named)) => named.as_str().to_owned(),
        // glibc keeps 32 and 33 for itself: SIGRTMIN is 34.
        _ if (34..=64).contains(&signal) => format!("SIGRTMIN+{}", signal - 34),
        _ => format!("signal {signal}"),
    }
}

/// The name of a user, or the number.
pub fn user_name(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => user.name,
        _ => uid.to_string(),
    }
}

fn identity(pid: u32) -> Result<(Stat, Status), Refusal> {
    let stat = procfs::stat(pid).map_err(proc_refusal)?;
    let status = procfs::status(pid).map_err(proc_refusal)?;
    if matches!(stat.state, 'Z' | 'X') { Err(Refusal::Gone) } else { Ok((stat, status)) }
}

fn proc_refusal(error: io::Error) -> Refusal {
    if procfs::is_gone(&error) {
        // With hidepid the kernel says the same of other users' processes; the pidfd says that this one is there.
        return Refusal::Denied("/proc does not show it (hidepid): run as root or as the worker's user".into());
    }
    Refusal::Unsupported(format!("/proc cannot be read: {error}"))
}

fn block_refusal(error: BlockError, status: &Status) -> Refusal {
    match error {
        BlockError::Missing => Unarmed::NotInstalled.into(),
        BlockError::Inherited(pid) => Unarmed::NotRearmed(pid).into(),
        BlockError::Unreadable(error) => Unarmed::Block(error).into(),
        BlockError::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => denied(status),
        BlockError::Io(error) if procfs::is_gone(&error) => Refusal::Gone,
        BlockError::Io(error) => Refusal::Unsupported(format!("its open files cannot be read: {error}")),
    }
}

fn denied(status: &Status) -> Refusal {
    let own = Uid::effective();
    Refusal::Denied(if own.is_root() {
        "not permitted although you are root: run with CAP_SYS_PTRACE, outside of a container that lacks it".into()
    } else if own.as_raw() == status.uid {
        "not permitted although it runs as you: it has changed its user since it started, so run as root".into()
    } else {
        let user = user_name(status.uid);
        format!(
            "not permitted: it runs as user {user}, so run as root or as that user (sudo -u {user} heapsee-agent …)"
        )
    })
}

/// What the block says, after the worker has looked for itself whether it is right.
fn checked(block: &Block, status: &Status) -> Result<ControlView, Refusal> {
    check(&block.read().map_err(Unarmed::Block)?, status)?;
    let answer = block.check().map_err(|error| Refusal::Unsupported(format!("its control block: {error}")))?;
    if answer == Check::Silent {
        return Err(Unarmed::Silent.into());
    }
    let view = block.read().map_err(Unarmed::Block)?;
    check(&view, status)?;
    Ok(view)
}

fn check(view: &ControlView, status: &Status) -> Result<(), Unarmed> {
    match (view.armed, view.signal) {
        (true, _) => {}
        (false, 0) => return Err(Unarmed::Uninstalled),
        (false, signal) => return Err(Unarmed::HandlerTaken(signal)),
    }
    if catchable(view.signal).is_none() {
        return Err(Unarmed::NoSuchSignal(view.signal));
    }
    if !status.catches(view.signal) {
        return Err(Unarmed::HandlerGone(view.signal));
    }
    Ok(())
}

/// The signal with that number, if it is one that a handler can be installed for.
fn catchable(signal: u32) -> Option<Signal> {
    let number = NonZeroI32::new(i32::try_from(signal).ok()?)?;
    match Signal::from_named_raw(number.get()) {
        Some(Signal::KILL | Signal::STOP) => None,
        Some(named) => Some(named),
        None if (34..=64).contains(&signal) => Some(real_time(number)),
        None => None,
    }
}

#[expect(unsafe_code, reason = "rustix has no checked constructor for real-time signals")]
fn real_time(number: NonZeroI32) -> Signal {
    // SAFETY: `catchable`, the only caller, lets through 34 to 64: real-time signals that neither glibc nor musl
    // keeps for itself (those are 32 to 34 on musl; and we only send it, to a process that has a handler for it).
    unsafe { Signal::from_raw_nonzero_unchecked(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_signals_that_can_be_caught_are_sent() {
        assert_eq!(catchable(27), Some(Signal::PROF));
        for wrong in [0, 9, 19, 32, 33, 65, 1000, u32::MAX] {
            assert!(catchable(wrong).is_none(), "{wrong}");
        }
        assert_eq!(catchable(34).map(Signal::as_raw), Some(34));
        assert_eq!(catchable(64).map(Signal::as_raw), Some(64));
    }

    #[test]
    fn signals_have_names() {
        assert_eq!(signal_name(27), "SIGPROF");
        assert_eq!(signal_name(37), "SIGRTMIN+3");
        assert_eq!(signal_name(99), "signal 99");
    }

    #[test]
    fn a_handler_is_needed_besides_the_word_of_the_block() {
        let mut page = vec![0; heapsee_format::control::PAGE_SIZE];
        page[..8].copy_from_slice(&heapsee_format::control::MAGIC.to_ne_bytes());
        page[8..12].copy_from_slice(&heapsee_format::control::VERSION.to_ne_bytes());
        let mut view = ControlView::decode(&page).unwrap();
        let mut status = Status::default();
        assert_eq!(check(&view, &status), Err(Unarmed::Uninstalled));
        view.armed = true;
        assert_eq!(check(&view, &status), Err(Unarmed::NoSuchSignal(0)));
        view.signal = 27;
        assert_eq!(check(&view, &status), Err(Unarmed::HandlerGone(27)));
        status.caught_signals = 1 << 26;
        assert_eq!(check(&view, &status), Ok(()));
    }

    #[test]
    fn this_process_is_not_armed() {
        assert_eq!(Worker::find(std::process::id()).err(), Some(Refusal::Unarmed(Unarmed::NotInstalled)));
    }

    #[test]
    fn pids_that_cannot_be_are_gone() {
        for pid in [0, u32::MAX, i32::MAX as u32] {
            assert_eq!(Worker::find(pid).err(), Some(Refusal::Gone), "{pid}");
        }
    }
}
