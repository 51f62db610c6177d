//! Looking at the workers again and again without costing the host anything: who there is, is found out now and then;
//! those that are known are held by their pidfds and read directly.

use std::collections::{BTreeMap, HashMap};
use std::io;

use heapsee_format::control::ControlView;
use rustix::time::{ClockId, clock_gettime};
use tracing::debug;

use crate::armed::{Refusal, Worker, user_name};
use crate::discovery::{LABEL, Process, Role, Scope, Server, is_copying, scan_knowing};
use crate::host::{self, cgroup};
use crate::look::{Host, Id, Look, Moment, Needs, Resource, Seen};
use crate::procfs;

/// Every so many looks the whole process table is read. It is read at once when a worker that was known is gone.
const FULL_EVERY: u32 = 6;

/// Everything that is known of the workers.
#[derive(Default)]
pub struct Observer {
    known: Vec<Known>,
    looks: u32,
}

/// A worker, with what does not change in its life.
struct Known {
    process: Process,
    /// Held, if it was armed.
    worker: Option<Worker>,
    group: cgroup::Membership,
    label: Option<String>,
    user: String,
}

impl Known {
    fn new(process: Process) -> Known {
        Known {
            worker: None,
            group: cgroup::of(process.pid),
            label: procfs::environment(process.pid, LABEL).ok().flatten(),
            user: user_name(process.status.uid),
            process,
        }
    }

    /// Whether it was armed when it was last looked at, and is held.
    fn is_held(&self) -> bool {
        self.worker.is_some() && self.process.is_armed()
    }

    /// Looks again; `false` if it is gone.
    fn refresh(&mut self) -> bool {
        let pid = self.process.pid;
        let Some(worker) = &self.worker else {
            let (Ok(stat), Ok(status)) = (procfs::stat(pid), procfs::status(pid)) else { return false };
            self.process.status = status;
            return stat.start_time == self.process.stat.start_time && !matches!(stat.state, 'Z' | 'X');
        };
        match worker.glance() {
            Err(Refusal::Gone) => false,
            // What cannot be read now can perhaps with the next look.
            Err(refusal) => {
                self.process.armed = Err(refusal);
                true
            }
            Ok((status, armed)) => {
                (self.process.status, self.process.armed) = (status, armed);
                true
            }
        }
    }

    fn seen(&self, needs: &Needs, requests: &HashMap<u32, u64>) -> Seen {
        let process = &self.process;
        let view = process.armed.as_ref().ok();
        let rss = process.status.rss;
        let wants_pss = needs.pss_above.is_some_and(|least| rss >= least);
        let own_pid = process.status.own_pid().unwrap_or(process.pid);
        Seen {
            id: id(process),
            app: process.name().to_owned(),
            service: self.service(),
            server: process.server.map(|server| server.name().to_owned()),
            unit: self.group.unit.clone(),
            container: self.group.container.clone(),
            cgroup: self.group.memory.path.clone(),
            command: process.argv.join(" "),
            user: self.user.clone(),
            label: self.label.clone(),
            armed: view.is_some(),
            dumping: view.is_some_and(|view| view.started > view.finished),
            finished: view.map_or(0, |view| view.finished),
            published: view.map_or(0, ControlView::outcomes),
            rss,
            pss: wants_pss.then(|| procfs::pss(process.pid).ok()).flatten(),
            requests: (process.server == Some(Server::Uwsgi)).then(|| requests.get(&own_pid).copied()).flatten(),
            age: procfs::age(process.stat.start_time),
        }
    }

    /// What it has in common with the other workers of its service.
    fn service(&self) -> String {
        match (&self.group.unit, &self.group.container, self.process.server) {
            (_, _, Some(server)) => format!("{}:{}", server.name(), self.process.name()),
            (Some(unit), _, None) => unit.clone(),
            (None, Some(container), None) => container.clone(),
            // Not the command line, which may hold secrets, while this goes into the log.
            (None, None, None) => self.process.name().to_owned(),
        }
    }
}

