//! Reading the lines of a dump: the fixed shape that [`crate::line`] (and meliae) writes, byte by byte, quickly.
//!
//! A line of any other shape that is still a JSON object with meliae's keys is for [`crate::tolerant`]; whatever this
//! module accepts, that one accepts with the same meaning. Text is not decoded here: most of it is never looked at.

/// Text as it stands between the quotes of a JSON string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawText<'a> {
    /// The bytes between the quotes.
    pub bytes: &'a [u8],
    /// Whether there are backslashes in it, so that it has to go through [`crate::text::decode`].
    pub escaped: bool,
}

/// The value of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawValue<'a> {
    /// A string, or anything that is not an integer of 64 bits, as text.
    Text(RawText<'a>),
    /// An integer.
    Int(i64),
}

/// One object, but for its references, which go to a list of the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its address.
    pub address: u64,
    /// The name of its type.
    pub type_name: RawText<'a>,
    /// Its size in bytes.
    pub size: u64,
    /// The name of a module, function or type.
    pub name: Option<RawText<'a>>,
    /// Characters or elements.
    pub len: Option<u64>,
    /// What it holds, cut to some length.
    pub value: Option<RawValue<'a>>,
}

/// Reads the line at the start of `input`, appends what it refers to to `refs`, and says how many bytes it took, its
/// line feed included. `None`, and `refs` as it was, if the line is not exactly of the fixed shape.
pub fn parse<'a>(input: &'a [u8], refs: &mut Vec<u64>) -> Option<(Line<'a>, usize)> {
    let before = refs.len();
    let mut cursor = Cursor { rest: input };
    let Some(line) = cursor.line(refs) else {
        refs.truncate(before);
        return None;
    };
    Some((line, input.len() - cursor.rest.len()))
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    #[inline]
    fn line(&mut self, refs: &mut Vec<u64>) -> Option<Line<'a>> {
        self.literal(b"{\"address\": ")?;
        let address = self.unsigned()?;
        self.literal(b", \"type\": \"")?;
        let type_name = self.text()?;
        self.literal(b", \"size\": ")?;
        let size = self.unsigned()?;
        let mut line = Line { address, type_name, size, name: None, len: None, value: None };
        if self.literal(b", \"name\": \"").is_some() {
            line.name = Some(self.text()?);
        }
        if self.literal(b", \"len\": ").is_some() {
            line.len = Some(self.unsigned()?);
        }
        if self.literal(b", \"value\": ").is_some() {
            line.value = Some(self.value()?);
        }
        self.literal(b", \"refs\": [")?;
        self.refs(refs)?;
        self.literal(b"}")?;
        match self.rest {
            [] => Some(line),
            [b'\n', rest @ ..] => {
                self.rest = rest;
                Some(line)
            }
            _ => None,
        }
    }

    #[inline]
    fn literal(&mut self, expected: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(expected)?;
        Some(())
    }

    #[inline]
    fn value(&mut self) -> Option<RawValue<'a>> {
        if self.literal(b"\"").is_some() {
            return Some(RawValue::Text(self.text()?));
        }
        let negative = self.literal(b"-").is_some();
        let magnitude = self.unsigned()?;
        let value = if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() };
        // "-0" is a float in JSON's eyes: leave it to the tolerant reader.
        if negative && magnitude == 0 { None } else { value.map(RawValue::Int) }
    }

    #[inline]
    fn refs(&mut self, refs: &mut Vec<u64>) -> Option<()> {
        if self.literal(b"]").is_some() {
            return Some(());
        }
        loop {
            refs.push(self.unsigned()?);
            match self.rest {
                [b',', b' ', rest @ ..] => self.rest = rest,
                [b']', rest @ ..] => {
                    self.rest = rest;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// A decimal number as JSON has them: no leading zeros, no more than 64 bits. It does not look at what follows.
    #[inline]
    fn unsigned(&mut self) -> Option<u64> {
        let (mut value, mut digits) = leading_digits(self.rest);
        if digits == 0 || (digits > 1 && self.rest[0] == b'0') {
            return None;
        }
        if digits == 8 {
            let (low, more) = leading_digits(&self.rest[8..]);
            // Two times eight digits always fit.
            value = value * POWERS[more] + low;
            digits += more;
            while digits >= 16 {
                let Some(byte @ b'0'..=b'9') = self.rest.get(digits) else { break };
                value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
                digits += 1;
            }
        }
        self.rest = &self.rest[digits..];
        Some(value)
    }

    /// What stands before the closing quote, which is taken too.
    #[inline]
    fn text(&mut self) -> Option<RawText<'a>> {
        let mut at = 0;
        let mut escaped = false;
        loop {
            at += plain_prefix(&self.rest[at..]);
            match *self.rest.get(at)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    at += escape_length(&self.rest[at..])?;
                }
                _ => return None,
            }
        }
        let bytes = &self.rest[..at];
        self.rest = &self.rest[at + 1..];
        Some(RawText { bytes, escaped })
    }
}

