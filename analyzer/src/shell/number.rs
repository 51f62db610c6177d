//! Numbers as the shell says them: whole, and short beside it.

/// `4121623 (4.1M)`. Always with the short form, which memsee leaves out below 10,000: one pattern then finds both,
/// whatever the heap.
pub fn both(n: u64) -> String {
    format!("{n} ({})", short(n))
}

/// `4.1M`: one digit behind the point, and the power of a thousand.
pub fn short(n: u64) -> String {
    // The precision lost by going through f64 is far below the one digit shown.
    let value = n as f64;
    match n {
        0..10_000 => n.to_string(),
        10_000..1_000_000 => format!("{:.1}K", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}M", value / 1e6),
        1_000_000_000..1_000_000_000_000 => format!("{:.1}G", value / 1e9),
        _ => format!("{:.1}T", value / 1e12),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_own_figures() {
        assert_eq!(both(4_121_623), "4121623 (4.1M)");
        assert_eq!(both(14_969_737), "14969737 (15.0M)");
        assert_eq!(both(1_220_387_792), "1220387792 (1.2G)");
        assert_eq!(both(653_444_692), "653444692 (653.4M)");
    }

    #[test]
    fn small_numbers_are_not_shortened() {
        assert_eq!(both(0), "0 (0)");
        assert_eq!(both(9_999), "9999 (9999)");
        assert_eq!(both(10_000), "10000 (10.0K)");
        assert_eq!(short(2_000_000_000_000), "2.0T");
    }
}
