//! One trigger watching one subject: when it begins to want a dump, and when it no longer does.
//!
//! Whether the dump may be taken now is not its business.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::{SignedDuration, Unit};
use serde::{Deserialize, Serialize};

use super::seen::{Events, Group, Look, Moment, Seen};
use crate::config::{Cron, Event, Level, Measure, Trigger};
use crate::render;

/// How many samples of a window are kept at most: enough for a line through them.
const SAMPLES: u32 = 60;
/// A clock that was set back by less waits until it is again where it was; by more, it begins anew.
const SET_BACK: SignedDuration = SignedDuration::from_hours(3);

/// What a trigger watches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Subject {
    /// One worker.
    Worker(super::seen::Id),
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
    above: u32,
    /// Whether it has had its dump, and has not been clear since.
    pub fired: bool,
    /// A dump is wanted.
    pub wanted: Option<Wanted>,
    /// Resident sets over a window.
    #[serde(skip)]
    samples: VecDeque<(Moment, u64)>,
    /// Counters when it was last looked at.
    events: Option<Events>,
    /// When it was last due.
    due: Option<Moment>,
    /// Up to which minute the calendar has been looked at.
    minute: Option<DateTime>,
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
    /// Takes in one look at a worker, for the triggers that watch workers.
    pub fn see_worker(&mut self, trigger: &Trigger, worker: &Seen, now: Moment) {
        match trigger {
            Trigger::Memory(Measure::Rss, level) => self.level(level, worker.rss as f64, now, |v| of_bytes("RSS", v)),
            Trigger::Memory(Measure::Pss, level) => {
                // It was not read because the resident set is below already.
                let pss = worker.pss.unwrap_or(0) as f64;
                self.level(level, pss, now, |value| of_bytes("PSS", value));
            }
            Trigger::Slope { above, window, at_least } => {
                self.sample(now, worker.rss, *window);
                let Some(slope) = self.slope(now, *window) else { return };
                let level = Level { above: *above, clear: *above * 0.5, polls: 1 };
                let slope = if worker.rss < *at_least { 0.0 } else { slope };
                self.level(&level, slope, now, |slope| {
                    format!("RSS grows by {} an hour", render::bytes((slope * 3600.0) as u64))
                });
            }
            Trigger::Age(above) => {
                let level = Level { above: above.as_secs_f64(), clear: 0.0, polls: 1 };
                self.level(&level, worker.age.as_secs_f64(), now, |_| format!("age {}", render::age(worker.age)));
            }
            Trigger::Requests { above, .. } => {
                let Some(requests) = worker.requests else { return };
                let level = Level { above: *above as f64, clear: 0.0, polls: 1 };
                self.level(&level, requests as f64, now, |_| format!("{requests} requests served"));
            }
            _ => {}
        }
    }

    /// Takes in one look at a cgroup.
    pub fn see_group(&mut self, trigger: &Trigger, group: &Group, now: Moment) {
        match trigger {
            Trigger::Cgroup(level) => {
                let used = group.used.unwrap_or(0.0);
                self.level(level, used, now, |used| format!("its cgroup's memory at {}", of_share(used)));
            }
            Trigger::Events(events) => self.count(events, group.events, now),
            _ => {}
        }
    }

    /// Takes in one look at host and clocks.
    pub fn see_host(&mut self, trigger: &Trigger, look: &Look, patience: Duration) {
        match trigger {
            Trigger::Pressure(resource, level) => {
                let Some(pressure) = look.host.pressure(*resource) else { return };
                let name = format!("{resource:?}").to_lowercase();
                self.level(level, pressure, look.now, |at| format!("{name} pressure at {}", of_share(at)));
            }
            Trigger::Every(every) => self.interval(*every, look.now),
            Trigger::Cron(cron) => self.calendar(cron, look, patience),
            _ => {}
        }
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

    fn level(&mut self, level: &Level, value: f64, now: Moment, why: impl FnOnce(f64) -> String) {
        self.above = if value > level.above { self.above.saturating_add(1) } else { 0 };
        if value < level.clear {
            self.fired = false;
            self.wanted = None;
        }
        if self.above >= level.polls && !self.fired {
            let since = self.wanted.take().map_or(now, |wanted| wanted.since);
            self.wanted = Some(Wanted { since, why: why(value), passes: false });
        }
    }

    fn sample(&mut self, now: Moment, rss: u64, window: Duration) {
        let enough = self.samples.back().is_none_or(|(last, _)| now.since(*last) >= window / SAMPLES);
        if enough {
            self.samples.push_back((now, rss));
        }
        // One that is just too old stays, so that what is kept spans the window.
        while self.samples.get(1).is_some_and(|(at, _)| now.since(*at) >= window) {
            self.samples.pop_front();
        }
    }

    /// Bytes a second by the line that fits best, once there is a window's worth of samples.
    fn slope(&self, now: Moment, window: Duration) -> Option<f64> {
        let (first, _) = self.samples.front()?;
        if now.since(*first) < window || self.samples.len() < 3 {
            return None;
        }
        let n = self.samples.len() as f64;
        let points = || self.samples.iter().map(|(at, rss)| (at.since(*first).as_secs_f64(), *rss as f64));
        let (sum_x, sum_y) = points().fold((0.0, 0.0), |(x, y), (px, py)| (x + px, y + py));
        let (mean_x, mean_y) = (sum_x / n, sum_y / n);
        let (cov, var) = points().fold((0.0, 0.0), |(cov, var), (x, y)| {
            (cov + (x - mean_x) * (y - mean_y), var + (x - mean_x) * (x - mean_x))
        });
        (var > 0.0).then(|| cov / var)
    }

    fn count(&mut self, wanted: &[Event], now_at: Events, now: Moment) {
        let Some(before) = self.events.replace(now_at) else { return };
        let risen: Vec<String> = wanted
            .iter()
            .filter(|&&event| now_at.get(event) > before.get(event))
            .map(|&event| format!("{event:?} +{}", now_at.get(event) - before.get(event)).to_lowercase())
            .collect();
        if !risen.is_empty() && self.wanted.is_none() {
            let why = format!("its cgroup's memory.events: {}", risen.join(", "));
            self.wanted = Some(Wanted { since: now, why, passes: true });
        }
    }

    fn interval(&mut self, every: Duration, now: Moment) {
        let due = *self.due.get_or_insert(now);
        if now.since(due) >= every {
            // Of times that have gone by unseen, one is made up for.
            self.due = Some(now);
            let why = format!("every {}", humantime::format_duration(every));
            self.wanted.get_or_insert(Wanted { since: now, why, passes: true });
        }
    }

    fn calendar(&mut self, cron: &Cron, look: &Look, patience: Duration) {
        let wall = look.wall.with().second(0).subsec_nanosecond(0).build().unwrap_or(look.wall);
        let Some(seen) = self.minute else {
            self.minute = Some(wall);
            return;
        };
        if wall <= seen {
            // The clock was set back: what was due is not due again.
            if seen.duration_since(wall) > SET_BACK {
                self.minute = Some(wall);
            }
            return;
        }
        self.minute = Some(wall);
        // What nobody looked at is made up for, as long as it would have waited.
        let patience = SignedDuration::try_from(patience).unwrap_or(SignedDuration::from_hours(24));
        let passed = wall.duration_since(seen).min(patience.max(SignedDuration::from_mins(1)));
        let minutes = passed.as_mins().clamp(1, 7 * 24 * 60);
        let is_due = |ago: i64| {
            let minute = wall.checked_sub(SignedDuration::from_mins(ago));
            minute.is_ok_and(|minute| cron.is_due(minute))
        };
        if (0..minutes).any(is_due) {
            let time = wall.round(Unit::Minute).unwrap_or(wall).strftime("%H:%M");
            let why = format!("it is {time}, by {cron:?}");
            self.wanted.get_or_insert(Wanted { since: look.now, why, passes: true });
        }
    }
}

