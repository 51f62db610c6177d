//! Which dumps to delete: a function of what is there, the limits and the time. It touches nothing.
//!
//! What may never go: a pinned dump; and, where dumps are shipped, one that has no verified copy yet (unless the
//! configuration says so). What goes first: a dump that has a copy; then one between an older and a newer one of the
//! same worker, for growth is told by the ends; then the older one.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use crate::config::{Quota, Retention};

/// A dump, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its application.
    pub app: String,
    /// Its worker: pid and start time.
    pub worker: (u32, u64),
    /// When it was taken.
    pub at: Timestamp,
    /// What it takes on the disk.
    pub bytes: u64,
    /// Whether it is to stay.
    pub pinned: bool,
    /// Whether it has a verified copy elsewhere.
    pub has_copy: bool,
}

/// What the plan has to go by, besides the dumps.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    /// The limits.
    pub limits: &'a Retention,
    /// Whether dumps are shipped.
    pub ships: bool,
    /// Free bytes of the store's file system.
    pub free: u64,
    /// How many of them are to stay free.
    pub keep_free: u64,
    /// What is about to come, and of which application.
    pub incoming: Option<(&'a str, u64)>,
    /// The time.
    pub now: Timestamp,
}

/// Why a dump goes, or why there is no room for a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is too old.
    Age,
    /// Its application has too many.
    Count,
    /// Its application's dumps, or all dumps, take too much.
    Size,
    /// The disk is too full.
    Disk,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Age => "it is older than max_age",
            Reason::Count => "there are more of its application than max_count",
            Reason::Size => "the dumps take more than max_size",
            Reason::Disk => "less than keep_free is free on the disk",
        })
    }
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Indexes of the dumps to delete, with the reason, in this order.
    pub delete: Vec<(usize, Reason)>,
    /// The limits that stay exceeded, because what is left may not be deleted.
    pub exceeded: Vec<Reason>,
}

/// Makes the plan.
pub fn plan(items: &[Item], situation: &Situation<'_>) -> Plan {
    let mut work = Work { items, situation, gone: vec![None; items.len()], order: order(items), plan: Plan::default() };
    work.by_age();
    let apps: BTreeMap<&str, ()> = items.iter().map(|item| (item.app.as_str(), ())).collect();
    for app in apps.into_keys().chain(situation.incoming.map(|(app, _)| app)) {
        work.by_count(app);
        if let Some(most) = situation.limits.apps.get(app).and_then(|quota| quota.max_size) {
            work.by_size(most, Some(app));
        }
    }
    if let Some(most) = situation.limits.quota.max_size {
        work.by_size(most, None);
    }
    work.by_disk();
    work.plan
}

/// The indexes of the dumps, those that are least worth keeping first.
fn order(items: &[Item]) -> Vec<usize> {
    // Of each worker, when the first and the last of its dumps was taken.
    let mut ends = BTreeMap::new();
    let worker = |item: &Item| (item.app.clone(), item.worker);
    for item in items {
        let (first, last) = ends.entry(worker(item)).or_insert((item.at, item.at));
        (*first, *last) = (item.at.min(*first), item.at.max(*last));
    }
    let is_between =
        |item: &Item| ends.get(&worker(item)).is_some_and(|(first, last)| *first < item.at && item.at < *last);
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&i| (!items[i].has_copy, !is_between(&items[i]), items[i].at, i));
    order
}

struct Work<'a> {
    items: &'a [Item],
    situation: &'a Situation<'a>,
    gone: Vec<Option<Reason>>,
    order: Vec<usize>,
    plan: Plan,
}

impl Work<'_> {
    fn may_go(&self, i: usize) -> bool {
        let item = &self.items[i];
        let may_be_the_only = !self.situation.ships || self.situation.limits.delete_unshipped;
        self.gone[i].is_none() && !item.pinned && (item.has_copy || may_be_the_only)
    }

    fn delete(&mut self, i: usize, reason: Reason) {
        self.gone[i] = Some(reason);
        self.plan.delete.push((i, reason));
    }

    /// The limits of an application: those of all, and its own besides.
    fn quotas(&self, app: &str) -> impl Iterator<Item = &Quota> {
        let limits = self.situation.limits;
        [Some(&limits.quota), limits.apps.get(app)].into_iter().flatten()
    }

    fn by_age(&mut self) {
        for i in 0..self.items.len() {
            let item = &self.items[i];
            let most = self.quotas(&item.app).filter_map(|quota| quota.max_age).min();
            // A clock that was set back makes nothing old.
            let age = self.situation.now.duration_since(item.at).unsigned_abs();
            if item.at < self.situation.now && most.is_some_and(|most| age > most) {
                if self.may_go(i) {
                    self.delete(i, Reason::Age);
                } else {
                    self.exceed(Reason::Age);
                }
            }
        }
    }

    fn by_count(&mut self, app: &str) {
        let Some(most) = self.quotas(app).filter_map(|quota| quota.max_count).min() else { return };
        let coming = u64::from(self.situation.incoming.is_some_and(|(incoming, _)| incoming == app));
        let there = |i: &usize| self.gone[*i].is_none() && self.items[*i].app == app;
        let count = (0..self.items.len()).filter(there).count() as u64 + coming;
        let mut surplus = count.saturating_sub(most);
        for i in self.order.clone() {
            if surplus > 0 && self.items[i].app == app && self.may_go(i) {
                self.delete(i, Reason::Count);
                surplus -= 1;
            }
        }
        if surplus > 0 {
            self.exceed(Reason::Count);
        }
    }

    fn by_size(&mut self, most: u64, app: Option<&str>) {
        let of_scope = |of: &str| app.is_none_or(|app| app == of);
        let coming = self.situation.incoming.filter(|(app, _)| of_scope(app)).map_or(0, |(_, bytes)| bytes);
        let there = self.items.iter().zip(&self.gone).filter(|(item, gone)| gone.is_none() && of_scope(&item.app));
        let mut bytes = there.fold(coming, |sum, (item, _)| sum.saturating_add(item.bytes));
        for i in self.order.clone() {
            if bytes > most && of_scope(&self.items[i].app) && self.may_go(i) {
                self.delete(i, Reason::Size);
                bytes -= self.items[i].bytes;
            }
        }
        if bytes > most {
            self.exceed(Reason::Size);
        }
    }

    fn by_disk(&mut self) {
        let coming = self.situation.incoming.map_or(0, |(_, bytes)| bytes);
        let freed: u64 = self.plan.delete.iter().map(|&(i, _)| self.items[i].bytes).sum();
        let wanted = self.situation.keep_free.saturating_add(coming);
        let mut free = self.situation.free.saturating_add(freed);
        let order: Vec<usize> = self.order.iter().copied().filter(|&i| self.may_go(i)).collect();
        let most: u64 = order.iter().map(|&i| self.items[i].bytes).sum();
        // Somebody else fills the disk: no dump that has no copy is given up for a goal that is not reached.
        let is_in_vain = free.saturating_add(most) < wanted;
        for i in order {
            if free < wanted && (self.items[i].has_copy || !is_in_vain) {
                self.delete(i, Reason::Disk);
                free = free.saturating_add(self.items[i].bytes);
            }
        }
        if free < wanted {
            self.exceed(Reason::Disk);
        }
    }

    fn exceed(&mut self, reason: Reason) {
        if !self.plan.exceeded.contains(&reason) {
            self.plan.exceeded.push(reason);
        }
    }
}

#[cfg(test)]
mod tests;
