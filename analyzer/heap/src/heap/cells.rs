//! What a session may write into an object: the cells of its row, owned.

use super::Value;

/// The cells of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cells {
    /// The name of its type.
    pub type_name: String,
    /// Shallow size in bytes.
    pub size: u64,
    /// Characters or elements.
    pub length: Option<u64>,
    /// The name of a module, function or type.
    pub name: Option<String>,
    /// What it holds.
    pub value: Option<CellValue>,
}

/// A [`Value`] that owns its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CellValue {
    /// An integer of 64 bits.
    Int(i64),
    /// Anything else.
    Text(String),
}

impl CellValue {
    /// The same, borrowed.
    pub fn borrow(&self) -> Value<'_> {
        match self {
            CellValue::Int(value) => Value::Int(*value),
            CellValue::Text(text) => Value::Text(text.into()),
        }
    }
}

impl From<Value<'_>> for CellValue {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Int(value) => CellValue::Int(value),
            Value::Text(text) => CellValue::Text(text.into_owned()),
        }
    }
}
