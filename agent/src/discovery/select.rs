//! Choosing the one process to dump from what the user said.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{Process, Role, Scope, scan};
use crate::armed::{Refusal, Worker};
use crate::exit::{Exit, Failure};
use crate::render;

/// What the user said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// That process and no other.
    Pid(u32),
    /// The master whose pid is in that file: its fattest armed worker, or itself if it has none.
    PidFile(PathBuf),
    /// The fattest armed process of that name.
    Name(String),
    /// The fattest armed process, of that name if there is one.
    Fattest(Option<String>),
}

/// The chosen process.
pub struct Choice {
    /// It, armed when it was looked at.
    pub process: Process,
    /// Why it was chosen, where that was not obvious.
    pub why: Option<String>,
}

/// Chooses.
pub fn choose(selection: &Selection) -> Result<Choice, Failure> {
    match selection {
        Selection::Pid(pid) => by_pid(*pid, scan_or_fail(Scope::Everything)?),
        Selection::PidFile(file) => by_pidfile(file),
        Selection::Name(name) | Selection::Fattest(Some(name)) => {
            let found = named(scan_or_fail(Scope::Workers)?, name);
            if found.is_empty() {
                return Err(Failure::new(
                    Exit::NoSuchProcess,
                    format!("there is no Python worker called {name:?}: `heapsee-agent list` shows those there are"),
                ));
            }
            fattest(found, &format!("called {name:?}"))
        }
        Selection::Fattest(None) => {
            let found = scan_or_fail(Scope::Workers)?;
            if found.is_empty() {
                return Err(Failure::new(
                    Exit::NoSuchProcess,
                    "there is no Python worker on this host that this user can see: is the server running?",
                ));
            }
            fattest(found, "on this host")
        }
    }
}

/// Keeps the processes that `name` means: by application if any is called so, else by server, else by title.
pub fn named(processes: Vec<Process>, name: &str) -> Vec<Process> {
    let best = processes.iter().filter_map(|process| process.matches(name)).min();
    processes.into_iter().filter(|process| best.is_some() && process.matches(name) == best).collect()
}

fn scan_or_fail(scope: Scope) -> Result<Vec<Process>, Failure> {
    scan(scope)
        .map_err(|error| Failure::new(Exit::Permission, format!("/proc cannot be read: {error}; is it mounted?")))
}

fn by_pid(pid: u32, processes: Vec<Process>) -> Result<Choice, Failure> {
    let workers = armed_workers_of(pid, &processes);
    match processes.into_iter().find(|process| process.pid == pid) {
        Some(process) if process.is_armed() => Ok(Choice { process, why: None }),
        // Not in the table: gone, a kernel thread, a zombie, or hidden. Look again, for the reason.
        other => {
            let refusal = other.and_then(|process| process.armed.err()).or_else(|| Worker::find(pid).err());
            let mut failure = refusal.unwrap_or(Refusal::Gone).into_failure(pid);
            if failure.exit == Exit::NotArmed && !workers.is_empty() {
                let list: Vec<String> = workers.iter().map(u32::to_string).collect();
                failure.message = format!(
                    "process {pid} is a master that is not armed and was left alone, but its workers are: use --pid {}",
                    list.join(" or --pid "),
                );
            }
            Err(failure)
        }
    }
}

fn armed_workers_of(master: u32, processes: &[Process]) -> Vec<u32> {
    processes.iter().filter(|process| process.master == Some(master) && process.is_armed()).map(|p| p.pid).collect()
}

fn by_pidfile(file: &Path) -> Result<Choice, Failure> {
    let pid = read_pidfile(file)?;
    let processes = scan_or_fail(Scope::Everything)?;
    let is_worker = |process: &Process| process.master == Some(pid) && process.role != Role::Helper;
    if !processes.iter().any(is_worker) {
        return by_pid(pid, processes).map_err(|failure| match failure.exit {
            Exit::NoSuchProcess => Failure::new(
                Exit::NoSuchProcess,
                format!("{} names process {pid}, which does not exist: is the server running?", file.display()),
            ),
            _ => failure,
        });
    }
    fattest(processes.into_iter().filter(is_worker).collect(), &format!("of master {pid}"))
}

/// The armed process with the most memory. `which` says of which ones, after "the fattest".
fn fattest(processes: Vec<Process>, which: &str) -> Result<Choice, Failure> {
    let (mut armed, unarmed): (Vec<Process>, Vec<Process>) = processes.into_iter().partition(Process::is_armed);
    armed.sort_by_key(|process| std::cmp::Reverse(process.status.rss));
    let count = armed.len();
    if let Some(process) = armed.into_iter().next() {
        let why = (count > 1).then(|| {
            let rss = render::bytes(process.status.rss);
            format!("process {} ({rss}) is the fattest of {count} armed processes {which}", process.pid)
        });
        return Ok(Choice { process, why });
    }
    // None would answer: say why of the one that would have been chosen.
    let wanted = unarmed.into_iter().max_by_key(|process| (process.role == Role::Worker, process.status.rss));
    let refusal = wanted.map(|process| (process.pid, process.armed.err().unwrap_or(Refusal::Gone)));
    let (pid, refusal) = refusal.unwrap_or((0, Refusal::Gone));
    let failure = refusal.into_failure(pid);
    Err(Failure::new(failure.exit, format!("no process {which} can be dumped: {}", failure.message)))
}

