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
