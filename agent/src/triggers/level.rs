//! A level with hysteresis, for the triggers that watch a value: bytes or a share.

use super::track::Track;
use crate::look::Moment;
use crate::settings::Table;
use crate::settings::values::{PERCENT, SIZE, percent, some_size};

/// The keys that a trigger with a level may have besides `above`.
pub const OTHERS: &[&str] = &["clear_below", "polls"];

/// Reached after `polls` looks above `above`, and again only once it was below `clear`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Above this.
    pub above: f64,
    /// Until it has been below this.
    pub clear: f64,
    /// How often in a row.
    pub polls: u32,
}

impl Level {
    /// Reached at the first look above `above`, and never again: for what only rises.
    pub fn once(above: f64) -> Level {
        Level { above, clear: 0.0, polls: 1 }
    }

    /// Reads a level in bytes.
    pub fn of_bytes(table: &Table<'_>) -> Option<Level> {
        let above = table.parsed("above", SIZE, some_size).map(|size| size.value as f64);
        let clear = table.parsed("clear_below", SIZE, some_size).map(|size| size.value as f64);
        Level::read(table, above, clear)
    }

    /// Reads a level that is a share.
    pub fn of_share(table: &Table<'_>) -> Option<Level> {
        let above = table.parsed("above", PERCENT, |text| match percent(text)? {
            1.0 => Err("it cannot be more than that".into()),
            share => Ok(share),
        });
        let clear = table.parsed("clear_below", PERCENT, percent);
        Level::read(table, above.map(|above| above.value), clear.map(|clear| clear.value))
    }

    fn read(table: &Table<'_>, above: Option<f64>, clear: Option<f64>) -> Option<Level> {
        let polls = table.integer("polls", 1..=1000).unwrap_or(3) as u32;
        let above = above?;
        if clear.is_some_and(|clear| clear > above) {
            let reason = format!("clear_below of {} is more than above", table.name);
            table.problem(table.place("clear_below"), reason, "make it less, or leave it out: 90% of above");
        }
        Some(Level { above, clear: clear.unwrap_or(above * 0.9), polls })
    }

    /// Its settings, by key.
    pub fn identity(&self) -> Vec<(&'static str, String)> {
        let Level { above, clear, polls } = self;
        vec![("above", above.to_string()), ("clear_below", clear.to_string()), ("polls", polls.to_string())]
    }

    /// Takes in the value that it is about; `why` says in words what was seen.
    pub fn see(&self, track: &mut Track, value: f64, now: Moment, why: impl FnOnce(f64) -> String) {
        track.above = if value > self.above { track.above.saturating_add(1) } else { 0 };
        if value < self.clear {
            track.fired = false;
            track.wanted = None;
        }
        if track.above >= self.polls && !track.fired {
            track.want(now, why(value));
        }
    }
}

/// A share in words.
pub fn in_percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(track: &mut Track, value: f64, now: u64) -> bool {
        let level = Level { above: 100.0, clear: 90.0, polls: 3 };
        level.see(track, value, Moment(now * 1000), |_| "x".into());
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
}
