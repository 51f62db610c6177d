//! `object.h`: an object, its type, what its `tp_traverse` visits. What types say of themselves is in `typeobject.rs`.

use std::ffi::{c_int, c_ulong, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;

use pyo3::ffi;

/// Proof that the heap holds still: nobody else changes any object while it lives.
pub struct StillHeap {
    /// A raw pointer keeps the proof on its thread.
    _thread_bound: PhantomData<*mut ()>,
}

impl StillHeap {
    /// Takes the caller's word.
    ///
    /// # Safety
    /// While the value lives, either this thread holds the GIL and runs no code that changes objects, or this process
    /// is a forked copy with one thread.
    pub unsafe fn assume() -> StillHeap {
        StillHeap { _thread_bound: PhantomData }
    }
}

/// An object of a heap that holds still for `'h`.
///
/// Whoever makes one ([`Object::from_ptr`]) vouches that the pointer is that of a live object; what is read from a live
/// object (its type, its referents) is live as well.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(transparent)]
pub struct Object<'h> {
    ptr: NonNull<ffi::PyObject>,
    heap: PhantomData<&'h StillHeap>,
}

impl<'h> Object<'h> {
    /// Takes a pointer; `None` if it is null.
    ///
    /// # Safety
    /// A non-null `ptr` is a live object of the heap that `_heap` holds still.
    pub unsafe fn from_ptr(_heap: &'h StillHeap, ptr: *mut ffi::PyObject) -> Option<Object<'h>> {
        NonNull::new(ptr).map(|ptr| Object { ptr, heap: PhantomData })
    }

    /// Takes a pointer that was read from this object; `None` if it is null.
    ///
    /// # Safety
    /// A non-null `ptr` is an object that `self` keeps alive.
    pub unsafe fn field(self, ptr: *mut ffi::PyObject) -> Option<Object<'h>> {
        NonNull::new(ptr).map(|ptr| Object { ptr, heap: PhantomData })
    }

    /// The pointer itself.
    pub fn as_ptr(self) -> *mut ffi::PyObject {
        self.ptr.as_ptr()
    }

    /// The address: the object's `id()`.
    pub fn address(self) -> u64 {
        self.ptr.as_ptr().addr() as u64
    }

    /// The object's type.
    pub fn ty(self) -> TypeObject<'h> {
        // SAFETY: a live object has a live type.
        unsafe { TypeObject::from_ptr_unchecked(self, ffi::Py_TYPE(self.as_ptr())) }
    }

    /// `ob_size`: the number of items of an object of variable size.
    pub(super) fn ob_size(self) -> isize {
        // SAFETY: callers ask only objects whose type has items; their structures begin with PyVarObject.
        unsafe { (*self.as_ptr().cast::<ffi::PyVarObject>()).ob_size }
    }

    /// Whether the collector may track the object (`PyObject_IS_GC`): it then has a header before it.
    pub fn is_gc(self) -> bool {
        let ty = self.ty();
        if !ty.has_flag(ffi::Py_TPFLAGS_HAVE_GC) {
            return false;
        }
        match ty.raw().tp_is_gc {
            None => true,
            // A static type says no; CPython has no other tp_is_gc.
            // SAFETY: the type's own function on its own instance.
            Some(is_gc) => unsafe { is_gc(self.as_ptr()) != 0 },
        }
    }

    /// Adds what the object's `tp_traverse` visits to `found`, in its order, repeats kept.
    ///
    /// As `gc.get_referents`, it asks only objects that the collector could track: a static type's traverse ends the
    /// process (`type_traverse` in CPython's typeobject.c).
    pub fn traverse(self, found: &mut Vec<Object<'h>>) {
        if !self.is_gc() || self.is_static_type() {
            return;
        }
        if let Some(traverse) = self.ty().raw().tp_traverse {
            self.traverse_with(traverse, found);
        }
    }

    /// As [`Object::traverse`], with the traverse function of one of the type's bases.
    pub(super) fn traverse_with(self, traverse: ffi::traverseproc, found: &mut Vec<Object<'h>>) {
        // SAFETY: `collect` is given the Vec it expects and keeps it no longer than the call.
        unsafe { traverse(self.as_ptr(), collect, std::ptr::from_mut(found).cast()) };
    }

    fn is_static_type(self) -> bool {
        self.as_type().is_some_and(|ty| !ty.has_flag(ffi::Py_TPFLAGS_HEAPTYPE))
    }

    /// The object as a type, if it is one.
    pub fn as_type(self) -> Option<TypeObject<'h>> {
        // SAFETY: the flag says that the structure is that of a type.
        self.ty()
            .has_flag(ffi::Py_TPFLAGS_TYPE_SUBCLASS)
            .then(|| unsafe { TypeObject::from_ptr_unchecked(self, self.as_ptr().cast()) })
    }

    /// `len()` of a list, tuple or bytes object (also of a subclass).
    pub fn item_count(self) -> u64 {
        u64::try_from(self.ob_size()).unwrap_or(0)
    }

    /// The items of a list itself; nothing for any other object.
    pub fn items(self) -> impl Iterator<Item = Object<'h>> {
        // SAFETY: the check comes before the reads; a list keeps its items alive.
        let len =
            unsafe { if ffi::PyList_CheckExact(self.as_ptr()) == 0 { 0 } else { ffi::PyList_GET_SIZE(self.as_ptr()) } };
        // SAFETY: as above, within the list.
        (0..len).filter_map(move |i| unsafe { self.field(ffi::PyList_GET_ITEM(self.as_ptr(), i)) })
    }

    /// The items of a tuple itself; nothing for any other object.
    pub(super) fn tuple_items(self) -> impl Iterator<Item = Object<'h>> + use<'h> {
        // SAFETY: the check comes before the reads; a tuple keeps its items alive.
        let len = unsafe {
            if ffi::PyTuple_CheckExact(self.as_ptr()) == 0 { 0 } else { ffi::PyTuple_GET_SIZE(self.as_ptr()) }
        };
        // SAFETY: as above, within the tuple.
        (0..len).filter_map(move |i| unsafe { self.field(ffi::PyTuple_GET_ITEM(self.as_ptr(), i)) })
    }

    /// `len()` of a set or frozenset.
    pub fn set_len(self) -> u64 {
        // SAFETY: callers ask only sets; PySetObject is a public structure.
        u64::try_from(unsafe { (*self.as_ptr().cast::<ffi::PySetObject>()).used }).unwrap_or(0)
    }

    /// The content of a bytes object.
    pub fn bytes(self) -> &'h [u8] {
        let len = usize::try_from(self.ob_size()).unwrap_or(0);
        // SAFETY: callers ask only bytes objects; their content is as long as ob_size says and holds still for 'h.
        unsafe { std::slice::from_raw_parts(ffi::PyBytes_AsString(self.as_ptr()).cast::<u8>(), len) }
    }
}

