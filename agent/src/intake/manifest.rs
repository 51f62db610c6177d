//! `manifest.json`: what is known of a collected dump besides its sidecar. Readers take every field as optional.

use heapsee_format::meta;
use serde::{Deserialize, Serialize};

use crate::armed;
use crate::discovery::Process;

/// The `schema` of the manifests written here.
pub const SCHEMA: &str = "heapsee.manifest/1";
/// The manifest's name in the directory of a collected dump.
pub const NAME: &str = "manifest.json";

/// No manifest names more types that were stepped around.
const TYPES: usize = 100;
/// In characters.
const TEXT: usize = 200;

/// The whole manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of the agent.
    pub agent: String,
    /// The host's name.
    pub host: String,
    /// The application's name, as the agent understood it.
    pub app: String,
    /// The worker.
    pub worker: Worker,
    /// Why it was taken.
    pub trigger: Trigger,
    /// Where the dump came from.
    pub source: Source,
    /// How the heap was held still, and what to beware of.
    pub snapshot: Snapshot,
    /// The dump, uncompressed.
    pub dump: Dump,
    /// The file that is stored.
    pub stored: Stored,
    /// The sidecar's name; it stands beside the stored file.
    pub sidecar: String,
    /// When, as RFC 3339 in UTC; and what it took, in nanoseconds.
    pub times: Times,
}

/// The worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Worker {
    /// Its pid on the host.
    pub pid: u32,
    /// The pid that it sees itself.
    pub own_pid: u32,
    /// Start time in clock ticks since boot.
    pub start_time_ticks: u64,
    /// Its master's pid on the host, if it has one.
    pub master_pid: Option<u32>,
    /// Its user id.
    pub uid: u32,
    /// `gunicorn`, `uwsgi`, `celery`, `uvicorn`, where known.
    pub server: Option<String>,
    /// Its command line or title.
    pub command_line: Vec<String>,
    /// Resident set in bytes, before the dump.
    pub rss_bytes: u64,
    /// Python's version.
    pub python: String,
    /// heapsee's version in the worker.
    pub heapsee: String,
}

impl Worker {
    /// A worker that was just found armed.
    pub fn of(process: &Process, worker: &armed::Worker) -> Worker {
        Worker {
            pid: worker.pid,
            own_pid: worker.view.pid,
            start_time_ticks: worker.start_time,
            master_pid: process.master,
            uid: worker.status.uid,
            server: process.server.map(|server| server.name().to_owned()),
            command_line: process.argv.clone(),
            rss_bytes: worker.status.rss,
            python: worker.view.python.clone(),
            heapsee: worker.view.heapsee.clone(),
        }
    }
}

/// Why the dump was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trigger {
    /// `command` (somebody asked the agent), `rule`, or `signal` (somebody signalled the worker).
    pub kind: String,
    /// The rule's name.
    pub rule: Option<String>,
    /// What was seen, in words.
    pub why: Option<String>,
    /// Of a campaign: which dump it is, from 1.
    pub number: Option<u32>,
    /// Of a campaign: how many there are to be.
    pub of: Option<u32>,
}

impl Trigger {
    /// Somebody asked the agent.
    pub fn command() -> Trigger {
        Trigger { kind: "command".into(), ..Trigger::default() }
    }
}

/// Where the dump came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Source {
    /// The path, as the worker sees it.
    pub path: String,
    /// Whether the dump was already under way when the agent came.
    pub joined: bool,
}

/// How the heap was held still, as the sidecar says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// `fork` or `inline`.
    pub mode: String,
    /// `fork`, `inline` or `fork-without-gil`.
    pub consistency: String,
    /// Types whose instances stand without what they refer to; no more than a few of very many.
    pub skipped_types: Vec<String>,
    /// How many single objects do.
    pub skipped_objects: u64,
    /// The same in words: a sentence for each thing to beware of.
    pub caveats: Vec<String>,
}

impl Snapshot {
    /// That of a sidecar, none of whose texts may be long.
    pub fn of(snapshot: &meta::Snapshot) -> Snapshot {
        let short = |text: &String| text.chars().take(TEXT).collect();
        Snapshot {
            mode: short(&snapshot.mode),
            consistency: short(&snapshot.consistency),
            skipped_types: snapshot.skipped_types.iter().take(TYPES).map(short).collect(),
            skipped_objects: snapshot.skipped_objects.len() as u64,
            caveats: snapshot.caveats(),
        }
    }
}

/// The dump, uncompressed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dump {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Lines: objects.
    pub lines: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
}

/// The file that is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stored {
    /// Its name.
    pub name: String,
    /// `zstd` or `none`.
    pub compression: String,
    /// `age` or `none`: compressed first, then encrypted, and the sidecar too.
    pub encryption: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
}

/// When, and what it took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Times {
    /// When the dump was asked for.
    pub requested_at: String,
    /// When the copy was whole and verified.
    pub stored_at: String,
    /// How long the worker waited for the GIL.
    pub gil_wait_ns: u64,
    /// How long the worker's Python threads were kept from running.
    pub pause_ns: u64,
}
