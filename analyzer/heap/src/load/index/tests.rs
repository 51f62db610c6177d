//! Indexes used, passed over, damaged at every byte.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::{LoadError, LoadOptions, load};
use super::*;

/// One of everything: a name, values, a circle, a repeated line, a broken one, an address without a line.
const LINES: &str = "\
{\"address\": 16, \"type\": \"dict\", \"size\": 64, \"len\": 1, \"refs\": [32, 48, 999]}
{\"address\": 32, \"type\": \"str\", \"size\": 50, \"len\": 1, \"value\": \"k\\u00e9\", \"refs\": []}
{\"address\": 48, \"type\": \"int\", \"size\": 28, \"value\": -7, \"refs\": [48]}
{\"address\": 64, \"type\": \"module\", \"size\": 5000000000, \"name\": \"m\", \"refs\": [80]}
{\"address\": 80, \"type\": \"list\", \"size\": 28, \"len\": 18446744073709551615, \"refs\": [96, 96]}
{\"address\": 96, \"type\": \"list\", \"size\": 28, \"refs\": [80]}
oops
{\"address\": 96, \"type\": \"list\", \"size\": 1, \"refs\": []}
{\"address\": 18446744073709551615, \"type\": \"ring\", \"size\": 1, \"refs\": [18446744073709551615]}
";
const SIDECAR: &str = r#"{"roots": [{"label": "sys.modules", "addresses": [64]}]}"#;

struct Dump {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Dump {
    fn new() -> Dump {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.dump");
        fs::write(&path, LINES).unwrap();
        fs::write(folder.path().join("x.dump.meta.json"), SIDECAR).unwrap();
        Dump { folder, path }
    }

    fn index(&self) -> PathBuf {
        self.folder.path().join("x.dump.heapsee-index")
    }

    fn load(&self, salvage: bool) -> Result<Heap, LoadError> {
        load(&self.path, &LoadOptions { salvage, index: true, ..LoadOptions::default() })
    }

    /// What the index says, if it is used at all.
    fn indexed(&self) -> Option<Heap> {
        self.reader()()
    }

    /// The same, again and again.
    fn reader(&self) -> impl Fn() -> Option<Heap> {
        let metadata = self.path.metadata().unwrap();
        let without = load(&self.path, &LoadOptions::default()).unwrap();
        let sidecar = crate::load::sidecar::find(&self.path);
        let key = Key::of(&metadata, &without.source().fingerprint, &sidecar.state);
        let index = self.index();
        move || open_one(&index, &key, sidecar.meta.as_ref(), without.source(), None)
    }

    fn inode(&self) -> u64 {
        std::os::unix::fs::MetadataExt::ino(&self.index().metadata().unwrap())
    }
}

/// Everything that can be asked of a heap.
fn everything(heap: &Heap) -> String {
    let nodes = (0..heap.node_count()).map(|node| {
        let address = heap.address(node);
        let cells = (node < heap.len()).then(|| {
            let type_name = heap.type_name(heap.type_id(node));
            (type_name, heap.size(node), heap.length(node), heap.name(node), heap.value(node))
        });
        let parents: Vec<u32> = heap.edges_into(node).iter().map(|&edge| heap.edge_parent(edge)).collect();
        format!("{address} {:?} {cells:?} {:?} {parents:?}\n", heap.node_of(address), heap.referents(node))
    });
    let nodes: String = nodes.collect();
    let roots: Vec<_> = heap.roots().iter().map(|root| (root.node, heap.root_label(root))).collect();
    let counts = (heap.len(), heap.edge_count(), heap.dangling_edge_count(), heap.total_size(), heap.repeated_lines());
    let order = heap.objects_by_type();
    let ranges: Vec<_> =
        order.types().iter().map(|&id| (heap.type_by_name(heap.type_name(id)), order.range(id))).collect();
    let source = (&heap.source().warnings, heap.source().broken_lines, heap.source().text_size);
    format!("{nodes}{roots:?} {counts:?} {:?} {ranges:?} {:?} {source:?}", order.nodes(), heap.by_address())
}

#[test]
fn an_index_says_what_the_dump_says() {
    let dump = Dump::new();
    let read = everything(&dump.load(false).unwrap());
    assert!(read.contains("sys.modules") && read.contains("5000000000") && read.contains("-7"), "{read}");
    assert_eq!(everything(&dump.indexed().unwrap()), read);
    assert_eq!(everything(&dump.load(false).unwrap()), read);
    assert_eq!(dump.index().metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    let names = fs::read_dir(dump.folder.path()).unwrap().count();
    assert_eq!(names, 3, "nothing but the dump, its sidecar and its index is left");
}

#[test]
fn it_is_used_again_and_not_written_again() {
    let dump = Dump::new();
    dump.load(false).unwrap();
    let first = dump.inode();
    dump.load(false).unwrap();
    dump.load(true).unwrap();
    assert_eq!(dump.inode(), first);
}

#[test]
fn a_dump_written_again_in_the_same_place_is_read_again() {
    let dump = Dump::new();
    dump.load(false).unwrap();
    let first = dump.inode();
    // Same inode, same length, same beginning and end (of a longer file); even the same time.
    let modified = dump.path.metadata().unwrap().modified().unwrap();
    fs::write(&dump.path, LINES.replace("-7", "-8")).unwrap();
    fs::File::options().write(true).open(&dump.path).unwrap().set_modified(modified).unwrap();
    assert!(dump.indexed().is_none());
    assert!(everything(&dump.load(false).unwrap()).contains("-8"));
    assert_ne!(dump.inode(), first);
    fs::remove_file(&dump.path).unwrap();
    fs::write(&dump.path, LINES.replace("-7", "-9")).unwrap();
    assert!(everything(&dump.load(false).unwrap()).contains("-9"));
}

#[test]
fn another_sidecar_is_another_heap() {
    let dump = Dump::new();
    let sidecar = dump.folder.path().join("x.dump.meta.json");
    assert!(everything(&dump.load(false).unwrap()).contains("sys.modules"));
    fs::write(&sidecar, SIDECAR.replace("sys.modules", "builtins")).unwrap();
    assert!(everything(&dump.load(false).unwrap()).contains("builtins"));
    fs::write(&sidecar, "{").unwrap();
    assert!(dump.load(false).unwrap().source().warnings[1].contains("not a sidecar"));
    assert!(dump.load(false).unwrap().source().warnings[1].contains("not a sidecar"));
    fs::remove_file(&sidecar).unwrap();
    assert!(dump.load(false).unwrap().meta().is_none());
}

#[test]
fn every_byte_flipped_is_the_right_answer_or_none() {
    let dump = Dump::new();
    let read = everything(&dump.load(false).unwrap());
    let index = fs::read(dump.index()).unwrap();
    let (mut used, mut mended, indexed) = (0, 0, dump.reader());
    // In place: writing a file anew is slow on some file systems. An index that was mended is another file.
    let damaged = dump.folder.path().join("damaged");
    fs::hard_link(dump.index(), &damaged).unwrap();
    let (file, inode) = (fs::File::options().write(true).open(&damaged).unwrap(), dump.inode());
    for (at, &byte) in index.iter().enumerate() {
        for bits in [0xff, 1 << (at % 8)] {
            file.write_all_at(&[byte ^ bits], at as u64).unwrap();
            if let Some(heap) = indexed() {
                assert_eq!(everything(&heap), read, "byte {at}");
                used += 1;
            }
            if dump.inode() != inode {
                assert_eq!(fs::read(dump.index()).unwrap(), index, "byte {at}");
                mended += 1;
                fs::remove_file(dump.index()).unwrap();
                fs::hard_link(&damaged, dump.index()).unwrap();
            }
        }
        file.write_all_at(&[byte], at as u64).unwrap();
    }
    // Between the sections there is padding; what can be computed is; and for the other columns the dump is read.
    assert!(0 < mended && mended < used && used < 2 * index.len(), "{used} {mended}");
}

#[test]
fn nothing_is_read_before_it_is_asked_for() {
    let dump = Dump::new();
    let read = dump.load(false).unwrap();
    let (sections, _) = file::Sections::open(fs::File::open(dump.index()).unwrap()).unwrap();
    let file = fs::File::options().write(true).open(dump.index()).unwrap();
    // All but what a type is called.
    for (name, bytes) in read.sections().unwrap().iter().filter(|(name, _)| *name != "type_names") {
        file.write_all_at(&vec![0x55; bytes.len()], sections.place(name).unwrap()).unwrap();
    }
    let heap = dump.indexed().unwrap();
    let counts = |heap: &Heap| (heap.len(), heap.node_count(), heap.edge_count(), heap.total_size());
    let inode = dump.inode();
    assert_eq!(counts(&heap), counts(&read));
    assert_eq!(dump.inode(), inode);
    assert_eq!(everything(&heap), everything(&read));
    assert_ne!(dump.inode(), inode, "it was mended");
    assert_eq!(everything(&dump.indexed().unwrap()), everything(&read));
}

/// Then no answer is to be had; what is said all the same is within bounds, and owned to mean nothing.
#[test]
fn a_damaged_index_of_a_dump_that_is_gone_is_an_error() {
    static TOLD: AtomicUsize = AtomicUsize::new(0);
    let dump = Dump::new();
    let read = dump.load(false).unwrap();
    let (sections, _) = file::Sections::open(fs::File::open(dump.index()).unwrap()).unwrap();
    let index = fs::read(dump.index()).unwrap();
    let told = |_: &LoadError| {
        TOLD.fetch_add(1, Ordering::Relaxed);
    };
    let mut lost = 0;
    for (name, bytes) in
        read.sections().unwrap().iter().filter(|(name, bytes)| *name != "type_names" && !bytes.is_empty())
    {
        let options = LoadOptions { index: true, on_loss: Some(told), ..LoadOptions::default() };
        let heap = load(&dump.path, &options).unwrap();
        let mut damaged = index.clone();
        let at = sections.place(name).unwrap() as usize;
        damaged[at..at + bytes.len()].fill(0x55);
        // The same file, which is open.
        fs::File::options().write(true).open(dump.index()).unwrap().write_all_at(&damaged, 0).unwrap();
        fs::rename(&dump.path, dump.folder.path().join("elsewhere")).unwrap();
        assert_eq!(heap.intact(), Ok(()), "nobody has looked at it");
        let said = everything(&heap);
        assert!(said.lines().count() >= heap.len() as usize);
        match heap.intact() {
            Ok(()) => assert_eq!(said, everything(&read), "{name} can be computed"),
            Err(reason) => {
                assert!(reason.to_string().contains("no such file"), "{name}: {reason}");
                lost += 1;
            }
        }
        fs::rename(dump.folder.path().join("elsewhere"), &dump.path).unwrap();
        fs::File::options().write(true).open(dump.index()).unwrap().write_all_at(&index, 0).unwrap();
        // Renaming changes a time that the index knows the dump by.
        dump.load(false).unwrap();
    }
    assert!(lost > 5, "{lost}");
    assert_eq!(TOLD.load(Ordering::Relaxed), lost, "once for each heap");
}

/// Tasks that wait for one column must not keep each other from reading it.
#[test]
fn many_threads_may_ask_for_a_damaged_column_at_once() {
    use rayon::prelude::*;
    let dump = Dump::new();
    let read = dump.load(false).unwrap();
    let (sections, _) = file::Sections::open(fs::File::open(dump.index()).unwrap()).unwrap();
    let file = fs::File::options().write(true).open(dump.index()).unwrap();
    file.write_all_at(&[0x55; 4], sections.place("types").unwrap()).unwrap();
    let heap = dump.indexed().unwrap();
    let types: Vec<u32> = (0..1000u32).into_par_iter().map(|i| heap.type_id(i % heap.len())).collect();
    assert_eq!(types, (0..1000).map(|i| read.type_id(i % read.len())).collect::<Vec<_>>());
}

#[test]
fn every_length_is_the_right_answer_or_none() {
    let dump = Dump::new();
    dump.load(false).unwrap();
    let index = fs::read(dump.index()).unwrap();
    let indexed = dump.reader();
    for length in (0..index.len()).rev() {
        fs::File::options().write(true).open(dump.index()).unwrap().set_len(length as u64).unwrap();
        assert!(indexed().is_none(), "{length}");
    }
    fs::write(dump.index(), [index.as_slice(), b"x"].concat()).unwrap();
    assert!(dump.indexed().is_none());
}

/// Numbers that lead out of bounds, under checksums that hold: somebody meant harm.
#[test]
fn sections_that_do_not_fit_together_are_refused() {
    let dump = Dump::new();
    let heap = dump.load(false).unwrap();
    let sections = heap.sections().unwrap();
    let (_, about) = file::Sections::open(fs::File::open(dump.index()).unwrap()).unwrap();
    for at in 0..sections.len() {
        for harm in 0..4 {
            let mut sections = sections.clone();
            let bytes = sections[at].1.to_mut();
            match harm {
                0 => bytes.fill(0xff),
                1 => bytes.extend([0xee; 8]),
                2 => bytes.truncate(bytes.len().saturating_sub(8)),
                _ => bytes.clear(),
            }
            let unnamed = place::Unnamed::create(&dump.index(), 1).unwrap();
            file::write(unnamed.file(), &sections, about.clone()).unwrap();
            unnamed.publish().unwrap();
            if let Some(heap) = dump.indexed() {
                // Not always the right answer, but one within bounds.
                assert!(everything(&heap).lines().count() >= heap.len() as usize, "{} {harm}", sections[at].0);
            }
        }
    }
}

#[test]
fn others_cannot_put_an_index_beside_a_dump() {
    let dump = Dump::new();
    dump.load(false).unwrap();
    let elsewhere = dump.folder.path().join("elsewhere");
    fs::rename(dump.index(), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, dump.index()).unwrap();
    assert!(dump.indexed().is_none());
    fs::remove_file(dump.index()).unwrap();
    nix::unistd::mkfifo(&dump.index(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(dump.indexed().is_none());
}

#[test]
fn what_was_salvaged_and_what_comes_from_a_pipe_has_none() {
    let dump = Dump::new();
    fs::write(&dump.path, &LINES[..LINES.len() - 5]).unwrap();
    assert!(dump.load(false).is_err());
    dump.load(true).unwrap();
    assert!(!dump.index().exists());
    assert!(dump.load(false).is_err(), "an index must not hide that the dump is cut off");
}

#[test]
fn a_file_that_is_not_finished_leaves_nothing() {
    let dump = Dump::new();
    let unnamed = place::Unnamed::create(&dump.index(), 1).unwrap();
    unnamed.file().write_all_at(b"half", 0).unwrap();
    assert_eq!(fs::read_dir(dump.folder.path()).unwrap().count(), 2, "not even while it is written");
    drop(unnamed);
    assert_eq!(fs::read_dir(dump.folder.path()).unwrap().count(), 2);
    assert!(place::Unnamed::create(&dump.index(), u64::MAX).is_err(), "the disk would be full");
}

#[test]
fn the_cache_forgets_dumps_that_are_gone() {
    let (dump, cache) = (Dump::new(), tempfile::tempdir().unwrap());
    dump.load(false).unwrap();
    fs::copy(dump.index(), cache.path().join("1.heapsee-index")).unwrap();
    fs::write(cache.path().join("2.heapsee-index"), "no index").unwrap();
    fs::write(cache.path().join("other"), "not ours").unwrap();
    let names = || fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    place::forget_dumps_that_are_gone(cache.path());
    assert_eq!(names().len(), 2);
    fs::remove_file(&dump.path).unwrap();
    place::forget_dumps_that_are_gone(cache.path());
    assert_eq!(names(), ["other"]);
}

#[test]
fn a_place_for_each_dump_in_the_cache() {
    let (one, two) = (place::candidates(Path::new("/d/one.dump")), place::candidates(Path::new("/d/two.dump")));
    assert_eq!(one[0], Path::new("/d/one.dump.heapsee-index"));
    assert_ne!(one.last(), two.last());
}

#[test]
fn an_index_of_somebody_elses_dump_is_used_too() {
    let dump = Dump::new();
    let mut key = Key::of(&dump.path.metadata().unwrap(), "fingerprint", "sidecar");
    key.owner = 1234;
    let kept = serde_json::from_value::<Key>(serde_json::to_value(&key).unwrap()).unwrap();
    assert_eq!(kept, key);
}
