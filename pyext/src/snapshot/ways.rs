//! The ways to hold a heap still: a clone taken with the GIL, a clone taken without it, the GIL held for the whole walk.
//!
//! Which way a dump goes is decided in [`run`]. A clone without the GIL may have caught any object half changed. That
//! costs such a copy its life at worst, and is then tried again; the worker is never concerned.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{Ordering::Acquire, Ordering::Relaxed};
use std::time::{Duration, Instant};

use heapsee_format::control::{ControlPage, Outcome, State as DumpState};
use pyo3::prelude::*;

use super::consistency::Consistency;
use super::{Failure, Job, Target, child, clone, ended, gil, nanoseconds, preflight, reap, signals, writing};
use crate::config::Mode;
use crate::problem::{Problem, explain};
use crate::publish::{self, Output};
use crate::state;
use crate::walk::around::Culprit;

/// How many clones without the GIL are made for one dump, when one after the other crashes.
const TRIES: u32 = 4;
/// How long each but the first waits for the GIL once more: whoever had it may have given it up meanwhile.
const NEXT_WAIT: Duration = Duration::from_millis(500);

/// A clone has been made.
struct Clone {
    child: i32,
    consistency: Consistency,
}

/// Takes the dump; says how.
pub fn run(job: &Arc<Job>, mode: Mode, number: u64) -> Result<(), Failure> {
    if mode == Mode::Inline {
        return inline(job);
    }
    let mut wait = job.gil_timeout;
    for tries_left in (0..TRIES).rev() {
        let clone = match by_fork(job, wait)? {
            Ok(clone) => clone,
            Err(error) if mode == Mode::Auto && clone::is_impossible(&error) => return inline(job),
            Err(error) => {
                return Err(Problem(format!("cannot clone the process for a snapshot: {}", explain(&error))).into());
            }
        };
        let without_gil = clone.consistency == Consistency::ForkWithoutGil;
        match outcome(job, &clone, number) {
            Ok(()) => return Ok(()),
            Err(Ended::Saying) => return Err(Failure::Failed(None)),
            Err(Ended::Crashed(problem, _)) if without_gil && tries_left == 0 => {
                let Problem(last) = problem;
                return Err(Problem(format!(
                    "{TRIES} snapshots taken without the GIL, which a thread has kept for {} s, all failed; the last: {last}",
                    job.gil_timeout.unwrap_or_default().as_secs_f64()
                ))
                .into());
            }
            Err(Ended::Crashed(..)) if without_gil => {
                forget_progress(job.page);
                wait = wait.map(|wait| wait.min(NEXT_WAIT));
            }
            Err(Ended::Crashed(problem, culprit)) => {
                let Some(culprit) = culprit else { return Err(problem.into()) };
                remember(&culprit);
                return Err(Problem(format!("{}, and the next dump steps around it", problem.0)).into());
            }
            Err(Ended::Otherwise(problem)) => return Err(problem.into()),
        }
    }
    Err(Failure::Failed(None))
}

/// From now on, walks step around `culprit`.
fn remember(culprit: &Culprit) {
    let around = &mut state::lock().dumps.around;
    Arc::make_mut(around.get_or_insert_default()).add(culprit);
}

/// How a child ended that has published nothing.
enum Ended {
    /// The page says why.
    Saying,
    /// It crashed, on that.
    Crashed(Problem, Option<Culprit>),
    /// It was killed, or ran out of something.
    Otherwise(Problem),
}

/// The outer error: no GIL to be had, and no way without. The inner one: no clone.
fn by_fork(job: &Arc<Job>, wait: Option<Duration>) -> Result<io::Result<Clone>, Failure> {
    let with_gil = |child| Clone { child, consistency: Consistency::Fork };
    if !job.from_signal {
        return gil::on_this_thread(|py| clone_with_gil(job, py).map(with_gil));
    }
    let their_job = job.clone();
    match gil::on_asking_thread(wait, move |py| clone_with_gil(&their_job, py))? {
        Some(cloned) => Ok(cloned.map(with_gil)),
        None => clone_without_gil(job)
            .map(|cloned| cloned.map(|child| Clone { child, consistency: Consistency::ForkWithoutGil })),
    }
}

fn clone_with_gil(job: &Job, py: Python<'_>) -> io::Result<i32> {
    let paused = Instant::now();
    begin_pause(job);
    let moment = job.walker.hold(py);
    let cloned = {
        let _blocked = signals::block_all();
        // SAFETY: the child goes straight into child::run, which never returns and touches nothing that another
        // thread may have left half done: neither the process's allocator nor any lock.
        match unsafe { clone::clone_process() } {
            Ok(clone::Side::Child) => child::run(job, &moment),
            Ok(clone::Side::Parent(pid)) => Ok(pid),
            Err(error) => Err(error),
        }
    };
    moment.release(py);
    end_pause(job, paused);
    cloned
}

