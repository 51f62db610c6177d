//! What a heap says, as values: no I/O, no layout. `render` turns them into text and JSON.

pub mod freed;
pub mod object;
pub mod path;
pub mod summary;
pub mod suspects;
pub mod words;
