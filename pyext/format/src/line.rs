//! Writing the lines of a dump: one object a line, meliae's keys in meliae's order, pure ASCII.
//!
//! ```text
//! {"address": 140…, "type": "dict", "size": 232, "name": "…", "len": 3, "value": "…", "refs": [1, 2, 3]}
//! ```
//!
//! meliae's loader reads a line in one of two ways, and a line must pass both. That narrows what may stand where:
//! * `type` and `name`: no backslash at all (its regex mode asserts that) and ASCII once decoded (its JSON mode
//!   encodes them so). A character that would need an escape is written as its code point, `<U+00E9>`.
//! * `value` of a `str`: any character, as JSON escapes.
//! * `value` of anything else (bytes, a frame's code name, a *subclass* of str): its JSON mode encodes the value as
//!   latin-1, so a character above U+00FF is written `<U+4E2D>` too.

/// Strings are cut to this many characters (code points; bytes for `bytes`), as meliae does.
pub const VALUE_LIMIT: usize = 100;

/// Which characters a string may have behind the reader's back; see the module's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// Any code point, lone surrogates too: the value of an exact `str`.
    Unicode,
    /// Code points to U+00FF; above, `<U+…>`: every other value.
    Latin1,
}

/// Writes one line into a buffer, field by field, in the order of the methods below.
///
/// Nothing is allocated but by the growth of the buffer. The caller keeps the order; `refs` ends the line.
pub struct LineWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> LineWriter<'a> {
    /// Starts a line. `type_name` must have come from [`encode_name`].
    pub fn start(out: &'a mut Vec<u8>, address: u64, type_name: &[u8], size: u64) -> Self {
        out.extend_from_slice(b"{\"address\": ");
        push_u64(out, address);
        out.extend_from_slice(b", \"type\": \"");
        out.extend_from_slice(type_name);
        out.extend_from_slice(b"\", \"size\": ");
        push_u64(out, size);
        LineWriter { out }
    }

    /// The name of a module, function or type; `name` is its characters.
    pub fn name(&mut self, name: impl Iterator<Item = u32>) {
        self.out.extend_from_slice(b", \"name\": \"");
        encode_name(self.out, name);
        self.out.push(b'"');
    }

    /// The number of characters or elements.
    pub fn len(&mut self, len: u64) {
        self.out.extend_from_slice(b", \"len\": ");
        push_u64(self.out, len);
    }

    /// A text value: at most [`VALUE_LIMIT`] of `chars` are taken.
    pub fn text(&mut self, chars: impl Iterator<Item = u32>, charset: Charset) {
        self.out.extend_from_slice(b", \"value\": \"");
        for code in chars.take(VALUE_LIMIT) {
            push_char(self.out, code, charset);
        }
        self.out.push(b'"');
    }

    /// What stands for a value that is not to be told.
    pub fn hidden_value(&mut self, hash: u64) {
        self.out.extend_from_slice(b", \"value\": ");
        push_hidden(self.out, hash);
    }

    /// What stands for a name that is not to be told.
    pub fn hidden_name(&mut self, hash: u64) {
        self.out.extend_from_slice(b", \"name\": ");
        push_hidden(self.out, hash);
    }

    /// An integer value.
    pub fn int(&mut self, value: i64) {
        self.out.extend_from_slice(b", \"value\": ");
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A bool value: meliae writes it as a string.
    pub fn bool(&mut self, value: bool) {
        self.out.extend_from_slice(b", \"value\": \"");
        self.out.extend_from_slice(if value { b"True" } else { b"False" });
        self.out.push(b'"');
    }

    /// The addresses referred to, and the end of the line.
    pub fn refs(self, refs: impl Iterator<Item = u64>) {
        self.out.extend_from_slice(b", \"refs\": [");
        for (i, address) in refs.enumerate() {
            if i > 0 {
                self.out.extend_from_slice(b", ");
            }
            push_u64(self.out, address);
        }
        self.out.extend_from_slice(b"]}\n");
    }
}

/// Writes a `type` or `name`: printable ASCII but for `"` and `\` as it is, all else as `<U+XXXX>`.
pub fn encode_name(out: &mut Vec<u8>, name: impl Iterator<Item = u32>) {
    for code in name {
        match u8::try_from(code) {
            Ok(byte @ 0x20..=0x7e) if byte != b'"' && byte != b'\\' => out.push(byte),
            _ => push_code_point(out, code),
        }
    }
}

