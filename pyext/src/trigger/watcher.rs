//! The watcher thread: waits for the handler, takes the dump.
//!
//! A thread, because nothing else is prompt in every server: Python-level handlers run at an idle uWSGI worker's next
//! request only, and inside the event loop of gevent and uvloop. It has every signal blocked, so that none of the
//! application's is ever delivered to it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use heapsee_format::control::ControlPage;

use super::{handler, nudge, wake};
use crate::address_space;
use crate::control;
use crate::snapshot::{self, Attendant, Request, Target, signals};
use crate::{signal_action, state};

/// As `/proc/PID/task/*/comm` shows it.
const NAME: &str = "heapsee";
/// The dump child runs on a copy of this stack.
const STACK: usize = 1 << 20;
/// How long a thread may take to run; mostly it takes microseconds.
const START_DEADLINE: Duration = Duration::from_secs(1);

/// Starts the thread, and waits until it runs. No other watcher is alive. Forks are held up.
///
/// What a thread needs of the C library to begin with, the library gets or ends the process: that must not happen after
/// the application has set itself a limit, which it may do as soon as it is armed.
///
/// # Errors
/// No thread to be had.
pub fn spawn() -> io::Result<()> {
    address_space::enough_for_thread()?;
    let (runs, begun) = mpsc::sync_channel::<()>(1);
    {
        // The new thread inherits the mask: there is no moment in which it could take a signal.
        let _blocked = signals::block_all();
        let run = move || {
            drop(runs);
            run();
        };
        thread::Builder::new().name(NAME.to_owned()).stack_size(STACK).spawn(run)?;
    }
    // Nothing is ever sent: the other end is dropped. Whatever holds the thread up must not hold a fork up for ever.
    let _ = begun.recv_timeout(START_DEADLINE);
    Ok(())
}

fn run() {
    // Made before the watcher is, and for the process's life.
    if let Some(page) = control::page() {
        watch(page);
    }
    let mut state = state::lock();
    state.installed.watchers = 0;
    drop(state);
    state::notify();
}

fn watch(page: &ControlPage) {
    let mut looks = [].iter();
    loop {
        // Before looking for work: what comes after this look makes the wait end at once.
        let seen = wake::seen(page);
        if state::lock().installed.watcher_stops {
            return;
        }
        // A panic here would be our bug; the worker must live on, and the next signal be answered.
        match catch_unwind(AssertUnwindSafe(answer)) {
            Ok(true) => looks = nudge::LOOKS.iter(),
            Ok(false) => {}
            Err(_) => handler::request_taken(),
        }
        nudge::look();
        answer_check(page);
        wake::wait(page, seen, looks.next().copied());
    }
}

/// Somebody outside asks whether a signal would still reach us: nobody but the process itself can know.
fn answer_check(page: &ControlPage) {
    let asked = page.checks_asked.load(Acquire);
    if asked == page.checks_answered.load(Relaxed) {
        return;
    }
    let state = state::lock();
    let ours = state.installed.handler.as_ref().is_some_and(signal_action::is_current);
    page.armed.store(u32::from(ours && state.installed.config.is_some() && !state.shutting_down), Relaxed);
    page.checks_answered.store(asked, Release);
}

/// Takes the dump that was asked for, if one was.
fn answer() -> bool {
    let Some(sender) = handler::request() else { return false };
    let config = {
        let state = state::lock();
        state.installed.config.clone().filter(|_| !state.shutting_down)
    };
    let Some(config) = config else {
        handler::request_taken();
        return false;
    };
    let request = Request {
        reason: "signal",
        signal: Some(config.signal),
        sender: Some(sender),
        at_ns: sender.at_ns,
        target: Target::Directory(config.directory),
        mode: config.mode,
        gil_timeout: config.gil_timeout,
        values: config.values,
        min_free: config.min_free,
    };
    let attendant = Attendant { begun: handler::request_taken, looks: &nudge::LOOKS, look: nudge::look };
    // How it ended is in the control page, where the sender looks.
    let _ = snapshot::take(request, attendant);
    true
}
