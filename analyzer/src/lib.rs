//! The program `heapsee`: asks a heap dump questions, and shows the answers.
//!
//! What the answers are is the business of [`heapsee_heap`]. Here, `sql` and `shell` let a person ask, `shorthand` is what both the shell and the verbs know of SQL written short, `render` turns
//! answers into text and JSON, and `commands` are the verbs of the command line. This library has the program's parts
//! for its tests and its `main`; it promises nothing to others.

pub mod commands;
pub mod exit;
pub mod render;
pub mod shell;
pub mod shorthand;
pub mod sql;
