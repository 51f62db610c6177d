//! Searching a heap: what the roots reach, and by which way.
//!
//! Everything goes by the edges of a [`View`](crate::heap::View), so that a session's deletions count. Nothing here
//! changes a view or prints.

mod gc;
mod path;

pub use gc::{Gc, gc};
pub use path::path;
