//! Decoding the text of a dump, what stands between the quotes of a JSON string; and which characters of such a text, or
//! of any that somebody else has written, must not be shown as they are.

use std::borrow::Cow;

/// Decodes JSON's escapes. `raw` is the inside of a valid JSON string; anything else is decoded as far as it makes sense.
///
/// Python's strings may hold surrogates without a partner, which no Rust string can: those stay as they are written,
/// `\udc80`. Bytes that are not UTF-8 become U+FFFD.
pub fn decode(raw: &[u8]) -> Cow<'_, str> {
    if !raw.contains(&b'\\') {
        return String::from_utf8_lossy(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.iter().position(|&byte| byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let taken = push_escape(&mut out, rest);
        rest = &rest[taken..];
    }
    out.extend_from_slice(rest);
    Cow::Owned(match String::from_utf8(out) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// Whether a terminal would act upon a character, or show a line otherwise than it is: controls, line and paragraph
/// ends, what turns the direction of writing, and what takes no place at all.
pub fn is_hostile(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_unseen =
        matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || turns || is_unseen
}

/// Decodes the escape at the start of `input` and returns its length.
fn push_escape(out: &mut Vec<u8>, input: &[u8]) -> usize {
    let simple = match input.get(1) {
        Some(b'b') => 8,
        Some(b'f') => 12,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'u') => return push_unicode(out, input),
        Some(&other) => other,
        None => {
            out.push(b'\\');
            return 1;
        }
    };
    out.push(simple);
    2
}

fn push_unicode(out: &mut Vec<u8>, input: &[u8]) -> usize {
    let Some(first) = code_unit(input) else {
        out.extend_from_slice(b"\\u");
        return 2;
    };
    if let Some(second) = code_unit(&input[6..])
        && (0xd800..0xdc00).contains(&first)
        && (0xdc00..0xe000).contains(&second)
    {
        push_char(out, 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00));
        return 12;
    }
    if char::from_u32(first).is_some() {
        push_char(out, first);
    } else {
        out.extend_from_slice(&input[..6]);
    }
    6
}

/// The number in the `\uXXXX` at the start of `input`.
fn code_unit(input: &[u8]) -> Option<u32> {
    let digits = input.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, &digit| Some(unit * 16 + char::from(digit).to_digit(16)?))
}

fn push_char(out: &mut Vec<u8>, code: u32) {
    let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(decode(br#"a\/b\"\\\n\u00e9\ud83d\ude00"#), "a/b\"\\\n\u{e9}\u{1f600}");
        assert!(matches!(decode(b"plain"), Cow::Borrowed("plain")));
    }

    #[test]
    fn surrogates_without_a_partner_stay_as_written() {
        assert_eq!(decode(br"x\udc80y"), r"x\udc80y");
        assert_eq!(decode(br"\ud83d"), r"\ud83d");
        assert_eq!(decode(br"\ud83d\u0041"), r"\ud83dA");
        assert_eq!(decode(br"\ud83d\ud83d\ude00"), "\\ud83d\u{1f600}");
    }

    #[test]
    fn what_is_no_json_string_does_no_harm() {
        assert_eq!(decode(br"a\"), "a\\");
        assert_eq!(decode(br"\u12"), r"\u12");
        assert_eq!(decode(b"\xff\\n"), "\u{fffd}\n");
    }

    proptest::proptest! {
        #[test]
        fn as_serde_json_does(text in ".*") {
            let json = serde_json::to_string(&text).unwrap();
            proptest::prop_assert_eq!(decode(&json.as_bytes()[1..json.len() - 1]), text);
        }
    }
}
