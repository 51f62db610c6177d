//! Taking a dump: from a request to a published file.
//!
//! The heap is held still by a clone of the process: the worker pauses for the clone, the child walks at leisure
//! ([`child`]). Or, where that was asked for or no process can be cloned at all, in the worker with the GIL held. The ways
//! are in [`ways`]; here is what they have in common. What an object's line says is [`crate::walk`]'s business, what
//! becomes of the file [`crate::publish`]'s.

mod child;
mod clone;
mod consistency;
pub mod gil;
mod preflight;
mod reap;
pub mod signals;
mod ways;
mod writing;

use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::{Duration, Instant};

use heapsee_format::control::{ControlPage, Outcome};
use heapsee_format::meta;
use heapsee_format::salted::{SALT_SIZE, Salt};
use jiff::civil::DateTime;

use crate::config::{Mode, ValuesMode};
use crate::problem::{Problem, explain};
use crate::state::{self, Distributions, Turn};
use crate::walk::around::Around;
use crate::walk::secrecy::Values;
use crate::walk::{self, Walker};
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

/// Who asked for a dump, and when.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    /// The pid, 0 when it is outside of our pid namespace.
    pub pid: u32,
    /// The uid.
    pub uid: u32,
    /// Nanoseconds since the epoch.
    pub at_ns: u64,
}

/// What a dump calls on its way, for the one who has asked for it.
#[derive(Clone, Copy)]
pub struct Attendant {
    /// Called once the dump has its number.
    pub begun: fn(),
    /// When to call `look` while the copy is at work, counted from one call to the next.
    pub looks: &'static [Duration],
    /// See `looks`.
    pub look: fn(),
}

impl Attendant {
    /// Nothing is to be called.
    pub const NONE: Attendant = Attendant { begun: || {}, looks: &[], look: || {} };
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
    /// How long to wait for the GIL before it is done without; `None`: for ever. Not for a call, which has it.
    pub gil_timeout: Option<Duration>,
    /// What becomes of values.
    pub values: ValuesMode,
    /// Bytes that are to stay free where the dump is written to.
    pub min_free: u64,
}

/// All that is known before the heap is held: made in the worker, used by whoever writes.
struct Job {
    target: Target,
    time: DateTime,
    meta: meta::Meta,
    distributions: Arc<Distributions>,
    page: &'static ControlPage,
    walker: &'static Walker,
    options: walk::Options,
    gil_timeout: Option<Duration>,
    min_free: u64,
    attendant: Attendant,
    /// The watcher takes this dump, not a thread of Python's own.
    from_signal: bool,
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
pub fn take(request: Request, attendant: Attendant) -> Result<Option<PathBuf>, Problem> {
    let asked = Instant::now();
    let _turn = Turn::Dump.take();
    let page =
        page().map_err(|error| Problem(format!("cannot make the control block (a memfd): {}", explain(&error))))?;
    page.gil_wait_ns.store(0, Relaxed);
    page.pause_ns.store(0, Relaxed);
    if !matches!(request.target, Target::Directory(_)) {
        // Who signals waits for a file in the directory.
        page.close_next();
    }
    let number = page.begin(request.at_ns);
    let _end = End { page, number };
    (attendant.begun)();
    let target = request.target.clone();
    let result =
        prepare(request, attendant, page, asked).and_then(|(job, mode)| ways::run(&Arc::new(job), mode, number));
    finish(page, number, target, result)
}

fn page() -> std::io::Result<&'static ControlPage> {
    let state = state::lock();
    control::ensure(&state.dumps.interpreter.version, state.installed.config.as_ref())
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
            state::lock().dumps.last_size = page.bytes.load(Relaxed);
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
fn prepare(
    request: Request,
    attendant: Attendant,
    page: &'static ControlPage,
    asked: Instant,
) -> Result<(Job, Mode), Failure> {
    let from_signal = request.sender.is_some();
    preflight::within_limits(from_signal, 0).map_err(Failure::Refused)?;
    let (walker, interpreter, last_size, around) = {
        let dumps = &state::lock().dumps;
        (dumps.walker, dumps.interpreter.clone(), dumps.last_size, dumps.around.clone())
    };
    let walker = walker.ok_or_else(|| Problem("heapsee's walker was never made: install heapsee first".to_owned()))?;
    let memory = process_info::memory();
    preflight::check(&request, &memory, last_size).map_err(Failure::Refused)?;
    let values = values(request.values)?;
    let mut process = process_info::process();
    if request.values != ValuesMode::Full {
        // Arguments are values too, passwords among them.
        process.command_line.truncate(1);
    }
    let meta = meta::Meta {
        schema: meta::SCHEMA.to_owned(),
        heapsee: env!("CARGO_PKG_VERSION").to_owned(),
        host: process_info::host(),
        process,
        python: meta::Python { version: interpreter.version, build: interpreter.build },
        trigger: meta::Trigger {
            reason: request.reason.to_owned(),
            signal: request.signal,
            sender_pid: request.sender.map(|sender| sender.pid),
            sender_uid: request.sender.map(|sender| sender.uid),
            requested_at: clock::rfc3339(request.at_ns),
        },
        snapshot: meta::Snapshot { values: request.values.name().to_owned(), ..Default::default() },
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
        options: walk::Options { values, around: around.map(|around| Around::clone(&around)).unwrap_or_default() },
        gil_timeout: request.gil_timeout,
        min_free: request.min_free,
        attendant,
        from_signal,
        asked,
    };
    Ok((job, request.mode))
}

/// What the walk needs to know of values; makes the process's salt at the first need.
fn values(mode: ValuesMode) -> Result<Values, Problem> {
    Ok(match mode {
        ValuesMode::Full => Values::Full,
        ValuesMode::None => Values::None,
        ValuesMode::Hash => Values::Hash(salt()?),
    })
}

fn salt() -> Result<Salt, Problem> {
    if let Some(salt) = &state::lock().dumps.salt {
        return Ok(salt.clone());
    }
    let mut random = [0; SALT_SIZE];
    // SAFETY: the buffer is writable for its size. Up to 256 bytes come whole or not at all.
    let n = unsafe { libc::getrandom(random.as_mut_ptr().cast(), random.len(), 0) };
    if n != SALT_SIZE as isize {
        let error = std::io::Error::last_os_error();
        return Err(Problem(format!("cannot make a salt to hash values with: {}", explain(&error))));
    }
    Ok(state::lock().dumps.salt.get_or_insert(Salt::new(&random)).clone())
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
