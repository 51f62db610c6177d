//! `cpython/code.h`, `cpython/frameobject.h`, `internal/pycore_frame.h`: code objects, and frames that are running.
//!
//! Up to 3.10 a frame is an object whose traverse visits its locals. From 3.11 the state of a call lies on a stack of
//! the thread's; a frame object comes into being when somebody asks for it, and while the call runs its traverse
//! leaves out the locals. Whoever dumps the frames of running threads wants them all the same.

use std::ffi::CStr;
use std::mem::offset_of;

use pyo3::ffi;

use super::{Object, fits};

/// `PyCodeObject`, up to the last field that is read here.
#[cfg(not(Py_3_11))]
#[repr(C)]
struct Code {
    base: ffi::PyObject,
    counts: [i32; 7],
    code_to_cellvars: [*mut ffi::PyObject; 6],
    cell2arg: *mut isize,
    filename: *mut ffi::PyObject,
    name: *mut ffi::PyObject,
}

/// `PyCodeObject`, up to the last field that is read here.
#[cfg(Py_3_11)]
#[repr(C)]
struct Code {
    base: ffi::PyVarObject,
    consts_names_exceptiontable: [*mut ffi::PyObject; 3],
    flags: i32,
    #[cfg(not(Py_3_12))]
    warmup_and_linearray_entry_size: [i16; 2],
    argcount_to_firstlineno: [i32; 5],
    nlocalsplus: i32,
    #[cfg(not(Py_3_12))]
    nlocals_to_nfreevars: [i32; 4],
    #[cfg(Py_3_12)]
    framesize_to_version: [i32; 5],
    localsplusnames_kinds: [*mut ffi::PyObject; 2],
    filename: *mut ffi::PyObject,
    name: *mut ffi::PyObject,
}

/// `struct _frame`, up to the frame's data.
#[cfg(Py_3_11)]
#[repr(C)]
struct FrameObject {
    base: ffi::PyObject,
    back: *mut ffi::PyObject,
    frame: *const InterpreterFrame,
}

/// `_PyInterpreterFrame` of 3.11.
#[cfg(all(Py_3_11, not(Py_3_12)))]
#[repr(C)]
struct InterpreterFrame {
    func: *mut ffi::PyObject,
    globals_builtins: [*mut ffi::PyObject; 2],
    locals: *mut ffi::PyObject,
    code: *mut ffi::PyObject,
    frame_obj: *mut ffi::PyObject,
    previous_and_instr: [usize; 2],
    stacktop: i32,
    is_entry: bool,
    owner: u8,
    localsplus: [*mut ffi::PyObject; 0],
}

/// `_PyInterpreterFrame` of 3.12 and 3.13 (which calls `code` `f_executable`).
#[cfg(all(Py_3_12, not(Py_3_14)))]
#[repr(C)]
struct InterpreterFrame {
    code: *mut ffi::PyObject,
    previous: usize,
    func: *mut ffi::PyObject,
    globals_builtins: [*mut ffi::PyObject; 2],
    locals: *mut ffi::PyObject,
    frame_obj: *mut ffi::PyObject,
    instr: usize,
    stacktop: i32,
    return_offset: u16,
    owner: u8,
    localsplus: [*mut ffi::PyObject; 0],
}

/// `_PyInterpreterFrame` of 3.14: references on the stack are tagged in their low bits.
#[cfg(Py_3_14)]
#[repr(C)]
struct InterpreterFrame {
    code: *mut ffi::PyObject,
    previous: usize,
    func: *mut ffi::PyObject,
    globals_builtins: [*mut ffi::PyObject; 2],
    locals: *mut ffi::PyObject,
    frame_obj: *mut ffi::PyObject,
    instr: usize,
    stackpointer: *const *mut ffi::PyObject,
    return_offset: u16,
    owner: u8,
    visited: u8,
    localsplus: [*mut ffi::PyObject; 0],
}

/// `FRAME_OWNED_BY_FRAME_OBJECT`: the call has ended, its state has moved into the frame object, whose own traverse
/// visits it.
#[cfg(Py_3_11)]
const OWNED_BY_FRAME_OBJECT: u8 = 2;

