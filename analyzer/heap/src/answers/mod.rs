//! What a heap says, as values: no I/O, no layout. `render` turns them into text and JSON.

pub mod cut;
pub mod diff;
pub mod duplicates;
pub mod equal;
pub mod freed;
pub mod layout;
pub mod merged;
pub mod object;
pub mod packages;
pub mod path;
pub mod reconcile;
pub mod study;
pub mod summary;
pub mod suspects;
pub mod tally;
pub mod threads;
pub mod top;
pub mod tree;
pub mod twins;
pub mod waste;
pub mod words;
