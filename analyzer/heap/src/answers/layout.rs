//! What CPython's containers take, by its own rules: how much room an object's size says it has, and how much it needs.
//!
//! Of `list`, `dict` and `set` themselves, on 64-bit CPython 3.8 to 3.15; not of subclasses, nor of dicts that share
//! their keys. A size that the rules do not give (another interpreter) has no answer here.

/// The header of the collector.
const GC: u64 = 16;
/// A list without elements.
const LIST: u64 = 40 + GC;
/// A dict without keys.
const DICT: u64 = 48 + GC;
/// A set, with the room for eight entries that it has in itself.
const SET: u64 = 200 + GC;

/// What a list of `length` elements would take if it were copied: since 3.10 the room is for an even number of them.
pub fn tight_list(size: u64, length: u64) -> Option<u64> {
    let room = size.checked_sub(LIST)?;
    (room.is_multiple_of(8) && room / 8 >= length).then(|| size.min(LIST + 8 * length.next_multiple_of(2)))
}

/// What a set or frozenset of `length` elements would take if it were copied.
pub fn tight_set(size: u64, length: u64) -> Option<u64> {
    let table = size.checked_sub(SET)?;
    let slots = table / 16;
    if !table.is_multiple_of(16) || (slots != 0 && !slots.is_power_of_two()) || length > slots.max(8) {
        return None;
    }
    // A copy makes its table larger than twice the elements; up to four fit in the set itself.
    let tight = if length <= 4 { 0 } else { (2 * length + 1).next_power_of_two() };
    Some(SET + 16 * tight)
}

/// What a dict of `length` entries takes in the smallest table that has room for them.
pub fn tight_dict(size: u64, length: u64) -> Option<u64> {
    if size == DICT {
        return (length == 0).then_some(DICT);
    }
    for keys in [Keys { header: 40, entry: 24 }, Keys { header: 32, entry: 24 }, Keys { header: 32, entry: 16 }] {
        let found = (3..40).map(|log| (log, keys.size(log))).take_while(|&(_, own)| DICT + own <= size).last();
        if let Some((log, own)) = found.filter(|&(_, own)| DICT + own == size) {
            return (length <= usable(log)).then(|| match length {
                0 => DICT,
                _ => DICT + (3..=log).find(|&log| usable(log) >= length).map_or(own, |log| keys.size(log)),
            });
        }
    }
    None
}

/// How a dict's keys are laid out. Before 3.11 the header is 40 bytes and entries keep the hash; since then entries of
/// dicts with only `str` keys do not.
#[derive(Clone, Copy)]
struct Keys {
    header: u64,
    entry: u64,
}

impl Keys {
    /// With a table of 2^log indexes, each as wide as it has to be.
    fn size(self, log: u32) -> u64 {
        let width = match log {
            0..8 => 1,
            8..16 => 2,
            16..32 => 4,
            _ => 8,
        };
        self.header + (width << log) + self.entry * usable(log)
    }
}

/// Two thirds of the table can be used.
fn usable(log: u32) -> u64 {
    (2u64 << log) / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sys.getsizeof` of CPython 3.9 to 3.15, before and after copying.
    #[test]
    fn sizes_that_cpython_gives() {
        assert_eq!(tight_list(56, 0), Some(56));
        assert_eq!((tight_list(80, 3), tight_list(88, 3), tight_list(184, 3)), (Some(80), Some(88), Some(88)));
        assert_eq!(tight_list(57, 0), None);
        assert_eq!(tight_list(64, 9), None, "not CPython's");
        assert_eq!(tight_dict(64, 0), Some(64));
        assert_eq!(tight_dict(232, 1), Some(232), "3.9");
        assert_eq!((tight_dict(184, 5), tight_dict(224, 5)), (Some(184), Some(224)), "3.11, by kind of keys");
        assert_eq!((tight_dict(232, 0), tight_dict(184, 0)), (Some(64), Some(64)), "emptied");
        assert_eq!(tight_dict(104, 3), None, "keys shared");
        assert_eq!(tight_dict(9312, 3), Some(232), "3.9, 200 entries once");
        assert_eq!(tight_set(216, 3), Some(216));
        assert_eq!(tight_set(8408, 200), Some(8408), "512 slots");
        assert_eq!(tight_set(8408, 2), Some(216));
        assert_eq!(tight_set(8408 + 16, 2), None);
    }

    #[test]
    fn nothing_overflows() {
        for size in [0, 1, u64::MAX, u64::MAX - 7] {
            for length in [0, 1, 1 << 62] {
                let _ = (tight_list(size, length), tight_dict(size, length), tight_set(size, length));
            }
        }
    }
}
