//! What must not be done, and what is said about it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sys::resource::{Resource, setrlimit};

use crate::harness::*;

/// Runs `dump --pid` on a fake worker; returns the error, the worker and whether the store is empty.
fn dump(arguments: &[&str]) -> (Ended, Worker, bool) {
    let worker = Worker::start(arguments);
    let store = tempfile::tempdir().unwrap();
    let ended = Agent::run(store.path(), &["dump", "--pid", &worker.pid().to_string(), "--timeout", "2"]);
    let is_empty = tree(store.path()).is_empty();
    (ended, worker, is_empty)
}

#[test]
fn an_unarmed_process_is_left_alive() {
    let mut command = Command::new(python());
    command.args(["-c", "input()"]).stdin(Stdio::piped());
    let mut process = Guard { child: command.spawn().unwrap() };
    let store = tempfile::tempdir().unwrap();
    let ended = Agent::run(store.path(), &["dump", "--pid", &process.pid().to_string()]);
    assert!(ended.failed_with(4).contains("call heapsee.install_memory_dumper()"), "{ended:?}");
    assert!(process.is_alive());
    // It still does what it was there for: a line ends it, with success.
    std::io::Write::write_all(process.child.stdin.as_mut().unwrap(), b"x\n").unwrap();
    assert!(wait(&mut process.child).success());
}

#[test]
fn a_block_that_does_not_hold_is_not_believed() {
    for (block, expect) in [
        ("version", "layout version 7"),
        ("disarmed", "uninstalled"),
        ("taken", "another handler"),
        ("stale", "has not been armed since"),
        ("nohandler", "SIGPROF has no handler"),
        ("garbage", "control block"),
    ] {
        let (ended, mut worker, is_empty) = dump(&["--block", block]);
        assert!(ended.failed_with(4).contains(expect), "{block}: {ended:?}");
        assert!(worker.process.is_alive() && is_empty, "{block}");
    }
}

#[test]
fn a_block_that_names_a_deadly_signal_is_not_believed() {
    let (ended, mut worker, _) = dump(&["--block", "nohandler", "--signal", "9"]);
    assert!(ended.failed_with(4).contains("signal 9"), "{ended:?}");
    assert!(worker.process.is_alive());
}

#[test]
fn a_process_that_is_gone() {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let store = tempfile::tempdir().unwrap();
    let ended = Agent::run(store.path(), &["dump", "--pid", &child.id().to_string()]);
    assert!(ended.failed_with(3).contains("there is no process"), "{ended:?}");
    // A zombie is gone too: it can answer nothing.
    let child = Guard { child: Command::new("true").spawn().unwrap() };
    until("a zombie", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.pid())).unwrap();
        stat.contains(") Z ").then_some(())
    });
    Agent::run(store.path(), &["dump", "--pid", &child.pid().to_string()]).failed_with(3);
}

#[test]
fn a_name_or_pidfile_that_leads_nowhere() {
    let store = tempfile::tempdir().unwrap();
    let file = store.path().join("x.pid");
    let file = file.to_str().unwrap();
    Agent::run(store.path(), &["dump", "--name", "no-process-is-called-so"]).failed_with(3);
    Agent::run(store.path(), &["dump", "--pidfile", file]).failed_with(3);
    fs::write(file, "hello").unwrap();
    assert!(Agent::run(store.path(), &["dump", "--pidfile", file]).failed_with(3).contains("does not hold a pid"));
    fs::write(file, "4194304").unwrap();
    assert!(Agent::run(store.path(), &["dump", "--pidfile", file]).failed_with(3).contains("does not exist"));
    assert!(Agent::run(store.path(), &["dump", "--pidfile", "/"]).failed_with(3).contains("not a regular file"));
}

