//! The index beside a dump, as a person meets it: made once, used by every verb, left out when asked, never in the way.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const LINES: &str = "\
{\"address\": 16, \"type\": \"dict\", \"size\": 1000000, \"len\": 1, \"refs\": [32, 48, 7]}
{\"address\": 32, \"type\": \"str\", \"size\": 50, \"len\": 1, \"value\": \"k\", \"refs\": []}
{\"address\": 48, \"type\": \"str\", \"size\": 70, \"len\": 1, \"value\": \"v\", \"refs\": []}
";

struct Place {
    folder: tempfile::TempDir,
    dump: PathBuf,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let dump = folder.path().join("x.dump");
        fs::write(&dump, LINES).unwrap();
        Place { folder, dump }
    }

    fn index(&self) -> PathBuf {
        self.folder.path().join("x.dump.heapsee-index")
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache/heapsee")
    }

    /// What the program answers; it must not fail or complain.
    fn ask(&self, arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_heapsee"))
            .args(arguments)
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn query(&self, dump: &Path, options: &[&str]) -> String {
        let sql = "select count(*), sum(size), (select count(*) from ref) from obj";
        self.ask(&[&["query", dump.to_str().unwrap(), sql, "--csv"], options].concat())
    }
}

#[test]
fn every_verb_finds_what_the_first_one_left() {
    let place = Place::new();
    let dump = place.dump.to_str().unwrap();
    let without = place.ask(&["summary", dump, "--no-index", "--json"]);
    assert!(!place.index().exists());
    assert_eq!(place.ask(&["summary", dump, "--json"]), without);
    let made = place.index().metadata().unwrap();
    assert_eq!(made.mode() & 0o7777, 0o600);
    assert_eq!(place.ask(&["summary", dump, "--json"]), without);
    assert_eq!(place.query(&place.dump, &[]), place.query(&place.dump, &["--no-index"]));
    place.ask(&["shell", dump]);
    assert_eq!(place.index().metadata().unwrap().ino(), made.ino());
    assert!(!place.cache().exists());
}

#[test]
fn where_nothing_can_be_written_the_cache_is_used() {
    let place = Place::new();
    // No file can be made beside this name of the dump.
    let file = File::open(&place.dump).unwrap();
    let dump = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()));
    let answer = place.query(&dump, &[]);
    let in_cache = || fs::read_dir(place.cache()).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let made = in_cache();
    assert_eq!(made.len(), 1);
    assert_eq!(place.cache().metadata().unwrap().mode() & 0o777, 0o700);
    let inode = made[0].metadata().unwrap().ino();
    assert_eq!(place.query(&dump, &[]), answer);
    assert_eq!((in_cache().len(), made[0].metadata().unwrap().ino()), (1, inode));
}

#[test]
fn without_any_place_it_works_all_the_same() {
    let place = Place::new();
    fs::write(place.folder.path().join("cache"), "no folder").unwrap();
    let file = File::open(&place.dump).unwrap();
    let dump = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()));
    assert_eq!(place.query(&dump, &[]), place.query(&place.dump, &[]));
}

#[test]
fn a_damaged_index_is_replaced() {
    let place = Place::new();
    let answer = place.query(&place.dump, &[]);
    let good = fs::read(place.index()).unwrap();
    fs::write(place.index(), &good[..good.len() / 2]).unwrap();
    assert_eq!(place.query(&place.dump, &[]), answer);
    assert_eq!(fs::read(place.index()).unwrap().len(), good.len());
    fs::remove_file(place.index()).unwrap();
    fs::create_dir(place.index()).unwrap();
    assert_eq!(place.query(&place.dump, &[]), answer, "even a folder in its place does not matter");
}

/// What the index has is read when it is asked for; by then both it and the dump may be gone bad. The session lives on.
#[test]
fn a_damaged_index_of_a_dump_that_changed_is_an_error_and_not_the_end() {
    let place = Place::new();
    place.query(&place.dump, &[]);
    let index = fs::read(place.index()).unwrap();
    let at = index.windows(8).position(|bytes| bytes == 16u64.to_le_bytes()).unwrap();
    File::options().write(true).open(place.index()).unwrap().write_all_at(b"\xff", at as u64).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_heapsee"))
        .args(["shell", place.dump.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"echo opened\n").unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    assert!(output.by_ref().lines().any(|line| line.unwrap() == "opened"));
    fs::write(&place.dump, LINES.replace('7', "8")).unwrap();
    let asked = [
        "select address from obj",
        "delete from ref where parent = 16",
        "path from \"address in 0&\" to \"type = 'str'\"",
        "gc",
        "stats",
    ];
    input.write_all(format!("{}\necho lives on\n", asked.join("\n")).as_bytes()).unwrap();
    input.write_all(format!("read {}\nselect count(*) n from obj\n", place.dump.display()).as_bytes()).unwrap();
    drop(input);
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    let ended = child.wait_with_output().unwrap();
    let message = String::from_utf8(ended.stderr).unwrap();
    assert!(rest.starts_with("lives on\nReading ") && rest.ends_with(" 3\n"), "{rest}");
    assert_eq!(ended.status.code(), Some(0), "{message}");
    let complaints: Vec<&str> = message.lines().filter(|line| line.starts_with("***")).collect();
    assert_eq!(complaints.len(), asked.len(), "{message}");
    for complaint in complaints {
        assert!(complaint.contains("generation 1 cannot be shown: "), "{complaint}");
        assert!(complaint.contains("changed since it was opened, and its index is damaged"), "{complaint}");
    }
}

/// Whoever is interrupted has not been: the dump here is a pipe, so that it is known to be open and not to end.
#[test]
fn ctrl_c_while_reading_leaves_nothing_behind() {
    // Programs that a shell runs in the background are born with it ignored.
    // SAFETY: no handler is set, and nothing else in this process cares about it.
    unsafe { nix::sys::signal::signal(nix::sys::signal::SIGINT, nix::sys::signal::SigHandler::SigDfl) }.unwrap();
    for verb in [["summary", "fifo"].as_slice(), &["query", "fifo", "select 1"], &["shell", "fifo"]] {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let temporary = folder.path().join("tmp");
        fs::create_dir(&temporary).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_heapsee"))
            .args(verb)
            .current_dir(folder.path())
            .env("XDG_CACHE_HOME", folder.path().join("cache"))
            .env("XDG_STATE_HOME", folder.path().join("state"))
            .env("TMPDIR", &temporary)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut writer = File::options().write(true).open(&fifo).unwrap();
        writer.write_all(LINES.as_bytes()).unwrap();
        let pid = nix::unistd::Pid::from_raw(child.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended.status), Some(2), "{verb:?} {ended:?}");
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "{verb:?}");
        assert!(!folder.path().join("cache").exists(), "{verb:?}");
    }
}
