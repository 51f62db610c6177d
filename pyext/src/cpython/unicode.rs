//! `cpython/unicodeobject.h`: the characters of a str.

use pyo3::ffi;

use super::Object;

/// The characters of a str, by the width it keeps them in.
#[derive(Clone, Copy)]
pub enum Characters<'h> {
    /// One byte each: ASCII or latin-1.
    One(&'h [u8]),
    /// Two bytes each.
    Two(&'h [u16]),
    /// Four bytes each.
    Four(&'h [u32]),
}

impl<'h> Characters<'h> {
    /// How many code points.
    pub fn len(self) -> usize {
        match self {
            Characters::One(chars) => chars.len(),
            Characters::Two(chars) => chars.len(),
            Characters::Four(chars) => chars.len(),
        }
    }

    /// The code points, lone surrogates as they are.
    pub fn iter(self) -> impl Iterator<Item = u32> + 'h {
        (0..self.len()).map(move |i| match self {
            Characters::One(chars) => u32::from(chars[i]),
            Characters::Two(chars) => u32::from(chars[i]),
            Characters::Four(chars) => chars[i],
        })
    }
}

impl<'h> Object<'h> {
    /// The characters of a str (or of an instance of a subclass); `None` for any other object.
    pub fn characters(self) -> Option<Characters<'h>> {
        if !self.ty().has_flag(ffi::Py_TPFLAGS_UNICODE_SUBCLASS) {
            return None;
        }
        let object = self.as_ptr();
        // SAFETY: the flag says it is a str; its buffer is as long as it says and holds still for 'h.
        unsafe {
            #[cfg(not(Py_3_12))]
            if ffi::PyUnicode_IS_READY(object) == 0 {
                return Some(legacy_characters(self));
            }
            let len = usize::try_from(ffi::PyUnicode_GET_LENGTH(object)).unwrap_or(0);
            let data = ffi::PyUnicode_DATA(object);
            if data.is_null() {
                return Some(Characters::One(&[]));
            }
            Some(match ffi::PyUnicode_KIND(object) {
                ffi::PyUnicode_1BYTE_KIND => Characters::One(std::slice::from_raw_parts(data.cast(), len)),
                ffi::PyUnicode_2BYTE_KIND => Characters::Two(std::slice::from_raw_parts(data.cast(), len)),
                ffi::PyUnicode_4BYTE_KIND => Characters::Four(std::slice::from_raw_parts(data.cast(), len)),
                _ => Characters::One(&[]),
            })
        }
    }

    /// The text of a str, lone surrogates replaced; `None` for any other object.
    pub fn str_value(self) -> Option<String> {
        let code_points = self.characters()?.iter();
        Some(code_points.map(|code| char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
    }

    /// Whether this is a str with that text.
    pub(super) fn str_equals(self, text: &str) -> bool {
        self.characters().is_some_and(|chars| {
            // Most keys differ in length or in their first character: no need to decode.
            chars.len() <= text.len() && chars.iter().eq(text.chars().map(u32::from))
        })
    }
}

/// The characters of a str made by the old API and not yet `READY` (up to 3.11): wchar_t, four bytes on Linux.
#[cfg(not(Py_3_12))]
#[allow(deprecated, reason = "the field is what such a str has")]
unsafe fn legacy_characters(object: Object<'_>) -> Characters<'_> {
    // SAFETY: the caller has seen that it is a str that is not ready: it is no compact one, and wstr is set.
    unsafe {
        let wide = &*object.as_ptr().cast::<ffi::PyCompactUnicodeObject>();
        let chars = wide._base.wstr;
        if chars.is_null() {
            return Characters::One(&[]);
        }
        Characters::Four(std::slice::from_raw_parts(chars.cast(), usize::try_from(wide.wstr_length).unwrap_or(0)))
    }
}
