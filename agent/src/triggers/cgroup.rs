//! `trigger = "cgroup"`: a cgroup's memory, as a share of its limit, is above a level. The fattest worker in it is dumped.

use super::level::{self, Level, in_percent};
use super::{Conflict, Kind, OfCgroup, Surroundings, Track, Watch};
#[cfg(test)]
use crate::look::Look;
use crate::look::{Group, Moment, Needs};
use crate::settings::Table;

/// A cgroup's memory as a share of its limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Cgroup(pub Level);

impl Kind for Cgroup {
    const NAME: &'static str = "cgroup";
    const NEEDED: &'static [(&'static str, &'static str)] = &[("above", "\"80%\"")];
    const OTHERS: &'static [&'static str] = level::OTHERS;

    fn read(table: &Table<'_>) -> Option<Cgroup> {
        Level::of_share(table).map(Cgroup)
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        self.0.identity()
    }

    fn ask_for(&self, needs: &mut Needs) {
        needs.groups = true;
    }

    fn conflict(&self, _: &Surroundings) -> Option<Conflict> {
        None
    }

    fn watch(&self) -> Watch<'_> {
        Watch::Cgroup(self)
    }

    #[cfg(test)]
    fn example() -> (&'static str, Vec<Look>) {
        let group = |used| super::tests::look_at_group(Group { used: Some(used), ..Group::default() });
        ("above = '80%'\npolls = 2", [0.9, 0.7, 0.9, 0.9].map(group).into())
    }
}

impl OfCgroup for Cgroup {
    fn see(&self, track: &mut Track, group: &Group, now: Moment) {
        let used = group.used.unwrap_or(0.0);
        self.0.see(track, used, now, |used| format!("its cgroup's memory at {}", in_percent(used)));
    }
}
