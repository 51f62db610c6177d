//! What the kernel does with a signal, and how a handler of ours gets in and out.
//!
//! The dispatcher is signal-hook-registry's. It never takes its handler out again, and always calls what it found at its
//! first installation; this module takes the handler out, puts it back at a re-installation, and refuses where the
//! registry would call a handler that has no business there any more. What the handler does is [`crate::trigger`]'s.

use std::collections::{BTreeMap, BTreeSet};

use signal_hook_registry::SigId;

use crate::problem::{Problem, explain};

/// A handler that is in place.
pub struct Handler {
    signal: i32,
    id: SigId,
    before: libc::sigaction,
    ours: libc::sigaction,
}

/// What the registry never forgets about a signal.
#[derive(Clone, Copy)]
pub struct Hook {
    /// What was there at the first installation: the registry calls it before us.
    first: libc::sigaction,
    /// The registry's own handler.
    ours: libc::sigaction,
}

/// Can a dump be asked for with this signal?
///
/// # Errors
/// No such signal, or one that means something else.
pub fn check(signal: i32) -> Result<(), Problem> {
    let highest = libc::SIGRTMAX();
    let reason = match signal {
        libc::SIGKILL | libc::SIGSTOP => "cannot be caught",
        libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL | libc::SIGTRAP | libc::SIGSYS | libc::SIGABRT => {
            "means that the program has crashed"
        }
        libc::SIGCHLD => "means that a child has ended",
        libc::SIGPIPE => "means that a connection was closed, and cannot be told from one that was sent",
        _ if signal < 1 || signal > highest => {
            return Err(Problem(format!(
                "there is no signal {signal}: signals are 1 to {highest}, use signal.SIGPROF"
            )));
        }
        _ if signal > libc::SIGSYS && signal < libc::SIGRTMIN() => "is used by the C library itself",
        _ => return Ok(()),
    };
    Err(Problem(format!("signal {signal} {reason}: use another, such as signal.SIGPROF or signal.SIGUSR2")))
}

/// An installation that nothing speaks against.
pub struct Plan {
    signal: i32,
    before: libc::sigaction,
    hook: Option<Hook>,
}

/// May the handler be put in? SIG_DFL and SIG_IGN are no handlers: they are replaced (and restored by [`uninstall`]).
///
/// # Errors
/// There is a handler and `chain` is false; or the registry would call the wrong handler.
pub fn plan(hooks: &BTreeMap<i32, Hook>, reserved: &BTreeSet<i32>, signal: i32, chain: bool) -> Result<Plan, Problem> {
    let hook = hooks.get(&signal).copied();
    let before = match (current(signal).map_err(|error| failed(signal, &error))?, hook) {
        // Somebody saved our handler and put it back after we had left: behind it is what was there before it.
        (now, Some(hook)) if now.sa_sigaction == hook.ours.sa_sigaction => hook.first,
        // Python ignores it on our account (see trigger::reserve): it had no handler.
        (now, _) if reserved.contains(&signal) && !is_handler(&now) => default_action(),
        (now, _) => now,
    };
    if is_handler(&before) && !chain {
        return Err(Problem(format!(
            "signal {signal} already has a handler: choose another signal, or install with chain=True to have both called"
        )));
    }
    if hook.is_some_and(|hook| !same_call(&hook.first, &before)) {
        return Err(Problem(format!(
            "signal {signal} was given another handler since heapsee was first installed for it, and only the first \
             one can be chained in the same process: choose another signal"
        )));
    }
    Ok(Plan { signal, before, hook })
}

/// Puts a handler in that calls `action`; what is known from a first installation goes to `hooks`. As soon as the kernel
/// shows that the signal is caught, somebody may send it: all that answering takes must be there before.
///
/// # Errors
/// The kernel refuses.
///
/// # Safety
/// `action` is async-signal-safe.
pub unsafe fn install(
    hooks: &mut BTreeMap<i32, Hook>,
    plan: Plan,
    action: fn(&libc::siginfo_t),
) -> Result<Handler, Problem> {
    let Plan { signal, before, hook } = plan;
    // SAFETY: the caller's promise.
    let id =
        unsafe { signal_hook_registry::register_sigaction(signal, action) }.map_err(|error| failed(signal, &error))?;
    let ours = match hook {
        Some(hook) => hook.ours,
        None => with_alternate_stack(current(signal).map_err(|error| failed(signal, &error))?),
    };
    hooks.entry(signal).or_insert(Hook { first: before, ours });
    set(signal, &ours).map_err(|error| failed(signal, &error))?;
    Ok(Handler { signal, id, before, ours })
}

