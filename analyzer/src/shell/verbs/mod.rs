//! The shell's commands, by what they are about.

pub(super) mod graph;
pub(super) mod names;
pub(super) mod query;
pub(super) mod session;
