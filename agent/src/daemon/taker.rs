//! Carrying out one order, on a thread of its own: the worker is looked at once more, asked, waited for, and its dump
//! handed to the pipeline.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::armed::{Refusal, Worker};
use crate::asking::{Patience, take_dump};
use crate::config::Config;
use crate::discovery::Process;
use crate::exit::{Exit, Failure};
use crate::intake::manifest;
use crate::intake::source::Directory;
use crate::pipeline::{Pipeline, Submission};
use crate::progress::Progress;
use crate::render;
use crate::rules::{Done, Order};
use crate::stop::Stop;

/// What is needed to carry out an order.
pub struct Job {
    /// The order.
    pub order: Order,
    /// The worker as it was seen last.
    pub process: Process,
    /// The configuration when it was ordered.
    pub config: Arc<Config>,
    /// Since when there is a dump that is being stored.
    pub storing: Arc<OnceLock<Instant>>,
}

/// How it ended.
pub struct Ended {
    /// The order.
    pub order: Order,
    /// The application.
    pub app: String,
    /// How long it took.
    pub took: Duration,
    /// A dump in the store, or what went wrong.
    pub outcome: Result<Taken, Failure>,
    /// What the rules are told; nothing if the agent was stopped, and the dump may still go on.
    pub done: Option<Done>,
}

/// A dump that was taken and stored.
pub struct Taken {
    /// Where it is.
    pub path: PathBuf,
    /// Objects.
    pub objects: u64,
    /// Bytes, as stored.
    pub stored: u64,
    /// How long the worker's Python stood still.
    pub pause: Duration,
}

impl Job {
    /// Carries it out.
    pub fn run(self, pipeline: &Pipeline, stop: &Stop) -> Ended {
        let start = Instant::now();
        let (outcome, done) = match self.take(pipeline, stop) {
            Ok(taken) => (Ok(taken), Some(Done::Dumped)),
            Err((failure, done)) => (Err(failure), done),
        };
        let app = self.process.name().to_owned();
        Ended { order: self.order, app, took: start.elapsed(), outcome, done }
    }

    fn take(&self, pipeline: &Pipeline, stop: &Stop) -> Result<Taken, (Failure, Option<Done>)> {
        let failed = |failure: Failure| {
            let done = match failure.exit {
                Exit::Interrupted => None,
                Exit::NoSuchProcess => Some(Done::Gone),
                _ => Some(Done::Failed),
            };
            (failure, done)
        };
        let pid = self.process.pid;
        let worker = Worker::find(pid).map_err(|refusal| failed(refusal.into_failure(pid)))?;
        if worker.start_time != self.order.worker.start_time {
            return Err(failed(Refusal::Gone.into_failure(pid)));
        }
        let directory = Directory::open(&worker).map_err(failed)?;
        self.check_disk(&directory).map_err(failed)?;
        pipeline.room(self.process.status.rss / 4).map_err(|why| failed(Failure::new(Exit::Store, why)))?;
        let progress = Progress::new(true);
        let agent = &self.config.agent;
        let patience = Patience { silence: agent.dump_timeout, whole: agent.dump_limit };
        let published = take_dump(&worker, patience, stop, &progress).map_err(failed)?;
        // Set once, by this thread.
        let _ = self.storing.set(Instant::now());
        let submission = Submission {
            directory: &directory,
            published: &published,
            worker: manifest::Worker::of(&self.process, &worker),
            app: self.process.name().to_owned(),
            trigger: self.trigger(),
        };
        // There is a dump now, whatever becomes of it: it stays in the worker's directory until it is taken in.
        let stored = pipeline.submit(submission, stop, &progress).map_err(|failure| (failure, Some(Done::Dumped)))?;
        Ok(Taken {
            path: stored.path,
            objects: stored.manifest.dump.lines,
            stored: stored.manifest.stored.size,
            pause: Duration::from_nanos(published.view.pause_ns),
        })
    }

    /// The worker refuses what would fill its disk; the agent's limit may be stricter.
    fn check_disk(&self, directory: &Directory) -> Result<(), Failure> {
        let (free, total) = directory
            .space()
            .map_err(|error| Failure::new(Exit::Store, format!("{}: {error}", directory.shown(""))))?;
        let least = self.config.limits.min_disk.of(total);
        if free >= least {
            return Ok(());
        }
        let (free, least) = (render::bytes(free), render::bytes(least));
        let place = directory.shown("");
        Err(Failure::new(
            Exit::Store,
            format!("{place} has {free} free, less than the {least} of min_disk in [limits]: free some space"),
        ))
    }

    fn trigger(&self) -> manifest::Trigger {
        let order = &self.order;
        manifest::Trigger {
            kind: if order.rule.is_some() { "rule" } else { "command" }.into(),
            rule: order.rule.clone(),
            why: Some(order.why.clone()),
            number: order.campaign.map(|(number, _)| number),
            of: order.campaign.map(|(_, of)| of),
        }
    }
}