fn read_pidfile(file: &Path) -> Result<u32, Failure> {
    let mut text = String::new();
    let read = open_regular(file).and_then(|file| file.take(64).read_to_string(&mut text));
    if let Err(error) = read {
        let (exit, advice) = match error.kind() {
            io::ErrorKind::PermissionDenied => (Exit::Permission, "run as root or as the server's user"),
            _ => (Exit::NoSuchProcess, "is the server running, and is that its --pid file?"),
        };
        return Err(Failure::new(exit, format!("pidfile {}: {error}; {advice}", file.display())));
    }
    text.trim().parse().ok().filter(|&pid| pid > 0).ok_or_else(|| {
        Failure::new(
            Exit::NoSuchProcess,
            format!("pidfile {} does not hold a pid: is it the right file?", file.display()),
        )
    })
}

fn open_regular(file: &Path) -> io::Result<File> {
    if !std::fs::metadata(file)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    File::open(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::armed::Unarmed;
    use crate::discovery::Server;
    use crate::procfs::{Stat, Status};

    fn process(pid: u32, master: Option<u32>, app: &str, rss: u64, armed: Result<(), Refusal>) -> Process {
        let mut page = vec![0; heapsee_format::control::PAGE_SIZE];
        page[..8].copy_from_slice(&heapsee_format::control::MAGIC.to_ne_bytes());
        page[8..12].copy_from_slice(&heapsee_format::control::VERSION.to_ne_bytes());
        let view = heapsee_format::control::ControlView::decode(&page).unwrap();
        Process {
            pid,
            stat: Stat { comm: "gunicorn".into(), state: 'S', parent: 1, start_time: 1 },
            status: Status { rss, ..Status::default() },
            argv: vec!["/srv/cms/bin/gunicorn".into(), app.into()],
            server: Some(Server::Gunicorn),
            role: if master.is_some() { Role::Worker } else { Role::Master },
            master,
            app: Some(app.into()),
            python: None,
            armed: armed.map(|()| view),
        }
    }

    fn unarmed() -> Result<(), Refusal> {
        Err(Unarmed::NotInstalled.into())
    }

    #[test]
    fn the_fattest_armed_one_is_taken_and_that_is_said() {
        let all = vec![
            process(2, Some(1), "a", 5, Ok(())),
            process(3, Some(1), "a", 9, Ok(())),
            process(4, Some(1), "a", 99, unarmed()),
        ];
        let choice = fattest(all, "on this host").unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(choice.process.pid, 3);
        assert!(choice.why.is_some_and(|why| why.contains("the fattest of 2 armed processes on this host")));
    }

    #[test]
    fn when_none_is_armed_the_error_says_why() {
        let failure = fattest(vec![process(2, Some(1), "a", 5, unarmed())], "of master 1").err().unwrap();
        assert_eq!(failure.exit, Exit::NotArmed);
        assert!(failure.message.contains("process 2 is not armed and was left alone"), "{failure}");
    }

    #[test]
    fn an_unarmed_master_points_to_its_armed_workers() {
        let all = vec![process(1, None, "a", 5, unarmed()), process(2, Some(1), "a", 5, Ok(()))];
        let failure = by_pid(1, all).err().unwrap();
        assert_eq!(failure.exit, Exit::NotArmed);
        assert!(failure.message.ends_with("use --pid 2"), "{failure}");
    }

    #[test]
    fn an_application_of_that_name_goes_before_a_path_with_it() {
        let all = vec![process(1, None, "cms.wsgi", 5, Ok(())), process(2, None, "lms.wsgi", 9, Ok(()))];
        let pids: Vec<u32> = named(all, "CMS").iter().map(|process| process.pid).collect();
        assert_eq!(pids, [1]);
        let all = vec![process(1, None, "x", 5, Ok(())), process(2, None, "y", 9, Ok(()))];
        assert_eq!(named(all, "cms").len(), 2);
    }

    #[test]
    fn pidfiles_that_are_none() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x.pid");
        assert_eq!(read_pidfile(&file).unwrap_err().exit, Exit::NoSuchProcess);
        assert_eq!(read_pidfile(directory.path()).unwrap_err().exit, Exit::NoSuchProcess);
        for (text, expect) in [("12\n", Some(12)), ("0", None), ("-3", None), ("x", None), ("", None)] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(read_pidfile(&file).ok(), expect, "{text:?}");
        }
    }
}
