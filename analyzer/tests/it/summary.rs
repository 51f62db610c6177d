//! `heapsee summary` as a person or a script meets it: output, exit codes, and what goes where.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const HEAPSEE: &str = env!("CARGO_BIN_EXE_heapsee");

const LINES: &str = "\
{\"address\": 16, \"type\": \"dict\", \"size\": 1000000, \"len\": 1, \"refs\": [32, 48, 7]}
{\"address\": 32, \"type\": \"str\", \"size\": 50, \"len\": 1, \"value\": \"k\", \"refs\": []}
{\"address\": 48, \"type\": \"str\", \"size\": 70, \"len\": 1, \"value\": \"v\", \"refs\": []}
{\"address\": 64, \"type\": \"int\", \"size\": 28, \"value\": 7, \"refs\": []}
";

const SIDECAR: &str = r#"{
    "schema": "heapsee.dump-meta/1", "host": {"hostname": "web-3"}, "python": {"version": "3.11.7"},
    "process": {"pid": 4711, "command_line": ["gunicorn", "app:app"], "server": "gunicorn"},
    "trigger": {"reason": "signal", "signal": 27, "requested_at": "2026-01-31T12:00:00Z"},
    "snapshot": {"mode": "fork"}, "timings": {"pause_ns": 12345678}, "memory": {"rss": 1073741824}
}"#;

/// A directory with a file in it, which anybody may read.
fn dump(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = dir.path().join("x.dump");
    fs::write(&path, content).unwrap();
    (dir, path)
}

fn summary(dump: &Path, options: &[&str]) -> Output {
    Command::new(HEAPSEE).arg("summary").arg(dump).args(options).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn text_without_a_sidecar() {
    let (_dir, path) = dump(LINES.as_bytes());
    let output = summary(&path, &[]);
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
    insta::assert_snapshot!(text(&output.stdout), @r"
    4 objects, 3 references, 3 types, 1000148 bytes (1.0 MiB)
    1 reference leads to addresses that are not in the dump

    Index Count     %    Size     %   Cum     Max Kind
        0     1  25.0 1000000 100.0 100.0 1000000 dict
        1     2  50.0     120   0.0 100.0      70 str
        2     1  25.0      28   0.0 100.0      28 int
    ");
}

#[test]
fn text_with_a_sidecar_by_count_and_cut_short() {
    let (dir, path) = dump(LINES.as_bytes());
    fs::write(dir.path().join("x.dump.meta.json"), SIDECAR).unwrap();
    let output = summary(&path, &["--by", "count", "--limit", "1"]);
    insta::assert_snapshot!(text(&output.stdout), @r"
    process  4711 (gunicorn) on web-3
    command  gunicorn app:app
    python   3.11.7
    dumped   2026-01-31T12:00:00Z by signal 27, mode fork
    paused   12.3 ms
    resident 1024.0 MiB
    4 objects, 3 references, 3 types, 1000148 bytes (1.0 MiB)
    1 reference leads to addresses that are not in the dump

    Index Count     % Size     %   Cum Max Kind
        0     2  50.0  120   0.0  50.0  70 str
    … and 2 rarer types (--limit 0 shows all)
    ");
}

#[test]
fn json_has_a_schema_and_the_same_figures() {
    let (dir, path) = dump(LINES.as_bytes());
    let output = json_of(&summary(&path, &["--json"]));
    assert_eq!(output["schema"], "heapsee.summary/1");
    assert_eq!(output["process"], Value::Null);
    assert_eq!(
        output["totals"],
        json!({"objects": 4, "refs": 3, "dangling_refs": 1, "bytes": 1_000_148, "types": 3, "broken_lines": 0, "repeated_lines": 0})
    );
    let largest = &output["types"][1];
    assert_eq!((&largest["type"], &largest["count"], &largest["bytes"]), (&json!("str"), &json!(2), &json!(120)));
    assert_eq!((&largest["max_bytes"], &largest["max_address"]), (&json!(70), &json!(48)));
    fs::write(dir.path().join("x.dump.meta.json"), SIDECAR).unwrap();
    let output = json_of(&summary(&path, &["--json", "--limit", "2"]));
    assert_eq!((&output["process"]["pid"], &output["process"]["pause_ns"]), (&json!(4711), &json!(12_345_678)));
    assert_eq!(output["types"].as_array().unwrap().len(), 2);
}

#[test]
fn broken_lines_are_told_of_on_standard_error_only() {
    let (_dir, path) = dump(format!("{LINES}oops\n").as_bytes());
    let output = summary(&path, &["--json"]);
    assert_eq!(output.status.code(), Some(0));
    let warning = format!("heapsee: {}: skipped 1 line that is no object: line 5: expected value", path.display());
    assert!(text(&output.stderr).starts_with(&warning), "{}", text(&output.stderr));
    assert_eq!(json_of(&output)["totals"]["broken_lines"], 1);
    assert_eq!(json_of(&output)["warnings"].as_array().unwrap().len(), 1);
}

/// One line on standard error that names the file and says `what`, nothing on standard output.
fn check_failure(output: &Output, path: &Path, code: i32, what: &str) {
    let error = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(code), ""), "{error}");
    assert!(error.starts_with(&format!("heapsee: {}: ", path.display())), "{error}");
    assert!(error.contains(what) && error.ends_with('\n') && error.lines().count() == 1, "{error}");
}

#[test]
fn bad_content() {
    let cut = &LINES.as_bytes()[..LINES.len() - 9];
    for (content, what) in [
        (&b""[..], "is empty"),
        (b"\0\x01\x02\n\0\n", "it is binary"),
        (b"hello\n", "none of its 1 lines is an object"),
        (cut, "truncated at byte 238: line 4 is cut off; copy it again, or add --salvage"),
    ] {
        let (_dir, path) = dump(content);
        check_failure(&summary(&path, &[]), &path, 1, what);
    }
    let (_dir, path) = dump(cut);
    let salvaged = summary(&path, &["--salvage", "--json"]);
    assert_eq!((salvaged.status.code(), &json_of(&salvaged)["totals"]["objects"]), (Some(0), &json!(3)));
    assert!(text(&salvaged.stderr).contains("truncated at byte 238"));
}

#[test]
fn input_that_cannot_be_read() {
    let (dir, path) = dump(LINES.as_bytes());
    check_failure(&summary(dir.path(), &[]), dir.path(), 3, "is a directory");
    let gone = dir.path().join("gone.dump");
    check_failure(&summary(&gone, &[]), &gone, 3, "no such file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    check_failure(&summary_as_nobody(&path), &path, 3, "permission denied");
}

/// Root may read everything: then the program, copied to where others may run it, runs as nobody.
fn summary_as_nobody(path: &Path) -> Output {
    const NOBODY: u32 = 65534;
    if fs::File::open(path).is_err() {
        return summary(path, &[]);
    }
    let program = path.with_file_name("heapsee");
    fs::copy(HEAPSEE, &program).unwrap();
    Command::new(program).arg("summary").arg(path).uid(NOBODY).gid(NOBODY).output().unwrap()
}

#[test]
fn usage() {
    for arguments in [&["summary"][..], &["summary", "x", "--by", "colour"], &["frobnicate"], &[]] {
        let output = Command::new(HEAPSEE).args(arguments).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""), "{arguments:?}");
    }
    for verb in [&["--help"][..], &["summary", "--help"], &["shell", "--help"]] {
        let output = Command::new(HEAPSEE).args(verb).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("Examples:"), "{verb:?}");
    }
    let help = Command::new(HEAPSEE).arg("--help").output().unwrap();
    assert!(text(&help.stdout).contains("Exit codes: 0"));
}

#[test]
fn a_reader_that_leaves_early_ends_it_quietly() {
    // More than a pipe holds, so that writing must fail once nobody reads.
    let lines: String = (1..5000)
        .map(|i| format!("{{\"address\": {}, \"type\": \"type_number_{i}\", \"size\": 1, \"refs\": []}}\n", i * 16))
        .collect();
    let (_dir, path) = dump(lines.as_bytes());
    let mut child = Command::new(HEAPSEE)
        .arg("summary")
        .arg(&path)
        .args(["--json", "--limit", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 10]).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
}
