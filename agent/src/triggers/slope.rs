//! `trigger = "slope"`: a worker's resident set grows faster than that, over a window of time.

use std::time::Duration;

use super::level::Level;
use super::{Conflict, Kind, OfWorker, Surroundings, Track, Watch};
#[cfg(test)]
use crate::look::Look;
use crate::look::{Moment, Needs, Seen};
use crate::render;
use crate::settings::Table;
use crate::settings::values::{DURATION, RATE, SIZE, rate, some_duration, some_size};

/// How many samples of a window are kept at most: enough for a line through them.
const SAMPLES: u32 = 60;

/// Growth of a worker's resident set, in bytes a second over a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Slope {
    /// Faster than this.
    pub above: f64,
    /// Over this time.
    pub window: Duration,
    /// Only of workers that have so many bytes.
    pub at_least: u64,
}

impl Kind for Slope {
    const NAME: &'static str = "slope";
    const NEEDED: &'static [(&'static str, &'static str)] = &[("above", "\"100MB/h\""), ("window", "\"30m\"")];
    const OTHERS: &'static [&'static str] = &["at_least"];

    fn read(table: &Table<'_>) -> Option<Slope> {
        Some(Slope {
            above: table.parsed("above", RATE, rate)?.value,
            window: table.parsed("window", DURATION, some_duration)?.value,
            at_least: table.parsed("at_least", SIZE, some_size).map_or(0, |size| size.value),
        })
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        let Slope { above, window, at_least } = self;
        vec![("above", above.to_string()), ("window", format!("{window:?}")), ("at_least", at_least.to_string())]
    }

    fn ask_for(&self, _: &mut Needs) {}

    fn conflict(&self, around: &Surroundings) -> Option<Conflict> {
        (self.window < around.poll * 3).then(|| Conflict {
            reason: format!(": window = {:?} holds fewer than three polls", self.window),
            fix: "make it longer, or poll of [agent] shorter".to_owned(),
        })
    }

    fn watch(&self) -> Watch<'_> {
        Watch::Worker(self)
    }

    #[cfg(test)]
    fn example() -> (&'static str, Vec<Look>) {
        let grown = |i: u64| super::tests::look_at(Seen { rss: 1_000_000 * (1 + i), ..Seen::example() });
        ("above = '1GB/h'\nwindow = '20s'", (0..=20).map(grown).collect())
    }
}

impl OfWorker for Slope {
    fn see(&self, track: &mut Track, worker: &Seen, now: Moment) {
        sample(track, now, worker.rss, self.window);
        let Some(slope) = slope(track, now, self.window) else { return };
        let level = Level { above: self.above, clear: self.above * 0.5, polls: 1 };
        let slope = if worker.rss < self.at_least { 0.0 } else { slope };
        level
            .see(track, slope, now, |slope| format!("RSS grows by {} an hour", render::bytes((slope * 3600.0) as u64)));
    }
}

fn sample(track: &mut Track, now: Moment, rss: u64, window: Duration) {
    let enough = track.samples.back().is_none_or(|(last, _)| now.since(*last) >= window / SAMPLES);
    if enough {
        track.samples.push_back((now, rss));
    }
    // One that is just too old stays, so that what is kept spans the window.
    while track.samples.get(1).is_some_and(|(at, _)| now.since(*at) >= window) {
        track.samples.pop_front();
    }
}

/// Bytes a second by the line that fits best, once there is a window's worth of samples.
fn slope(track: &Track, now: Moment, window: Duration) -> Option<f64> {
    let (first, _) = track.samples.front()?;
    if now.since(*first) < window || track.samples.len() < 3 {
        return None;
    }
    let n = track.samples.len() as f64;
    let points = || track.samples.iter().map(|(at, rss)| (at.since(*first).as_secs_f64(), *rss as f64));
    let (sum_x, sum_y) = points().fold((0.0, 0.0), |(x, y), (px, py)| (x + px, y + py));
    let (mean_x, mean_y) = (sum_x / n, sum_y / n);
    let (cov, var) = points()
        .fold((0.0, 0.0), |(cov, var), (x, y)| (cov + (x - mean_x) * (y - mean_y), var + (x - mean_x) * (x - mean_x)));
    (var > 0.0).then(|| cov / var)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_needs_its_window() {
        let mut track = Track::default();
        let window = Duration::from_secs(600);
        let slopes: Vec<Option<f64>> = (0..=20)
            .map(|i| {
                sample(&mut track, Moment(i * 60_000), 1_000_000 + i * 60 * 50, window);
                slope(&track, Moment(i * 60_000), window)
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
            sample(&mut track, Moment(i * 100), i, Duration::from_secs(3600));
        }
        assert!(track.samples.len() <= 62, "{}", track.samples.len());
    }
}
