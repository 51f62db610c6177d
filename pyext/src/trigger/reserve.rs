//! Python's own idea of the dump signal: it ignores it, before our handler comes in below it.
//!
//! Python does not see handlers that were installed in C. Whoever resets what `signal.getsignal` calls default, as
//! billiard does in each process of a celery pool, would replace ours without knowing. What is ignored, they leave
//! alone. Only the main thread may tell Python; an installation from elsewhere does without.

use pyo3::prelude::*;

use crate::{signal_action, state};

/// Has Python ignore the signal, if its action is the default one.
pub fn take(py: Python<'_>, signal: i32) {
    if signal_action::is_default(signal) && set_action(py, signal, "SIG_IGN").is_ok() {
        state::lock().installed.reserved.insert(signal);
    }
}

/// For each signal that is not installed (any more): as it was before [`take`], unless it has got a handler since.
pub fn give_back(py: Python<'_>) {
    let free: Vec<i32> = {
        let installed = &state::lock().installed;
        let used = installed.config.as_ref().map(|config| config.signal);
        installed.reserved.iter().copied().filter(|&signal| Some(signal) != used).collect()
    };
    for signal in free {
        let untouched = signal_action::is_default(signal) || signal_action::is_ignored(signal);
        if !untouched || set_action(py, signal, "SIG_DFL").is_ok() {
            state::lock().installed.reserved.remove(&signal);
        }
    }
}

fn set_action(py: Python<'_>, signal: i32, action: &str) -> PyResult<()> {
    let module = py.import("_signal")?;
    module.call_method1("signal", (signal, module.getattr(action)?)).map(drop)
}
