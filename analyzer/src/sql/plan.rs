//! What the two virtual tables share in talking with SQLite's planner: which constraints there are, and what the
//! values mean that they compare with.

use rusqlite::types::ValueRef;
use rusqlite::vtab::{DistinctMode, IndexConstraintOp, IndexInfo};

/// SQLite's number for the rowid among columns.
pub const ROWID: i32 = -1;

/// How SQLite wants rows ordered by one column, if that is all it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The column.
    pub column: i32,
    /// Highest first.
    pub descending: bool,
    /// Equal values need only be neighbours.
    pub grouping: bool,
    /// One row of each value will do: nothing but the column is asked for, and that without repeats.
    pub distinct: bool,
}

impl Order {
    /// What `info` asks for.
    pub fn wanted(info: &IndexInfo) -> Option<Self> {
        if info.num_of_order_by() != 1 {
            return None;
        }
        let order = info.order_bys().next()?;
        let column = order.column();
        let mode = info.distinct();
        let grouping = matches!(mode, DistinctMode::Grouped | DistinctMode::Distinct);
        let nothing_else =
            u32::try_from(column).ok().and_then(|column| 1u64.checked_shl(column)) == Some(info.col_used());
        let distinct = nothing_else && matches!(mode, DistinctMode::Distinct | DistinctMode::DistinctOrdered);
        Some(Order { column, descending: order.is_order_by_desc(), grouping, distinct })
    }
}

/// The first usable `column = value`. For text only where the comparison is bytewise.
pub fn equality(info: &IndexInfo, column: i32) -> Option<usize> {
    let mut constraints = info.constraints().enumerate();
    constraints.find_map(|(i, constraint)| {
        let fits = constraint.column() == column
            && constraint.is_usable()
            && constraint.operator() == IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ
            && info.collation(i).is_ok_and(|collation| collation == "BINARY");
        fits.then_some(i)
    })
}

/// Has the value of constraint `i` passed to the cursor as its `position`th argument (counted from 1).
pub fn pass(info: &mut IndexInfo, i: usize, position: i32) {
    info.constraint_usage(i).set_argv_index(position);
}

/// The integer that an INTEGER column must hold to equal `value`; `None` if none does.
pub fn integer(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(value) => Some(value),
        ValueRef::Real(value) => whole(value),
        // SQLite gives text the affinity of the column it is compared with.
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text).ok()?.trim_ascii();
            text.parse().ok().or_else(|| whole(text.parse().ok()?))
        }
        ValueRef::Null | ValueRef::Blob(_) => None,
    }
}

fn whole(value: f64) -> Option<i64> {
    // Beyond these bounds not every integer is a float, and `as` would saturate.
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    (value.fract() == 0.0 && value.abs() <= LIMIT).then_some(value as i64)
}

/// What a TEXT column must hold to equal a value.
#[derive(Debug, PartialEq, Eq)]
pub enum Text {
    /// This.
    Is(String),
    /// Nothing does.
    Nothing,
    /// Better ask SQLite about every row.
    Unknown,
}

/// What a TEXT column must hold to equal `value`.
pub fn text(value: ValueRef<'_>) -> Text {
    match value {
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Text::Is(text.to_owned()),
            Err(_) => Text::Unknown,
        },
        ValueRef::Integer(value) => Text::Is(value.to_string()),
        // How SQLite writes a float as text is its own affair.
        ValueRef::Real(_) => Text::Unknown,
        ValueRef::Null | ValueRef::Blob(_) => Text::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_equals_an_integer() {
        for (value, expect) in [
            (ValueRef::Integer(7), Some(7)),
            (ValueRef::Real(7.0), Some(7)),
            (ValueRef::Real(7.5), None),
            (ValueRef::Real(f64::NAN), None),
            (ValueRef::Real(1e300), None),
            (ValueRef::Text(b" 7 "), Some(7)),
            (ValueRef::Text(b"7.0"), Some(7)),
            (ValueRef::Text(b"9223372036854775807"), Some(i64::MAX)),
            (ValueRef::Text(b"seven"), None),
            (ValueRef::Text(b"\xff"), None),
            (ValueRef::Null, None),
            (ValueRef::Blob(b"7"), None),
        ] {
            assert_eq!(integer(value), expect, "{value:?}");
        }
    }

    #[test]
    fn what_equals_a_text() {
        assert_eq!(text(ValueRef::Text(b"dict")), Text::Is("dict".into()));
        assert_eq!(text(ValueRef::Integer(7)), Text::Is("7".into()));
        assert_eq!(text(ValueRef::Real(7.0)), Text::Unknown);
        assert_eq!(text(ValueRef::Text(b"\xff")), Text::Unknown);
        assert_eq!(text(ValueRef::Null), Text::Nothing);
    }
}
