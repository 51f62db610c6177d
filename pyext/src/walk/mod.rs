//! The walk: every object of a heap that holds still, written as lines.
//!
//! The heap holds still because it is a forked copy with one thread, or because this thread has the GIL. The walk runs
//! no Python code, changes no reference count of the objects it meets, and allocates through Rust's global allocator
//! alone. How CPython lays things out is [`crate::cpython`]'s business; where the lines go is the [`Sink`]'s.

use std::collections::BTreeMap;
use std::io;

use heapsee_format::meta;
use pyo3::prelude::*;

/// What a walker can refuse to be made for.
#[derive(Debug, thiserror::Error)]
pub enum WalkerError {
    /// The interpreter is not one this build knows.
    #[error("{0}")]
    Unsupported(String),
}

/// What walks of this interpreter need to know; made once.
pub struct Walker {}

/// The roots of one moment. Holds strong references to the frames of all threads: drop it with the GIL held.
pub struct Moment {}

/// How to walk.
#[derive(Clone, Copy, Debug)]
pub struct WalkOptions {
    /// This is a forked copy: CPython's allocators may be pointed at [`crate::arena`].
    pub in_child: bool,
}

/// Where lines go.
pub trait Sink {
    /// Takes `count` whole lines.
    fn write(&mut self, lines: &[u8], count: u64) -> io::Result<()>;
    /// Says how far the walk is: objects and bytes written, and the type of the object it is about to visit.
    /// Called for every object: must be cheap.
    fn progress(&mut self, objects: u64, bytes: u64, current_type: u64);
}

/// What a walk found beside the lines.
#[derive(Debug, Default)]
pub struct Report {
    /// Lines, references, bytes.
    pub counts: meta::Counts,
    /// Threads with their stacks.
    pub threads: Vec<meta::Thread>,
    /// Where reachability starts.
    pub roots: Vec<meta::Root>,
    /// Types by address.
    pub types: BTreeMap<u64, meta::Type>,
    /// How many types were left out of `types`.
    pub types_left_out: u64,
    /// Names of the loaded top-level modules.
    pub modules: Vec<String>,
}

impl Walker {
    /// Looks at the interpreter and checks what the walk will rely on.
    ///
    /// # Errors
    /// An interpreter that cannot be walked.
    pub fn new(_py: Python<'_>) -> Result<Walker, WalkerError> {
        Ok(Walker {})
    }

    /// One line on how heaps are walked here, for `status()`.
    pub fn describe(&self) -> String {
        String::new()
    }

    /// Takes hold of the roots of this moment. Microseconds: the worker is paused meanwhile.
    pub fn hold(&self, _py: Python<'_>) -> Moment {
        Moment {}
    }
}

/// Walks the heap.
///
/// # Errors
/// What the sink returns.
///
/// # Safety
/// The heap must not change: this is a forked copy with one thread, or this thread holds the GIL until it returns.
pub unsafe fn walk(_walker: &Walker, _moment: &Moment, _options: &WalkOptions, _sink: &mut dyn Sink) -> io::Result<Report> {
    Ok(Report::default())
}

/// Bytes of `object` alone, as its line would say.
pub fn size_of(_walker: &Walker, _object: &Bound<'_, PyAny>) -> u64 {
    0
}

/// What `object` refers to, as its line would say.
pub fn referents<'py>(_walker: &Walker, _object: &Bound<'py, PyAny>) -> Vec<Bound<'py, PyAny>> {
    Vec::new()
}
