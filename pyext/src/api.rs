//! What Python sees. Turns arguments into requests and problems into exceptions; decides nothing else.

use std::fs::File;
use std::os::fd::{BorrowedFd, RawFd};
use std::path::PathBuf;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed},
};
use std::time::Duration;

use heapsee_format::naming;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::config::{Config, Mode, ValuesMode};
use crate::cpython::gc::Lists;
use crate::cpython::runtime::Signals;
use crate::problem::Problem;
use crate::snapshot::{self, Attendant, Request, Target};
use crate::spare;
use crate::state;
use crate::trigger::reserve;
use crate::walk::{self, Walker};
use crate::{clock, control, cpython, fork, signal_action, trigger};

pyo3::create_exception!(
    heapsee,
    DumpError,
    PyRuntimeError,
    "No dump was made; the text says why and what to do. The process is unharmed."
);

/// How long a directory's name may be: what the control block has room for.
const DIRECTORY_LIMIT: usize = 1024;

/// Bytes that dumps leave free on the disk when nothing else is installed: the default of `install_memory_dumper`.
const MIN_FREE: u64 = 32 << 20;

/// Installs the dump signal's handler. See `heapsee.install_memory_dumper`.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "they are the options that Python has")]
pub fn install(
    py: Python<'_>,
    signal: i32,
    directory: PathBuf,
    mode: &str,
    chain: bool,
    gil_timeout: Option<f64>,
    values: &str,
    min_free: u64,
) -> PyResult<()> {
    let gil_timeout = gil_timeout.map(checked_timeout).transpose()?;
    let values = checked_values(values)?;
    let config = Config {
        signal,
        directory: checked_directory(directory)?,
        mode: checked_mode(mode)?,
        chain,
        gil_timeout,
        values,
        min_free,
    };
    signal_action::check(signal).map_err(|problem| PyValueError::new_err(problem.0))?;
    prepare(py)?;
    register_with_python(py)?;
    reserve::take(py, signal);
    let result = py.detach(|| trigger::install(config)).map_err(|problem| PyRuntimeError::new_err(problem.0));
    reserve::give_back(py);
    result
}

/// Takes everything back. See `heapsee.uninstall_memory_dumper`.
#[pyfunction]
pub fn uninstall(py: Python<'_>) {
    py.detach(trigger::uninstall);
    reserve::give_back(py);
}

/// Dumps into a directory under the usual name; returns the path. `directory` counts when none is installed.
#[pyfunction]
pub fn dump_to_directory(py: Python<'_>, directory: PathBuf, signal: Option<i32>) -> PyResult<Option<PathBuf>> {
    let installed = state::lock().installed.config.clone();
    let (directory, mode) = match installed {
        Some(config) => (config.directory, config.mode),
        None => (checked_directory(directory)?, Mode::Auto),
    };
    dump(py, Target::Directory(directory), mode, signal)
}

/// Dumps to exactly this path, which must be absolute.
#[pyfunction]
pub fn dump_to_path(py: Python<'_>, path: PathBuf) -> PyResult<Option<PathBuf>> {
    dump(py, Target::Path(path), installed_mode(), None)
}

/// Dumps into an open file.
#[pyfunction]
pub fn dump_to_file(py: Python<'_>, fd: RawFd) -> PyResult<()> {
    let fd = checked_descriptor(fd)?;
    dump(py, Target::File(fd), installed_mode(), None).map(drop)
}

/// The name of a dump that is asked for at this time (nanoseconds since the epoch).
#[pyfunction]
pub fn dump_name(at_ns: u64) -> String {
    naming::dump_name(&clock::isoformat(&clock::local(at_ns)), std::process::id())
}

/// What `heapsee.status` says.
#[pyfunction]
pub fn status(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    // First of all: what follows is then at least as new as the count of dumps that have ended.
    add_counts(&dict)?;
    let state = state::lock();
    let ours = state.installed.handler.as_ref().is_some_and(signal_action::is_current);
    let config = state.installed.config.clone();
    let armed = config.is_some() && ours && state.installed.watchers > 0 && !state.shutting_down;
    let walker = state.dumps.walker;
    let error = state.forks.rearm_error.clone();
    let skipped = state.dumps.around.as_ref().map(|around| around.type_names()).unwrap_or_default();
    drop(state);
    dict.set_item("installed", config.is_some())?;
    dict.set_item("armed", armed)?;
    dict.set_item("signal", config.as_ref().map(|config| config.signal))?;
    dict.set_item("directory", config.as_ref().map(|config| config.directory.to_string_lossy().into_owned()))?;
    dict.set_item("mode", config.as_ref().map(|config| config.mode.name()))?;
    dict.set_item("chain", config.as_ref().is_some_and(|config| config.chain))?;
    dict.set_item("gil_timeout", config.as_ref().and_then(|config| config.gil_timeout).map(|time| time.as_secs_f64()))?;
    dict.set_item("values", config.as_ref().map(|config| config.values.name()))?;
    dict.set_item("min_free", config.as_ref().map(|config| config.min_free))?;
    dict.set_item("pid", std::process::id())?;
    dict.set_item("control_block", control::visible())?;
    dict.set_item("walker", walker.map(Walker::describe))?;
    dict.set_item("fork_error", error)?;
    dict.set_item("skipped_types", skipped)?;
    Ok(dict)
}

