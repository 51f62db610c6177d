//! What this process remembers between calls: what is installed, which walker there is, who is busy.
//!
//! One lock, held for moments only: never while waiting for the GIL, for a child or for a disk. That is what lets
//! forks take it (see [`crate::fork`]) and lets functions called with the GIL held take it too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use heapsee_format::meta;
use heapsee_format::salted::Salt;

use crate::cpython::runtime::Signals;
use crate::snapshot::gil::Order;
use crate::trigger::handler::{Hook, Installed};
use crate::walk::Walker;
use crate::walk::around::Around;

/// How a dump holds the heap still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By a fork; in the worker itself where no process can be cloned at all.
    Auto,
    /// By a fork only.
    Fork,
    /// In the worker itself, with the GIL held for the whole walk.
    Inline,
}

impl Mode {
    /// The mode called `name`.
    pub fn named(name: &str) -> Option<Mode> {
        Some(match name {
            "auto" => Mode::Auto,
            "fork" => Mode::Fork,
            "inline" => Mode::Inline,
            _ => return None,
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Auto => "auto",
            Mode::Fork => "fork",
            Mode::Inline => "inline",
        }
    }
}

/// What becomes of values in dumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValuesMode {
    /// They are written.
    Full,
    /// A salted hash stands for each.
    Hash,
    /// They are left out.
    None,
}

impl ValuesMode {
    /// The mode called `name`.
    pub fn named(name: &str) -> Option<ValuesMode> {
        Some(match name {
            "full" => ValuesMode::Full,
            "hash" => ValuesMode::Hash,
            "none" => ValuesMode::None,
            _ => return None,
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            ValuesMode::Full => "full",
            ValuesMode::Hash => "hash",
            ValuesMode::None => "none",
        }
    }
}

/// What `install_memory_dumper` was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The signal that asks for a dump.
    pub signal: i32,
    /// Where dumps go; absolute.
    pub directory: PathBuf,
    /// How dumps are taken.
    pub mode: Mode,
    /// A handler that was there is called too.
    pub chain: bool,
    /// How long a dump waits for the GIL before it does without; `None`: for ever.
    pub gil_timeout: Option<Duration>,
    /// What becomes of values.
    pub values: ValuesMode,
    /// Bytes that dumps leave free where they are written to.
    pub min_free: u64,
}

/// The interpreter, as far as it does not change.
#[derive(Clone, Debug, Default)]
pub struct Interpreter {
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
    /// What is installed, if anything is.
    pub config: Option<Config>,
    /// The handler that is installed.
    pub installed: Option<Installed>,
    /// Per signal, what is known from its first installation.
    pub hooks: BTreeMap<i32, Hook>,
    /// Signals that Python was told to ignore on our account: see `trigger::reserve`.
    pub reserved: BTreeSet<i32>,
    /// The walker, once made. Lives as long as the process.
    pub walker: Option<&'static Walker>,
    /// The interpreter.
    pub interpreter: Interpreter,
    /// The salt of hashed values, once there is one. Forked children keep it.
    pub salt: Option<Salt>,
    /// Where Python says that a signal waits for the main thread; none where that is not known.
    pub signals: Option<Signals>,
    /// Distributions by module, once looked for.
    pub distributions: Option<Arc<Distributions>>,
    /// Bytes of the last dump that was published; 0: none yet.
    pub last_size: u64,
    /// What walks step around, since one has crashed there; none: nothing.
    pub around: Option<Arc<Around>>,
    /// Somebody installs or uninstalls.
    pub installing: bool,
    /// A dump is under way.
    pub dumping: bool,
    /// Watcher threads alive: 0 or 1.
    pub watchers: u32,
    /// The watcher is to end.
    pub watcher_stops: bool,
    /// A thread waits for the GIL on the watcher's behalf, or has it.
    pub asks_for_gil: bool,
    /// What that thread is to do once it has it.
    pub gil_order: Option<Order>,
    /// The interpreter is going: nobody may ask for the GIL any more who has no claim to it.
    pub shutting_down: bool,
    /// The thread that holds this lock over a fork is inside Python's own fork.
    pub python_forks: bool,
    /// False in a child of Python's fork until the interpreter has been repaired there.
    pub python_ready: bool,
    /// Why the last fork's child could not be armed.
    pub rearm_error: Option<String>,
}

static STATE: Mutex<State> = Mutex::new(State {
    config: None,
    installed: None,
    hooks: BTreeMap::new(),
    reserved: BTreeSet::new(),
    walker: None,
    interpreter: Interpreter { version: String::new(), build: String::new(), path: Vec::new() },
    salt: None,
    signals: None,
    distributions: None,
    last_size: 0,
    around: None,
    installing: false,
    dumping: false,
    watchers: 0,
    watcher_stops: false,
    asks_for_gil: false,
    gil_order: None,
    shutting_down: false,
    python_forks: false,
    python_ready: true,
    rearm_error: None,
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
    /// `dumping`.
    Dump,
    /// `installing`.
    Install,
}

impl Turn {
    fn flag(self, state: &mut State) -> &mut bool {
        match self {
            Turn::Dump => &mut state.dumping,
            Turn::Install => &mut state.installing,
        }
    }

    /// Waits for the turn. The GIL must not be held.
    pub fn take(self) -> TurnGuard {
        let mut state = wait_until(|state| match self {
            Turn::Dump => !state.dumping,
            Turn::Install => !state.installing,
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
