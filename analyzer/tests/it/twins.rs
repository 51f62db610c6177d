//! `heapsee twins` on heaps in which something is there twice.

use serde_json::Value;

use super::asked::{Dumps, dict, line, list, string};

const SIDECAR: &str = r#"{"schema": "heapsee.dump-meta/1", "roots": [{"label": "sys.modules", "addresses": [16]}],
    "types": {"1600": {"module": "app", "qualname": "Store", "base": null},
              "1632": {"module": "app", "qualname": "Block", "base": null}}}"#;

/// A store of blocks from `base` on: an instance, its attributes, its list of blocks, each with a name and a number.
fn store(base: u64, blocks: u64, name: impl Fn(u64) -> String) -> String {
    let block = |i: u64| base + 128 + 64 * i;
    let mut text = line(base, "Store", 48, "", &[base + 16, 1600])
        + &dict(base + 16, &[(96, base + 32)])
        + &list(base + 32, &(0..blocks).map(block).collect::<Vec<_>>());
    for i in 0..blocks {
        text += &line(block(i), "Block", 48, "", &[block(i) + 16, 1632]);
        text += &dict(block(i) + 16, &[(112, block(i) + 32), (128, block(i) + 48)]);
        text += &string(block(i) + 32, &name(i));
        text += &line(block(i) + 48, "int", 28, &format!("\"value\": {}, ", 1000 + i), &[]);
    }
    text
}

/// `app.first` and `app.others['second']`, or both in `app.all`.
fn heap(stores: &str, together: bool) -> String {
    let places = if together { list(80, &[10_000, 90_000]) } else { dict(80, &[(144, 90_000)]) };
    let first = if together { 1600 } else { 10_000 };
    dict(16, &[(32, 48)])
        + &string(32, "app")
        + &line(48, "module", 72, "\"name\": \"app\", ", &[64])
        + &dict(64, &[(144, first), (160, 80)])
        + &places
        + &string(96, "blocks")
        + &string(112, "name")
        + &string(128, "number")
        + &string(144, "first")
        + &string(160, "others")
        + &line(1600, "type", 1064, "\"name\": \"Store\", ", &[])
        + &line(1632, "type", 1064, "\"name\": \"Block\", ", &[])
        + stores
}

fn twins(stores: &str, together: bool) -> (Value, String) {
    let dumps = Dumps::new();
    let path = dumps.write("x.dump", &heap(stores, together), SIDECAR);
    (dumps.json("twins", &[&path], &[]), dumps.text("twins", &[&path], &[]))
}

fn name(i: u64) -> String {
    format!("block {i}")
}

#[test]
fn a_store_loaded_twice() {
    let (found, text) = twins(&(store(10_000, 100, name) + &store(90_000, 100, name)), false);
    let group = &found["groups"][0];
    assert_eq!((&group["type"], &group["count"]), (&"Store".into(), &2.into()), "{found:#}");
    assert_eq!((&group["equal"], &group["alike"]), (&true.into(), &Value::Null));
    let paths: Vec<&str> = group["members"].as_array().unwrap().iter().map(|m| m["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["sys.modules['app'].first", "sys.modules['app'].others['first']"]);
    assert_eq!(found["group_count"], 1, "what is in twins is not told again: {found:#}");
    insta::assert_snapshot!("twins", text);
}

#[test]
fn one_that_has_changed_a_little_since() {
    let changed = |i| if i % 10 == 0 { format!("other {i}") } else { name(i) };
    let (found, _) = twins(&(store(10_000, 100, name) + &store(90_000, 98, changed)), false);
    let group = &found["groups"][0];
    assert_eq!((&group["type"], &group["equal"]), (&"Store".into(), &false.into()), "{found:#}");
    let shape = group["alike"]["shape_percent"].as_f64().unwrap();
    assert!(shape > 97.0 && shape < 99.0, "{group:#}");
    // 98 numbers and 88 names of 100 and 110.
    let content = group["alike"]["content_percent"].as_f64().unwrap();
    assert!((content - 100.0 * 186.0 / 210.0).abs() < 1e-9, "{group:#}");
}

#[test]
fn elements_of_a_collection_are_alike_by_nature() {
    let (found, text) = twins(&(store(10_000, 100, name) + &store(90_000, 100, |i| format!("other {i}"))), true);
    assert_eq!(found["groups"].as_array().unwrap().len(), 0, "{found:#}");
    assert_eq!(text, "Nothing large is there twice (of 10.0 kB and more to spare; --min-bytes looks for less)\n");
    let (found, _) = twins(&(store(10_000, 100, name) + &store(90_000, 100, name)), true);
    assert_eq!(found["groups"][0]["count"], 2, "unless they are equal: {found:#}");
}