/// The structures above for [`super::layout`].
pub(super) fn layout() -> impl Iterator<Item = (&'static str, &'static str, usize)> {
    [
        ("PyCodeObject", "co_filename", offset_of!(Code, filename)),
        ("PyCodeObject", "co_name", offset_of!(Code, name)),
        #[cfg(not(Py_3_11))]
        ("PyCodeObject", "co_code", offset_of!(Code, code_to_cellvars)),
        #[cfg(Py_3_11)]
        ("PyCodeObject", "co_consts", offset_of!(Code, consts_names_exceptiontable)),
        #[cfg(Py_3_11)]
        ("PyCodeObject", "co_localsplusnames", offset_of!(Code, localsplusnames_kinds)),
        #[cfg(Py_3_11)]
        ("PyCodeObject", "co_nlocalsplus", offset_of!(Code, nlocalsplus)),
        #[cfg(Py_3_11)]
        ("struct _frame", "f_frame", offset_of!(FrameObject, frame)),
        #[cfg(Py_3_11)]
        ("_PyInterpreterFrame", "f_locals", offset_of!(InterpreterFrame, locals)),
        #[cfg(Py_3_11)]
        ("_PyInterpreterFrame", "frame_obj", offset_of!(InterpreterFrame, frame_obj)),
        #[cfg(Py_3_11)]
        ("_PyInterpreterFrame", "owner", offset_of!(InterpreterFrame, owner)),
        #[cfg(Py_3_11)]
        ("_PyInterpreterFrame", "localsplus", offset_of!(InterpreterFrame, localsplus)),
        #[cfg(all(Py_3_11, not(Py_3_12)))]
        ("_PyInterpreterFrame", "f_func", offset_of!(InterpreterFrame, func)),
        #[cfg(Py_3_12)]
        ("_PyInterpreterFrame", "f_funcobj", offset_of!(InterpreterFrame, func)),
        #[cfg(all(Py_3_11, not(Py_3_13)))]
        ("_PyInterpreterFrame", "f_code", offset_of!(InterpreterFrame, code)),
        #[cfg(Py_3_13)]
        ("_PyInterpreterFrame", "f_executable", offset_of!(InterpreterFrame, code)),
        #[cfg(all(Py_3_11, not(Py_3_14)))]
        ("_PyInterpreterFrame", "stacktop", offset_of!(InterpreterFrame, stacktop)),
        #[cfg(Py_3_14)]
        ("_PyInterpreterFrame", "stackpointer", offset_of!(InterpreterFrame, stackpointer)),
    ]
    .into_iter()
}

impl<'h> Object<'h> {
    /// The code a frame object runs.
    pub fn frame_code(self) -> Option<Object<'h>> {
        // SAFETY: callers ask only frame objects. The reference is given back at once: the frame keeps its code alive.
        unsafe {
            let code = ffi::PyFrame_GetCode(self.as_ptr().cast()).cast::<ffi::PyObject>();
            ffi::Py_DECREF(code);
            self.field(code)
        }
    }

    /// The line a frame object is at, if known.
    pub fn frame_line(self) -> Option<u32> {
        // SAFETY: callers ask only frame objects; the function reads the code's line table.
        u32::try_from(unsafe { ffi::PyFrame_GetLineNumber(self.as_ptr().cast()) }).ok().filter(|&line| line > 0)
    }

    /// `co_filename` of a code object.
    pub fn code_filename(self) -> Option<Object<'h>> {
        if !fits::FRAMES.holds() {
            return self.code_attribute(c"co_filename");
        }
        // SAFETY: callers ask only what `frame_code` gave.
        unsafe { self.field((*self.as_ptr().cast::<Code>()).filename) }
    }

    /// The names that a code object uses: of variables, attributes, what it imports.
    pub fn code_identifiers(self) -> impl Iterator<Item = Object<'h>> {
        // SAFETY: callers ask only code objects, which keep their tuples alive.
        let tuples = fits::FRAMES.holds().then(|| unsafe {
            let code = self.as_ptr().cast::<Code>();
            #[cfg(not(Py_3_11))]
            let [_, _, names, locals, free, cells] = (*code).code_to_cellvars;
            #[cfg(Py_3_11)]
            let [_, names, _] = (*code).consts_names_exceptiontable;
            #[cfg(Py_3_11)]
            let [locals, _] = (*code).localsplusnames_kinds;
            #[cfg(not(Py_3_11))]
            let tuples = [names, locals, free, cells];
            #[cfg(Py_3_11)]
            let tuples = [names, locals];
            tuples.map(|tuple| self.field(tuple))
        });
        tuples.into_iter().flatten().flatten().flat_map(Object::tuple_items)
    }

    /// `co_consts` of a code object.
    pub fn code_constants(self) -> impl Iterator<Item = Object<'h>> {
        // SAFETY: as above.
        let constants = fits::FRAMES.holds().then(|| unsafe {
            let code = self.as_ptr().cast::<Code>();
            #[cfg(not(Py_3_11))]
            let [_, constants, ..] = (*code).code_to_cellvars;
            #[cfg(Py_3_11)]
            let [constants, ..] = (*code).consts_names_exceptiontable;
            self.field(constants)
        });
        constants.flatten().into_iter().flat_map(Object::tuple_items)
    }

    /// `co_name` of a code object.
    pub fn code_name(self) -> Option<Object<'h>> {
        if fits::FRAMES.holds() { self.raw_code_name() } else { self.code_attribute(c"co_name") }
    }

    fn raw_code_name(self) -> Option<Object<'h>> {
        // SAFETY: as above.
        unsafe { self.field((*self.as_ptr().cast::<Code>()).name) }
    }

    /// A text of a code object, asked for as anybody may.
    fn code_attribute(self, name: &CStr) -> Option<Object<'h>> {
        // SAFETY: callers ask only code objects, whose attributes are read by C code. The reference is given back at
        // once: the code keeps its texts alive.
        unsafe {
            let text = ffi::PyObject_GetAttrString(self.as_ptr(), name.as_ptr());
            if text.is_null() {
                ffi::PyErr_Clear();
                return None;
            }
            ffi::Py_DECREF(text);
            self.field(text)
        }
    }
}

