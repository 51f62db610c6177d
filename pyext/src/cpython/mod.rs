//! Everything this crate knows about CPython's memory: all raw reads are in this folder, a file per header of CPython.
//!
//! The rest of the crate sees [`Object`]: a pointer to an object of a heap that holds still, as [`StillHeap`] proves.
//! With that proof its methods are safe. None of them runs Python code or changes a reference count of an object that
//! is dumped, and none allocates but through Rust's allocator; the one exception is said where it is ([`sizeof`]).
//!
//! Layouts are mirrored where CPython has no function that would do: generation lists ([`gc`]), inline attribute values
//! ([`inline_values`]), code and interpreter frames ([`frame`]). What the compiler's headers cannot tell at run time is
//! checked when a walker is made.

pub mod alloc;
pub mod collector;
pub mod dict;
pub mod fits;
pub mod frame;
pub mod funcobject;
pub mod gc;
#[cfg_attr(not(Py_3_11), path = "no_inline_values.rs")]
pub mod inline_values;
pub mod interpreter;
pub mod layout;
pub mod long;
pub mod moduleobject;
pub mod object;
pub mod peek;
pub mod runtime;
pub mod sizeof;
pub mod thread_state;
pub mod typeobject;
pub mod unicode;

pub use object::{Object, StillHeap, TypeObject};
