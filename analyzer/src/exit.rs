//! How the program ends: its exit codes, and the one-line message that goes with a failure.

use std::process::ExitCode;

/// The exit codes; `heapsee --help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well. Also when the reader of our output went away.
    Ok = 0,
    /// A command failed, or the dump's content is bad.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// An input cannot be read: missing, not permitted, a directory.
    Input = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command ends without having done its work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// One line: what is wrong, where, and what to do.
    pub message: String,
}

impl From<crate::load::LoadError> for Failure {
    fn from(error: crate::load::LoadError) -> Self {
        Failure { exit: error.exit(), message: error.to_string() }
    }
}

/// Tells the person at the terminal something, on standard error. That nobody listens there is no failure.
pub fn say(message: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "heapsee: {message}");
}

/// The result of writing to standard output. That its reader went away (`| head`) is no failure.
pub fn written(result: std::io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure { exit: Exit::Failed, message: format!("cannot write to standard output: {error}") })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn codes_are_what_the_help_says() {
        assert_eq!([Exit::Ok as u8, Exit::Failed as u8, Exit::Usage as u8, Exit::Input as u8], [0, 1, 2, 3]);
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        assert_eq!(written(Err(Error::from(ErrorKind::BrokenPipe))), Ok(()));
        assert!(written(Err(Error::from(ErrorKind::StorageFull))).is_err());
    }
}
