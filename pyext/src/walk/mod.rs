//! The walk: every object of a heap that holds still, written as lines.
//!
//! The heap holds still because it is a forked copy with one thread, or because this thread has the GIL. The walk runs
//! no Python code, changes no reference count of the objects it meets, and allocates through Rust's global allocator
//! alone. How CPython lays things out is [`crate::cpython`]'s business; where the lines go is the [`Sink`]'s.

pub mod around;
mod emit;
mod reachable;
mod referents;
mod report;
pub mod secrecy;
mod types;
mod visited;

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering::Relaxed;

use heapsee_format::meta;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::cpython::collector::Collector;
use crate::cpython::gc::Lists;
use crate::cpython::interpreter::{Interpreter, RootDicts, Threads, frames_fit, modules};
use crate::cpython::{Object, StillHeap, fits, inline_values, thread_state};
use around::Around;
use emit::Walk;
pub use reachable::{reachable, write_reachable};
use referents::Referents;
use secrecy::{Names, Values};
use types::TypeInfo;

/// What walks of this interpreter need to know; made once.
pub struct Walker {
    interpreter: Interpreter,
    /// Where the collector's lists are; without, objects are asked of `gc.get_objects()`.
    lists: Option<Lists>,
    collector: Collector,
    /// What lets a copy made without the GIL use the interpreter; where it is not known, there is no such copy.
    thread_state: Option<thread_state::Variable>,
}

/// The roots of one moment. Holds strong references: give it back with [`Moment::release`].
pub struct Moment {
    threads: Threads,
    dicts: RootDicts,
    /// What `gc.get_objects()` gave, where the collector's lists are not known.
    tracked: Option<Py<PyList>>,
}

/// How to walk.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What to step around.
    pub around: Around,
    /// What becomes of values.
    pub values: Values,
}

/// Where lines go.
pub trait Sink {
    /// Takes `count` whole lines.
    fn write(&mut self, lines: &[u8], count: u64) -> io::Result<()>;
    /// Says which object the walk is about to look at. Called for every object: must be cheap.
    fn visiting(&mut self, object: u64);
    /// Says how far the walk is: objects and bytes written, and the type of the object it is about to visit. As above.
    fn progress(&mut self, objects: u64, bytes: u64, current_type: u64);
}

/// What a walk found beside the lines.
#[derive(Debug, Default)]
pub struct Report {
    /// Lines, references, bytes.
    pub counts: meta::Counts,
    /// Threads with their stacks.
    pub threads: Vec<meta::Thread>,
    /// Where reachability starts.
    pub roots: Vec<meta::Root>,
    /// Types by address.
    pub types: BTreeMap<u64, meta::Type>,
    /// How many types were left out of `types`.
    pub types_left_out: u64,
    /// Names of the loaded top-level modules.
    pub modules: Vec<String>,
    /// Names of the types that were stepped around.
    pub skipped_types: Vec<String>,
    /// Objects that were stepped around each by itself.
    pub skipped_objects: Vec<u64>,
}

impl Walker {
    /// Looks at the interpreter and checks what the walk will rely on. What is laid out in another way than this build
    /// believes is done without: [`Walker::describe`] says so. Where the collector's lists are found, this imports
    /// nothing, makes no object and releases neither object nor GIL, so that a copy of a process that has never heard of
    /// heapsee can do it. A worker goes on with [`Walker::settle`].
    ///
    /// # Errors
    /// The lists are not found, and `gc` cannot do instead.
    pub fn new(py: Python<'_>) -> PyResult<Walker> {
        // SAFETY: the GIL is held and no code that changes objects runs while the proof lives.
        let heap = unsafe { StillHeap::assume() };
        let lists = Lists::find(py).filter(|_| !fits::FORGOTTEN.load(Relaxed));
        let walker = Walker {
            interpreter: Interpreter::new(py, &heap),
            collector: Collector::new(py, lists.as_ref())?,
            lists,
            thread_state: None,
        };
        fits::INSTANCES.set(modules(&heap).is_some_and(inline_values::fit));
        Ok(walker)
    }

    /// Finds out what cannot be seen without making something: whether frames are laid out as expected, which dict the
    /// interpreter keeps, and what a copy made without the GIL needs.
    pub fn settle(&mut self, py: Python<'_>) {
        self.thread_state = thread_state::Variable::find(py);
        self.interpreter.take_state_dict(py);
        let moment = self.hold(py);
        // SAFETY: the GIL is held and no code that changes objects runs while the proof lives.
        let heap = unsafe { StillHeap::assume() };
        fits::FRAMES.set(frames_fit(&heap, &moment.threads));
        moment.release(py);
    }

    /// One line on how heaps are walked here, for `status()`.
    pub fn describe(&self) -> String {
        let tracked = match self.lists {
            Some(_) => "follows the collector's lists",
            None => {
                "asks gc.get_objects(), which is slower, and misses frozen objects: the collector's lists were not found"
            }
        };
        let mut description = tracked.to_owned();
        let unknown = [
            (self.interpreter.knows_thread_ids(), "threads have no ids"),
            (fits::FRAMES.holds(), "the locals of running frames are not seen"),
            (fits::INSTANCES.holds(), "attributes kept without a dict have no names"),
        ];
        for (_, what) in unknown.into_iter().filter(|(is_known, _)| !is_known) {
            description.push_str("; ");
            description.push_str(what);
        }
        if !(fits::FRAMES.holds() && fits::INSTANCES.holds()) {
            description.push_str(": this CPython differs from the one heapsee was built for, install heapsee for it");
        }
        description
    }

    /// What a copy of this process needs to walk although this thread has no GIL; see [`Walker::hold_without_gil`].
    /// `None` where it cannot be done. Not for the copy itself: takes locks.
    pub fn without_gil(&self) -> Option<thread_state::PresentState> {
        self.lists?;
        self.thread_state?.of_this_thread()
    }

