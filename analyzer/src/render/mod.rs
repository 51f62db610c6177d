//! Turning reports into text and JSON. Nothing here computes, and nothing here knows where output goes.

pub mod answers;
pub mod diff;
pub mod dominators;
pub mod grid;
pub mod json;
pub mod process;
pub mod rows;
pub mod suspects;
mod table;
pub mod text;
pub mod twins;
pub mod waste;

use heapsee_format::text::is_hostile;

/// Without characters that a terminal would act upon, and on one line.
pub fn printable(text: impl std::fmt::Display) -> String {
    text.to_string().chars().map(|c| if is_hostile(c) { '\u{fffd}' } else { c }).collect()
}

/// `bytes` in lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
