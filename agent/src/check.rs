//! Asking a worker whether the dump signal would still reach heapsee in it.
//!
//! The kernel tells that a signal has a handler, not whose. Only the worker itself can look, so its watcher thread is
//! woken, through the control block, and looks. The block is another user's memory: it is mapped only when sealed, so
//! that nobody can cut it off under us, and what is in it is only ever read as numbers.

use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::thread;
use std::time::{Duration, Instant};

use heapsee_format::control::{ControlPage, PAGE_SIZE};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use rustix::fs::{SealFlags, fcntl_get_seals};
use rustix::thread::futex;

/// A watcher that has nothing to do answers at once; a busy machine takes longer.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_micros(200);

/// What came of the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// `armed` in the block is right now what the worker has found.
    Answered,
    /// The worker takes a dump just now, so it is armed; or its block cannot be asked through (an older heapsee's).
    NotNeeded,
    /// It does not answer.
    Silent,
}

/// Has the worker look, and waits for that.
///
/// # Errors
/// The block cannot be mapped.
pub fn ask(block: &File) -> io::Result<Check> {
    if !fcntl_get_seals(block).is_ok_and(|seals| seals.contains(SealFlags::SHRINK)) {
        return Ok(Check::NotNeeded);
    }
    let Some(page) = Mapped::new(block)? else { return Ok(Check::NotNeeded) };
    Ok(page.ask())
}

/// The control page, mapped here for a moment.
struct Mapped(std::ptr::NonNull<ControlPage>);

impl Mapped {
    /// `None` if the block may not be written to.
    fn new(block: &File) -> io::Result<Option<Mapped>> {
        // It was opened for reading. The link leads to the very same file, whatever its name.
        let link = format!("/proc/self/fd/{}", block.as_raw_fd());
        let Ok(writable) = OpenOptions::new().read(true).write(true).open(link) else { return Ok(None) };
        if writable.metadata()?.len() < PAGE_SIZE as u64 {
            return Ok(None);
        }
        let Some(length) = NonZeroUsize::new(PAGE_SIZE) else { return Ok(None) };
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        #[expect(unsafe_code, reason = "a mapping has no safe constructor")]
        // SAFETY: a new mapping at an address of the kernel's choice, of a file that is at least as long and, being
        // sealed (`ask` has looked), will not be cut off.
        let mapping = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, &writable, 0) }?;
        Ok(Some(Mapped(mapping.cast())))
    }

    fn page(&self) -> &ControlPage {
        #[expect(unsafe_code, reason = "the mapping is only known as an address")]
        // SAFETY: `new` has mapped PAGE_SIZE ≥ size_of::<ControlPage>() bytes, which stay mapped until the drop. The
        // page is made of atomics alone, for which every bit pattern is a value, whoever writes meanwhile.
        unsafe {
            self.0.as_ref()
        }
    }

    fn ask(&self) -> Check {
        let page = self.page();
        let number = page.checks_asked.fetch_add(1, AcqRel).wrapping_add(1);
        page.wake.fetch_add(1, AcqRel);
        let end = Instant::now() + PATIENCE;
        loop {
            if page.checks_answered.load(Acquire) >= number {
                return Check::Answered;
            }
            if page.started.load(Acquire) != page.finished.load(Acquire) {
                return Check::NotNeeded;
            }
            if Instant::now() > end {
                return Check::Silent;
            }
            // Again and again: a wake-up that finds nobody waiting is lost.
            let _ = futex::wake(&page.wake, futex::Flags::empty(), 1);
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "a mapping has no safe destructor")]
        // SAFETY: exactly what `new` has mapped, and `page` lends it no longer than `self`.
        let _ = unsafe { munmap(self.0.cast(), PAGE_SIZE) };
    }
}