    /// As [`Walker::hold`], in a copy made without the GIL: what other threads were changing at that moment stays half
    /// changed, and this may crash.
    ///
    /// # Safety
    /// This is a forked copy with one thread, that of the thread that has called [`Walker::without_gil`]; CPython's
    /// allocators have been replaced, since frame objects may have to be made.
    pub unsafe fn hold_without_gil(&self, place: thread_state::PresentState) -> Moment {
        // SAFETY: the caller's promise; with a present thread state, and nobody else to run, this thread may do what
        // one with the GIL may.
        unsafe {
            place.set(self.interpreter.any_thread_state());
            self.hold(Python::assume_attached())
        }
    }

    /// Takes hold of the roots of this moment. Microseconds: the worker is paused meanwhile.
    pub fn hold(&self, py: Python<'_>) -> Moment {
        // Up to 3.11 a frame object that is made can set off a collection: that would take long and run Python code.
        // SAFETY: the GIL is held.
        let _collector_off = unsafe { self.collector.off() };
        Moment {
            threads: self.interpreter.hold_threads(py),
            dicts: self.interpreter.root_dicts(py),
            tracked: self.lists.is_none().then(|| get_objects(py).ok()).flatten(),
        }
    }
}

fn get_objects(py: Python<'_>) -> PyResult<Py<PyList>> {
    Ok(py.import("gc")?.call_method0("get_objects")?.cast_into::<PyList>()?.unbind())
}

impl Moment {
    /// Addresses of the frames of the calls that run at this moment.
    fn running_frames(&self, heap: &StillHeap) -> Vec<u64> {
        self.threads.iter().flat_map(|thread| thread.frames(heap)).map(Object::address).collect()
    }

    /// All objects that the collector tracks.
    fn tracked<'h>(&'h self, heap: &'h StillHeap, walker: &'h Walker) -> impl Iterator<Item = Object<'h>> {
        let listed = walker.lists.iter().flat_map(|lists| lists.objects(heap));
        // SAFETY: the moment holds the list.
        let list = self.tracked.as_ref().and_then(|list| unsafe { Object::from_ptr(heap, list.as_ptr()) });
        listed.chain(list.into_iter().flat_map(Object::items))
    }

    /// Gives back what the moment holds.
    pub fn release(self, py: Python<'_>) {
        self.threads.release(py);
        drop(self.tracked);
    }
}

/// Walks the heap.
///
/// # Errors
/// What the sink returns.
///
/// # Safety
/// The heap must not change: this is a forked copy with one thread, or this thread holds the GIL until it returns.
/// `moment` is of this heap and has not been released.
pub unsafe fn walk(walker: &Walker, moment: &Moment, options: &Options, sink: &mut dyn Sink) -> io::Result<Report> {
    // SAFETY: the caller's promise.
    let heap = unsafe { StillHeap::assume() };
    // A C `__sizeof__` that fails makes an exception, which the collector tracks: it must not begin to collect.
    // SAFETY: this thread has the GIL, or is the only one of a forked copy.
    let _collector_off = unsafe { walker.collector.off() };
    let mut walk = Walk::new(moment.running_frames(&heap), options, names(&heap, walker, moment, options), sink);
    for object in moment.tracked(&heap, walker) {
        walk.follow(object)?;
    }
    for thread in moment.threads.iter() {
        for frame in thread.frames(&heap) {
            walk.follow(frame)?;
        }
    }
    for (_, dict) in moment.dicts.objects(&heap) {
        walk.follow(dict)?;
    }
    let walked = walk.finish()?;
    Ok(report::report(&heap, moment, walked))
}

/// The names in the heap, where they have to be known.
fn names(heap: &StillHeap, walker: &Walker, moment: &Moment, options: &Options) -> Names {
    let mut names = Names::default();
    if matches!(options.values, Values::Full) {
        return names;
    }
    for object in moment.tracked(heap, walker) {
        names.learn(object);
    }
    for frame in moment.threads.iter().flat_map(|thread| thread.frames(heap)) {
        names.learn(frame);
    }
    if let Some((_, modules)) = moment.dicts.objects(heap).find(|&(label, _)| label == "sys.modules") {
        names.learn_modules(modules);
    }
    names
}

/// Bytes of `object` alone, as its line would say.
pub fn size_of(object: &Bound<'_, PyAny>) -> u64 {
    // SAFETY: the GIL is held, and nothing below runs Python code.
    let heap = unsafe { StillHeap::assume() };
    // SAFETY: a Bound is a live object.
    let Some(object) = (unsafe { Object::from_ptr(&heap, object.as_ptr()) }) else { return 0 };
    let info = TypeInfo::new(object.ty());
    info.sizer.size(object) + object.inline_values(info.ty).map_or(0, |values| values.extra_size())
}

/// What `object` refers to, as its line would say.
pub fn referents<'py>(object: &Bound<'py, PyAny>) -> Vec<Bound<'py, PyAny>> {
    // SAFETY: the GIL is held, and nothing below runs Python code until all referents are referred to.
    let heap = unsafe { StillHeap::assume() };
    // SAFETY: a Bound is a live object.
    let Some(found) = (unsafe { Object::from_ptr(&heap, object.as_ptr()) }) else { return Vec::new() };
    let info = TypeInfo::new(found.ty());
    let inline = found.inline_values(info.ty);
    let mut referents = Referents::default();
    let addresses = referents.of(found, &info, inline.as_ref(), false).iter().map(|referent| referent.as_ptr());
    // SAFETY: referents are kept alive by the object; each gets a reference of its own.
    addresses.map(|referent| unsafe { Bound::from_borrowed_ptr(object.py(), referent) }).collect()
}
