//! `heapsee-agent run` with real workers, signals, crashes and clients.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::*;

/// A rule that means the workers of one test and no other.
pub fn fat(title: &str, more: &str) -> String {
    format!(
        "[[rule]]\nname = 'fat'\ntrigger = 'rss'\nabove = '40MB'\npolls = 2\nselect = {{ command = '*{title}*' }}\n{more}\n"
    )
}

/// A daemon's directory and configuration.
pub struct Site {
    directory: TempDir,
}

impl Site {
    pub fn new(rules: &str) -> Site {
        let site = Site { directory: tempfile::tempdir().unwrap() };
        site.configure(rules);
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn store(&self) -> PathBuf {
        self.path("store")
    }

    pub fn config(&self) -> String {
        self.path("agent.toml").to_str().unwrap().to_owned()
    }

    /// Limits that no test host runs into; dumps by hand are left alone.
    fn configure(&self, rules: &str) {
        let [state, socket, store] = ["state", "run/agent.sock", "store"].map(|name| self.path(name));
        let text = format!(
            "[agent]\npoll = '1s'\nstate = {state:?}\nsocket = {socket:?}\n[store]\ndirectory = {store:?}\n\
             [limits]\nshare_window = '1s'\nmin_memory = '1MB'\nmin_disk = '0%'\nmax_memory_pressure = '100%'\nmax_io_pressure = '100%'\n\
             [retention]\nkeep_free = '1MB'\n[intake]\nwatch = false\n[metrics]\nlisten = '127.0.0.1:0'\n{rules}"
        );
        fs::write(self.path("agent.toml"), text).unwrap();
    }

    /// Adds a line to `[agent]`.
    pub fn set_in_agent(&self, line: &str) {
        let text = fs::read_to_string(self.config()).unwrap();
        fs::write(self.config(), text.replace("[agent]\n", &format!("[agent]\n{line}\n"))).unwrap();
    }

    pub fn run(&self) -> Agent {
        self.run_with(|_| {})
    }

    pub fn run_with(&self, change: impl FnOnce(&mut Command)) -> Agent {
        let mut agent = Agent::start_with(Path::new("/nonexistent"), &["run", "--config", &self.config()], change);
        agent.hear("running version=");
        agent
    }

    fn ask(&self, verb: &str, arguments: &[&str]) -> Ended {
        let socket = self.path("run/agent.sock");
        Agent::run(Path::new("/nonexistent"), &[&[verb, "--socket", socket.to_str().unwrap()], arguments].concat())
    }

    fn status(&self) -> Value {
        let ended = self.ask("status", &["--json"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let status: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(status["schema"], "heapsee.agent.status/1");
        status
    }

    pub fn get(&self, page: &str) -> (String, String) {
        let address = self.status()["metrics"].as_str().unwrap().to_owned();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(stream, "GET {page} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    /// A metric's value, of the first that begins so.
    fn metric(&self, name: &str) -> f64 {
        let (_, body) = self.get("/metrics");
        let line = body.lines().find(|line| line.starts_with(name));
        line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    /// Waits until the daemon has looked so often again.
    pub fn looks(&self, more: u32) {
        let before = self.metric("heapsee_agent_looks_total");
        until("more looks", || (self.metric("heapsee_agent_looks_total") >= before + f64::from(more)).then_some(()));
    }

    /// The manifests in the store.
    pub fn manifests(&self) -> Vec<Value> {
        let is_manifest = |path: &PathBuf| path.ends_with("manifest.json");
        let manifests = tree(&self.store()).into_iter().filter(is_manifest);
        manifests.map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect()
    }
}

fn stop(agent: Agent) -> Ended {
    agent.signal(Signal::SIGTERM);
    let ended = agent.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
    ended
}

#[test]
fn a_rule_fires_once_and_the_dump_is_in_the_store() {
    let worker = Worker::start(&["--title", "fires-once", "--megabytes", "50"]);
    let thin = Worker::start(&["--title", "fires-once"]);
    let site = Site::new(&fat("fires-once", ""));
    let mut agent = site.run();
    agent.hear("a dump is in the store");
    site.looks(3);
    let manifests = site.manifests();
    assert_eq!(manifests.len(), 1);
    assert_eq!(manifests[0]["worker"]["pid"], worker.pid());
    assert_eq!(
        (manifests[0]["trigger"]["kind"].as_str(), manifests[0]["trigger"]["rule"].as_str()),
        (Some("rule"), Some("fat"))
    );
    assert!(manifests[0]["trigger"]["why"].as_str().unwrap().starts_with("RSS "), "{manifests:?}");
    assert!(worker.files().is_empty() && thin.files().is_empty());
    assert_eq!(site.metric("heapsee_agent_dumps_total{"), 1.0);
    let status = site.status();
    assert_eq!(
        (status["dumps"][0]["pid"].as_u64(), status["dumps"][0]["rule"].as_str()),
        (Some(worker.pid().into()), Some("fat"))
    );
    let text = site.ask("status", &[]).stdout;
    for words in ["rules act", "rules      fat", "collected  1 dumps, 0 of them found, the last "] {
        assert!(text.contains(words), "{text}");
    }
    assert!(!text.contains("failures") && !text.contains("shipped"), "{text}");
    let ended = stop(agent);
    assert!(ended.stderr.contains("taking a dump number=1 rule=fat"), "{ended:?}");
    assert!(!site.path("run/agent.sock").exists());
    // Nor does a new daemon take it for new.
    let agent = site.run();
    site.looks(4);
    assert_eq!(site.manifests().len(), 1);
    stop(agent);
}

#[test]
fn a_campaign_takes_its_dumps_of_one_worker() {
    let worker = Worker::start(&["--title", "a-campaign", "--megabytes", "50"]);
    let site = Site::new(&fat("a-campaign", "dumps = 3\napart = '2s'"));
    let mut agent = site.run();
    for _ in 0..3 {
        agent.hear("a dump is in the store");
    }
    site.looks(4);
    let mut numbers: Vec<u64> =
        site.manifests().iter().map(|manifest| manifest["trigger"]["number"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3]);
    assert!(site.manifests().iter().all(|manifest| manifest["worker"]["pid"] == worker.pid()));
    stop(agent);
}

#[test]
fn a_paused_daemon_holds_what_is_wanted_until_it_is_resumed() {
    let _worker = Worker::start(&["--title", "is-paused", "--megabytes", "50"]);
    let site = Site::new("");
    let mut agent = site.run();
    assert_eq!(site.ask("pause", &["--for", "1h"]).code, Some(0));
    site.configure(&fat("is-paused", ""));
    agent.signal(Signal::SIGHUP);
    agent.hear("the new configuration is in use");
    agent.hear("a dump is wanted, but not now");
    let status = site.status();
    assert_eq!((status["paused"].as_bool(), status["wanted"][0]["rule"].as_str()), (Some(true), Some("fat")));
    assert!(status["paused_seconds"].as_u64().unwrap() <= 3600);
    assert!(site.ask("status", &[]).stdout.contains("not now: the agent is paused"));
    assert_eq!(site.ask("resume", &[]).code, Some(0));
    agent.hear("a dump is in the store");
    stop(agent);
}

#[test]
fn a_wrong_configuration_is_refused_whole_and_the_old_one_goes_on() {
    let site = Site::new("");
    let mut agent = site.run();
    let right = fs::read_to_string(site.config()).unwrap();
    fs::write(site.config(), format!("{right}\n[limits2]\n[[rule]]\nname = 'x'\n")).unwrap();
    agent.signal(Signal::SIGHUP);
    agent.hear("unknown key limits2");
    agent.hear("the new configuration is refused");
    assert_eq!(site.metric("heapsee_agent_config_ok"), 0.0);
    fs::write(site.config(), right).unwrap();
    assert!(site.status()["config_refused"].as_str().unwrap().contains("limits2"));
    agent.signal(Signal::SIGHUP);
    agent.hear("the new configuration is in use");
    assert!(site.status()["config_refused"].is_null());
    stop(agent);
    // One that is wrong from the start ends at once.
    fs::write(site.config(), "[agent]\npoll = 5\n").unwrap();
    let ended = Agent::run(Path::new("/nonexistent"), &["run", "--config", &site.config()]);
    assert!(ended.failed_with(10).contains("agent.toml: line 2, column 8: poll of [agent] is an integer"), "{ended:?}");
}

#[test]
fn a_daemon_that_is_killed_in_a_dump_does_not_ask_for_another() {
    let mut worker = Worker::start(&["--title", "killed-in-a-dump", "--megabytes", "50", "--hold", "walking"]);
    let site = Site::new(&fat("killed-in-a-dump", ""));
    let mut agent = site.run();
    worker.expect("at walking");
    agent.process.kill();
    let agent = site.run();
    site.looks(3);
    assert_eq!(site.status()["running"]["worker"]["pid"], worker.pid(), "it is waited for");
    worker.go();
    worker.expect("ended");
    until("the order to end", || site.status()["running"].is_null().then_some(()));
    site.looks(4);
    assert!(worker.has_its_files(), "a second dump was made: {:?}", worker.files());
    stop(agent);
}

#[test]
fn after_a_crash_the_copy_of_a_worker_that_has_died_is_waited_for() {
    let of_title = |more: &[&'static str]| [&["--title", "orphaned-copy", "--megabytes", "50"], more].concat();
    let mut worker = Worker::start(&of_title(&["--child", "--hold", "walking"]));
    let site = Site::new(&fat("orphaned-copy", ""));
    let mut agent = site.run();
    worker.expect("at walking");
    agent.process.kill();
    worker.process.kill();
    let other = Worker::start(&of_title(&[]));
    let mut agent = site.run();
    site.looks(4);
    assert_eq!(site.status()["running"]["worker"]["pid"], worker.pid(), "one at a time");
    worker.go();
    worker.expect("ended");
    agent.hear("a dump is in the store");
    assert_eq!(site.manifests()[0]["worker"]["pid"], other.pid());
    stop(agent);
}

#[test]
fn a_dump_that_fails_while_no_daemon_runs_is_known_to_have_failed() {
    let title = ["--title", "fails-meanwhile", "--megabytes", "50", "--hold", "walking", "--outcome", "failed"];
    let mut worker = Worker::start(&title);
    let site = Site::new(&fat("fails-meanwhile", ""));
    let mut agent = site.run();
    worker.expect("at walking");
    agent.process.kill();
    worker.go();
    worker.expect("ended");
    let mut agent = site.run();
    agent.hear("the next try is in");
    stop(agent);
}

#[test]
fn a_daemon_that_is_stopped_in_a_dump_ends_and_leaves_the_dump_alone() {
    let mut worker = Worker::start(&["--title", "stopped-in-a-dump", "--megabytes", "50", "--hold", "walking"]);
    let site = Site::new(&fat("stopped-in-a-dump", ""));
    let agent = site.run();
    worker.expect("at walking");
    stop(agent);
    worker.go();
    worker.expect("ended");
    let agent = site.run();
    site.looks(4);
    assert!(worker.has_its_files(), "{:?}", worker.files());
    stop(agent);
}

#[test]
fn a_worker_that_dies_in_its_dump_is_no_reason_to_stop() {
    let mut worker = Worker::start(&["--title", "dies-in-it", "--megabytes", "50", "--hold", "snapshot"]);
    let site = Site::new(&fat("dies-in-it", ""));
    let mut agent = site.run();
    worker.expect("at snapshot");
    worker.process.kill();
    agent.hear("there is no dump");
    let other = Worker::start(&["--title", "dies-in-it", "--megabytes", "50"]);
    agent.hear("a dump is in the store");
    assert_eq!(site.manifests()[0]["worker"]["pid"], other.pid());
    stop(agent);
}

#[test]
fn a_failed_dump_is_told_and_not_repeated_at_once() {
    let worker =
        Worker::start(&["--title", "that-fails", "--megabytes", "50", "--outcome", "failed", "--reason", "no luck"]);
    let site = Site::new(&fat("that-fails", ""));
    let mut agent = site.run();
    agent.hear("no luck");
    agent.hear("the next try is in");
    site.looks(2);
    let (_, body) = site.get("/metrics");
    assert!(body.contains(r#"outcome="failed"} 1"#), "{body}");
    assert!(worker.files().is_empty());
    stop(agent);
}

#[test]
fn a_dump_that_never_ends_keeps_no_other_from_being_taken() {
    let endless = Worker::start(&["--title", "that-never-ends", "--megabytes", "60", "--outcome", "endless"]);
    let other = Worker::start(&["--title", "that-never-ends", "--megabytes", "50"]);
    let site = Site::new(&fat("that-never-ends", ""));
    site.set_in_agent("dump_limit = '2s'");
    let mut agent = site.run();
    agent.hear("has not ended after 2s");
    agent.hear("a dump is in the store");
    assert_eq!(site.manifests()[0]["worker"]["pid"], other.pid());
    let (_, body) = site.get("/metrics");
    assert!(body.contains(r#"outcome="timeout"} 1"#), "{body}");
    assert!(endless.files().is_empty());
    stop(agent);
}

#[test]
fn a_dry_run_only_says_it() {
    let worker = Worker::start(&["--title", "dry-run-of-it", "--megabytes", "50"]);
    let site = Site::new(&fat("dry-run-of-it", "dry_run = true"));
    let mut agent = site.run();
    agent.hear("dry run: this worker would be dumped");
    site.looks(2);
    assert!(worker.files().is_empty() && site.manifests().is_empty());
    let ended = stop(agent);
    assert_eq!(ended.stderr.matches("would be dumped").count(), 1, "{ended:?}");
}

#[test]
fn dump_now_takes_a_dump_and_says_where_it_is() {
    let worker = Worker::start(&["--title", "dump-it-now"]);
    let site = Site::new("");
    let agent = site.run();
    let pid = worker.pid().to_string();
    let path = site.ask("dump-now", &["--pid", &pid]).path();
    assert!(path.starts_with(site.store()) && path.is_file());
    let ended = site.ask("dump-now", &["--name", "dump-it-now", "--json"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (report["schema"].as_str(), report["pid"].as_u64()),
        (Some("heapsee.agent.dump-now/1"), Some(worker.pid().into()))
    );
    assert_eq!(site.manifests()[0]["trigger"]["kind"], "command");
    site.ask("dump-now", &["--name", "no-process-is-called-so"]).failed_with(3);
    site.ask("dump-now", &["--pid", "4194305"]).failed_with(3);
    let unarmed = Worker::start(&["--block", "nohandler"]);
    let ended = site.ask("dump-now", &["--pid", &unarmed.pid().to_string()]);
    assert!(ended.failed_with(4).contains("SIGPROF has no handler"), "{ended:?}");
    stop(agent);
}

#[test]
fn one_agent_is_enough() {
    let site = Site::new("");
    let agent = site.run();
    let ended = Agent::run(Path::new("/nonexistent"), &["run", "--config", &site.config()]);
    assert!(ended.failed_with(9).contains(&format!("process {} is already running", agent.process.pid())), "{ended:?}");
    stop(agent);
    assert!(site.ask("status", &[]).failed_with(11).contains("is `heapsee-agent run` running"));
    // Nor is a configuration needed to be told so.
    if !Path::new("/etc/heapsee/agent.toml").exists() && !Path::new("/run/heapsee/agent.sock").exists() {
        assert!(Agent::run(Path::new("/nonexistent"), &["status"]).failed_with(11).contains("/run/heapsee/agent.sock"));
    }
}

#[test]
fn systemd_is_told_when_it_is_ready_and_when_it_stops() {
    let site = Site::new("");
    let path = site.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let hear = |wanted: &str| {
        let mut buffer = [0; 256];
        until(wanted, || {
            let n = socket.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..n]).lines().any(|line| line == wanted).then_some(())
        });
    };
    let agent = Agent::start_with(Path::new("/nonexistent"), &["run", "--config", &site.config()], |command| {
        command.env("NOTIFY_SOCKET", &path).env("JOURNAL_STREAM", "1:2");
    });
    hear("READY=1");
    hear("WATCHDOG=1");
    agent.signal(Signal::SIGTERM);
    hear("STOPPING=1");
    // The journal has times of its own, and takes the level from in front of the line.
    assert!(agent.end().stderr.lines().all(|line| line.starts_with("<6>") || line.starts_with("<4>")));
}

#[test]
fn health_and_metrics_are_served() {
    let site = Site::new("");
    let agent = site.run();
    site.looks(1);
    let (head, body) = site.get("/healthz");
    assert!(head.starts_with("HTTP/1.1 200 ") && body == "ok\n", "{head}");
    let (head, body) = site.get("/metrics");
    assert!(head.contains("application/openmetrics-text") && body.ends_with("# EOF\n"), "{head}\n{body}");
    assert!(site.get("/").0.starts_with("HTTP/1.1 404 "));
    stop(agent);
}

#[test]
fn a_worker_in_a_container_is_dumped_by_rule() {
    let unshare = ["--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"];
    if !can_unshare(&unshare) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs none \"$1\" && exec python3 -c \"$2\" \"$1\" --title in-a-container --megabytes 50";
    let mut command = Command::new("unshare");
    command.args(unshare).args(["sh", "-c", script, "sh"]).arg(directory.path()).arg(include_str!("fake_worker.py"));
    let worker = Worker::spawn(command, directory);
    // unshare's own command line has all of the worker's in it, but it is not armed.
    let site = Site::new(&fat("in-a-container", ""));
    let mut agent = site.run();
    agent.hear("a dump is in the store");
    let manifests = site.manifests();
    assert_eq!((manifests.len(), manifests[0]["worker"]["own_pid"].as_u64()), (1, Some(1)), "{manifests:?}");
    stop(agent);
    drop(worker);
}

#[test]
fn check_config_tells_every_mistake() {
    let site = Site::new(&fat("x", ""));
    let check = |arguments: &[&str]| {
        Agent::run(Path::new("/nonexistent"), &[&["check-config", &site.config()], arguments].concat())
    };
    let ended = check(&[]);
    assert!(ended.code == Some(0) && ended.stdout.ends_with("agent.toml is right; the rule fat\n"), "{ended:?}");
    fs::write(site.config(), "[agent]\npoll = 5\n\n[stor]\n").unwrap();
    let ended = check(&[]);
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(10), 2), "{ended:?}");
    assert!(ended.stdout.contains("agent.toml: line 4, column 2: unknown key stor; did you mean store?"), "{ended:?}");
    let ended = check(&["--json"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((report["ok"].as_bool(), report["problems"][0]["line"].as_u64()), (Some(false), Some(2)));
}
