//! Keeping the store within its limits: looks what is there, makes the plan, carries it out.
//!
//! Only whole dumps are deleted, only this host's, and only in ways that leave none half-deleted.

mod plan;

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::config::Retention;
use crate::files::{safe_name, space};
use crate::intake::catalog::{Catalog, Entry};
use crate::intake::store;
pub use plan::Reason;
use plan::{Item, Plan, Situation};

/// The store and its limits.
pub struct Keeper<'a> {
    /// Where it is.
    pub root: &'a Path,
    /// Whose dumps.
    pub host: &'a str,
    /// The limits.
    pub limits: &'a Retention,
    /// Whether dumps are shipped.
    pub ships: bool,
}

/// What is to be done, or was done.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The dumps that go or went, with their size and the reason.
    pub deleted: Vec<(PathBuf, u64, Reason)>,
    /// Those that could not be deleted, and why not.
    pub stuck: Vec<(PathBuf, String)>,
    /// The limits that stay exceeded, because what is left may not be deleted.
    pub exceeded: Vec<Reason>,
}

impl Keeper<'_> {
    /// What would be deleted now.
    pub fn look(&self, catalog: &Catalog, incoming: Option<(&str, u64)>) -> io::Result<Outcome> {
        let plan = self.plan(catalog, incoming)?;
        let deleted = plan.delete.iter().map(|&(i, reason)| described(&catalog.entries[i], reason)).collect();
        Ok(Outcome { deleted, exceeded: plan.exceeded, ..Outcome::default() })
    }

    /// Deletes what has to go now.
    pub fn tidy(&self, catalog: &Catalog) -> io::Result<Outcome> {
        let plan = self.plan(catalog, None)?;
        Ok(self.carry_out(catalog, plan))
    }

    /// Makes room for a dump of about that size; deletes nothing if that would not be enough.
    pub fn make_room(&self, catalog: &Catalog, app: &str, bytes: u64) -> io::Result<Outcome> {
        let plan = self.plan(catalog, Some((app, bytes)))?;
        if plan.exceeded.iter().any(|&reason| reason != Reason::Age) {
            return Ok(Outcome { exceeded: plan.exceeded, ..Outcome::default() });
        }
        Ok(self.carry_out(catalog, plan))
    }

    fn plan(&self, catalog: &Catalog, incoming: Option<(&str, u64)>) -> io::Result<Plan> {
        let (free, total) = match space(self.root) {
            // Not made yet: there is nothing that could be deleted.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Plan::default()),
            space => space?,
        };
        let items: Vec<Item> = catalog.entries.iter().map(item).collect();
        let safe = incoming.map(|(app, bytes)| (safe_name(app), bytes));
        let situation = Situation {
            limits: self.limits,
            ships: self.ships,
            free,
            keep_free: self.limits.keep_free.of(total),
            incoming: safe.as_ref().map(|(app, bytes)| (app.as_str(), *bytes)),
            now: Timestamp::now(),
        };
        Ok(plan::plan(&items, &situation))
    }

    fn carry_out(&self, catalog: &Catalog, plan: Plan) -> Outcome {
        let mut outcome = Outcome { exceeded: plan.exceeded, ..Outcome::default() };
        for (i, reason) in plan.delete {
            let entry = &catalog.entries[i];
            match store::delete(self.root, self.host, &entry.path) {
                Ok(()) => outcome.deleted.push(described(entry, reason)),
                // By somebody else, in the same moment.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => outcome.stuck.push((entry.path.clone(), error.to_string())),
            }
        }
        outcome
    }
}

impl Outcome {
    /// The limits that stay exceeded, in words; none if there are none.
    pub fn exceeded(&self) -> Option<String> {
        let words: Vec<String> = self.exceeded.iter().map(Reason::to_string).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

fn described(entry: &Entry, reason: Reason) -> (PathBuf, u64, Reason) {
    (entry.path.clone(), entry.bytes, reason)
}

fn item(entry: &Entry) -> Item {
    Item {
        app: entry.app.clone(),
        worker: (entry.manifest.worker.pid, entry.manifest.worker.start_time_ticks),
        at: entry.at,
        bytes: entry.bytes,
        pinned: entry.pinned,
        has_copy: entry.shipped.is_some(),
    }
}
