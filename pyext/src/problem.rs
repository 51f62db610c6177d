//! What went wrong, in one line that says where and what to do.
//!
//! Also used in the dump child, where libc's `strerror` must not be called (it takes locks and allocates): the texts
//! of error numbers come from a table.

use std::io;
use std::path::Path;

use nix::errno::Errno;

/// What was asked cannot be done; the text is for the person who asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Problem(pub String);

impl Problem {
    /// `doing` what (`"create a file in"`) to `path` failed with `error`.
    pub fn io(doing: &str, path: &Path, error: &io::Error) -> Problem {
        Problem(format!("cannot {doing} {}: {}", path.display(), explain(error)))
    }

    /// The same for an error number.
    pub fn errno(doing: &str, path: &Path, errno: Errno) -> Problem {
        Problem::io(doing, path, &errno.into())
    }
}

/// An error's text, with advice where there is some.
pub fn explain(error: &io::Error) -> String {
    let Some(code) = error.raw_os_error() else {
        return error.to_string();
    };
    let errno = Errno::from_raw(code);
    let text = errno.desc();
    match advice(errno) {
        Some(advice) => format!("{text} ({errno:?}): {advice}"),
        None => format!("{text} ({errno:?})"),
    }
}

fn advice(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::ENOSPC => "free some space there or have dumps written elsewhere",
        Errno::EDQUOT => "the disk quota is used up: free some space or have dumps written elsewhere",
        Errno::EROFS => "have dumps written to a file system that is not read-only",
        Errno::EACCES | Errno::EPERM => "the worker's user must be allowed to create files there",
        Errno::ENOENT => "create the directory or have dumps written elsewhere",
        Errno::ENOTDIR => "name a directory",
        Errno::EISDIR => "name a file, not a directory",
        Errno::EFBIG => "the worker's file size limit (ulimit -f) or the file system does not allow a file so large",
        Errno::EMFILE => "the worker's limit of open files (ulimit -n) is reached",
        Errno::ENFILE => "the machine's limit of open files is reached",
        Errno::ENAMETOOLONG => "choose a shorter directory name",
        Errno::ENOMEM => "the machine or the worker's cgroup is out of memory",
        Errno::EAGAIN => {
            "the limit of processes or threads (ulimit -u, pids.max) or of address space (ulimit -v) is reached"
        }
        Errno::EIO => "look at the machine's disks and its kernel log",
        _ => return None,
    })
}
