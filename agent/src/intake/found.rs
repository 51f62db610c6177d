//! Who made a dump that was found: the process, if it still lives and is what the sidecar says; else what the sidecar
//! says alone. Nothing is asked of anybody.

use heapsee_format::meta::Meta;

use super::manifest::{Trigger, Worker};
use crate::discovery::{Process, app_of};
use crate::procfs;

/// No manifest keeps more arguments of a process, nor longer ones.
const ARGUMENTS: usize = 100;
/// In characters.
const ARGUMENT: usize = 1000;

/// What the manifest tells of a found dump.
pub struct Found {
    /// The application's name.
    pub app: String,
    /// The worker.
    pub worker: Worker,
    /// Why there is a dump.
    pub trigger: Trigger,
}

/// Describes the dump with that sidecar, in a file of user `uid`; `workers` are those seen last.
pub fn describe(meta: &Meta, uid: u32, workers: &[Process]) -> Found {
    let process = &meta.process;
    let is_it = |worker: &&Process| {
        worker.status.own_pid() == Some(process.pid)
            && worker.stat.start_time == process.start_time_ticks
            && worker.status.uid == uid
    };
    let kind = match meta.trigger.reason.as_str() {
        "" => "signal".to_owned(),
        reason => reason.chars().take(20).collect(),
    };
    let alive = workers.iter().find(is_it);
    let argv: Vec<String> = match alive {
        Some(worker) => worker.argv.clone(),
        None => process.command_line.iter().take(ARGUMENTS).map(|word| word.chars().take(ARGUMENT).collect()).collect(),
    };
    let program = || process.executable.rsplit('/').next().unwrap_or_default().to_owned();
    Found {
        app: alive.map(|worker| worker.name().to_owned()).or_else(|| app_of(&argv)).unwrap_or_else(program),
        worker: Worker {
            pid: alive.map_or(outer_pid(meta), |worker| worker.pid),
            own_pid: process.pid,
            start_time_ticks: process.start_time_ticks,
            master_pid: alive.and_then(|worker| worker.master),
            uid,
            server: alive
                .and_then(|worker| worker.server)
                .map(|server| server.name().to_owned())
                .or(process.server.clone()),
            command_line: argv,
            rss_bytes: meta.memory.rss,
            python: meta.python.version.clone(),
            heapsee: meta.heapsee.clone(),
        },
        trigger: Trigger { kind, ..Trigger::default() },
    }
}

/// The worker's pid on this host, as far as it can be known: it may have seen itself in a namespace of its own.
fn outer_pid(meta: &Meta) -> u32 {
    let process = &meta.process;
    let is_it = |pid: u32| procfs::stat(pid).is_ok_and(|stat| stat.start_time == process.start_time_ticks);
    process.namespace_pids.first().copied().filter(|&pid| is_it(pid)).unwrap_or(process.pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dead_are_described_by_their_sidecar() {
        let mut meta = Meta::default();
        meta.process.pid = 4_000_000_000;
        meta.process.command_line = vec!["gunicorn: worker [shop]".into()];
        meta.process.executable = "/usr/bin/python3.11".into();
        let found = describe(&meta, 33, &[]);
        assert_eq!((found.app.as_str(), found.worker.uid, found.worker.pid), ("shop", 33, 4_000_000_000));
        assert_eq!(found.trigger.kind, "signal");
        meta.process.command_line = vec!["x".repeat(1 << 20); 1000];
        let found = describe(&meta, 33, &[]);
        assert_eq!((found.app.as_str(), found.worker.command_line.len()), ("python3.11", ARGUMENTS));
        assert!(found.worker.command_line.iter().all(|word| word.len() == ARGUMENT));
    }
}
