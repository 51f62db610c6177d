//! Ctrl-C and worse, at every point: nothing half-made, nothing lost.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::harness::*;

#[test]
fn ctrl_c_while_the_worker_works() {
    for (state, signal) in [
        ("waiting", Signal::SIGINT),
        ("snapshot", Signal::SIGTERM),
        ("walking", Signal::SIGINT),
        ("publishing", Signal::SIGHUP),
    ] {
        let mut worker = Worker::start(&["--hold", state]);
        let store = tempfile::tempdir().unwrap();
        let agent = Agent::start(store.path(), &["dump", "--pid", &worker.pid().to_string()]);
        worker.expect(&format!("at {state}"));
        agent.signal(signal);
        let ended = agent.end();
        assert!(ended.failed_with(130).contains(&format!("goes on without us, into {}", worker.path())), "{ended:?}");
        // The worker was not disturbed: its dump is published, and can be had.
        worker.go();
        worker.expect("ended");
        assert!(worker.has_its_files() && tree(store.path()).is_empty(), "{state}");
    }
}

#[test]
fn ctrl_c_while_storing() {
    let worker = Worker::start(&["--objects", "400000"]);
    let store = tempfile::tempdir().unwrap();
    let agent = Agent::start(store.path(), &["dump", "--pid", &worker.pid().to_string(), "--level", "19"]);
    let work = store.path().join(format!(".heapsee-agent.{}", host_name()));
    // Level 19 takes seconds for that many objects; the draft is there from the first moment.
    until("a draft", || names(&work).iter().any(|name| name.ends_with(".tmp")).then_some(()));
    agent.signal(Signal::SIGINT);
    let ended = agent.end();
    assert!(ended.failed_with(130).contains("nothing was stored, and the dump was kept as"), "{ended:?}");
    assert!(worker.has_its_files() && tree(store.path()).is_empty(), "{:?}", tree(store.path()));
}

#[test]
fn a_killed_agent_is_swept_up_after() {
    let worker = Worker::start(&["--objects", "400000"]);
    let store = tempfile::tempdir().unwrap();
    let pid = worker.pid().to_string();
    let mut agent = Agent::start(store.path(), &["dump", "--pid", &pid, "--level", "19"]);
    let work = store.path().join(format!(".heapsee-agent.{}", host_name()));
    until("a draft", || names(&work).iter().any(|name| name.ends_with(".tmp")).then_some(()));
    agent.process.kill();
    assert_eq!(tree(store.path()).len(), 1, "the draft of the killed agent should be there");
    assert!(worker.has_its_files());
    let path = Agent::run(store.path(), &["dump", "--pid", &pid, "--quiet"]).path();
    assert_eq!(names(&work), ["lock"]);
    assert_eq!(tree(store.path()).len(), 3);
    assert!(path.is_file());
}

#[test]
fn a_killed_worker_costs_nothing_once_it_has_published() {
    let mut worker = Worker::start(&["--hold", "publishing"]);
    let store = tempfile::tempdir().unwrap();
    let agent = Agent::start(store.path(), &["dump", "--pid", &worker.pid().to_string()]);
    worker.expect("at publishing");
    worker.go();
    worker.expect("ended");
    worker.process.kill();
    assert!(agent.end().path().is_file());
    assert!(worker.files().is_empty());
}

#[test]
fn an_interrupted_agent_leaves_the_lock_free() {
    let mut worker = Worker::start(&["--hold", "walking"]);
    let store = tempfile::tempdir().unwrap();
    let pid = worker.pid().to_string();
    let agent = Agent::start(store.path(), &["dump", "--pid", &pid]);
    worker.expect("at walking");
    agent.signal(Signal::SIGINT);
    agent.end().failed_with(130);
    worker.go();
    worker.expect("ended");
    fs::remove_file(worker.directory.path().join(&worker.files()[0])).unwrap();
    let again = Agent::start(store.path(), &["dump", "--pid", &pid]);
    worker.expect("at walking");
    worker.go();
    assert!(again.end().path().is_file());
}

fn host_name() -> String {
    let out = Command::new("uname").arg("-n").output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}
