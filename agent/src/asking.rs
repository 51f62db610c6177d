//! Asking an armed worker for a dump, and following the dump through the control block until it has ended.
//!
//! It touches no file: what becomes of the published dump is `intake`'s. A dump that is already under way is followed
//! instead of asking for another. The worker may die meanwhile: its dump child then still finishes.

use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use heapsee_format::control::{ControlView, Outcome};

use crate::armed::{self, Worker};
use crate::exit::{Exit, Failure};
use crate::procfs;
use crate::progress::{self, Progress};
use crate::render;
use crate::stop::Stop;

/// How often the control block is looked at.
const POLL: Duration = Duration::from_millis(30);
/// How long after the worker's death a child that was never seen may still show itself.
const GRACE: Duration = Duration::from_secs(1);
/// How often the dump child's pid is looked for; each time costs a walk through `/proc`.
const CHILD_SEARCHES: u32 = 3;

/// No dump takes longer, unless somebody says otherwise.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// How long a dump is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Without an answer or any progress.
    pub silence: Duration,
    /// In all: what shows progress for ever must not keep other workers from being dumped.
    pub whole: Duration,
}

/// A dump that was published.
pub struct Published {
    /// What the control block said when the dump had ended.
    pub view: ControlView,
    /// Whether the dump was already under way when we came.
    pub joined: bool,
}

/// Has `worker` make a dump and waits for it.
pub fn take_dump(worker: &Worker, patience: Patience, stop: &Stop, progress: &Progress) -> Result<Published, Failure> {
    stop.check(|| "nothing was asked of the worker".into())?;
    let before = worker.recheck().map_err(|refusal| refusal.into_failure(worker.pid))?;
    let joined = before.takes_signals_in();
    let (number, first) = if joined {
        progress.say(&format!("a dump of process {} is already under way: waiting for that one", worker.pid));
        (before.started, before)
    } else {
        let first = worker.signal().map_err(|refusal| refusal.into_failure(worker.pid))?;
        // Somebody else's signal may have come first; ours then counts for the same dump.
        (if first.takes_signals_in() { first.started } else { first.started + 1 }, first)
    };
    let mut watch = Watch {
        worker,
        number,
        patience,
        begun: Instant::now(),
        ignored: first.signals_ignored,
        last: first,
        changed: Instant::now(),
        child: Child::default(),
        death: None,
    };
    let view = watch.until_finished(stop, progress)?;
    outcome(worker.pid, view).map(|view| Published { view, joined })
}

fn outcome(pid: u32, view: ControlView) -> Result<ControlView, Failure> {
    let reason = if view.last_error.is_empty() { "it gave no reason" } else { &view.last_error };
    match view.outcome {
        Outcome::Published => Ok(view),
        Outcome::Refused => {
            Err(Failure::new(Exit::DumpFailed, format!("process {pid} refused to make a dump: {reason}")))
        }
        Outcome::Failed | Outcome::None => {
            Err(Failure::new(Exit::DumpFailed, format!("the dump of process {pid} failed: {reason}")))
        }
    }
}

/// One dump being followed.
struct Watch<'a> {
    worker: &'a Worker,
    number: u64,
    patience: Patience,
    begun: Instant,
    /// Signals ignored when we began.
    ignored: u64,
    last: ControlView,
    changed: Instant,
    child: Child,
    /// When the worker was first seen dead.
    death: Option<Instant>,
}

/// The dump child, once it is known.
#[derive(Default)]
struct Child {
    pid: u32,
    searches: u32,
    pidfd: Option<OwnedFd>,
    /// Whether it was said that it outlives the worker.
    told: bool,
}

