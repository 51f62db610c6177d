//! The results shown so far, kept so that `#N.i` and `#N.column` can refer to them.
//!
//! Cells are packed (nine bytes and the text), because a result may well have millions of rows; when all results
//! together exceed a budget, the oldest are let go.

use crate::render::hex;
use crate::shorthand::{SubstituteError, quote};

/// Results may take this many bytes together.
const BUDGET: usize = 1 << 30;

/// One value of a result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// SQL's NULL.
    Null,
    /// An integer.
    Integer(i64),
    /// A float.
    Real(f64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

#[derive(Clone, Copy)]
enum Tag {
    Null,
    Integer,
    Real,
    Text,
    Blob,
}

/// The rows of one query, row after row.
pub struct ResultSet {
    names: Vec<String>,
    tags: Vec<Tag>,
    /// The integer, the float's bits, or where the text begins in `bytes`.
    words: Vec<i64>,
    /// Texts and blobs, each behind its length.
    bytes: Vec<u8>,
}

impl ResultSet {
    /// A result without rows and with these columns.
    pub fn new(names: Vec<String>) -> Self {
        ResultSet { names, tags: Vec::new(), words: Vec::new(), bytes: Vec::new() }
    }

    /// The columns' names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Appends the next cell; rows are filled from left to right.
    pub fn push(&mut self, value: Value<'_>) {
        let (tag, word) = match value {
            Value::Null => (Tag::Null, 0),
            Value::Integer(value) => (Tag::Integer, value),
            Value::Real(value) => (Tag::Real, value.to_bits().cast_signed()),
            Value::Text(text) => (Tag::Text, self.store(text.as_bytes())),
            Value::Blob(blob) => (Tag::Blob, self.store(blob)),
        };
        self.tags.push(tag);
        self.words.push(word);
    }

    fn store(&mut self, bytes: &[u8]) -> i64 {
        let at = self.bytes.len();
        self.bytes.extend((bytes.len() as u64).to_le_bytes());
        self.bytes.extend(bytes);
        at as i64
    }

    fn stored(&self, at: i64) -> &[u8] {
        let at = at as usize;
        let Some((length, rest)) = self.bytes[at..].split_first_chunk() else { return &[] };
        &rest[..u64::from_le_bytes(*length) as usize]
    }

    /// How many whole rows there are.
    pub fn rows(&self) -> usize {
        self.tags.len().checked_div(self.names.len()).unwrap_or(0)
    }

    /// The value in `row`, `column`, both of which must exist.
    pub fn value(&self, row: usize, column: usize) -> Value<'_> {
        let at = row * self.names.len() + column;
        let word = self.words[at];
        match self.tags[at] {
            Tag::Null => Value::Null,
            Tag::Integer => Value::Integer(word),
            Tag::Real => Value::Real(f64::from_bits(word.cast_unsigned())),
            Tag::Text => Value::Text(std::str::from_utf8(self.stored(word)).unwrap_or_default()),
            Tag::Blob => Value::Blob(self.stored(word)),
        }
    }

    /// The column called `name`.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|column| column == name)
    }

    fn memory(&self) -> usize {
        self.bytes.capacity() + self.words.capacity() * size_of::<i64>() + self.tags.capacity()
    }
}

/// All results of a session, oldest first; their places are their numbers.
#[derive(Default)]
pub struct Results {
    kept: Vec<Option<ResultSet>>,
}

impl Results {
    /// The number the next result will have.
    pub fn next_number(&self) -> usize {
        self.kept.len()
    }

    /// Keeps `result` under the next number.
    pub fn keep(&mut self, result: ResultSet) {
        self.kept.push(Some(result));
        self.forget_beyond(BUDGET);
    }

    /// Forgets every result, so that numbers begin at 0 again.
    pub fn clear(&mut self) {
        self.kept.clear();
    }

    fn forget_beyond(&mut self, budget: usize) {
        let mut total: usize = self.kept.iter().flatten().map(ResultSet::memory).sum();
        let newest = self.kept.len().saturating_sub(1);
        for slot in &mut self.kept[..newest] {
            if total <= budget {
                break;
            }
            total -= slot.take().map_or(0, |result| result.memory());
        }
    }

