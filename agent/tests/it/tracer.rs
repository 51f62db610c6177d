//! Runs a program and stops it before a system call of our choice: killed there, it has crashed at that step, without a
//! word in the program about it; held there, its disk is slow.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was killed.
    Killed,
    /// It came to its end, with this exit code.
    Exited(i32),
}

/// What is to happen to a thread that is about to enter a system call.
enum Verdict {
    Go,
    Kill,
    Hold,
}

/// Runs `program` with `arguments`, and kills it before step `n`, from 0: the nth call that changes anything.
pub fn run(program: &str, arguments: &[&str], environment: &[(&str, &str)], n: usize) -> End {
    let mut command = traced(program);
    command.args(arguments).envs(environment.iter().copied()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut steps = 0;
    let (child, main) = seize(command);
    let end = follow(main, None, |_, call| {
        let is_step = call.changes_something();
        steps += usize::from(is_step);
        if is_step && steps == n + 1 { Verdict::Kill } else { Verdict::Go }
    });
    // Its status was taken here, not by std; it never knew.
    drop(child);
    end
}

/// Runs what `change` makes of a command of `program`, and holds all its calls of that number but its main thread's until
/// `release` says something. `told` are its pid, and each thread that is held. Returns how it ended.
pub fn hold(
    program: &str,
    change: impl FnOnce(&mut Command),
    number: libc::c_long,
    told: &Sender<Pid>,
    release: &Receiver<()>,
) -> End {
    let mut command = traced(program);
    change(&mut command);
    let (child, main) = seize(command);
    told.send(main).unwrap();
    let end = follow(main, Some(release), |thread, call| {
        if thread == main || call.number != number {
            return Verdict::Go;
        }
        // Whoever has heard enough is gone.
        let _ = told.send(thread);
        Verdict::Hold
    });
    drop(child);
    end
}

/// A command that waits to be traced before it becomes the program; its arguments follow.
fn traced(program: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "read x; exec \"$@\"", "sh", program]).stdin(Stdio::piped());
    command
}

fn seize(mut command: Command) -> (Child, Pid) {
    let mut child = command.spawn().expect("sh is there");
    let main = Pid::from_raw(child.id().cast_signed());
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_EXITKILL
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC;
    ptrace::seize(main, options).expect("a process may trace its children: is ptrace forbidden here?");
    ptrace::interrupt(main).unwrap();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    (child, main)
}

fn follow(main: Pid, release: Option<&Receiver<()>>, mut judge: impl FnMut(Pid, &Call) -> Verdict) -> End {
    let (mut is_program, mut is_doomed, mut is_released, mut held) = (false, false, false, Vec::new());
    loop {
        // Of this thread's children only: other tests have theirs.
        let mut flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        flags.set(WaitPidFlag::WNOHANG, !held.is_empty());
        let status = match waitpid(Pid::from_raw(-1), Some(flags)) {
            Err(Errno::EINTR) => continue,
            status => status.unwrap(),
        };
        let (pid, signal) = match status {
            WaitStatus::Exited(pid, code) if pid == main => return End::Exited(code),
            WaitStatus::Signaled(pid, ..) if pid == main => return End::Killed,
            WaitStatus::StillAlive => {
                let asked = release.map(|release| release.recv_timeout(Duration::from_micros(50)));
                is_released |= asked.is_some_and(|answer| answer.is_ok());
                match held.pop_if(|_| is_released) {
                    Some(pid) => (pid, None),
                    None => continue,
                }
            }
            WaitStatus::PtraceSyscall(pid) => {
                let call = if is_program && !is_doomed { Call::of(pid) } else { None };
                match call.map_or(Verdict::Go, |call| judge(pid, &call)) {
                    Verdict::Hold if !is_released => {
                        held.push(pid);
                        continue;
                    }
                    Verdict::Go | Verdict::Hold => (pid, None),
                    Verdict::Kill => {
                        is_doomed = true;
                        kill(main, Signal::SIGKILL).unwrap();
                        continue;
                    }
                }
            }
            WaitStatus::PtraceEvent(pid, _, event) => {
                is_program |= event == libc::PTRACE_EVENT_EXEC;
                (pid, None)
            }
            WaitStatus::Stopped(pid, signal) => (pid, Some(signal)),
            _ => continue,
        };
        match ptrace::syscall(pid, signal) {
            // Killed meanwhile.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// A system call that is about to be entered.
struct Call {
    number: libc::c_long,
    arguments: [u64; 6],
}

impl Call {
    /// That of a stopped thread; none if it is about to leave one.
    fn of(pid: Pid) -> Option<Call> {
        let info = ptrace::syscall_info(pid).ok().filter(|info| info.op == libc::PTRACE_SYSCALL_INFO_ENTRY)?;
        // SAFETY: `op` says that the kernel has filled in `entry`.
        let entry = unsafe { info.u.entry };
        Some(Call { number: entry.nr as libc::c_long, arguments: entry.args })
    }

    /// Whether others could notice it.
    fn changes_something(&self) -> bool {
        #[cfg(target_arch = "x86_64")]
        let old = [libc::SYS_rename, libc::SYS_unlink, libc::SYS_rmdir, libc::SYS_mkdir];
        #[cfg(not(target_arch = "x86_64"))]
        let old: [libc::c_long; 0] = [];
        let changing = [
            libc::SYS_write,
            libc::SYS_writev,
            libc::SYS_sendto,
            libc::SYS_connect,
            libc::SYS_fsync,
            libc::SYS_fdatasync,
            libc::SYS_ftruncate,
            libc::SYS_renameat2,
            libc::SYS_unlinkat,
            libc::SYS_mkdirat,
            libc::SYS_flock,
        ];
        let creates = self.number == libc::SYS_openat && self.arguments[2] & libc::O_CREAT as u64 != 0;
        creates || old.contains(&self.number) || changing.contains(&self.number)
    }
}
