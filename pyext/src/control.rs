//! The control page's mapping: one per process, at one address for the process's whole life.
//!
//! What the page says is [`heapsee_format::control`]'s. A forked child of the application gets a page of its own at
//! the same address ([`renew`]), so a reference to the page never dangles and never reaches another process's page.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, Ordering::*};

use heapsee_format::control::{ControlPage, MAGIC, MEMFD_NAME, PAGE_SIZE, VERSION};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{Mode, fchmod, fstat};

use crate::config::Config;
use crate::process_info;

static PAGE: AtomicPtr<ControlPage> = AtomicPtr::new(ptr::null_mut());
static MEMFD: AtomicI32 = AtomicI32::new(-1);
static MEMFD_INODE: AtomicU64 = AtomicU64::new(0);

/// The page, once there is one. Async-signal-safe.
pub fn page() -> Option<&'static ControlPage> {
    // SAFETY: either null or the mapping made by `create`, which is of PAGE_SIZE ≥ size_of::<ControlPage>() bytes,
    // zeroed, made of atomics alone, and never unmapped (renew replaces it in one step).
    unsafe { PAGE.load(Acquire).as_ref() }
}

/// The page; makes it at the first call, for a `python` of that version and what is installed.
///
/// # Errors
/// No memory or no file descriptor to be had.
pub fn ensure(python: &str, config: Option<&Config>) -> io::Result<&'static ControlPage> {
    if let Some(page) = page() {
        return Ok(page);
    }
    let (memfd, mapping) = create()?;
    note(memfd);
    // SAFETY: a fresh mapping as `page` wants it.
    let page = unsafe { &*mapping };
    fill(page, python, config);
    PAGE.store(mapping, Release);
    Ok(page)
}

/// In a forked child: a page of its own, at the same address. The parent's descriptor is closed.
///
/// # Errors
/// When no memfd is to be had: the child's page is then one that the outside cannot see.
pub fn renew(python: &str, config: Option<&Config>) -> io::Result<()> {
    let old = PAGE.load(Acquire);
    if old.is_null() {
        return Ok(());
    }
    close_memfd();
    let expected = page().map_or(0, |page| page.expected_objects.load(Relaxed));
    let (memfd, mapping, result) = match create() {
        Ok((memfd, mapping)) => (Some(memfd), mapping, Ok(())),
        Err(error) => (None, map(-1, libc::MAP_ANONYMOUS)?, Err(error)),
    };
    if let Some(memfd) = memfd {
        note(memfd);
    }
    // SAFETY: a fresh mapping as `page` wants it.
    let page = unsafe { &*mapping };
    fill(page, python, config);
    page.expected_objects.store(expected, Relaxed);
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    // SAFETY: moves our fresh page onto our old one, both of PAGE_SIZE, in one step; nothing else is there.
    let moved = unsafe { libc::mremap(mapping.cast(), PAGE_SIZE, PAGE_SIZE, flags, old) };
    if moved == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { result }
}

/// Writes what is installed into the page.
pub fn show_config(page: &ControlPage, config: Option<&Config>) {
    if let Some(config) = config {
        page.signal.store(config.signal as u32, Relaxed);
        page.mode.set(config.mode.name());
        page.directory.set(&config.directory.to_string_lossy());
    }
}

/// Is our memfd still where we put it? An application that closes all descriptors (a daemon does) closes it too: the
/// page goes on working, but nobody outside can find it.
pub fn visible() -> bool {
    let fd = MEMFD.load(Relaxed);
    // SAFETY: only asked about, not kept: `fstat` of a descriptor that is not ours or not open does no harm.
    let stat = (fd >= 0).then(|| fstat(unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) }));
    matches!(stat, Some(Ok(stat)) if stat.st_ino == MEMFD_INODE.load(Relaxed))
}

fn create() -> io::Result<(OwnedFd, *mut ControlPage)> {
    let memfd = memfd_create(MEMFD_NAME, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    fchmod(&memfd, Mode::S_IRUSR | Mode::S_IWUSR)?;
    nix::unistd::ftruncate(&memfd, PAGE_SIZE as i64)?;
    // Who maps the page elsewhere must not be killed by our cutting it off. An old kernel may refuse: nobody maps it then.
    let _ =
        fcntl(&memfd, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL));
    let mapping = map(memfd.as_raw_fd(), 0)?;
    Ok((memfd, mapping))
}

fn map(fd: i32, flags: i32) -> io::Result<*mut ControlPage> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a fresh mapping at an address of the kernel's choice touches nothing that exists.
    let mapping = unsafe { libc::mmap(ptr::null_mut(), PAGE_SIZE, protection, libc::MAP_SHARED | flags, fd, 0) };
    if mapping == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(mapping.cast()) }
}

/// Keeps the memfd open for the process's life.
fn note(memfd: OwnedFd) {
    MEMFD_INODE.store(fstat(&memfd).map_or(0, |stat| stat.st_ino), Relaxed);
    MEMFD.store(memfd.into_raw_fd(), Relaxed);
}

fn close_memfd() {
    if visible() {
        // SAFETY: `visible` has just said that this descriptor is the memfd we made; nobody else owns it.
        drop(unsafe { OwnedFd::from_raw_fd(MEMFD.load(Relaxed)) });
    }
    MEMFD.store(-1, Relaxed);
}

fn fill(page: &ControlPage, python: &str, config: Option<&Config>) {
    page.version.store(VERSION, Relaxed);
    page.pid.store(std::process::id(), Relaxed);
    page.start_time.store(process_info::start_time("self").unwrap_or(0), Relaxed);
    page.python.set(python);
    page.heapsee.set(env!("CARGO_PKG_VERSION"));
    show_config(page, config);
    page.magic.store(MAGIC, Release);
}
