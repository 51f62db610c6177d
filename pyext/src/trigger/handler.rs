//! The signal handler: which signals count, and how the handler gets in and out.
//!
//! Only a signal somebody *sent* counts: a profiler's `ITIMER_PROF` raises SIGPROF thousands of times a second. The
//! dispatcher is signal-hook-registry's. It never takes its handler out again, and calls for ever what it found at its
//! first installation; this module takes the handler out, puts it back at a re-installation, and refuses where the
//! registry would call a handler that has no business there any more.

use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering::*};

use heapsee_format::control::ControlPage;
use signal_hook_registry::SigId;

use super::{nudge, wake};
use crate::problem::{Problem, explain};
use crate::state::State;
use crate::{clock, control};

/// The process whose handler may act, 0: none. A forked child that is not armed yet is another.
static ARMED_PID: AtomicI32 = AtomicI32::new(0);
/// The forked child that was sent signals before it was armed, and how many. Apart from the rest, because the memory of
/// a child that is not armed may still be its parent's (`vfork`).
static EARLY_PID: AtomicI32 = AtomicI32::new(0);
static EARLY: AtomicU64 = AtomicU64::new(0);
/// One of the three below: whether a request waits for the watcher.
static PENDING: AtomicU32 = AtomicU32::new(NOTHING);
const NOTHING: u32 = 0;
/// A handler is just noting down who asks.
const NOTING: u32 = 1;
/// A request waits.
const WAITING: u32 = 2;
static SENDER_PID: AtomicU32 = AtomicU32::new(0);
static SENDER_UID: AtomicU32 = AtomicU32::new(0);
static REQUESTED_AT: AtomicU64 = AtomicU64::new(0);

/// What the kernel shows as the uid of a sender whose uid this user namespace does not know (a root outside of a
/// rootless container). The kernel has let it signal us, so it is privileged over us.
const OVERFLOW_UID: u32 = 65534;

/// The handler of one installation.
pub struct Installed {
    signal: i32,
    id: SigId,
    before: libc::sigaction,
    ours: libc::sigaction,
}

/// What the registry remembers for ever about a signal.
#[derive(Clone, Copy)]
pub struct Hook {
    /// What was there at the first installation: the registry calls it before us.
    first: libc::sigaction,
    /// The registry's own handler.
    ours: libc::sigaction,
}

