//! What the program can be told to do, a file for each verb. Here: what they share on a terminal.

pub mod cut;
pub mod diff;
pub mod gc;
pub mod info;
pub mod packages;
pub mod path;
pub mod query;
mod question;
pub mod reconcile;
pub mod shell;
pub mod summary;
pub mod suspects;
pub mod threads;
pub mod top;
pub mod twins;
pub mod waste;

use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use crate::exit::say;
use crate::heap::Heap;
use crate::load::{LoadError, LoadOptions, load};

/// `--no-index`. For the whole process: dumps are read from deep inside of sessions, by a plain function.
static NO_INDEX: AtomicBool = AtomicBool::new(false);

/// From now on no index is used and none is made.
pub fn use_no_index() {
    NO_INDEX.store(true, Ordering::Relaxed);
}

/// Reads a dump for a verb that asks one question. Should the heap be lost meanwhile, there is no answer to come: the
/// program ends with one line.
pub fn load_with_progress(path: &Path, salvage: bool) -> Result<Heap, LoadError> {
    load_telling(path, salvage, Some(end))
}

/// Reads a dump for a session, which outlives the loss of a heap.
pub fn load_for_session(path: &Path, salvage: bool) -> Result<Heap, LoadError> {
    load_telling(path, salvage, None)
}

fn end(error: &LoadError) {
    say(error);
    std::process::exit(error.exit() as i32);
}

/// Reads a dump, or its index if it has one, with a progress bar on standard error, if that is a terminal, and its warnings
/// there in any case.
fn load_telling(path: &Path, salvage: bool, on_loss: Option<fn(&LoadError)>) -> Result<Heap, LoadError> {
    let bar = progress_bar();
    let progress = |done, size| {
        bar.set_length(size);
        bar.set_position(done);
    };
    let index = !NO_INDEX.load(Ordering::Relaxed);
    let options = LoadOptions { salvage, index, progress: (!bar.is_hidden()).then_some(&progress), on_loss };
    let heap = load(path, &options);
    bar.finish_and_clear();
    let heap = heap?;
    for warning in &heap.source().warnings {
        say(format_args!("{}: {warning}", path.display()));
    }
    Ok(heap)
}

/// Characters in a line of the terminal, if there is one.
pub(crate) fn screen_width() -> Option<usize> {
    terminal_size::terminal_size().map(|(width, _)| usize::from(width.0))
}

/// Lines of the terminal, if there is one.
pub(crate) fn screen_height() -> Option<usize> {
    terminal_size::terminal_size().map(|(_, height)| usize::from(height.0))
}

fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left");
    let bar = ProgressBar::new(0);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
