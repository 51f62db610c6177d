//! `heapsee packages` on a heap whose owners are known.

use super::asked::{Dumps, dict, line, list, string};

const SIDECAR: &str = r#"{"schema": "heapsee.dump-meta/1", "roots": [{"label": "sys.modules", "addresses": [16]}],
    "types": {"1600": {"module": "lib.models", "qualname": "Row", "base": null},
              "1632": {"module": "builtins", "qualname": "object", "base": null}},
    "distributions": {"lib": {"name": "The-Lib", "version": "2.0"}}}"#;

/// `app.rows` is a list of two rows of the library's; a function of the library's is a global of the application, too.
fn heap() -> String {
    dict(16, &[(32, 48), (208, 224), (320, 336)])
        + &string(32, "app")
        + &line(48, "module", 72, "\"name\": \"app\", ", &[64])
        + &dict(64, &[(80, 96), (144, 160), (176, 192)])
        + &string(80, "__file__")
        + &string(96, "/srv/app.py")
        + &string(144, "rows")
        + &list(160, &[500, 520])
        + &string(176, "helper")
        + &line(192, "function", 136, "\"name\": \"helper\", ", &[240])
        + &string(208, "lib")
        + &line(224, "module", 72, "\"name\": \"lib\", ", &[240])
        + &dict(240, &[(176, 192), (256, 1600)])
        + &string(256, "Row")
        + &string(320, "json")
        + &line(336, "module", 72, "\"name\": \"json\", ", &[352])
        + &dict(352, &[(80, 368)])
        + &string(368, "/usr/lib/python3.11/json/__init__.py")
        + &line(500, "Row", 50, "", &[540, 1600])
        + &line(520, "Row", 50, "", &[1600])
        + &string(540, "of a row")
        + &line(1600, "type", 1064, "\"name\": \"Row\", ", &[1632])
        + &line(1632, "type", 408, "\"name\": \"object\", ", &[])
}

#[test]
fn everything_has_one_owner_and_what_goes_with_it() {
    let dumps = Dumps::new();
    let path = dumps.write("x.dump", &heap(), SIDECAR);
    let found = dumps.json("packages", &[&path], &[]);
    let package = |name: &str| {
        let all = found["packages"].as_array().unwrap();
        let row = all.iter().find(|row| row["name"] == name).unwrap();
        (row["shallow"]["objects"].as_u64().unwrap(), row["retained"]["objects"].as_u64())
    };
    // lib: module, dict, a key and its function (which the application holds, too), class, two rows and a string; with the
    // class goes its base, which is Python's own.
    assert_eq!(package("The-Lib"), (8, Some(9)), "{found:#}");
    // app: module, dict, three keys and __file__, list; without it the rows go as well, and with them the string.
    assert_eq!(package("app"), (7, Some(8)));
    assert_eq!(package("standard library").1, None);
    let sum: u64 =
        found["packages"].as_array().unwrap().iter().map(|row| row["shallow"]["bytes"].as_u64().unwrap()).sum();
    assert_eq!(sum + found["nobody"]["bytes"].as_u64().unwrap(), found["total"]["bytes"].as_u64().unwrap());
    insta::assert_snapshot!("packages", dumps.text("packages", &[&path], &["--max-items", "2"]));
}

#[test]
fn without_a_sidecar_there_are_still_modules() {
    let dumps = Dumps::new();
    let path = dumps.write("x.dump", &heap(), "");
    let found = dumps.json("packages", &[&path], &[]);
    assert_eq!(found["notes"].as_array().unwrap().len(), 1);
    assert!(found["packages"].as_array().unwrap().iter().any(|row| row["name"] == "app"));
}
