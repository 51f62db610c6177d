//! Files that are nearly dumps, thousands of them: each an error in one line or a heap that adds up, and never a panic.
//!
//! The seeds are in `tests/corpus`; what once went wrong is kept there. `make fuzz` runs more rounds than the tests do.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use heapsee_heap::heap::Heap;
use heapsee_heap::load::{LoadError, LoadOptions, load};

/// Rounds a seed, unless `HEAPSEE_FUZZ_ROUNDS` says how many.
const ROUNDS: u64 = 150;
/// What is often found next to a mistake.
const TOKENS: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\n",
    "\r\n",
    "\0",
    "\\u",
    "\\ud83d",
    "\\ude00",
    "null",
    "-",
    "1e9",
    "0",
    "18446744073709551615",
    "18446744073709551616",
    "\"refs\": [",
    "\"address\": ",
    "\u{e9}",
    "{\"address\": 16, \"type\": \"t\", \"size\": 1, \"refs\": [16]}\n",
];

/// Numbers that look random and are the same every time (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let seed = |path: PathBuf| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap());
    files.into_iter().map(seed).collect()
}

fn mutate(seed: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut text = seed.to_vec();
    for _ in 0..=dice.below(6) {
        let (at, length) = (dice.below(text.len() + 1), dice.below(30));
        let end = (at + length).min(text.len());
        match dice.below(7) {
            0 => text.truncate(at),
            1 => drop(text.drain(at..end)),
            2 if at < text.len() => text[at] ^= 1 << dice.below(8),
            3 => {
                let piece = text[at..end].to_vec();
                drop(text.splice(at..at, piece));
            }
            4 => {
                let from = dice.below(other.len());
                let piece = other[from..(from + 60).min(other.len())].to_vec();
                drop(text.splice(at..at, piece));
            }
            5 => drop(text.splice(at..end, std::iter::repeat_n(b'9', length))),
            _ => drop(text.splice(at..at, TOKENS[dice.below(TOKENS.len())].bytes())),
        }
    }
    text
}

/// What an object must have.
#[derive(serde::Deserialize)]
struct Seen {
    address: u64,
    #[serde(rename = "type")]
    _type: String,
    #[serde(rename = "size")]
    _size: u64,
}

/// Addresses of the lines that a JSON parser takes for objects.
fn addresses(text: &[u8]) -> HashSet<u64> {
    let lines = text.split(|&byte| byte == b'\n');
    let object = |line: &[u8]| {
        // Halves of surrogate pairs, which Python has and Rust has not, are no reason to lose a line.
        let line = String::from_utf8_lossy(line.trim_ascii()).replace("\\ud", "\\u0").replace("\\uD", "\\u0");
        let seen: Seen = serde_json::from_str(line.strip_suffix(',').unwrap_or(&line)).ok()?;
        Some(seen.address)
    };
    lines.filter_map(object).collect()
}

fn read(path: &Path, salvage: bool) -> Result<Heap, LoadError> {
    load(path, &LoadOptions { salvage, ..LoadOptions::default() })
}

/// Everything that is asked must be answered, within bounds.
fn check_heap(heap: &Heap, text: &[u8]) {
    let known = addresses(text);
    let mut references = 0;
    for node in 0..heap.len() {
        assert!(known.contains(&heap.address(node)), "an object that no line tells of: {}", heap.address(node));
        assert_eq!(heap.node_of(heap.address(node)), Some(node));
        std::hint::black_box((heap.name(node), heap.value(node), heap.length(node)));
        references += heap.referents(node).len();
        assert!(heap.referents(node).iter().all(|&child| child < heap.node_count()));
    }
    assert_eq!(references, heap.edge_count() as usize);
    let into: usize = (0..heap.node_count()).map(|node| heap.edges_into(node).len()).sum();
    assert_eq!(into, references);
    let mut reached: HashSet<u32> = heap.roots().iter().map(|root| root.node).collect();
    let mut pending: Vec<u32> = reached.iter().copied().collect();
    while let Some(node) = pending.pop() {
        pending.extend(heap.referents(node).iter().filter(|&&child| child < heap.len() && reached.insert(child)));
    }
    assert_eq!(reached.len(), heap.len() as usize, "everything hangs on a root");
}

