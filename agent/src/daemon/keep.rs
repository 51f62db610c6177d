//! What the daemon keeps on disk: a lock, so that it is alone, and its state, so that a restart forgets nothing.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Failure};
use crate::files;
use crate::rules::State;

/// The `schema` of the state file.
const SCHEMA: &str = "heapsee.agent.state/2";
/// Its predecessor, in which only the rules' identities look different: those are recognised one by one.
const SCHEMA_1: &str = "heapsee.agent.state/1";

/// The directory with both.
pub struct Keep {
    path: PathBuf,
    boot: String,
    written: Vec<u8>,
    /// Unlocked when it is closed.
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    schema: String,
    /// Moments and pids mean something within one boot only.
    boot: String,
    rules: State,
}

/// What was found of an earlier run.
pub enum Found {
    /// Nothing.
    Nothing,
    /// Its state.
    State(Box<State>),
    /// A state that is of no use, and why.
    Useless(String),
}

impl Keep {
    /// Makes the directory, takes the lock and sweeps what a daemon that was killed has left.
    pub fn open(directory: &Path) -> Result<Keep, Failure> {
        let failed = |error: io::Error| {
            Failure::new(
                Exit::Store,
                format!("the state directory {} cannot be used: {error}; set state in [agent]", directory.display()),
            )
        };
        files::make_directory(directory).map_err(failed)?;
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
        let mut lock = options.open(directory.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(another(&mut lock, directory)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Only for the message of `another`: the lock is the lock.
        let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        files::sweep(directory);
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map_err(failed)?.trim().to_owned();
        Ok(Keep { path: directory.join("state.json"), boot, written: Vec::new(), _lock: lock })
    }

    /// The state of an earlier run.
    pub fn load(&self) -> Found {
        match files::read_json::<Kept>(&self.path) {
            Ok(None) => Found::Nothing,
            Ok(Some(kept)) if kept.schema != SCHEMA && kept.schema != SCHEMA_1 => {
                Found::Useless(format!("its schema is {:?}, not {SCHEMA:?}", kept.schema))
            }
            Ok(Some(kept)) if kept.boot != self.boot => Found::Nothing,
            Ok(Some(kept)) => Found::State(Box::new(kept.rules)),
            Err(error) => Found::Useless(error.to_string()),
        }
    }

    /// Writes the state, if it has changed, in one step.
    pub fn save(&mut self, rules: &State) -> io::Result<()> {
        let kept = Kept { schema: SCHEMA.into(), boot: self.boot.clone(), rules: rules.clone() };
        let bytes = serde_json::to_vec(&kept)?;
        if bytes != self.written {
            files::replace(&self.path, &bytes)?;
            self.written = bytes;
        }
        Ok(())
    }
}

fn another(lock: &mut File, directory: &Path) -> Failure {
    let mut holder = String::new();
    let _ = lock.take(32).read_to_string(&mut holder);
    let holder = match holder.trim().parse::<u32>() {
        Ok(pid) => format!("process {pid}"),
        Err(_) => "another heapsee-agent".to_owned(),
    };
    Failure::new(
        Exit::Busy,
        format!(
            "{holder} is already running with the state directory {}: one agent a host is enough; stop it first",
            directory.display()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs;
    use heapsee_format::naming::temp_name;

    #[test]
    fn a_state_is_found_again_and_one_of_another_boot_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let mut keep = Keep::open(directory.path()).unwrap();
        assert!(matches!(keep.load(), Found::Nothing));
        let state: State = serde_json::from_str(r#"{"orders": 7}"#).unwrap();
        keep.save(&state).unwrap();
        assert!(matches!(keep.load(), Found::State(found) if *found == state));
        keep.boot = "another".into();
        assert!(matches!(keep.load(), Found::Nothing));
        std::fs::write(&keep.path, "{").unwrap();
        assert!(matches!(keep.load(), Found::Useless(_)));
    }

    #[test]
    fn a_state_of_version_1_is_taken_and_one_of_the_future_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let keep = Keep::open(directory.path()).unwrap();
        let state = include_str!("../rules/version_1/state.json").replace("BOOT", &keep.boot);
        std::fs::write(&keep.path, &state).unwrap();
        assert!(matches!(keep.load(), Found::State(_)));
        std::fs::write(&keep.path, state.replace(SCHEMA_1, "heapsee.agent.state/3")).unwrap();
        assert!(matches!(keep.load(), Found::Useless(why) if why.contains("heapsee.agent.state/3")));
    }

    #[test]
    fn a_state_that_was_never_finished_is_swept_and_others_files_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let start_time = procfs::own_start_time().unwrap();
        let unfinished = temp_name(std::process::id(), start_time + 1, 1);
        for name in [&*unfinished, ".heapsee-notes.tmp", "other"] {
            std::fs::write(directory.path().join(name), "{").unwrap();
        }
        let _keep = Keep::open(directory.path()).unwrap();
        let names = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.collect();
        names.sort();
        assert_eq!(names, [".heapsee-notes.tmp", "lock", "other"]);
    }

    #[test]
    fn only_one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let keep = Keep::open(directory.path()).unwrap();
        let failure = Keep::open(directory.path()).err().unwrap();
        assert_eq!(failure.exit, Exit::Busy);
        assert!(failure.message.contains(&format!("process {} is already running", std::process::id())), "{failure}");
        drop(keep);
        assert!(Keep::open(directory.path()).is_ok());
    }
}
