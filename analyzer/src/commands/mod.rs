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

use indicatif::{ProgressBar, ProgressStyle};

use crate::exit::{Exit, report};
use heapsee_heap::heap::Heap;
use heapsee_heap::load::{LoadError, LoadOptions, load};

/// How dumps are read, whatever the verb.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// Whether indexes are used and left behind.
    pub index: bool,
}

impl Reader {
    /// Reads a dump for a verb that asks one question. Should the heap be lost meanwhile, there is no answer to come:
    /// the program ends with one line.
    pub fn read(self, path: &Path, salvage: bool) -> Result<Heap, LoadError> {
        self.read_or(path, salvage, Some(end))
    }

    /// Reads a dump for a session, which outlives the loss of a heap.
    pub fn read_for_session(self, path: &Path, salvage: bool) -> Result<Heap, LoadError> {
        self.read_or(path, salvage, None)
    }

    /// Reads a dump, or its index if it has one, with a progress bar on standard error, if that is a terminal, and its
    /// warnings there in any case.
    fn read_or(self, path: &Path, salvage: bool, on_loss: Option<fn(&LoadError)>) -> Result<Heap, LoadError> {
        let bar = progress_bar();
        let progress = |done, size| {
            bar.set_length(size);
            bar.set_position(done);
        };
        let progress = (!bar.is_hidden()).then_some(&progress as &(dyn Fn(u64, u64) + Sync));
        let heap = load(path, &LoadOptions { salvage, index: self.index, progress, on_loss });
        bar.finish_and_clear();
        let heap = heap?;
        for warning in &heap.source().warnings {
            report(format_args!("{}: {warning}", path.display()));
        }
        Ok(heap)
    }
}

fn end(error: &LoadError) {
    report(error);
    std::process::exit(Exit::from(error) as i32);
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
