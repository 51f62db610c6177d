//! `heapsee threads` on stacks that are known.

use super::asked::{Dumps, dict, line, list, string};

const SIDECAR: &str = r#"{"schema": "heapsee.dump-meta/1", "roots": [{"label": "sys.modules", "addresses": [16]},
        {"label": "thread 7", "addresses": [48, 64]}, {"label": "thread 8", "addresses": [80]}],
    "threads": [
        {"ident": 7, "native_id": 71, "frames": [
            {"address": 48, "file": "/srv/app.py", "line": 3, "function": "view"},
            {"address": 64, "file": "/srv/app.py", "line": 9, "function": "wsgi"}]},
        {"ident": 8, "frames": [{"address": 80, "file": "/srv/worker.py", "line": 1, "function": "loop"}]}]}"#;

/// `wsgi(environ)` calls `view(environ)`, which has a list of its own; another thread has a string. Both hold a list that
/// nobody else does, and one that is a global.
fn heap() -> String {
    dict(16, &[(1000, 112)])
        + &line(48, "frame", 400, "\"value\": \"view\", ", &[64, 224, 144, 160])
        + &line(64, "frame", 400, "\"value\": \"wsgi\", ", &[224])
        + &line(224, "cell", 40, "", &[96])
        + &line(80, "frame", 500, "\"value\": \"loop\", ", &[112, 160, 176])
        + &dict(96, &[(1016, 1032), (1048, 1064), (1080, 1096)])
        + &list(112, &[])
        + &list(144, &[192, 208, 112])
        + &list(160, &[])
        + &string(176, "of the loop")
        + &string(192, "one")
        + &string(208, "two")
        + &string(1000, "global")
        + &string(1016, "REQUEST_METHOD")
        + &string(1032, "GET")
        + &string(1048, "PATH_INFO")
        + &string(1064, "/report")
        + &string(1080, "QUERY_STRING")
        + &string(1096, "id=7")
}

#[test]
fn what_would_go_with_each_stack() {
    let dumps = Dumps::new();
    let path = dumps.write("x.dump", &heap(), SIDECAR);
    let found = dumps.json("threads", &[&path], &[]);
    let threads = found["threads"].as_array().unwrap();
    assert_eq!((&threads[0]["ident"], &threads[0]["request"]), (&7.into(), &"GET /report?id=7".into()));
    // Two frames, a cell with the environment and its six strings, a list with two.
    assert_eq!(threads[0]["alone"]["objects"], 2 + 8 + 3);
    let frames = threads[0]["frames"].as_array().unwrap();
    assert_eq!((&frames[0]["alone"]["objects"], &frames[1]["alone"]["objects"]), (&4.into(), &9.into()));
    assert_eq!(frames[0]["largest"][0]["address"], 144);
    assert_eq!((&threads[1]["alone"]["objects"], &threads[1]["request"]), (&2.into(), &serde_json::Value::Null));
    assert_eq!(found["several"]["objects"], 1, "the list that both hold and nobody else");
    insta::assert_snapshot!("threads", dumps.text("threads", &[&path], &["--max-items", "1"]));
}

#[test]
fn tasks_keep_what_they_work_on() {
    let text = line(16, "_asyncio.Task", 200, "", &[32, 48])
        + &string(32, "Task-1")
        + &line(48, "coroutine", 200, "", &[64])
        + &dict(64, &[(80, 96), (112, 128), (144, 160)])
        + &string(80, "type")
        + &string(96, "http")
        + &string(112, "path")
        + &string(128, "/x")
        + &string(144, "method")
        + &string(160, "PUT")
        + &line(176, "Task", 48, "", &[]);
    let dumps = Dumps::new();
    let path = dumps.write("x.dump", &text, "");
    let found = dumps.json("threads", &[&path], &[]);
    assert_eq!((&found["thread_count"], &found["task_count"]), (&0.into(), &1.into()), "not every Task is asyncio's");
    let task = &found["tasks"][0];
    assert_eq!(
        (&task["name"], &task["request"], &task["retained"]["objects"]),
        (&"Task-1".into(), &"PUT /x".into(), &10.into())
    );
    assert_eq!(found["notes"][0], "there is no sidecar that tells of threads");
}