/// A new file each time: to cut off and write an old one again is slow on some file systems.
fn write(path: &Path, text: &[u8]) {
    let _ = std::fs::remove_file(path);
    std::fs::write(path, text).unwrap();
}

fn check(folder: &Path, text: &[u8]) {
    let path = folder.join("x.dump");
    write(&path, text);
    let strict = read(&path, false);
    match &strict {
        Ok(heap) => check_heap(heap, text),
        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
    }
    if let Ok(salvaged) = read(&path, true) {
        check_heap(&salvaged, text);
        assert!(strict.is_err() || strict.is_ok_and(|heap| heap.len() == salvaged.len()));
    }
}

#[test]
fn whatever_becomes_of_a_file() {
    let rounds = std::env::var("HEAPSEE_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    let folder = tempfile::tempdir().unwrap();
    let seeds = seeds();
    for (number, (name, seed)) in seeds.iter().enumerate() {
        check(folder.path(), seed);
        for round in 0..rounds {
            let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ ((number as u64) << 40) ^ (round + 1));
            let other = &seeds[dice.below(seeds.len())].1;
            let text = mutate(seed, other, &mut dice);
            let caught = std::panic::catch_unwind(|| check(folder.path(), &text));
            if let Err(panic) = caught {
                let kept = std::env::temp_dir().join(format!("heapsee-fuzz-{number}-{round}.dump"));
                std::fs::write(&kept, &text).unwrap();
                eprintln!("seed {name}, round {round}: kept as {}; put it into tests/corpus", kept.display());
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// Compressed files are unpacked as they are read: what is broken in there must not matter more.
#[test]
fn whatever_becomes_of_a_compressed_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.dump");
    for (number, (_, seed)) in seeds().iter().enumerate() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(seed).unwrap();
        for packed in [gzip.finish().unwrap(), zstd::stream::encode_all(seed.as_slice(), 3).unwrap()] {
            for round in 0..ROUNDS / 3 {
                let mut dice = Dice(0x1234_5678_9abc_def1 ^ ((number as u64) << 40) ^ (round + 1));
                write(&path, &mutate(&packed, &packed, &mut dice));
                for salvage in [false, true] {
                    match read(&path, salvage) {
                        Ok(heap) => assert!(heap.roots().len() <= heap.len() as usize),
                        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
                    }
                }
            }
        }
    }
}

#[test]
fn hostile_lines_are_counted_or_taken_for_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.dump");
    std::fs::write(&path, &seeds().iter().find(|(name, _)| name == "hostile.dump").unwrap().1).unwrap();
    let heap = read(&path, false).unwrap();
    let addresses: Vec<u64> = (0..heap.len()).map(|node| heap.address(node)).collect();
    assert_eq!(addresses, [0, u64::MAX, 48, 64, 80]);
    assert_eq!(heap.source().broken_lines, 4);
    assert_eq!((heap.size(1), heap.length(1), heap.total_size()), (u64::MAX, Some(u64::MAX), u64::MAX));
}

/// A line of gigabytes without an end is refused long before it is in memory.
#[test]
fn a_line_without_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, packed) = (folder.path().join("x.dump"), folder.path().join("x.dump.zst"));
    let head = b"{\"address\": 16, \"type\": \"list\", \"size\": 8, \"refs\": [16, 16, ";
    let mut file = std::fs::File::create(&plain).unwrap();
    file.write_all(head).unwrap();
    // The rest is a hole.
    file.set_len(3 << 30).unwrap();
    let mut packer = zstd::stream::write::Encoder::new(std::fs::File::create(&packed).unwrap(), 1).unwrap();
    packer.write_all(head).unwrap();
    let piece = vec![b'x'; 1 << 20];
    (0..100).for_each(|_| packer.write_all(&piece).unwrap());
    packer.finish().unwrap();
    for path in [plain, packed] {
        let error = read(&path, false).err().unwrap().to_string();
        assert!(error.contains("the line that starts at byte 0 is longer than that of any object"), "{error}");
    }
}