    fn get(&self, number: usize) -> Result<&ResultSet, SubstituteError> {
        match self.kept.get(number) {
            Some(Some(result)) => Ok(result),
            Some(None) => Err(SubstituteError::ForgottenResult(number)),
            None => Err(SubstituteError::NoResult(number)),
        }
    }

    /// What `#number.row` stands for: the row's address.
    pub fn row_address(&self, number: usize, row: usize) -> Result<String, SubstituteError> {
        let result = self.get(number)?;
        let column = result.column("address").ok_or(SubstituteError::NoAddress(number))?;
        if row >= result.rows() {
            return Err(SubstituteError::NoRow { result: number, row, rows: result.rows() });
        }
        Ok(literal(result.value(row, column)))
    }

    /// What `#number.column` stands for, each value as an SQL literal.
    pub fn column_values(&self, number: usize, column: &str) -> Result<Vec<String>, SubstituteError> {
        let result = self.get(number)?;
        let index = result.column(column).ok_or_else(|| SubstituteError::NoColumn {
            result: number,
            column: column.to_owned(),
            columns: result.names().join(", "),
        })?;
        Ok((0..result.rows()).map(|row| literal(result.value(row, index))).collect())
    }
}

fn literal(value: Value<'_>) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(value) => value.to_string(),
        // Infinities have no literal of their own; SQLite reads an overlong exponent as one.
        Value::Real(value) if value.is_infinite() => if value > 0.0 { "9e999" } else { "-9e999" }.to_owned(),
        Value::Real(value) => format!("{value:?}"),
        Value::Text(text) => quote(text),
        Value::Blob(blob) => format!("x'{}'", hex(blob)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> ResultSet {
        let mut result = ResultSet::new(vec!["address".into(), "v".into()]);
        for value in [
            Value::Integer(i64::MAX),
            Value::Text("it's"),
            Value::Integer(2),
            Value::Null,
            Value::Integer(3),
            Value::Real(0.5),
            Value::Integer(4),
            Value::Blob(&[1, 255]),
        ] {
            result.push(value);
        }
        result
    }

    #[test]
    fn cells_come_back_as_they_went_in() {
        let result = sample();
        assert_eq!(result.rows(), 4);
        assert_eq!(result.value(0, 0), Value::Integer(i64::MAX));
        assert_eq!(result.value(0, 1), Value::Text("it's"));
        assert_eq!(result.value(1, 1), Value::Null);
        assert_eq!(result.value(2, 1), Value::Real(0.5));
        assert_eq!(result.value(3, 1), Value::Blob(&[1, 255]));
    }

    #[test]
    fn references_become_literals() {
        let mut results = Results::default();
        results.keep(sample());
        assert_eq!(results.row_address(0, 0).unwrap(), i64::MAX.to_string());
        assert_eq!(results.column_values(0, "v").unwrap(), ["'it''s'", "NULL", "0.5", "x'01ff'"]);
        assert_eq!(results.row_address(0, 4), Err(SubstituteError::NoRow { result: 0, row: 4, rows: 4 }));
        assert_eq!(results.row_address(1, 0), Err(SubstituteError::NoResult(1)));
        assert!(matches!(results.column_values(0, "w"), Err(SubstituteError::NoColumn { .. })));
    }

    #[test]
    fn the_oldest_go_first_and_say_so() {
        let mut results = Results::default();
        for _ in 0..3 {
            results.keep(sample());
        }
        let one = sample().memory();
        results.forget_beyond(one * 2);
        assert_eq!(results.row_address(0, 0), Err(SubstituteError::ForgottenResult(0)));
        assert!(results.row_address(2, 0).is_ok());
        results.forget_beyond(0);
        assert!(results.row_address(2, 0).is_ok(), "the newest stays whatever its size");
    }

    #[test]
    fn a_result_without_columns_has_no_rows() {
        assert_eq!(ResultSet::new(Vec::new()).rows(), 0);
    }
}
