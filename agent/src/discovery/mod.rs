//! Which Python workers there are on this host: the process table, read once, with what each process is.
//!
//! It sends nothing and changes nothing; choosing one to dump is `select`'s.

mod select;
mod servers;

use std::collections::HashMap;
use std::io;

use heapsee_format::control::ControlView;
use serde::Serialize;

pub use select::{Selection, choose, named};
pub use servers::Server;
use servers::{Hint, Recognised, is_spawned_child, python, recognise};

use crate::armed::{Refusal, Unarmed, Worker};
use crate::procfs::{self, Stat, Status};

/// What a worker's dump child calls itself (`comm`). It is a copy of the worker, command line and all, for the time of
/// a dump, and no process of the server's.
const DUMP_CHILD: &str = "heapsee-dump";

/// The environment variable by which operators label workers.
pub const LABEL: &str = "HEAPSEE_LABEL";

/// A process's part in its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It starts workers and serves nothing itself.
    Master,
    /// It serves.
    Worker,
    /// It was started by a worker, for purposes of the application's.
    Helper,
    /// It belongs to no server that is known here.
    Process,
}

/// A process, as far as it could be looked at.
#[derive(Clone)]
pub struct Process {
    /// Its pid here.
    pub pid: u32,
    /// Parent, name, start time.
    pub stat: Stat,
    /// User, pids, memory.
    pub status: Status,
    /// Command line or title.
    pub argv: Vec<String>,
    /// The kind of server it belongs to.
    pub server: Option<Server>,
    /// Its part in it.
    pub role: Role,
    /// The pid of its master.
    pub master: Option<u32>,
    /// The application's name.
    pub app: Option<String>,
    /// The Python version.
    pub python: Option<String>,
    /// What its control block says if it is armed, else why it is not.
    pub armed: Result<ControlView, Refusal>,
}

impl Process {
    /// Whether it would answer with a dump.
    pub fn is_armed(&self) -> bool {
        self.armed.is_ok()
    }

    /// What a person would call it: the application, else the server, else the process's name.
    pub fn name(&self) -> &str {
        self.app.as_deref().or(self.server.map(Server::name)).unwrap_or(&self.stat.comm)
    }

    /// How well `name` (as in `--name`) fits this process, if at all; less is better.
    fn matches(&self, name: &str) -> Option<u8> {
        let wanted = name.to_lowercase();
        let app = self.app.as_ref().map(|app| app.to_lowercase()).unwrap_or_default();
        let title = || self.argv.join(" ").to_lowercase();
        if app == wanted {
            Some(0)
        } else if app.contains(&wanted) {
            Some(1)
        } else if self.server.is_some_and(|server| server.name() == wanted) {
            Some(2)
        } else {
            (self.stat.comm.to_lowercase().contains(&wanted) || title().contains(&wanted)).then_some(3)
        }
    }
}

/// How much a scan shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Servers' processes, and whatever has a control block.
    Workers,
    /// Every Python process besides.
    AllPython,
    /// Every process.
    Everything,
}

/// What the application of a process with such a command line or title is called, if that says it; else its server.
pub fn app_of(argv: &[String]) -> Option<String> {
    recognise(argv).map(|found| found.app.unwrap_or_else(|| found.server.name().to_owned()))
}

/// Whether the copy of some worker, which may have died meanwhile, is writing a dump.
pub fn is_copying() -> io::Result<bool> {
    let is_at_it = |stat: Stat| is_copy(&stat) && !matches!(stat.state, 'Z' | 'X');
    Ok(procfs::pids()?.into_iter().any(|pid| procfs::stat(pid).is_ok_and(is_at_it)))
}

/// What is known of a process already, by its pid and start time: what its control block says, or why it is not armed.
pub type Known<'a> = &'a dyn Fn(u32, u64) -> Option<Result<ControlView, Refusal>>;

/// Looks at every process.
pub fn scan(scope: Scope) -> io::Result<Vec<Process>> {
    scan_knowing(scope, &|_, _| None)
}

/// Looks at every process, and into the open files of those only that are not known already: that costs the most.
pub fn scan_knowing(scope: Scope, known: Known<'_>) -> io::Result<Vec<Process>> {
    let table = read_table()?;
    let by_pid: HashMap<u32, usize> = table.iter().enumerate().map(|(i, entry)| (entry.pid, i)).collect();
    let parts = Parts::of(&table, &by_pid);
    let mut processes = Vec::new();
    for (i, entry) in table.iter().enumerate() {
        let look = || Worker::find(entry.pid).map(|worker| worker.view);
        let armed = known(entry.pid, entry.stat.start_time).unwrap_or_else(look);
        if matches!(armed, Err(Refusal::Gone)) {
            continue;
        }
        let interpreter = interpreter(entry);
        // A process that only inherited a block (or has one of another version) concerns the user as well.
        let has_block = !matches!(
            armed,
            Err(Refusal::Denied(_) | Refusal::Unsupported(_) | Refusal::Unarmed(Unarmed::NotInstalled))
        );
        let shown = match scope {
            Scope::Workers => parts.server[i].is_some() || has_block,
            Scope::AllPython => parts.server[i].is_some() || has_block || interpreter.is_some(),
            Scope::Everything => true,
        };
        if shown {
            processes.push(describe(entry, parts.part(&table, &by_pid, i), interpreter.flatten(), armed));
        }
    }
    Ok(processes)
}

