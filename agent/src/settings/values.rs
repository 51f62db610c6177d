//! Values with units, as people write them in the configuration: `"2GB"`, `"5m"`, `"80%"`, `"50MB/h"`, `"lms*"`.

use std::time::Duration;

use bytesize::ByteSize;

/// What to write for a size.
pub const SIZE: &str = "a size with its unit, such as \"2GB\" or \"512MiB\"";
/// What to write for a duration.
pub const DURATION: &str = "a duration with its unit, such as \"30s\", \"5m\" or \"1h 30m\"";
/// What to write for a share.
pub const PERCENT: &str = "a percentage from \"0%\" to \"100%\"";
/// What to write for a rate of growth.
pub const RATE: &str = "a size per time, such as \"50MB/h\" or \"1MiB/m\"";
/// What to write for a size or a share of the whole.
pub const SIZE_OR_PERCENT: &str = "a size such as \"2GB\" or a percentage such as \"10%\"";

/// A size in bytes.
pub fn size(text: &str) -> Result<u64, String> {
    if text.trim().bytes().all(|byte| byte.is_ascii_digit()) && !text.trim().is_empty() {
        return Err("it has no unit".into());
    }
    text.parse::<ByteSize>().map(|size| size.as_u64()).map_err(|_| "it is no size".into())
}

/// A size that is not 0.
pub fn some_size(text: &str) -> Result<u64, String> {
    size(text).and_then(|size| if size == 0 { Err("it must be more than 0".into()) } else { Ok(size) })
}

/// A duration.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| error.to_string())
}

/// A duration that is not 0.
pub fn some_duration(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|time| if time.is_zero() { Err("it must be more than 0".into()) } else { Ok(time) })
}

/// A share, from 0 to 1.
pub fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().strip_suffix('%').ok_or("it has no percent sign")?;
    let percent: f64 = number.trim().parse().map_err(|_| "it is no percentage")?;
    if (0.0..=100.0).contains(&percent) { Ok(percent / 100.0) } else { Err("it is out of range".into()) }
}

/// A rate of growth in bytes per second.
pub fn rate(text: &str) -> Result<f64, String> {
    let (amount, per) = text.split_once('/').ok_or("it has no \"/\"")?;
    let bytes = some_size(amount)?;
    let per = per.trim();
    let seconds = match per {
        "s" | "sec" | "second" => 1.0,
        "m" | "min" | "minute" => 60.0,
        "h" | "hour" => 3600.0,
        "d" | "day" => 86_400.0,
        _ => return Err(format!("{per:?} is no unit of time here")),
    };
    Ok(bytes as f64 / seconds)
}

/// An amount of a whole: so many bytes, or a share of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// Bytes.
    Bytes(u64),
    /// A share, from 0 to 1.
    Share(f64),
}

impl Amount {
    /// In bytes, of a whole of that size.
    pub fn of(self, whole: u64) -> u64 {
        match self {
            Amount::Bytes(bytes) => bytes,
            Amount::Share(share) => (whole as f64 * share) as u64,
        }
    }
}

/// A size or a percentage.
pub fn amount(text: &str) -> Result<Amount, String> {
    if text.contains('%') { percent(text).map(Amount::Share) } else { size(text).map(Amount::Bytes) }
}

/// Whether a text fits a pattern in which `*` stands for anything and `?` for one character; case does not matter.
pub fn fits(pattern: &str, text: &str) -> bool {
    wildmatch::WildMatch::new_case_insensitive(pattern).matches(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("2GB"), Ok(2_000_000_000));
        assert_eq!(size("2 GiB"), Ok(2 << 30));
        assert_eq!(size("1.5MB"), Ok(1_500_000));
        assert_eq!(size("0B"), Ok(0));
        for wrong in ["", "2", "GB", "-2GB", "2XB", "2GB2"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert!(some_size("0B").is_err());
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        for wrong in ["", "5", "m", "-5m", "5 parsecs"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(some_duration("0s").is_err());
    }

    #[test]
    fn shares_and_rates() {
        assert_eq!(percent("80%"), Ok(0.8));
        for wrong in ["80", "101%", "-1%", "x%", "NaN%"] {
            assert!(percent(wrong).is_err(), "{wrong}");
        }
        assert_eq!(rate("36MB/h"), Ok(10_000.0));
        assert_eq!(rate("6kB/m"), Ok(100.0));
        for wrong in ["50MB", "50/h", "0B/h", "50MB/fortnight"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
        assert_eq!(amount("10%").map(|amount| amount.of(200)), Ok(20));
        assert_eq!(amount("2kB").map(|amount| amount.of(200)), Ok(2000));
    }

    #[test]
    fn patterns() {
        assert!(fits("lms*", "LMS.wsgi") && fits("*", "") && fits("a?c", "abc"));
        assert!(!fits("lms", "lms.wsgi") && !fits("a?c", "ac"));
    }
}
