//! Ctrl-C at a terminal stops the command that runs, not the shell.
//!
//! A thread waits for SIGINT; it raises a flag that searches look at and interrupts SQLite. A command that does not
//! heed the first Ctrl-C (a dump being read) is ended with the shell by the second. Without a terminal SIGINT keeps its
//! usual meaning: what is stored is consistent at any moment.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::InterruptHandle;
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

/// What the thread and the shell share.
#[derive(Clone, Default)]
pub struct Interrupt {
    raised: Arc<AtomicBool>,
    at_pager: Arc<AtomicBool>,
    query: Arc<Mutex<Option<InterruptHandle>>>,
}

impl Interrupt {
    /// Begins to heed SIGINT.
    pub fn listen(&self) -> io::Result<()> {
        let mut signals = Signals::new([SIGINT])?;
        let shared = self.clone();
        std::thread::Builder::new().name("ctrl-c".to_owned()).spawn(move || {
            for _ in signals.forever() {
                shared.raise();
            }
        })?;
        Ok(())
    }

    fn raise(&self) {
        if self.raised.swap(true, Ordering::Relaxed) && !self.at_pager.load(Ordering::Relaxed) {
            // As a shell reports a death by SIGINT.
            std::process::exit(128 + SIGINT);
        }
        if let Some(handle) = &*self.query.lock().unwrap_or_else(PoisonError::into_inner) {
            handle.interrupt();
        }
    }

    /// Queries of this connection are interrupted from now on.
    pub fn watch(&self, handle: InterruptHandle) {
        *self.query.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
    }

    /// Until what this returns is dropped, a person may be in a pager (if `at_pager`), where Ctrl-C has a meaning of its
    /// own: however often it comes, the shell stays.
    pub fn at_pager(&self, at_pager: bool) -> AtPager {
        self.at_pager.store(at_pager, Ordering::Relaxed);
        AtPager { at_pager: Arc::clone(&self.at_pager) }
    }

    /// A new command begins.
    pub fn clear(&self) {
        self.raised.store(false, Ordering::Relaxed);
    }

    /// Whether the command that runs is to stop.
    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Relaxed)
    }
}

/// A command that may show a pager.
pub struct AtPager {
    at_pager: Arc<AtomicBool>,
}

impl Drop for AtPager {
    fn drop(&mut self) {
        self.at_pager.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raised_interrupt_stops_a_query_and_is_cleared() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        let interrupt = Interrupt::default();
        interrupt.watch(connection.get_interrupt_handle());
        let endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // The query may not have begun at the first call: interrupting is repeated until it has ended.
                while !interrupt.is_raised() {
                    if let Some(handle) = &*interrupt.query.lock().unwrap() {
                        handle.interrupt();
                    }
                    std::thread::yield_now();
                }
            });
            let result = connection.query_row(endless, [], |row| row.get::<_, i64>(0));
            interrupt.raised.store(true, Ordering::Relaxed);
            assert_eq!(result.unwrap_err().sqlite_error_code(), Some(rusqlite::ErrorCode::OperationInterrupted));
        });
        assert!(interrupt.is_raised());
        interrupt.clear();
        assert!(!interrupt.is_raised());
    }
}
