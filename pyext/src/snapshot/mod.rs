//! Taking a dump: from a request to a published file.
//!
//! The heap is held still by a clone of the process: the worker pauses for the clone, the child walks at leisure
//! ([`child`]). Or, where that was asked for or no process can be cloned at all, in the worker with the GIL held. What
//! an object's line says is [`crate::walk`]'s business, what becomes of the file [`crate::publish`]'s.

mod child;
mod clone;
mod preflight;
mod reap;
pub mod signals;
mod writing;

use std::io;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::Instant;

use heapsee_format::control::{ControlPage, Outcome, State as DumpState};
use heapsee_format::meta;
use jiff::civil::DateTime;
use pyo3::prelude::*;

use crate::problem::{Problem, explain};
use crate::state::{self, Distributions, Mode, Turn};
use crate::trigger::handler::{self, Sender};
use crate::walk::Walker;
use crate::{clock, control, distributions, process_info};

/// Where a dump goes.
#[derive(Clone, Debug)]
pub enum Target {
    /// Into this directory, under the usual name.
    Directory(PathBuf),
    /// To exactly this path; what is there is replaced.
    Path(PathBuf),
    /// Into this open file; no sidecar.
    File(RawFd),
}

impl Target {
    /// The directory that files are made in.
    fn directory(&self) -> Option<&Path> {
        match self {
            Target::Directory(directory) => Some(directory),
            Target::Path(path) => path.parent(),
            Target::File(_) => None,
        }
    }
}

/// What is wanted, and who wants it.
#[derive(Clone, Debug)]
pub struct Request {
    /// `signal` or `call`.
    pub reason: &'static str,
    /// The signal.
    pub signal: Option<i32>,
    /// Who sent it.
    pub sender: Option<Sender>,
    /// When it was asked for: nanoseconds since the epoch.
    pub at_ns: u64,
    /// Where the dump is to go.
    pub target: Target,
    /// How the heap is to be held still.
    pub mode: Mode,
}

/// All that is known before the heap is held: made in the worker, used by whoever writes.
struct Job {
    target: Target,
    time: DateTime,
    meta: meta::Meta,
    distributions: Arc<Distributions>,
    page: &'static ControlPage,
    walker: &'static Walker,
    /// The request's moment on a clock nobody sets.
    asked: Instant,
}

/// How a dump ended that did not make a file.
enum Failure {
    /// It never began.
    Refused(Problem),
    /// It began and failed; `None` when the page says why already.
    Failed(Option<Problem>),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        Failure::Failed(Some(problem))
    }
}

/// Takes a dump and waits until it is published; returns its path (for [`Target::File`]: nothing). One at a time. The
/// GIL must not be held.
///
/// # Errors
/// The reason, as it also stands in the control page.
pub fn take(request: Request) -> Result<Option<PathBuf>, Problem> {
    let asked = Instant::now();
    let _turn = Turn::Dump.take();
    let page = control::ensure(&state::lock())
        .map_err(|error| Problem(format!("cannot make the control block (a memfd): {}", explain(&error))))?;
    page.gil_wait_ns.store(0, Relaxed);
    page.pause_ns.store(0, Relaxed);
    let number = page.begin(request.at_ns);
    let _end = End { page, number };
    let from_signal = request.sender.is_some();
    if from_signal {
        handler::request_taken();
    }
    let target = request.target.clone();
    let result = prepare(request, page, asked).and_then(|(job, mode)| run(&job, mode, number, from_signal));
    finish(page, number, target, result)
}

/// Ends the dump in the page when nothing else has, which is after a panic: it would seem to be under way for ever, and
/// every later signal would be merged into it.
struct End {
    page: &'static ControlPage,
    number: u64,
}

impl Drop for End {
    fn drop(&mut self) {
        if !ended(self.page, self.number) {
            self.page.end(Outcome::Failed, "heapsee failed with a bug of its own in the worker, which is unharmed");
        }
    }
}

/// Makes sure that the page tells how the dump ended, whoever got how far.
fn finish(
    page: &ControlPage,
    number: u64,
    target: Target,
    result: Result<(), Failure>,
) -> Result<Option<PathBuf>, Problem> {
    let (outcome, problem) = match result {
        Ok(()) => {
            page.expected_objects.store(page.objects.load(Relaxed), Relaxed);
            state::lock().last_size = page.bytes.load(Relaxed);
            return Ok(match target {
                Target::Directory(directory) => Some(directory.join(published_name(page))),
                Target::Path(path) => Some(path),
                Target::File(_) => None,
            });
        }
        Err(Failure::Refused(problem)) => (Outcome::Refused, problem),
        Err(Failure::Failed(Some(problem))) => (Outcome::Failed, problem),
        Err(Failure::Failed(None)) => (Outcome::Failed, Problem(page.last_error.get().unwrap_or_default())),
    };
    if !ended(page, number) {
        page.end(outcome, &problem.0);
    }
    Err(problem)
}

