//! Ctrl-C, SIGTERM and SIGHUP: a flag that every loop looks at, so that nothing is left half-made.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};

use crate::exit::{Exit, Failure};

/// Whether the program was asked to stop.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Catches the signals from now on.
    ///
    /// SIGXFSZ is caught too, and ignored: its default action kills, where a write that meets the file size limit
    /// should fail like one that meets a full disk.
    pub fn install() -> io::Result<Stop> {
        let stop = Stop::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&stop.0))?;
        }
        signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
        Ok(stop)
    }

    /// Ignores SIGXFSZ, as [`Stop::install`] does, and leaves all other signals to somebody else.
    pub fn without_signals() -> io::Result<Stop> {
        signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
        Ok(Stop::default())
    }

    /// Asks the program to stop.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the program was asked to stop.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// An error if the program was asked to stop. `what_remains` says what became of the work.
    pub fn check(&self, what_remains: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.requested() {
            return Err(Failure::new(Exit::Interrupted, format!("interrupted: {}", what_remains())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_flag_becomes_an_error() {
        let stop = Stop::default();
        assert_eq!(stop.check(|| "nothing was done".into()), Ok(()));
        stop.0.store(true, Ordering::Relaxed);
        let failure = stop.check(|| "nothing was done".into()).unwrap_err();
        assert_eq!((failure.exit, failure.message.as_str()), (Exit::Interrupted, "interrupted: nothing was done"));
    }
}
