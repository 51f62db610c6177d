//! When to try again after a failure: a pause that doubles, with jitter, so that many hosts do not come back at once.

use std::time::Duration;

/// The pauses of one destination.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Pauses from about `first` to about `longest`.
    pub fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff { first, longest: longest.max(first), failures: 0 }
    }

    /// It has worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// It has failed: how long to wait. Between half of the pause and all of it, by `random`.
    pub fn failed(&mut self, random: u64) -> Duration {
        let doubled = self.first.saturating_mul(1_u32.checked_shl(self.failures.min(31)).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        let pause = doubled.min(self.longest);
        let share = (random % 1024) as u32;
        pause / 2 + pause / 2 * share / 1024
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pauses_double_up_to_the_longest(first in 1_u64..100, longest in 1_u64..10_000, randoms in prop::collection::vec(any::<u64>(), 1..80)) {
            let (first, longest) = (Duration::from_secs(first), Duration::from_secs(longest));
            let mut backoff = Backoff::new(first, longest);
            let mut expect = first;
            for random in randoms {
                let pause = backoff.failed(random);
                prop_assert!(pause >= expect / 2 && pause <= expect, "{pause:?} {expect:?}");
                expect = (expect * 2).min(longest.max(first));
            }
            backoff.reset();
            prop_assert!(backoff.failed(0) == first / 2);
        }
    }
}
