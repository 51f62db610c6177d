//! What a heapsee dump *is*: its lines, its sidecar, its file names, its digest, and the control block through
//! which a worker tells the outside how a dump is going.
//!
//! The extension writes with this crate; the agent and the analyzer read with it. So it is also the one home of what all
//! three must see alike: what control groups leave a process, and which characters no terminal may be shown. It knows
//! nothing of Python's memory, of other processes or of signals, and holds no `unsafe`.
#![forbid(unsafe_code)]

pub mod cgroup;
pub mod control;
pub mod digest;
pub mod line;
pub mod meta;
pub mod naming;
pub mod parse;
pub mod salted;
pub mod text;
pub mod tolerant;