fn failed(signal: i32, error: &std::io::Error) -> Problem {
    Problem(format!("cannot handle signal {signal}: {}", explain(error)))
}

/// Does this installation serve a new one of the same signal as it is? To take a handler out and put it in again would
/// leave a moment in which the signal kills.
pub fn serves(handler: &Handler, chain: bool) -> bool {
    is_current(handler) && (chain || !is_handler(&handler.before))
}

/// Takes the handler out, and puts back what was there; a handler that somebody has put over ours stays.
pub fn uninstall(handler: Handler) {
    if is_current(&handler) {
        if !is_handler(&handler.before) {
            // One that is on its way must not meet the default action: to ignore a signal is to forget those that wait.
            let _ = set(handler.signal, &ignoring());
        }
        // The only error is a signal that does not exist, and this one did.
        let _ = set(handler.signal, &handler.before);
    }
    signal_hook_registry::unregister(handler.id);
}

/// Is our handler the one that the signal would call now?
pub fn is_current(handler: &Handler) -> bool {
    current(handler.signal).is_ok_and(|now| now.sa_sigaction == handler.ours.sa_sigaction)
}

/// Is it in place, with nobody else behind it?
pub fn is_alone(handler: &Handler) -> bool {
    is_current(handler) && !is_handler(&handler.before)
}

/// The signal that it is for.
pub fn signal(handler: &Handler) -> i32 {
    handler.signal
}

/// Has the system calls that the signal interrupts go on after it, or end.
///
/// # Errors
/// The kernel refuses.
pub fn set_restarts(handler: &Handler, restarts: bool) -> std::io::Result<()> {
    let mut action = handler.ours;
    if !restarts {
        action.sa_flags &= !libc::SA_RESTART;
    }
    set(handler.signal, &action)
}

/// Is the signal's action the default one?
pub fn is_default(signal: i32) -> bool {
    current(signal).is_ok_and(|now| now.sa_sigaction == libc::SIG_DFL)
}

/// Would the signal be ignored?
pub fn is_ignored(signal: i32) -> bool {
    current(signal).is_ok_and(|now| now.sa_sigaction == libc::SIG_IGN)
}

fn is_handler(action: &libc::sigaction) -> bool {
    action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN
}

/// Would the registry, chaining `first`, do what chaining `now` means? No handler is as good as any other.
fn same_call(first: &libc::sigaction, now: &libc::sigaction) -> bool {
    match (is_handler(first), is_handler(now)) {
        (false, false) => true,
        (true, true) => first.sa_sigaction == now.sa_sigaction && first.sa_flags == now.sa_flags,
        _ => false,
    }
}

/// Threads with small stacks (a Go library's) bring a stack for signals and need handlers to use it.
fn with_alternate_stack(mut action: libc::sigaction) -> libc::sigaction {
    action.sa_flags |= libc::SA_ONSTACK;
    action
}

/// As [`default_action`], but ignored.
fn ignoring() -> libc::sigaction {
    libc::sigaction { sa_sigaction: libc::SIG_IGN, ..default_action() }
}

/// No handler, no flags.
fn default_action() -> libc::sigaction {
    // SAFETY: an all-zero sigaction is a value, and SIG_DFL is 0.
    unsafe { std::mem::zeroed() }
}

fn current(signal: i32) -> std::io::Result<libc::sigaction> {
    let mut action = default_action();
    // SAFETY: only asks; `action` is a valid place.
    match unsafe { libc::sigaction(signal, std::ptr::null(), &mut action) } {
        0 => Ok(action),
        _ => Err(std::io::Error::last_os_error()),
    }
}

fn set(signal: i32, action: &libc::sigaction) -> std::io::Result<()> {
    // SAFETY: `action` came from `current`: it was, or is, this process's valid action for the signal.
    match unsafe { libc::sigaction(signal, action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}
