//! The rules at work: looks at the workers come in, decisions go out.
//!
//! A state machine without a clock, a file or a process in it: whoever drives it says what time it is, keeps its state
//! and carries out what it decides.

mod engine;
mod gate;
#[cfg(test)]
mod model;
mod seen;
#[cfg(test)]
mod tests;
mod track;

pub use engine::{Decision, Done, Engine, Needs, Order, State, Want};
pub use seen::{Events, Group, Host, Id, Look, Moment, Seen};
