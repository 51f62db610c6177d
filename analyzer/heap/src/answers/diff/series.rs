//! How something has grown from dump to dump, and how steadily.

use serde::Serialize;

use crate::graph::Amount;

/// What something came to, dump by dump.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Series {
    /// Objects, a number for each dump.
    pub objects: Vec<u64>,
    /// Bytes, likewise.
    pub bytes: Vec<u64>,
    /// The last dump less the first.
    pub grown: Grown,
    /// The straight line that fits best; of three dumps or more of one process.
    pub trend: Option<Trend>,
}

/// A difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Grown {
    /// Objects.
    pub objects: i64,
    /// Bytes.
    pub bytes: i64,
}

/// A least-squares line through bytes over time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trend {
    /// Its slope in bytes; see `trend_unit` for from when to when.
    pub slope: f64,
    /// Which share of the ups and downs it explains: 1 if all dumps lie on it.
    pub r_squared: f64,
}

/// When dumps were taken, counted from the first; none if a trend would mean nothing.
pub type Times = Option<Vec<f64>>;

impl Series {
    /// Of amounts, one a dump.
    pub fn of(amounts: &[Amount], times: &Times) -> Series {
        let bytes: Vec<u64> = amounts.iter().map(|amount| amount.bytes).collect();
        Series {
            grown: Grown::between(amounts),
            trend: times.as_ref().and_then(|times| Trend::of(times, &bytes)),
            objects: amounts.iter().map(|amount| amount.objects).collect(),
            bytes,
        }
    }
}

impl Grown {
    /// The last less the first.
    pub fn between(amounts: &[Amount]) -> Grown {
        match (amounts.first(), amounts.last()) {
            (Some(first), Some(last)) => {
                Grown { objects: difference(first.objects, last.objects), bytes: difference(first.bytes, last.bytes) }
            }
            _ => Grown::default(),
        }
    }
}

fn difference(first: u64, last: u64) -> i64 {
    let difference = i128::from(last) - i128::from(first);
    difference.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

impl Trend {
    /// None for fewer than three points, or if all are at one time.
    pub fn of(times: &[f64], bytes: &[u64]) -> Option<Trend> {
        if times.len() < 3 || times.len() != bytes.len() {
            return None;
        }
        let count = times.len() as f64;
        let mean_time = times.iter().sum::<f64>() / count;
        let mean = bytes.iter().map(|&bytes| bytes as f64).sum::<f64>() / count;
        let (mut sxx, mut sxy, mut syy) = (0.0, 0.0, 0.0);
        for (&time, &bytes) in times.iter().zip(bytes) {
            let (x, y) = (time - mean_time, bytes as f64 - mean);
            sxx += x * x;
            sxy += x * y;
            syy += y * y;
        }
        // What does not change at all lies on a line.
        let r_squared = if syy == 0.0 { 1.0 } else { sxy * sxy / (sxx * syy) };
        (sxx > 0.0).then_some(Trend { slope: sxy / sxx, r_squared })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let trend = Trend::of(&[0.0, 1.0, 2.0, 4.0], &[100, 200, 300, 500]).unwrap();
        assert!((trend.slope - 100.0).abs() < 1e-9 && (trend.r_squared - 1.0).abs() < 1e-9);
        // By hand: mean 2 and 20; sxy = 20, sxx = 2, syy = 800.
        let trend = Trend::of(&[1.0, 2.0, 3.0], &[0, 40, 20]).unwrap();
        assert!((trend.slope - 10.0).abs() < 1e-9 && (trend.r_squared - 0.25).abs() < 1e-9);
        assert_eq!(Trend::of(&[1.0, 2.0, 3.0], &[5, 5, 5]), Some(Trend { slope: 0.0, r_squared: 1.0 }));
        assert_eq!(Trend::of(&[1.0, 1.0, 1.0], &[1, 2, 3]), None);
        assert_eq!(Trend::of(&[1.0, 2.0], &[1, 2]), None);
    }
}
