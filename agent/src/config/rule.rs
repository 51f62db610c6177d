//! `[[rule]]`: when a worker is to be dumped. Only what is written; the rules at work are in `rules`.

use std::time::Duration;

use super::cron::Cron;
use super::reader::Table;
use super::sections::choice;
use super::values::{DURATION, PERCENT, RATE, SIZE, fits, percent, rate, some_duration, some_size};

/// Every trigger, with the keys that it needs, and those that it may have.
const TRIGGERS: [(&str, &[&str], &[&str]); 9] = [
    ("rss", &["above"], &["clear_below", "polls"]),
    ("pss", &["above"], &["clear_below", "polls"]),
    ("cgroup", &["above"], &["clear_below", "polls"]),
    ("slope", &["above", "window"], &["at_least"]),
    ("pressure", &["resource", "above"], &["clear_below", "polls"]),
    ("memory-events", &["events"], &[]),
    ("schedule", &[], &["every", "cron"]),
    ("age", &["above"], &[]),
    ("requests", &["above", "stats"], &[]),
];

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name, for the log, the metrics and the manifest.
    pub name: String,
    /// Which workers it is about.
    pub select: Select,
    /// When it fires.
    pub trigger: Trigger,
    /// How many dumps of the worker are taken: more than one is a campaign.
    pub dumps: u32,
    /// The time between the dumps of a campaign.
    pub apart: Duration,
    /// Between two dumps of one worker by this rule, instead of the general one.
    pub cooldown: Option<Duration>,
    /// Whether it only says what it would do.
    pub dry_run: bool,
}

/// What a worker's memory is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Resident set size.
    Rss,
    /// Proportional set size.
    Pss,
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

/// A level with hysteresis: reached after `polls` looks above `above`, and again only once it was below `clear`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Above this.
    pub above: f64,
    /// Until it has been below this.
    pub clear: f64,
    /// How often in a row.
    pub polls: u32,
}

/// When a rule fires.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// A worker's memory in bytes.
    Memory(Measure, Level),
    /// A cgroup's memory as a share of its limit; the fattest worker in it is dumped.
    Cgroup(Level),
    /// Growth of a worker's resident set, in bytes a second over a window.
    Slope {
        /// Faster than this.
        above: f64,
        /// Over this time.
        window: Duration,
        /// Only of workers that have so many bytes.
        at_least: u64,
    },
    /// A share of the last 10 seconds in which tasks of the host waited; the fattest worker is dumped.
    Pressure(Resource, Level),
    /// One of these counters of a worker's cgroup has risen; the fattest worker in it is dumped.
    Events(Vec<Event>),
    /// So often; the fattest worker is dumped.
    Every(Duration),
    /// In those minutes; the fattest worker is dumped.
    Cron(Cron),
    /// A worker's age.
    Age(Duration),
    /// A worker has served so many requests, as its server's statistics say.
    Requests {
        /// More than this.
        above: u64,
        /// uWSGI's stats server: `127.0.0.1:1717` or a socket's path.
        stats: String,
    },
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
}

/// Reads a rule; `None` if something is wrong with it, which is then noted.
pub fn rule(table: &mut Table<'_>) -> Option<Rule> {
    const NAME: &str = "a name of letters, digits, \".\", \"_\" and \"-\"";
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name = table.parsed("name", NAME, |text| match text {
        "" => Err("it is empty".into()),
        text if text.len() > 64 => Err("it is longer than 64 characters".into()),
        text if text.chars().all(plain) => Ok(text.to_owned()),
        _ => Err("it has other characters".into()),
    });
    match &name {
        Some(name) => table.name = format!("rule {:?}", name.value),
        None if !table.has("name") => {
            table.problem(table.at.clone(), format!("{} has no name", table.name), "add name = \"…\"");
        }
        None => {}
    }
    let trigger = trigger(table);
    let dumps = table.integer("dumps", 1..=100).unwrap_or(1) as u32;
    let apart = table.parsed("apart", DURATION, some_duration);
    match (dumps, &apart) {
        (1, Some(_)) => {
            let reason = format!("{} has apart, but takes one dump only", table.name);
            table.problem(table.place("apart"), reason, "add dumps = 3, or leave apart out");
        }
        (2.., None) if !table.has("apart") => {
            let reason = format!("{} takes {dumps} dumps, but does not say how far apart", table.name);
            table.problem(table.place("dumps"), reason, "add apart = \"10m\"");
        }
        _ => {}
    }
    let rule = Rule {
        select: table.table("select").map(|table| select(&table)).unwrap_or_default(),
        dumps,
        apart: apart.map_or(Duration::ZERO, |apart| apart.value),
        cooldown: table.parsed("cooldown", DURATION, some_duration).map(|time| time.value),
        dry_run: table.boolean("dry_run").unwrap_or(false),
        name: name.map(|name| name.value).unwrap_or_default(),
        trigger: trigger?,
    };
    (!rule.name.is_empty()).then_some(rule)
}

