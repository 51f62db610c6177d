//! Dumps that are collected: verified, stored, and only then removed from the worker.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::harness::*;

fn pid(worker: &Worker) -> String {
    worker.pid().to_string()
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// SHA-256 by coreutils.
fn sha256(path: &Path) -> String {
    let out = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(out.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn a_dump_is_verified_compressed_and_stored() {
    let worker = Worker::start(&["--objects", "20000"]);
    let store = tempfile::tempdir().unwrap();
    let ended = Agent::run(store.path(), &["dump", "--pid", &pid(&worker)]);
    let path = ended.path();
    assert!(path.starts_with(store.path()), "{ended:?}");
    assert!(worker.files().is_empty(), "the originals are still there");
    let directory = path.parent().unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().strip_suffix(".zst").unwrap().to_owned();
    assert_eq!(names(directory), ["manifest.json".to_owned(), format!("{name}.meta.json"), format!("{name}.zst")]);
    // What comes out again is what the worker's own sidecar (written by Python) says.
    let plain = store.path().join("plain");
    fs::write(&plain, zstd::decode_all(fs::File::open(&path).unwrap()).unwrap()).unwrap();
    let sidecar = json(&directory.join(format!("{name}.meta.json")));
    let manifest = json(&directory.join("manifest.json"));
    assert_eq!(sidecar["file"]["sha256"], sha256(&plain));
    assert_eq!(manifest["schema"], "heapsee.manifest/1");
    assert_eq!(manifest["dump"]["sha256"], sha256(&plain));
    assert_eq!(manifest["dump"]["lines"], 20000);
    assert_eq!(manifest["stored"]["sha256"], sha256(&path));
    assert_eq!(manifest["stored"]["size"], fs::metadata(&path).unwrap().len());
    assert_eq!(manifest["worker"]["pid"], worker.pid());
    assert_eq!(manifest["times"]["pause_ns"], 12_300_000);
    assert!(ended.stderr.contains("Python stood still for 12.3 ms"), "{ended:?}");
}

#[test]
fn a_dump_can_be_stored_as_it_is_and_kept() {
    let worker = Worker::start(&[]);
    let store = tempfile::tempdir().unwrap();
    let path = Agent::run(store.path(), &["dump", "--pid", &pid(&worker), "--no-compress", "--keep"]).path();
    assert!(worker.has_its_files(), "{:?}", worker.files());
    let original = worker.directory.path().join(path.file_name().unwrap());
    assert_eq!(fs::read(&path).unwrap(), fs::read(original).unwrap());
}

#[test]
fn quiet_is_quiet_and_json_is_json() {
    let worker = Worker::start(&[]);
    let store = tempfile::tempdir().unwrap();
    let ended = Agent::run(store.path(), &["dump", "--pid", &pid(&worker), "--json", "--quiet"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["schema"], "heapsee.agent.dump/1");
    assert_eq!(report["originals"], "removed");
    assert_eq!(report["manifest"]["dump"]["lines"], 1000);
    assert!(Path::new(report["path"].as_str().unwrap()).is_file());
}

#[test]
fn an_empty_dump_is_a_dump() {
    let worker = Worker::start(&["--objects", "0"]);
    let store = tempfile::tempdir().unwrap();
    let path = Agent::run(store.path(), &["dump", "--pid", &pid(&worker)]).path();
    assert!(zstd::decode_all(fs::File::open(path).unwrap()).unwrap().is_empty());
}

#[test]
fn many_dumps_of_one_worker_are_all_kept_apart() {
    let worker = Worker::start(&[]);
    let store = tempfile::tempdir().unwrap();
    let mut paths: Vec<_> =
        (0..5).map(|_| Agent::run(store.path(), &["dump", "--pid", &pid(&worker), "--quiet"]).path()).collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), 5);
    assert!(paths.iter().all(|path| path.is_file()));
}

#[test]
fn any_signal_that_can_be_caught_will_do() {
    for signal in ["10", "12", "37"] {
        let worker = Worker::start(&["--signal", signal]);
        let store = tempfile::tempdir().unwrap();
        assert!(Agent::run(store.path(), &["dump", "--pid", &pid(&worker)]).path().is_file());
    }
}

#[test]
fn the_fattest_of_a_name_is_taken() {
    let thin = Worker::start(&["--title", "the-shop-of-this-test"]);
    let fat = Worker::start(&["--title", "the-shop-of-this-test", "--megabytes", "40"]);
    let store = tempfile::tempdir().unwrap();
    for arguments in [["--name", "THE-shop-of-this-test", "--keep"], ["--fattest", "--of", "the-shop-of-this-test"]] {
        let ended = Agent::run(store.path(), &[&["dump"], &arguments[..]].concat());
        let manifest = json(&ended.path().parent().unwrap().join("manifest.json"));
        assert_eq!(manifest["worker"]["pid"], fat.pid());
        assert!(ended.stderr.contains("is the fattest of 2 armed processes"), "{ended:?}");
    }
    assert!(thin.files().is_empty());
}

#[test]
fn a_pidfile_names_a_process() {
    let worker = Worker::start(&[]);
    let store = tempfile::tempdir().unwrap();
    let file = store.path().join("x.pid");
    fs::write(&file, format!("{}\n", worker.pid())).unwrap();
    assert!(Agent::run(store.path(), &["dump", "--pidfile", file.to_str().unwrap()]).path().is_file());
}

#[test]
fn a_pidfile_of_a_master_leads_to_its_fattest_armed_worker() {
    let fattest_but_unarmed = ["--megabytes", "80", "--block", "disarmed"];
    let server = Worker::start_server("the-pool", &[&[], &["--megabytes", "40"], &fattest_but_unarmed]);
    let store = tempfile::tempdir().unwrap();
    let file = store.path().join("x.pid");
    fs::write(&file, pid(&server)).unwrap();
    let ended = Agent::run(store.path(), &["dump", "--pidfile", file.to_str().unwrap()]);
    let manifest = json(&ended.path().parent().unwrap().join("manifest.json"));
    assert!(
        ended.stderr.contains(&format!("the fattest of 2 armed processes of master {}", pid(&server))),
        "{ended:?}"
    );
    assert_eq!((manifest["app"].as_str(), manifest["worker"]["server"].as_str()), (Some("the-pool"), Some("gunicorn")));
    assert_eq!(manifest["worker"]["master_pid"], server.pid());
    assert!(manifest["worker"]["rss_bytes"].as_u64().unwrap() > 40 << 20);
    // The master itself would not answer: it is left alone, and the error says who would.
    let ended = Agent::run(store.path(), &["dump", "--pid", &pid(&server)]);
    let line = ended.failed_with(4);
    assert!(
        line.contains("its workers are: use --pid") && line.contains(&manifest["worker"]["pid"].to_string()),
        "{line}"
    );
}

#[test]
fn a_pidfile_of_a_master_without_armed_workers() {
    let mut server = Worker::start_server("the-unarmed", &[&["--block", "disarmed"]]);
    let store = tempfile::tempdir().unwrap();
    let file = store.path().join("x.pid");
    fs::write(&file, pid(&server)).unwrap();
    let ended = Agent::run(store.path(), &["dump", "--pidfile", file.to_str().unwrap()]);
    assert!(
        ended.failed_with(4).contains(&format!("no process of master {} can be dumped", pid(&server))),
        "{ended:?}"
    );
    assert!(server.process.is_alive());
}

#[test]
fn a_dump_that_is_under_way_is_waited_for() {
    let mut worker = Worker::start(&["--hold", "walking"]);
    let first_store = tempfile::tempdir().unwrap();
    let first = Agent::start(first_store.path(), &["dump", "--pid", &pid(&worker), "--keep"]);
    worker.expect("at walking");
    let second_store = tempfile::tempdir().unwrap();
    let mut second = Agent::start(second_store.path(), &["dump", "--pid", &pid(&worker), "--keep"]);
    second.hear("already under way: waiting for that one");
    worker.go();
    let (first, second) = (first.end().path(), second.end().path());
    assert_eq!(first.file_name(), second.file_name());
    assert!(worker.has_its_files(), "a second dump was made: {:?}", worker.files());
    assert_eq!(json(&second.parent().unwrap().join("manifest.json"))["source"]["joined"], true);
}

#[test]
fn a_worker_that_dies_leaves_its_dump_child_to_finish() {
    for state in ["snapshot", "walking", "publishing"] {
        let mut worker = Worker::start(&["--child", "--hold", state]);
        let store = tempfile::tempdir().unwrap();
        let mut agent = Agent::start(store.path(), &["dump", "--pid", &pid(&worker)]);
        worker.expect(&format!("at {state}"));
        worker.process.kill();
        agent.hear("its dump child is still writing");
        worker.go();
        assert!(agent.end().path().is_file(), "{state}");
        assert!(worker.files().is_empty(), "{state}");
    }
}

#[test]
fn a_worker_of_another_user_can_be_dumped_by_root_and_by_that_user() {
    if !as_root() {
        return;
    }
    let worker = Worker::start(&["--uid", "65534", "--dumpable"]);
    let store = tempfile::tempdir().unwrap();
    assert!(Agent::run(store.path(), &["dump", "--pid", &pid(&worker)]).path().is_file());
    let agent = agent_of_nobody(&worker);
    assert!(agent.end().path().is_file());
    assert_eq!(worker.files(), ["store"]);
}

#[test]
fn a_worker_that_root_started_and_that_changed_its_user_needs_root() {
    if !as_root() {
        return;
    }
    let worker = Worker::start(&["--uid", "65534"]);
    let ended = agent_of_nobody(&worker).end();
    assert!(ended.failed_with(5).contains("it has changed its user since it started, so run as root"), "{ended:?}");
    let store = tempfile::tempdir().unwrap();
    assert!(Agent::run(store.path(), &["dump", "--pid", &pid(&worker)]).path().is_file());
}

/// The agent as user 65534, with a store of its own.
fn agent_of_nobody(worker: &Worker) -> Agent {
    let store = format!("{}/store", worker.path());
    Agent::start_with(Path::new("/nonexistent"), &["dump", "--store", &store, "--pid", &pid(worker)], |command| {
        command.uid(65534).gid(65534);
    })
}

#[test]
fn a_worker_in_a_container_is_reached() {
    // Its own mounts (the dump directory is a tmpfs that only it sees) and its own pids.
    let unshare = ["--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"];
    if !can_unshare(&unshare) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs none \"$1\" && mkdir \"$1/real\" && ln -s \"$1/real\" \"$1/link\" && exec python3 -c \"$2\" \"$1/link\"";
    let mut command = Command::new("unshare");
    command.args(unshare).args(["sh", "-c", script, "sh"]).arg(directory.path()).arg(include_str!("fake_worker.py"));
    let worker = Worker::spawn(command, directory);
    // unshare is our child, the worker is its child, and calls itself 1.
    let listed = Agent::run(worker.directory.path(), &["list", "--json", "--name", worker.path()]);
    let list: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    let row = list["workers"].as_array().unwrap().iter().find(|row| row["own_pid"] == 1).unwrap();
    let store = tempfile::tempdir().unwrap();
    let path = Agent::run(store.path(), &["dump", "--pid", &row["pid"].to_string()]).path();
    assert!(path.to_str().unwrap().ends_with(".1.dump.zst"), "{path:?}");
    assert!(worker.files().is_empty());
    let root = format!("/proc/{}/root{}/real", row["pid"], worker.path());
    assert!(names(Path::new(&root)).is_empty(), "the originals are still there");
}
