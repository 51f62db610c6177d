//! The rules at work: looks at the workers come in, decisions go out.
//!
//! A state machine without a clock, a file or a process in it: whoever drives it says what time it is, keeps its state
//! and carries out what it decides.

mod engine;
mod gate;
mod identity;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
mod version_1;

pub use engine::{Decision, Done, Engine, Order, State, Want};
