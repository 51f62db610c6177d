//! `trigger = "age"`: a worker is older than that.

use std::time::Duration;

use super::level::Level;
use super::{Conflict, Kind, OfWorker, Surroundings, Track, Watch};
#[cfg(test)]
use crate::look::Look;
use crate::look::{Moment, Needs, Seen};
use crate::render;
use crate::settings::Table;
use crate::settings::values::{DURATION, some_duration};

/// A worker's age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Age(pub Duration);

impl Kind for Age {
    const NAME: &'static str = "age";
    const NEEDED: &'static [(&'static str, &'static str)] = &[("above", "\"1d\"")];
    const OTHERS: &'static [&'static str] = &[];

    fn read(table: &Table<'_>) -> Option<Age> {
        Some(Age(table.parsed("above", DURATION, some_duration)?.value))
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        vec![("above", format!("{:?}", self.0))]
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
        let aged = |seconds| Seen { age: Duration::from_secs(seconds), ..Seen::example() };
        ("above = '1d'", [86_399, 86_400, 86_401].map(|seconds| super::tests::look_at(aged(seconds))).into())
    }
}

impl OfWorker for Age {
    fn see(&self, track: &mut Track, worker: &Seen, now: Moment) {
        let level = Level::once(self.0.as_secs_f64());
        level.see(track, worker.age.as_secs_f64(), now, |_| format!("age {}", render::age(worker.age)));
    }
}
