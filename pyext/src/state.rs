//! What this process remembers between calls: what is installed, what forks change, what dumps need and leave.
//!
//! One lock, held for moments only: never while waiting for the GIL, for a child or for a disk. That is what lets
//! forks take it (see [`crate::fork`]) and lets functions called with the GIL held take it too. Knows what it keeps,
//! and nothing of those who change it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use heapsee_format::meta;
use heapsee_format::salted::Salt;
use pyo3::prelude::*;

use crate::config::Config;
use crate::cpython::runtime::Signals;
use crate::signal_action::{Handler, Hook};
use crate::walk::Walker;
use crate::walk::around::Around;

/// The interpreter, as far as it does not change.
#[derive(Clone, Debug, Default)]
pub struct PythonRelease {
    /// `3.11.7`.
    pub version: String,
    /// `sys.version`.
    pub build: String,
    /// `sys.path` at the time of the installation or of the last call from Python.
    pub path: Vec<PathBuf>,
}

/// Top-level module → distribution.
pub type Distributions = BTreeMap<String, meta::Distribution>;

/// See the module's text.
pub struct State {
    /// What is installed.
    pub installed: Installed,
    /// What is known of forks.
    pub forks: Forks,
    /// What dumps need and leave.
    pub dumps: Dumps,
    /// The interpreter is going: nobody may ask for the GIL any more who has no claim to it.
    pub shutting_down: bool,
}

/// The part of the state that installing and uninstalling change.
pub struct Installed {
    /// What was asked for, if anything is installed.
    pub config: Option<Config>,
    /// The handler that is in place.
    pub handler: Option<Handler>,
    /// Per signal, what is known from its first installation.
    pub hooks: BTreeMap<i32, Hook>,
    /// Signals that Python ignores on our account: see `trigger::reserve`.
    pub reserved: BTreeSet<i32>,
    /// Where Python says that a signal waits for the main thread; none where that is not known.
    pub signals: Option<Signals>,
    /// Somebody installs or uninstalls.
    pub changing: bool,
    /// Watcher threads alive: 0 or 1.
    pub watchers: u32,
    /// The watcher is to end.
    pub watcher_stops: bool,
}

/// The part of the state that forks change.
pub struct Forks {
    /// The thread that holds this lock over a fork is inside Python's own fork.
    pub by_python: bool,
    /// False in a child of Python's fork until the interpreter has been repaired there.
    pub python_ready: bool,
    /// Why the last fork's child could not be armed.
    pub rearm_error: Option<String>,
}

/// The part of the state that dumps need and leave.
pub struct Dumps {
    /// The walker, once made. Lives as long as the process.
    pub walker: Option<&'static Walker>,
    /// The interpreter.
    pub interpreter: PythonRelease,
    /// The salt of hashed values, once there is one. Forked children keep it.
    pub salt: Option<Salt>,
    /// Distributions by module, once looked for.
    pub distributions: Option<Arc<Distributions>>,
    /// Bytes of the last dump that was published; 0: none yet.
    pub last_size: u64,
    /// What walks step around, since one has crashed there; none: nothing.
    pub around: Option<Arc<Around>>,
    /// A dump is under way.
    pub under_way: bool,
    /// A thread waits for the GIL on the watcher's behalf, or has it.
    pub asks_for_gil: bool,
    /// What that thread is to do once it has it.
    pub gil_order: Option<Order>,
}

/// What the thread that asks for the GIL is to do with it.
pub type Order = Box<dyn FnOnce(Python<'_>) + Send>;

static STATE: Mutex<State> = Mutex::new(State {
    installed: Installed {
        config: None,
        handler: None,
        hooks: BTreeMap::new(),
        reserved: BTreeSet::new(),
        signals: None,
        changing: false,
        watchers: 0,
        watcher_stops: false,
    },
    forks: Forks { by_python: false, python_ready: true, rearm_error: None },
    dumps: Dumps {
        walker: None,
        interpreter: PythonRelease { version: String::new(), build: String::new(), path: Vec::new() },
        salt: None,
        distributions: None,
        last_size: 0,
        around: None,
        under_way: false,
        asks_for_gil: false,
        gil_order: None,
    },
    shutting_down: false,
});

static CHANGED: Condvar = Condvar::new();

/// The state, locked. See the module's text for what may be done meanwhile.
pub fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says that something others may wait for has changed.
pub fn notify() {
    CHANGED.notify_all();
}

/// Waits until `ready`. The GIL must not be held: whom we wait for may need it.
pub fn wait_until(ready: impl Fn(&State) -> bool) -> MutexGuard<'static, State> {
    let mut state = lock();
    while !ready(&state) {
        state = CHANGED.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    state
}

/// One of the flags that one thread at a time may have.
#[derive(Clone, Copy)]
pub enum Turn {
    /// To take a dump.
    Dump,
    /// To install or uninstall.
    Install,
}

impl Turn {
    fn flag(self, state: &mut State) -> &mut bool {
        match self {
            Turn::Dump => &mut state.dumps.under_way,
            Turn::Install => &mut state.installed.changing,
        }
    }

    /// Waits for the turn. The GIL must not be held.
    pub fn take(self) -> TurnGuard {
        let mut state = wait_until(|state| match self {
            Turn::Dump => !state.dumps.under_way,
            Turn::Install => !state.installed.changing,
        });
        *self.flag(&mut state) = true;
        TurnGuard(self)
    }
}

/// Ends the turn when dropped.
pub struct TurnGuard(Turn);

impl Drop for TurnGuard {
    fn drop(&mut self) {
        *self.0.flag(&mut lock()) = false;
        notify();
    }
}
