//! The bandwidth limit: how long to wait after so many bytes. It does not wait itself.

use std::time::{Duration, Instant};

/// Keeps the average below a limit. What was not used is not saved up.
pub struct Throttle {
    bytes_per_second: Option<u64>,
    /// When all bytes so far have had their time.
    paid: Option<Instant>,
}

impl Throttle {
    /// No limit if there is none.
    pub fn new(bytes_per_second: Option<u64>) -> Throttle {
        Throttle { bytes_per_second: bytes_per_second.filter(|&rate| rate > 0), paid: None }
    }

    /// `bytes` have gone over the wire by now: how long to send nothing.
    pub fn spent(&mut self, bytes: u64, took: Duration, now: Instant) -> Duration {
        let Some(rate) = self.bytes_per_second else { return Duration::ZERO };
        let began = now.checked_sub(took).unwrap_or(now);
        let from = self.paid.map_or(began, |paid| paid.max(began));
        let paid = from + Duration::from_secs_f64(bytes as f64 / rate as f64);
        self.paid = Some(paid);
        paid.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whoever waits as told never exceeds the limit over any time from the start, whatever each piece took.
        #[test]
        fn the_average_stays_below_the_limit(rate in 1_u64..1 << 30, pieces in prop::collection::vec((1_u64..1 << 24, 0_u64..5000), 1..50)) {
            let mut throttle = Throttle::new(Some(rate));
            let start = Instant::now();
            let (mut now, mut sent) = (start, 0);
            for (bytes, milliseconds) in pieces {
                let took = Duration::from_millis(milliseconds);
                now += took;
                sent += bytes;
                now += throttle.spent(bytes, took, now);
                let least = Duration::from_secs_f64(sent as f64 / rate as f64);
                prop_assert!(now - start + Duration::from_micros(50) >= least, "{:?} {:?}", now - start, least);
            }
        }
    }

    #[test]
    fn a_slow_wire_is_not_slowed_further() {
        let mut throttle = Throttle::new(Some(1000));
        let now = Instant::now() + Duration::from_secs(60);
        assert_eq!(throttle.spent(1000, Duration::from_secs(5), now), Duration::ZERO);
        assert_eq!(throttle.spent(1000, Duration::ZERO, now), Duration::from_secs(1));
        assert_eq!(Throttle::new(None).spent(1 << 40, Duration::ZERO, now), Duration::ZERO);
        assert_eq!(Throttle::new(Some(0)).spent(1 << 40, Duration::ZERO, now), Duration::ZERO);
    }
}
