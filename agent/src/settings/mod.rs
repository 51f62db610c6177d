//! How settings are read: TOML tables in which every mistake has its place, and values with units. What a setting means
//! is not said here: the sections are in `config`, the keys of a trigger in its module of `triggers`.

pub mod reader;
pub mod values;

pub use reader::{Located, Problem, Sink, Table, choice};
