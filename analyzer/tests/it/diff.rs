//! `heapsee diff` on dumps whose differences are known.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::asked::{Dumps, dict, line, list, string};

/// `app.cache` is a dict of `count` sessions, each with a list; `app.log` a list with `count` entries.
fn heap(count: u64) -> String {
    let sessions: Vec<u64> = (0..count).map(|i| 10_000 + 64 * i).collect();
    let entries: Vec<(u64, u64)> = sessions.iter().map(|&session| (session + 16, session)).collect();
    let mut text = dict(16, &[(32, 48)])
        + &string(32, "app")
        + &line(48, "module", 72, "\"name\": \"app\", ", &[64])
        + &dict(64, &[(80, 96), (112, 128)])
        + &string(80, "cache")
        + &dict(96, &entries)
        + &string(112, "log")
        + &list(128, &[80, 112]);
    for (i, &session) in sessions.iter().enumerate() {
        text += &list(session, &[session + 32]);
        text += &string(session + 16, &format!("user{i}"));
        text += &line(session + 32, "Session", 100, "", &[]);
    }
    text
}

fn sidecar(pid: u32, parent: u32, minute: u32) -> String {
    format!(
        r#"{{"schema": "heapsee.dump-meta/1", "roots": [{{"label": "sys.modules", "addresses": [16]}}],
        "host": {{"hostname": "h"}}, "trigger": {{"requested_at": "2026-01-31T12:{minute:02}:00Z"}},
        "process": {{"pid": {pid}, "parent_pid": {parent}, "start_time_ticks": {pid}}}}}"#
    )
}

fn dumps(of: &[(u64, u32, u32)]) -> (Dumps, Vec<PathBuf>) {
    let dumps = Dumps::new();
    let write = |(i, &(count, pid, minute)): (usize, &(u64, u32, u32))| {
        dumps.write(&format!("{i}.dump"), &heap(count), &sidecar(pid, 1, minute))
    };
    let paths = of.iter().enumerate().map(write).collect();
    (dumps, paths)
}

fn diff(of: &[(u64, u32, u32)]) -> Value {
    let (dumps, paths) = dumps(of);
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    dumps.json("diff", &paths, &["--max-items", "0"])
}

#[test]
fn a_cache_that_grows_is_one_row_whatever_its_keys_are() {
    let found = diff(&[(2, 7, 0), (30, 7, 30), (100, 7, 60 - 1)]);
    assert_eq!(found["relation"], "same_process");
    let rows = found["places"].as_array().unwrap();
    let largest = &rows[0];
    assert_eq!(largest["path"], "sys.modules['app'].cache[*]", "{found:#}");
    assert_eq!((&largest["with_all_below"], &largest["times"]), (&true.into(), &vec![2, 30, 100].into()));
    assert_eq!(largest["grown"]["bytes"], 98 * (64 + 100));
    // Two keys were few enough to be names; they are data all the same.
    assert!(!rows.iter().any(|row| row["path"].as_str().unwrap().contains("user")), "{found:#}");
    assert_eq!(found["new"]["objects"], 3 * 98);
    assert_eq!(found["gone"]["objects"], 0);
    assert_eq!(found["stayed"]["objects"], 3 * 28);
    assert!(largest["trend"]["r_squared"].as_f64().unwrap() > 0.9);
}

#[test]
fn slopes_are_an_hour() {
    let found = diff(&[(100, 7, 0), (200, 7, 15), (300, 7, 30)]);
    let slope = found["types"].as_array().unwrap().iter().find(|row| row["type"] == "Session").unwrap();
    assert_eq!(found["trend_unit"], "hour");
    assert!((slope["trend"]["slope"].as_f64().unwrap() - 40_000.0).abs() < 1e-6, "{slope}");
    assert!((slope["trend"]["r_squared"].as_f64().unwrap() - 1.0).abs() < 1e-9);
}

#[test]
fn other_workers_of_a_service_share_what_their_parent_had() {
    let found = diff(&[(5, 7, 0), (8, 9, 0), (9, 11, 0)]);
    assert_eq!((&found["relation"], &found["trend_unit"]), (&"same_service".into(), &Value::Null));
    // All but app.cache, which has another length.
    assert_eq!(found["common"]["objects"], 8 + 3 * 5 - 1);
    assert!(found["types"].as_array().unwrap().iter().all(|row| row["trend"].is_null()));
}

#[test]
fn nothing_changes_between_a_dump_and_itself() {
    let found = diff(&[(20, 7, 0), (20, 7, 1)]);
    for rows in ["types", "places", "packages"] {
        assert_eq!(found[rows].as_array().unwrap().len(), 0, "{rows}");
    }
    assert_eq!((&found["new"]["objects"], &found["gone"]["objects"]), (&0.into(), &0.into()));
}

#[test]
fn as_text_and_from_compressed_files() {
    let (dumps, paths) = dumps(&[(2, 7, 0), (30, 7, 30), (100, 7, 59)]);
    let compressed = paths[2].with_extension("dump.zst");
    let text = std::fs::read(&paths[2]).unwrap();
    std::fs::write(&compressed, zstd::encode_all(&text[..], 1).unwrap()).unwrap();
    let shown = dumps.text("diff", &[&paths[0], &paths[1], &compressed], &["--max-items", "4"]);
    let shown = shown.replace(paths[0].parent().unwrap().to_str().unwrap(), "DIR");
    insta::assert_snapshot!("diff", shown);
}

#[test]
fn one_dump_is_not_enough() {
    let (dumps, paths) = dumps(&[(2, 7, 0)]);
    let output = dumps.run("diff", &[&paths[0]], &[]);
    assert_eq!(output.status.code(), Some(2));
    let output = dumps.run("diff", &[&paths[0], Path::new("/nowhere.dump")], &[]);
    assert_eq!(output.status.code(), Some(3));
}
