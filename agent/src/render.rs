//! How values are shown to people: sizes, durations, and texts that others have written.

use std::time::Duration;

use heapsee_format::text::is_hostile;
use indicatif::HumanBytes;

/// A size, as `1.20 GiB`.
pub fn bytes(size: u64) -> String {
    HumanBytes(size).to_string()
}

/// A duration in its two largest units, as `3d 4h` or `12s`.
pub fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// Nanoseconds as milliseconds, as `12.3 ms`.
pub fn milliseconds(nanoseconds: u64) -> String {
    format!("{}.{} ms", nanoseconds / 1_000_000, nanoseconds / 100_000 % 10)
}

/// A text of somebody else's on one line: titles, paths and reasons of a worker may hold line feeds or a terminal's
/// escape sequences, and those must not reach a terminal or a log.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hostile(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_units() {
        let got: Vec<String> = [5, 65, 3700, 90_000].map(|s| age(Duration::from_secs(s))).into();
        assert_eq!(got, ["5s", "1m 5s", "1h 1m", "1d 1h"]);
    }

    #[test]
    fn milliseconds_have_one_digit() {
        assert_eq!(milliseconds(12_345_678), "12.3 ms");
        assert_eq!(milliseconds(0), "0.0 ms");
    }

    #[test]
    fn hostile_texts_become_one_harmless_line() {
        assert_eq!(one_line("a\u{200b}b\u{feff}"), "a\\u{200b}b\\u{feff}");
        assert_eq!(one_line("a\nb\u{1b}[31mc\u{202e}d\té"), "a\\nb\\u{1b}[31mc\\u{202e}d\\té");
    }
}
