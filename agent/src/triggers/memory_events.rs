//! `trigger = "memory-events"`: counters of a cgroup's `memory.events` have risen. The fattest worker in it is dumped.

use super::{Conflict, Kind, OfCgroup, Surroundings, Track, Watch};
use crate::look::{Event, Group, Moment, Needs};
#[cfg(test)]
use crate::look::{Events, Look};
use crate::settings::Table;

/// One of these counters has risen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryEvents(pub Vec<Event>);

impl Kind for MemoryEvents {
    const NAME: &'static str = "memory-events";
    const NEEDED: &'static [(&'static str, &'static str)] = &[("events", "[\"high\", \"oom\"]")];
    const OTHERS: &'static [&'static str] = &[];

    fn read(table: &Table<'_>) -> Option<MemoryEvents> {
        const EVENTS: &str = "a list of \"high\", \"max\", \"oom\" and \"oom_kill\"";
        let words = table.strings("events", EVENTS)?;
        let mut events = Vec::new();
        for word in &words {
            match Event::ALL.into_iter().find(|event| event.name() == word.value) {
                Some(event) => events.push(event),
                None => {
                    let reason = format!("{}: {:?} is not counted there", table.key("events"), word.value);
                    table.problem(word.at.clone(), reason, format!("write {EVENTS}"));
                }
            }
        }
        if words.is_empty() {
            let reason = format!("{} is empty", table.key("events"));
            table.problem(table.place("events"), reason, format!("write {EVENTS}"));
        }
        Some(MemoryEvents(events))
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        let names: Vec<&str> = self.0.iter().map(|event| event.name()).collect();
        vec![("events", names.join(" "))]
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
        let counted = |oom| Group { used: None, events: Events { oom, ..Events::default() } };
        ("events = ['oom']", [3, 3, 4].map(|oom| super::tests::look_at_group(counted(oom))).into())
    }
}

impl OfCgroup for MemoryEvents {
    fn see(&self, track: &mut Track, group: &Group, now: Moment) {
        let at = group.events;
        let Some(before) = track.events.replace(at) else { return };
        let risen: Vec<String> = self
            .0
            .iter()
            .filter(|&&event| at.get(event) > before.get(event))
            // As they were always written: `oomkill`, not `oom_kill`.
            .map(|&event| format!("{event:?} +{}", at.get(event) - before.get(event)).to_lowercase())
            .collect();
        if !risen.is_empty() {
            track.want_for_now(now, || format!("its cgroup's memory.events: {}", risen.join(", ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_want_when_they_rise() {
        let mut track = Track::default();
        let count = |track: &mut Track, event: Event, high: u64, now: u64| {
            let group = Group { used: None, events: Events { high, ..Events::default() } };
            MemoryEvents(vec![event]).see(track, &group, Moment(now * 1000));
        };
        count(&mut track, Event::High, 7, 0);
        count(&mut track, Event::High, 7, 1);
        assert_eq!(track.wanted, None);
        count(&mut track, Event::Oom, 8, 2);
        assert_eq!(track.wanted, None);
        count(&mut track, Event::High, 9, 3);
        assert_eq!(track.wanted.as_ref().map(|wanted| &*wanted.why), Some("its cgroup's memory.events: high +1"));
        track.fire();
        // A cgroup that was made anew counts from 0.
        count(&mut track, Event::High, 0, 4);
        assert_eq!(track.wanted, None);
    }
}