fn add_counts(dict: &Bound<'_, PyDict>) -> PyResult<()> {
    let page = control::page();
    let numbers: [(&str, Option<u64>); 11] = [
        ("dumps_started", page.map(|page| page.started.load(Relaxed))),
        ("dumps_finished", page.map(|page| page.finished.load(Acquire))),
        ("signals", page.map(|page| page.signals.load(Relaxed))),
        ("signals_merged", page.map(|page| page.signals_merged.load(Relaxed))),
        ("signals_ignored", page.map(|page| page.signals_ignored.load(Relaxed))),
        ("requested_at_ns", page.map(|page| page.started_at.load(Relaxed))),
        ("child_pid", page.map(|page| u64::from(page.child_pid.load(Relaxed)))),
        ("objects", page.map(|page| page.objects.load(Relaxed))),
        ("bytes", page.map(|page| page.bytes.load(Relaxed))),
        ("gil_wait_ns", page.map(|page| page.gil_wait_ns.load(Relaxed))),
        ("pause_ns", page.map(|page| page.pause_ns.load(Relaxed))),
    ];
    for (name, number) in numbers {
        dict.set_item(name, number.unwrap_or(0))?;
    }
    let text = |text: Option<String>| text.filter(|text| !text.is_empty());
    dict.set_item("consistency", text(page.and_then(|page| page.consistency.get())))?;
    dict.set_item("last_path", text(page.and_then(|page| page.last_path.get())))?;
    dict.set_item("last_error", text(page.and_then(|page| page.last_error.get())))
}

/// Bytes of one object. See `heapsee.size_of`.
#[pyfunction]
pub fn size_of(object: &Bound<'_, PyAny>) -> u64 {
    walk::size_of(object)
}

/// What one object refers to. See `heapsee.get_referents`.
#[pyfunction]
pub fn get_referents<'py>(object: &Bound<'py, PyAny>) -> Vec<Bound<'py, PyAny>> {
    walk::referents(object)
}

/// One object and all it leads to. See `heapsee.scanner.get_recursive_items`.
#[pyfunction]
pub fn reachable<'py>(object: &Bound<'py, PyAny>) -> Vec<Bound<'py, PyAny>> {
    walk::reachable(object)
}

/// Writes some objects and all they lead to into an open file. See `heapsee.scanner.dump_all_referenced`.
#[pyfunction]
pub fn dump_reachable(py: Python<'_>, fd: RawFd, starts: Vec<Bound<'_, PyAny>>) -> PyResult<()> {
    prepare(py)?;
    let Some(walker) = state::lock().dumps.walker else { return Ok(()) };
    let fd = checked_descriptor(fd)?;
    // SAFETY: the caller has the file open for as long as this call takes.
    let mut file = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned().map(File::from)?;
    Ok(walk::write_reachable(walker, &starts, &mut file)?)
}

/// The mirrored layouts, for the tests to hold against CPython's own headers.
#[pyfunction(name = "_layout")]
pub fn layout() -> Vec<(&'static str, &'static str, usize)> {
    cpython::layout::table()
}

/// Has this process walk as on a CPython that nobody has seen yet, for the tests. To be called before anything else.
#[pyfunction(name = "_forget_layouts")]
pub fn forget_layouts() {
    cpython::fits::FORGOTTEN.store(true, Relaxed);
}

/// Addresses of the objects in the collector's lists, list by list; `None` where no known layout fits. For the tests: they
/// look at this interpreter's, or build some in memory of theirs, of which the first begins at `young` and the permanent
/// one is `frozen` long.
#[pyfunction(name = "_collector_lists", signature = (young=None, frozen=0))]
pub fn collector_lists(py: Python<'_>, young: Option<usize>, frozen: usize) -> Option<Vec<Vec<usize>>> {
    let lists = match young {
        // SAFETY: a test's word; no other caller exists. Nobody changes the lists while this thread has the GIL.
        Some(young) => unsafe { Lists::at(young, Some(frozen)) },
        None => Lists::find(py),
    };
    lists.map(|lists| lists.addresses().into())
}

/// Makes a walker that nobody gets, for the test that this leaves no trace in the interpreter.
#[pyfunction(name = "_make_walker")]
pub fn make_walker(py: Python<'_>) -> PyResult<()> {
    Walker::new(py).map(drop)
}

/// The interpreter is going (`atexit`).
#[pyfunction]
pub fn shut_down(py: Python<'_>) {
    py.detach(trigger::shut_down);
}

/// Python is about to fork (`os.register_at_fork`).
#[pyfunction]
pub fn fork_begins() {
    fork::python_fork_begins();
}

/// Python has forked.
#[pyfunction]
pub fn fork_is_over() {
    fork::python_fork_is_over();
}

