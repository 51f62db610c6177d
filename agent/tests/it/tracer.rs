//! Runs a program and kills it before its nth system call that changes anything: a crash at any step, without a word
//! in the program about it.

use std::io::Write;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was killed before that step.
    Killed,
    /// It came to its end before that step, with this exit code.
    Exited(i32),
}

/// Runs `program` with `arguments`, and kills it before step `n`, from 0.
pub fn run(program: &str, arguments: &[&str], environment: &[(&str, &str)], n: usize) -> End {
    // It waits to be traced before it becomes the program.
    let mut command = Command::new("sh");
    command.args(["-c", "read x; exec \"$@\"", "sh", program]).args(arguments).envs(environment.iter().copied());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("sh is there");
    let main = Pid::from_raw(child.id().cast_signed());
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_EXITKILL
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC;
    ptrace::seize(main, options).expect("a process may trace its children: is ptrace forbidden here?");
    ptrace::interrupt(main).unwrap();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let end = follow(main, n);
    // Its status was taken here, not by std; it never knew.
    drop(child);
    end
}

fn follow(main: Pid, n: usize) -> End {
    let (mut is_program, mut steps, mut is_doomed) = (false, 0, false);
    loop {
        // Of this thread's children only: other tests have theirs.
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        let status = match waitpid(Pid::from_raw(-1), Some(flags)) {
            Err(Errno::EINTR) => continue,
            status => status.unwrap(),
        };
        let (pid, signal) = match status {
            WaitStatus::Exited(pid, code) if pid == main => return End::Exited(code),
            WaitStatus::Signaled(pid, ..) if pid == main => return End::Killed,
            WaitStatus::PtraceSyscall(pid) => {
                if is_program && !is_doomed && changes_something(pid) {
                    is_doomed = steps == n;
                    steps += 1;
                    if is_doomed {
                        kill(main, Signal::SIGKILL).unwrap();
                        continue;
                    }
                }
                (pid, None)
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

/// Whether a process is about to enter a system call that others could notice.
fn changes_something(pid: Pid) -> bool {
    let Ok(info) = ptrace::syscall_info(pid) else { return false };
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return false;
    }
    // SAFETY: `op` says that the kernel has filled in `entry`.
    let entry = unsafe { info.u.entry };
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
    let number = entry.nr as libc::c_long;
    let creates = number == libc::SYS_openat && entry.args[2] & libc::O_CREAT as u64 != 0;
    creates || old.contains(&number) || changing.contains(&number)
}
