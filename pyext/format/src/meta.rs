//! The sidecar: `<dump>.meta.json`, what meliae's lines have no place for.
//!
//! A reader must take every field as optional knowledge: sidecars of other versions may lack some and have more.
//! Addresses are plain integers (below 2^48), sizes bytes, durations nanoseconds, times RFC 3339.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The `schema` of the sidecars this crate writes.
pub const SCHEMA: &str = "heapsee.dump-meta/1";

/// A sidecar is kept below this many bytes; what would not fit is left out and said (`types_left_out`).
pub const SIZE_LIMIT: usize = 1_000_000;

/// The whole sidecar.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Meta {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of heapsee that wrote the dump.
    pub heapsee: String,
    /// The machine.
    pub host: Host,
    /// The worker.
    pub process: Process,
    /// The interpreter.
    pub python: Python,
    /// Why there is a dump.
    pub trigger: Trigger,
    /// How the heap was held still.
    pub snapshot: Snapshot,
    /// What it took.
    pub timings: Timings,
    /// The worker's memory when the snapshot was taken.
    pub memory: Memory,
    /// What the dump holds.
    pub counts: Counts,
    /// The dump file, to verify it.
    pub file: File,
    /// Threads with their Python stacks, innermost frame first.
    pub threads: Vec<Thread>,
    /// Where reachability starts.
    pub roots: Vec<Root>,
    /// Type address (decimal) → what its line cannot say.
    pub types: BTreeMap<u64, Type>,
    /// How many types are missing from `types` to keep the sidecar small (those with the fewest instances).
    pub types_left_out: u64,
    /// Top-level module → the distribution it came with.
    pub distributions: BTreeMap<String, Distribution>,
}

/// The machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    /// As `uname -n` says.
    pub hostname: String,
    /// Kernel release, as `uname -r` says.
    pub kernel: String,
    /// Machine, as `uname -m` says.
    pub machine: String,
}

/// The worker.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// As the worker knows itself.
    pub pid: u32,
    /// Its pids from the outermost visible pid namespace to its own (`NSpid`).
    pub namespace_pids: Vec<u32>,
    /// Its parent.
    pub parent_pid: u32,
    /// `/proc/self/cmdline`, split.
    pub command_line: Vec<String>,
    /// `/proc/self/exe`.
    pub executable: String,
    /// When it started.
    pub started_at: String,
    /// Start time in clock ticks since boot: with the pid, the process's identity on this host.
    pub start_time_ticks: u64,
    /// Its real uid.
    pub uid: u32,
    /// `/proc/self/cgroup`, the unified hierarchy's path (or the memory controller's).
    pub cgroup: String,
    /// The container's id, where the cgroup's path tells it.
    pub container_id: Option<String>,
    /// The server it belongs to (`gunicorn`, `uwsgi`, …), where its command line or its parent's tells.
    pub server: Option<String>,
}

/// The interpreter.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Python {
    /// `3.11.7`.
    pub version: String,
    /// `sys.version`, whole.
    pub build: String,
}

/// Why there is a dump.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Trigger {
    /// `signal`, or `call` for a call from Python.
    pub reason: String,
    /// The signal's number.
    pub signal: Option<i32>,
    /// Who sent it (0: outside of the worker's pid namespace).
    pub sender_pid: Option<u32>,
    /// As which uid.
    pub sender_uid: Option<u32>,
    /// When it was asked for.
    pub requested_at: String,
}

/// How the heap was held still.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// `fork` or `inline`.
    pub mode: String,
    /// `fork`, `inline` or `fork-without-gil` (taken without the GIL: values may be torn).
    pub consistency: String,
    /// `full`, `hash` or `none`: what became of values.
    pub values: String,
    /// Names of types whose instances stand without what they refer to: an earlier dump crashed on one of them.
    pub skipped_types: Vec<String>,
    /// Addresses of single objects that stand without what they refer to, for the same reason.
    pub skipped_objects: Vec<u64>,
}

