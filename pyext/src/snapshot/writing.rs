//! From a heap that holds still to a published file: the same steps in the dump child and inline.

use std::io::{self, Write};
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use heapsee_format::control::{ControlPage, State as DumpState};
use heapsee_format::digest::Digester;
use heapsee_format::meta;

use super::consistency::Consistency;
use super::{Job, Target, nanoseconds, preflight};
use crate::problem::Problem;
use crate::publish::Output;
use crate::walk::{self, Moment, Report, Sink};
use crate::{arena, process_info};

/// How long the child waits for the worker to say how long it was paused: it knows within microseconds.
const PAUSE_DEADLINE: Duration = Duration::from_secs(1);

/// What a walk has given.
pub struct Walked {
    report: Report,
    digester: Digester,
    consistency: Consistency,
    walk_ns: u64,
    write_ns: u64,
}

/// Creates the file that lines go to.
///
/// # Errors
/// The directory does not allow it.
pub fn open(job: &Job) -> Result<Output, Problem> {
    let start_time = process_info::start_time("self").unwrap_or(0);
    match &job.target {
        Target::Directory(directory) => Output::in_directory(directory, start_time),
        Target::Path(path) => Output::to_path(path, start_time),
        Target::File(fd) => Output::to_file(*fd),
    }
}

/// Walks the heap into the file.
///
/// # Errors
/// The file cannot be written.
///
/// # Safety
/// As [`walk::walk`]: the heap must not change.
pub unsafe fn walk(
    job: &Job,
    moment: &Moment,
    output: &mut Output,
    consistency: Consistency,
) -> Result<Walked, Problem> {
    let started = Instant::now();
    job.page.set_state(DumpState::Walking);
    let mut lines =
        Lines { output, page: job.page, min_free: job.min_free, digester: Digester::default(), write_ns: 0 };
    // SAFETY: the caller's promise.
    let report = unsafe { walk::walk(job.walker, moment, &job.options, &mut lines) };
    let Lines { digester, write_ns, .. } = lines;
    let report = report.map_err(|error| output.problem("write", &error))?;
    Ok(Walked { report, digester, consistency, walk_ns: nanoseconds(started), write_ns })
}

/// Syncs the file, writes its sidecar and gives both their names. Returns the dump's path, for people to read.
///
/// # Errors
/// The disk is full or failing, or the directory is gone.
pub fn publish(job: &Job, output: Output, walked: Walked) -> Result<String, Problem> {
    job.page.set_state(DumpState::Publishing);
    let digest = walked.digester.finish();
    job.page.objects.store(digest.lines, Relaxed);
    job.page.bytes.store(digest.size, Relaxed);
    let mut meta = job.meta.clone();
    walked.consistency.mode().clone_into(&mut meta.snapshot.mode);
    walked.consistency.name().clone_into(&mut meta.snapshot.consistency);
    meta.timings = meta::Timings {
        gil_wait_ns: job.page.gil_wait_ns.load(Relaxed),
        pause_ns: pause(job.page),
        walk_ns: walked.walk_ns,
        write_ns: walked.write_ns,
    };
    meta.memory.child_private_dirty = arena::in_child().then(private_dirty).flatten();
    meta.file = meta::File { name: String::new(), size: digest.size, sha256: digest.sha256, lines: digest.lines };
    let Report { counts, threads, roots, types, types_left_out, modules, skipped_types, skipped_objects } =
        walked.report;
    let known = modules.into_iter().filter_map(|name| {
        let distribution = job.distributions.get(&name)?.clone();
        Some((name, distribution))
    });
    meta.distributions = known.collect();
    (meta.counts, meta.threads, meta.roots) = (counts, threads, roots);
    (meta.types, meta.types_left_out) = (types, types_left_out);
    (meta.snapshot.skipped_types, meta.snapshot.skipped_objects) = (skipped_types, skipped_objects);
    let will_show = |name: &str, dump, sidecar| job.page.will_name(name, dump, sidecar);
    let path = output.publish(&job.time, job.meta.process.pid, meta, will_show)?;
    job.page.consistency.set(walked.consistency.name());
    Ok(path)
}

fn pause(page: &ControlPage) -> u64 {
    let deadline = Instant::now() + PAUSE_DEADLINE;
    loop {
        let pause = page.pause_ns.load(Relaxed);
        if pause != 0 || !arena::in_child() || Instant::now() > deadline {
            return pause;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// `Private_Dirty` of the whole process: what the child has cost beyond sharing the worker's pages.
fn private_dirty() -> Option<u64> {
    let bytes = std::fs::read("/proc/self/smaps_rollup").ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:"))?;
    Some(value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

struct Lines<'a> {
    output: &'a mut Output,
    page: &'a ControlPage,
    min_free: u64,
    digester: Digester,
    write_ns: u64,
}

impl Sink for Lines<'_> {
    fn write(&mut self, lines: &[u8], count: u64) -> io::Result<()> {
        let started = Instant::now();
        preflight::stays_free(self.output.file(), lines.len() as u64, self.min_free)?;
        self.output.file().write_all(lines)?;
        self.write_ns += nanoseconds(started);
        self.digester.update_counted(lines, count);
        Ok(())
    }

    fn visiting(&mut self, object: u64) {
        self.page.current_type.store(0, Relaxed);
        self.page.current_object.store(object, Relaxed);
    }

    fn progress(&mut self, objects: u64, bytes: u64, current_type: u64) {
        self.page.objects.store(objects, Relaxed);
        self.page.bytes.store(bytes, Relaxed);
        self.page.current_type.store(current_type, Relaxed);
    }
}
