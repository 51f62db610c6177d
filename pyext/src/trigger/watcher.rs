//! The watcher thread: waits for the handler, takes the dump.
//!
//! A thread, because nothing else is prompt in every server: Python-level handlers run at an idle uWSGI worker's next
//! request only, and inside the event loop of gevent and uvloop. It has every signal blocked, so that none of the
//! application's is ever delivered to it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::{handler, semaphore};
use crate::snapshot::signals;
use crate::snapshot::{self, Request, Target};
use crate::state;

/// As `/proc/PID/task/*/comm` shows it.
const NAME: &str = "heapsee";
/// The dump child runs on a copy of this stack.
const STACK: usize = 1 << 20;

/// Starts the thread. No other watcher is alive.
///
/// # Errors
/// No thread to be had.
pub fn spawn() -> io::Result<()> {
    handler::forget_request();
    // The new thread inherits the mask: there is no moment in which it could take a signal.
    let _blocked = signals::block_all();
    thread::Builder::new().name(NAME.to_owned()).stack_size(STACK).spawn(run).map(drop)
}

fn run() {
    loop {
        semaphore::wait();
        if state::lock().watcher_stops {
            break;
        }
        // A panic here would be our bug; the worker must live on, and the next signal be answered.
        if catch_unwind(AssertUnwindSafe(answer)).is_err() {
            handler::request_taken();
        }
    }
    let mut state = state::lock();
    state.watchers = 0;
    drop(state);
    state::notify();
}

fn answer() {
    let Some(sender) = handler::request() else { return };
    let config = {
        let state = state::lock();
        state.config.clone().filter(|_| !state.shutting_down)
    };
    let Some(config) = config else {
        handler::request_taken();
        return;
    };
    // How it ended is in the control page, where the sender looks.
    let _ = snapshot::take(Request {
        reason: "signal",
        signal: Some(config.signal),
        sender: Some(sender),
        at_ns: sender.at_ns,
        target: Target::Directory(config.directory),
        mode: config.mode,
        gil_timeout: config.gil_timeout,
        values: config.values,
        min_free: config.min_free,
    });
}
