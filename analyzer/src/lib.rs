//! Reading heap dumps of Python processes: what holds the memory, and why.
//!
//! `load` reads a file into a [`heap`]; [`graph`] searches it; [`naming`] says what references are called; `sql` and
//! `shell` let a person ask; `report` makes values, `render` turns them into text and JSON. Nothing here touches a live
//! process or links Python.

pub mod commands;
pub mod exit;
pub mod graph;
pub mod heap;
pub mod load;
pub mod naming;
pub mod owner;
pub mod render;
pub mod report;
pub mod shell;
pub mod sql;
pub mod suspects;
pub mod twins;