fn dump(py: Python<'_>, target: Target, mode: Mode, signal: Option<i32>) -> PyResult<Option<PathBuf>> {
    prepare(py)?;
    let (values, min_free) = installed_values_and_min_free();
    let request = Request {
        reason: "call",
        signal,
        sender: None,
        at_ns: clock::now_ns(),
        target,
        mode,
        gil_timeout: None,
        values,
        min_free,
    };
    py.detach(|| snapshot::take(request, Attendant::NONE)).map_err(|Problem(text)| DumpError::new_err(text))
}

/// What becomes of values, and how much is to stay free on the disk: as installed, if anything is.
fn installed_values_and_min_free() -> (ValuesMode, u64) {
    let state = state::lock();
    state.installed.config.as_ref().map_or((ValuesMode::Full, MIN_FREE), |config| (config.values, config.min_free))
}

fn installed_mode() -> Mode {
    state::lock().installed.config.as_ref().map_or(Mode::Auto, |config| config.mode)
}

/// Makes what needs the GIL and a living interpreter: the walker, and what is known of Python.
fn prepare(py: Python<'_>) -> PyResult<()> {
    let signals = Signals::find(py);
    {
        let mut state = state::lock();
        state.installed.signals = state.installed.signals.or(signals);
    }
    if state::lock().dumps.walker.is_some() {
        return Ok(());
    }
    spare::set_aside()?;
    let mut walker = Walker::new(py)?;
    walker.settle(py);
    let sys = py.import("sys")?;
    let path: Vec<String> = sys.getattr("path")?.try_iter()?.filter_map(|entry| entry.ok()?.extract().ok()).collect();
    let version = py.version_info();
    let dumps = &mut state::lock().dumps;
    dumps.interpreter.version = format!("{}.{}.{}", version.major, version.minor, version.patch);
    dumps.interpreter.build = sys.getattr("version")?.extract()?;
    dumps.interpreter.path = path.into_iter().map(PathBuf::from).filter(|path| path.is_absolute()).collect();
    // Lives as long as the process, as the interpreter does.
    dumps.walker.get_or_insert_with(|| Box::leak(Box::new(walker)));
    Ok(())
}

/// Has Python report forks and the end of the interpreter; once, because neither can be taken back.
fn register_with_python(py: Python<'_>) -> PyResult<()> {
    static DONE: AtomicBool = AtomicBool::new(false);
    if DONE.swap(true, Relaxed) {
        return Ok(());
    }
    let native = py.import("heapsee._heapsee")?;
    py.import("atexit")?.call_method1("register", (native.getattr("shut_down")?,))?;
    let hooks = PyDict::new(py);
    hooks.set_item("before", native.getattr("fork_begins")?)?;
    hooks.set_item("after_in_parent", native.getattr("fork_is_over")?)?;
    hooks.set_item("after_in_child", native.getattr("fork_is_over")?)?;
    py.import("os")?.call_method("register_at_fork", (), Some(&hooks))?;
    Ok(())
}

fn checked_mode(mode: &str) -> PyResult<Mode> {
    Mode::named(mode)
        .ok_or_else(|| PyValueError::new_err(format!("mode is {mode:?}: it must be \"auto\", \"fork\" or \"inline\"")))
}

fn checked_values(values: &str) -> PyResult<ValuesMode> {
    ValuesMode::named(values).ok_or_else(|| {
        PyValueError::new_err(format!("values is {values:?}: it must be \"full\", \"hash\" or \"none\""))
    })
}

/// A number that can be a descriptor's; whether it is open the kernel says.
fn checked_descriptor(fd: RawFd) -> PyResult<RawFd> {
    if fd < 0 { Err(PyValueError::new_err(format!("{fd} is no file descriptor"))) } else { Ok(fd) }
}

/// Seconds to wait for the GIL.
fn checked_timeout(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero()).ok_or_else(|| {
        PyValueError::new_err(format!("gil_timeout is {seconds}: it must be a number of seconds above 0, or None"))
    })
}

/// A directory that exists: a mistake in its name should show at the installation, not at the first dump.
fn checked_directory(directory: PathBuf) -> PyResult<PathBuf> {
    let shown = directory.display();
    let refuse = |why: &str| Err(PyValueError::new_err(format!("cannot write dumps to {shown}: {why}")));
    if !directory.is_absolute() {
        return refuse("name it by its absolute path, a worker may change its working directory");
    }
    if directory.as_os_str().len() > DIRECTORY_LIMIT {
        return refuse(&format!("its name is longer than {DIRECTORY_LIMIT} bytes"));
    }
    match std::fs::metadata(&directory) {
        Ok(found) if found.is_dir() => Ok(directory),
        Ok(_) => refuse("it is not a directory"),
        Err(error) => refuse(&crate::problem::explain(&error)),
    }
}

/// `sys.version_info` of free-threaded builds looks like any other's; their version text tells.
pub fn is_free_threaded() -> bool {
    Python::version_str().contains("free-threading")
}
