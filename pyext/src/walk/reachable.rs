//! One object and all it leads to: meliae's `get_recursive_items` and `dump_all_referenced`, in the process itself.

use std::io::{self, Write};

use pyo3::prelude::*;

use super::around::Around;
use super::emit::Walk;
use super::referents::Referents;
use super::secrecy::Names;
use super::types::Types;
use super::visited::Visited;
use super::{Options, Sink, Walker};
use crate::cpython::{Object, StillHeap};

/// The objects that `start` leads to, itself the first; each once.
pub fn reachable<'py>(start: &Bound<'py, PyAny>) -> Vec<Bound<'py, PyAny>> {
    // SAFETY: the GIL is held, and nothing below runs Python code until every object found is referred to.
    let heap = unsafe { StillHeap::assume() };
    let (mut types, mut referents, mut visited) = (Types::default(), Referents::default(), Visited::new());
    // SAFETY: a Bound is a live object.
    let mut found: Vec<Object<'_>> = unsafe { Object::from_ptr(&heap, start.as_ptr()) }.into_iter().collect();
    found.iter().for_each(|object| _ = visited.insert(object.address()));
    let around = Around::default();
    let mut next = 0;
    while let Some(&object) = found.get(next) {
        next += 1;
        let Some(info) = types.of(object.ty(), &around) else { continue };
        let inline = object.inline_values(info.ty);
        let new =
            |referent: &&Object<'_>| Visited::is_plausible(referent.address()) && visited.insert(referent.address());
        found.extend(referents.of(object, info, inline.as_ref(), false).iter().filter(new));
    }
    // SAFETY: what lives is kept alive by what refers to it; each gets a reference of its own.
    found.iter().map(|object| unsafe { Bound::from_borrowed_ptr(start.py(), object.as_ptr()) }).collect()
}

/// Writes the lines of `starts` and of all that they lead to, each object once.
///
/// # Errors
/// What `out` returns.
pub fn write_reachable(walker: &Walker, starts: &[Bound<'_, PyAny>], out: &mut dyn Write) -> io::Result<()> {
    let Some(first) = starts.first() else { return Ok(()) };
    let moment = walker.hold(first.py());
    // SAFETY: the GIL is held, and neither the walk nor writing its lines runs Python code.
    let heap = unsafe { StillHeap::assume() };
    // SAFETY: the GIL is held.
    let collector_off = unsafe { walker.collector.off() };
    let (options, mut lines) = (Options::default(), Lines(out));
    let mut walk = Walk::new(moment.running_frames(&heap), &options, Names::default(), &mut lines);
    // SAFETY: Bounds are live objects.
    let mut objects = starts.iter().filter_map(|start| unsafe { Object::from_ptr(&heap, start.as_ptr()) });
    let written = objects.try_for_each(|object| walk.follow(object));
    let written = written.and_then(|()| walk.finish().map(drop));
    drop(collector_off);
    moment.release(first.py());
    written
}

/// Lines, and nothing else.
struct Lines<'w>(&'w mut dyn Write);

impl Sink for Lines<'_> {
    fn write(&mut self, lines: &[u8], _count: u64) -> io::Result<()> {
        self.0.write_all(lines)
    }

    fn visiting(&mut self, _object: u64) {}

    fn progress(&mut self, _objects: u64, _bytes: u64, _current_type: u64) {}
}
