//! `heapsee-agent collect`: takes in the dumps that are there already, once, without the daemon.

use std::sync::Arc;

use super::{print, store_path, talk};
use crate::cli::CollectArgs;
use crate::config::Config;
use crate::discovery::{Scope, scan};
use crate::exit::{Exit, Failure};
use crate::host;
use crate::intake::Originals;
use crate::pipeline::Pipeline;
use crate::settings::values::Amount;
use crate::stop::Stop;

/// Runs the command.
pub fn run(args: &CollectArgs) -> Result<(), Failure> {
    let stop =
        Stop::install().map_err(|error| Failure::new(Exit::Store, format!("signals cannot be caught: {error}")))?;
    let config = configuration(args)?;
    let workers = match config.intake.watch {
        true => scan(Scope::Workers).map_err(|error| {
            Failure::new(Exit::Permission, format!("/proc cannot be read: {error}; is it mounted?"))
        })?,
        false => Vec::new(),
    };
    let pipeline = Pipeline::open(Arc::new(config), host::name())?;
    let (mut outcomes, problems) = pipeline.collect(&workers, &stop);
    outcomes.extend(problems.into_iter().map(|problem| Err(Failure::new(Exit::Store, problem))));
    if outcomes.is_empty() {
        talk(args.talk, "there is nothing to collect");
    }
    let mut last = Ok(());
    for outcome in outcomes {
        match outcome {
            Ok(stored) => {
                print(format!("{}\n", stored.path.display()).as_bytes())?;
                if let Originals::Stuck(why) = &stored.originals {
                    talk(args.talk, why);
                }
                for caveat in &stored.manifest.snapshot.caveats {
                    talk(args.talk, &format!("beware of this dump: {caveat}"));
                }
            }
            Err(failure) => {
                // The last one is told by the exit.
                if let Err(before) = std::mem::replace(&mut last, Err(failure)) {
                    talk(args.talk, &before.to_string());
                }
            }
        }
    }
    stop.check(|| "what was not yet collected stays where it is".into())?;
    last
}

/// That of the file; without one, what the command line says, with everything else as it is by default.
fn configuration(args: &CollectArgs) -> Result<Config, Failure> {
    if let Some(path) = &args.config {
        let mut config = Config::load(path).map_err(|error| error.into_failure())?;
        if args.place.store.is_some() {
            config.store.directory = store_path(args.place.store.as_deref())?;
        }
        return Ok(config);
    }
    let mut config = Config::parse("").map_err(|problems| {
        Failure::new(Exit::Config, problems.first().map(ToString::to_string).unwrap_or_default())
    })?;
    config.store.directory = store_path(args.place.store.as_deref())?;
    config.store.encrypt_to = args.encrypt_to.clone();
    // As with `dump`: whoever asks for it by hand decides what the disk is for.
    config.retention.keep_free = Amount::Bytes(0);
    config.intake.watch = args.directories.is_empty();
    for path in &args.directories {
        let path = std::path::absolute(path)
            .map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", path.display())))?;
        config.intake.directories.push(path);
    }
    Ok(config)
}
