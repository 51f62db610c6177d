//! How the program ends: its exit codes, and the one-line message that goes with a failure.

use std::process::ExitCode;

use heapsee_heap::load::LoadError;

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

impl From<&LoadError> for Exit {
    fn from(error: &LoadError) -> Self {
        match error {
            LoadError::NotFound(_) | LoadError::Directory(_) | LoadError::Permission(_) | LoadError::Io { .. } => {
                Exit::Input
            }
            LoadError::Shrunk(_)
            | LoadError::Changed(_)
            | LoadError::Empty(_)
            | LoadError::NotADump { .. }
            | LoadError::Truncated { .. }
            | LoadError::Damaged { .. }
            | LoadError::LineTooLong { .. }
            | LoadError::Memory { .. }
            | LoadError::TooLarge { .. } => Exit::Failed,
        }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Failure { exit: Exit::from(&error), message: error.to_string() }
    }
}

/// Tells the person at the terminal something, on standard error. That nobody listens there is no failure.
pub fn report(message: impl std::fmt::Display) {
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
    fn what_cannot_be_read_has_a_code_of_its_own() {
        use heapsee_heap::load::{LoadOptions, load};
        let folder = tempfile::tempdir().unwrap();
        let exit = |path: &std::path::Path| Exit::from(&load(path, &LoadOptions::default()).err().unwrap());
        assert_eq!([exit(folder.path()), exit(&folder.path().join("gone"))], [Exit::Input; 2]);
        assert_eq!(Exit::from(&LoadError::Permission(folder.path().to_owned())), Exit::Input);
        let empty = folder.path().join("empty");
        std::fs::write(&empty, "").unwrap();
        assert_eq!(exit(&empty), Exit::Failed);
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        assert_eq!(written(Err(Error::from(ErrorKind::BrokenPipe))), Ok(()));
        assert!(written(Err(Error::from(ErrorKind::StorageFull))).is_err());
    }
}
