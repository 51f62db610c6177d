//! The columns of `obj` that are found out, on a heap small enough to know them.

use std::path::Path;

use heapsee::sql::Session;
use heapsee_heap::load::{LoadOptions, load};

/// sys.modules → app (a module) → its dict → Thing; a frame of thread 7 → a list that only it holds, and the Thing.
const LINES: &str = r#"{"address": 16, "type": "dict", "size": 1, "len": 1, "refs": [32, 48]}
{"address": 32, "type": "str", "size": 2, "len": 3, "value": "app", "refs": []}
{"address": 48, "type": "module", "size": 4, "name": "app", "refs": [64]}
{"address": 64, "type": "dict", "size": 8, "len": 1, "refs": [80, 96]}
{"address": 80, "type": "str", "size": 16, "len": 5, "value": "thing", "refs": []}
{"address": 96, "type": "Thing", "size": 32, "refs": [112]}
{"address": 112, "type": "type", "size": 64, "name": "Thing", "refs": [112]}
{"address": 128, "type": "frame", "size": 128, "value": "work", "refs": [144, 96]}
{"address": 144, "type": "list", "size": 256, "len": 0, "refs": []}
"#;
const SIDECAR: &str = r#"{
    "roots": [{"label": "sys.modules", "addresses": [16]}, {"label": "thread 7", "addresses": [128]}],
    "types": {"112": {"module": "things.core", "qualname": "Thing", "base": null}},
    "distributions": {"things": {"name": "Things-Dist", "version": "1.2"}}
}"#;

fn session(folder: &Path) -> Session {
    std::fs::write(folder.join("x.dump"), LINES).unwrap();
    std::fs::write(folder.join("x.dump.meta.json"), SIDECAR).unwrap();
    let loader = |path: &Path, salvage| load(path, &LoadOptions { salvage, ..LoadOptions::default() });
    let mut session = Session::create(&folder.join("s.db"), loader).unwrap();
    session.read(&folder.join("x.dump"), false).unwrap();
    session
}

fn texts(session: &Session, sql: &str) -> Vec<String> {
    let each = |rows: &mut Vec<String>, row: &rusqlite::Row<'_>| -> Result<(), heapsee::sql::SessionError> {
        let cell: Option<String> = row.get(0)?;
        rows.push(cell.unwrap_or_default());
        Ok(())
    };
    session.query(sql, (), |_| Vec::new(), each).unwrap()
}

#[test]
fn module_package_thread_and_distance() {
    let folder = tempfile::tempdir().unwrap();
    let session = session(folder.path());
    let ask = |column: &str| texts(&session, &format!("select cast({column} as text) from obj order by address"));
    assert_eq!(ask("distance"), ["1", "2", "2", "3", "4", "2", "3", "1", "2"]);
    let things = "things.core";
    assert_eq!(ask("module"), ["", "", "app", "app", "app", things, things, "", ""]);
    assert_eq!(ask("package"), ["", "", "app", "app", "app", "Things-Dist", "Things-Dist", "", ""]);
    assert_eq!(ask("thread"), ["", "", "", "", "", "", "", "thread 7", "thread 7"]);
    assert_eq!(ask("referrers"), ["1", "1", "1", "1", "1", "2", "2", "1", "1"]);

    // They follow what is deleted, and are no part of what `*` shows.
    session.execute("delete from ref where parent = 64 and child = 96").unwrap();
    assert_eq!(ask("thread")[5], "thread 7");
    session.execute("delete from ref where child = 128").unwrap();
    assert_eq!(
        [ask("distance"), ask("module"), ask("thread"), ask("retained")].map(|column| column[7].clone()),
        [""; 4]
    );
}

#[test]
fn an_update_leaves_them_alone_or_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let session = session(folder.path());
    for column in
        ["distance = 9", "module = 'x'", "package = null", "thread = 'thread 7'", "root = 'x'", "referents = 1"]
    {
        let refused = session.execute(&format!("update obj set {column}")).unwrap_err().to_string();
        assert!(refused.contains("leave it out"), "{column}: {refused}");
    }
    assert_eq!(session.execute("update obj set size = 1 where distance = 3 and package = 'Things-Dist'").unwrap(), 1);
    let joined =
        "update obj set size = 5 from ref where child = obj.address and obj.thread = 'thread 7' and parent = 128";
    assert_eq!(session.execute(joined).unwrap(), 1);
    assert!(session.execute("insert into obj (address, type, module) values (500, 'x', 'y')").is_err());
    assert_eq!(session.execute("insert into obj (address, type) values (500, 'x')").unwrap(), 1);
}

#[test]
fn the_documentation_names_every_column() {
    let folder = tempfile::tempdir().unwrap();
    let session = session(folder.path());
    let text = include_str!("../../docs/sql.md");
    for table in ["obj", "ref"] {
        let section = text.split(&format!("## {table}:")).nth(1).unwrap().split("\n## ").next().unwrap();
        let columns = texts(&session, &format!("select name from pragma_table_xinfo('{table}')"));
        let documented: Vec<&str> =
            section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        assert_eq!(columns, documented);
    }
}
