//! `heapsee-agent dump`: choose, look, ask, wait, take in.

use std::os::unix::ffi::OsStrExt;

use serde::Serialize;

use super::{json, print, store_path};
use crate::armed::{Refusal, Worker};
use crate::asking::{Published, take_dump};
use crate::cli::DumpArgs;
use crate::discovery::choose;
use crate::exit::{Exit, Failure};
use crate::host;
use crate::intake::manifest::{self, Manifest};
use crate::intake::source::Directory;
use crate::intake::store::Store;
use crate::intake::{Intake, Originals, Stored};
use crate::progress::Progress;
use crate::render;
use crate::stop::Stop;

/// Runs the command.
pub fn run(args: &DumpArgs) -> Result<(), Failure> {
    let stop =
        Stop::install().map_err(|error| Failure::new(Exit::Store, format!("signals cannot be caught: {error}")))?;
    let progress = Progress::new(args.talk.quiet);
    let outcome = collect(args, &stop, &progress);
    progress.clear();
    let stored = outcome?;
    if let Originals::Stuck(why) = &stored.originals {
        progress.say(why);
    }
    report(args, &stored)
}

fn collect(args: &DumpArgs, stop: &Stop, progress: &Progress) -> Result<Stored, Failure> {
    let choice = choose(&args.selection())?;
    if let Some(why) = choice.why {
        progress.say(&why);
    }
    let process = choice.process;
    let worker = Worker::find(process.pid).map_err(|refusal| refusal.into_failure(process.pid))?;
    if worker.start_time != process.stat.start_time {
        return Err(Refusal::Gone.into_failure(process.pid));
    }
    // All that can fail on our side comes before the signal.
    let directory = Directory::open(&worker)?;
    let host = host::name();
    let store = Store::open(&store_path(args.place.store.as_deref())?, &host)?;
    let published = take_dump(&worker, args.patience(), stop, progress)?;
    progress.say(&pause(&published));
    let intake = Intake {
        store: &store,
        directory: &directory,
        worker: manifest::Worker::of(&process, &worker),
        host,
        app: process.name().to_owned(),
        trigger: manifest::Trigger::command(),
        form: args.compression().into(),
        keep: args.keep,
        keep_free: 0,
    };
    let stored = intake.run(&published, stop, progress)?;
    progress.say(&summary(&stored));
    for caveat in &stored.manifest.snapshot.caveats {
        progress.say(&format!("beware of this dump: {caveat}"));
    }
    Ok(stored)
}

fn pause(published: &Published) -> String {
    let view = &published.view;
    format!(
        "{} has dumped {} objects ({}); Python stood still for {}, after {} of waiting for the GIL",
        format_args!("process {}", view.pid),
        view.objects,
        render::bytes(view.bytes),
        render::milliseconds(view.pause_ns),
        render::milliseconds(view.gil_wait_ns),
    )
}

fn summary(stored: &Stored) -> String {
    let (dump, file) = (&stored.manifest.dump, &stored.manifest.stored);
    let originals = match stored.originals {
        Originals::Removed => "removed",
        Originals::Kept | Originals::Stuck(_) => "kept",
    };
    format!(
        "verified {} lines and SHA-256; stored {} as {}; the worker's files were {originals}",
        dump.lines,
        render::bytes(dump.size),
        render::bytes(file.size),
    )
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    path: String,
    directory: String,
    originals: &'static str,
    manifest: &'a Manifest,
}

fn report(args: &DumpArgs, stored: &Stored) -> Result<(), Failure> {
    if !args.format.json {
        let mut line = stored.path.as_os_str().as_bytes().to_vec();
        line.push(b'\n');
        return print(&line);
    }
    let directory = stored.path.parent().map(|parent| parent.to_string_lossy().into_owned()).unwrap_or_default();
    let report = Report {
        schema: "heapsee.agent.dump/1",
        path: stored.path.to_string_lossy().into_owned(),
        directory,
        originals: match stored.originals {
            Originals::Removed => "removed",
            Originals::Kept => "kept",
            Originals::Stuck(_) => "stuck",
        },
        manifest: &stored.manifest,
    };
    print(&json(&report)?)
}
