//! `trigger = "pss"`: a worker's proportional set size is above a level.

use super::level::{self, Level};
use super::{Conflict, Kind, OfWorker, Surroundings, Track, Watch};
#[cfg(test)]
use crate::look::Look;
use crate::look::{Moment, Needs, Seen};
use crate::render;
use crate::settings::Table;

/// A worker's proportional set size, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Pss(pub Level);

impl Kind for Pss {
    const NAME: &'static str = "pss";
    const NEEDED: &'static [(&'static str, &'static str)] = &[("above", "\"2GB\"")];
    const OTHERS: &'static [&'static str] = level::OTHERS;

    fn read(table: &Table<'_>) -> Option<Pss> {
        Level::of_bytes(table).map(Pss)
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        self.0.identity()
    }

    fn ask_for(&self, needs: &mut Needs) {
        // To see that a level was left, one has to look below it, too.
        let least = self.0.clear.min(self.0.above) as u64;
        needs.pss_above = Some(needs.pss_above.map_or(least, |other| other.min(least)));
    }

    fn conflict(&self, _: &Surroundings) -> Option<Conflict> {
        None
    }

    fn watch(&self) -> Watch<'_> {
        Watch::Worker(self)
    }

    #[cfg(test)]
    fn example() -> (&'static str, Vec<Look>) {
        let worker = |bytes| super::tests::look_at(Seen { rss: bytes, pss: Some(bytes), ..Seen::example() });
        ("above = '2GB'\npolls = 2", [1, 3, 3].map(|gigabytes| worker(gigabytes * 1_000_000_000)).into())
    }
}

impl OfWorker for Pss {
    fn see(&self, track: &mut Track, worker: &Seen, now: Moment) {
        // It was not read because the resident set is below already.
        let pss = worker.pss.unwrap_or(0) as f64;
        self.0.see(track, pss, now, |pss| format!("PSS {}", render::bytes(pss as u64)));
    }
}
