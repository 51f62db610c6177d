//! Files of every kind, good and bad, and what becomes of them.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use heapsee_format::meta;

use super::*;

const LINES: &str = "\
{\"address\": 16, \"type\": \"dict\", \"size\": 64, \"len\": 1, \"refs\": [32, 48]}
{\"address\": 32, \"type\": \"str\", \"size\": 50, \"len\": 1, \"value\": \"k\", \"refs\": []}
{\"address\": 48, \"type\": \"int\", \"size\": 28, \"value\": 7, \"refs\": []}
";

struct File {
    dir: tempfile::TempDir,
    path: PathBuf,
}

fn file(content: &[u8]) -> File {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.dump");
    fs::write(&path, content).unwrap();
    File { dir, path }
}

impl File {
    fn load(&self) -> Result<Heap, LoadError> {
        load(&self.path, &LoadOptions::default())
    }

    fn salvage(&self) -> Result<Heap, LoadError> {
        load(&self.path, &LoadOptions { salvage: true, ..LoadOptions::default() })
    }

    /// The error, without the path that it must start with.
    fn error(&self) -> String {
        let error = self.load().err().unwrap().to_string();
        assert!(!error.contains('\n'));
        error.strip_prefix(&self.path.display().to_string()).unwrap().to_owned()
    }
}

fn counts(heap: &Heap) -> (u32, u32, u64) {
    (heap.len(), heap.edge_count(), heap.total_size())
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Many lines, several blocks' worth; object i refers to the next two.
fn long_text(objects: u64) -> String {
    (1..=objects)
        .map(|i| {
            let padding = "x".repeat((i % 100) as usize);
            let (a, b, c) = (i * 32, (i % objects + 1) * 32, (i + 1) % objects * 32 + 32);
            format!("{{\"address\": {a}, \"type\": \"t{}\", \"size\": {i}, \"value\": \"{padding}\", \"refs\": [{b}, {c}]}}\n", i % 7)
        })
        .collect()
}

#[test]
fn plain_gzip_zstd_and_several_frames_say_the_same() {
    let text = long_text(60_000);
    assert!(text.len() as u64 > 3 * block::BLOCK);
    let (head, tail) = text.as_bytes().split_at(1_000_001);
    let plain = file(text.as_bytes()).load().unwrap();
    assert_eq!(counts(&plain), (60_000, 120_000, 60_000 * 60_001 / 2));
    assert_eq!((plain.source().text_size, plain.dangling_edge_count()), (text.len() as u64, 0));
    let zstd = |part: &[u8]| zstd::stream::encode_all(part, 1).unwrap();
    for packed in [gzip(text.as_bytes()), [gzip(head), gzip(tail)].concat(), [zstd(head), zstd(tail)].concat()] {
        let unpacked = file(&packed).load().unwrap();
        assert_eq!(counts(&unpacked), counts(&plain));
        assert_eq!(unpacked.source().text_size, plain.source().text_size);
        for node in 0..plain.len() {
            assert_eq!(unpacked.address(node), plain.address(node));
            assert_eq!(unpacked.referents(node), plain.referents(node));
            assert_eq!(unpacked.value(node), plain.value(node));
        }
    }
}

#[test]
fn lines_longer_than_blocks() {
    let refs = (1..700_000u64).map(|i| i.to_string()).collect::<Vec<String>>().join(", ");
    let text = format!("{{\"address\": 8, \"type\": \"list\", \"size\": 1, \"refs\": [{refs}]}}\n{LINES}");
    assert!(text.len() as u64 > 2 * block::BLOCK);
    let heap = file(text.as_bytes()).load().unwrap();
    assert_eq!(counts(&heap), (4, 700_001, 143));
    let cut = file(&text.as_bytes()[..(2 * block::BLOCK + 5) as usize]);
    assert!(cut.error().starts_with(": is not a heap dump: its only line is no object (EOF"), "{}", cut.error());
}

#[test]
fn a_line_end_at_any_place_around_the_block() {
    // One line per test so long that its line end moves over the border between two blocks.
    let line = "{\"address\": 16, \"type\": \"t\", \"size\": 1, \"value\": \"\", \"refs\": []}\n";
    for over in 0..6 {
        let padding = "x".repeat(block::BLOCK as usize - line.len() - 3 + over);
        let text = format!("{}{LINES}", line.replace("\"\"", &format!("\"{padding}\"")).replace("16", "8"));
        assert_eq!(counts(&file(text.as_bytes()).load().unwrap()), (4, 2, 143), "{over}");
    }
}

#[test]
fn a_list_with_trailing_commas_is_fine() {
    let text = format!("[\n{}\n]\n", LINES.trim_end().replace('\n', ",\r\n"));
    let heap = file(text.as_bytes()).load().unwrap();
    assert_eq!(counts(&heap), (3, 2, 142));
    assert_eq!(heap.source().broken_lines, 0);
    assert_eq!(counts(&file(LINES.trim_end().as_bytes()).load().unwrap()), (3, 2, 142));
}

#[test]
fn the_first_line_of_an_address_counts() {
    // As meliae's loader: later lines of the same address are passed over.
    let text = format!("{LINES}{}", LINES.replace("28", "1000").replace("\"int\"", "\"long\"").replace("48", "64"));
    let heap = file(text.as_bytes()).load().unwrap();
    assert_eq!((heap.len(), heap.repeated_lines(), heap.total_size()), (4, 2, 1142));
    assert_eq!((heap.node_of(64), heap.type_name(heap.type_id(3))), (Some(3), "long"));
    assert_eq!(heap.referents(0), [1, 2]);
}

#[test]
fn broken_lines_are_told_of() {
    let text = format!("{}oops\n{{\"address\": 1}}\n\n{}", &LINES[..LINES.len() / 3 - 20], LINES);
    let heap = file(text.as_bytes()).load().unwrap();
    assert_eq!((heap.len(), heap.source().broken_lines), (3, 2));
    let warning = &heap.source().warnings[0];
    assert!(warning.starts_with("skipped 2 lines that are no object: line 1: "), "{warning}");
    assert!(warning.contains("; line 2: missing field `type`"), "{warning}");
}

#[test]
fn the_line_numbers_of_later_blocks() {
    let text = format!("{}nonsense\n", long_text(40_000));
    let warnings = file(text.as_bytes()).load().unwrap().source().warnings.clone();
    assert!(warnings[0].starts_with("skipped 1 line that is no object: line 40001: expected"), "{warnings:?}");
}

#[test]
fn cut_in_the_middle_of_a_line() {
    let at = LINES.len() - 10;
    let last = LINES.trim_end().rfind('\n').unwrap() + 1;
    for content in [LINES.as_bytes()[..at].to_vec(), gzip(&LINES.as_bytes()[..at])] {
        let cut = file(&content);
        assert_eq!(
            cut.error(),
            format!(
                ": truncated at byte {last}: line 3 is cut off; copy it again, or add --salvage to read what there is"
            )
        );
        let heap = cut.salvage().unwrap();
        assert_eq!(heap.len(), 2);
        assert_eq!(heap.source().warnings, [format!("truncated at byte {last}: line 3 is cut off and was left out")]);
    }
}

#[test]
fn compressed_data_cut_off_or_damaged() {
    let text = long_text(60_000);
    // Damage shows for certain only where there is a checksum.
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(text.as_bytes()).unwrap();
    for mut packed in [gzip(text.as_bytes()), encoder.finish().unwrap()] {
        let cut = file(&packed[..packed.len() / 2]);
        assert!(cut.error().starts_with(": truncated at byte "), "{}", cut.error());
        let heap = cut.salvage().unwrap();
        assert!(heap.len() > 1000 && heap.len() < 59_000);
        assert!(heap.source().warnings[0].starts_with("read only in part: "));
        let middle = packed.len() / 2;
        packed[middle..middle + 64].fill(0xa5);
        let error = file(&packed).error();
        assert!(error.starts_with(": damaged after byte ") || error.starts_with(": truncated at byte "), "{error}");
    }
}

#[test]
fn what_is_no_dump() {
    assert!(file(b"").error().starts_with(": is empty"));
    assert!(file(b"\n").error().starts_with(": is not a heap dump: it holds no objects; give "));
    assert!(file(b"[\n]\n").error().contains("it holds no objects"));
    assert!(file(&gzip(b"")).error().contains("it holds no objects"));
    assert!(file(b"\x7fELF\x02\x01\0\0\0\nmore\0\n").error().contains("it is binary"));
    assert!(file(b"\x7fELF\x02\x01\0\0\0").error().contains("it is binary"));
    let text = file(b"hello\nworld\n").error();
    assert!(text.contains("none of its 2 lines is an object (line 1: expected value"), "{text}");
}

#[test]
fn what_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let error = load(dir.path(), &LoadOptions::default()).err().unwrap();
    assert!(matches!(error, LoadError::Directory(_)), "{error}");
    let error = load(&dir.path().join("gone"), &LoadOptions::default()).err().unwrap();
    assert!(matches!(error, LoadError::NotFound(_)), "{error}");
    let denied = LoadError::from_io(dir.path(), std::io::ErrorKind::PermissionDenied.into());
    assert!(denied.to_string().contains("permission denied; dumps are readable by their owner only"));
    assert!(matches!(denied, LoadError::Permission(_)), "{denied}");
}

fn with_sidecar(content: &[u8], sidecar: &str) -> File {
    let file = file(content);
    fs::write(file.dir.path().join("x.dump.meta.json"), sidecar).unwrap();
    file
}

fn sidecar(size: u64, objects: u64) -> String {
    let meta = meta::Meta {
        file: meta::File { size, ..meta::File::default() },
        counts: meta::Counts { objects, ..meta::Counts::default() },
        roots: vec![meta::Root { label: "sys.modules".to_owned(), addresses: vec![48] }],
        ..meta::Meta::default()
    };
    serde_json::to_string(&meta).unwrap()
}

#[test]
fn the_sidecar_is_used_if_it_is_this_dumps() {
    let size = LINES.len() as u64;
    let labels =
        |heap: &Heap| -> Vec<String> { heap.roots().iter().map(|root| heap.root_label(root).to_owned()).collect() };
    let heap = with_sidecar(LINES.as_bytes(), &sidecar(size, 3)).load().unwrap();
    assert_eq!(labels(&heap), ["no referrer in the dump", "sys.modules"]);
    assert!(with_sidecar(LINES.as_bytes(), &sidecar(0, 3)).load().unwrap().meta().is_some());
    for (sidecar, warning) in [
        (sidecar(size - 1, 3), "its sidecar belongs to another dump"),
        ("{\"counts\": 7}".to_owned(), "left out of account: not a sidecar: invalid type"),
    ] {
        let heap = with_sidecar(LINES.as_bytes(), &sidecar).load().unwrap();
        assert!(heap.meta().is_none());
        assert!(heap.source().warnings[0].contains(warning), "{:?}", heap.source().warnings);
    }
}

#[test]
fn a_sidecar_tells_that_the_end_is_missing() {
    for sidecar in [sidecar(LINES.len() as u64 + 100, 4), sidecar(0, 4)] {
        let short = with_sidecar(LINES.as_bytes(), &sidecar);
        assert!(short.error().starts_with(": truncated at byte 218: its sidecar tells of "), "{}", short.error());
        let heap = short.salvage().unwrap();
        assert_eq!((heap.len(), heap.meta().is_some(), heap.source().warnings.len()), (3, true, 1));
    }
}

#[test]
fn the_sidecar_of_a_compressed_dump() {
    for name in ["x.dump.zst", "x.dump.gz"] {
        let file = with_sidecar(b"", &sidecar(LINES.len() as u64, 3));
        let path = file.dir.path().join(name);
        fs::write(&path, gzip(LINES.as_bytes())).unwrap();
        assert!(load(&path, &LoadOptions::default()).unwrap().meta().is_some());
    }
}

#[test]
fn progress_comes_to_its_end() {
    use std::sync::atomic::{AtomicU64, Ordering};
    let text = long_text(40_000);
    let most = AtomicU64::new(0);
    let progress = |done: u64, size: u64| {
        assert_eq!(size, text.len() as u64);
        most.fetch_max(done, Ordering::Relaxed);
    };
    let file = file(text.as_bytes());
    load(&file.path, &LoadOptions { progress: Some(&progress), ..LoadOptions::default() }).unwrap();
    assert_eq!(most.into_inner(), text.len() as u64);
}

proptest::proptest! {
    #[test]
    fn whatever_is_in_a_file_a_pipe_would_bring_the_same(
        pieces in proptest::collection::vec(proptest::sample::select(vec![
            "{\"address\": 16, \"type\": \"t\", \"size\": 1, \"refs\": [16, 3]}\n", "{\"address\": 3,\"size\":2,\"type\":\"u\"}", "\n",
            "[\n", "]\r\n", ",", "{\"address\"", ": 1", "\"", "\\ud800", "\0", "\u{e9}", "}", "]}", "18446744073709551616", "-",
        ]), 0..12),
        cut in 0usize..40,
        salvage: bool,
    ) {
        let text = pieces.concat();
        let text = &text.as_bytes()[..text.len().saturating_sub(cut)];
        // (An empty file is refused by another name than an empty stream.)
        let text = if text.is_empty() { b"\n" } else { text };
        let read = |content: &[u8]| {
            let file = file(content);
            let heap = load(&file.path, &LoadOptions { salvage, ..LoadOptions::default() });
            heap.map(|heap| (counts(&heap), heap.node_count(), heap.repeated_lines(), heap.source().warnings.clone()))
                .map_err(|error| error.to_string().replace(&file.path.display().to_string(), ""))
        };
        proptest::prop_assert_eq!(read(text), read(&gzip(text)));
    }
}
