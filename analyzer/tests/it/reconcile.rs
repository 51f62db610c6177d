//! `heapsee reconcile` on processes whose memory is known.

use super::asked::{Dumps, line};

fn sidecar(rss: u64, anonymous: u64, file: u64) -> String {
    format!(
        r#"{{"schema": "heapsee.dump-meta/1", "distributions": {{"numpy": {{"name": "numpy", "version": "2.0"}}}},
        "memory": {{"rss": {rss}, "rss_anonymous": {anonymous}, "rss_file": {file}, "rss_shared": 0, "swap": 0}}}}"#
    )
}

/// A hundred million bytes in objects, and some objects that point elsewhere.
fn heap() -> String {
    let mut text =
        line(16, "list", 100_000_000, "\"len\": 0, ", &[]) + &line(32, "numpy.random.Generator", 100, "", &[]);
    for i in 0..3 {
        text += &line(64 + 32 * i, "numpy.ndarray", 112, "", &[]);
    }
    text
}

#[test]
fn the_leak_is_in_pythons_heap() {
    let dumps = Dumps::new();
    let path = dumps.write("x.dump", &heap(), &sidecar(130_000_000, 110_000_000, 20_000_000));
    let found = dumps.json("reconcile", &[&path], &[]);
    assert_eq!(found["verdict"], "python_heap", "{found:#}");
    let sum: i64 = found["parts"].as_array().unwrap().iter().map(|part| part["bytes"].as_i64().unwrap()).sum();
    assert_eq!(sum, 130_000_000);
    let outside = found["outside"].as_array().unwrap();
    assert_eq!((&outside[0]["type"], &outside[0]["objects"]), (&"numpy.ndarray".into(), &3.into()));
    assert_eq!(
        (&outside[1]["type"], &outside[1]["holds"]),
        (&"numpy.random.Generator".into(), &serde_json::Value::Null)
    );
}

#[test]
fn it_is_not() {
    let dumps = Dumps::new();
    let path = dumps.write("x.dump", &heap(), &sidecar(1_000_000_000, 950_000_000, 50_000_000));
    assert_eq!(dumps.json("reconcile", &[&path], &[])["verdict"], "not_python");
    insta::assert_snapshot!("reconcile", dumps.text("reconcile", &[&path], &["--max-items", "1"]));
}

#[test]
fn what_is_not_known_is_said() {
    let dumps = Dumps::new();
    let path = dumps.write("x.dump", &heap(), "");
    let found = dumps.json("reconcile", &[&path], &[]);
    assert_eq!((&found["verdict"], &found["parts"]), (&"unknown".into(), &serde_json::json!([])));
    assert_eq!(found["notes"][0], "there is no sidecar that says how large the process was");
    let path = dumps.write("y.dump", &heap(), r#"{"memory": {"rss": 150000000}}"#);
    let found = dumps.json("reconcile", &[&path], &[]);
    assert_eq!(found["verdict"], "python_heap");
    assert!(found["notes"][0].as_str().unwrap().starts_with("the sidecar has only the sum"), "{found:#}");
}
