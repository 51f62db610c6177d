//! The shell as a user meets it: scripts through a pipe on a tiny heap, and what comes out.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A folder of its own with the heap of the seed in it, and the program run there.
struct Place {
    folder: tempfile::TempDir,
}

/// What a run said.
struct Said {
    out: String,
    err: String,
    code: Option<i32>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("stage-dump.meliae"), two_stores()).unwrap();
        Place { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str], script: &str) -> Said {
        let mut child = Command::new(env!("CARGO_BIN_EXE_heapsee"))
            .arg("shell")
            .args(arguments)
            .current_dir(self.folder.path())
            .env("XDG_STATE_HOME", self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A shell that stops early closes the pipe: that is for the caller to see in its output.
        let _ = child.stdin.take().unwrap().write_all(script.as_bytes());
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { out: text(stdout), err: text(stderr), code: status.code() }
    }

    /// What `script` says about the heap, which it need not read itself; it must not fail.
    fn ask(&self, script: &str) -> String {
        let said = self.run(&["stage-dump.meliae", "--strict"], script);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{}", said.out);
        said.out.split_inclusive('\n').skip(3).collect()
    }

    /// The complaint about the last line of `script`, which must fail.
    fn complaint(&self, script: &str) -> String {
        let said = self.run(&["stage-dump.meliae"], script);
        assert_eq!(said.code, Some(0), "without --strict a failed command is not the program's");
        let complaint = said.err.lines().next().unwrap_or_default();
        complaint.strip_prefix("*** ").unwrap_or_else(|| panic!("no complaint: {}", said.out)).to_owned()
    }
}

const FIRST_STORE: u64 = 109_863_312;
const SECOND_STORE: u64 = 110_810_832;

/// The seed's heap in small, with the seed's own addresses.
fn two_stores() -> String {
    let mut heap = Lines::default();
    heap.add(1_294_669_280, "frame", 512, r#""value": "wait", "#, &[13_270_096]);
    heap.dict(13_270_096, 3352, &[140_244_885_039_992]);
    heap.module(140_244_885_039_992, "sys", 12_619_664);
    heap.dict(12_619_664, 3352, &[12_611_920]);
    heap.dict(12_611_920, 786_712, &[110_783_296, 47_884_224]);
    heap.module(47_884_224, "xmodule.modulestore.django", 47_993_568);
    heap.dict(47_993_568, 3352, &[88_346_448]);
    heap.mixed_store(88_346_448, 88_505_440, 88_367_256, FIRST_STORE);
    heap.module(110_783_296, "open_ended_grading.utils", 111_050_032);
    heap.dict(111_050_032, 3352, &[110_779_280]);
    heap.instance(110_779_280, "LmsModuleSystem", 111_034_352);
    heap.dict(111_034_352, 3352, &[111_031_056]);
    heap.dict(111_031_056, 280, &[110_809_360]);
    heap.instance(110_809_360, "LibraryToolsService", 111_033_776);
    heap.dict(111_033_776, 280, &[110_780_112]);
    heap.mixed_store(110_780_112, 111_043_728, 109_985_944, SECOND_STORE);
    heap.store(FIRST_STORE, 110_265_552, 300_000_000);
    heap.store(SECOND_STORE, 110_265_600, 400_000_000);
    heap.text
}

#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    fn add(&mut self, address: u64, kind: &str, size: u64, more: &str, refs: &[u64]) {
        let refs: Vec<_> = refs.iter().map(u64::to_string).collect();
        let head = format!("{{\"address\": {address}, \"type\": \"{kind}\", \"size\": {size}, ");
        let _ = writeln!(self.text, "{head}{more}\"refs\": [{}]}}", refs.join(", "));
    }

    fn dict(&mut self, address: u64, size: u64, refs: &[u64]) {
        self.add(address, "dict", size, &format!("\"len\": {}, ", refs.len()), refs);
    }

    fn module(&mut self, address: u64, name: &str, dict: u64) {
        self.add(address, "module", 56, &format!("\"name\": \"{name}\", "), &[dict]);
    }

    fn instance(&mut self, address: u64, kind: &str, dict: u64) {
        self.add(address, kind, 64, "", &[dict]);
    }

    fn mixed_store(&mut self, address: u64, dict: u64, list: u64, store: u64) {
        self.instance(address, "MixedModuleStore", dict);
        self.dict(dict, 1048, &[list]);
        self.add(list, "list", 104, "\"len\": 1, ", &[store]);
    }

    /// A store with 161 courses, each of which refers back to it.
    fn store(&mut self, address: u64, dict: u64, base: u64) {
        let courses: Vec<u64> = (0..161).map(|i| base + 1000 * i).collect();
        self.instance(address, "XMLModuleStore", dict);
        self.dict(dict, 1048, &courses);
        for course in courses {
            self.instance(course, "CourseDescriptorWithMixins", course + 100);
            self.dict(course + 100, 1048, &[course + 200, address]);
            self.instance(course + 200, "KvsFieldData", course + 300);
            self.add(course + 300, "str", 60, "\"len\": 4, \"value\": \"it's\", ", &[]);
        }
    }
}