/// A type object of a heap that holds still.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(transparent)]
pub struct TypeObject<'h>(Object<'h>);

impl<'h> TypeObject<'h> {
    /// # Safety
    /// `ty` is not null and kept alive by `owner`, and its structure is that of a type.
    pub(super) unsafe fn from_ptr_unchecked(owner: Object<'h>, ty: *mut ffi::PyTypeObject) -> TypeObject<'h> {
        // SAFETY: the caller's promise; a null (which it has excluded) would give the owner itself.
        TypeObject(unsafe { owner.field(ty.cast()) }.unwrap_or(owner))
    }

    /// The type as an object.
    pub fn object(self) -> Object<'h> {
        self.0
    }

    /// The type's structure.
    pub(super) fn raw(self) -> &'h ffi::PyTypeObject {
        // SAFETY: made only for types, which hold still for 'h.
        unsafe { &*self.0.as_ptr().cast::<ffi::PyTypeObject>() }
    }

    /// Whether it is this very type.
    pub(super) fn is(self, ty: *mut ffi::PyTypeObject) -> bool {
        self.0.as_ptr() == ty.cast()
    }

    /// Whether `tp_flags` has `flag`.
    pub fn has_flag(self, flag: c_ulong) -> bool {
        self.flags() & flag != 0
    }

    fn flags(self) -> c_ulong {
        #[cfg(not(Py_GIL_DISABLED))]
        return self.raw().tp_flags;
        #[cfg(Py_GIL_DISABLED)]
        return self.raw().tp_flags.load(std::sync::atomic::Ordering::Relaxed);
    }

    /// Whether the type was made at run time: its instances then hold a reference to it.
    pub fn is_heap_type(self) -> bool {
        self.has_flag(ffi::Py_TPFLAGS_HEAPTYPE)
    }
}

/// The visitproc of [`Object::traverse`].
///
/// An object without references is dead, and no referent: 3.12's `_asyncio` visits those on its free list too. To refer to
/// one would revive it, and free it a second time later.
extern "C" fn collect(object: *mut ffi::PyObject, found: *mut c_void) -> c_int {
    // SAFETY: `traverse_with` passes its Vec; what a traverse visits can be read, and its object keeps alive what lives.
    unsafe {
        if let Some(ptr) = NonNull::new(object)
            && ffi::Py_REFCNT(object) != 0
        {
            (*found.cast::<Vec<Object<'_>>>()).push(Object { ptr, heap: PhantomData });
        }
    }
    0
}
