//! What `install_memory_dumper` can be asked for. Values only: nothing here acts on them.

use std::path::PathBuf;
use std::time::Duration;

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
    /// How long a dump waits for the GIL before it does without; `None`: without limit.
    pub gil_timeout: Option<Duration>,
    /// What becomes of values.
    pub values: ValuesMode,
    /// Bytes that dumps leave free where they are written to.
    pub min_free: u64,
}
