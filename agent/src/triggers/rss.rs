//! `trigger = "rss"`: a worker's resident set is above a level.

use super::level::{self, Level};
use super::{Conflict, Kind, OfWorker, Surroundings, Track, Watch};
#[cfg(test)]
use crate::look::Look;
use crate::look::{Moment, Needs, Seen};
use crate::render;
use crate::settings::Table;

/// A worker's resident set, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Rss(pub Level);

impl Kind for Rss {
    const NAME: &'static str = "rss";
    const NEEDED: &'static [(&'static str, &'static str)] = &[("above", "\"2GB\"")];
    const OTHERS: &'static [&'static str] = level::OTHERS;

    fn read(table: &Table<'_>) -> Option<Rss> {
        Level::of_bytes(table).map(Rss)
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        self.0.identity()
    }

    fn ask_for(&self, _: &mut Needs) {}

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

impl OfWorker for Rss {
    fn see(&self, track: &mut Track, worker: &Seen, now: Moment) {
        self.0.see(track, worker.rss as f64, now, |rss| format!("RSS {}", render::bytes(rss as u64)));
    }
}