/// Adds what the call of a running frame object holds and its traverse leaves out: code, function, locals.
///
/// Values on the evaluation stack are added where the frame says how many there are (it does while it calls Python).
#[cfg(Py_3_11)]
pub fn running_referents<'h>(frame_object: Object<'h>, found: &mut Vec<Object<'h>>) {
    if !fits::FRAMES.holds() {
        return;
    }
    // SAFETY: the caller's object is a frame object of a thread's stack: its call's state is live and as laid out
    // above (which was checked when the walker was made); the references in it are the call's.
    unsafe {
        let frame = (*frame_object.as_ptr().cast::<FrameObject>()).frame;
        if frame.is_null() || (*frame).owner == OWNED_BY_FRAME_OBJECT {
            return;
        }
        let fields = [(*frame).code, (*frame).func, (*frame).locals];
        found.extend(fields.into_iter().filter_map(|field| frame_object.field(untagged(field))));
        let locals = (&raw const (*frame).localsplus).cast::<*mut ffi::PyObject>();
        found.extend((0..live_slots(frame)).filter_map(|i| frame_object.field(untagged(*locals.add(i)))));
    }
}

/// Up to 3.10 the traverse says it all.
#[cfg(not(Py_3_11))]
pub fn running_referents<'h>(_frame_object: Object<'h>, _found: &mut Vec<Object<'h>>) {}

/// How many of a frame's slots (locals, then evaluation stack) are known to be live.
#[cfg(Py_3_11)]
unsafe fn live_slots(frame: *const InterpreterFrame) -> usize {
    // SAFETY: the caller's frame is live, and its code is a code object.
    unsafe {
        let locals = usize::try_from((*untagged((*frame).code).cast::<Code>()).nlocalsplus).unwrap_or(0);
        #[cfg(not(Py_3_14))]
        let top = usize::try_from((*frame).stacktop).unwrap_or(0);
        #[cfg(Py_3_14)]
        let top = if (*frame).stackpointer.is_null() {
            0
        } else {
            usize::try_from((*frame).stackpointer.offset_from((&raw const (*frame).localsplus).cast())).unwrap_or(0)
        };
        locals.max(top)
    }
}

/// The pointer in a `_PyStackRef` (3.14); null for a tagged integer.
#[cfg(Py_3_14)]
fn untagged(reference: *mut ffi::PyObject) -> *mut ffi::PyObject {
    if reference.addr() & 3 == 3 { std::ptr::null_mut() } else { reference.map_addr(|addr| addr & !3) }
}

/// References carry no tags up to 3.13.
#[cfg(all(Py_3_11, not(Py_3_14)))]
fn untagged(reference: *mut ffi::PyObject) -> *mut ffi::PyObject {
    reference
}

/// Whether the layouts above fit this interpreter, as far as a running frame can tell: its parts refer to each other.
pub fn layout_fits(frame_object: Object<'_>, name_is_plausible: impl Fn(&str) -> bool) -> bool {
    #[cfg(Py_3_11)]
    // SAFETY: the caller's object is a running frame object.
    let linked = unsafe {
        let frame = (*frame_object.as_ptr().cast::<FrameObject>()).frame;
        frame.is_aligned()
            && !frame.is_null()
            && (*frame).frame_obj == frame_object.as_ptr()
            && frame_object.frame_code().is_some_and(|code| untagged((*frame).code) == code.as_ptr())
    };
    #[cfg(not(Py_3_11))]
    let linked = true;
    linked
        && frame_object
            .frame_code()
            .and_then(Object::raw_code_name)
            .and_then(Object::str_value)
            .is_some_and(|name| name_is_plausible(&name))
}
