//! From a signal to a request for a dump: the handler, the watcher thread, and who arms them when.
//!
//! The handler runs inside whatever the application was doing and does next to nothing; the watcher thread does the
//! rest. What a dump *is* is [`crate::snapshot`]'s business.

pub mod handler;
pub mod nudge;
pub mod reserve;
mod wake;
mod watcher;

use std::sync::atomic::Ordering::Relaxed;

use crate::config::Config;
use crate::problem::Problem;
use crate::state::{self, State, Turn};
use crate::{control, fork, signal_action};

/// Installs what `config` asks for, in place of what was installed before. The GIL must not be held.
///
/// # Errors
/// A signal that cannot be had; no memory, threads or descriptors to be had. What was installed before is then as it
/// was, unless it was for the same signal.
pub fn install(config: Config) -> Result<(), Problem> {
    let _turn = Turn::Install.take();
    if unchanged(&config) {
        return Ok(());
    }
    signal_action::check(config.signal)?;
    fork::watch_forks(rearm_in_child);
    let mut state = state::lock();
    let page = control::ensure(&state.dumps.interpreter.version, state.installed.config.as_ref()).map_err(|error| {
        Problem(format!("cannot make the control block (a memfd): {}", crate::problem::explain(&error)))
    })?;
    put_in(&mut state, &config)?;
    control::show_config(page, Some(&config));
    state.installed.config = Some(config);
    state.forks.rearm_error = None;
    page.armed.store(1, Relaxed);
    Ok(())
}

/// Has the handler for `config` in place, and all that it needs before it.
fn put_in(state: &mut State, config: &Config) -> Result<(), Problem> {
    if state.installed.config.as_ref().is_some_and(|old| old.signal == config.signal) {
        if state.installed.handler.as_ref().is_some_and(|handler| signal_action::serves(handler, config.chain)) {
            return start_watcher(state);
        }
        disarm(state);
    }
    let installed = &state.installed;
    let plan = signal_action::plan(&installed.hooks, &installed.reserved, config.signal, config.chain)?;
    if installed.watchers == 0 {
        handler::forget_request();
    }
    start_watcher(state)?;
    handler::arm();
    // SAFETY: `on_signal` is async-signal-safe, as it says.
    let placed = unsafe { signal_action::install(&mut state.installed.hooks, plan, handler::on_signal) };
    let placed = placed.inspect_err(|_| {
        if state.installed.config.is_none() {
            handler::disarm();
        }
    })?;
    if let Some(old) = state.installed.handler.replace(placed) {
        signal_action::uninstall(old);
    }
    Ok(())
}

/// Takes everything back. Returns once the watcher has ended: after a dump that is under way. The GIL must not be held.
pub fn uninstall() {
    let _turn = Turn::Install.take();
    disarm(&mut state::lock());
    stop_watcher();
}

/// The interpreter is going. Returns when nobody of ours asks for the GIL any more; a child that is still
/// writing goes on by itself. The GIL must not be held.
pub fn shut_down() {
    let mut state = state::lock();
    state.shutting_down = true;
    show_disarmed();
    drop(state);
    drop(state::wait_until(|state| !state.dumps.asks_for_gil));
}

/// In a forked child of the application: its own page, its own watcher. Called with everything locked, while the
/// child has one thread.
pub fn rearm_in_child(state: &mut State) {
    (state.dumps.under_way, state.installed.changing) = (false, false);
    (state.installed.watchers, state.installed.watcher_stops, state.dumps.asks_for_gil) = (0, false, false);
    // The parent's: to drop it here would remove the parent's temporary file.
    std::mem::forget(state.dumps.gil_order.take());
    let renewed = control::renew(&state.dumps.interpreter.version, state.installed.config.as_ref());
    if state.installed.config.is_none() || state.shutting_down {
        return;
    }
    state.forks.rearm_error = match (start_watcher(state), renewed) {
        (Err(problem), _) => Some(problem.0),
        (Ok(()), Err(error)) => Some(format!("cannot make the control block: {}", crate::problem::explain(&error))),
        (Ok(()), Ok(())) => None,
    };
    if state.installed.watchers > 0
        && let Some(page) = control::page()
    {
        handler::arm_in_child(page);
        page.armed.store(1, Relaxed);
    }
}

/// Is there nothing to do for `config`?
fn unchanged(config: &Config) -> bool {
    let installed = &state::lock().installed;
    let ours = installed.handler.as_ref().is_some_and(signal_action::is_current);
    installed.config.as_ref() == Some(config) && ours && installed.watchers > 0 && !installed.watcher_stops
}

/// Gives the signal back; the watcher stays.
fn disarm(state: &mut State) {
    show_disarmed();
    if let Some(page) = control::page() {
        page.signal.store(0, Relaxed);
    }
    state.installed.config = None;
    if let Some(handler) = state.installed.handler.take() {
        signal_action::uninstall(handler);
    }
}

/// No signal is answered any more.
fn show_disarmed() {
    if let Some(page) = control::page() {
        page.armed.store(0, Relaxed);
    }
    handler::disarm();
}

fn start_watcher(state: &mut State) -> Result<(), Problem> {
    if state.installed.watchers > 0 {
        return Ok(());
    }
    watcher::spawn()
        .map_err(|error| Problem(format!("cannot start the watcher thread: {}", crate::problem::explain(&error))))?;
    state.installed.watchers = 1;
    Ok(())
}

fn stop_watcher() {
    state::lock().installed.watcher_stops = true;
    if let Some(page) = control::page() {
        wake::post(page);
    }
    let mut state = state::wait_until(|state| state.installed.watchers == 0);
    state.installed.watcher_stops = false;
}
