//! Searching a heap: what the roots reach, and by which way.
//!
//! Everything goes by the edges of a [`View`](crate::heap::View), so that a session's deletions count. Nothing here
//! changes a view or prints.

mod amount;
pub mod cut;
#[cfg(test)]
mod cut_tests;
mod depth_first;
mod dominators;
#[cfg(test)]
mod dominators_tests;
mod gc;
mod path;
mod retained;
mod tree;

pub use amount::Amount;
pub use dominators::Dominators;
pub use gc::{Gc, gc};
pub use path::path;
pub use retained::{amount_of, kept_by, reached_without};
pub use tree::{Among, MOST_RELUCTANT, Tree};
