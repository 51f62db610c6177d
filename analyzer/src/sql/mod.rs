//! SQL over heaps: SQLite's engine over the columns of [`heapsee_heap::heap`], and the session database around it.
//!
//! `obj` and `ref` are writable virtual tables: nothing of a heap is copied into SQLite. This module does not know the
//! shell's shorthands and prints nothing.

mod catalog;
mod columns;
mod error;
mod found;
mod module;
mod obj;
mod plan;
mod ref_row;
mod reference;
mod scan;
mod session;
mod store;
mod write;

pub use catalog::Loader;
pub use error::SessionError;
pub use session::Session;
pub use store::is_sqlite as is_session_file;
