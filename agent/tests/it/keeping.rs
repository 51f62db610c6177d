//! What stays in the store, and what goes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::*;

/// Dumps of one worker, oldest first.
fn dumps(store: &Path, count: usize) -> Vec<PathBuf> {
    let worker = Worker::start(&["--objects", "1000"]);
    let dump = |_| {
        let path = Agent::run(store, &["dump", "--pid", &worker.pid().to_string(), "--quiet"]).path();
        path.parent().unwrap().to_owned()
    };
    (0..count).map(dump).collect()
}

fn config(store: &Path, text: &str) -> String {
    let path = store.join(".agent.toml");
    fs::write(&path, format!("[store]\ndirectory = {store:?}\n{text}")).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_limits_are_kept_and_what_is_pinned_stays() {
    let store = tempfile::tempdir().unwrap();
    let dumps = dumps(store.path(), 4);
    fs::write(dumps[1].join("pinned"), "").unwrap();
    let config = config(store.path(), "[retention]\nmax_count = 2\nkeep_free = \"0B\"\n");
    let ended = Agent::run(store.path(), &["prune", "--config", &config, "--dry-run", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&report["schema"], &report["dry_run"]), (&"heapsee.agent.prune/1".into(), &true.into()));
    assert_eq!(report["deleted"].as_array().unwrap().len(), 2, "{report}");
    assert!(dumps.iter().all(|dump| dump.is_dir()));
    let ended = Agent::run(store.path(), &["prune", "--config", &config]);
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 2), "{ended:?}");
    // The middle goes first, but for the pinned one; then the oldest.
    let left: Vec<bool> = dumps.iter().map(|dump| dump.is_dir()).collect();
    assert_eq!(left, [false, true, false, true], "{ended:?}");
    assert_eq!(Agent::run(store.path(), &["prune", "--config", &config]).stdout, "");
}

#[test]
fn what_is_not_shipped_stays_unless_told() {
    let store = tempfile::tempdir().unwrap();
    let target = tempfile::tempdir().unwrap();
    let dumps = dumps(store.path(), 2);
    let text = |more: &str| {
        format!(
            "[retention]\nmax_size = \"1B\"\nkeep_free = \"0B\"\n{more}\n[ship]\nurl = \"file://{}\"\n",
            target.path().display()
        )
    };
    let keeping = config(store.path(), &text(""));
    let ended = Agent::run(store.path(), &["prune", "--config", &keeping]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
    assert!(ended.stderr.contains("pinned or not yet shipped, though the dumps take more than max_size"), "{ended:?}");
    let deleting = config(store.path(), &text("delete_unshipped = true"));
    let would = Agent::run(store.path(), &["prune", "--config", &deleting, "--dry-run"]);
    assert_eq!(would.stdout.lines().count(), 2, "{would:?}");
    let keeping = config(store.path(), &text(""));
    assert_eq!(Agent::run(store.path(), &["ship", "--config", &keeping]).code, Some(0));
    let ended = Agent::run(store.path(), &["prune", "--config", &keeping]);
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 2), "{ended:?}");
    assert!(dumps.iter().all(|dump| !dump.exists()));
}

/// A name that a process which is dead, or alive, gives to what it has not finished.
fn temporary(pid: u32, alive: bool) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let start: u64 = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap().parse().unwrap();
    format!(".heapsee-{pid}-{}-1.tmp", if alive { start } else { start + 1 })
}

/// As if nobody had written to it for two days.
fn grow_old(path: &Path) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 86_400)).unwrap();
}

#[test]
fn leftovers_of_the_dead_are_swept_and_nothing_else() {
    let store = tempfile::tempdir().unwrap();
    let dump = dumps(store.path(), 1).remove(0);
    let work = fs::read_dir(store.path()).unwrap().map(|entry| entry.unwrap().path());
    let work = work.filter(|path| path.join("lock").exists()).last().unwrap();
    let worker = Worker::start(&[]);
    let (pid, directory) = (std::process::id(), worker.directory.path());
    // Of the dead: in the store a draft and a note, in the dump directory a dump and a sidecar.
    let name = "meliae.2026-11-24T05:23:23.000123.4711.dump.meta.json";
    let draft = work.join(temporary(pid, false));
    fs::create_dir(&draft).unwrap();
    fs::write(draft.join("x"), "x").unwrap();
    let dead = [dump.join(temporary(pid, false)), directory.join(temporary(pid, false)), directory.join(name)];
    for path in &dead {
        fs::write(path, r#"{"process": {"pid": 4711, "start_time_ticks": 1}}"#).unwrap();
        grow_old(path);
    }
    // Of the living, or fresh, or open, or something else.
    let open = directory.join(".heapsee-1-1-2.tmp");
    let alive = [
        work.join(temporary(pid, true)),
        directory.join(temporary(worker.pid(), true)),
        open.clone(),
        directory.join(".heapsee-x.tmp"),
        directory.join("meliae.2026-11-24T05:23:23.000123.4712.dump"),
        directory.join("meliae.2026-11-24T05:23:23.000123.4712.dump.meta.json"),
    ];
    for path in &alive {
        fs::write(path, "{}").unwrap();
        grow_old(path);
    }
    let _held = fs::File::open(&open).unwrap();
    let fresh = directory.join(".heapsee-1-1-3.tmp");
    fs::write(&fresh, "").unwrap();
    std::os::unix::fs::symlink(&fresh, directory.join(".heapsee-1-1-4.tmp")).unwrap();
    let before = tree(store.path()).len() + names(directory).len();
    let ended = Agent::run(store.path(), &["sweep", "--dry-run", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let of_us = |row: &serde_json::Value| {
        let path = Path::new(row["path"].as_str().unwrap()).to_owned();
        path.starts_with(store.path()) || path.starts_with(directory)
    };
    let rows: Vec<_> = report["removed"].as_array().unwrap().iter().filter(|row| of_us(row)).collect();
    assert_eq!((&report["schema"], rows.len()), (&"heapsee.agent.sweep/1".into(), 4), "{ended:?}");
    assert_eq!(tree(store.path()).len() + names(directory).len(), before);
    let ended = Agent::run(store.path(), &["sweep"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(dead.iter().all(|path| !path.exists()) && !draft.exists(), "{ended:?}");
    assert!(alive.iter().all(|path| path.exists()) && fresh.exists() && dump.join("manifest.json").exists());
    assert!(directory.join(".heapsee-1-1-4.tmp").is_symlink());
}
