//! What a heapsee dump *is*: its lines, its sidecar, its file names, its digest, and the control block through
//! which a worker tells the outside how a dump is going.
//!
//! The extension writes with this crate; the agent and the analyzer read with it. It knows nothing of Python's
//! memory, of processes or of signals, and holds no `unsafe`.
#![forbid(unsafe_code)]

pub mod control;
pub mod digest;
pub mod line;
pub mod meta;
pub mod naming;
pub mod parse;
pub mod salted;
pub mod text;
pub mod tolerant;