/// Who asked for a dump, and when.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    /// The pid, 0 when it is outside of our pid namespace.
    pub pid: u32,
    /// The uid.
    pub uid: u32,
    /// Nanoseconds since the epoch.
    pub at_ns: u64,
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
pub fn plan(state: &State, signal: i32, chain: bool) -> Result<Plan, Problem> {
    let hook = state.hooks.get(&signal).copied();
    let before = match (current(signal).map_err(|error| failed(signal, &error))?, hook) {
        // Somebody saved our handler and put it back after we had left: behind it is what was there before it.
        (now, Some(hook)) if now.sa_sigaction == hook.ours.sa_sigaction => hook.first,
        // Python was told to ignore it on our account (see super::reserve): it had no handler.
        (now, _) if state.reserved.contains(&signal) && !is_handler(&now) => default_action(),
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

/// Puts the handler in. Whoever sees from outside that the signal is caught may send it at once: all that answering
/// takes must be there before.
///
/// # Errors
/// The kernel refuses.
pub fn install(state: &mut State, plan: Plan) -> Result<Installed, Problem> {
    let Plan { signal, before, hook } = plan;
    // SAFETY: the action is async-signal-safe: it reads and writes atomics, and calls getpid, getuid, clock_gettime
    // and futex.
    let id = unsafe { signal_hook_registry::register_sigaction(signal, on_signal) }
        .map_err(|error| failed(signal, &error))?;
    let ours = match hook {
        Some(hook) => hook.ours,
        None => with_alternate_stack(current(signal).map_err(|error| failed(signal, &error))?),
    };
    state.hooks.entry(signal).or_insert(Hook { first: before, ours });
    set(signal, &ours).map_err(|error| failed(signal, &error))?;
    Ok(Installed { signal, id, before, ours })
}

fn failed(signal: i32, error: &std::io::Error) -> Problem {
    Problem(format!("cannot handle signal {signal}: {}", explain(error)))
}

/// Does this installation serve a new one of the same signal as it is? To take a handler out and put it in again would
/// leave a moment in which the signal kills.
pub fn serves(installed: &Installed, chain: bool) -> bool {
    is_current(installed) && (chain || !is_handler(&installed.before))
}

/// Takes the handler out, and puts back what was there; a handler that somebody has put over ours stays.
pub fn uninstall(installed: Installed) {
    if is_current(&installed) {
        if !is_handler(&installed.before) {
            // One that is on its way must not meet the default action: to ignore a signal is to forget those that wait.
            let _ = set(installed.signal, &ignoring());
        }
        // The only error is a signal that does not exist, and this one did.
        let _ = set(installed.signal, &installed.before);
    }
    signal_hook_registry::unregister(installed.id);
}

/// Is our handler the one that the signal would call now?
pub fn is_current(installed: &Installed) -> bool {
    current(installed.signal).is_ok_and(|now| now.sa_sigaction == installed.ours.sa_sigaction)
}

/// Is it in place, with nobody else behind it?
pub fn is_alone(installed: &Installed) -> bool {
    is_current(installed) && !is_handler(&installed.before)
}

/// The signal that it is for.
pub fn signal(installed: &Installed) -> i32 {
    installed.signal
}

/// Has the system calls that the signal interrupts go on after it, or end.
///
/// # Errors
/// The kernel refuses.
pub fn set_restarts(installed: &Installed, restarts: bool) -> std::io::Result<()> {
    let mut action = installed.ours;
    if !restarts {
        action.sa_flags &= !libc::SA_RESTART;
    }
    set(installed.signal, &action)
}

/// Is the signal's action the default one?
pub fn is_default(signal: i32) -> bool {
    current(signal).is_ok_and(|now| now.sa_sigaction == libc::SIG_DFL)
}

/// Would the signal be ignored?
pub fn is_ignored(signal: i32) -> bool {
    current(signal).is_ok_and(|now| now.sa_sigaction == libc::SIG_IGN)
}

/// From now on the handler acts in this process.
pub fn arm() {
    ARMED_PID.store(pid(), SeqCst);
}

/// [`arm`] in a forked child, which has a page of its own by now. It has caught the signal ever since the fork: what
/// came meanwhile counts.
pub fn arm_in_child(page: &ControlPage) {
    forget_request();
    arm();
    if EARLY_PID.swap(0, Relaxed) != pid() {
        return;
    }
    let early = EARLY.load(Relaxed);
    let merged = early - u64::from(PENDING.compare_exchange(NOTHING, WAITING, AcqRel, Relaxed).is_ok());
    page.signals.fetch_add(early, Relaxed);
    page.signals_merged.fetch_add(merged, Relaxed);
    wake::post(page);
}

/// From now on the handler does nothing but count.
pub fn disarm() {
    ARMED_PID.store(0, SeqCst);
}

/// Where no watcher is: a request that waits was for one that has ended.
pub fn forget_request() {
    PENDING.store(NOTHING, Relaxed);
}

/// The request that waits, if one does. It goes on waiting until [`request_taken`].
pub fn request() -> Option<Sender> {
    (PENDING.load(Acquire) == WAITING).then(|| Sender {
        pid: SENDER_PID.load(Relaxed),
        uid: SENDER_UID.load(Relaxed),
        at_ns: REQUESTED_AT.load(Relaxed),
    })
}

/// The dump for the waiting request has a number now, or there will be none: the next signal is a new request.
pub fn request_taken() {
    PENDING.store(NOTHING, Release);
}

/// Runs in the signal handler. The registry preserves `errno` around it.
fn on_signal(info: &libc::siginfo_t) {
    if nudge::is_one(info) {
        return;
    }
    let Some(page) = control::page() else { return };
    let (own, armed) = (pid(), ARMED_PID.load(Relaxed));
    if armed == 0 || !is_asked_for(info) {
        page.signals_ignored.fetch_add(1, Relaxed);
        return;
    }
    if armed != own {
        // The page is still the parent's.
        if EARLY_PID.swap(own, Relaxed) != own {
            EARLY.store(0, Relaxed);
            remember_sender(info);
        }
        EARLY.fetch_add(1, Relaxed);
        return;
    }
    page.signals.fetch_add(1, Relaxed);
    if page.takes_signals_in() || PENDING.compare_exchange(NOTHING, NOTING, AcqRel, Relaxed).is_err() {
        page.signals_merged.fetch_add(1, Relaxed);
        return;
    }
    remember_sender(info);
    PENDING.store(WAITING, Release);
    wake::post(page);
}

/// For a signal that [`is_asked_for`].
fn remember_sender(info: &libc::siginfo_t) {
    // SAFETY: is_asked_for has seen one of the codes for which the kernel fills in pid and uid.
    let (pid, uid) = unsafe { (info.si_pid(), info.si_uid()) };
    SENDER_PID.store(pid as u32, Relaxed);
    SENDER_UID.store(uid, Relaxed);
    REQUESTED_AT.store(clock::now_ns(), Relaxed);
}

/// Was it sent by somebody (not raised by a timer), and by somebody who may?
fn is_asked_for(info: &libc::siginfo_t) -> bool {
    if !matches!(info.si_code, libc::SI_USER | libc::SI_QUEUE | libc::SI_TKILL) {
        return false;
    }
    // SAFETY: for these codes the kernel fills in the uid; getuid and geteuid have no precondition.
    let (sender, own, effective) = unsafe { (info.si_uid(), libc::getuid(), libc::geteuid()) };
    [0, own, effective, OVERFLOW_UID].contains(&sender)
}

fn pid() -> i32 {
    // SAFETY: getpid has no precondition and is async-signal-safe.
    unsafe { libc::getpid() }
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