#[test]
fn a_wrong_command_line() {
    let store = tempfile::tempdir().unwrap();
    for arguments in [&["dump"][..], &["dump", "--pid", "x"], &["dump", "--pid", "1", "--fattest"], &["hello"], &[]] {
        let ended = Agent::run(store.path(), arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn a_process_of_another_user() {
    let store = tempfile::tempdir().unwrap();
    open_to_all(store.path());
    // Root's process as seen by somebody else: a worker of ours, or, if we are not root, the first process.
    let worker = is_root().then(|| Worker::start(&[]));
    let pid = worker.as_ref().map_or(1, Worker::pid).to_string();
    let as_nobody = |command: &mut Command| {
        if is_root() {
            command.uid(65534).gid(65534);
        }
    };
    let ended = Agent::start_with(store.path(), &["dump", "--pid", &pid], as_nobody).end();
    assert!(ended.failed_with(5).contains("run as root"), "{ended:?}");
    let ended = Agent::start_with(store.path(), &["list", "--all", "--json"], as_nobody).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    if let Some(mut worker) = worker {
        let list: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        let row = list["workers"].as_array().unwrap().iter().find(|row| row["pid"] == worker.pid()).unwrap().clone();
        assert!(row["armed"].is_null() && row["reason"].as_str().unwrap().contains("runs as user root"), "{row}");
        assert!(worker.process.is_alive() && worker.files().is_empty());
    }
}

#[test]
fn a_worker_that_refuses_or_fails_says_why() {
    for (outcome, said) in [("refused", "refused to make a dump"), ("failed", "failed")] {
        let reason = "not enough memory: 10 MB, \u{1b}[31m\nneeded 20";
        let (ended, _worker, is_empty) = dump(&["--outcome", outcome, "--reason", reason]);
        let line = ended.failed_with(1);
        assert!(line.contains(said) && line.contains("not enough memory: 10 MB, \\u{1b}[31m\\nneeded 20"), "{line}");
        assert!(is_empty);
    }
}

#[test]
fn a_worker_that_does_not_answer() {
    let (ended, mut worker, is_empty) = dump(&["--outcome", "silent"]);
    let line = ended.failed_with(8);
    assert!(line.contains("did not answer") && line.contains("ignored the signal"), "{line}");
    assert!(worker.process.is_alive() && is_empty);
}

#[test]
fn a_stopped_worker_is_told_apart() {
    use nix::sys::signal::{Signal, kill};
    let worker = Worker::start(&[]);
    let pid = nix::unistd::Pid::from_raw(worker.pid().cast_signed());
    kill(pid, Signal::SIGSTOP).unwrap();
    let store = tempfile::tempdir().unwrap();
    let ended = Agent::run(store.path(), &["dump", "--pid", &worker.pid().to_string(), "--timeout", "1"]);
    kill(pid, Signal::SIGCONT).unwrap();
    assert!(ended.failed_with(8).contains("kill -CONT"), "{ended:?}");
    worker.expect("ended");
    assert!(worker.has_its_files());
}

#[test]
fn a_dump_that_stops_making_progress() {
    for state in ["waiting", "walking", "publishing"] {
        let (ended, mut worker, is_empty) = dump(&["--hold", state]);
        assert!(ended.failed_with(8).contains("no progress"), "{ended:?}");
        worker.expect(&format!("at {state}"));
        worker.go();
        worker.expect("ended");
        assert!(worker.has_its_files() && is_empty);
    }
}

#[test]
fn a_dump_that_is_not_what_its_sidecar_says_is_kept_and_not_stored() {
    for (wrong, expect) in [
        ("sha256", "its SHA-256 is"),
        ("size", "bytes, not"),
        ("lines", "1000 lines, not 1001"),
        ("longer", "it is longer than"),
        ("json", "is no sidecar"),
        ("process", "is that of another process"),
    ] {
        let (ended, worker, is_empty) = dump(&["--wrong", wrong]);
        assert!(ended.failed_with(6).contains(expect), "{wrong}: {ended:?}");
        assert!(worker.has_its_files() && is_empty, "{wrong}: {:?}", worker.files());
    }
}

#[test]
fn what_is_no_dump_file_is_left_alone() {
    for (wrong, expect, left) in [
        ("symlink", "symbolic link", 3),
        ("fifo", "not a regular file", 2),
        ("missing", "is not there", 1),
        ("sidecar", "is not there", 1),
        ("name", "no dump in its directory", 0),
    ] {
        let (ended, worker, is_empty) = dump(&["--wrong", wrong]);
        assert!(ended.failed_with(6).contains(expect), "{wrong}: {ended:?}");
        assert!(is_empty && worker.files().len() == left, "{wrong}: {:?}", worker.files());
    }
    if is_root() {
        let (ended, worker, is_empty) = dump(&["--wrong", "owner"]);
        assert!(ended.failed_with(6).contains("not a regular file of the worker's user"), "{ended:?}");
        assert!(is_empty && worker.has_its_files());
    }
}

#[test]
fn a_dump_directory_that_is_gone_is_noticed_before_the_signal() {
    let worker = Worker::start(&["--hold", "waiting"]);
    let store = tempfile::tempdir().unwrap();
    fs::remove_dir(worker.directory.path()).unwrap();
    let pid = worker.pid().to_string();
    assert!(Agent::run(store.path(), &["dump", "--pid", &pid]).failed_with(1).contains("dump directory"));
    let list = Agent::run(store.path(), &["list", "--json", "--name", worker.path()]);
    assert!(list.stdout.contains("\"dumps_started\": 0"), "{list:?}");
}

#[test]
fn a_store_that_cannot_be_written() {
    let worker = Worker::start(&[]);
    let store = tempfile::tempdir().unwrap();
    let file = store.path().join("file");
    fs::write(&file, "").unwrap();
    let ended = Agent::run(&file, &["dump", "--pid", &worker.pid().to_string()]);
    assert!(ended.failed_with(7).contains("cannot be written"), "{ended:?}");
    assert!(worker.files().is_empty(), "the worker was asked for a dump that cannot be stored");
}

#[test]
fn a_full_store_keeps_the_workers_files() {
    for extra in [&["--no-compress"][..], &[]] {
        let worker = Worker::start(&["--objects", "100000"]);
        let store = tempfile::tempdir().unwrap();
        let pid = worker.pid().to_string();
        let agent = Agent::start_with(store.path(), &[&["dump", "--pid", &pid], extra].concat(), |command| {
            // SAFETY: between fork and exec only setrlimit is called, which is async-signal-safe and takes no lock.
            unsafe { command.pre_exec(|| Ok(setrlimit(Resource::RLIMIT_FSIZE, 20_000, 20_000)?)) };
        });
        let ended = agent.end();
        assert!(ended.failed_with(7).contains("file size limit"), "{ended:?}");
        assert!(worker.has_its_files() && tree(store.path()).is_empty(), "{:?}", tree(store.path()));
    }
}

#[test]
fn a_store_without_space_keeps_the_workers_files() {
    if !as_root() {
        return;
    }
    let worker = Worker::start(&["--objects", "100000"]);
    let store = tempfile::tempdir().unwrap();
    // A file system of 64 kB that ends with the agent.
    let script = "mount -t tmpfs -o size=64k none \"$HEAPSEE_STORE\" && \"$@\"; code=$?; find \"$HEAPSEE_STORE\" -name '*.tmp'; exit $code";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_heapsee-agent")]);
    command.args(["dump", "--no-compress", "--pid", &worker.pid().to_string()]).env("HEAPSEE_STORE", store.path());
    let out = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.code() == Some(7) && stderr.contains("free some space"), "{out:?}");
    assert_eq!(out.stdout, b"", "a draft was left");
    assert!(worker.has_its_files());
}

#[test]
fn only_one_dump_at_a_time() {
    let mut worker = Worker::start(&["--hold", "walking"]);
    let other = Worker::start(&[]);
    let store = tempfile::tempdir().unwrap();
    let first = Agent::start(store.path(), &["dump", "--pid", &worker.pid().to_string()]);
    worker.expect("at walking");
    let ended = Agent::run(store.path(), &["dump", "--pid", &other.pid().to_string()]);
    assert!(ended.failed_with(9).contains(&format!("process {} is already taking a dump", first.process.pid())));
    assert!(other.files().is_empty());
    worker.go();
    assert!(first.end().path().is_file());
}

#[test]
fn a_worker_that_dies_without_a_child_leaves_no_dump() {
    for (state, said) in [("waiting", "waiting for the GIL"), ("walking", "writing")] {
        let mut worker = Worker::start(&["--hold", state]);
        let store = tempfile::tempdir().unwrap();
        let agent = Agent::start(store.path(), &["dump", "--pid", &worker.pid().to_string()]);
        worker.expect(&format!("at {state}"));
        worker.process.kill();
        let ended = agent.end();
        let line = ended.failed_with(1);
        assert!(line.contains("died") && line.contains(said), "{line}");
        assert!(tree(store.path()).is_empty());
    }
}
