//! Numbers and places as a person would write them, for the sentences in reports.

/// `41,000`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `38.2 MB`: decimal units, as everywhere in these sentences.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// `3 dict objects`, `1 dict object`.
pub fn objects(count: u64, type_name: &str) -> String {
    format!("{} {type_name} object{}", thousands(count), if count == 1 { "" } else { "s" })
}

/// A part of a whole in percent; 0 of nothing.
pub fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_a_person_would_write_it() {
        assert_eq!([0, 999, 1000, 41_000, 1_234_567].map(thousands), ["0", "999", "1,000", "41,000", "1,234,567"]);
        assert_eq!([7, 1500, 38_200_000, 2_500_000_000].map(bytes), ["7 bytes", "1.5 kB", "38.2 MB", "2.50 GB"]);
        assert_eq!([objects(1, "dict"), objects(2000, "dict")], ["1 dict object", "2,000 dict objects"]);
        assert_eq!([percent(1, 4), percent(1, 0)], [25.0, 0.0]);
    }
}
