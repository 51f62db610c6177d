//! The `repr` column: how an object is called in one word.
//!
//! The name of a function, type or module; Python's `repr(value)` of an int or a string; else the name of the type.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::heap::Value;

/// What to call an object of type `type_name` with this name and value.
pub fn repr<'a>(type_name: &'a str, name: Option<Cow<'a, str>>, value: Option<Value<'a>>) -> Cow<'a, str> {
    match (type_name, value) {
        ("function" | "type" | "module", value) => {
            name.or_else(|| value.map(plain)).unwrap_or(Cow::Borrowed(type_name))
        }
        ("int", Some(value)) => plain(value),
        ("str", Some(Value::Text(text))) => Cow::Owned(quoted("", &text)),
        ("unicode", Some(Value::Text(text))) => Cow::Owned(quoted("u", &text)),
        _ => Cow::Borrowed(type_name),
    }
}

/// The value as text, as it stands in the `value` column.
pub fn plain(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::Int(value) => Cow::Owned(value.to_string()),
        Value::Text(text) => text,
    }
}

/// `text` as Python writes a string: single quotes unless there is one inside and no double quote, escapes for what
/// cannot be printed.
pub(crate) fn quoted(prefix: &str, text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(prefix.len() + text.len() + 2);
    out.push_str(prefix);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c if c.is_alphanumeric() || c.escape_debug().len() == 1 => out.push(c),
            c => push_escape(&mut out, u32::from(c)),
        }
    }
    out.push(quote);
    out
}

fn push_escape(out: &mut String, code: u32) {
    // Writing to a String cannot fail.
    let _ = match code {
        0..0x100 => write!(out, "\\x{code:02x}"),
        0x100..0x1_0000 => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(type_name: &str, name: Option<&str>, value: Option<Value<'_>>) -> String {
        repr(type_name, name.map(Cow::Borrowed), value).into_owned()
    }

    fn text(text: &str) -> Option<Value<'_>> {
        Some(Value::Text(Cow::Borrowed(text)))
    }

    #[test]
    fn names_values_types() {
        assert_eq!(of("module", Some("sys"), None), "sys");
        assert_eq!(of("function", None, text("f")), "f");
        assert_eq!(of("type", None, None), "type");
        assert_eq!(of("int", None, Some(Value::Int(-5))), "-5");
        assert_eq!(of("int", None, text("99999999999999999999")), "99999999999999999999");
        assert_eq!(of("int", None, None), "int");
        assert_eq!(of("str", None, text("a")), "'a'");
        assert_eq!(of("unicode", None, text("a")), "u'a'");
        assert_eq!(of("bytes", None, text("a")), "bytes");
        assert_eq!(of("frame", None, text("wait")), "frame");
        assert_eq!(of("dict", None, None), "dict");
    }

    /// Expected texts are what CPython prints for these.
    #[test]
    fn strings_are_written_as_python_writes_them() {
        for (value, expect) in [
            ("it's", r#""it's""#),
            (r#"a'b"c"#, r#"'a\'b"c'"#),
            (r#"say "x""#, r#"'say "x"'"#),
            ("a\\b\n\r\t\0\u{7f}", r"'a\\b\n\r\t\x00\x7f'"),
            ("é日", "'é日'"),
            ("\u{a0}\u{200b}\u{e000}", r"'\xa0\u200b\ue000'"),
            ("\u{10ffff}", r"'\U0010ffff'"),
        ] {
            assert_eq!(of("str", None, text(value)), expect);
        }
    }
}
