//! Which of the layouts mirrored in this folder fit this interpreter. The layouts themselves are in their own files.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A layout that was checked when the walker was made; what depends on one that does not fit does without.
pub struct Fits(AtomicBool);

/// Of frames that run, and of code objects: see [`super::frame`].
pub static FRAMES: Fits = Fits(AtomicBool::new(true));
/// Of instances that keep their attributes without a dict: see [`super::inline_values`].
pub static INSTANCES: Fits = Fits(AtomicBool::new(true));
/// Nothing is believed to fit, as on a CPython that nobody has seen yet: for tests of what is then done.
pub static FORGOTTEN: AtomicBool = AtomicBool::new(false);

impl Fits {
    /// Whether the layout may be relied on.
    pub fn holds(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// Says whether it may, once that is known.
    pub fn set(&self, fits: bool) {
        self.0.store(fits && !FORGOTTEN.load(Relaxed), Relaxed);
    }
}
