//! `Python/sysmodule.c` (`_PySys_GetSizeOf`): how many bytes an object takes, as `sys.getsizeof` says.
//!
//! What `sys.getsizeof` does: call the type's `__sizeof__`, add the size of what lies before the object. Here the
//! function is found once for a type. `object.__sizeof__` is arithmetic and done here; any other function written in C
//! is called (its result is an int: the one thing that is allocated through CPython, see [`super::alloc`]). One
//! written in Python (or Cython, whose functions may do anything) is never called: the next C function in the method
//! resolution order stands in.

#[cfg(Py_3_11)]
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use pyo3::ffi;
use pyo3::prelude::*;
#[cfg(Py_3_11)]
use pyo3::types::PyType;

use super::{Object, TypeObject};

/// Bytes of a `PyGC_Head`.
const GC_HEAD: u64 = 16;

/// How the size of a type's instances is found.
#[derive(Clone, Copy)]
pub enum Sizer {
    /// `object.__sizeof__`: the structure's size and that of its items.
    Structure,
    /// A `METH_NOARGS` function.
    NoArguments(ffi::PyCFunction),
    /// A `METH_METHOD | METH_FASTCALL | METH_KEYWORDS` function and the type that defines it.
    WithClass(ffi::PyCMethod, *mut ffi::PyTypeObject),
}

impl Sizer {
    /// Finds out for instances of `ty`.
    pub fn of(ty: TypeObject<'_>) -> Sizer {
        ty.mro().find_map(|class| class.own_attribute("__sizeof__").and_then(|found| method(found, ty))).unwrap_or(
            // A type without a method resolution order is not ready, or not a well-behaved one.
            Sizer::Structure,
        )
    }

    /// `sys.getsizeof(object)`.
    pub fn size(self, object: Object<'_>) -> u64 {
        let own = self.call(object).unwrap_or_else(|| structure_size(object));
        own.saturating_add(header_size(object))
    }

    fn call(self, object: Object<'_>) -> Option<u64> {
        // SAFETY: `method` has seen that the function is for instances of this type; a StillHeap exists only where
        // the interpreter may be used.
        let result = unsafe {
            match self {
                Sizer::Structure => return None,
                Sizer::NoArguments(function) => function(object.as_ptr(), std::ptr::null_mut()),
                Sizer::WithClass(function, class) => {
                    function(object.as_ptr(), class, std::ptr::null(), 0, std::ptr::null_mut())
                }
            }
        };
        // SAFETY: a new reference or null with an error set.
        unsafe {
            if result.is_null() {
                ffi::PyErr_Clear();
                return None;
            }
            let size = ffi::PyLong_Check(result).ne(&0).then(|| ffi::PyLong_AsSsize_t(result));
            ffi::Py_DECREF(result);
            if size == Some(-1) {
                ffi::PyErr_Clear();
            }
            u64::try_from(size?).ok()
        }
    }
}

/// The C function behind a `__sizeof__` found in a class, if it is one for instances of `ty`.
fn method(found: Object<'_>, ty: TypeObject<'_>) -> Option<Sizer> {
    const WITH_CLASS: i32 = ffi::METH_METHOD | ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
    if !found.ty().is(&raw mut ffi::PyMethodDescr_Type) {
        return None;
    }
    // SAFETY: the type says which structure it is; the descriptor keeps type and definition alive. The union's field
    // is the one that the flags name.
    unsafe {
        let descriptor = &*found.as_ptr().cast::<ffi::PyMethodDescrObject>();
        let class = descriptor.d_common.d_type;
        // A class may have been given another type's method: that one must not be called on its instances.
        if !ty.mro().any(|base| base.is(class)) {
            return None;
        }
        // Whether it counts values inside of the object differs between releases: then it is asked, as any other.
        if class == &raw mut ffi::PyBaseObject_Type && !ty.has_flag(super::typeobject::TPFLAGS_INLINE_VALUES) {
            return Some(Sizer::Structure);
        }
        let definition = &*descriptor.d_method;
        match definition.ml_flags & !(ffi::METH_COEXIST | ffi::METH_STATIC) {
            ffi::METH_NOARGS => Some(Sizer::NoArguments(definition.ml_meth.PyCFunction)),
            WITH_CLASS => Some(Sizer::WithClass(definition.ml_meth.PyCMethod, class)),
            _ => None,
        }
    }
}

/// `object.__sizeof__` (`object___sizeof___impl` in CPython's typeobject.c).
fn structure_size(object: Object<'_>) -> u64 {
    let ty = object.ty().raw();
    let items = if ty.tp_itemsize > 0 {
        (object.ob_size().unsigned_abs() as u64).saturating_mul(ty.tp_itemsize as u64)
    } else {
        0
    };
    items.saturating_add(ty.tp_basicsize as u64)
}

/// What lies before the object: the collector's header, and from 3.11 the words for dict and weak references.
#[cfg(not(Py_3_11))]
fn header_size(object: Object<'_>) -> u64 {
    if object.is_gc() { GC_HEAD } else { 0 }
}

/// As above: `_PyType_PreHeaderSize`, which goes by the object's type alone. So it counts a header for the static types
/// that are instances of `type` itself, which have none; releases differ in whether `sys.getsizeof` leaves them out.
#[cfg(Py_3_11)]
fn header_size(object: Object<'_>) -> u64 {
    /// `Py_TPFLAGS_PREHEADER`, in 3.11 `Py_TPFLAGS_MANAGED_DICT` alone.
    const PREHEADER: std::ffi::c_ulong =
        super::typeobject::TPFLAGS_MANAGED_DICT | if cfg!(Py_3_12) { 1 << 3 } else { 0 };
    let ty = object.ty();
    let is_static_type = ty.is(&raw mut ffi::PyType_Type) && !object.as_type().is_some_and(TypeObject::is_heap_type);
    if is_static_type && STATIC_TYPES_LACK_HEADER.load(Relaxed) {
        return 0;
    }
    let gc = if ty.has_flag(ffi::Py_TPFLAGS_HAVE_GC) { GC_HEAD } else { 0 };
    let managed = if ty.has_flag(PREHEADER) { 2 * size_of::<usize>() as u64 } else { 0 };
    gc + managed
}

/// Whether this interpreter's `sys.getsizeof` leaves the header of static types out: see [`calibrate`].
#[cfg(Py_3_11)]
static STATIC_TYPES_LACK_HEADER: AtomicBool = AtomicBool::new(true);

/// Asks this interpreter what its release does where releases differ.
///
/// # Errors
/// `sys.getsizeof` raises.
pub fn calibrate(_py: Python<'_>) -> PyResult<()> {
    #[cfg(Py_3_11)]
    {
        let ty = _py.get_type::<pyo3::types::PyInt>();
        let with: u64 = _py.import("sys")?.call_method1("getsizeof", (&ty,))?.extract()?;
        let without: u64 = _py.get_type::<PyType>().call_method1("__sizeof__", (&ty,))?.extract()?;
        STATIC_TYPES_LACK_HEADER.store(with == without, Relaxed);
    }
    Ok(())
}
