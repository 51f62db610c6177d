//! Times in cron's notation: `30 3 * * mon-fri`. Five fields, the local time, and nothing beyond what crontab(5) says:
//! lists, ranges, steps, names; if both days are restricted, either will do.
//!
//! Only the calendar: whether a time was missed, or came twice because a clock was set, is the rules' business.

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;

/// A schedule: in which minutes something is due.
#[derive(Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    either_day: bool,
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Cron {
    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is due in that minute.
    pub fn is_due(&self, at: DateTime) -> bool {
        let has = |set: u64, value: i8| u32::try_from(value).is_ok_and(|value| set >> value & 1 == 1);
        let day = has(self.days, at.day());
        let weekday = has(self.weekdays, at.weekday().to_sunday_zero_offset());
        let date = if self.either_day { day || weekday } else { day && weekday };
        date && has(self.minutes, at.minute()) && has(self.hours, at.hour()) && has(self.months, at.month())
    }

    /// Whether there is a day on which it is due at all: there is no 30th of February.
    fn is_possible(&self) -> bool {
        const LENGTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let first_day = self.days.trailing_zeros();
        self.either_day || (1..=12).any(|month| self.months >> month & 1 == 1 && first_day <= LENGTHS[month - 1])
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({:?})", self.text)
    }
}

impl FromStr for Cron {
    type Err = String;

    fn from_str(text: &str) -> Result<Cron, String> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            return Err(format!("it has {} fields, not five", fields.len()));
        };
        let every_weekday = set(weekdays, "day of the week", 0, 7, &WEEKDAYS)?;
        let cron = Cron {
            text: text.to_owned(),
            minutes: set(minutes, "minute", 0, 59, &[])?,
            hours: set(hours, "hour", 0, 23, &[])?,
            days: set(days, "day", 1, 31, &[])?,
            months: set(months, "month", 1, 12, &MONTHS)?,
            // Sunday is 0 and 7.
            weekdays: every_weekday | every_weekday >> 7 & 1,
            either_day: !days.starts_with('*') && !weekdays.starts_with('*'),
        };
        if cron.is_possible() { Ok(cron) } else { Err("there is no such day".into()) }
    }
}

/// The values that a field means, as bits.
fn set(field: &str, what: &str, low: u32, high: u32, names: &[&str]) -> Result<u64, String> {
    let value = |text: &str| {
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
        // Months are counted from 1, days of the week from 0: as their lowest number is.
        let number = named.map(|i| i as u32 + low).or_else(|| text.parse().ok());
        number.filter(|number| (low..=high).contains(number)).ok_or_else(|| format!("{text:?} is no {what}"))
    };
    let mut bits = 0;
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                let step = step.parse().ok().filter(|&step: &usize| step > 0);
                (range, step.ok_or_else(|| format!("{part:?} has no step that is a number above 0"))?)
            }
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((from, to)) => (value(from)?, value(to)?),
            // `5/10` is from 5 on.
            None => (value(range)?, if part.contains('/') { high } else { value(range)? }),
        };
        if from > to {
            return Err(format!("{range:?} runs backwards"));
        }
        for value in (from..=to).step_by(step) {
            bits |= 1 << value;
        }
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(cron: &str, at: &str) -> bool {
        cron.parse::<Cron>().unwrap().is_due(at.parse().unwrap())
    }

    #[test]
    fn each_field_counts() {
        assert!(due("30 3 * * *", "2026-11-24T03:30:59"));
        assert!(!due("30 3 * * *", "2026-11-24T03:31:00"));
        assert!(!due("30 3 * * *", "2026-11-24T04:30:00"));
        assert!(due("*/15 8-18 * nov tue", "2026-11-24T08:45:00"));
        assert!(!due("*/15 8-18 * nov wed", "2026-11-24T08:45:00"));
        assert!(due("0 0 1,24 11 *", "2026-11-24T00:00:00"));
        assert!(due("5/10 * * * *", "2026-11-24T00:55:00") && !due("5/10 * * * *", "2026-11-24T00:50:00"));
    }

    #[test]
    fn sunday_has_two_numbers() {
        for sunday in ["0", "7", "sun", "5-7"] {
            assert!(due(&format!("0 0 * * {sunday}"), "2026-11-22T00:00:00"), "{sunday}");
        }
    }

    #[test]
    fn of_two_restricted_days_either_will_do() {
        assert!(due("0 0 1 * tue", "2026-11-24T00:00:00") && due("0 0 24 * mon", "2026-11-24T00:00:00"));
        assert!(!due("0 0 */2 * mon", "2026-11-24T00:00:00"));
    }

    #[test]
    fn nonsense_is_refused() {
        for wrong in ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8"]
        {
            assert!(wrong.parse::<Cron>().is_err(), "{wrong}");
        }
        for wrong in ["*/0 * * * *", "5-1 * * * *", "x * * * *", "1,,2 * * * *", "-1 * * * *", "0 0 30 feb *"] {
            assert!(wrong.parse::<Cron>().is_err(), "{wrong}");
        }
        assert!("0 0 29 feb *".parse::<Cron>().is_ok());
    }
}
