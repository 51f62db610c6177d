//! One look at the workers, their cgroups and the host, as the rules get it. Values only: the daemon's observer fills
//! them in, `triggers` and `rules` judge them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::settings::values::fits;

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

#[cfg(test)]
impl Seen {
    /// An armed worker, for tests.
    pub fn example() -> Seen {
        Seen {
            id: Id { pid: 1, start_time: 7 },
            app: "shop".into(),
            service: "gunicorn:shop".into(),
            server: Some("gunicorn".into()),
            unit: None,
            container: None,
            cgroup: "/shop".into(),
            command: String::new(),
            user: "www".into(),
            label: None,
            armed: true,
            dumping: false,
            finished: 0,
            published: 0,
            rss: 5,
            pss: None,
            requests: None,
            age: Duration::from_secs(60),
        }
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

/// What tasks wait for (PSI).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Memory.
    Memory,
    /// Input and output.
    Io,
    /// Processors.
    Cpu,
}

impl Resource {
    /// All of them.
    pub const ALL: [Resource; 3] = [Resource::Memory, Resource::Io, Resource::Cpu];

    /// As the kernel and the configuration call it.
    pub fn name(self) -> &'static str {
        match self {
            Resource::Memory => "memory",
            Resource::Io => "io",
            Resource::Cpu => "cpu",
        }
    }
}

/// A counter in a cgroup's `memory.events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The group was throttled: it went above `memory.high`.
    High,
    /// It ran into `memory.max`.
    Max,
    /// It could not be helped by reclaim.
    Oom,
    /// One of its processes was killed for it.
    OomKill,
}

impl Event {
    /// All of them.
    pub const ALL: [Event; 4] = [Event::High, Event::Max, Event::Oom, Event::OomKill];

    /// As the kernel and the configuration call it.
    pub fn name(self) -> &'static str {
        match self {
            Event::High => "high",
            Event::Max => "max",
            Event::Oom => "oom",
            Event::OomKill => "oom_kill",
        }
    }
}

/// Which workers: those that fit every pattern that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Select {
    /// The application.
    pub app: Option<String>,
    /// The server: gunicorn, uwsgi, celery, uvicorn.
    pub server: Option<String>,
    /// The systemd unit.
    pub unit: Option<String>,
    /// The container's id.
    pub container: Option<String>,
    /// The cgroup's path.
    pub cgroup: Option<String>,
    /// The command line.
    pub command: Option<String>,
    /// The user's name.
    pub user: Option<String>,
    /// `$HEAPSEE_LABEL` as the worker was started with.
    pub label: Option<String>,
}

impl Select {
    /// Whether `pattern`, if it is given, fits one of `texts`.
    pub fn fits<'t>(pattern: &Option<String>, texts: impl IntoIterator<Item = &'t str>) -> bool {
        pattern.as_ref().is_none_or(|pattern| texts.into_iter().any(|text| fits(pattern, text)))
    }

    /// Its patterns, by key: what makes it the selection that it is.
    pub fn identity(&self) -> BTreeMap<String, String> {
        let Select { app, server, unit, container, cgroup, command, user, label } = self;
        let patterns = [
            ("app", app),
            ("server", server),
            ("unit", unit),
            ("container", container),
            ("cgroup", cgroup),
            ("command", command),
            ("user", user),
            ("label", label),
        ];
        let given = |(key, pattern): (&str, &Option<String>)| Some((key.to_owned(), pattern.clone()?));
        patterns.into_iter().filter_map(given).collect()
    }
}

/// What the rules need to be told that costs something to find out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Of workers with more than so many bytes resident: their PSS.
    pub pss_above: Option<u64>,
    /// The statistics of these uWSGI servers.
    pub stats: BTreeSet<String>,
    /// Cgroups' memory and events.
    pub groups: bool,
    /// Workers' labels.
    pub labels: bool,
    /// Whether a copy is writing.
    pub copies: bool,
}