/// Every command of the transcript as it stands there, comments, blank lines and the `;` included.
const TRANSCRIPT: &str = r#"
# Initialized a database to store the dump
::> create stage-dump.db

# Import the dump data
::> read stage-dump.meliae
# Find out which objects are most common
::> select count(*), type from obj group by type order by 1;
::> path from "address in 0&" to "type = 'KvsFieldData'"
# Let's look at the two XMLModuleStores.
::> select * from obj where type = 'XMLModuleStore'
# We can find the path to the root for each of them
::> path from "address = 110810832" to "address in 0&" reversed
::> select * from obj where address = 110783296;
::> path from "address = 109863312" to "address in 0&" reversed
# Release all references to the XMLModuleStore
::> delete from ref where child = 110810832
# Garbage collect objects
::> gc
"#;

#[test]
fn the_seeds_transcript_runs_as_written() {
    let place = Place::new();
    let said = place.run(&["--strict"], TRANSCRIPT);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let blank = without_time(&said.out);
    insta::assert_snapshot!("transcript", blank);
}

/// The summary line with its seconds taken out.
fn without_time(text: &str) -> String {
    let lines = text.lines().map(|line| match line.rsplit_once(" bytes (") {
        Some((line, time)) if time.ends_with("s)") => format!("{line} bytes (…)"),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn results_have_labels_that_queries_understand() {
    let out = Place::new().ask(
        "select address, type from obj where type like '%ModuleStore' order by address\n\
         echo #0.1 and #0.address\n\
         select count(*) n from obj where address in #0.address and type = 'XMLModuleStore'\n\
         select count(*) n, min(parent) p from ref where child = #0.3\n\
         select type from obj where address in #0.3^^ group by type\n\
         select address from obj where address in 0&&&\n\
         select address from obj where address in #4.0& and size&8 = 8\n",
    );
    insta::assert_snapshot!(out, @r"
    #                 address type
    -------- ---------------- --------------------
    #0.0             88346448 MixedModuleStore
    #0.1            109863312 XMLModuleStore
    #0.2            110780112 MixedModuleStore
    #0.3            110810832 XMLModuleStore
    109863312 and (88346448, 109863312, 110780112, 110810832)
    #                 n
    -------- ----------
    #1.0              2
    #                 n          p
    -------- ---------- ----------
    #2.0            162  109985944
    #        type
    -------- --------------------------
    #3.0     CourseDescriptorWithMixins
    #3.1     dict
    #                 address
    -------- ----------------
    #4.0      140244885039992
    #                 address
    -------- ----------------
    #5.0             12619664
    ");
}

#[test]
fn rows_for_programs_are_kept_as_well() {
    let out = Place::new().ask(
        "select address, type from obj where type like '%ModuleStore' order by address limit 2 --json\n\
         with t as (select 1 a, null b, 'x,y' c) select * from t; --csv\n\
         select count(*) n from obj where address in #0.address\nselect 1 n -- json\n",
    );
    insta::assert_snapshot!(out, @r#"
    {"schema": "heapsee.query/1", "columns": ["address","type"], "rows": [
    [88346448,"MixedModuleStore"],
    [109863312,"XMLModuleStore"]
    ]}
    a,b,c
    1,,"x,y"
    #                 n
    -------- ----------
    #2.0              2
    #                 n
    -------- ----------
    #3.0              1
    "#);
}

#[test]
fn names_are_defined_shown_and_kept() {
    let place = Place::new();
    let said = place.run(
        &["--strict"],
        "create s.db\nread stage-dump.meliae\nselect address from obj where type = 'XMLModuleStore' order by 1 desc\n\
         set leak #0.0\nset an.other:one $leak\nset leak 110810832\nset\necho $leak '$leak' an $an.other:one.\n\
         select address, type from obj where address in ($leak, 109863312)\n",
    );
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!(after_read(&said.out), @r"
    #                 address
    -------- ----------------
    #0.0            110810832
    #0.1            109863312
    name            value
    --------------- ------------------------------
    an.other:one    110810832
    leak            110810832
    110810832 '$leak' an 110810832.
    #                 address type
    -------- ---------------- --------------------
    #1.0            109863312 XMLModuleStore
    #1.1                $leak XMLModuleStore
    ");
    let again =
        place.run(&["s.db", "--strict"], "echo $leak\nselect parent, child from ref where child = $leak limit 1\n");
    insta::assert_snapshot!(again.out, @r"
    110810832
    #                 parent           child
    -------- --------------- ---------------
    #0.0           109985944           $leak
    ");
}

#[test]
fn columns_get_the_width_they_are_given() {
    let out = Place::new().ask(
        "width type 6 name 30 value 4 size 5\n\
         select type, name, value, size from obj where type = 'module' order by name limit 1\n\
         select address * 1000000 as big, 'some text of some length' t, 0.5 half, null as none, x'00ff' bytes from obj limit 1\n",
    );
    insta::assert_snapshot!(out, @r"
    #        type   name                           valu  size
    -------- ------ ------------------------------ ---- -----
    #0.0     module open_ended_grading.utils       ∘       56
    #                     big t                              half none       bytes
    -------- ---------------- ------------------------ ---------- ---------- ----------
    #1.0     1294669280000000 some text of some length        0.5 ∘          00ff
    ");
}

#[test]
fn single_objects_and_their_surroundings() {
    let out = Place::new().ask(
        "info 110783296\nparents 110783296\nparents #0.0\nkids 47884224\n\
         ancestor_types type = 'LibraryToolsService'\n",
    );
    insta::assert_snapshot!(out, @r"
    #                 address type                 name                     value                 size        len mark       repr
    -------- ---------------- -------------------- ------------------------ --------------- ---------- ---------- ---------- ------------------------
    #0.0            110783296 module               open_ended_grading.utils ∘                       56          ∘ ∘          open_ended_grading.utils
    #                 address type                 name                 value                 size        len
    -------- ---------------- -------------------- -------------------- --------------- ---------- ----------
    #1.0             12611920 dict                 ∘                    ∘                   786712          2
    #                 address type                 name                 value                 size        len
    -------- ---------------- -------------------- -------------------- --------------- ---------- ----------
    #2.0             12611920 dict                 ∘                    ∘                   786712          2
    #                 address type                 name                       value                 size        len mark       repr
    -------- ---------------- -------------------- -------------------------- --------------- ---------- ---------- ---------- --------------------------
    #3.0             47884224 module               xmodule.modulestore.django ∘                       56          ∘ ∘          xmodule.modulestore.django

    -------- ---------------- -------------------- -------------------- --------------- ---------- ---------- ---------- ---------- ----------
    #4.0             47993568 dict                 ∘                    ∘                     3352          1 ∘          dict                1

    -------- ---------------- -------------------- -------------------- --------------- ---------- ---------- ---------- ---------------- ----------
    #5.0             88346448 MixedModuleStore     ∘                    ∘                       64          ∘ ∘          MixedModuleStore          1

    -------- ---------------- -------------------- -------------------- --------------- ---------- ---------- ---------- ---------- ----------
    #6.0             88505440 dict                 ∘                    ∘                     1048          1 ∘          dict                1

    -------- ---------------- -------------------- -------------------- --------------- ---------- ---------- ---------- ---------- ----------
    #7.0             88367256 list                 ∘                    ∘                      104          1 ∘          list                1

    -------- ---------------- -------------------- -------------------- --------------- ---------- ---------- ---------- -------------- ----------
    #8.0            109863312 XMLModuleStore       ∘                    ∘                       64          ∘ ∘          XMLModuleStore        162
    Found 1 new ancestors
    Found 1 new ancestors
    Found 1 new ancestors
    Found 1 new ancestors
    Found 1 new ancestors
    Found 0 new ancestors
    #               gen type                   count(*)
    -------- ---------- -------------------- ----------
    #9.0              0 LibraryToolsService           1
    #9.1              1 dict                          1
    #9.2              2 dict                          1
    #9.3              3 LmsModuleSystem               1
    #9.4              4 dict                          1
    #9.5              5 module                        1
    ");
}

#[test]
fn changes_are_counted_and_gc_follows_them() {
    let out = Place::new().ask(
        "stats\ngc\nselect mark, count(*) from obj group by mark limit 2\n\
         delete from ref where child = 12611920\npin type = 'module' and name like 'xmodule%'\n\
         insert into ref (parent, child) values (47884224, 110809360)\n\
         update obj set mark = null where type = 'KvsFieldData'\ngc\n\
         select type, name, mark from obj where type in ('module', 'LibraryToolsService')\n\
         insert into obj (address, type, size) values (5, 'made', 10)\n!update obj set size = 20 where address = 5\n\
         select * from obj where address = 5\ncontinue_gc\nshell delete from obj\nstats\ngc\n",
    );
    insta::assert_snapshot!(out, @r"
    1312 (1312) objects, 1634 (1634) references, 1207488 (1.2M) total bytes
    1312 (1312) objects, 1634 (1634) references, 1207488 (1.2M) total bytes
    Marked 1 top level objects
    Marked 1 objects at depth 1
    Marked 1 objects at depth 2
    Marked 1 objects at depth 3
    Marked 1 objects at depth 4
    Marked 2 objects at depth 5
    Marked 2 objects at depth 6
    Marked 2 objects at depth 7
    Marked 2 objects at depth 8
    Marked 2 objects at depth 9
    Marked 2 objects at depth 10
    Marked 2 objects at depth 11
    Marked 162 objects at depth 12
    Marked 162 objects at depth 13
    Marked 162 objects at depth 14
    Marked 162 objects at depth 15
    Marked 1 objects at depth 16
    Marked 161 objects at depth 17
    Marked 161 objects at depth 18
    Marked 161 objects at depth 19
    Marked 161 objects at depth 20
    Marking complete
    Deleted 0 objects
    1312 (1312) objects, 1634 (1634) references, 1207488 (1.2M) total bytes
    #        mark         count(*)
    -------- ---------- ----------
    #0.0     1                   1
    #0.1     2                   1
    1 rows deleted
    1 rows pinned
    1 rows inserted
    322 rows updated
    1312 (1312) objects, 1635 (1635) references, 1207488 (1.2M) total bytes
    Marked 2 top level objects
    Marked 3 objects at depth 1
    Marked 3 objects at depth 2
    Marked 3 objects at depth 3
    Marked 2 objects at depth 4
    Marked 2 objects at depth 5
    Marked 2 objects at depth 6
    Marked 162 objects at depth 7
    Marked 322 objects at depth 8
    Marked 322 objects at depth 9
    Marked 322 objects at depth 10
    Marked 161 objects at depth 11
    Marking complete
    Deleted 6 objects
    1306 (1306) objects, 1628 (1628) references, 413672 (413.7K) total bytes
    #        type                 name                       mark
    -------- -------------------- -------------------------- ----------
    #1.0     LibraryToolsService  ∘                          2
    #1.1     module               sys                        3
    #1.2     module               xmodule.modulestore.django 1
    1 rows inserted
    #                 address type                 name                 value                 size        len mark       repr
    -------- ---------------- -------------------- -------------------- --------------- ---------- ---------- ---------- ----------
    #2.0                    5 made                 ∘                    ∘                       20          ∘ ∘          made
    Marking complete
    Deleted 1 objects
    1306 (1306) objects, 1628 (1628) references, 413672 (413.7K) total bytes
    0 (0) objects, 0 (0) references, 0 (0) total bytes
    0 (0) objects, 0 (0) references, 0 (0) total bytes
    Marked 0 top level objects
    Marking complete
    Deleted 0 objects
    0 (0) objects, 0 (0) references, 0 (0) total bytes
    ");
}

#[test]
fn generations_have_tables_of_their_own() {
    let place = Place::new();
    std::fs::write(place.path("one.dump"), "{\"address\": 64, \"type\": \"only\", \"size\": 1, \"refs\": []}\n")
        .unwrap();
    let script = "gen\nread one.dump\nread stage-dump.meliae\ngen\nselect count(*) from obj1\nselect count(*) from obj\n\
        select o.type, (select count(*) from ref2) from obj1 o\ngen 1\nselect type from obj\ngen none\ngen\n\
        select count(*) from obj2\n";
    let said = place.run(&["--strict"], script);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!(without_time(&said.out), @r"
    0 generations, current is -none-
    Reading one.dump
    Marking top objects... 1
    1 (1) objects and 0 (0) references totalling 1 (1) bytes (…)
    Reading stage-dump.meliae
    Marking top objects... 1
    1312 (1312) objects and 1633 (1633) references totalling 1207488 (1.2M) bytes (…)
    2 generations, current is 2
    #          count(*)
    -------- ----------
    #0.0              1
    #          count(*)
    -------- ----------
    #1.0           1312
    #        type                 (select count(*) from ref2)
    -------- -------------------- ---------------------------
    #2.0     only                                        1634
    Using generation 1 of 2
    #        type
    -------- --------------------
    #3.0     only
    Using no generation, of 2
    2 generations, current is -none-
    #          count(*)
    -------- ----------
    #4.0           1312
    ");
    let said = place.run(&[], &format!("{script}select * from obj\ngen 3\ngen x\n"));
    let complaints: Vec<_> = said.err.lines().filter(|line| line.starts_with("***")).collect();
    assert_eq!(
        complaints,
        [
            "*** no generation is current: `gen N` chooses one",
            "*** not a valid generation number: 3 (there are 2)",
            "*** not a valid generation number: x (there are 2)",
        ]
    );
}

#[test]
fn a_session_is_what_it_was_when_it_is_opened_again() {
    let place = Place::new();
    let first = place.run(
        &["--strict"],
        "create s.db\nread stage-dump.meliae\npin type = 'frame'\ndelete from ref where child = 110810832\ngc\n\
         set leak 110810832\nset\ninsert into obj (address, type, size) values (5, 'made', 10)\nselect count(*), sum(mark), sum(size) from obj\nstats\n",
    );
    assert_eq!((first.code, first.err.as_str()), (Some(0), ""));
    let again = place.run(&["--strict"], "open s.db\nset\nselect count(*), sum(mark), sum(size) from obj\nstats\n");
    assert_eq!((again.code, again.err.as_str()), (Some(0), ""));
    assert!(again.out.contains("leak            110810832"));
    let last = |text: &str| text.lines().rev().take(2).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(last(&first.out), last(&again.out));
    assert!(again.out.contains("667 (667) objects"), "{}", again.out);
}

#[test]
fn a_backup_is_one_level_of_undo() {
    let place = Place::new();
    for create in ["create s.db\n", ""] {
        let script = format!(
            "{create}read stage-dump.meliae\nset a 1\nbackup\ndelete from obj\nset b 2\nstats\nrestore\nstats\nset\nrestore\nstats\n"
        );
        let said = place.run(&["--strict"], &script);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{}", said.out);
        insta::allow_duplicates! {
            insta::assert_snapshot!(after_read(&said.out), @r"
            Backed up
            1312 rows deleted
            0 (0) objects, 0 (0) references, 0 (0) total bytes
            Restored
            1312 (1312) objects, 1634 (1634) references, 1207488 (1.2M) total bytes
            name            value
            --------------- ------------------------------
            a               1
            Restored
            1312 (1312) objects, 1634 (1634) references, 1207488 (1.2M) total bytes
            ");
        }
    }
    let said = place.run(&["s.db"], "backup\n");
    assert!(said.err.starts_with("*** backed up already"), "{}", said.err);
    std::fs::remove_file(place.path("s.db.bak")).unwrap();
    assert!(place.run(&["s.db"], "restore\n").err.starts_with("*** no backup"));
}

#[test]
fn a_failed_statement_changes_nothing() {
    let out = Place::new().run(
        &["stage-dump.meliae"],
        "insert into obj (address, type) select address + 1, 'x' from obj union all select 110810832, 'x'\nstats\n\
         insert into ref select address, 1 from obj union all select 3, 4\nstats\n\
         update obj set address = 1\nupdate obj set size = -1 where type = 'str'\nstats\n",
    );
    let stats: Vec<_> = out.out.lines().filter(|line| line.contains("total bytes")).collect();
    assert_eq!(stats, ["1312 (1312) objects, 1634 (1634) references, 1207488 (1.2M) total bytes"; 3]);
    assert_eq!(out.err.matches("***").count(), 4, "{}", out.err);
}

#[test]
fn a_path_that_does_not_exist_is_said_not_to() {
    let out = Place::new().ask(
        "path from \"type = 'str'\" to \"address in 0&\"\npath from \"type = 'none'\" to \"address in 0&\"\n\
         path from \"type = 'sys' or name = 'sys'\" to \"name = 'sys'\"\n",
    );
    insta::assert_snapshot!(out, @r#"
    No path: along children, no object that matches "type = 'str'" reaches one that matches "address in 0&"
    No path: no object matches "type = 'none'"
    #                 address type                 name                 value                 size        len mark       repr
    -------- ---------------- -------------------- -------------------- --------------- ---------- ---------- ---------- ----------
    #0.0      140244885039992 module               sys                  ∘                       56          ∘ ∘          sys
    "#);
}

#[test]
fn talk_of_the_shell_itself() {
    let out = Place::new().ask(
        "echo 1 & 2\nhelp gc\n? set\ndebug\nselect 1 as n\ndebug\nSELECT 2 as n\nwith t(n) as (select 3) select * from t;\n\
         # a comment\n   \n::> echo after a prompt\nexit\necho never\n",
    );
    insta::assert_snapshot!(without_time(&out).replace("(0.00s)", "(…)"), @r"
    1 & 2
    gc

    mark what is reachable from 0, delete the rest
    After it, `mark` is each object's distance from 0.
    set   or   set NAME VALUE

    list names, or define one
    DEBUG MODE ON
    select 1 as n
    #                 n
    -------- ----------
    #0.0              1
    (…)
    DEBUG MODE OFF
    #                 n
    -------- ----------
    #1.0              2
    #                 n
    -------- ----------
    #2.0              3
    after a prompt
    ");
    let help = Place::new().ask("help\n");
    for verb in ["read", "path", "gc", "pin", "kids", "ancestor_types", "backup", "width", "shell"] {
        assert!(help.lines().any(|line| line.starts_with(verb)), "{verb}");
    }
}

#[test]
fn mistakes_are_told_in_one_line_and_the_shell_goes_on() {
    let place = Place::new();
    let complaint = |script: &str| place.complaint(script);
    assert_eq!(complaint("selekt 1\n"), "I don't understand \"selekt 1\": `help` lists the commands");
    assert_eq!(complaint("select nosuch from obj\n"), "SQL error: no such column: nosuch, at: nosuch from obj");
    assert_eq!(complaint("select (\n"), "SQL error: incomplete input");
    assert_eq!(complaint("select 1; select 2\n"), "SQL error: one statement at a time");
    assert_eq!(complaint("select * from obj where address = #3.0\n").split(':').next(), Some("#3 is not a result yet"));
    assert_eq!(complaint("echo $x\n").split(':').next(), Some("$x is not defined"));
    assert_eq!(complaint("path from a to\n"), r#"usage: path from "CONDITION" to "CONDITION" [reversed]"#);
    assert_eq!(complaint("path from \"a to b\n"), "the quote \" is opened but not closed");
    assert_eq!(complaint("info 3\n"), "no object has the address 3");
    assert_eq!(complaint("info sys\n"), "usage: info ADDRESS");
    assert_eq!(complaint("width name\n"), "usage: width COLUMN N [COLUMN N …]");
    assert_eq!(complaint("width name x\n"), "\"x\" is not a width: 1 to 10000 characters");
    assert_eq!(
        complaint("create stage-dump.meliae\n"),
        "stage-dump.meliae exists already: `open` it, or choose another name"
    );
    assert_eq!(
        complaint("open stage-dump.meliae\n"),
        "stage-dump.meliae is not a database; if it is a dump, `read stage-dump.meliae` it"
    );
    assert_eq!(complaint("open none.db\n"), "none.db: no such file; `create none.db` makes a new session database");
    assert!(complaint("read none.dump\n").starts_with("none.dump: no such file"));
    assert!(complaint("shell begin\n").starts_with("every command is a transaction of its own"));
    assert!(complaint("set a-b 1\n").contains("cannot be a name"));
    let said = place.run(&[], "select * from obj\nstats\necho still here\n");
    assert_eq!(said.out, "still here\n");
    assert_eq!(said.err.matches("no heap is loaded: `read DUMP` first").count(), 2);
}

#[test]
fn strict_stops_at_the_first_failure() {
    let place = Place::new();
    let said = place.run(&["--strict"], "echo 1\nselekt\necho 2\n");
    assert_eq!((said.code, said.out.as_str()), (Some(1), "1\n"));
    std::fs::write(place.path("script"), "echo 1\n# a comment\nselekt\necho 2\n").unwrap();
    let said = place.run(&["--script", "script", "--strict"], "echo not from here\n");
    assert_eq!((said.code, said.out.as_str()), (Some(1), "1\n"));
    let said = place.run(&["--script", "script"], "");
    assert_eq!((said.code, said.out.as_str()), (Some(0), "1\n2\n"));
    assert!(said.err.contains("in: selekt"));
}

#[test]
fn what_cannot_be_opened_ends_with_its_own_code() {
    let place = Place::new();
    assert_eq!(place.run(&["none.dump"], "").code, Some(3));
    assert_eq!(place.run(&["."], "").code, Some(3));
    assert_eq!(place.run(&["--script", "none"], "").code, Some(3));
    std::fs::write(place.path("text"), "no dump\n").unwrap();
    assert_eq!(place.run(&["text"], "").code, Some(1));
    assert_eq!(place.run(&["--no-such-option"], "").code, Some(2));
}

#[test]
fn a_dump_that_has_gone_or_changed_is_named() {
    let place = Place::new();
    assert_eq!(place.run(&["--strict"], "create s.db\nread stage-dump.meliae\nset a 1\n").code, Some(0));
    std::fs::rename(place.path("stage-dump.meliae"), place.path("moved")).unwrap();
    let said = place.run(&[], "open s.db\nstats\nset\n");
    assert_eq!(said.err.matches("generation 1 cannot be shown").count(), 2, "{}", said.err);
    assert!(said.err.contains("stage-dump.meliae: no such file"), "{}", said.err);
    assert!(said.out.contains("a               1"), "what needs no heap still works: {}", said.out);
    std::fs::write(place.path("stage-dump.meliae"), "{\"address\": 64, \"type\": \"x\", \"size\": 1, \"refs\": []}\n")
        .unwrap();
    let said = place.run(&[], "open s.db\nselect * from obj\n");
    assert_eq!(said.err.matches("has changed since it was read").count(), 2, "{}", said.err);
    // One character in the middle of as many bytes.
    let heap = two_stores();
    let (start, end) = heap.split_at(100_000);
    std::fs::write(place.path("stage-dump.meliae"), format!("{start}{}", end.replacen("it's", "it'S", 1))).unwrap();
    let said = place.run(&[], "open s.db\n");
    assert!(said.err.contains("has changed since it was read"), "{}", said.err);
    std::fs::rename(place.path("moved"), place.path("stage-dump.meliae")).unwrap();
    assert_eq!(place.run(&["s.db", "--strict"], "stats\n").code, Some(0));
}

#[test]
fn memsees_own_databases_are_refused() {
    let place = Place::new();
    let memsee = rusqlite::Connection::open(place.path("m.db")).unwrap();
    memsee.execute_batch("create table gen (num int, current int); create table env (name text, value text)").unwrap();
    drop(memsee);
    let complaint = place.complaint("open m.db\n");
    assert!(complaint.starts_with("m.db was made by memsee"), "{complaint}");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let place = Place::new();
    let script = "select * from obj\n".repeat(50);
    std::fs::write(place.path("script"), script).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_heapsee"))
        .args(["shell", "stage-dump.meliae", "--script", "script", "--strict"])
        .current_dir(place.folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    assert_eq!((status.code(), String::from_utf8(stderr).unwrap().as_str()), (Some(0), ""));
}

/// What is said after the first dump was read.
fn after_read(text: &str) -> String {
    let text = without_time(text);
    text.lines().skip_while(|line| !line.ends_with("(…)")).skip(1).collect::<Vec<_>>().join("\n")
}
