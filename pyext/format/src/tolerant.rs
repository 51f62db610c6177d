//! Reading any line that meliae's loader reads: keys in any order, keys we do not know, trailing commas, the `[` and `]`
//! that make a file one JSON list, whatever escapes and spacing JSON allows.
//!
//! Slower than [`crate::parse`], which should be tried first.

use serde::Deserialize;
use serde_json::value::RawValue as Json;
use thiserror::Error;

use crate::parse::{self, Line, RawText, RawValue};

/// Why a line is not an object.
#[derive(Debug, Error)]
pub enum LineError {
    /// Not JSON, or not an object with the keys that an object of a dump must have.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// `type` or `name` is not a string.
    #[error("\"{0}\" is not a string")]
    NotText(&'static str),
}

#[derive(Deserialize)]
struct AnyLine<'a> {
    address: u64,
    #[serde(borrow, rename = "type")]
    type_name: &'a Json,
    size: u64,
    #[serde(borrow, default)]
    name: Option<&'a Json>,
    #[serde(default)]
    len: Option<u64>,
    #[serde(borrow, default)]
    value: Option<&'a Json>,
    #[serde(default)]
    refs: Vec<u64>,
}

/// Reads one line (with or without its line feed) and appends what it refers to to `refs`. `Ok(None)` for a line that
/// holds nothing: blank, `[` or `]`.
pub fn parse<'a>(line: &'a [u8], refs: &mut Vec<u64>) -> Result<Option<Line<'a>>, LineError> {
    let line = line.trim_ascii();
    let line = line.strip_suffix(b",").unwrap_or(line);
    if matches!(line, b"" | b"[" | b"]") {
        return Ok(None);
    }
    let before = refs.len();
    if let Some((parsed, taken)) = parse::parse(line, refs) {
        if taken == line.len() {
            return Ok(Some(parsed));
        }
        refs.truncate(before);
    }
    let any: AnyLine<'a> = serde_json::from_slice(line)?;
    let parsed = Line {
        address: any.address,
        type_name: text(any.type_name).ok_or(LineError::NotText("type"))?,
        size: any.size,
        name: any.name.map(|name| text(name).ok_or(LineError::NotText("name"))).transpose()?,
        len: any.len,
        value: any.value.map(value),
    };
    refs.extend_from_slice(&any.refs);
    Ok(Some(parsed))
}

/// The inside of a JSON string.
fn text(json: &Json) -> Option<RawText<'_>> {
    let bytes = json.get().strip_prefix('"')?.strip_suffix('"')?.as_bytes();
    Some(RawText { bytes, escaped: bytes.contains(&b'\\') })
}

/// A string, an integer, or anything else as the text that it is in the file.
fn value(json: &Json) -> RawValue<'_> {
    if let Some(text) = text(json) {
        return RawValue::Text(text);
    }
    match json.get().parse() {
        Ok(int) if json.get() != "-0" => RawValue::Int(int),
        _ => RawValue::Text(RawText { bytes: json.get().as_bytes(), escaped: false }),
    }
}
