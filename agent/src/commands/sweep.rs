//! `heapsee-agent sweep`: removes what dead writers have left, once (schema `heapsee.agent.sweep/1`).

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{json, print, store_path};
use crate::cli::SweepArgs;
use crate::config::Config;
use crate::discovery::{Scope, scan};
use crate::exit::{Exit, Failure};
use crate::host;
use crate::intake::source::Directory;
use crate::render;
use crate::sweep::{Leftover, Living, of_directory, of_store, remove};

/// Runs the command.
pub fn run(args: &SweepArgs) -> Result<(), Failure> {
    let config = args.config.as_deref().map(Config::load).transpose().map_err(|error| error.into_failure())?;
    let of_config = config.as_ref().map(|config| config.store.directory.as_path());
    let root = store_path(args.place.store.as_deref().or(of_config))?;
    let living = Living::look()
        .map_err(|error| Failure::new(Exit::Permission, format!("/proc cannot be read: {error}; is it mounted?")))?;
    let mut sweep = Sweep { dry_run: args.output.dry_run, rows: Vec::new(), problems: Vec::new() };
    let of_store = of_store(&root, &host::name(), &living)
        .map_err(|error| Failure::new(Exit::Store, format!("the store {} cannot be read: {error}", root.display())))?;
    for leftover in &of_store {
        sweep.take(leftover, remove);
    }
    let named = args.directories.iter().chain(config.iter().flat_map(|config| &config.intake.directories));
    for directory in sweep.directories(named) {
        match of_directory(&directory, &living) {
            Ok(leftovers) => {
                for (name, found, leftover) in &leftovers {
                    sweep.take(leftover, |_| directory.unlink(name, found));
                }
            }
            Err(error) => sweep.problems.push(format!("{} cannot be read: {error}", directory.path().display())),
        }
    }
    report(args, &sweep)?;
    match sweep.problems.first() {
        Some(first) => Err(Failure::new(Exit::Store, first.clone())),
        None => Ok(()),
    }
}

struct Sweep {
    dry_run: bool,
    rows: Vec<Row>,
    problems: Vec<String>,
}

/// A leftover that went, or would go.
#[derive(Serialize)]
struct Row {
    path: String,
    bytes: u64,
    what: &'static str,
}

impl Sweep {
    /// The dump directories of armed workers, and those that are named, each once.
    fn directories<'a>(&mut self, named: impl Iterator<Item = &'a PathBuf>) -> Vec<Directory> {
        let mut found = BTreeMap::new();
        for process in scan(Scope::Workers).unwrap_or_default() {
            if let Ok(view) = &process.armed
                && let Ok(directory) =
                    Directory::look(Path::new(&view.directory), Some((process.pid, process.status.uid)))
                && let Ok(identity) = directory.identity()
            {
                found.entry(identity).or_insert(directory);
            }
        }
        for path in named {
            let opened = Directory::look(path, None).and_then(|directory| Ok((directory.identity()?, directory)));
            match opened {
                Ok((identity, directory)) => drop(found.entry(identity).or_insert(directory)),
                Err(error) => self.problems.push(format!("{} cannot be opened: {error}", path.display())),
            }
        }
        found.into_values().collect()
    }

    fn take(&mut self, leftover: &Leftover, remove: impl FnOnce(&Leftover) -> io::Result<()>) {
        let path = leftover.path.display().to_string();
        match if self.dry_run { Ok(()) } else { remove(leftover) } {
            Ok(()) => self.rows.push(Row { path, bytes: leftover.bytes, what: leftover.what }),
            // By somebody else, in the same moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.problems.push(format!("{path} cannot be removed: {error}; remove it by hand")),
        }
    }
}

/// The whole JSON.
#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    dry_run: bool,
    removed: &'a [Row],
    problems: &'a [String],
}

fn report(args: &SweepArgs, sweep: &Sweep) -> Result<(), Failure> {
    if args.output.format.json {
        let (removed, problems) = (&sweep.rows[..], &sweep.problems[..]);
        return print(&json(&Report {
            schema: "heapsee.agent.sweep/1",
            dry_run: args.output.dry_run,
            removed,
            problems,
        })?);
    }
    let line = |row: &Row| format!("{}  {}: {}\n", render::one_line(&row.path), render::bytes(row.bytes), row.what);
    print(sweep.rows.iter().map(line).collect::<String>().as_bytes())?;
    // The first is told by the exit.
    for problem in sweep.problems.iter().skip(1) {
        // Nobody left to read it is no error.
        let _ = writeln!(io::stderr(), "heapsee-agent: {}", render::one_line(problem));
    }
    Ok(())
}
