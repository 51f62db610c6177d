//! Asking for the GIL, with a deadline.
//!
//! `PyGILState_Ensure` waits for as long as it takes: for ever, when a thread is stuck in C code that never gives the
//! GIL up, or when a server runs without threads (uWSGI's default). So the watcher does not ask itself: a short-lived
//! thread does, carries out what it finds to be done once it has the GIL, and ends. When it comes too late it finds
//! nothing and ends as well; until then it is the one who asks for the next dump too, so there is never more than one.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;

use super::{Failure, signals};
use crate::address_space;
use crate::problem::Problem;
use crate::state::{self, Dumps, Order};

/// As `/proc/PID/task/*/comm` shows it.
const NAME: &str = "heapsee-gil";
/// The dump child runs on a copy of this stack.
const STACK: usize = 1 << 20;

/// The interpreter is going, or has gone.
pub(super) fn going() -> Failure {
    Failure::Refused(Problem("the interpreter is shutting down: there is no heap to dump".to_owned()))
}

/// Runs `work` with the GIL, on a thread of Python's own, which gets it sooner or later.
///
/// # Errors
/// The interpreter has gone.
pub(super) fn on_this_thread<T>(work: impl FnOnce(Python<'_>) -> T) -> Result<T, Failure> {
    Python::try_attach(work).ok_or_else(going)
}

/// Runs `work` with the GIL, on the asking thread. `None`: it was not to be had within `timeout`, and `work` will not be
/// run any more.
///
/// # Errors
/// The interpreter is going.
pub(super) fn on_asking_thread<T: Send + 'static>(
    timeout: Option<Duration>,
    work: impl FnOnce(Python<'_>) -> T + Send + 'static,
) -> Result<Option<T>, Failure> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let order: Order = Box::new(move |py| {
        // Nobody listens any more only if the watcher has panicked.
        let _ = sender.send(work(py));
    });
    place(order)?;
    let received = match timeout {
        Some(timeout) => receiver.recv_timeout(timeout),
        None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
    };
    match received {
        Ok(result) => Ok(Some(result)),
        // Taken back, unless the asking thread has just begun: then it has the GIL, and the end is near.
        Err(RecvTimeoutError::Timeout) if state::lock().dumps.gil_order.take().is_some() => Ok(None),
        Err(RecvTimeoutError::Timeout) => receiver.recv().map(Some).map_err(|_| lost()),
        Err(RecvTimeoutError::Disconnected) => Err(lost()),
    }
}

/// The asking thread has dropped the order: it found no interpreter, or panicked.
fn lost() -> Failure {
    match state::lock().shutting_down {
        true => going(),
        false => Problem("heapsee failed with a bug of its own in the worker, which is unharmed".to_owned()).into(),
    }
}

/// Leaves the order for the asking thread, and starts that where there is none.
fn place(order: Order) -> Result<(), Failure> {
    let mut state = state::wait_until(|state| state.forks.python_ready || state.shutting_down);
    if state.shutting_down {
        return Err(going());
    }
    state.dumps.gil_order = Some(order);
    if !state.dumps.asks_for_gil {
        if let Err(error) = spawn() {
            state.dumps.gil_order = None;
            let why = crate::problem::explain(&error);
            return Err(Problem(format!("cannot start the thread that asks for the GIL: {why}")).into());
        }
        state.dumps.asks_for_gil = true;
    }
    Ok(())
}

/// Forks are held up, by the lock of the state.
fn spawn() -> io::Result<()> {
    address_space::enough_for_thread()?;
    // The new thread inherits the mask: no signal of the application's is ever delivered to it.
    let _blocked = signals::block_all();
    thread::Builder::new().name(NAME.to_owned()).stack_size(STACK).spawn(ask).map(drop)
}

fn ask() {
    loop {
        // To be without an interpreter is to have no order: whoever placed it learns that its sender is gone.
        // A panic would be our bug: the order's sender goes with it, which tells whoever waits.
        let work = || Python::try_attach(|py| next_order().into_iter().for_each(|order| order(py)));
        if !matches!(catch_unwind(AssertUnwindSafe(work)), Ok(Some(()))) {
            drop(next_order());
        }
        if done(&mut state::lock().dumps) {
            state::notify();
            return;
        }
    }
}

fn next_order() -> Option<Order> {
    state::lock().dumps.gil_order.take()
}

/// Is there nothing more to be done? Then whoever places an order from now on starts another thread.
fn done(dumps: &mut Dumps) -> bool {
    let done = dumps.gil_order.is_none();
    dumps.asks_for_gil = !done;
    done
}
