//! Dumps that somebody else asked for, under a daemon that watches: taken in, told of, shipped; and what must not be.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::harness::*;

const NAME: &str = "meliae.2026-11-24T05:23:23.000123.4711.dump";

/// A daemon with a store, a directory that it watches, and a place for the rest. It leaves workers alone, for those
/// of other tests would be among them; unless it is another user, who sees only his own.
struct Scene {
    home: TempDir,
    agent: Option<Agent>,
    uid: Option<u32>,
}

impl Scene {
    fn start(more: &str) -> Scene {
        Scene::start_after(more, |_| {})
    }

    fn start_after(more: &str, prepare: impl FnOnce(&Scene)) -> Scene {
        let mut scene = Scene::make();
        prepare(&scene);
        scene.restart(more);
        scene
    }

    fn make() -> Scene {
        let scene = Scene { home: tempfile::tempdir().unwrap(), agent: None, uid: None };
        for name in ["store", "drop", "bucket", "elsewhere"] {
            fs::create_dir(scene.path(name)).unwrap();
        }
        scene
    }

    fn restart(&mut self, more: &str) {
        self.agent = None;
        let more = match more.contains("[retention]") {
            true => more.to_owned(),
            // Whatever else is on the disk of whoever runs this.
            false => format!("[retention]\nkeep_free = \"0B\"\n{more}"),
        };
        let text = format!(
            "[agent]\npoll = \"1s\"\nstate = {:?}\nsocket = {:?}\n[store]\ndirectory = {:?}\n\
             [intake]\nwatch = {}\nscan = \"1s\"\ndirectories = [{:?}]\n{more}\n",
            self.path("state"),
            self.path("socket"),
            self.path("store"),
            self.uid.is_some(),
            self.path("drop"),
        );
        fs::write(self.path("agent.toml"), text.replace("HOME", self.home.path().to_str().unwrap())).unwrap();
        let config = self.path("agent.toml");
        let arguments = ["run", "--config", config.to_str().unwrap()];
        self.agent = Some(Agent::start_with(&self.path("store"), &arguments, |command| {
            if let Some(uid) = self.uid {
                command.uid(uid).gid(uid);
            }
        }));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The manifests in the store.
    fn manifests(&self) -> Vec<PathBuf> {
        tree(&self.path("store")).into_iter().filter(|path| path.ends_with("manifest.json")).collect()
    }

    fn collected(&self) -> PathBuf {
        until("a collected dump", || self.manifests().pop())
    }

    fn hear(&mut self, text: &str) {
        self.agent.as_mut().unwrap().hear(text);
    }

    fn end(mut self) {
        let agent = self.agent.take().unwrap();
        agent.signal(Signal::SIGTERM);
        let ended = agent.end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

/// Puts a dump and its sidecar there, as a worker that is dead by now has.
pub fn put(directory: &Path, name: &str, text: &[u8]) {
    let sha256: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    let lines = text.iter().filter(|&&byte| byte == b'\n').count();
    let sidecar = serde_json::json!({
        "schema": "heapsee.dump-meta/1",
        "process": {"pid": 4711, "start_time_ticks": 1, "command_line": ["gunicorn: worker [the-shop]"]},
        "trigger": {"reason": "signal", "requested_at": "2026-11-24T05:23:23Z"},
        "file": {"name": name, "size": text.len(), "lines": lines, "sha256": sha256},
    });
    fs::write(directory.join(format!("{name}.meta.json")), sidecar.to_string()).unwrap();
    fs::write(directory.join(format!(".{name}")), text).unwrap();
    fs::rename(directory.join(format!(".{name}")), directory.join(name)).unwrap();
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_dump_that_is_asked_for_by_kill_is_collected() {
    if !as_root() {
        return;
    }
    let uid = 65_533;
    let mut scene = Scene::make();
    scene.uid = Some(uid);
    for path in [scene.home.path().to_owned(), scene.path("store"), scene.path("drop")] {
        std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
    }
    scene.restart("");
    let worker = Worker::start(&["--objects", "5000", "--uid", &uid.to_string(), "--dumpable"]);
    // The daemon looks at workers once a second; whether it comes before or after the signal, the dump is found.
    kill(Pid::from_raw(worker.pid().cast_signed()), Signal::SIGPROF).unwrap();
    worker.expect("ended");
    let manifest = json(&scene.collected());
    assert_eq!((&manifest["worker"]["pid"], &manifest["dump"]["lines"]), (&worker.pid().into(), &5000.into()));
    assert_eq!(manifest["trigger"]["kind"], "signal");
    until("the originals to go", || worker.files().is_empty().then_some(()));
    scene.end();
}

#[test]
fn what_the_dead_have_left_is_collected_once_told_of_and_shipped() {
    let hook = "[hook]\nsummary = false\ncommand = [\"sh\", \"-c\", \"cat >> HOME/told\"]\n";
    let ship = "[ship]\nurl = \"file://HOME/bucket\"\n";
    let scene = Scene::start_after(&format!("{hook}{ship}"), |scene| put(&scene.path("drop"), NAME, b"{}\n{}\n"));
    let manifest = scene.collected();
    let place = manifest.parent().unwrap().to_owned();
    assert!(place.starts_with(scene.path("store").join("the-shop")) && place.ends_with("20261124T052323Z-4711"));
    until("the hook", || place.join("hook.json").exists().then_some(()));
    until("the copy", || place.join("shipped.json").exists().then_some(()));
    until("the hook's end", || (json(&place.join("hook.json"))["done"] == true).then_some(()));
    let told = json(&scene.path("told"));
    assert_eq!((&told["schema"], &told["manifest"]["app"]), (&"heapsee.collected/1".into(), &"the-shop".into()));
    assert!(fs::read(told["path"].as_str().unwrap()).is_ok() && told["summary"].is_null());
    let copied = scene.path("bucket").join(place.strip_prefix(scene.path("store")).unwrap());
    assert_eq!(fs::read(copied.join("manifest.json")).unwrap(), fs::read(&manifest).unwrap());
    assert!(names(&scene.path("drop")).is_empty());
    scene.end();
}

#[test]
fn one_that_comes_back_is_not_taken_in_twice() {
    // Whoever took it in died before the originals were removed.
    let scene = Scene::start("");
    for _ in 0..2 {
        put(&scene.path("drop"), NAME, b"{}\n");
        until("the originals to go", || names(&scene.path("drop")).is_empty().then_some(()));
        assert_eq!(scene.manifests().len(), 1);
    }
    // But if the copy is damaged, it is none.
    let manifest = scene.collected();
    let stored = manifest.parent().unwrap().join(format!("{NAME}.zst"));
    fs::write(&stored, "x").unwrap();
    put(&scene.path("drop"), NAME, b"{}\n");
    until("the originals to go", || names(&scene.path("drop")).is_empty().then_some(()));
    assert_eq!(scene.manifests().len(), 2);
    scene.end();
}

#[test]
fn what_is_wrong_is_left_alone_and_said_once() {
    let mut scene = Scene::start_after("", |scene| {
        let (drop, secret) = (scene.path("drop"), scene.path("secret"));
        fs::write(&secret, "secret\n").unwrap();
        let name = |pid: u32| NAME.replace("4711", &pid.to_string());
        // A link to somebody else's file, in place of the dump or of the sidecar; a second name of one.
        put(&drop, &name(1), b"secret\n");
        fs::remove_file(drop.join(name(1))).unwrap();
        std::os::unix::fs::symlink(&secret, drop.join(name(1))).unwrap();
        put(&drop, &name(2), b"secret\n");
        fs::rename(drop.join(format!("{}.meta.json", name(2))), scene.path("sidecar")).unwrap();
        std::os::unix::fs::symlink(scene.path("sidecar"), drop.join(format!("{}.meta.json", name(2)))).unwrap();
        put(&drop, &name(3), b"secret\n");
        fs::remove_file(drop.join(name(3))).unwrap();
        fs::hard_link(&secret, drop.join(name(3))).unwrap();
        // Longer, shorter and other than said; no sidecar; no dump.
        for (pid, text) in [(4, "secret\nand more and more\n"), (5, "s"), (6, "sekret\n")] {
            put(&drop, &name(pid), b"secret\n");
            fs::write(drop.join(name(pid)), text).unwrap();
        }
        put(&drop, &name(7), b"secret\n");
        fs::remove_file(drop.join(format!("{}.meta.json", name(7)))).unwrap();
        nix::unistd::mkfifo(&drop.join(name(8)), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::create_dir(drop.join(name(9))).unwrap();
        // A socket; and as root, a device that never ends.
        std::os::unix::net::UnixListener::bind(drop.join(name(10))).unwrap();
        if is_root() {
            let zeros = nix::sys::stat::makedev(1, 5);
            let (kind, mode) = (nix::sys::stat::SFlag::S_IFCHR, nix::sys::stat::Mode::S_IRWXU);
            nix::sys::stat::mknod(&drop.join(name(11)), kind, mode, zeros).unwrap();
        }
    });
    let before = names(&scene.path("drop"));
    for words in ["symbolic link", "not a regular file", "longer than", "1 bytes, not 7", "SHA-256 is", "is not there"]
    {
        scene.restart("");
        scene.hear(words);
    }
    // It goes on with what is right.
    put(&scene.path("drop"), NAME, b"{}\n");
    scene.collected();
    assert_eq!(scene.manifests().len(), 1);
    until("the originals to go", || (names(&scene.path("drop")) == before).then_some(()));
    scene.end();
}

#[test]
fn a_store_and_a_directory_that_vanish_and_come_back() {
    let mut scene = Scene::start("");
    put(&scene.path("drop"), NAME, b"{}\n");
    scene.collected();
    until("the originals to go", || names(&scene.path("drop")).is_empty().then_some(()));
    // Somebody has removed all of it; what comes then is stored in a new one.
    fs::remove_dir_all(scene.path("store")).unwrap();
    put(&scene.path("drop"), &NAME.replace("4711", "4712"), b"{}\n{}\n");
    assert_eq!(json(&scene.collected())["dump"]["lines"], 2);
    until("the originals to go", || names(&scene.path("drop")).is_empty().then_some(()));
    // In its place is what no store can be; the dump waits until there is one again.
    fs::rename(scene.path("store"), scene.path("away")).unwrap();
    fs::write(scene.path("store"), "").unwrap();
    put(&scene.path("drop"), &NAME.replace("4711", "4713"), b"{}\n");
    scene.hear("a dump that was found is not collected");
    assert_eq!(names(&scene.path("drop")).len(), 2);
    fs::remove_file(scene.path("store")).unwrap();
    fs::rename(scene.path("away"), scene.path("store")).unwrap();
    until("both dumps", || (scene.manifests().len() == 2).then_some(()));
    // The directory that is watched is replaced by another of the same name.
    fs::remove_dir_all(scene.path("drop")).unwrap();
    fs::create_dir(scene.path("drop")).unwrap();
    put(&scene.path("drop"), &NAME.replace("4711", "4714"), b"{}\n");
    until("the dump in the new directory", || (scene.manifests().len() == 3).then_some(()));
    scene.end();
}

#[test]
fn dumps_of_others_in_a_sticky_directory() {
    if !as_root() {
        return;
    }
    let uid = 65_532;
    let mut scene = Scene::make();
    scene.uid = Some(uid);
    for path in [scene.home.path().to_owned(), scene.path("store")] {
        std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
    }
    let drop = scene.path("drop");
    fs::set_permissions(&drop, fs::Permissions::from_mode(0o1777)).unwrap();
    let hidden = NAME.replace("4711", "1");
    put(&drop, &hidden, b"{}\n");
    for name in [hidden.clone(), format!("{hidden}.meta.json")] {
        fs::set_permissions(drop.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    put(&drop, NAME, b"{}\n");
    scene.restart("");
    // What can be read is taken in, once; that it cannot be removed, and what cannot be read, is said.
    scene.hear("cannot be read: run as root or as the worker's user");
    scene.hear("could not be removed");
    assert_eq!(json(&scene.collected())["dump"]["name"], NAME);
    // A second look, with something new in it.
    put(&drop, &NAME.replace("4711", "4712"), b"{}\n");
    until("the new dump", || (scene.manifests().len() == 2).then_some(()));
    assert_eq!(names(&drop).len(), 6);
    scene.end();
}

#[test]
fn a_store_without_room_refuses_and_takes_it_later() {
    let limits = "[retention]\nkeep_free = \"0B\"\nmax_count = 1\n[ship]\nurl = \"file://HOME/nowhere\"\n";
    let mut scene = Scene::start(limits);
    put(&scene.path("drop"), NAME, b"{}\n");
    scene.collected();
    put(&scene.path("drop"), &NAME.replace("4711", "4712"), b"{}\n{}\n");
    scene.hear("more of its application than max_count, and what is left is pinned or not yet shipped");
    assert_eq!(scene.manifests().len(), 1);
    assert_eq!(names(&scene.path("drop")).len(), 2);
    scene.restart(&limits.replace("nowhere", "bucket"));
    until("the second dump", || names(&scene.path("drop")).is_empty().then_some(()));
    assert!(json(&scene.collected())["dump"]["lines"] == 2);
    scene.end();
}

#[test]
fn no_dump_is_deleted_for_one_that_only_says_it_is_large() {
    let mut scene = Scene::start("[retention]\nkeep_free = \"0B\"\nmax_size = \"1MiB\"\n");
    put(&scene.path("drop"), NAME, b"{}\n");
    scene.collected();
    // By its sidecar, or by a file that is a hole, it would fit only without the other.
    for (pid, length) in [("4712", 3), ("4713", 1_000_000)] {
        let name = NAME.replace("4711", pid);
        let path = scene.path("drop").join(format!("{name}.meta.json"));
        put(&scene.path("elsewhere"), &name, b"{}\n");
        let text = fs::read_to_string(scene.path("elsewhere").join(format!("{name}.meta.json"))).unwrap();
        fs::write(&path, text.replace("\"size\":3", "\"size\":1000000")).unwrap();
        let file = fs::File::create(scene.path("elsewhere").join(&name)).unwrap();
        file.set_len(length).unwrap();
        fs::rename(scene.path("elsewhere").join(&name), scene.path("drop").join(&name)).unwrap();
        scene.hear("is not what its sidecar says");
    }
    assert_eq!(scene.manifests().len(), 1);
    scene.end();
}

#[test]
fn a_hook_that_fails_is_tried_again_and_stops_nothing() {
    let mut scene = Scene::start_after(
        "[hook]\nsummary_program = \"HOME/summary\"\ncommand = [\"sh\", \"-c\", \"cat > HOME/told; exit 7\"]\n",
        |scene| {
            let summary = scene.path("summary");
            fs::write(&summary, "#!/bin/sh\necho \"{\\\"arguments\\\": \\\"$1 $2\\\"}\"\n").unwrap();
            fs::set_permissions(&summary, fs::Permissions::from_mode(0o755)).unwrap();
            put(&scene.path("drop"), NAME, b"{}\n");
        },
    );
    scene.hear("the hook has failed: sh ended with exit status: 7; 4 attempts are left");
    assert_eq!(json(&scene.path("told"))["summary"]["arguments"], "summary --json");
    let state = json(&scene.collected().parent().unwrap().join("hook.json"));
    assert_eq!((&state["attempts"], &state["done"]), (&1.into(), &false.into()));
    scene.end();
}
