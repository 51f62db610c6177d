//! The gate that holds forks up while a file is open for a moment, and reading files behind it.
//!
//! Below everything else: it knows neither what is read nor who forks (see [`crate::fork`]).

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

static GATE: Mutex<()> = Mutex::new(());

/// Holds forks up while a file is open for a moment: the child would keep its descriptor.
///
/// Keep it short. Taken before the lock of [`crate::state`], never after, and never while waiting for the GIL.
pub fn hold() -> MutexGuard<'static, ()> {
    GATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a whole file behind the gate.
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let _gate = hold();
    fs::read(path)
}

/// Reads a whole text behind the gate; what is not UTF-8 is replaced.
pub fn read_text(path: impl AsRef<Path>) -> io::Result<String> {
    read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
