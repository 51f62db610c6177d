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

/// Without characters that a terminal would act upon, and on one line.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if is_hostile(c) { '\u{fffd}' } else { c }).collect()
}

/// Whether a terminal would act upon a character, or show a line otherwise than it is: controls, line and paragraph
/// ends, what turns the direction of writing, and what takes no place at all.
pub(crate) fn is_hostile(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_unseen =
        matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || turns || is_unseen
}
