//! `heapsee-agent prune`: deletes what the limits want deleted, once, without the daemon (schema
//! `heapsee.agent.prune/1`).

use std::io;

use serde::Serialize;

use super::{json, print, say, store_path};
use crate::cli::PruneArgs;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::host;
use crate::intake::catalog::Catalog;
use crate::render;
use crate::retention::{Keeper, Outcome};

/// Runs the command.
pub fn run(args: &PruneArgs) -> Result<(), Failure> {
    let config = Config::load(&args.config).map_err(|error| error.into_failure())?;
    let root = store_path(Some(args.place.store.as_deref().unwrap_or(&config.store.directory)))?;
    let host = host::name();
    let unreadable =
        |error: io::Error| Failure::new(Exit::Store, format!("the store {} cannot be read: {error}", root.display()));
    let catalog = Catalog::read(&root, &host).map_err(unreadable)?;
    let keeper = Keeper { root: &root, host: &host, limits: &config.retention, ships: config.ship.is_some() };
    let outcome = if args.output.dry_run { keeper.look(&catalog, None) } else { keeper.tidy(&catalog) };
    let outcome = outcome.map_err(unreadable)?;
    report(args, &outcome)?;
    if let Some(words) = outcome.exceeded() {
        say(&format!("what is left is pinned or not yet shipped, though {words}"));
    }
    match outcome.stuck.first() {
        Some((path, why)) => {
            Err(Failure::new(Exit::Store, format!("{} cannot be deleted: {why}; delete it by hand", path.display())))
        }
        None => Ok(()),
    }
}

/// The whole JSON.
#[derive(Serialize)]
struct Report {
    schema: &'static str,
    dry_run: bool,
    deleted: Vec<Row>,
    exceeded: Vec<String>,
}

/// A dump that went, or would go.
#[derive(Serialize)]
struct Row {
    path: String,
    bytes: u64,
    reason: String,
}

fn report(args: &PruneArgs, outcome: &Outcome) -> Result<(), Failure> {
    let rows = outcome.deleted.iter().map(|(path, bytes, reason)| Row {
        path: path.display().to_string(),
        bytes: *bytes,
        reason: reason.to_string(),
    });
    if args.output.format.json {
        let exceeded = outcome.exceeded.iter().map(ToString::to_string).collect();
        let report =
            Report { schema: "heapsee.agent.prune/1", dry_run: args.output.dry_run, deleted: rows.collect(), exceeded };
        return print(&json(&report)?);
    }
    let lines: String = rows
        .map(|row| format!("{}  {}: {}\n", render::one_line(&row.path), render::bytes(row.bytes), row.reason))
        .collect();
    print(lines.as_bytes())
}
