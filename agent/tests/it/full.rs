//! Stores whose disk is full, read-only or gone, by file systems that really are, in a mount namespace of their own:
//! it is said what to do, the worker's files stay, nothing half-made does, and later it goes on.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::found::put;
use crate::harness::*;

const NAME: &str = "meliae.2026-11-24T05:23:23.000123.4711.dump";
/// Runs the agent with what is left of the arguments, and tells how it ended and what is in the store then.
const RUN: &str =
    "run() { code=0; \"$AGENT\" \"$@\" || code=$?; echo \"exit $code\"; find \"$STORE\" -type f | sort; }";

/// A dump directory with a dump of more than 4 MB, and a place for a file system.
struct Scene {
    home: TempDir,
}

impl Scene {
    fn new() -> Scene {
        let scene = Scene { home: tempfile::tempdir().unwrap() };
        for name in ["drop", "store"] {
            fs::create_dir(scene.path(name)).unwrap();
        }
        // Not to be compressed into nothing.
        let mut number = 1_u64;
        let mut next = || {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            number
        };
        let lines: String = (0..120_000).map(|_| format!("{{\"address\": {:x}{:x}}}\n", next(), next())).collect();
        put(&scene.path("drop"), NAME, lines.as_bytes());
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Runs a script in a mount namespace of its own; its stdout and stderr.
    fn script(&self, text: &str) -> (String, String) {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-euc"]).arg(format!("{RUN}\n{text}")).stdin(Stdio::null());
        command.env("AGENT", env!("CARGO_BIN_EXE_heapsee-agent"));
        command.env("STORE", self.path("store")).env("DROP", self.path("drop")).env("BUCKET", self.path("bucket"));
        command.env_remove("HEAPSEE_STORE");
        let out = command.output().unwrap();
        let [stdout, stderr] = [out.stdout, out.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(out.status.success(), "{text}: {stderr}");
        (stdout, stderr)
    }

    fn has_originals(&self) -> bool {
        names(&self.path("drop")) == [NAME.to_owned(), format!("{NAME}.meta.json")]
    }
}

/// The files that a script has told of, by name, but for locks.
fn files(stdout: &str) -> Vec<&str> {
    let files = stdout.lines().filter(|line| line.starts_with('/')).filter_map(|line| Path::new(line).file_name());
    let files = files.filter_map(|name| name.to_str()).filter(|name| *name != "lock" && *name != "ship.lock");
    // The agent tells of what it has stored, too.
    files.collect::<BTreeSet<_>>().into_iter().collect()
}

#[test]
fn a_full_disk() {
    if !as_root() {
        return;
    }
    let scene = Scene::new();
    // Too small for the dump; for its directory, even; and then large enough.
    for size in ["1m", "4k"] {
        let mount = format!("mount -t tmpfs -o size={size} none \"$STORE\"");
        let (stdout, stderr) = scene.script(&format!("{mount}; run collect \"$DROP\" --store \"$STORE\""));
        assert!(stdout.starts_with("exit 7\n"), "{stdout}");
        let is_said = ["free some space", "less than keep_free is free"].iter().any(|words| stderr.contains(words));
        assert!(is_said, "{stderr}");
        assert_eq!(files(&stdout), Vec::<&str>::new());
        assert!(scene.has_originals());
    }
    let (stdout, _) = scene.script(
        "mount -t tmpfs -o size=1m none \"$STORE\"; run collect \"$DROP\" --store \"$STORE\" 2>/dev/null
         mount -o remount,size=64m \"$STORE\"; run collect \"$DROP\" --store \"$STORE\"",
    );
    assert!(stdout.contains("exit 0"), "{stdout}");
    assert_eq!(files(&stdout).len(), 3, "{stdout}");
    assert!(names(&scene.path("drop")).is_empty());
}

#[test]
fn a_disk_without_inodes() {
    if !as_root() {
        return;
    }
    let scene = Scene::new();
    for inodes in 3..9 {
        let mount = format!("mount -t tmpfs -o nr_inodes={inodes} none \"$STORE\"");
        let (stdout, stderr) = scene.script(&format!("{mount}; run collect \"$DROP\" --store \"$STORE\""));
        assert!(stdout.starts_with("exit 7\n") && stderr.contains("free some space"), "{inodes}: {stdout}{stderr}");
        assert!(files(&stdout).is_empty() && scene.has_originals(), "{inodes}: {stdout}");
    }
}

#[test]
fn a_read_only_disk() {
    if !as_root() {
        return;
    }
    let scene = Scene::new();
    let (stdout, stderr) =
        scene.script("mount -t tmpfs -o ro none \"$STORE\"; run collect \"$DROP\" --store \"$STORE\"");
    assert!(stdout.starts_with("exit 7\n"), "{stdout}");
    assert!(stderr.contains("Read-only file system") && stderr.contains("that you may write to"), "{stderr}");
    assert!(scene.has_originals());
    // Read-only is the worker's side: the dump is stored, and what is left to do is said.
    let (stdout, stderr) = scene.script(
        "mount --bind \"$DROP\" \"$DROP\"; mount -o remount,ro,bind \"$DROP\"; run collect \"$DROP\" --store \"$STORE\"",
    );
    assert!(stdout.contains("exit 0"), "{stdout}{stderr}");
    assert!(stderr.contains("could not be removed") && stderr.contains("by hand"), "{stderr}");
    assert_eq!(files(&stdout).len(), 3, "{stdout}");
    assert!(scene.has_originals());
}

#[test]
fn a_full_destination() {
    if !as_root() {
        return;
    }
    let scene = Scene::new();
    fs::create_dir(scene.path("bucket")).unwrap();
    let (stdout, stderr) = scene.script(
        "\"$AGENT\" collect \"$DROP\" --store \"$STORE\" >/dev/null
         mount -t tmpfs -o size=1m none \"$BUCKET\"; run ship --to \"file://$BUCKET\" --store \"$STORE\"
         find \"$BUCKET\" -type f -name manifest.json -exec echo manifest sent \\;
         mount -o remount,size=64m \"$BUCKET\"; run ship --to \"file://$BUCKET\" --store \"$STORE\"",
    );
    let (before, after) = stdout.split_once("exit 0").unwrap();
    assert!(before.starts_with("exit 12\n") && stderr.contains("No space left on device"), "{stdout}{stderr}");
    assert!(!files(before).contains(&"shipped.json") && files(after).contains(&"shipped.json"), "{stdout}");
    assert!(!before.contains("manifest sent"), "{stdout}");
}