/// `"#0123456789abcdef"`.
fn push_hidden(out: &mut Vec<u8>, hash: u64) {
    out.extend_from_slice(b"\"#");
    push_hex(out, (hash >> 32) as u32, 8, b"0123456789abcdef");
    push_hex(out, hash as u32, 8, b"0123456789abcdef");
    out.push(b'"');
}

fn push_char(out: &mut Vec<u8>, code: u32, charset: Charset) {
    match code {
        0x22 | 0x2f | 0x5c => out.extend_from_slice(&[b'\\', code as u8]),
        0x20..=0x7e => out.push(code as u8),
        0x100.. if charset == Charset::Latin1 => push_code_point(out, code),
        0x1_0000.. => {
            let offset = code - 0x1_0000;
            push_u_escape(out, 0xd800 + (offset >> 10));
            push_u_escape(out, 0xdc00 + (offset & 0x3ff));
        }
        _ => push_u_escape(out, code),
    }
}

fn push_u_escape(out: &mut Vec<u8>, unit: u32) {
    out.extend_from_slice(b"\\u");
    push_hex(out, unit, 4, b"0123456789abcdef");
}

fn push_code_point(out: &mut Vec<u8>, code: u32) {
    out.extend_from_slice(b"<U+");
    let digits = if code > 0xf_ffff {
        6
    } else if code > 0xffff {
        5
    } else {
        4
    };
    push_hex(out, code, digits, b"0123456789ABCDEF");
    out.push(b'>');
}

fn push_hex(out: &mut Vec<u8>, value: u32, digits: u32, alphabet: &[u8; 16]) {
    for i in (0..digits).rev() {
        out.push(alphabet[(value >> (4 * i)) as usize & 15]);
    }
}

fn push_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chars(text: &str) -> impl Iterator<Item = u32> {
        text.chars().map(u32::from)
    }

    fn text(value: &str, charset: Charset) -> String {
        let mut out = Vec::new();
        LineWriter { out: &mut out }.text(chars(value), charset);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_whole_line() {
        let mut out = Vec::new();
        let mut line = LineWriter::start(&mut out, 140, b"dict", 232);
        line.name(chars("n"));
        line.len(3);
        line.int(-7);
        line.refs([1, 2, 3].into_iter());
        let expected: &[u8] =
            b"{\"address\": 140, \"type\": \"dict\", \"size\": 232, \"name\": \"n\", \"len\": 3, \"value\": -7, \"refs\": [1, 2, 3]}\n";
        assert_eq!(out, expected);
    }

    #[test]
    fn values_are_escaped_as_meliae_does() {
        // What meliae 0.5.1 writes on CPython 3.8 for the same strings.
        assert_eq!(
            text("h\u{e9}llo/\"\\\n\u{1f600}", Charset::Unicode),
            r#", "value": "h\u00e9llo\/\"\\\u000a\ud83d\ude00""#
        );
        assert_eq!(text("\u{0}\u{7f}\u{80}/", Charset::Latin1), r#", "value": "\u0000\u007f\u0080\/""#);
    }

    #[test]
    fn lone_surrogates_pass() {
        let mut out = Vec::new();
        LineWriter { out: &mut out }.text([0xd800].into_iter(), Charset::Unicode);
        assert_eq!(out, br#", "value": "\ud800""#);
    }

    #[test]
    fn beyond_latin1_is_named_where_meliae_needs_latin1() {
        assert_eq!(text("\u{4e2d}\u{1f600}\u{10ffff}", Charset::Latin1), r#", "value": "<U+4E2D><U+1F600><U+10FFFF>""#);
    }

    #[test]
    fn values_are_cut() {
        assert_eq!(text(&"\u{4e2d}".repeat(101), Charset::Unicode).matches("\\u").count(), VALUE_LIMIT);
    }

    #[test]
    fn names_have_no_backslash() {
        let mut out = Vec::new();
        encode_name(&mut out, chars("a/b\"\\\u{e9}\n"));
        assert_eq!(out, b"a/b<U+0022><U+005C><U+00E9><U+000A>");
    }
}
