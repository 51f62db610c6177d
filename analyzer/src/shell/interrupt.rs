//! Ctrl-C at a terminal stops the command that runs, not the shell.
//!
//! A thread waits for SIGINT; it raises a flag that searches look at, and one that SQLite's queries heed. A command that does not
//! heed the first Ctrl-C (a dump being read) is ended with the shell by the second. Without a terminal SIGINT keeps its
//! usual meaning: what is stored is consistent at any moment.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

/// What the thread and the shell share.
#[derive(Clone, Default)]
pub struct Interrupt {
    raised: Arc<AtomicBool>,
    at_pager: Arc<AtomicBool>,
    query: Arc<AtomicBool>,
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
        self.query.store(true, Ordering::Relaxed);
    }

    /// What queries have to heed: see [`crate::sql::Session::heed`].
    pub fn of_queries(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.query)
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
        self.query.store(false, Ordering::Relaxed);
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
    use crate::sql::{Session, SessionError};

    const ENDLESS: &str = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";

    fn is_interrupted(session: &Session) -> bool {
        matches!(session.column(ENDLESS), Err(SessionError::Interrupted))
    }

    #[test]
    fn ctrl_c_stops_the_query_that_runs_or_is_about_to() {
        let mut session = Session::temporary(|_: &std::path::Path, _| unreachable!("no dump is read")).unwrap();
        let interrupt = Interrupt::default();
        session.heed(interrupt.of_queries()).unwrap();
        interrupt.raise();
        assert!(interrupt.is_raised());
        assert!(is_interrupted(&session), "it came before the query had begun");
        interrupt.clear();
        assert!(!interrupt.is_raised());
        std::thread::scope(|scope| {
            scope.spawn(|| interrupt.raise());
            assert!(is_interrupted(&session));
        });
        // What was lowered is lowered: the next query is another one.
        assert_eq!(session.column("select 1").unwrap(), [1]);
    }
}
