//! What the rules are told: one look at the workers, their cgroups and the host. Values only; who reads them from
//! where is not said here.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::config::{Event, Resource, Select};

/// A moment of this boot, in milliseconds since it began. It never runs backwards, and goes on in a suspend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(pub u64);

impl Moment {
    /// That much later.
    pub fn after(self, time: Duration) -> Moment {
        Moment(self.0.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The time from `earlier` until now; none if it is later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// One process of this boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Id {
    /// Its pid here.
    pub pid: u32,
    /// Its start time in clock ticks since boot.
    pub start_time: u64,
}

/// A worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Which process it is.
    pub id: Id,
    /// The application.
    pub app: String,
    /// Workers of one service have the same.
    pub service: String,
    /// `gunicorn`, `uwsgi`, `celery`, …: the name of a `Server`.
    pub server: Option<String>,
    /// The systemd unit.
    pub unit: Option<String>,
    /// The container's id.
    pub container: Option<String>,
    /// The cgroup's path.
    pub cgroup: String,
    /// The command line.
    pub command: String,
    /// The user's name.
    pub user: String,
    /// `$HEAPSEE_LABEL`.
    pub label: Option<String>,
    /// Whether it would answer with a dump.
    pub armed: bool,
    /// Whether a dump of it is under way.
    pub dumping: bool,
    /// How many dumps of it have ended, in whatever way.
    pub finished: u64,
    /// Of the last 64 of those, whether each was published: the lowest bit is the last one's.
    pub published: u64,
    /// Resident set in bytes.
    pub rss: u64,
    /// Proportional set size in bytes, if it was read.
    pub pss: Option<u64>,
    /// Requests served, if its server says.
    pub requests: Option<u64>,
    /// Its age.
    pub age: Duration,
}

impl Seen {
    /// Whether the dump of that number was published, if it is not too long ago to be known: then it is taken for it.
    pub fn has_published(&self, number: u64) -> bool {
        self.finished.checked_sub(number).is_some_and(|later| later >= 64 || self.published >> later & 1 == 1)
    }

    /// Whether a rule's selection means it.
    pub fn is_meant(&self, select: &Select) -> bool {
        Select::fits(&select.app, [&*self.app])
            && Select::fits(&select.server, self.server.as_deref())
            && Select::fits(&select.unit, self.unit.as_deref())
            && Select::fits(&select.container, self.container.as_deref())
            && Select::fits(&select.cgroup, [&*self.cgroup])
            && Select::fits(&select.command, [&*self.command])
            && Select::fits(&select.user, [&*self.user])
            && Select::fits(&select.label, self.label.as_deref())
    }
}

/// A cgroup with workers in it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Group {
    /// Its memory as a share of its limit, if it has one.
    pub used: Option<f64>,
    /// `memory.events`, as far as it has them.
    pub events: Events,
}

/// Counters of `memory.events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// `high`.
    pub high: u64,
    /// `max`.
    pub max: u64,
    /// `oom`.
    pub oom: u64,
    /// `oom_kill`.
    pub oom_kill: u64,
}

impl Events {
    /// One of them.
    pub fn get(&self, event: Event) -> u64 {
        match event {
            Event::High => self.high,
            Event::Max => self.max,
            Event::Oom => self.oom,
            Event::OomKill => self.oom_kill,
        }
    }
}

/// The host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Host {
    /// Memory available, and all there is, in bytes.
    pub memory: Option<(u64, u64)>,
    /// Shares of the last 10 seconds in which tasks waited (PSI), where the kernel says.
    pub memory_pressure: Option<f64>,
    /// The same, for input and output.
    pub io_pressure: Option<f64>,
    /// The same, for processors.
    pub cpu_pressure: Option<f64>,
    /// Why the store takes no further dump.
    pub store_full: Option<String>,
}

impl Host {
    /// The pressure on a resource.
    pub fn pressure(&self, resource: Resource) -> Option<f64> {
        match resource {
            Resource::Memory => self.memory_pressure,
            Resource::Io => self.io_pressure,
            Resource::Cpu => self.cpu_pressure,
        }
    }
}

/// One look at everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// When.
    pub now: Moment,
    /// The local time, as the clock on the wall has it.
    pub wall: DateTime,
    /// All workers. One that is missing has died.
    pub workers: Vec<Seen>,
    /// Their cgroups, by path.
    pub groups: BTreeMap<String, Group>,
    /// Whether a copy of a worker, dead or alive, is writing a dump; looked at only if it is needed.
    pub copying: bool,
    /// The host.
    pub host: Host,
}