/// Which process it is.
pub fn id(process: &Process) -> Id {
    Id { pid: process.pid, start_time: process.stat.start_time }
}

/// The moment that it is now.
pub fn now() -> Moment {
    let now = clock_gettime(ClockId::Boottime);
    let (seconds, nanoseconds) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    Moment(seconds.saturating_mul(1000) + nanoseconds / 1_000_000)
}

impl Observer {
    /// Looks. An error means that nothing is known, and that nothing should be decided.
    pub fn look(&mut self, needs: &Needs) -> io::Result<Look> {
        let before = self.known.len();
        self.known.retain_mut(Known::refresh);
        if self.looks.is_multiple_of(FULL_EVERY) || self.known.len() < before {
            self.scan()?;
            self.looks = 0;
        }
        self.looks += 1;
        let requests = requests(needs);
        let workers: Vec<&Known> = self.known.iter().filter(|known| is_worker(&known.process)).collect();
        let mut groups = BTreeMap::new();
        if needs.groups {
            for known in &workers {
                groups.entry(known.group.memory.path.clone()).or_insert_with(|| known.group.read());
            }
        }
        Ok(Look {
            now: now(),
            wall: jiff::ZonedDateTime::now().datetime(),
            workers: workers.iter().map(|known| known.seen(needs, &requests)).collect(),
            groups,
            copying: needs.copies && is_copying()?,
            host: Host {
                memory: host::memory(),
                memory_pressure: host::pressure(Resource::Memory.name()),
                io_pressure: host::pressure(Resource::Io.name()),
                cpu_pressure: host::pressure(Resource::Cpu.name()),
                store_full: None,
            },
        })
    }

    /// Has the next look read the process table.
    pub fn look_closely(&mut self) {
        self.looks = 0;
    }

    /// Reads the process table, and keeps what is known of those that are still there.
    fn scan(&mut self) -> io::Result<()> {
        let mut before: HashMap<Id, Known> = self.known.drain(..).map(|known| (id(&known.process), known)).collect();
        let armed = |pid, start_time| {
            let known = before.get(&Id { pid, start_time }).filter(|known| known.is_held())?;
            Some(known.process.armed.clone())
        };
        let processes = scan_knowing(Scope::Workers, &armed)?;
        for process in processes {
            let mut known = match before.remove(&id(&process)) {
                // A process may have become another program since.
                Some(known) if known.process.argv == process.argv => {
                    // One that is no longer armed may have been armed anew, with another control block.
                    let worker = if known.is_held() { known.worker } else { None };
                    // And it may have been moved: service managers do that when they have started it.
                    Known { worker, group: cgroup::of(process.pid), process, ..known }
                }
                _ => Known::new(process),
            };
            if known.worker.is_none() && known.process.is_armed() {
                let found = Worker::find(known.process.pid);
                known.worker = found.ok().filter(|worker| worker.start_time == known.process.stat.start_time);
            }
            self.known.push(known);
        }
        Ok(())
    }

    /// Whether the process table was read in the last look.
    pub fn has_scanned(&self) -> bool {
        self.looks == 1
    }

    /// The processes, as they were seen last.
    pub fn processes(&self) -> Vec<Process> {
        self.known.iter().map(|known| known.process.clone()).collect()
    }

    /// One of them.
    pub fn process(&self, id: Id) -> Option<&Process> {
        self.known.iter().map(|known| &known.process).find(|process| self::id(process) == id)
    }
}

/// Masters serve nothing, and helpers are no workers, unless they are armed.
fn is_worker(process: &Process) -> bool {
    process.is_armed() || matches!(process.role, Role::Worker | Role::Process)
}

fn requests(needs: &Needs) -> HashMap<u32, u64> {
    let mut requests = HashMap::new();
    for address in &needs.stats {
        match host::requests(address) {
            Ok(workers) => requests.extend(workers),
            Err(error) => debug!(%address, %error, "the stats server does not answer"),
        }
    }
    requests
}