/// What the process table says of one process.
struct Entry {
    pid: u32,
    stat: Stat,
    status: Status,
    argv: Vec<String>,
    recognised: Option<Recognised>,
}

fn is_copy(stat: &Stat) -> bool {
    stat.comm == DUMP_CHILD
}

fn read_table() -> io::Result<Vec<Entry>> {
    let own = std::process::id();
    // A process that ends meanwhile, or that hidepid hides, is left out.
    let entry = |pid| {
        let stat = procfs::stat(pid).ok().filter(|stat| !is_copy(stat))?;
        let status = procfs::status(pid).ok()?;
        let argv = procfs::command_line(pid).ok().filter(|argv| !argv.is_empty())?;
        let recognised = recognise(&argv);
        (pid != own).then_some(Entry { pid, stat, status, argv, recognised })
    };
    Ok(procfs::pids()?.into_iter().filter_map(entry).collect())
}

/// The part that one process plays.
struct Part {
    role: Role,
    server: Option<Server>,
    master: Option<u32>,
    app: Option<String>,
}

/// Which server each process of the table belongs to, and whether it has children of the same server.
struct Parts {
    server: Vec<Option<Server>>,
    has_children: Vec<bool>,
}

impl Parts {
    fn of(table: &[Entry], by_pid: &HashMap<u32, usize>) -> Parts {
        let mut server: Vec<Option<Server>> =
            table.iter().map(|entry| entry.recognised.as_ref().map(|found| found.server)).collect();
        for (i, entry) in table.iter().enumerate() {
            let parent = by_pid.get(&entry.stat.parent).map(|&parent| &table[parent]);
            let of_parent = parent.and_then(|parent| parent.recognised.as_ref()).map(|found| found.server);
            if server[i].is_none() && of_parent.is_some_and(Server::spawns) && is_spawned_child(&entry.argv) {
                server[i] = of_parent;
            }
        }
        let mut has_children = vec![false; table.len()];
        for (i, entry) in table.iter().enumerate() {
            if let Some(&parent) = by_pid.get(&entry.stat.parent)
                && server[i].is_some()
                && server[parent] == server[i]
            {
                has_children[parent] = true;
            }
        }
        Parts { server, has_children }
    }

    fn part(&self, table: &[Entry], by_pid: &HashMap<u32, usize>, i: usize) -> Part {
        let entry = &table[i];
        let app = entry.recognised.as_ref().and_then(|found| found.app.clone());
        let Some(server) = self.server[i] else {
            return Part { role: Role::Process, server: None, master: None, app };
        };
        let parent = self.parent_of(table, by_pid, i);
        let hint = entry.recognised.as_ref().map_or(Hint::None, |found| found.hint);
        let role = match (hint, parent) {
            (Hint::Master, _) => Role::Master,
            (Hint::Worker, _) => Role::Worker,
            (Hint::None, Some(parent)) if self.parent_of(table, by_pid, parent).is_none() => Role::Worker,
            (Hint::None, Some(_)) => Role::Helper,
            (Hint::None, None) if self.has_children[i] || server == Server::Gunicorn => Role::Master,
            (Hint::None, None) => Role::Worker,
        };
        let master = if role == Role::Master { None } else { parent.map(|parent| table[parent].pid) };
        let of_parent = || parent.and_then(|parent| table[parent].recognised.as_ref()?.app.clone());
        Part { role, server: Some(server), master, app: app.or_else(of_parent) }
    }

    /// The parent, if it belongs to the same server.
    fn parent_of(&self, table: &[Entry], by_pid: &HashMap<u32, usize>, i: usize) -> Option<usize> {
        let entry = &table[i];
        let &parent = by_pid.get(&entry.stat.parent)?;
        (self.server[parent] == self.server[i] && !is_new_master(entry)).then_some(parent)
    }
}

/// Whether a gunicorn process is a new master, started by the old one on SIGUSR2: it is told so in its environment,
/// which its workers inherit, but for them the pid is not their parent's.
fn is_new_master(entry: &Entry) -> bool {
    entry.recognised.as_ref().is_some_and(|found| found.server == Server::Gunicorn)
        && procfs::environment(entry.pid, "GUNICORN_PID")
            .is_ok_and(|pid| pid.is_some_and(|pid| pid == entry.stat.parent.to_string()))
}

