//! Names and values of all objects, undecoded, one behind the other.
//!
//! A record is a byte of flags, the length of the name (if there is one), the name, and the value: an `i64` in little
//! endian or text as it stood between the quotes. An object with neither has an empty record.

use std::borrow::Cow;

use heapsee_format::parse::{Line, RawText, RawValue};
use heapsee_format::text::decode;

use super::Value;

const HAS_NAME: u8 = 1;
const HAS_TEXT: u8 = 2;
const HAS_INT: u8 = 4;
const NAME_ESCAPED: u8 = 8;
const TEXT_ESCAPED: u8 = 16;

/// Appends the record of `line`.
pub(super) fn push_record(out: &mut Vec<u8>, line: &Line<'_>) {
    if line.name.is_none() && line.value.is_none() {
        return;
    }
    let flags_at = out.len();
    out.push(0);
    let mut flags = 0;
    if let Some(name) = line.name {
        flags |= HAS_NAME | if name.escaped { NAME_ESCAPED } else { 0 };
        push_length(out, name.bytes.len());
        out.extend_from_slice(name.bytes);
    }
    match line.value {
        Some(RawValue::Int(value)) => {
            flags |= HAS_INT;
            out.extend_from_slice(&value.to_le_bytes());
        }
        Some(RawValue::Text(RawText { bytes, escaped })) => {
            flags |= HAS_TEXT | if escaped { TEXT_ESCAPED } else { 0 };
            out.extend_from_slice(bytes);
        }
        None => {}
    }
    out[flags_at] = flags;
}

/// Seven bits a byte, the lowest first; the last byte has its top bit clear.
fn push_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

fn split_length(bytes: &[u8]) -> (usize, &[u8]) {
    let mut length = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return (length, &bytes[i + 1..]);
        }
    }
    (0, &[])
}

/// The records of all objects.
#[derive(Default)]
pub(super) struct Texts {
    /// The records.
    pub bytes: Vec<u8>,
    /// Where each begins; one more than there are objects.
    pub starts: Vec<u64>,
}

impl Texts {
    pub(super) fn get(&self, node: u32) -> Record<'_> {
        match self.starts.get(node as usize..node as usize + 2) {
            Some(&[start, end]) => Record { bytes: &self.bytes[start as usize..end as usize] },
            _ => Record { bytes: &[] },
        }
    }
}

/// The name and the value of one object.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    bytes: &'a [u8],
}

impl<'a> Record<'a> {
    /// Flags, name, value.
    fn parts(self) -> (u8, &'a [u8], &'a [u8]) {
        let Some((&flags, rest)) = self.bytes.split_first() else { return (0, &[], &[]) };
        if flags & HAS_NAME == 0 {
            return (flags, &[], rest);
        }
        let (length, rest) = split_length(rest);
        let (name, value) = rest.split_at(length.min(rest.len()));
        (flags, name, value)
    }

    pub(super) fn name(self) -> Option<Cow<'a, str>> {
        let (flags, name, _) = self.parts();
        (flags & HAS_NAME != 0).then(|| text(name, flags & NAME_ESCAPED != 0))
    }

    pub(super) fn value(self) -> Option<Value<'a>> {
        let (flags, _, value) = self.parts();
        if flags & HAS_INT != 0 {
            return value.first_chunk().map(|bytes| Value::Int(i64::from_le_bytes(*bytes)));
        }
        (flags & HAS_TEXT != 0).then(|| Value::Text(text(value, flags & TEXT_ESCAPED != 0)))
    }
}

fn text(bytes: &[u8], escaped: bool) -> Cow<'_, str> {
    if escaped { decode(bytes) } else { String::from_utf8_lossy(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> RawText<'_> {
        RawText { bytes: text.as_bytes(), escaped: text.contains('\\') }
    }

    fn round_trip(name: Option<&str>, value: Option<RawValue<'_>>) -> (Option<String>, Option<String>) {
        let line = Line { address: 1, type_name: raw("t"), size: 1, name: name.map(raw), len: None, value };
        let mut bytes = Vec::new();
        push_record(&mut bytes, &line);
        let texts = Texts { starts: vec![0, bytes.len() as u64], bytes };
        let record = texts.get(0);
        (record.name().map(Cow::into_owned), record.value().map(|value| format!("{value:?}")))
    }

    #[test]
    fn records() {
        let long = "n".repeat(20_000);
        assert_eq!(round_trip(None, None), (None, None));
        assert_eq!(round_trip(Some(""), None), (Some(String::new()), None));
        assert_eq!(round_trip(Some(&long), Some(RawValue::Int(-7))), (Some(long.clone()), Some("Int(-7)".to_owned())));
        assert_eq!(
            round_trip(Some("a\\u00e9"), Some(RawValue::Text(raw("")))),
            (Some("a\u{e9}".to_owned()), Some("Text(\"\")".to_owned()))
        );
        assert_eq!(round_trip(None, Some(RawValue::Text(raw("x\\/y")))), (None, Some("Text(\"x/y\")".to_owned())));
    }
}
