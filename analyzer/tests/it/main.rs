//! The analyzer's integration tests, one binary.

mod asked;
mod index;
mod shell;
mod sql;
mod summary;
mod waste;