const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

const fn every_byte(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The number that the first (at most eight) digits of `input` make, and how many there are; eight at a time in one
/// register, since addresses are most of a dump.
#[inline]
fn leading_digits(input: &[u8]) -> (u64, usize) {
    let Some(eight) = input.first_chunk::<8>() else { return few_leading_digits(input) };
    let x = u64::from_le_bytes(*eight);
    // A byte is a digit if its upper half is 3 and stays so when 6 is added. No sum carries into the next byte unless
    // its own byte is not a digit anyway, and only the first such byte counts.
    let not_digits = ((x & every_byte(0xf0)) ^ every_byte(0x30))
        | ((x.wrapping_add(every_byte(0x06)) & every_byte(0xf0)) ^ every_byte(0x30));
    let digits = (not_digits.trailing_zeros() / 8) as usize;
    if digits == 0 {
        return (0, 0);
    }
    // The digits are moved to the register's end, so that it starts with zeros.
    let x = (x & every_byte(0x0f)) << (8 * (8 - digits));
    let x = x.wrapping_mul(10).wrapping_add(x >> 8) & 0x00ff_00ff_00ff_00ff;
    let x = x.wrapping_mul(100).wrapping_add(x >> 16) & 0x0000_ffff_0000_ffff;
    let x = x.wrapping_mul(10_000).wrapping_add(x >> 32) & 0xffff_ffff;
    (x, digits)
}

fn few_leading_digits(input: &[u8]) -> (u64, usize) {
    let digits = input.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let value = input[..digits].iter().fold(0, |value, byte| value * 10 + u64::from(byte - b'0'));
    (value, digits)
}

/// How many bytes at the start of `input` are plain ASCII: not a control, a quote or a backslash.
#[inline]
fn plain_prefix(input: &[u8]) -> usize {
    let mut at = 0;
    while let Some(eight) = input[at..].first_chunk::<8>() {
        let x = u64::from_le_bytes(*eight);
        // The usual tests for a zero byte and for a byte below n: exact up to the first hit, which is all that counts.
        let quote = x ^ every_byte(b'"');
        let backslash = x ^ every_byte(b'\\');
        let hits = (quote.wrapping_sub(every_byte(1)) & !quote)
            | (backslash.wrapping_sub(every_byte(1)) & !backslash)
            | (x.wrapping_sub(every_byte(0x20)) & !x)
            | x;
        let hits = hits & every_byte(0x80);
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + input[at..].iter().take_while(|&&byte| matches!(byte, 0x20..=0x7f) && byte != b'"' && byte != b'\\').count()
}

/// The length of the escape at the start of `input`; `None` if JSON has no such escape.
#[inline]
fn escape_length(input: &[u8]) -> Option<usize> {
    match *input.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' if input.get(2..6)?.iter().all(u8::is_ascii_hexdigit) => Some(6),
        _ => None,
    }
}
