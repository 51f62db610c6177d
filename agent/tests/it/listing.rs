//! `heapsee-agent list`.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::*;

fn list(arguments: &[&str]) -> Vec<Value> {
    let ended = Agent::run(Path::new("/nonexistent"), &[&["list", "--json"], arguments].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let list: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(list["schema"], "heapsee.agent.list/1");
    list["workers"].as_array().unwrap().clone()
}

fn row(rows: &[Value], pid: u32) -> Option<&Value> {
    rows.iter().find(|row| row["pid"] == pid)
}

#[test]
fn an_armed_worker_is_listed_with_its_signal_and_directory() {
    let worker = Worker::start_with(&["--signal", "12"], |command| {
        command.env("HEAPSEE_LABEL", "blue");
    });
    let rows = list(&["--pss"]);
    let row = row(&rows, worker.pid()).unwrap();
    assert_eq!(row["armed"], true);
    assert_eq!((row["signal"].as_str(), row["signal_number"].as_u64()), (Some("SIGUSR2"), Some(12)));
    assert_eq!(row["directory"], worker.path());
    assert_eq!(row["python"], "3.11.7");
    assert_eq!(row["state"], "idle");
    assert_eq!(row["label"], "blue");
    assert!(row["cgroup"].as_str().unwrap().starts_with('/'), "{row}");
    assert!(row["rss_bytes"].as_u64().unwrap() > 1 << 20);
    assert!(row["pss_bytes"].as_u64().unwrap() > 1 << 18);
    assert!(row["reason"].is_null());
}

#[test]
fn an_unarmed_one_says_why_and_what_to_do() {
    let worker = Worker::start(&["--block", "nohandler"]);
    let rows = list(&[]);
    let row = row(&rows, worker.pid()).unwrap();
    assert_eq!(row["armed"], false);
    assert!(row["reason"].as_str().unwrap().contains("SIGPROF has no handler"), "{row}");
    assert!(row["advice"].as_str().unwrap().contains("install_memory_dumper"), "{row}");
}

#[test]
fn other_python_processes_are_shown_only_if_asked_for() {
    let mut command = Command::new(python());
    command.args(["-c", "print('ready', flush=True); input()"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = Guard { child: command.spawn().unwrap() };
    process.child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    assert!(row(&list(&[]), process.pid()).is_none());
    let all = list(&["--all"]);
    let row = row(&all, process.pid()).unwrap();
    assert_eq!((row["armed"].as_bool(), row["role"].as_str()), (Some(false), Some("process")));
    assert!(row["reason"].as_str().unwrap().contains("not installed"), "{row}");
}

#[test]
fn a_dump_child_is_no_worker() {
    let mut worker = Worker::start(&["--child", "--hold", "walking", "--title", "with-a-dump-child"]);
    let store = tempfile::tempdir().unwrap();
    let agent = Agent::start(store.path(), &["dump", "--pid", &worker.pid().to_string()]);
    worker.expect("at walking");
    let rows = list(&["--name", "with-a-dump-child"]);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((rows[0]["pid"].as_u64(), rows[0]["state"].as_str()), (Some(worker.pid().into()), Some("walking")));
    worker.go();
    agent.end().path();
}

#[test]
fn names_narrow_the_list() {
    let worker = Worker::start(&["--title", "narrow-the-list"]);
    let rows = list(&["--name", "Narrow-The-List"]);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["pid"], worker.pid());
    let ended = Agent::run(Path::new("/nonexistent"), &["list", "--name", "no-process-is-called-so"]);
    ended.failed_with(3);
}

#[test]
fn a_hostile_title_cannot_reach_the_terminal() {
    let hostile = "evil\u{1b}[2J\nX";
    let worker = Worker::start_with(&["--title", hostile], |command| {
        std::os::unix::process::CommandExt::arg0(command, "gunicorn: worker [a\u{1b}[2J\nb]");
    });
    let ended = Agent::run(Path::new("/nonexistent"), &["list", "--name", hostile]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stdout.contains('\u{1b}') && ended.stdout.contains("a\\u{1b}[2J\\nb"), "{ended:?}");
    assert_eq!(ended.stdout.lines().count(), 2, "{ended:?}");
    // Nor lead the store elsewhere.
    let store = tempfile::tempdir().unwrap();
    let path = Agent::run(store.path(), &["dump", "--pid", &worker.pid().to_string()]).path();
    assert!(path.starts_with(store.path().join("a__2J_b")), "{path:?}");
}

#[test]
fn the_table_has_a_row_for_each() {
    let workers = [Worker::start(&["--title", "two-rows"]), Worker::start(&["--title", "two-rows"])];
    let ended = Agent::run(Path::new("/nonexistent"), &["list", "--name", "two-rows"]);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{ended:?}");
    assert!(lines[0].contains("PID") && lines[0].contains("ARMED"));
    for worker in &workers {
        let line = lines.iter().find(|line| line.contains(&worker.pid().to_string())).unwrap();
        assert!(line.contains("SIGPROF") && line.contains(worker.path()), "{line}");
    }
}

#[test]
fn a_reader_that_has_gone_away_is_no_error() {
    let _worker = Worker::start(&[]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_heapsee-agent"));
    let out = command.args(["list", "--json"]).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let out = out.wait_with_output().unwrap();
    assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
}

#[test]
fn help_explains_verbs_examples_and_exit_codes() {
    for (arguments, expect) in [
        (&["--help"][..], "Exit codes:"),
        (&["dump", "--help"], "heapsee.manifest/1"),
        (&["list", "--help"], "heapsee.agent.list/1"),
    ] {
        let ended = Agent::run(Path::new("/nonexistent"), arguments);
        assert_eq!(ended.code, Some(0));
        assert!(ended.stdout.contains("Examples:") && ended.stdout.contains(expect), "{ended:?}");
    }
}
