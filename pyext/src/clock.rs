//! Times: as `datetime.now().isoformat()` writes them for names, as RFC 3339 for the sidecar.
//!
//! Nothing here may run in the dump child: `localtime_r` takes a lock of libc's.

use jiff::civil::DateTime;
use jiff::{Timestamp, ToSpan};

/// Nanoseconds since the epoch, now.
pub fn now_ns() -> u64 {
    // SAFETY: an all-zero timespec is a value.
    let mut now: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: `now` is a valid place; clock_gettime is async-signal-safe and takes no lock.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut now) };
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

/// The local time of a moment, to the microsecond.
///
/// libc's `localtime_r`, because that is what `datetime.now()` asks: it follows a `time.tzset()` of the application,
/// which a time zone remembered by us would not.
pub fn local(at_ns: u64) -> DateTime {
    let seconds = (at_ns / 1_000_000_000) as libc::time_t;
    let micros = (at_ns / 1000 % 1_000_000) as i32;
    // SAFETY: an all-zero tm is a value.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both are valid places; localtime_r writes only to `tm`.
    unsafe { libc::localtime_r(&seconds, &mut tm) };
    let small = |value: i32| i8::try_from(value).unwrap_or(0);
    let year = i16::try_from(tm.tm_year + 1900).unwrap_or(0);
    // A leap second (60) is written as 59, as Python does.
    let second = small(tm.tm_sec.min(59));
    DateTime::new(
        year,
        small(tm.tm_mon + 1),
        small(tm.tm_mday),
        small(tm.tm_hour),
        small(tm.tm_min),
        second,
        micros * 1000,
    )
    .unwrap_or(DateTime::ZERO)
}

/// As `datetime.isoformat()` writes it: no fraction when the microseconds are 0.
pub fn isoformat(time: &DateTime) -> String {
    let micros = time.subsec_nanosecond() / 1000;
    let (year, month, day) = (time.year(), time.month(), time.day());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    let whole = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if micros == 0 { whole } else { format!("{whole}.{micros:06}") }
}

/// One microsecond later: the next name when one is taken.
pub fn next_name(time: &DateTime) -> DateTime {
    time.saturating_add(1.microsecond())
}

/// RFC 3339, UTC.
pub fn rfc3339(at_ns: u64) -> String {
    Timestamp::from_nanosecond(i128::from(at_ns)).map(|time| time.to_string()).unwrap_or_default()
}