impl Watch<'_> {
    fn until_finished(&mut self, stop: &Stop, progress: &Progress) -> Result<ControlView, Failure> {
        loop {
            stop.check(|| self.what_goes_on())?;
            // Looked at before the page: what a process did before it died is then in the page that is read next.
            let exited = self.worker.has_exited();
            let child_exited = self.child.pidfd.as_ref().is_none_or(|pidfd| armed::has_exited(pidfd.as_fd()));
            self.look();
            progress.dump(&self.last);
            if self.last.finished >= self.number {
                return Ok(self.settled());
            }
            self.find_child();
            if exited {
                self.after_death(child_exited, progress)?;
            }
            if self.changed.elapsed() > self.patience.silence {
                return Err(self.timed_out());
            }
            if self.begun.elapsed() > self.patience.whole {
                return Err(self.took_too_long());
            }
            thread::sleep(POLL);
        }
    }

    /// Reads the page. A torn one is no news: a writer that was killed in the middle leaves it so for ever.
    fn look(&mut self) {
        if let Ok(view) = self.worker.block.read() {
            let news = |view: &ControlView| (view.started, view.finished, view.state as u32, view.objects, view.bytes);
            if news(&view) != news(&self.last) {
                self.changed = Instant::now();
            }
            self.last = view;
        }
    }

    /// The page again: the copy in which the end was first seen may be of two moments.
    fn settled(&self) -> ControlView {
        self.worker.block.read().unwrap_or_else(|_| self.last.clone())
    }

    /// The worker has died: waits for its dump child, or, for a while, for one to show itself; then gives up.
    fn after_death(&mut self, child_exited: bool, progress: &Progress) -> Result<(), Failure> {
        let death = *self.death.get_or_insert_with(Instant::now);
        if !child_exited && !self.child.told {
            self.child.told = true;
            let pid = self.worker.pid;
            progress.say(&format!("process {pid} has died, but its dump child is still writing: waiting for it"));
        }
        if !child_exited || self.changed.elapsed().min(death.elapsed()) < GRACE {
            return Ok(());
        }
        let when = match self.last.started < self.number {
            true => "before it answered".to_owned(),
            false => format!("while it was {}", progress::state(self.last.state)),
        };
        Err(Failure::new(
            Exit::DumpFailed,
            format!("process {} died {when}: there is no dump; try another worker", self.worker.pid),
        ))
    }

    /// Gets hold of the dump child while its pid is known to be its own.
    fn find_child(&mut self) {
        let pid = self.last.child_pid;
        if pid == 0 || (pid == self.child.pid && (self.child.pidfd.is_some() || self.child.searches >= CHILD_SEARCHES))
        {
            return;
        }
        let searches = if pid == self.child.pid { self.child.searches } else { 0 };
        self.child = Child { pid, searches: searches + 1, pidfd: find_child(self.worker, pid), told: false };
    }

    fn what_goes_on(&mut self) -> String {
        self.look();
        if self.last.started < self.number {
            return format!(
                "process {} was asked for a dump, and may still write it to {}",
                self.worker.pid, self.last.directory
            );
        }
        format!("the dump of process {} goes on without us, into {}", self.worker.pid, self.last.directory)
    }

    fn took_too_long(&self) -> Failure {
        let (pid, limit) = (self.worker.pid, render::age(self.patience.whole));
        Failure::new(
            Exit::Timeout,
            format!(
                "the dump of process {pid} has not ended after {limit} ({} so far): it is not waited for any longer; set \
                 dump_limit in [agent] if that is its size, else do not trust this worker",
                render::bytes(self.last.bytes),
            ),
        )
    }

    fn timed_out(&self) -> Failure {
        let (pid, seconds) = (self.worker.pid, self.patience.silence.as_secs());
        if self.last.started >= self.number {
            return Failure::new(
                Exit::Timeout,
                format!(
                    "the dump of process {pid} has made no progress for {seconds}s while {} ({} so far); \
                     it may still finish, in {}: try again later or with a longer --timeout",
                    progress::state(self.last.state),
                    render::bytes(self.last.bytes),
                    self.last.directory,
                ),
            );
        }
        let why = match procfs::stat(pid).map(|stat| stat.state) {
            Ok('T' | 't') => "it is stopped: `kill -CONT` lets it go on",
            Ok('D') => "it is blocked in the kernel (uninterruptible sleep): look at its disks and mounts",
            _ if self.last.signals_ignored > self.ignored => {
                "it has ignored the signal: it answers only root and its own user"
            }
            _ => "its watcher thread may be gone: restart it, or try a longer --timeout",
        };
        Failure::new(
            Exit::Timeout,
            format!("the worker did not answer: process {pid} has not begun a dump within {seconds}s; {why}"),
        )
    }
}

/// The dump child that the worker calls `own_pid`, by its pid here.
///
/// It is the worker's child, or, if the worker has died, an orphan of the same user in a namespace as deep.
fn find_child(worker: &Worker, own_pid: u32) -> Option<OwnedFd> {
    let depth = worker.status.namespace_pids.len();
    let is_it = |pid: u32| {
        let (Ok(stat), Ok(status)) = (procfs::stat(pid), procfs::status(pid)) else { return false };
        let fits = status.own_pid() == Some(own_pid) && status.namespace_pids.len() == depth;
        fits && (stat.parent == worker.pid || (worker.has_exited() && status.uid == worker.status.uid))
    };
    let pid = procfs::pids().ok()?.into_iter().find(|&pid| is_it(pid))?;
    let pidfd = armed::open_pidfd(pid).ok()?;
    // It may have ended, and its pid be another's, before the pidfd was opened.
    is_it(pid).then_some(pidfd)
}