fn published_name(page: &ControlPage) -> String {
    let path = page.last_path.get().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

fn ended(page: &ControlPage, number: u64) -> bool {
    page.finished.load(Acquire) >= number
}

/// Gathers what can be gathered without the GIL: the pause must not pay for it.
fn prepare(request: Request, page: &'static ControlPage, asked: Instant) -> Result<(Job, Mode), Failure> {
    let (walker, interpreter, last_size) = {
        let state = state::lock();
        (state.walker, state.interpreter.clone(), state.last_size)
    };
    let walker = walker.ok_or_else(|| Problem("heapsee's walker was never made: install heapsee first".to_owned()))?;
    let memory = process_info::memory();
    preflight::check(&request, &memory, last_size).map_err(Failure::Refused)?;
    let meta = meta::Meta {
        schema: meta::SCHEMA.to_owned(),
        heapsee: env!("CARGO_PKG_VERSION").to_owned(),
        host: process_info::host(),
        process: process_info::process(),
        python: meta::Python { version: interpreter.version, build: interpreter.build },
        trigger: meta::Trigger {
            reason: request.reason.to_owned(),
            signal: request.signal,
            sender_pid: request.sender.map(|sender| sender.pid),
            sender_uid: request.sender.map(|sender| sender.uid),
            requested_at: clock::rfc3339(request.at_ns),
        },
        snapshot: meta::Snapshot { values: "full".to_owned(), ..Default::default() },
        memory,
        ..Default::default()
    };
    let job = Job {
        time: clock::local(request.at_ns),
        target: request.target,
        meta,
        distributions: distributions::known(&interpreter.path),
        page,
        walker,
        asked,
    };
    Ok((job, request.mode))
}

fn run(job: &Job, mode: Mode, number: u64, from_signal: bool) -> Result<(), Failure> {
    if mode != Mode::Inline {
        match by_fork(job, from_signal)? {
            Ok(child) => return wait(job, child, number),
            Err(error) if mode == Mode::Auto && clone::is_impossible(&error) => {}
            Err(error) => {
                return Err(Problem(format!("cannot clone the process for a snapshot: {}", explain(&error))).into());
            }
        }
    }
    inline(job, from_signal)
}

/// Returns the child's pid. The outer error: no GIL to be had. The inner one: no clone.
fn by_fork(job: &Job, from_signal: bool) -> Result<io::Result<i32>, Failure> {
    with_gil(from_signal, |py| {
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
    })
}

fn wait(job: &Job, child: i32, number: u64) -> Result<(), Failure> {
    let page = job.page;
    let end = reap::wait(child);
    if !ended(page, number) {
        if let Some(directory) = job.target.directory() {
            end.sweep(directory);
        }
        return Err(end.problem(page).into());
    }
    match page.outcome.load(Acquire) == Outcome::Published as u32 {
        true => Ok(()),
        false => Err(Failure::Failed(None)),
    }
}

/// The same in the worker itself: the file is made before, and synced and named after the GIL is held.
fn inline(job: &Job, from_signal: bool) -> Result<(), Failure> {
    let mut output = writing::open(job)?;
    let walked = with_gil(from_signal, |py| {
        let paused = Instant::now();
        begin_pause(job);
        let moment = job.walker.hold(py);
        // SAFETY: this thread holds the GIL until the closure returns.
        let walked = unsafe { writing::walk(job, &moment, &mut output, false) };
        moment.release(py);
        end_pause(job, paused);
        walked
    })??;
    let path = writing::publish(job, output, walked)?;
    job.page.end(Outcome::Published, &path);
    Ok(())
}

fn begin_pause(job: &Job) {
    job.page.gil_wait_ns.store(nanoseconds(job.asked), Relaxed);
    job.page.set_state(DumpState::Snapshotting);
}

/// Stored for the child too, which waits for it before it writes the sidecar: never 0.
fn end_pause(job: &Job, since: Instant) {
    job.page.pause_ns.store(nanoseconds(since).max(1), Relaxed);
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Runs `work` with the GIL. The watcher (`from_signal`) first makes sure that the interpreter will still be there:
/// to ask for the GIL of one that is going can hang or end the thread. A thread of Python's own need not.
fn with_gil<T>(from_signal: bool, work: impl FnOnce(Python<'_>) -> T) -> Result<T, Failure> {
    let going = || Failure::Refused(Problem("the interpreter is shutting down: there is no heap to dump".to_owned()));
    let _wish = from_signal.then(GilWish::make).transpose().map_err(|NoInterpreter| going())?;
    Python::try_attach(work).ok_or_else(going)
}

struct NoInterpreter;

/// The watcher's announcement that it wants the GIL; [`crate::trigger::shut_down`] waits for it to be dropped.
struct GilWish;

impl GilWish {
    fn make() -> Result<GilWish, NoInterpreter> {
        let mut state = state::wait_until(|state| state.python_ready || state.shutting_down);
        if state.shutting_down {
            return Err(NoInterpreter);
        }
        state.watcher_wants_gil = true;
        Ok(GilWish)
    }
}

impl Drop for GilWish {
    fn drop(&mut self) {
        state::lock().watcher_wants_gil = false;
        state::notify();
    }
}
