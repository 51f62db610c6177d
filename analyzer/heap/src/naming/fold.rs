//! Folding what repeats: a leak that grows by one link a request makes paths of thousands of links.

/// Longer repeats than this are not looked for.
const LONGEST: usize = 12;
/// Fewer repeats than this are more readable as they are.
const LEAST_TIMES: usize = 3;

/// A stretch of a sequence: `period` items that stand there `times` times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fold {
    /// Where it starts.
    pub start: usize,
    /// How many items repeat.
    pub period: usize,
    /// How often they stand there; once if nothing repeats.
    pub times: usize,
}

/// Cuts a sequence into stretches that repeat and single items, from the left; each time what covers most.
pub fn fold<T: PartialEq>(items: &[T]) -> Vec<Fold> {
    let mut folds = Vec::new();
    let mut start = 0;
    while start < items.len() {
        let rest = &items[start..];
        let repeats = (1..=LONGEST).map(|period| (period, times(rest, period)));
        let best = repeats.filter(|&(_, times)| times >= LEAST_TIMES).max_by_key(|&(period, times)| {
            // Of equals the shorter: a block of two blocks is no news.
            (period * times, std::cmp::Reverse(period))
        });
        let (period, times) = best.unwrap_or((1, 1));
        folds.push(Fold { start, period, times });
        start += period * times;
    }
    folds
}

/// How often the first `period` items stand at the beginning, one after the other.
fn times<T: PartialEq>(items: &[T], period: usize) -> usize {
    let Some(block) = items.get(..period) else { return 0 };
    items.chunks_exact(period).take_while(|&other| other == block).count()
}

/// The sequence in words: `a → (b → c) ×7 → d`.
pub fn folded_text(items: &[&str], folds: &[Fold], between: &str) -> String {
    let stretches = folds.iter().map(|fold| {
        let block = items[fold.start..fold.start + fold.period].join(between);
        if fold.times > 1 { format!("({block}) ×{}", fold.times) } else { block }
    });
    stretches.collect::<Vec<_>>().join(between)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(text: &str) -> String {
        let items: Vec<&str> = text.split_terminator("").skip(1).collect();
        folded_text(&items, &fold(&items), "→")
    }

    #[test]
    fn what_repeats_is_said_once() {
        assert_eq!(folded("abcdef"), "a→b→c→d→e→f");
        assert_eq!(folded("xabababy"), "x→(a→b) ×3→y");
        assert_eq!(folded("aaaa"), "(a) ×4");
        assert_eq!(folded("aabb"), "a→a→b→b");
        assert_eq!(folded(&format!("mo{}z", "cs".repeat(5000))), "m→o→(c→s) ×5000→z");
        assert_eq!(folded("aabaabaabaab"), "(a→a→b) ×4");
        assert_eq!(folded(""), "");
    }

    proptest! {
        #[test]
        fn nothing_is_lost(items in prop::collection::vec(0..3u8, 0..60)) {
            let folds = fold(&items);
            let unfolded: Vec<u8> = folds
                .iter()
                .flat_map(|fold| items[fold.start..fold.start + fold.period].repeat(fold.times))
                .collect();
            prop_assert_eq!(unfolded, items);
        }
    }
}
