//! The analyzer's integration tests, one binary.

mod shell;
mod sql;
mod summary;
