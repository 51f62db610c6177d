//! Dumps that are shipped: whole and verified, or remembered and said so, whatever the service does.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::harness::*;
use crate::s3::{Fault, Server};

const SECRET: &str = "a-very-secret-access-key";

/// A store with one dump of two parts, and a bucket.
struct Scene {
    server: Server,
    store: TempDir,
    dump: PathBuf,
}

impl Scene {
    fn new() -> Scene {
        let store = tempfile::tempdir().unwrap();
        let dump = collect(store.path(), "120000");
        Scene { server: Server::start(), store, dump }
    }

    fn config(&self, more: &str) -> String {
        let text = format!(
            "[store]\ndirectory = {:?}\n[ship]\nurl = \"s3://bucket/some/prefix\"\nendpoint = {:?}\n\
             allow_http = true\npart_size = \"5MiB\"\nretry_first = \"10ms\"\n{more}\n",
            self.store.path(),
            self.server.endpoint()
        );
        let path = self.store.path().join(".agent.toml");
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn start(&self, more: &str, arguments: &[&str]) -> Agent {
        let config = self.config(more);
        let arguments = [&["ship", "--config", &config], arguments].concat();
        Agent::start_with(self.store.path(), &arguments, |command| {
            command.env("AWS_ACCESS_KEY_ID", "AKIATEST").env("AWS_SECRET_ACCESS_KEY", SECRET);
            command.env_remove("http_proxy").env_remove("HTTP_PROXY").env("NO_PROXY", "127.0.0.1");
        })
    }

    fn ship(&self, arguments: &[&str]) -> Ended {
        let ended = self.start("", arguments).end();
        assert!(!ended.stderr.contains(SECRET) && !ended.stdout.contains(SECRET), "{ended:?}");
        ended
    }

    fn directory(&self) -> &Path {
        self.dump.parent().unwrap()
    }

    /// Asserts that the bucket has exactly the dump's files, and that this is known.
    #[track_caller]
    fn is_shipped(&self) {
        let objects = self.server.objects();
        let entry = self.directory().strip_prefix(self.store.path()).unwrap().to_str().unwrap();
        let mut files = names(self.directory());
        assert!(files.contains(&"shipped.json".to_owned()) && !files.contains(&"upload.json".to_owned()), "{files:?}");
        files.retain(|name| name != "shipped.json");
        let keys: Vec<String> = files.iter().map(|name| format!("bucket/some/prefix/{entry}/{name}")).collect();
        assert_eq!(objects.keys().cloned().collect::<Vec<_>>(), keys);
        for (key, file) in keys.iter().zip(&files) {
            assert!(objects[key] == fs::read(self.directory().join(file)).unwrap(), "{key} differs");
        }
        assert_eq!(self.server.uploads(), 0, "uploads were left behind");
    }

    /// As if it had never been shipped.
    fn again(&self) {
        self.server.clear();
        for name in ["shipped.json", "upload.json"] {
            let _ = fs::remove_file(self.directory().join(name));
        }
    }

    #[track_caller]
    fn is_not_shipped(&self) {
        assert!(!self.directory().join("shipped.json").exists());
        assert!(self.dump.is_file());
    }
}

fn collect(store: &Path, objects: &str) -> PathBuf {
    let worker = Worker::start(&["--objects", objects]);
    Agent::run(store, &["dump", "--pid", &worker.pid().to_string(), "--no-compress", "--quiet"]).path()
}

#[test]
fn a_dump_is_shipped_verified_and_known_to_be() {
    let scene = Scene::new();
    let ended = scene.ship(&["--dry-run"]);
    assert!(ended.stdout.starts_with("s3://bucket/some/prefix/") && scene.server.objects().is_empty(), "{ended:?}");
    let ended = scene.ship(&["--json"]);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&report["schema"], &report["dumps"][0]["state"]), (&"heapsee.agent.ship/1".into(), &"shipped".into()));
    scene.is_shipped();
    assert_eq!((scene.server.count("PUT part"), scene.server.count("PUT")), (2, 2));
    let shipped: serde_json::Value =
        serde_json::from_slice(&fs::read(scene.directory().join("shipped.json")).unwrap()).unwrap();
    assert_eq!(shipped["destination"], report["dumps"][0]["destination"]);
    // A second time there is nothing to do, and no request.
    scene.server.plan(|_| Some(Fault::Status(500)));
    let ended = scene.ship(&[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
    assert!(ended.stderr.contains("everything is shipped already"), "{ended:?}");
    assert_eq!(scene.server.count("HEAD"), 0);
}

#[test]
fn an_outage_is_waited_for() {
    let scene = Scene::new();
    for fault in [Fault::Status(500), Fault::Cut] {
        for kind in ["POST uploads", "PUT part", "PUT", "POST complete", "HEAD", "GET"] {
            scene.again();
            // More often than the library's own retries.
            scene.server.plan(move |request| (request.kind == kind && request.before < 3).then_some(fault));
            let ended = scene.ship(&[]);
            assert!(ended.failed_with(12).contains("0 of 1 dumps are shipped: s3://bucket"), "{ended:?}");
            scene.is_not_shipped();
            scene.server.plan(move |request| (request.kind == kind && request.before < 3).then_some(fault));
            let ended = scene.ship(&["--retry", "60"]);
            assert_eq!(ended.code, Some(0), "{kind} {fault:?} {ended:?}");
            assert!(ended.stderr.contains("trying again in"), "{ended:?}");
            scene.is_shipped();
        }
    }
}

#[test]
fn what_is_denied_is_said_and_what_to_do() {
    let scene = Scene::new();
    for kind in ["POST uploads", "PUT part", "POST complete", "HEAD", "GET"] {
        scene.again();
        scene.server.plan(move |request| (request.kind == kind).then_some(Fault::Status(403)));
        let ended = scene.ship(&[]);
        let line = ended.failed_with(12);
        assert!(line.contains("denies access") && line.contains("allow writing, reading"), "{line}");
        scene.is_not_shipped();
        scene.server.plan(|_| None);
        assert_eq!(scene.ship(&[]).code, Some(0));
        scene.is_shipped();
    }
}

#[test]
fn a_service_that_hangs_is_given_up() {
    let scene = Scene::new();
    for kind in ["POST uploads", "PUT part", "POST complete", "GET"] {
        scene.again();
        scene.server.plan(move |request| (request.kind == kind).then_some(Fault::Hang));
        let ended = scene.start("timeout = \"300ms\"", &[]).end();
        assert!(ended.failed_with(12).contains("cannot be reached or is in trouble"), "{ended:?}");
        scene.is_not_shipped();
    }
}

#[test]
fn a_copy_that_reads_back_otherwise_is_sent_again() {
    let scene = Scene::new();
    scene.server.plan(|request| (request.kind == "GET" && request.before == 0).then_some(Fault::Corrupt));
    let ended = scene.ship(&[]);
    assert!(ended.failed_with(12).contains("reads back otherwise than it was sent"), "{ended:?}");
    scene.is_not_shipped();
    scene.server.plan(|request| (request.kind == "GET" && request.before == 0).then_some(Fault::Corrupt));
    let ended = scene.ship(&["--retry", "60"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(scene.server.count("PUT part"), 4);
    scene.is_shipped();
}

#[test]
fn a_killed_agent_is_gone_on_with() {
    let scene = Scene::new();
    scene.server.plan(|request| (request.kind == "PUT part" && request.before == 1).then_some(Fault::Hang));
    let mut agent = scene.start("", &[]);
    until("the second part", || (scene.server.count("PUT part") == 2).then_some(()));
    agent.process.kill();
    scene.is_not_shipped();
    scene.server.plan(|_| None);
    assert_eq!(scene.ship(&[]).code, Some(0));
    assert_eq!((scene.server.count("PUT part"), scene.server.count("POST uploads")), (1, 0));
    scene.is_shipped();
}

#[test]
fn a_lost_answer_is_no_second_upload() {
    let scene = Scene::new();
    scene.server.plan(|request| match (request.kind, request.before) {
        ("POST complete", 0) => Some(Fault::CutAfter),
        ("POST complete", _) => Some(Fault::Hang),
        _ => None,
    });
    let mut agent = scene.start("", &[]);
    until("a second completion", || (scene.server.count("POST complete") == 2).then_some(()));
    agent.process.kill();
    scene.server.plan(|_| None);
    assert_eq!(scene.ship(&[]).code, Some(0));
    assert_eq!(scene.server.count("PUT part"), 0);
    scene.is_shipped();
}

#[test]
fn an_upload_that_the_service_has_forgotten_begins_anew() {
    let scene = Scene::new();
    scene.server.plan(|request| (request.kind == "PUT part" && request.before == 1).then_some(Fault::Forget));
    assert_eq!(scene.ship(&[]).code, Some(0));
    assert_eq!(scene.server.count("POST uploads"), 2);
    scene.is_shipped();
}

#[test]
fn an_interrupted_run_ends_soon_and_is_gone_on_with() {
    let scene = Scene::new();
    scene.server.plan(|request| (request.kind == "PUT part").then_some(Fault::Hang));
    let agent = scene.start("", &["--retry", "3600"]);
    until("a part", || (scene.server.count("PUT part") == 1).then_some(()));
    agent.signal(Signal::SIGTERM);
    let ended = agent.end();
    assert!(ended.failed_with(130).contains("will be gone on with"), "{ended:?}");
    scene.server.plan(|_| None);
    assert_eq!(scene.ship(&[]).code, Some(0));
    scene.is_shipped();
}

#[test]
fn a_damaged_dump_is_not_shipped_and_stops_no_other() {
    let scene = Scene::new();
    let mut bytes = fs::read(&scene.dump).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&scene.dump, bytes).unwrap();
    let other = collect(scene.store.path(), "10");
    let ended = scene.ship(&[]);
    assert_eq!(ended.code, Some(12), "{ended:?}");
    assert!(
        ended.stderr.contains("1 of 2 dumps are shipped: ") && ended.stderr.contains("check the store's disk"),
        "{ended:?}"
    );
    assert!(other.parent().unwrap().join("shipped.json").is_file());
    scene.is_not_shipped();
    assert!(!scene.server.objects().keys().any(|key| key.contains(scene.dump.file_name().unwrap().to_str().unwrap())));
}

#[test]
fn a_directory_is_a_destination_if_it_is_there() {
    let store = tempfile::tempdir().unwrap();
    let dump = collect(store.path(), "1000");
    let target = tempfile::tempdir().unwrap();
    let missing = format!("file://{}/none", target.path().display());
    let ended = Agent::run(store.path(), &["ship", "--to", &missing]);
    assert!(ended.failed_with(12).contains("is no directory: make it, or mount it"), "{ended:?}");
    let url = format!("file://{}", target.path().display());
    let ended = Agent::run(store.path(), &["ship", "--to", &url]);
    let directory = PathBuf::from(ended.path().to_str().unwrap().strip_prefix("file://").unwrap());
    let from = dump.parent().unwrap();
    assert_eq!(names(&directory), [&names(from)[..2], &names(from)[2..3]].concat());
    for name in names(&directory) {
        assert_eq!(fs::read(directory.join(&name)).unwrap(), fs::read(from.join(&name)).unwrap());
    }
}

#[test]
fn a_wrong_destination_is_a_wrong_command_line() {
    let store = tempfile::tempdir().unwrap();
    for (url, words) in
        [("x", "no address"), ("ftp://x", "not known"), ("s3://", "no bucket"), ("s3://a:b@c", "password")]
    {
        let ended = Agent::run(store.path(), &["ship", "--to", url]);
        assert!(ended.failed_with(2).contains(words), "{ended:?}");
    }
    assert!(Agent::run(store.path(), &["ship"]).failed_with(2).contains("where to?"));
}

#[test]
fn only_one_ships_at_a_time() {
    let scene = Scene::new();
    scene.server.plan(|_| Some(Fault::Hang));
    let _first = scene.start("", &[]);
    until("a request", || (scene.server.count("POST uploads") == 1).then_some(()));
    assert!(scene.ship(&[]).failed_with(9).contains("is already shipping"));
}