/// Whether a process is a Python interpreter, and its version, if a name says so.
fn interpreter(entry: &Entry) -> Option<Option<String>> {
    let executable = procfs::executable(entry.pid).ok();
    let of_executable = executable.as_ref().and_then(|path| python(path.to_str()?));
    let found = of_executable.or_else(|| python(entry.argv.first()?));
    found.map(|version| version.map(str::to_owned))
}

fn describe(entry: &Entry, part: Part, interpreter: Option<String>, armed: Result<ControlView, Refusal>) -> Process {
    let python =
        armed.as_ref().ok().map(|view| view.python.clone()).filter(|python| !python.is_empty()).or(interpreter);
    Process {
        pid: entry.pid,
        stat: entry.stat.clone(),
        status: entry.status.clone(),
        argv: entry.argv.clone(),
        server: part.server,
        role: part.role,
        master: part.master,
        app: part.app,
        python,
        armed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a process tree (`pid parent command line`, one a line) and says who is what.
    fn check(tree: &str, expect: &str) {
        let table: Vec<Entry> = tree.trim().lines().map(|line| entry(line.trim())).collect();
        let by_pid: HashMap<u32, usize> = table.iter().enumerate().map(|(i, entry)| (entry.pid, i)).collect();
        let parts = Parts::of(&table, &by_pid);
        let mut got = String::new();
        for (i, entry) in table.iter().enumerate() {
            let part = parts.part(&table, &by_pid, i);
            let server = part.server.map_or("-", Server::name);
            let (role, app) = (part.role, part.app.as_deref().unwrap_or("-"));
            got += &format!("{} {server} {role:?} {app} {}\n", entry.pid, part.master.unwrap_or(0));
        }
        let expect: String = expect.trim().lines().map(|line| format!("{}\n", line.trim())).collect();
        assert_eq!(got, expect);
    }

    /// Pids beyond what a kernel gives out, so that no environment of a real process is read.
    fn entry(line: &str) -> Entry {
        let mut words = line.splitn(3, ' ');
        let mut number = || 1_000_000_000 + words.next().unwrap().parse::<u32>().unwrap();
        let (pid, parent) = (number(), number());
        let argv: Vec<String> = match words.next().unwrap() {
            title if title.contains(['[', '+']) => vec![title.replace('+', " ")],
            line => line.split(' ').map(str::to_owned).collect(),
        };
        let stat = Stat { comm: "x".into(), state: 'S', parent, start_time: 1 };
        let recognised = recognise(&argv);
        Entry { pid, stat, status: Status::default(), argv, recognised }
    }

    #[test]
    fn forked_workers_share_their_masters_command_line() {
        check(
            "1 0 /usr/bin/python3 /usr/bin/gunicorn -w 2 shop.wsgi
             2 1 /usr/bin/python3 /usr/bin/gunicorn -w 2 shop.wsgi
             3 1 /usr/bin/python3 /usr/bin/gunicorn -w 2 shop.wsgi
             4 3 /usr/bin/python3 /usr/bin/gunicorn -w 2 shop.wsgi",
            "1000000001 gunicorn Master shop.wsgi 0
             1000000002 gunicorn Worker shop.wsgi 1000000001
             1000000003 gunicorn Worker shop.wsgi 1000000001
             1000000004 gunicorn Helper shop.wsgi 1000000003",
        );
    }

    #[test]
    fn titles_say_it_themselves() {
        check(
            "1 0 gunicorn: master [shop]
             2 1 gunicorn: worker [shop]
             5 0 uWSGI+master
             6 5 uWSGI+worker+1",
            "1000000001 gunicorn Master shop 0
             1000000002 gunicorn Worker shop 1000000001
             1000000005 uwsgi Master - 0
             1000000006 uwsgi Worker - 1000000005",
        );
    }

    #[test]
    fn spawned_workers_take_after_their_parent() {
        check(
            "1 0 python3 -m uvicorn app:app --workers 2
             2 1 python3 -c from_multiprocessing.resource_tracker_import_main;main(4)
             3 1 python3 -c from_multiprocessing.spawn_import_spawn_main;spawn_main(1) --multiprocessing-fork",
            "1000000001 uvicorn Master app:app 0
             1000000002 - Process - 0
             1000000003 uvicorn Worker app:app 1000000001",
        );
    }

    #[test]
    fn a_server_of_one_process_is_a_worker() {
        check(
            "1 0 uvicorn app:app\n2 0 uwsgi --http :80",
            "1000000001 uvicorn Worker app:app 0\n1000000002 uwsgi Worker - 0",
        );
    }
}
