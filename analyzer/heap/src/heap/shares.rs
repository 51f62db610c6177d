//! Work shared out among threads of its own.
//!
//! Not rayon's: what is read when first asked for is asked for from anywhere, by tasks of rayon's, too. A thread of its
//! pool that waited for such work would be given other tasks meanwhile, which may wait for the very same thing.

/// Whether `look` holds of all `items`. Stops early if it does not.
pub fn all<T: Send>(mut items: Vec<T>, look: impl Fn(T) -> bool + Sync) -> bool {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let mut others = Vec::new();
        while items.len() > share {
            let some = items.split_off(items.len() - share);
            others.push(scope.spawn(|| some.into_iter().all(&look)));
        }
        let mine = items.into_iter().all(&look);
        others.into_iter().fold(mine, |so_far, other| so_far & other.join().unwrap_or(false))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn everything_is_looked_at_once() {
        for count in [0, 1, 2, 3, 7, 100] {
            let (seen, sum) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let look = |i: usize| {
                seen.fetch_add(1, Ordering::Relaxed);
                sum.fetch_add(i, Ordering::Relaxed);
                true
            };
            assert!(super::all((0..count).collect(), look));
            assert_eq!((seen.into_inner(), sum.into_inner()), (count, count * count.saturating_sub(1) / 2));
            for bad in 0..count {
                assert!(!super::all((0..count).collect(), |i| i != bad));
            }
        }
    }
}
