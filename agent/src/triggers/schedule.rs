//! `trigger = "schedule"`: so often, or in the minutes of a calendar. The fattest worker is dumped.

use std::time::Duration;

use jiff::{SignedDuration, Unit};

use super::{Conflict, Cron, Kind, OfHost, Surroundings, Track, Watch};
#[cfg(test)]
use crate::look::Seen;
use crate::look::{Look, Moment, Needs};
use crate::settings::Table;
use crate::settings::values::{DURATION, some_duration};

/// A clock that was set back by less waits until it is again where it was; by more, it begins anew.
const SET_BACK: SignedDuration = SignedDuration::from_hours(3);

/// When it is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// So often.
    Every(Duration),
    /// In those minutes.
    Cron(Cron),
}

impl Kind for Schedule {
    const NAME: &'static str = "schedule";
    // One of the two others.
    const NEEDED: &'static [(&'static str, &'static str)] = &[];
    const OTHERS: &'static [&'static str] = &["every", "cron"];

    fn read(table: &Table<'_>) -> Option<Schedule> {
        const CRON: &str = "minute, hour, day, month and day of the week, such as \"30 3 * * *\"";
        let every = table.parsed("every", DURATION, |text| match some_duration(text)? {
            time if time < Duration::from_secs(60) => Err("that is less than a minute".into()),
            time => Ok(time),
        });
        let cron = table.parsed("cron", CRON, |text| text.parse::<Cron>());
        match (table.has("every"), table.has("cron")) {
            (true, true) => {
                let reason = format!("{} has both every and cron", table.name);
                table.problem(table.place("cron"), reason, "leave one of them out");
                None
            }
            (false, false) => {
                let reason = format!("{} has the trigger \"schedule\", but neither every nor cron", table.name);
                table.problem(table.place("trigger"), reason, "add every = \"6h\" or cron = \"30 3 * * *\"");
                None
            }
            (true, false) => Some(Schedule::Every(every?.value)),
            (false, true) => Some(Schedule::Cron(cron?.value)),
        }
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        match self {
            Schedule::Every(every) => vec![("every", format!("{every:?}"))],
            Schedule::Cron(cron) => vec![("cron", cron.text().to_owned())],
        }
    }

    fn ask_for(&self, _: &mut Needs) {}

    fn conflict(&self, _: &Surroundings) -> Option<Conflict> {
        None
    }

    fn watch(&self) -> Watch<'_> {
        Watch::Host(self)
    }

    #[cfg(test)]
    fn example() -> (&'static str, Vec<Look>) {
        let at = |wall: &str| Look { wall: wall.parse().unwrap(), ..super::tests::look_at(Seen::example()) };
        ("cron = '30 3 * * *'", ["2026-11-24T03:29:58", "2026-11-24T03:29:59", "2026-11-24T03:30:00"].map(at).into())
    }
}

impl OfHost for Schedule {
    fn see(&self, track: &mut Track, look: &Look, patience: Duration) {
        match self {
            Schedule::Every(every) => interval(track, *every, look.now),
            Schedule::Cron(cron) => calendar(track, cron, look, patience),
        }
    }
}

fn interval(track: &mut Track, every: Duration, now: Moment) {
    let due = *track.due.get_or_insert(now);
    if now.since(due) >= every {
        // Of times that have gone by unseen, one is made up for.
        track.due = Some(now);
        let why = format!("every {}", humantime::format_duration(every));
        track.want_for_now(now, || why);
    }
}

fn calendar(track: &mut Track, cron: &Cron, look: &Look, patience: Duration) {
    let wall = look.wall.with().second(0).subsec_nanosecond(0).build().unwrap_or(look.wall);
    let Some(seen) = track.minute else {
        track.minute = Some(wall);
        return;
    };
    if wall <= seen {
        // The clock was set back: what was due is not due again.
        if seen.duration_since(wall) > SET_BACK {
            track.minute = Some(wall);
        }
        return;
    }
    track.minute = Some(wall);
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
        track.want_for_now(look.now, || why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_due(track: &mut Track, wall: &str) -> bool {
        let cron = "30 3 * * *".parse().unwrap();
        let look = Look { wall: wall.parse().unwrap(), ..Look::default() };
        calendar(track, &cron, &look, Duration::from_secs(900));
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
            assert_eq!(is_due(&mut track, wall), expect, "{wall}");
        }
    }

    #[test]
    fn an_interval_makes_up_for_one() {
        let mut track = Track::default();
        let every = Duration::from_secs(100);
        let due: Vec<bool> = [0, 99, 100, 150, 1000, 1050, 1100]
            .map(|now| {
                interval(&mut track, every, Moment(now * 1000));
                track.fire().is_some()
            })
            .into();
        assert_eq!(due, [false, false, true, false, true, false, true]);
    }
}
