//! Every `--json` has a schema that its help names, and is what that schema says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::asked::{Dumps, dict, line, list, string};

const SIDECAR: &str = r#"{
    "schema": "heapsee.dump-meta/1", "host": {"hostname": "web-3"}, "python": {"version": "3.11.7"},
    "process": {"pid": 4711, "command_line": ["gunicorn", "app:app"], "server": "gunicorn"},
    "trigger": {"reason": "signal", "signal": 27, "requested_at": "2026-01-31T12:00:00Z"},
    "snapshot": {"mode": "fork"}, "timings": {"pause_ns": 12345678}, "memory": {"rss": 1073741824},
    "roots": [{"label": "sys.modules", "addresses": [16]}]
}"#;

/// References of every kind: a key and its value, an element, an attribute, what has no line, what nothing is known of.
fn heap() -> String {
    dict(16, &[(32, 48), (48, 64)])
        + &string(32, "it's")
        + &list(48, &[64, 999])
        + &line(64, "module", 5_000_000_000, "\"name\": \"m\", ", &[80])
        + &dict(80, &[(32, 96)])
        + &line(96, "int", 28, "\"value\": -9223372036854775808, ", &[])
        + &line(112, "odd", 0, "", &[96, 128])
        + &line(128, "cell", 40, "", &[96])
}

fn ask(dumps: &Dumps, verb: &str, options: &[&str], answer_has: &str) {
    for (name, sidecar) in [("with.dump", SIDECAR), ("without.dump", "")] {
        let path = dumps.write(name, &heap(), sidecar);
        let said = dumps.json(verb, &[&path], options).to_string();
        assert!(said.contains(answer_has), "{verb} {options:?}: {said}");
    }
}

#[test]
fn answers_are_what_their_schemas_say() {
    let dumps = Dumps::new();
    ask(&dumps, "summary", &[], "5000000000");
    ask(&dumps, "summary", &["--by", "count"], "\"order\":\"count\"");
    ask(&dumps, "path", &["--to", "96", "--all", "9"], "\"kind\":");
    ask(&dumps, "path", &["--from", "96", "--to", "16"], "\"paths\":[]");
    ask(&dumps, "path", &["--to", "96", "--reversed", "--from", "16"], "\"paths\":[]");
    ask(&dumps, "path", &["--to", "type = 'int'", "--merge"], "heapsee.merged-paths/1");
    ask(&dumps, "gc", &["--drop", "48"], "\"dropped_refs\":2");
    ask(&dumps, "query", &["select *, 1.5, 9e999, x'00ff', '' from obj"], "-9223372036854775808");
    ask(&dumps, "query", &["select * from obj where 0"], "\"rows\":[]");
    for address in ["16", "32", "48", "64", "96", "112"] {
        ask(&dumps, "info", &[address], "\"referrers\"");
        ask(&dumps, "refs", &[address], "\"parents\":false");
        ask(&dumps, "refs", &[address, "--parents"], "\"parents\":true");
    }
}

/// What the program says of itself.
fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_heapsee")).args(arguments).arg("--help").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_schema_that_a_help_text_names_is_there_and_no_other() {
    let overview = help(&[]);
    let verbs = overview.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let verbs = verbs.filter_map(|line| line.split_whitespace().next()).filter(|verb| *verb != "help");
    let texts: String = verbs.map(|verb| help(&[verb])).collect();
    let words = texts.split(|c: char| c.is_whitespace() || "();:,".contains(c)).map(|word| word.trim_end_matches('.'));
    let named: BTreeSet<String> = words
        .filter(|word| word.starts_with("heapsee.") && word.ends_with("/1"))
        .map(|word| word.replace('/', "-"))
        .collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| PathBuf::from(entry.unwrap().file_name()));
    let there: BTreeSet<String> = files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(named, there);
}
