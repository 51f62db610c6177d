//! What the tests of single verbs share: a dump from a few lines, the program run on it, its JSON held against its schema.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A directory with dumps.
pub struct Dumps {
    dir: tempfile::TempDir,
}

/// One line of a dump; `more` are members such as `"len": 3, ` with a comma behind each.
pub fn line(address: u64, kind: &str, size: u64, more: &str, refs: &[u64]) -> String {
    format!("{{\"address\": {address}, \"type\": \"{kind}\", \"size\": {size}, {more}\"refs\": {refs:?}}}\n")
}

/// A `str`.
pub fn string(address: u64, value: &str) -> String {
    let len = value.len();
    line(address, "str", 49 + len as u64, &format!("\"len\": {len}, \"value\": \"{value}\", "), &[])
}

/// A `dict` with these keys and values, no larger than CPython 3.9 makes it.
pub fn dict(address: u64, entries: &[(u64, u64)]) -> String {
    let refs: Vec<u64> = entries.iter().flat_map(|&(key, value)| [key, value]).collect();
    let size = if entries.is_empty() { 64 } else { 232 };
    line(address, "dict", size, &format!("\"len\": {}, ", entries.len()), &refs)
}

/// A `list`, with no room to spare.
pub fn list(address: u64, elements: &[u64]) -> String {
    let last_first: Vec<u64> = elements.iter().rev().copied().collect();
    let size = 56 + 8 * elements.len() as u64;
    line(address, "list", size, &format!("\"len\": {}, ", elements.len()), &last_first)
}

impl Dumps {
    /// None yet.
    pub fn new() -> Dumps {
        Dumps { dir: tempfile::tempdir().unwrap() }
    }

    /// Writes one, with a sidecar if it is not empty.
    pub fn write(&self, name: &str, lines: &str, sidecar: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, lines).unwrap();
        if !sidecar.is_empty() {
            fs::write(self.dir.path().join(format!("{name}.meta.json")), sidecar).unwrap();
        }
        path
    }

    /// Runs a verb on dumps.
    pub fn run(&self, verb: &str, dumps: &[&Path], options: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_heapsee"));
        command.arg("--no-index").arg(verb).args(dumps).args(options).stdin(Stdio::null()).output().unwrap()
    }

    /// What it says as text.
    pub fn text(&self, verb: &str, dumps: &[&Path], options: &[&str]) -> String {
        let output = self.run(verb, dumps, options);
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it says as JSON, which is what the schema it names says it is.
    pub fn json(&self, verb: &str, dumps: &[&Path], options: &[&str]) -> Value {
        let output = self.run(verb, dumps, &[options, &["--json"]].concat());
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
        let value = serde_json::from_slice(&output.stdout).unwrap();
        check_schema(&value);
        value
    }
}

/// The schema `heapsee.x/1` is in `schemas/heapsee.x-1.json`.
fn check_schema(value: &Value) {
    let name = value["schema"].as_str().unwrap().replace('/', "-");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(format!("{name}.json"));
    let mut schemas = boon::Schemas::new();
    let schema = boon::Compiler::new().compile(file.to_str().unwrap(), &mut schemas).unwrap();
    if let Err(error) = schemas.validate(value, schema) {
        panic!("{name}: {error:#}\n{value:#}");
    }
}
