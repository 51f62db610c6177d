//! A store on a disk that is slow: a call of the daemon's is held up, as such a disk holds it, for as long as a test
//! wants. The workers are looked at meanwhile, it is said, and nothing is lost.

use std::fs::File;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::Site;
use crate::harness::*;
use crate::tracer::{self, End};

/// A daemon whose first call of a number, off its main thread, is held.
struct Slow {
    told: Receiver<Pid>,
    release: Sender<()>,
    thread: JoinHandle<End>,
    main: Pid,
}

impl Slow {
    /// Starts it; its log goes to `site`'s directory.
    fn start(site: &Site, number: libc::c_long) -> Slow {
        let (told_sender, told) = channel();
        let (release, release_receiver) = channel();
        let (config, log) = (site.config(), File::create(site.path("log")).unwrap());
        let thread = thread::spawn(move || {
            let change = |command: &mut std::process::Command| {
                command.args(["run", "--config", &config]).stderr(log);
            };
            tracer::hold(env!("CARGO_BIN_EXE_heapsee-agent"), change, number, &told_sender, &release_receiver)
        });
        let main = told.recv_timeout(DEADLINE).unwrap();
        Slow { told, release, thread, main }
    }

    fn is_held(&self) {
        self.told.recv_timeout(DEADLINE).expect("a call to hold");
    }

    fn end(self) {
        kill(self.main, Signal::SIGTERM).unwrap();
        assert_eq!(self.thread.join().unwrap(), End::Exited(0));
    }
}

fn hear(site: &Site, words: &str) {
    until(words, || std::fs::read_to_string(site.path("log")).unwrap().contains(words).then_some(()));
}

#[test]
fn a_dump_whose_sync_takes_long_is_waited_for_while_workers_are_looked_at() {
    let _worker = Worker::start(&["--title", "on-a-slow-disk", "--megabytes", "50"]);
    let site = Site::new(&crate::daemon::fat("on-a-slow-disk", ""));
    site.set_in_agent("dump_timeout = '1s'");
    let slow = Slow::start(&site, libc::SYS_fsync);
    slow.is_held();
    hear(&site, "a dump takes long to store: is the store's disk slow?");
    site.looks(2);
    assert!(site.manifests().is_empty() && site.get("/healthz").1 == "ok\n");
    slow.release.send(()).unwrap();
    hear(&site, "a dump is in the store");
    assert_eq!(site.manifests().len(), 1);
    slow.end();
}

#[test]
fn while_the_store_does_not_answer_no_dump_is_asked_for() {
    let worker = Worker::start(&["--title", "on-a-hung-disk", "--megabytes", "50"]);
    let site = Site::new(&crate::daemon::fat("on-a-hung-disk", ""));
    let slow = Slow::start(&site, libc::SYS_statfs);
    slow.is_held();
    hear(&site, "a dump is wanted, but not now");
    hear(&site, "the store's disk has not answered for");
    site.looks(2);
    assert!(worker.files().is_empty() && site.get("/healthz").1 == "ok\n");
    slow.release.send(()).unwrap();
    hear(&site, "a dump is in the store");
    assert_eq!(site.manifests().len(), 1);
    slow.end();
}
