//! Looking at what may be no type at all: memory read through the kernel, where nonsense is an error and no crash.
//!
//! For types that nobody vouches for: those an object of a torn heap names, and those a dump child has crashed on. Where
//! the kernel does not allow it (a seccomp filter), nothing can be said, and [`Seen::Unknown`] is the answer.

use std::mem::offset_of;

use pyo3::ffi;

/// A type's name is read up to this many bytes.
const NAME_LIMIT: usize = 200;

/// What stands at an address that is said to be a type's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A type: its `tp_name`, and whether it is CPython's own or was made by an extension or by Python code.
    Type { name: String, is_builtin: bool },
    /// Something else, or no memory.
    Nonsense,
    /// The kernel does not let us look.
    Unknown,
}

/// Looks at `address`.
pub fn type_at(address: u64) -> Seen {
    if !address.is_multiple_of(align_of::<usize>() as u64) {
        return Seen::Nonsense;
    }
    match look(address) {
        Ok(seen) => seen,
        Err(Refused) => Seen::Unknown,
    }
}

/// The kernel does not let us look at anything.
#[derive(Debug)]
pub struct Refused;

/// The word at `address`; `None` if there is no memory.
///
/// # Errors
/// The kernel does not let us look.
pub fn word_at(address: u64) -> Result<Option<u64>, Refused> {
    let mut bytes = [0; 8];
    let n = read(address, &mut bytes)?;
    Ok((n == bytes.len()).then(|| u64::from_ne_bytes(bytes)))
}

/// Whether the eight bytes at `address` can be read, for those whom the kernel does not let look. It takes a signal mask
/// from there before it refuses what it is told to do with the mask.
pub fn is_readable(address: usize) -> bool {
    const NOTHING_KNOWN: libc::c_int = -1;
    const NO_OLD_MASK: *mut libc::c_void = std::ptr::null_mut();
    // SAFETY: the kernel checks the address, and changes nothing when told to do nothing it knows.
    let result =
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, NOTHING_KNOWN, address, NO_OLD_MASK, size_of::<u64>()) };
    result == -1 && nix::errno::Errno::last() == nix::errno::Errno::EINVAL
}

/// Whether what is at `address` may be a type: its own type is one of types. Yes where the kernel does not let us look.
pub fn may_be_type(address: u64) -> bool {
    address.is_multiple_of(align_of::<usize>() as u64) && has_metatype(address).unwrap_or(true)
}

fn has_metatype(address: u64) -> Result<bool, Refused> {
    let Some(metatype) = word_at(address.wrapping_add(offset_of!(ffi::PyObject, ob_type) as u64))? else {
        return Ok(false);
    };
    // A static type that nobody has made ready has no metatype yet.
    if metatype == 0 {
        return Ok(true);
    }
    let flags = word_at(metatype.wrapping_add(offset_of!(ffi::PyTypeObject, tp_flags) as u64))?;
    Ok(flags.is_some_and(|flags| flags & ffi::Py_TPFLAGS_TYPE_SUBCLASS != 0))
}

fn look(address: u64) -> Result<Seen, Refused> {
    let field = |of: u64, offset: usize| word_at(of.wrapping_add(offset as u64));
    let (Some(name), Some(flags)) = (
        field(address, offset_of!(ffi::PyTypeObject, tp_name))?,
        field(address, offset_of!(ffi::PyTypeObject, tp_flags))?,
    ) else {
        return Ok(Seen::Nonsense);
    };
    if !has_metatype(address)? {
        return Ok(Seen::Nonsense);
    }
    Ok(match text(name)? {
        Some(name) if !name.is_empty() => {
            let is_builtin = flags & ffi::Py_TPFLAGS_HEAPTYPE == 0 && !name.contains('.');
            Seen::Type { name, is_builtin }
        }
        _ => Seen::Nonsense,
    })
}

/// A C string; its length is not known, so it is read up to where readable memory ends, if it does not end before.
fn text(address: u64) -> Result<Option<String>, Refused> {
    let mut bytes = [0; NAME_LIMIT];
    let mut filled = 0;
    while filled < NAME_LIMIT {
        // Not across a page's border in one step: the kernel reads all of a step or nothing.
        let at = address.wrapping_add(filled as u64);
        let step = (4096 - (at % 4096) as usize).min(NAME_LIMIT - filled);
        let n = read(at, &mut bytes[filled..filled + step])?;
        if n == 0 {
            return Ok(None);
        }
        let new = &bytes[filled..filled + n];
        if let Some(end) = new.iter().position(|&byte| byte == 0) {
            return Ok(std::str::from_utf8(&bytes[..filled + end]).ok().map(str::to_owned));
        }
        filled += n;
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Reads this process's own memory; how much of it there was.
fn read(address: u64, into: &mut [u8]) -> Result<usize, Refused> {
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: into.len() };
    // SAFETY: `local` is writable; the kernel checks `remote` and touches nothing that is not there. The pid by
    // system call: a C library that remembers it would give a forked copy its parent's.
    let n = unsafe {
        let pid = libc::syscall(libc::SYS_getpid) as libc::pid_t;
        libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0)
    };
    match usize::try_from(n) {
        Ok(n) => Ok(n),
        Err(_) if nix::errno::Errno::last() == nix::errno::Errno::EFAULT => Ok(0),
        Err(_) => Err(Refused),
    }
}