impl Snapshot {
    /// What a reader of the dump should know before believing it, a sentence each; nothing, as a rule.
    pub fn caveats(&self) -> Vec<String> {
        // Of a sidecar nobody has vouched for; no sentence grows with it.
        let named = |name: &String| name.chars().take(100).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mut caveats = Vec::new();
        if self.consistency == "fork-without-gil" {
            caveats.push(
                "the snapshot was taken without the GIL, which was not to be had: what was being changed at that \
                 moment may be half changed"
                    .to_owned(),
            );
        }
        if !self.skipped_types.is_empty() {
            let mut names: Vec<String> = self.skipped_types.iter().take(3).map(named).collect();
            if self.skipped_types.len() > names.len() {
                names.push(format!("{} more", self.skipped_types.len() - names.len()));
            }
            caveats.push(format!("instances of {} stand without what they refer to: {BECAUSE}", names.join(", ")));
        }
        if !self.skipped_objects.is_empty() {
            let count = self.skipped_objects.len();
            caveats.push(format!("single objects ({count}) stand without what they refer to: {BECAUSE}"));
        }
        caveats
    }
}

/// Why something was stepped around.
const BECAUSE: &str = "an earlier dump crashed on them";

/// What it took, in nanoseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Timings {
    /// From the request to the GIL.
    pub gil_wait_ns: u64,
    /// How long the worker's Python threads were kept from running: GIL taken to GIL released.
    pub pause_ns: u64,
    /// Walking and writing, in the child.
    pub walk_ns: u64,
    /// Of that, in `write(2)`.
    pub write_ns: u64,
}

/// The worker's memory, in bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Resident set.
    pub rss: u64,
    /// Of it, pages of no file: heaps, stacks (`RssAnon`).
    pub rss_anonymous: Option<u64>,
    /// Of it, pages of mapped files: libraries, data (`RssFile`).
    pub rss_file: Option<u64>,
    /// Of it, shared memory (`RssShmem`).
    pub rss_shared: Option<u64>,
    /// Swapped out (`VmSwap`).
    pub swap: Option<u64>,
    /// The cgroup's limit, if it has one.
    pub cgroup_limit: Option<u64>,
    /// The cgroup's usage, if known.
    pub cgroup_usage: Option<u64>,
    /// Private dirty memory of the child at the end of the walk, if known.
    pub child_private_dirty: Option<u64>,
}

/// What the dump holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Lines.
    pub objects: u64,
    /// References, repeats counted.
    pub refs: u64,
    /// References to addresses that are not lines of the dump.
    pub dangling_refs: u64,
    /// Objects that were left out because what they name as their type is none: damaged memory.
    pub damaged_objects: u64,
    /// Sum of all sizes.
    pub bytes: u64,
}

/// The dump file, to verify it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct File {
    /// Its name when it was published.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// Lines.
    pub lines: u64,
}

/// One thread of the worker.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Thread {
    /// `threading.get_ident()`.
    pub ident: u64,
    /// The kernel's thread id, where known.
    pub native_id: Option<u64>,
    /// Its frames, innermost first.
    pub frames: Vec<Frame>,
}

/// One Python frame.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Frame {
    /// The frame object's address: a line of the dump.
    pub address: u64,
    /// `co_filename`.
    pub file: String,
    /// Line number, if known.
    pub line: Option<u32>,
    /// `co_name`.
    pub function: String,
}

/// Objects from which reachability starts, and why.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Root {
    /// `sys.modules`, `sys`, `builtins`, `interpreter`, `thread 1234`, …: a Python expression where it can be one.
    pub label: String,
    /// Lines of the dump.
    pub addresses: Vec<u64>,
}

/// What the line of a type cannot say.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Type {
    /// `__module__`.
    pub module: String,
    /// `__qualname__`.
    pub qualname: String,
    /// Address of `__base__`; none for `object`.
    pub base: Option<u64>,
    /// The names of this type's own `__slots__`, in the order its traverse visits them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<String>,
}

/// A PyPI distribution.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Distribution {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_says_what_to_beware_of() {
        let usual = Snapshot { consistency: "fork".into(), ..Snapshot::default() };
        assert!(usual.caveats().is_empty());
        let torn = Snapshot {
            consistency: "fork-without-gil".into(),
            skipped_types: ["a", "b\n", "c", "d", "e"].map(str::to_owned).into(),
            skipped_objects: vec![7],
            ..Snapshot::default()
        };
        let [gil, types, objects] = torn.caveats().try_into().unwrap();
        assert!(gil.starts_with("the snapshot was taken without the GIL"), "{gil}");
        assert!(types.starts_with("instances of a, b , c, 2 more stand without"), "{types}");
        assert!(objects.starts_with("single objects (1) stand without"), "{objects}");
    }
}