fn clone_without_gil(job: &Job) -> Result<io::Result<i32>, Failure> {
    let Some(place) = job.walker.without_gil() else {
        return Err(no_gil(job, "and this interpreter is not known well enough to be copied without it"));
    };
    let paused = Instant::now();
    begin_pause(job);
    let _blocked = signals::block_all();
    // SAFETY: as above; child::run_without_gil is made for it.
    let cloned = match unsafe { clone::clone_process() } {
        Ok(clone::Side::Child) => child::run_without_gil(job, place),
        Ok(clone::Side::Parent(pid)) => Ok(pid),
        Err(error) => Err(error),
    };
    end_pause(job, paused);
    Ok(cloned)
}

fn no_gil(job: &Job, then: &str) -> Failure {
    let waited = job.gil_timeout.unwrap_or_default().as_secs_f64();
    Problem(format!("a thread has kept the GIL for {waited} s (stuck in C code, or a server without threads), {then}"))
        .into()
}

fn outcome(job: &Job, clone: &Clone, number: u64) -> Result<(), Ended> {
    let page = job.page;
    let end = reap::wait(clone.child, job.attendant.looks, job.attendant.look);
    if !ended(page, number) {
        if let Some(directory) = job.target.directory() {
            end.sweep(directory);
        }
        if let Some(path) = settle_names(job) {
            page.consistency.set(clone.consistency.name());
            page.end(Outcome::Published, &path.to_string_lossy());
            return Ok(());
        }
        let culprit = end.culprit(page);
        let problem = end.problem(page, culprit.as_ref());
        return Err(if end.is_crash() { Ended::Crashed(problem, culprit) } else { Ended::Otherwise(problem) });
    }
    match page.outcome.load(Acquire) == Outcome::Published as u32 {
        true => Ok(()),
        false => Err(Ended::Saying),
    }
}

/// What a child has named that was ended before it could say so: the path that the dump has got. A sidecar whose dump
/// has got none is removed.
fn settle_names(job: &Job) -> Option<PathBuf> {
    let path = match &job.target {
        Target::Directory(directory) => directory.join(job.page.naming.get()?),
        Target::Path(path) => path.clone(),
        Target::File(_) => return None,
    };
    if publish::has_named(&path, job.page.naming_inode.load(Acquire)) {
        return Some(path);
    }
    publish::remove_lone_sidecar(&path, job.page.naming_sidecar.load(Relaxed));
    None
}

/// The same in the worker itself: the file is made before, and synced and named after the GIL is held.
fn inline(job: &Arc<Job>) -> Result<(), Failure> {
    let share = preflight::inline_share(&job.meta.memory);
    preflight::within_limits(job.from_signal, share).map_err(Failure::Refused)?;
    let output = writing::open(job)?;
    let their_job = job.clone();
    let work = move |py: Python<'_>| walk_inline(&their_job, output, py);
    let walked = if job.from_signal {
        gil::on_asking_thread(job.gil_timeout, work)?
            .ok_or_else(|| no_gil(job, "and a dump in the worker itself needs it: mode=\"fork\" does without"))?
    } else {
        gil::on_this_thread(work)?
    };
    let (output, walked) = walked?;
    let path = writing::publish(job, output, walked)?;
    job.page.end(Outcome::Published, &path);
    Ok(())
}

fn walk_inline(job: &Job, mut output: Output, py: Python<'_>) -> Result<(Output, writing::Walked), Problem> {
    let paused = Instant::now();
    begin_pause(job);
    let moment = job.walker.hold(py);
    // SAFETY: this thread holds the GIL until it returns.
    let walked = unsafe { writing::walk(job, &moment, &mut output, Consistency::Inline) };
    moment.release(py);
    end_pause(job, paused);
    Ok((output, walked?))
}

fn begin_pause(job: &Job) {
    job.page.gil_wait_ns.store(nanoseconds(job.asked), Relaxed);
    job.page.set_state(DumpState::Snapshotting);
}

/// Stored for the child too, which waits for it before it writes the sidecar: never 0.
fn end_pause(job: &Job, since: Instant) {
    job.page.pause_ns.store(nanoseconds(since).max(1), Relaxed);
}

fn forget_progress(page: &ControlPage) {
    for number in [&page.objects, &page.bytes, &page.current_type, &page.current_object, &page.pause_ns] {
        number.store(0, Relaxed);
    }
}
