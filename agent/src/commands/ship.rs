//! `heapsee-agent ship`: sends what is not yet shipped, once, without the daemon (schema `heapsee.agent.ship/1`).

use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{json, print, store_path, talk};
use crate::cli::ShipArgs;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::host;
use crate::intake::catalog::{Catalog, Entry};
use crate::intake::store;
use crate::render;
use crate::ship::{Backoff, Kind, Shipper, Trouble, jitter};
use crate::stop::Stop;

/// How often a request to stop is looked for during a pause.
const LOOK: Duration = Duration::from_millis(100);

/// Runs the command.
pub fn run(args: &ShipArgs) -> Result<(), Failure> {
    let stop =
        Stop::install().map_err(|error| Failure::new(Exit::Store, format!("signals cannot be caught: {error}")))?;
    let config = args.config.as_deref().map(Config::load).transpose().map_err(|error| error.into_failure())?;
    let options = match (args.options()?, config.as_ref().map(|config| &config.ship)) {
        (Some(options), _) => options,
        (None, Some(Some(options))) => options.clone(),
        (None, Some(None)) => {
            return Err(Failure::new(Exit::Config, "the configuration has no [ship]: add it, or use --to"));
        }
        (None, None) => {
            return Err(Failure::new(Exit::Usage, "where to? use --to URL, or --config FILE with a [ship]"));
        }
    };
    let of_config = config.as_ref().map(|config| config.store.directory.as_path());
    let root = store_path(args.place.store.as_deref().or(of_config))?;
    let host = host::name();
    let catalog = Catalog::read(&root, &host)
        .map_err(|error| Failure::new(Exit::Store, format!("the store {} cannot be read: {error}", root.display())))?;
    for (path, why) in &catalog.strange {
        talk(args.talk, &format!("{} is no collected dump: {why}; it was left alone", path.display()));
    }
    let waiting: Vec<&Entry> = catalog.entries.iter().filter(|entry| entry.shipped.is_none()).collect();
    let mut shipper = Shipper::open(&options)?;
    if args.output.dry_run {
        let outcomes = waiting.iter().map(|entry| Outcome::new(entry, &shipper, "waiting", None));
        return report(args, &outcomes.collect::<Vec<_>>());
    }
    let _lock = match waiting.is_empty() {
        true => None,
        false => Some(store::lock_shipping(&root, &host)?),
    };
    let mut work = Work {
        args,
        stop: &stop,
        deadline: Instant::now() + Duration::from_secs(args.retry),
        backoff: Backoff::new(options.retry_first, options.retry_max),
        outcomes: Vec::new(),
    };
    work.ship(&waiting, &mut shipper);
    report(args, &work.outcomes)?;
    work.end()
}

/// One run over what is waiting.
struct Work<'a> {
    args: &'a ShipArgs,
    stop: &'a Stop,
    deadline: Instant,
    backoff: Backoff,
    outcomes: Vec<Outcome>,
}

/// What became of one dump.
#[derive(Serialize)]
struct Outcome {
    path: String,
    destination: String,
    state: &'static str,
    error: Option<String>,
    #[serde(skip)]
    stopped: bool,
}

impl Outcome {
    fn new(entry: &Entry, shipper: &Shipper, state: &'static str, trouble: Option<&Trouble>) -> Outcome {
        Outcome {
            path: entry.path.display().to_string(),
            destination: shipper.address(entry),
            state,
            error: trouble.map(ToString::to_string),
            stopped: trouble.is_some_and(|trouble| trouble.kind == Kind::Stopped),
        }
    }
}

impl Work<'_> {
    fn ship(&mut self, waiting: &[&Entry], shipper: &mut Shipper) {
        for (i, &entry) in waiting.iter().enumerate() {
            let Err(trouble) = self.try_until_deadline(entry, shipper) else {
                self.outcomes.push(Outcome::new(entry, shipper, "shipped", None));
                continue;
            };
            self.outcomes.push(Outcome::new(entry, shipper, "failed", Some(&trouble)));
            if trouble.kind.concerns_all() {
                let rest = &waiting[i + 1..];
                self.outcomes.extend(rest.iter().map(|entry| Outcome::new(entry, shipper, "waiting", None)));
                return;
            }
        }
    }

    fn try_until_deadline(&mut self, entry: &Entry, shipper: &mut Shipper) -> Result<(), Trouble> {
        loop {
            let trouble = match shipper.ship(entry, self.stop) {
                Ok(_) => {
                    self.backoff.reset();
                    return Ok(());
                }
                Err(trouble) => trouble,
            };
            let pause = self.backoff.failed(jitter());
            let is_final = matches!(trouble.kind, Kind::Damaged | Kind::Stopped);
            if is_final || Instant::now() + pause > self.deadline {
                return Err(trouble);
            }
            talk(self.args.talk, &format!("{trouble}; trying again in {} s", pause.as_secs().max(1)));
            let until = Instant::now() + pause;
            while Instant::now() < until && !self.stop.requested() {
                thread::sleep(until.saturating_duration_since(Instant::now()).min(LOOK));
            }
        }
    }

    /// How the command ends: with the last trouble there was, if any.
    fn end(self) -> Result<(), Failure> {
        let shipped = self.outcomes.iter().filter(|outcome| outcome.state == "shipped").count();
        let of = format!("{shipped} of {} dumps are shipped", self.outcomes.len());
        let failed: Vec<&Outcome> = self.outcomes.iter().filter(|outcome| outcome.error.is_some()).collect();
        let Some(last) = failed.last() else {
            talk(self.args.talk, if self.outcomes.is_empty() { "everything is shipped already" } else { &of });
            return Ok(());
        };
        let exit = if last.stopped { Exit::Interrupted } else { Exit::Shipping };
        let error = last.error.as_deref().unwrap_or_default();
        Err(Failure::new(exit, format!("{of}: {error}")))
    }
}

/// The whole JSON.
#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    dumps: &'a [Outcome],
}

fn report(args: &ShipArgs, outcomes: &[Outcome]) -> Result<(), Failure> {
    if args.output.format.json {
        return print(&json(&Report { schema: "heapsee.agent.ship/1", dumps: outcomes })?);
    }
    let lines = outcomes.iter().filter(|outcome| args.output.dry_run || outcome.state == "shipped");
    let text: String = lines.map(|outcome| format!("{}\n", render::one_line(&outcome.destination))).collect();
    print(text.as_bytes())
}
