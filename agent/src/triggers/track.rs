//! What is remembered of one trigger and one thing that it watches: what was seen so far, whether it wants a dump, and
//! whether it has had it. It is part of the state on disk; each kind of trigger fills in what it needs.

use std::collections::VecDeque;

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::look::{Events, Id, Moment};

/// One of the things that a trigger watches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Subject {
    /// One worker.
    Worker(Id),
    /// The workers in a cgroup.
    Cgroup(String),
    /// All workers that the rule means.
    All,
}

/// The state of one trigger and subject.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// How many looks in a row were above.
    #[serde(skip)]
    pub above: u32,
    /// Whether it has had its dump, and has not been clear since.
    pub fired: bool,
    /// A dump is wanted.
    pub wanted: Option<Wanted>,
    /// Resident sets over a window.
    #[serde(skip)]
    pub samples: VecDeque<(Moment, u64)>,
    /// Counters when it was last looked at.
    pub events: Option<Events>,
    /// When it was last due.
    pub due: Option<Moment>,
    /// Up to which minute the calendar has been looked at.
    pub minute: Option<DateTime>,
}

/// That a dump is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// Since when.
    pub since: Moment,
    /// What was seen.
    pub why: String,
    /// Whether it came at a moment and passes with time, instead of lasting as long as what was seen does.
    pub passes: bool,
}

impl Track {
    /// A dump is wanted as long as what was seen lasts; since earlier, if it was wanted before.
    pub fn want(&mut self, now: Moment, why: String) {
        let since = self.wanted.take().map_or(now, |wanted| wanted.since);
        self.wanted = Some(Wanted { since, why, passes: false });
    }

    /// A dump is wanted now; that passes with time. What is wanted already stays as it is.
    pub fn want_for_now(&mut self, now: Moment, why: impl FnOnce() -> String) {
        self.wanted.get_or_insert_with(|| Wanted { since: now, why: why(), passes: true });
    }

    /// Forgets what was counted in a row; what it remembers from before a restart may be old.
    pub fn resume(&mut self) {
        self.above = 0;
        self.samples.clear();
    }

    /// The dump was ordered.
    pub fn fire(&mut self) -> Option<Wanted> {
        self.fired = true;
        self.wanted.take()
    }

    /// The dump has failed, and is to be tried again.
    pub fn again(&mut self, wanted: Option<Wanted>) {
        self.fired = false;
        self.wanted = wanted;
    }
}
