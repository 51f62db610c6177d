//! The kinds of triggers, one module each: its keys, how they are read, an example, what it needs to see, and when it
//! wants a dump. Whether the dump may be taken then is for `rules` to say.
//!
//! A new kind is a module here that implements `Kind`, and one line in `kinds!`. The compiler asks for the rest: no method
//! of `Kind` has a default, and a kind that is missing in the list is dead code, which does not compile here.
#![deny(dead_code)]

mod age;
mod cgroup;
mod cron;
mod level;
mod memory_events;
mod pressure;
mod pss;
mod requests;
mod rss;
mod schedule;
mod slope;
#[cfg(test)]
mod tests;
mod track;

use std::collections::BTreeMap;
use std::time::Duration;

pub use cron::Cron;
pub use level::Level;
pub use track::{Subject, Track, Wanted};

use crate::look::{Group, Look, Moment, Needs, Seen};
use crate::settings::{Table, choice};

/// A kind of trigger. Nothing in here has a default, so that a kind that forgets something does not compile.
trait Kind: Sized {
    /// Its name: `trigger = "NAME"`.
    const NAME: &'static str;
    /// The keys that it needs, each with what to write if it is missing.
    const NEEDED: &'static [(&'static str, &'static str)];
    /// The keys that it may have besides.
    const OTHERS: &'static [&'static str];

    /// Reads its keys; `None` if something is wrong with them, which is then noted. That needed ones are missing has
    /// been noted before.
    fn read(table: &Table<'_>) -> Option<Self>;

    /// Its settings, by key: what makes it the trigger that it is. A rule that has other ones begins anew.
    fn identity(&self) -> Vec<(&'static str, String)>;

    /// Adds what the next look has to hold for it.
    fn ask_for(&self, needs: &mut Needs);

    /// What of the rest of the configuration keeps it from ever having a dump.
    fn conflict(&self, around: &Surroundings) -> Option<Conflict>;

    /// What it watches: `Watch::Worker(self)`, `Watch::Cgroup(self)` or `Watch::Host(self)`. Each of them needs the
    /// method that decides when it fires.
    fn watch(&self) -> Watch<'_>;

    /// A rule's keys that make it fire at the last of some looks, which are one second apart.
    #[cfg(test)]
    fn example() -> (&'static str, Vec<Look>);
}

/// What a trigger watches, and how it takes in a look at it.
pub enum Watch<'t> {
    /// Each worker for itself.
    Worker(&'t dyn OfWorker),
    /// Each cgroup; the fattest worker in it is dumped.
    Cgroup(&'t dyn OfCgroup),
    /// The host and its clocks; the fattest worker is dumped.
    Host(&'t dyn OfHost),
}

/// A trigger that watches workers.
pub trait OfWorker {
    /// Takes in one look at a worker.
    fn see(&self, track: &mut Track, worker: &Seen, now: Moment);
}

/// A trigger that watches cgroups.
pub trait OfCgroup {
    /// Takes in one look at a cgroup.
    fn see(&self, track: &mut Track, group: &Group, now: Moment);
}

/// A trigger that watches host or clocks.
pub trait OfHost {
    /// Takes in one look. What nobody saw in time is made up for within `patience`.
    fn see(&self, track: &mut Track, look: &Look, patience: Duration);
}

/// What of the configuration a trigger has to agree with.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// `poll` of `[agent]`.
    pub poll: Duration,
    /// `max_memory_pressure` of `[limits]`.
    pub max_memory_pressure: f64,
    /// `max_io_pressure` of `[limits]`.
    pub max_io_pressure: f64,
}

/// Why a trigger cannot be as it is, beside the rest of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// What is wrong, as it goes on after the rule's name.
    pub reason: String,
    /// What to do about it.
    pub fix: String,
}

/// A kind by what all its triggers have in common.
struct Description {
    name: &'static str,
    needed: &'static [(&'static str, &'static str)],
    others: &'static [&'static str],
    read: fn(&Table<'_>) -> Option<Trigger>,
}

impl Description {
    fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.needed.iter().map(|(key, _)| *key).chain(self.others.iter().copied())
    }
}

macro_rules! kinds {
    ($($module:ident::$Kind:ident),+ $(,)?) => {
        $(pub use $module::$Kind;)+

        /// When a rule fires.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Trigger {
            $($Kind($Kind)),+
        }

        const KINDS: &[Description] = &[
            $(Description {
                name: $Kind::NAME,
                needed: $Kind::NEEDED,
                others: $Kind::OTHERS,
                read: |table| $Kind::read(table).map(Trigger::$Kind),
            }),+
        ];

        impl Trigger {
            /// The name of its kind, and its settings.
            pub fn identity(&self) -> (&'static str, BTreeMap<String, String>) {
                let (name, settings) = match self {
                    $(Trigger::$Kind(kind) => ($Kind::NAME, kind.identity())),+
                };
                (name, settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }

            /// Adds what the next look has to hold for it.
            pub fn ask_for(&self, needs: &mut Needs) {
                match self {
                    $(Trigger::$Kind(kind) => kind.ask_for(needs)),+
                }
            }

            /// What of the rest of the configuration keeps it from ever having a dump.
            pub fn conflict(&self, around: &Surroundings) -> Option<Conflict> {
                match self {
                    $(Trigger::$Kind(kind) => kind.conflict(around)),+
                }
            }

            /// What it watches.
            pub fn watch(&self) -> Watch<'_> {
                match self {
                    $(Trigger::$Kind(kind) => kind.watch()),+
                }
            }
        }

        #[cfg(test)]
        fn examples() -> Vec<(&'static str, (&'static str, Vec<Look>))> {
            vec![$(($Kind::NAME, $Kind::example())),+]
        }
    };
}

// In the order in which messages list them.
kinds! {
    rss::Rss,
    pss::Pss,
    cgroup::Cgroup,
    slope::Slope,
    pressure::Pressure,
    memory_events::MemoryEvents,
    schedule::Schedule,
    age::Age,
    requests::Requests,
}

/// Reads a rule's trigger; `None` if something is wrong with it, which is then noted.
pub fn read(table: &Table<'_>) -> Option<Trigger> {
    let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let Some(name) = choice(Some(table), "trigger", &names) else {
        if !table.has("trigger") {
            let reason = format!("{} has no trigger", table.name);
            table.problem(table.at.clone(), reason, format!("add trigger = \"…\": one of {}", names.join(", ")));
        }
        // Without a trigger nobody knows which of its keys are right.
        for key in KINDS.iter().flat_map(Description::keys) {
            table.has(key);
        }
        return None;
    };
    let kind = KINDS.iter().find(|kind| kind.name == name)?;
    for (key, example) in kind.needed.iter().filter(|(key, _)| !table.has(key)) {
        let reason = format!("{} has the trigger {name:?}, but no {key}", table.name);
        table.problem(table.place("trigger"), reason, format!("add {key} = {example}"));
    }
    (kind.read)(table)
}

/// Why a key has no place in a rule with its trigger, if it is another trigger's.
pub fn of_other_kind(key: &str) -> Option<String> {
    let has = |kind: &&Description| kind.keys().any(|other| other == key);
    let of: Vec<String> = KINDS.iter().filter(has).map(|kind| format!("{:?}", kind.name)).collect();
    (!of.is_empty()).then(|| format!("it belongs to the trigger {}", of.join(" or ")))
}
