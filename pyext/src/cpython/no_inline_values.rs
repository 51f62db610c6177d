//! Attributes kept without a dict: there are none before CPython 3.11. See `inline_values.rs` for those that have them.

use std::convert::Infallible;
use std::marker::PhantomData;

use pyo3::prelude::*;

use super::{Object, TypeObject};

/// No structure is mirrored.
pub(super) fn layout() -> std::iter::Empty<(&'static str, &'static str, usize)> {
    std::iter::empty()
}

/// Nothing can misfit.
pub fn fit(_modules: Object<'_>) -> bool {
    true
}

/// Nothing to be asked: all releases do the same.
///
/// # Errors
/// None.
#[expect(clippy::unnecessary_wraps, reason = "later versions look at an instance")]
pub fn calibrate(_py: Python<'_>) -> PyResult<()> {
    Ok(())
}

/// The names that instances share are in their dicts' keys, which are not looked at here.
pub fn shared_names<'h>(_ty: TypeObject<'h>) -> std::iter::Empty<Object<'h>> {
    std::iter::empty()
}

/// Cannot be made.
pub struct InlineValues<'h>(Infallible, PhantomData<&'h ()>);

impl<'h> Object<'h> {
    /// Always `None`: attributes are in a dict.
    pub fn inline_values(self, _ty: TypeObject<'h>) -> Option<InlineValues<'h>> {
        None
    }
}

impl<'h> InlineValues<'h> {
    /// Bytes that the values take outside of the object's own memory.
    pub fn extra_size(&self) -> u64 {
        match self.0 {}
    }

    /// The dict that has been made of them.
    pub fn dict(&self) -> Option<Object<'h>> {
        match self.0 {}
    }

    /// What a traverse visits for the attributes, in its order.
    pub fn as_traversed(&self) -> std::iter::Empty<Object<'h>> {
        match self.0 {}
    }

    /// Names and values, in the order in which the attributes were first assigned.
    pub fn pairs(&self) -> std::iter::Empty<(Object<'h>, Object<'h>)> {
        match self.0 {}
    }
}
