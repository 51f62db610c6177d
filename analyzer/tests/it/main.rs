//! The analyzer's integration tests, one binary.

mod index;
mod shell;
mod sql;
mod summary;
