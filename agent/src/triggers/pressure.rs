//! `trigger = "pressure"`: tasks of the host wait for a resource (PSI) for more than a share of the last 10 seconds. The
//! fattest worker is dumped.

use std::time::Duration;

use super::level::{self, Level, in_percent};
use super::{Conflict, Kind, OfHost, Surroundings, Track, Watch};
#[cfg(test)]
use crate::look::Seen;
use crate::look::{Look, Needs, Resource};
use crate::settings::{Table, choice};

/// A share of the last 10 seconds in which tasks of the host waited.
#[derive(Clone, Debug, PartialEq)]
pub struct Pressure {
    /// For what.
    pub resource: Resource,
    /// The level.
    pub level: Level,
}

impl Kind for Pressure {
    const NAME: &'static str = "pressure";
    const NEEDED: &'static [(&'static str, &'static str)] = &[("resource", "\"memory\""), ("above", "\"80%\"")];
    const OTHERS: &'static [&'static str] = level::OTHERS;

    fn read(table: &Table<'_>) -> Option<Pressure> {
        let names = Resource::ALL.map(Resource::name);
        let resource = choice(Some(table), "resource", &names);
        let level = Level::of_share(table);
        let resource = Resource::ALL.into_iter().find(|known| Some(known.name()) == resource)?;
        Some(Pressure { resource, level: level? })
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        let Pressure { resource, level } = self;
        let mut settings = level.identity();
        settings.push(("resource", resource.name().to_owned()));
        settings
    }

    fn ask_for(&self, _: &mut Needs) {}

    fn conflict(&self, around: &Surroundings) -> Option<Conflict> {
        let (key, most) = match self.resource {
            Resource::Memory => ("max_memory_pressure", around.max_memory_pressure),
            Resource::Io => ("max_io_pressure", around.max_io_pressure),
            Resource::Cpu => return None,
        };
        (self.level.above >= most).then(|| Conflict {
            reason: format!(" cannot have a dump: there is none above {key} of [limits]"),
            fix: format!("make above less than {key}, or {key} more"),
        })
    }

    fn watch(&self) -> Watch<'_> {
        Watch::Host(self)
    }

    #[cfg(test)]
    fn example() -> (&'static str, Vec<Look>) {
        let waiting = |share| {
            let mut look = super::tests::look_at(Seen::example());
            look.host.cpu_pressure = share;
            look
        };
        ("resource = 'cpu'\nabove = '50%'\npolls = 2", [None, Some(0.6), Some(0.6)].map(waiting).into())
    }
}

impl OfHost for Pressure {
    fn see(&self, track: &mut Track, look: &Look, _: Duration) {
        let Some(pressure) = look.host.pressure(self.resource) else { return };
        let name = self.resource.name();
        self.level.see(track, pressure, look.now, |at| format!("{name} pressure at {}", in_percent(at)));
    }
}
