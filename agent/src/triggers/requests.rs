//! `trigger = "requests"`: a worker has served more requests than that, as uWSGI's statistics say.

use super::level::Level;
use super::{Conflict, Kind, OfWorker, Surroundings, Track, Watch};
#[cfg(test)]
use crate::look::Look;
use crate::look::{Moment, Needs, Seen};
use crate::settings::Table;

/// How many requests a worker has served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requests {
    /// More than this.
    pub above: u64,
    /// uWSGI's stats server: `127.0.0.1:1717` or a socket's path.
    pub stats: String,
}

impl Kind for Requests {
    const NAME: &'static str = "requests";
    const NEEDED: &'static [(&'static str, &'static str)] = &[("above", "100000"), ("stats", "\"127.0.0.1:1717\"")];
    const OTHERS: &'static [&'static str] = &[];

    fn read(table: &Table<'_>) -> Option<Requests> {
        Some(Requests {
            above: table.integer("above", 1..=u64::MAX)?,
            stats: table.string("stats", "uWSGI's stats server: \"127.0.0.1:1717\" or a socket's path")?.value,
        })
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        let Requests { above, stats } = self;
        vec![("above", above.to_string()), ("stats", stats.clone())]
    }

    fn ask_for(&self, needs: &mut Needs) {
        needs.stats.insert(self.stats.clone());
    }

    fn conflict(&self, _: &Surroundings) -> Option<Conflict> {
        None
    }

    fn watch(&self) -> Watch<'_> {
        Watch::Worker(self)
    }

    #[cfg(test)]
    fn example() -> (&'static str, Vec<Look>) {
        let busy = |requests| super::tests::look_at(Seen { requests, ..Seen::example() });
        ("above = 100\nstats = '127.0.0.1:1717'", [None, Some(100), Some(101)].map(busy).into())
    }
}

impl OfWorker for Requests {
    fn see(&self, track: &mut Track, worker: &Seen, now: Moment) {
        let Some(requests) = worker.requests else { return };
        let level = Level::once(self.above as f64);
        level.see(track, requests as f64, now, |_| format!("{requests} requests served"));
    }
}
