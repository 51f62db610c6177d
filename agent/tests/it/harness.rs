//! Starting fake workers and the agent, with deadlines and without sleeps, and ending them whatever happens.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// Nothing here takes that long, unless it is broken.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Forks once for each of its last arguments, and waits to be killed; the workers then end with their stdin.
const FAKE_MASTER: &str = "
import os, signal, sys
python, app, worker, directory, *workers = sys.argv[1:]
for arguments in workers:
    if os.fork() == 0:
        os.execv(python, [f'gunicorn: worker [{app}]', '-c', worker, directory, *arguments.split()])
signal.pause()
";

/// Whether the tests run as root: some make a process of another user.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether what a test needs of the machine is there. If not, that is said past the capture of what tests print, and in
/// CI the test has failed.
#[expect(clippy::explicit_write, reason = "what eprintln! writes is captured")]
pub fn possible(what: &str, is: bool) -> bool {
    assert!(is || std::env::var_os("CI").is_none(), "in CI all tests have to be possible, but this is not: {what}");
    if !is {
        writeln!(std::io::stderr(), "not possible here, so not tested: {what}").unwrap();
    }
    is
}

/// Whether the test can be what only root can.
pub fn as_root() -> bool {
    possible("what needs root", is_root())
}

/// Whether there can be namespaces by these arguments of unshare.
pub fn can_unshare(arguments: &[&str]) -> bool {
    let tried = Command::new("unshare").args(arguments).arg("true").output();
    possible("namespaces of one's own", tried.is_ok_and(|out| out.status.success()))
}

/// The Python interpreter itself: what is called `python3` may be a script that chooses one.
pub fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let out = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    })
}

/// A process that is killed when the test ends.
pub struct Guard {
    pub child: Child,
}

impl Guard {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A fake worker (see `fake_worker.py`).
pub struct Worker {
    pub process: Guard,
    pub directory: TempDir,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Worker {
    pub fn start(arguments: &[&str]) -> Worker {
        Worker::start_with(arguments, |_| {})
    }

    pub fn start_with(arguments: &[&str], change: impl FnOnce(&mut Command)) -> Worker {
        let directory = tempfile::tempdir().unwrap();
        open_to_all(directory.path());
        let mut command = Command::new(python());
        command.arg("-c").arg(include_str!("fake_worker.py")).arg(directory.path()).args(arguments);
        change(&mut command);
        Worker::spawn(command, directory)
    }

    /// Starts a gunicorn in miniature: a master by its title, which is not armed, and a worker by its title for each
    /// of `workers`, its arguments. They share one dump directory.
    pub fn start_server(app: &str, workers: &[&[&str]]) -> Worker {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(python());
        command.arg0(format!("gunicorn: master [{app}]")).arg("-c").arg(FAKE_MASTER).arg(python()).arg(app);
        command.arg(include_str!("fake_worker.py")).arg(directory.path());
        command.args(workers.iter().map(|arguments| arguments.join(" ")));
        let worker = Worker::spawn(command, directory);
        for _ in 1..workers.len() {
            worker.expect("ready");
        }
        worker
    }

    /// Starts a worker by a command that ends up in `fake_worker.py`.
    pub fn spawn(mut command: Command, directory: TempDir) -> Worker {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let lines = lines_of(child.stdout.take().unwrap());
        let worker = Worker { process: Guard { child }, directory, stdin, lines };
        worker.expect("ready");
        worker
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Waits until the worker says that.
    pub fn expect(&self, line: &str) {
        assert_eq!(self.lines.recv_timeout(DEADLINE).as_deref(), Ok(line));
    }

    /// Lets the worker go on.
    pub fn go(&mut self) {
        self.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    pub fn path(&self) -> &str {
        self.directory.path().to_str().unwrap()
    }

    /// The names in the dump directory, sorted.
    pub fn files(&self) -> Vec<String> {
        names(self.directory.path())
    }

    /// Whether a dump and its sidecar, and nothing else, are in the dump directory.
    pub fn has_its_files(&self) -> bool {
        let files = self.files();
        files.len() == 2 && files[0].ends_with(".dump") && files[1] == format!("{}.meta.json", files[0])
    }
}

/// How the agent ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Asserts the exit code, one line on stderr, and nothing on stdout; returns the line.
    #[track_caller]
    pub fn failed_with(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        let error = self.stderr.trim_end_matches('\n');
        let line = error.lines().last().unwrap_or_default();
        assert!(line.starts_with("heapsee-agent: "), "{self:?}");
        line
    }

    /// Asserts success; returns the path on stdout.
    #[track_caller]
    pub fn path(&self) -> PathBuf {
        assert_eq!(self.code, Some(0), "{self:?}");
        let path = self.stdout.strip_suffix('\n').unwrap();
        assert!(!path.contains('\n'), "{self:?}");
        PathBuf::from(path)
    }
}

/// A run of the agent.
pub struct Agent {
    pub process: Guard,
    stdout: thread::JoinHandle<String>,
    stderr: Receiver<String>,
    heard: Vec<String>,
}

impl Agent {
    /// Starts `heapsee-agent ARGUMENTS` with that store.
    pub fn start(store: &Path, arguments: &[&str]) -> Agent {
        Agent::start_with(store, arguments, |_| {})
    }

    pub fn start_with(store: &Path, arguments: &[&str], change: impl FnOnce(&mut Command)) -> Agent {
        let mut command = Command::new(env!("CARGO_BIN_EXE_heapsee-agent"));
        command.args(arguments).env("HEAPSEE_STORE", store);
        change(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        let stdout = thread::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).unwrap();
            text
        });
        let stderr = lines_of(child.stderr.take().unwrap());
        Agent { process: Guard { child }, stdout, stderr, heard: Vec::new() }
    }

    /// Runs the agent to its end.
    pub fn run(store: &Path, arguments: &[&str]) -> Ended {
        Agent::start(store, arguments).end()
    }

    /// Waits until a line on stderr has that in it.
    pub fn hear(&mut self, text: &str) {
        while let Ok(line) = self.stderr.recv_timeout(DEADLINE) {
            self.heard.push(line);
            if self.heard.last().unwrap().contains(text) {
                return;
            }
        }
        panic!("{text:?} did not come: {:?}", self.heard);
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.pid().cast_signed()), signal).unwrap();
    }

    /// Waits for the end.
    pub fn end(mut self) -> Ended {
        let status = wait(&mut self.process.child);
        let stdout = self.stdout.join().unwrap();
        self.heard.extend(self.stderr.iter());
        Ended { code: status.code(), stdout, stderr: self.heard.iter().map(|line| format!("{line}\n")).collect() }
    }
}

/// Waits for a child to end, to the deadline.
pub fn wait(child: &mut Child) -> std::process::ExitStatus {
    until("the child to end", || child.try_wait().unwrap())
}

/// Asks again and again until there is an answer, to the deadline.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < DEADLINE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    receive
}

/// The names in a directory, sorted; none if it does not exist.
pub fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Every file below a directory, but for the lock.
pub fn tree(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for name in names(directory) {
        let path = directory.join(&name);
        match path.is_dir() {
            // A draft counts, even an empty one.
            true if name.ends_with(".tmp") => files.push(path),
            true => files.extend(tree(&path)),
            false if name == "lock" => {}
            false => files.push(path),
        }
    }
    files
}

/// Lets every user write into a directory of a test.
pub fn open_to_all(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).unwrap();
}
