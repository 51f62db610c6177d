//! The agent killed at every step of taking in, shipping and deleting, at more than 200 points: nothing is lost, and
//! whoever comes next finishes.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::found::put;
use crate::harness::*;
use crate::s3::Server;
use crate::tracer::{self, End};

const NAME: &str = "meliae.2026-11-24T05:23:23.000123.4711.dump";
const AGENT: &str = env!("CARGO_BIN_EXE_heapsee-agent");
const CREDENTIALS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "AKIATEST"), ("AWS_SECRET_ACCESS_KEY", "x"), ("NO_PROXY", "127.0.0.1")];

/// A store and a dump directory.
struct Scene {
    home: TempDir,
}

impl Scene {
    fn new() -> Scene {
        let scene = Scene { home: tempfile::tempdir().unwrap() };
        fs::create_dir(scene.path("drop")).unwrap();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The collected dumps; whatever stands in a dump's place has to be a whole one.
    fn dumps(&self) -> Vec<PathBuf> {
        let apps = names(&self.path("store")).into_iter().filter(|name| !name.starts_with('.'));
        let hosts = apps.flat_map(|app| children(&self.path("store").join(app)));
        let dumps: Vec<PathBuf> = hosts.flat_map(|host| children(&host)).collect();
        for dump in &dumps {
            let manifest: serde_json::Value =
                serde_json::from_slice(&fs::read(dump.join("manifest.json")).unwrap()).unwrap();
            let stored = dump.join(manifest["stored"]["name"].as_str().unwrap());
            assert_eq!(manifest["stored"]["size"], fs::metadata(&stored).unwrap().len(), "{dump:?} is not whole");
            if manifest["stored"]["encryption"] == "none" {
                let size = zstd::decode_all(fs::File::open(stored).unwrap()).unwrap().len();
                assert_eq!(manifest["dump"]["size"], size, "{dump:?} is not whole");
            }
            assert!(dump.join(manifest["sidecar"].as_str().unwrap()).is_file());
        }
        dumps
    }

    fn collect(&self) -> Ended {
        Agent::run(&self.path("store"), &["collect", "--quiet", self.path("drop").to_str().unwrap()])
    }

    /// Nothing is left of what was not finished.
    fn is_tidy(&self) {
        let drafts = tree(&self.path("store")).into_iter().filter(|path| path.to_str().unwrap().ends_with(".tmp"));
        assert_eq!(drafts.collect::<Vec<_>>(), Vec::<PathBuf>::new());
    }
}

fn children(directory: &Path) -> Vec<PathBuf> {
    names(directory).into_iter().map(|name| directory.join(name)).collect()
}

/// More than one piece of a copy.
fn text() -> Vec<u8> {
    let lines = (0..60_000).map(|i| format!("{{\"address\": {i}}}\n"));
    lines.collect::<String>().into_bytes()
}

/// Does it for every step until there are no more; returns how many there were.
fn at_every_step(mut run: impl FnMut(usize) -> End) -> usize {
    for n in 0..1000 {
        match run(n) {
            End::Killed => {}
            End::Exited(code) => {
                assert_eq!(code, 0, "after {n} steps");
                return n;
            }
        }
    }
    panic!("it does not come to an end");
}

#[test]
fn taking_in() {
    let steps = take_in(&[]);
    assert!(steps > 35, "{steps} steps");
}

#[test]
#[cfg(feature = "age")]
fn taking_in_encrypted() {
    let key = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    let steps = take_in(&["--encrypt-to", key]);
    assert!(steps > 50, "{steps} steps");
}

/// Takes a dump in with these further arguments; returns in how many steps.
fn take_in(more: &[&str]) -> usize {
    let text = text();
    at_every_step(|n| {
        let scene = Scene::new();
        let drop = scene.path("drop");
        put(&drop, NAME, &text);
        let store = scene.path("store");
        let arguments = ["collect", drop.to_str().unwrap(), "--quiet", "--store", store.to_str().unwrap()];
        let end = tracer::run(AGENT, &[&arguments, more].concat(), &[], n);
        let is_there = fs::read(drop.join(NAME)).is_ok_and(|found| found == text)
            && drop.join(format!("{NAME}.meta.json")).is_file();
        let before = scene.dumps();
        assert!(is_there || before.len() == 1, "step {n}: the dump is lost");
        let ended = scene.collect();
        assert_eq!(ended.code, Some(0), "step {n}: {ended:?}");
        assert_eq!(scene.dumps().len(), 1, "step {n}");
        assert!(!drop.join(NAME).exists() && names(&drop).len() <= 1, "step {n}: {:?}", names(&drop));
        scene.is_tidy();
        end
    })
}

#[test]
fn deleting() {
    let steps = at_every_step(|n| {
        let scene = Scene::new();
        for pid in [1, 2, 3] {
            put(&scene.path("drop"), &NAME.replace("4711", &pid.to_string()), b"{}\n");
        }
        scene.collect();
        let config = scene.path("agent.toml");
        let text =
            format!("[store]\ndirectory = {:?}\n[retention]\nmax_count = 1\nkeep_free = \"0B\"\n", scene.path("store"));
        fs::write(&config, text).unwrap();
        let arguments = ["prune", "--config", config.to_str().unwrap()];
        let end = tracer::run(AGENT, &arguments, &[], n);
        assert!((1..=3).contains(&scene.dumps().len()), "step {n}");
        assert_eq!(Agent::run(&scene.path("store"), &arguments).code, Some(0));
        assert_eq!(scene.dumps().len(), 1, "step {n}");
        let sweep = ["sweep", "--store", scene.path("store").to_str().unwrap()].map(str::to_owned);
        Agent::run(&scene.path("store"), &sweep.each_ref().map(String::as_str));
        scene.is_tidy();
        end
    });
    assert!(steps > 8, "{steps} steps");
}

/// Ships until killed, then to the end; returns how the first ended.
fn ship(scene: &Scene, server: &Server, n: usize) -> End {
    let dump = scene.dumps().remove(0);
    server.clear();
    for name in ["shipped.json", "upload.json"] {
        let _ = fs::remove_file(dump.join(name));
    }
    let endpoint = server.endpoint();
    let store = scene.path("store");
    let arguments =
        ["ship", "--to", "s3://bucket", "--allow-http", "--endpoint", &endpoint, "--store", store.to_str().unwrap()];
    let end = tracer::run(AGENT, &arguments, &CREDENTIALS, n);
    // It is never said to be shipped before it is.
    let is_whole = || {
        let files = names(&dump).into_iter().filter(|name| !name.starts_with(".heapsee") && name != "upload.json");
        let files: Vec<String> = files.filter(|name| name != "shipped.json").collect();
        let objects = server.objects();
        let sent = |name: &String| {
            let bytes = fs::read(dump.join(name)).unwrap();
            objects.iter().any(|(key, object)| key.ends_with(&format!("/{name}")) && *object == bytes)
        };
        files.iter().all(sent) && objects.len() == files.len()
    };
    assert!(!dump.join("shipped.json").exists() || is_whole(), "step {n}");
    let ended = Agent::start_with(&store, &arguments, |command| {
        command.envs(CREDENTIALS);
    })
    .end();
    assert_eq!(ended.code, Some(0), "step {n}: {ended:?}");
    assert!(dump.join("shipped.json").exists() && is_whole(), "step {n}");
    if dump.join("upload.json").exists() {
        // Killed after the last word, before the note on the way there was taken away.
        assert!(Agent::run(&store, &["sweep"]).stdout.contains("upload.json"), "step {n}");
    }
    end
}

#[test]
fn shipping() {
    let (scene, server) = (Scene::new(), Server::start());
    put(&scene.path("drop"), NAME, &text());
    scene.collect();
    let steps = at_every_step(|n| ship(&scene, &server, n));
    assert!(steps > 45, "{steps} steps");
}

#[test]
fn shipping_into_a_directory() {
    let scene = Scene::new();
    put(&scene.path("drop"), NAME, &text());
    scene.collect();
    let (dump, store) = (scene.dumps().remove(0), scene.path("store"));
    let steps = at_every_step(|n| {
        let target = scene.path(&format!("target{n}"));
        fs::create_dir(&target).unwrap();
        let _ = fs::remove_file(dump.join("shipped.json"));
        let url = format!("file://{}", target.display());
        let arguments = ["ship", "--to", &url, "--store", store.to_str().unwrap()];
        let end = tracer::run(AGENT, &arguments, &[], n);
        let copy = target.join(dump.strip_prefix(&store).unwrap());
        let files = ["manifest.json".to_owned(), format!("{NAME}.meta.json"), format!("{NAME}.zst")];
        let is_whole = || files.iter().all(|name| fs::read(copy.join(name)).ok() == fs::read(dump.join(name)).ok());
        assert!(!dump.join("shipped.json").exists() || is_whole(), "step {n}");
        // What has its name there is whole, and with the manifest, all is there.
        let is_right =
            |name: &String| fs::read(copy.join(name)).map_or(true, |bytes| bytes == fs::read(dump.join(name)).unwrap());
        assert!(files.iter().all(is_right) && (!copy.join("manifest.json").exists() || is_whole()), "step {n}");
        let ended = Agent::run(&store, &arguments);
        assert_eq!(ended.code, Some(0), "step {n}: {ended:?}");
        assert!(is_whole() && names(&copy).len() == files.len(), "step {n}: {:?}", names(&copy));
        end
    });
    assert!(steps > 55, "{steps} steps");
}

#[test]
fn shipping_in_parts() {
    let (scene, server) = (Scene::new(), Server::start());
    // So random that it is of two parts even when compressed.
    let mut state = 1_u64;
    let lines = (0..1_000_000).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{state:x}\n")
    });
    put(&scene.path("drop"), NAME, lines.collect::<String>().as_bytes());
    scene.collect();
    // Not at every one: most are writes of one part to the network.
    let steps = at_every_step(|n| ship(&scene, &server, 7 * n));
    assert!(steps > 10, "{steps} steps");
}
