//! Files made to harm: what is small on disk and has no end, what is deep, what is encoded otherwise. Each ends in one
//! line of error, or in the right answer, within a bound of memory that the kernel enforces.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const LINE: &str = "{\"address\": 16, \"type\": \"t\", \"size\": 1, \"refs\": [16]}\n";

/// Runs `heapsee summary` with at most so many MB of address space.
fn summary(path: &Path, megabytes: u64) -> Output {
    let script = format!("ulimit -v {} && exec \"$0\" --no-index summary --json \"$1\"", megabytes * 1024);
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_heapsee")]).arg(path).stdin(Stdio::null());
    let done = command.env("RAYON_NUM_THREADS", "2").output().unwrap();
    assert_eq!(done.status.signal(), None, "{}", String::from_utf8_lossy(&done.stderr));
    done
}

/// The error, which is one line.
fn error(done: &Output) -> String {
    let said = String::from_utf8(done.stderr.clone()).unwrap();
    assert_eq!((done.status.code(), said.trim_end().lines().count()), (Some(1), 1), "{said}");
    said
}

fn totals(done: &Output) -> (u64, u64) {
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let summary: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let number = |name: &str| summary["totals"][name].as_u64().unwrap();
    (number("objects"), number("refs"))
}

/// A file of `times` the same frame or member, each of which unpacks to `text`.
fn bomb(folder: &Path, name: &str, text: &[u8], times: usize) -> PathBuf {
    let packed = if name.ends_with(".gz") {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(text).unwrap();
        gzip.finish().unwrap()
    } else {
        zstd::stream::encode_all(text, 1).unwrap()
    };
    let path = folder.join(name);
    let mut file = File::create(&path).unwrap();
    (0..times).for_each(|_| file.write_all(&packed).unwrap());
    path
}

fn written(folder: &Path, text: &[u8]) -> PathBuf {
    let path = folder.join("x.dump");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_hundred_gigabytes_of_nothing_in_a_small_file() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["zeros.gz", "zeros.zst"] {
        let path = bomb(folder.path(), name, &vec![0; 16 << 20], 6400);
        assert!(path.metadata().unwrap().len() < 110 << 20);
        let said = error(&summary(&path, 800));
        assert!(said.contains("the line that starts at byte 0 is longer than that of any object"), "{said}");
    }
}

#[test]
fn more_objects_than_there_is_memory_for() {
    let folder = tempfile::tempdir().unwrap();
    let line = LINE.replace("[16]", &format!("[{}]", vec!["1"; 100_000].join(", ")));
    let text = line.repeat(100);
    for name in ["lines.gz", "lines.zst"] {
        let path = bomb(folder.path(), name, text.as_bytes(), 3300);
        let said = error(&summary(&path, 700));
        assert!(said.contains("MB of memory that may be used for them"), "{said}");
    }
}

#[test]
fn as_many_references_as_a_line_can_hold() {
    let folder = tempfile::tempdir().unwrap();
    let text = LINE.replace("[16]", &format!("[{}]", vec!["16"; 2_000_000].join(", ")));
    assert_eq!(totals(&summary(&written(folder.path(), text.as_bytes()), 1500)), (1, 2_000_000));
}

#[test]
fn counts_beyond_all_measure_are_numbers_and_allocate_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for count in ["1000000000", "18446744073709551615"] {
        let text =
            LINE.replace("\"refs\"", &format!("\"len\": {count}, \"refs\"")).replace("[16]", &format!("[{count}]"));
        assert_eq!(totals(&summary(&written(folder.path(), text.as_bytes()), 700)), (1, 1));
    }
}

#[test]
fn what_is_nested_deeply() {
    let folder = tempfile::tempdir().unwrap();
    for (open, close) in [("[", "]"), ("{\"a\": ", "}")] {
        let deep = format!("{}1{}", open.repeat(1_000_000), close.repeat(1_000_000));
        // Where nothing is known to be, anything may be.
        let unknown = LINE.replace("16", "32").replace("\"refs\"", &format!("\"more\": {deep}, \"refs\""));
        let text = format!("{LINE}{}{unknown}{deep}\n", LINE.replace("[16]", &deep));
        let done = summary(&written(folder.path(), text.as_bytes()), 700);
        assert_eq!(totals(&done), (2, 2));
        assert!(String::from_utf8_lossy(&done.stderr).contains("skipped 2 lines that are no object"));
    }
}

#[test]
fn keys_that_come_twice() {
    let folder = tempfile::tempdir().unwrap();
    let twice = LINE.replace("\"size\": 1, ", "\"size\": 1, \"size\": 2, ");
    let done = summary(&written(folder.path(), format!("{LINE}{twice}").as_bytes()), 700);
    assert_eq!(totals(&done), (1, 1));
}

#[test]
fn text_in_other_shapes() {
    let folder = tempfile::tempdir().unwrap();
    let other = LINE.replace("16", "32");
    let marked = format!("\u{feff}{LINE}{other}");
    assert_eq!(totals(&summary(&written(folder.path(), marked.as_bytes()), 700)), (2, 2));
    let returns = format!("{LINE}{other}\n\n\n").replace('\n', "\r\n");
    assert_eq!(totals(&summary(&written(folder.path(), returns.as_bytes()), 700)), (2, 2));
    for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
        let wide: Vec<u8> = format!("\u{feff}{LINE}{other}").encode_utf16().flat_map(bytes).collect();
        let said = error(&summary(&written(folder.path(), &wide), 700));
        assert!(said.contains("it is UTF-16 text, which `iconv -f UTF-16 -t UTF-8` makes readable"), "{said}");
    }
}

#[test]
fn frames_that_are_cut_anywhere_among_lines() {
    let folder = tempfile::tempdir().unwrap();
    let text = (1..=3000u64).map(|i| LINE.replace("16", &(16 * i).to_string())).collect::<String>();
    let path = folder.path().join("x.dump");
    for step in [1000, 7777, 50_000] {
        let mut packed = Vec::new();
        for piece in text.as_bytes().chunks(step) {
            packed.extend(zstd::stream::encode_all(piece, 1).unwrap());
        }
        std::fs::write(&path, packed).unwrap();
        assert_eq!(totals(&summary(&path, 700)), (3000, 3000));
    }
}
