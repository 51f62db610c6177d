//! `heapsee waste` and `heapsee duplicates` on a heap whose waste is known.

use std::path::PathBuf;

use super::asked::{Dumps, dict, line, list, string};

const SIDECAR: &str = r#"{"schema": "heapsee.dump-meta/1", "python": {"version": "3.9.18"},
    "roots": [{"label": "sys.modules", "addresses": [16]}],
    "types": {"1600": {"module": "app", "qualname": "Session", "base": null}}}"#;

/// `app.cache` is a list with room for 100 and three sessions in it, whose attributes are in dicts; each has a name that
/// equals the others' and a list of eight floats of its own.
fn heap() -> String {
    let mut text = dict(16, &[(32, 48)])
        + &string(32, "app")
        + &line(48, "module", 72, "\"name\": \"app\", ", &[64])
        + &dict(64, &[(80, 96), (2000, 1600)])
        + &string(80, "cache")
        + &line(96, "list", 56 + 8 * 100, "\"len\": 3, ", &[112, 128, 144])
        + &line(1600, "type", 1064, "\"name\": \"Session\", ", &[])
        + &string(2000, "Session")
        + &string(2016, "name")
        + &string(2032, "scores")
        + &string(2048, "seen");
    for (i, session) in [112u64, 128, 144].into_iter().enumerate() {
        let base = 4096 * (i as u64 + 1);
        let floats: Vec<u64> = (0..8).map(|i| base + 512 + 16 * i).collect();
        text += &line(session, "Session", 48, "", &[base, 1600]);
        text += &dict(base, &[(2016, base + 16), (2032, base + 32), (2048, base + 48)]);
        text += &string(base + 16, "Ada Lovelace");
        text += &list(base + 32, &floats);
        text += &line(base + 48, "set", 216, "\"len\": 0, ", &[]);
        text += &floats.iter().map(|&float| line(float, "float", 24, "", &[])).collect::<String>();
    }
    text
}

fn dumps() -> (Dumps, PathBuf) {
    let dumps = Dumps::new();
    let path = dumps.write("x.dump", &heap(), SIDECAR);
    (dumps, path)
}

#[test]
fn every_kind_with_its_bytes_and_places() {
    let (dumps, path) = dumps();
    let found = dumps.json("waste", &[&path], &[]);
    let kind = |name: &str| {
        let kinds = found["kinds"].as_array().unwrap();
        let kind = kinds.iter().find(|kind| kind["kind"] == name).unwrap();
        let place = kind["places"].get(0).map(|place| place["path"].as_str().unwrap().to_owned());
        (kind["objects"].as_u64().unwrap(), kind["bytes"].as_u64().unwrap(), place.unwrap_or_default())
    };
    // Room for 100 elements; four would do.
    assert_eq!(kind("over_allocated"), (1, 8 * 96, "sys.modules['app'].cache".to_owned()));
    assert_eq!(kind("empty_containers"), (3, 3 * 216, "sys.modules['app'].cache[*].seen".to_owned()));
    assert_eq!(kind("attribute_dicts"), (3, 3 * (232 - 3 * 8), "sys.modules['app'].cache[*].__dict__".to_owned()));
    assert_eq!(kind("boxed_numbers"), (3, 3 * 8 * 24, "sys.modules['app'].cache[*].scores".to_owned()));
    assert_eq!(kind("duplicates"), (2, 2 * 61, String::new()));
    let duplicates = found["kinds"].as_array().unwrap().iter().find(|kind| kind["kind"] == "duplicates").unwrap();
    assert_eq!(duplicates["values"][0]["path"], "sys.modules['app'].cache[*].name");
    assert_eq!(found["notes"].as_array().unwrap().len(), 0);
}

#[test]
fn as_text_and_cut_short() {
    let (dumps, path) = dumps();
    insta::assert_snapshot!("waste", dumps.text("waste", &[&path], &["--max-items", "1"]));
    insta::assert_snapshot!("duplicates", dumps.text("duplicates", &[&path], &["--max-items", "2"]));
}

#[test]
fn duplicates_are_counted_once_and_placed() {
    let (dumps, path) = dumps();
    let found = dumps.json("duplicates", &[&path], &["--max-items", "0"]);
    // Equal: the names; the empty sets. Not equal: dicts and lists whose floats have no value in a dump.
    let groups = found["groups"].as_array().unwrap();
    let values: Vec<(&str, u64)> =
        groups.iter().map(|group| (group["value"].as_str().unwrap(), group["spare_bytes"].as_u64().unwrap())).collect();
    assert_eq!(values, [("set()", 2 * 216), ("'Ada Lovelace'", 2 * 61)]);
    assert_eq!(groups[1]["count_there"], 3);
    assert_eq!(found["types"][0]["shareable"], false);
}

#[test]
fn other_interpreters_sizes_are_not_guessed_at() {
    let dumps = Dumps::new();
    let text = line(16, "list", 73, "\"len\": 1, ", &[32]) + &line(32, "dict", 280, "\"len\": 0, ", &[]);
    let path = dumps.write("x.dump", &text, "");
    let found = dumps.json("waste", &[&path], &[]);
    assert!(found["notes"][0].as_str().unwrap().starts_with("2 containers have sizes that 64-bit CPython"), "{found}");
}