fn of_bytes(what: &str, bytes: f64) -> String {
    format!("{what} {}", render::bytes(bytes as u64))
}

fn of_share(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(seconds * 1000)
    }

    fn level(track: &mut Track, value: f64, now: u64) -> bool {
        let level = Level { above: 100.0, clear: 90.0, polls: 3 };
        track.level(&level, value, at(now), |_| "x".into());
        track.wanted.is_some()
    }

    #[test]
    fn a_level_wants_after_so_many_looks_and_once() {
        let mut track = Track::default();
        let values = [101.0, 101.0, 99.0, 101.0, 101.0, 101.0];
        let wants: Vec<bool> = values.iter().zip(0..).map(|(&value, now)| level(&mut track, value, now)).collect();
        assert_eq!(wants, [false, false, false, false, false, true]);
        track.fire();
        // Neither staying above nor swinging about the threshold makes a second.
        assert!((6..20).all(|now| !level(&mut track, if now % 5 == 0 { 95.0 } else { 150.0 }, now)));
        assert!(!level(&mut track, 89.0, 20));
        assert!(!level(&mut track, 101.0, 21) && !level(&mut track, 101.0, 22) && level(&mut track, 101.0, 23));
    }

    #[test]
    fn a_level_that_clears_wants_no_more() {
        let mut track = Track::default();
        assert!((0..3).any(|now| level(&mut track, 200.0, now)));
        assert!(level(&mut track, 95.0, 3), "between the two it still does");
        assert!(!level(&mut track, 89.0, 4));
    }

    #[test]
    fn a_slope_needs_its_window() {
        let mut track = Track::default();
        let window = Duration::from_secs(600);
        let slopes: Vec<Option<f64>> = (0..=20)
            .map(|i| {
                track.sample(at(i * 60), 1_000_000 + i * 60 * 50, window);
                track.slope(at(i * 60), window)
            })
            .collect();
        assert!(slopes[..10].iter().all(Option::is_none));
        assert!(slopes[10..].iter().all(|slope| slope.is_some_and(|slope| (slope - 50.0).abs() < 1e-6)), "{slopes:?}");
        assert!(track.samples.len() <= 12, "{}", track.samples.len());
    }

    #[test]
    fn samples_are_bounded_whatever_the_poll() {
        let mut track = Track::default();
        for i in 0..100_000 {
            track.sample(Moment(i * 100), i, Duration::from_secs(3600));
        }
        assert!(track.samples.len() <= 62, "{}", track.samples.len());
    }

    #[test]
    fn counters_want_when_they_rise() {
        let mut track = Track::default();
        let events = |high| Events { high, ..Events::default() };
        track.count(&[Event::High], events(7), at(0));
        track.count(&[Event::High], events(7), at(1));
        assert_eq!(track.wanted, None);
        track.count(&[Event::Oom], events(8), at(2));
        assert_eq!(track.wanted, None);
        track.count(&[Event::High], events(9), at(3));
        assert_eq!(track.wanted.as_ref().map(|wanted| &*wanted.why), Some("its cgroup's memory.events: high +1"));
        track.fire();
        // A cgroup that was made anew counts from 0.
        track.count(&[Event::High], events(0), at(4));
        assert_eq!(track.wanted, None);
    }

    fn calendar(track: &mut Track, wall: &str) -> bool {
        let cron = "30 3 * * *".parse().unwrap();
        let look = Look { wall: wall.parse().unwrap(), ..Look::default() };
        track.calendar(&cron, &look, Duration::from_secs(900));
        track.fire().is_some()
    }

    #[test]
    fn the_calendar_is_due_once_whatever_the_clock_does() {
        let mut track = Track::default();
        let walls = [
            ("2026-11-24T03:29:50", false),
            ("2026-11-24T03:30:05", true),
            ("2026-11-24T03:30:55", false),
            ("2026-11-24T02:31:00", false), // set back by an hour
            ("2026-11-24T03:30:00", false),
            ("2026-11-24T03:35:00", false),
            ("2026-11-25T03:28:00", false),
            ("2026-11-25T03:40:00", true),  // nobody looked at 3:30
            ("2026-11-26T12:00:00", false), // long gone by
            ("2026-11-20T03:29:00", false), // set back by days
            ("2026-11-20T03:30:00", true),
        ];
        for (wall, expect) in walls {
            assert_eq!(calendar(&mut track, wall), expect, "{wall}");
        }
    }

    #[test]
    fn an_interval_makes_up_for_one() {
        let mut track = Track::default();
        let every = Duration::from_secs(100);
        let due: Vec<bool> = [0, 99, 100, 150, 1000, 1050, 1100]
            .map(|now| {
                track.interval(every, at(now));
                track.fire().is_some()
            })
            .into();
        assert_eq!(due, [false, false, true, false, true, false, true]);
    }
}