fn trigger(table: &Table<'_>) -> Option<Trigger> {
    let names = TRIGGERS.map(|(name, _, _)| name);
    let Some(kind) = choice(Some(table), "trigger", &names) else {
        if !table.has("trigger") {
            let reason = format!("{} has no trigger", table.name);
            table.problem(table.at.clone(), reason, format!("add trigger = \"…\": one of {}", names.join(", ")));
        }
        // Whatever its keys are, without a trigger there is no telling whether they are right.
        for (_, needed, others) in TRIGGERS {
            for key in needed.iter().chain(others) {
                table.has(key);
            }
        }
        return None;
    };
    let (_, needed, _) = TRIGGERS.into_iter().find(|(name, _, _)| *name == kind)?;
    for key in needed.iter().filter(|key| !table.has(key)) {
        let reason = format!("{} has the trigger {kind:?}, but no {key}", table.name);
        table.problem(table.place("trigger"), reason, format!("add {key} = {}", example(kind, key)));
    }
    Some(match kind {
        "rss" => Trigger::Memory(Measure::Rss, bytes(table)?),
        "pss" => Trigger::Memory(Measure::Pss, bytes(table)?),
        "cgroup" => Trigger::Cgroup(shares(table)?),
        "slope" => Trigger::Slope {
            above: table.parsed("above", RATE, rate)?.value,
            window: table.parsed("window", DURATION, some_duration)?.value,
            at_least: table.parsed("at_least", SIZE, some_size).map_or(0, |size| size.value),
        },
        "pressure" => {
            let resource = choice(Some(table), "resource", &["memory", "io", "cpu"]);
            let level = shares(table)?;
            let resource = match resource? {
                "memory" => Resource::Memory,
                "io" => Resource::Io,
                _ => Resource::Cpu,
            };
            Trigger::Pressure(resource, level)
        }
        "memory-events" => Trigger::Events(events(table)?),
        "schedule" => schedule(table)?,
        "age" => Trigger::Age(table.parsed("above", DURATION, some_duration)?.value),
        _ => Trigger::Requests {
            above: table.integer("above", 1..=u64::MAX)?,
            stats: table.string("stats", "uWSGI's stats server: \"127.0.0.1:1717\" or a socket's path")?.value,
        },
    })
}

/// What to write for a key that is missing.
fn example(trigger: &str, key: &str) -> &'static str {
    match (trigger, key) {
        ("rss" | "pss", "above") => "\"2GB\"",
        ("cgroup" | "pressure", "above") => "\"80%\"",
        ("slope", "above") => "\"100MB/h\"",
        ("age", "above") => "\"1d\"",
        (_, "above") => "100000",
        (_, "window") => "\"30m\"",
        (_, "resource") => "\"memory\"",
        (_, "events") => "[\"high\", \"oom\"]",
        _ => "\"127.0.0.1:1717\"",
    }
}

fn bytes(table: &Table<'_>) -> Option<Level> {
    let above = table.parsed("above", SIZE, some_size).map(|size| size.value as f64);
    let clear = table.parsed("clear_below", SIZE, some_size).map(|size| size.value as f64);
    level(table, above, clear)
}

