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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::line::{Charset, LineWriter, encode_name};
    use crate::text::decode;

    /// A parsed line with its text decoded, since a text may be written in several ways.
    #[derive(Debug, PartialEq)]
    struct Decoded {
        numbers: (u64, u64, Option<u64>),
        type_name: String,
        name: Option<String>,
        value: Option<Result<i64, String>>,
        refs: Vec<u64>,
    }

    fn decoded(line: &Line<'_>, refs: Vec<u64>) -> Decoded {
        let text = |text: RawText<'_>| {
            assert_eq!(text.escaped, text.bytes.contains(&b'\\'));
            decode(text.bytes).into_owned()
        };
        Decoded {
            numbers: (line.address, line.size, line.len),
            type_name: text(line.type_name),
            name: line.name.map(text),
            value: line.value.map(|value| match value {
                RawValue::Int(int) => Ok(int),
                RawValue::Text(value) => Err(text(value)),
            }),
            refs,
        }
    }

    fn tolerant(line: &[u8]) -> Option<Decoded> {
        let mut refs = Vec::new();
        let line = parse(line, &mut refs).ok()??;
        Some(decoded(&line, refs))
    }

    /// Through serde_json alone, as a value, and by hand: shares nothing with the two parsers but the decoding of JSON.
    fn by_serde_json(line: &[u8]) -> Option<Decoded> {
        let json: serde_json::Value = serde_json::from_slice(line).ok()?;
        let string = |key: &str| json[key].as_str().map(str::to_owned);
        Some(Decoded {
            numbers: (json["address"].as_u64()?, json["size"].as_u64()?, json["len"].as_u64()),
            type_name: string("type")?,
            name: string("name"),
            value: json["value"].as_i64().map(Ok).or_else(|| string("value").map(Err)),
            refs: json["refs"].as_array()?.iter().map(|value| value.as_u64()).collect::<Option<Vec<u64>>>()?,
        })
    }

    fn fast(line: &[u8]) -> Option<Decoded> {
        let mut refs = vec![4711];
        let Some((line, taken)) = parse::parse(line, &mut refs).map(|(parsed, taken)| (parsed, taken == line.len()))
        else {
            assert_eq!(refs, [4711]);
            return None;
        };
        taken.then(|| decoded(&line, refs.split_off(1)))
    }

    fn number() -> impl Strategy<Value = u64> {
        // Of every length, with the edges of each.
        (0..=19u32, any::<u64>(), -1..=1i64).prop_map(|(digits, any, off)| match any % 3 {
            0 => 10u64.pow(digits).saturating_add_signed(off),
            1 => any % 10u64.pow(digits).max(2),
            _ => u64::MAX - any % 3,
        })
    }

    prop_compose! {
        fn line()(
            address in number(),
            size in number(),
            kind in "[ -~]{0,12}|.{0,4}",
            name in prop::option::of(".{0,9}|[ -~]{0,40}"),
            len in prop::option::of(number()),
            value in prop::option::of(prop_oneof![any::<i64>().prop_map(Ok), ".{0,9}|[ -~]{0,40}".prop_map(Err)]),
            refs in prop::collection::vec(number(), 0..9),
        ) -> Vec<u8> {
            let (mut out, mut type_name) = (Vec::new(), Vec::new());
            encode_name(&mut type_name, kind.chars().map(u32::from));
            let mut line = LineWriter::start(&mut out, address, &type_name, size);
            if let Some(name) = name {
                line.name(name.chars().map(u32::from));
            }
            if let Some(len) = len {
                line.len(len);
            }
            match value {
                Some(Ok(int)) => line.int(int),
                Some(Err(text)) => line.text(text.chars().map(u32::from), Charset::Unicode),
                None => {}
            }
            line.refs(refs.into_iter());
            out
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_fast_and_as_serde_json_reads_it(line in line()) {
            let parsed = fast(&line);
            prop_assert!(parsed.is_some());
            prop_assert_eq!(&parsed, &tolerant(&line));
            prop_assert_eq!(parsed, by_serde_json(&line));
        }

        #[test]
        fn what_is_read_fast_is_what_serde_json_reads(
            mut line in line(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..4),
        ) {
            const LIKELY: &[u8] = b"0123456789-.eE\"\\,:[]{} u/";
            for (at, byte, likely) in changes {
                let at = at.index(line.len() - 1);
                line[at] = if likely { LIKELY[byte as usize % LIKELY.len()] } else { byte };
            }
            let Some(parsed) = fast(&line) else { return Ok(()) };
            match by_serde_json(&line) {
                // A surrogate without a partner: valid JSON that serde_json cannot make a string of.
                None if format!("{parsed:?}").contains("\\\\ud") => {
                    prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&line).is_ok());
                }
                expected => prop_assert_eq!(Some(parsed), expected),
            }
        }

        #[test]
        fn a_line_cut_anywhere_is_no_line(line in line(), at in any::<prop::sample::Index>()) {
            let cut = &line[..at.index(line.len() - 1)];
            prop_assert_eq!(fast(cut), None);
            prop_assert_eq!(tolerant(cut), None);
        }
    }

    #[test]
    fn any_order_unknown_keys_and_spacing() {
        let line =
            br#" {"refs":[2 , 3], "size":5,"other":{"a":[1]},"type":"t\u0065","address":1,"value":null,"len":null},"#;
        let expected =
            Decoded { numbers: (1, 5, None), type_name: "te".to_owned(), name: None, value: None, refs: vec![2, 3] };
        assert_eq!(tolerant(line), Some(expected));
    }

    #[test]
    fn values_that_are_neither_text_nor_64_bits() {
        let value = |value: &str| {
            let line = format!(r#"{{"address": 1, "type": "t", "size": 5, "value": {value}, "refs": []}}"#);
            tolerant(line.as_bytes()).unwrap().value.unwrap()
        };
        assert_eq!(value("-9223372036854775808"), Ok(i64::MIN));
        for text in ["9223372036854775808", "-9223372036854775809", "1.5", "-0", "true", "1e3"] {
            assert_eq!(value(text), Err(text.to_owned()));
        }
        assert_eq!(value(r#""lone \ud800 surrogate""#), Err(r"lone \ud800 surrogate".to_owned()));
    }

    #[test]
    fn what_is_no_object() {
        let mut refs = Vec::new();
        for nothing in ["", "\n", "[\n", "]", " ] \n", "[,"] {
            assert!(matches!(parse(nothing.as_bytes(), &mut refs), Ok(None)), "{nothing}");
        }
        for wrong in
            ["{}", "7", "{\"address\": -1, \"type\": \"t\", \"size\": 1}", "{\"address\": 1, \"type\": 2, \"size\": 1}"]
        {
            assert!(parse(wrong.as_bytes(), &mut refs).is_err(), "{wrong}");
        }
        assert!(refs.is_empty());
    }
}
