//! Running somebody else's program beside the daemon so that it can do no harm: at the lowest priority, with a limit
//! of memory if wanted, with a deadline, at which its whole process group ends, and with no more output than is asked for.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit, setpriority_process};

use crate::render::one_line;
use crate::stop::Stop;

/// How often it is looked whether it has ended.
const POLL: Duration = Duration::from_millis(20);
/// As much of its errors is passed on.
const COMPLAINT: u64 = 400;
/// After its end, as long is waited for what is left in its pipes: a child of its own may hold them open.
const REST: Duration = Duration::from_secs(2);

/// What a program may do.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long it may take.
    pub timeout: Duration,
    /// How many bytes it may write to stdout; without a limit, it may write what it likes, and nothing is kept.
    pub output: Option<u64>,
    /// How much address space it may have.
    pub memory: Option<u64>,
}

/// Runs a program with `input` on its stdin; returns its stdout. An error is a sentence.
pub fn run(mut command: Command, input: Vec<u8>, bounds: Bounds, stop: &Stop) -> Result<Vec<u8>, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let child = command.spawn().map_err(|error| format!("{name} cannot be started: {error}"))?;
    let mut group = Group(child);
    group.restrain(bounds.memory);
    if let Some(mut stdin) = group.0.stdin.take() {
        // It need not read it.
        thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let stdout = gather(group.0.stdout.take(), bounds.output.unwrap_or(0));
    let stderr = gather(group.0.stderr.take(), COMPLAINT);
    let status = group.wait(bounds.timeout, stop).map_err(|why| format!("{name} {why}"))?;
    let output = stdout.recv_timeout(REST).unwrap_or_default();
    if !status.success() {
        let complaint = stderr.recv_timeout(REST).unwrap_or_default();
        let complaint = String::from_utf8_lossy(&complaint);
        let why = complaint.lines().last().map(one_line).unwrap_or_default();
        return Err(format!("{name} ended with {status}: {why}").trim_end_matches([':', ' ']).to_owned());
    }
    match bounds.output {
        Some(most) if output.len() as u64 > most => Err(format!("{name} wrote more than {most} bytes")),
        Some(_) => Ok(output),
        None => Ok(Vec::new()),
    }
}

/// A child that leads a process group, which is killed when this is dropped.
struct Group(Child);

impl Group {
    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.0.id().cast_signed())
    }

    /// A limit that cannot be set is no reason not to go on: the deadline holds.
    fn restrain(&self, memory: Option<u64>) {
        let pid = self.pid();
        let _ = setpriority_process(pid, 19);
        if let Some(most) = memory {
            let _ = prlimit(pid, Resource::As, Rlimit { current: Some(most), maximum: Some(most) });
        }
    }

    fn wait(&mut self, timeout: Duration, stop: &Stop) -> Result<ExitStatus, String> {
        let deadline = Instant::now() + timeout;
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Err(error) => return Err(format!("cannot be waited for: {error}")),
                Ok(None) if stop.requested() => return Err("was interrupted".into()),
                Ok(None) if Instant::now() >= deadline => {
                    return Err(format!("was ended: it took longer than {} s", timeout.as_secs_f32()));
                }
                Ok(None) => thread::sleep(POLL),
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Of its group others may be left even if it has ended. Its pid cannot be another's before it is reaped, and
        // while its group has members, no new process gets that number.
        if let (Ok(None), Some(pid)) = (self.0.try_wait(), self.pid()) {
            let _ = kill_process_group(pid, Signal::KILL);
            let _ = self.0.wait();
        }
    }
}

/// Reads up to `most` bytes, and one more if there are more; throws the rest away.
fn gather(stream: Option<impl Read + Send + 'static>, most: u64) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    if let Some(mut stream) = stream {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            // What came before an error counts.
            let _ = (&mut stream).take(most + 1).read_to_end(&mut bytes);
            let _ = send.send(bytes);
            let _ = io::copy(&mut stream, &mut io::sink());
        });
    }
    receive
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, bounds: Bounds, stop: &Stop) -> Result<Vec<u8>, String> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, b"input\n".to_vec(), bounds, stop)
    }

    const BOUNDS: Bounds = Bounds { timeout: Duration::from_secs(60), output: Some(100), memory: None };

    #[test]
    fn input_goes_in_and_output_comes_out() {
        let stop = Stop::default();
        assert_eq!(sh("cat; echo talk >&2", BOUNDS, &stop), Ok(b"input\n".to_vec()));
        assert_eq!(sh("exec <&-; echo x", BOUNDS, &stop), Ok(b"x\n".to_vec()));
        assert_eq!(sh("read line; nice", BOUNDS, &stop), Ok(b"19\n".to_vec()));
    }

    #[test]
    fn a_failure_is_told_in_its_own_words() {
        let failed = sh("echo one >&2; echo two >&2; exit 3", BOUNDS, &Stop::default()).unwrap_err();
        assert_eq!(failed, "sh ended with exit status: 3: two");
        let missing = run(Command::new("/nonexistent/x"), Vec::new(), BOUNDS, &Stop::default()).unwrap_err();
        assert!(missing.starts_with("/nonexistent/x cannot be started: "), "{missing}");
    }

    #[test]
    fn what_takes_too_long_ends_with_its_children() {
        let bounds = Bounds { timeout: Duration::from_millis(200), ..BOUNDS };
        let error = sh("sleep 1000 & sleep 1000", bounds, &Stop::default()).unwrap_err();
        assert!(error.contains("took longer than 0.2 s"), "{error}");
    }

    #[test]
    fn too_much_output_and_too_much_memory_are_refused() {
        assert!(sh("yes | head -c 1000000", BOUNDS, &Stop::default()).unwrap_err().contains("more than 100 bytes"));
        let bounds = Bounds { memory: Some(64 << 20), ..BOUNDS };
        let script = "read line; head -c 200000000 /dev/zero | tail -n 1 > /dev/null";
        assert!(sh(script, bounds, &Stop::default()).is_err());
    }

    #[test]
    fn a_daemon_that_it_leaves_behind_is_not_waited_for() {
        assert_eq!(sh("echo x; (sleep 30 >&- 2>&-) &", BOUNDS, &Stop::default()), Ok(b"x\n".to_vec()));
    }
}