fn shares(table: &Table<'_>) -> Option<Level> {
    let above = table.parsed("above", PERCENT, |text| match percent(text)? {
        1.0 => Err("it cannot be more than that".into()),
        share => Ok(share),
    });
    let clear = table.parsed("clear_below", PERCENT, percent);
    level(table, above.map(|above| above.value), clear.map(|clear| clear.value))
}

fn level(table: &Table<'_>, above: Option<f64>, clear: Option<f64>) -> Option<Level> {
    let polls = table.integer("polls", 1..=1000).unwrap_or(3) as u32;
    let above = above?;
    if clear.is_some_and(|clear| clear > above) {
        let reason = format!("clear_below of {} is more than above", table.name);
        table.problem(table.place("clear_below"), reason, "make it less, or leave it out: 90% of above");
    }
    Some(Level { above, clear: clear.unwrap_or(above * 0.9), polls })
}

fn events(table: &Table<'_>) -> Option<Vec<Event>> {
    const EVENTS: &str = "a list of \"high\", \"max\", \"oom\" and \"oom_kill\"";
    let words = table.strings("events", EVENTS)?;
    let mut events = Vec::new();
    for word in &words {
        match word.value.as_str() {
            "high" => events.push(Event::High),
            "max" => events.push(Event::Max),
            "oom" => events.push(Event::Oom),
            "oom_kill" => events.push(Event::OomKill),
            other => {
                let reason = format!("{}: {other:?} is not counted there", table.key("events"));
                table.problem(word.at.clone(), reason, format!("write {EVENTS}"));
            }
        }
    }
    if words.is_empty() {
        table.problem(table.place("events"), format!("{} is empty", table.key("events")), format!("write {EVENTS}"));
    }
    Some(events)
}

fn schedule(table: &Table<'_>) -> Option<Trigger> {
    const CRON: &str = "minute, hour, day, month and day of the week, such as \"30 3 * * *\"";
    let every = table.parsed("every", DURATION, |text| match some_duration(text)? {
        time if time < Duration::from_secs(60) => Err("that is less than a minute".into()),
        time => Ok(time),
    });
    let cron = table.parsed("cron", CRON, |text| text.parse::<Cron>());
    match (table.has("every"), table.has("cron")) {
        (true, true) => {
            let reason = format!("{} has both every and cron", table.name);
            table.problem(table.place("cron"), reason, "leave one of them out");
            None
        }
        (false, false) => {
            let reason = format!("{} has the trigger \"schedule\", but neither every nor cron", table.name);
            table.problem(table.place("trigger"), reason, "add every = \"6h\" or cron = \"30 3 * * *\"");
            None
        }
        (true, false) => Some(Trigger::Every(every?.value)),
        (false, true) => Some(Trigger::Cron(cron?.value)),
    }
}

fn select(table: &Table<'_>) -> Select {
    let pattern = |key| {
        let text = table.string(key, "a text in quotes, in which * stands for anything")?;
        if text.value.is_empty() {
            table.problem(text.at, format!("{} is empty", table.key(key)), "leave it out, or write \"*\"");
            return None;
        }
        Some(text.value)
    };
    let select = Select {
        app: pattern("app"),
        server: choice(Some(table), "server", &["gunicorn", "uwsgi", "celery", "uvicorn"]).map(str::to_owned),
        unit: pattern("unit"),
        container: pattern("container"),
        cgroup: pattern("cgroup"),
        command: pattern("command"),
        user: pattern("user"),
        label: pattern("label"),
    };
    table.close(|_| None);
    select
}

/// Why a key has no place in a rule with its trigger, if it is another trigger's.
pub fn of_other_trigger(key: &str) -> Option<String> {
    let mut of: Vec<String> = Vec::new();
    for (name, needed, others) in TRIGGERS {
        if needed.contains(&key) || others.contains(&key) {
            of.push(format!("{name:?}"));
        }
    }
    (!of.is_empty()).then(|| format!("it belongs to the trigger {}", of.join(" or ")))
}
