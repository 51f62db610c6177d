//! How the program ends: one list of exit codes, and the error that carries one with a sentence for a person.
//!
//! It does not print: `main` does, once, on one line.

use std::fmt::Write as _;

/// The exit codes. They are part of the interface: scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// The worker could not make the dump, refused it, or died before it was whole.
    DumpFailed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// There is no such process, worker or pidfile.
    NoSuchProcess = 3,
    /// The process is there, but would not answer the signal with a dump; it was left alone.
    NotArmed = 4,
    /// The kernel does not let this user look at the process, signal it, or read its file.
    Permission = 5,
    /// The dump is not what its sidecar says; the worker's files were kept.
    Verification = 6,
    /// The store cannot be written, or a disk failed; the worker's files were kept.
    Store = 7,
    /// The worker did not answer, or stopped making progress.
    Timeout = 8,
    /// Another dump is being taken by this user on this host.
    Busy = 9,
    /// The configuration is wrong, or cannot be read.
    Config = 10,
    /// No agent answers at the control socket.
    NoAgent = 11,
    /// A dump could not be shipped; it stays in the store.
    Shipping = 12,
    /// Interrupted (Ctrl-C or SIGTERM); the worker's files were kept.
    Interrupted = 130,
}

impl Exit {
    /// All of them, in the order of their numbers.
    pub const ALL: [Exit; 14] = [
        Exit::Ok,
        Exit::DumpFailed,
        Exit::Usage,
        Exit::NoSuchProcess,
        Exit::NotArmed,
        Exit::Permission,
        Exit::Verification,
        Exit::Store,
        Exit::Timeout,
        Exit::Busy,
        Exit::Config,
        Exit::NoAgent,
        Exit::Shipping,
        Exit::Interrupted,
    ];

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What it means, for `--help`.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Ok => "done",
            Exit::DumpFailed => "the worker could not make the dump, refused it, or died",
            Exit::Usage => "the command line is wrong",
            Exit::NoSuchProcess => "no such process, worker or pidfile",
            Exit::NotArmed => "the process is not armed; it was left alone",
            Exit::Permission => "permission denied",
            Exit::Verification => "the dump is not what its sidecar says; the worker's files were kept",
            Exit::Store => "the store cannot be written, or a disk failed; the worker's files were kept",
            Exit::Timeout => "the worker did not answer, or made no progress",
            Exit::Busy => "another dump is being taken",
            Exit::Config => "the configuration is wrong, or cannot be read",
            Exit::NoAgent => "no agent answers at the control socket",
            Exit::Shipping => "a dump could not be shipped; it stays in the store",
            Exit::Interrupted => "interrupted; the worker's files were kept",
        }
    }
}

/// The list of exit codes as `--help` shows it.
pub fn help() -> String {
    let mut text = String::from("Exit codes:\n");
    for exit in Exit::ALL {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "  {:>3}  {}", exit.code(), exit.meaning());
    }
    text
}

/// Why a command ended without doing what it was asked: what is wrong, where, and what to do, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// The sentence.
    pub message: String,
}

impl Failure {
    /// A failure with that exit code and sentence.
    pub fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure { exit, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_promised() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 130]);
    }

    #[test]
    fn help_lists_every_code() {
        let help = help();
        for exit in Exit::ALL {
            assert!(help.contains(&format!("{:>3}  {}", exit.code(), exit.meaning())), "{exit:?} is missing");
        }
    }
}
