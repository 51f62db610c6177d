//! The golden dumps: small ones of every CPython, by heapsee, by meliae on 3.8, and by meliae on Python 2.7.
//!
//! What must be in them meliae's own loader said (`*.meliae.json`), and is known by how their heap was made
//! (`tests/golden/subject.py`). What our verbs say of each is kept as a snapshot.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

const MINORS: [&str; 9] = ["2.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15"];
const LINKS: u64 = 40;
const BLOCKS: u64 = 25;
const OLDEST: &str = "type = 'Link' and address not in \
    (select parent from ref, obj o where child = o.address and o.type = 'System')";

/// A copy of one dump, with its sidecar if it has one, so that an index may be put beside it.
struct Golden {
    dir: tempfile::TempDir,
    minor: &'static str,
}

impl Golden {
    fn of(minor: &'static str) -> Golden {
        let dir = tempfile::tempdir().unwrap();
        for name in [format!("cpython-{minor}.dump.zst"), format!("cpython-{minor}.dump.meta.json")] {
            let from = golden().join(&name);
            if from.exists() {
                std::fs::copy(from, dir.path().join(name)).unwrap();
            }
        }
        Golden { dir, minor }
    }

    fn ask(&self, verb: &str, options: &[&str]) -> Value {
        let dump = self.dir.path().join(format!("cpython-{}.dump.zst", self.minor));
        let mut command = Command::new(env!("CARGO_BIN_EXE_heapsee"));
        let done = command.arg(verb).arg(dump).args(options).arg("--json").stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "{}: {}", self.minor, String::from_utf8_lossy(&done.stderr));
        assert_eq!(String::from_utf8_lossy(&done.stderr), "", "{}", self.minor);
        serde_json::from_slice(&done.stdout).unwrap()
    }

    /// How many of these numbers others refer to, too. From 3.15 on the interpreter has one object for each up to 1024.
    fn shared_numbers(&self, from: u64, count: u64) -> u64 {
        if self.minor != "3.15" {
            return 0;
        }
        let up_to = from + count - 1;
        let sql = format!(
            "select count(*) from obj where type = 'int' and cast(value as int) between {from} and {up_to} \
             and referrers > 1"
        );
        self.ask("query", &[&sql])["rows"][0][0].as_u64().unwrap()
    }

    /// Whether instances have no dict that is an object of its own.
    fn has_inline_attributes(&self) -> bool {
        matches!(self.minor, "3.11" | "3.12" | "3.13" | "3.14" | "3.15")
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

#[test]
fn what_meliae_counts() {
    for minor in MINORS {
        let told = std::fs::read_to_string(golden().join(format!("cpython-{minor}.dump.meliae.json"))).unwrap();
        let theirs: Value = serde_json::from_str(&told).unwrap();
        let golden = Golden::of(minor);
        let read = golden.ask("summary", &["--limit", "0"]);
        let again = golden.ask("summary", &["--limit", "0"]);
        assert_eq!(read, again, "{minor}: by its index");
        let totals = &read["totals"];
        for (ours, told) in [("objects", "count"), ("bytes", "bytes"), ("refs", "refs")] {
            assert_eq!(totals[ours], theirs[told], "{minor}: {ours}");
        }
        let types = read["types"].as_array().unwrap();
        let ours = types.iter().map(|kind| {
            let name = kind["type"].as_str().unwrap().to_owned();
            (name, json!([kind["count"], kind["bytes"], kind["max_bytes"]]))
        });
        assert_eq!(Value::Object(ours.collect()), theirs["types"], "{minor}");
        assert_eq!((&totals["broken_lines"], &totals["repeated_lines"]), (&json!(0), &json!(0)), "{minor}");
        // What heapsee wrote leads nowhere outside; meliae leaves out what it made itself meanwhile.
        assert!(totals["dangling_refs"] == json!(0) || matches!(minor, "2.7" | "3.8"), "{minor}: {totals}");
    }
}

#[test]
fn what_their_heap_was_made_of() {
    for minor in MINORS {
        let golden = Golden::of(minor);
        let dicts = u64::from(!golden.has_inline_attributes());
        let freed = |kind: &str| golden.ask("gc", &["--drop", &format!("type = '{kind}'")])["freed"]["objects"].clone();
        // A link and a system, and the number of the link.
        assert_eq!(freed("System"), json!(LINKS * (3 + dicts) - golden.shared_numbers(500, LINKS)), "{minor}");
        // A block, its title, its weight and the number it is under; the shelf and the dict with the blocks.
        let shelf = BLOCKS * (4 + dicts) + 2 + dicts;
        assert_eq!(freed("Shelf"), json!(shelf - golden.shared_numbers(1000, BLOCKS)), "{minor}");
        let rows =
            golden.ask("query", &["select type, count(*) from obj where type in ('Block', 'Link') group by type"]);
        assert_eq!(rows["rows"], json!([["Block", BLOCKS], ["Link", LINKS]]), "{minor}");
    }
}

#[test]
fn what_the_verbs_say() {
    for minor in MINORS {
        let golden = Golden::of(minor);
        let way = golden.ask("path", &["--from", "name = 'golden.chain'", "--to", OLDEST]);
        let query = "select value, len from obj where type in ('str', 'unicode', 'bytes', 'int', 'long') and address in \
            (select child from ref where parent in (select child from ref where parent in (select child from ref where \
            parent = (select address from obj where name = 'golden.zoo')))) order by 1, 2";
        let said = json!({
            "path": {"expression": way["paths"][0]["expression"], "types": way["paths"][0]["types"]},
            "gc": golden.ask("gc", &["--drop", "type = 'Shelf'"]),
            "zoo": golden.ask("query", &[query])["rows"],
            "top": golden.ask("top", &["--by", "type", "--max-items", "5"]),
            "twins": golden.ask("twins", &["--max-items", "1"])["groups"],
        });
        insta::assert_snapshot!(format!("golden_{minor}"), serde_json::to_string_pretty(&said).unwrap());
    }
}
