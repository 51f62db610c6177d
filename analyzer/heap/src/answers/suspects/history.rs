//! Since when: what a place had in earlier dumps, and what that says. A place is known again by its path or, in the same
//! process, by its address.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::{Dump, Located, Suspect, find, holders};
use crate::answers::study::Study;
use crate::answers::words::{bytes, thousands};
use crate::graph::kept_by;
use crate::heap::RootReason;
use crate::naming::Expression;
use crate::suspects::{self, Keeping};

/// Dumps are searched for places with this much less in them than is told of without looking for growth.
const LESS: u64 = 20;
/// So many bytes more are growth …
const GROWN_BYTES: i64 = 100_000;
/// … if they are one part in this of what there is, too.
const GROWN_SHARE: u64 = 50;

/// What a place had in one of several dumps.
#[derive(Clone, Debug, Serialize)]
pub struct Past {
    /// The dump.
    pub dump: String,
    /// What had piled up; nothing if the place was not found or had little in it.
    pub count: Option<u64>,
    /// What it kept.
    pub retained_bytes: Option<u64>,
}

/// How a place has grown.
#[derive(Clone, Debug, Serialize)]
pub struct Grown {
    /// The first dump that is compared with.
    pub since: String,
    /// Bytes more than in that; all of them if the place was not found there.
    pub bytes: i64,
    /// The same by the hour, if the dumps say when they were taken.
    pub bytes_per_hour: Option<f64>,
    #[serde(skip)]
    now: u64,
    /// In the same process: bytes of what was not in the first dump. More may have come to the place than that, of what others
    /// held, too, when that dump was taken.
    #[serde(skip)]
    new: Option<u64>,
}

impl Grown {
    /// Whether it is more than the ups and downs of any process.
    pub(super) fn matters(&self) -> bool {
        self.is_more(self.bytes) && !self.is_handed_over()
    }

    fn is_more(&self, bytes: i64) -> bool {
        bytes >= GROWN_BYTES && bytes.unsigned_abs() >= self.now / GROWN_SHARE
    }

    /// Whether the place keeps more though little of that is new: what others held, too, they have let go.
    fn is_handed_over(&self) -> bool {
        let is_old = |new: u64| !self.is_more(i64::try_from(new).unwrap_or(i64::MAX));
        self.is_more(self.bytes) && self.new.is_some_and(is_old)
    }
}

/// A dump before the last one.
pub(super) struct Earlier<'v> {
    name: String,
    study: Study<'v>,
    by_path: HashMap<Expression, (u64, u64)>,
    same_process: bool,
    hours_before: Option<f64>,
}

impl<'v> Earlier<'v> {
    pub(super) fn of(dump: &Dump<'v>, last: &Dump<'_>) -> Earlier<'v> {
        let study = Study::of(dump.view);
        let found = find(&study, suspects::threshold(study.dominators.total()) / LESS).into_iter();
        let by_path = found.map(|found| {
            let bytes = found.bytes(&study);
            (found.path, (found.finding.contents.count(), bytes))
        });
        Earlier {
            name: dump.name.clone(),
            by_path: by_path.collect(),
            same_process: is_same_process(dump, last),
            hours_before: hours_between(dump, last),
            study,
        }
    }

    /// Of what goes with a place now, the bytes that this dump does not have; nothing if it is of another process.
    fn new_bytes(&self, study: &Study<'_>, found: &Located) -> Option<u64> {
        let (view, earlier) = (study.view, self.study.view);
        let size_before = |node: u32| {
            let other = earlier.node_of(view.address(node)).filter(|&other| earlier.is_live(other))?;
            (self.study.kinds.type_name(other) == study.kinds.type_name(node)).then(|| earlier.size(other))
        };
        let new = |node: u32| view.size(node).saturating_sub(size_before(node).unwrap_or(0));
        let sum = |nodes: &mut dyn Iterator<Item = u32>| nodes.fold(0u64, |sum, node| sum.saturating_add(new(node)));
        let finding = &found.finding;
        match finding.kind.traits().keeping {
            _ if !self.same_process => None,
            Keeping::Each => None,
            Keeping::Together => {
                let kept = kept_by(view, &holders(study, finding));
                // Of what does not go with the place nothing is known.
                let rest = finding.amount.bytes.saturating_sub(found.frees(study).bytes);
                Some(sum(&mut kept.ones().map(|node| node as u32)).saturating_add(rest))
            }
            Keeping::Alone => Some(sum(&mut study.dominators.subtree(Some(finding.node)).iter().copied())),
        }
    }

    /// What a place had: the count only if it was one that is told of.
    fn past(&self, path: &Expression, address: u64, type_name: &str) -> Past {
        let found = self.by_path.get(path).map(|&(count, bytes)| (Some(count), bytes));
        let at_address = || {
            let view = self.study.view;
            let node = view.node_of(address).filter(|&node| self.same_process && view.is_live(node))?;
            let known = self.study.kinds.type_name(node) == type_name && self.study.dominators.is_reached(node);
            known.then(|| (None, self.study.dominators.retained(node).bytes))
        };
        let past = found.or_else(at_address);
        Past {
            dump: self.name.clone(),
            count: past.and_then(|(count, _)| count),
            retained_bytes: past.map(|(_, bytes)| bytes),
        }
    }
}

fn is_same_process(one: &Dump<'_>, other: &Dump<'_>) -> bool {
    let process = |dump: &Dump<'_>| {
        let process = &dump.view.heap().meta()?.process;
        Some((process.pid, process.started_at.clone()))
    };
    process(one).is_some_and(|known| process(other) == Some(known))
}

fn hours_between(one: &Dump<'_>, other: &Dump<'_>) -> Option<f64> {
    let stamp = |dump: &Dump<'_>| dump.view.heap().meta()?.trigger.requested_at.parse::<jiff::Timestamp>().ok();
    let hours = stamp(other)?.duration_since(stamp(one)?).as_secs_f64() / 3600.0;
    (hours > 0.0).then_some(hours)
}

/// With earlier dumps, adds places that are small but grow, and puts what grows first. What each has grown.
pub(super) fn add_growing(
    study: &Study<'_>,
    earlier: &[Earlier<'_>],
    threshold: u64,
    found: &mut Vec<Located>,
) -> Vec<Option<Grown>> {
    let Some(first) = earlier.first() else { return vec![None; found.len()] };
    let with_growth = |each: Located| {
        let address = study.view.address(each.finding.node);
        let past = first.past(&each.path, address, study.kinds.type_name(each.finding.node));
        let now = each.bytes(study);
        let more = i128::from(now) - i128::from(past.retained_bytes.unwrap_or(0));
        let more = more.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
        let bytes_per_hour = first.hours_before.map(|hours| more as f64 / hours);
        let mut grown = Grown { since: first.name.clone(), bytes: more, bytes_per_hour, now, new: None };
        if grown.matters() {
            grown.new = first.new_bytes(study, &each);
        }
        (each, grown)
    };
    let known: HashSet<u32> = found.iter().map(|found| found.finding.node).collect();
    let is_news = |each: &Located| !known.iter().any(|&node| study.dominators.dominates(node, each.finding.node));
    // What no root leads to comes and goes with the collector: a little more of it is no growth.
    let may_be_garbage = |each: &Located| each.outside(study) == Some(RootReason::Cycle);
    let small = find(study, threshold / LESS).into_iter().filter(|each| is_news(each) && !may_be_garbage(each));
    let small: Vec<Located> = small.collect();
    let mut all: Vec<(Located, Grown)> = std::mem::take(found).into_iter().map(with_growth).collect();
    all.extend(small.into_iter().map(with_growth).filter(|(_, grown)| grown.matters()));
    // The order of what does not grow stays.
    all.sort_by_key(|(_, grown)| std::cmp::Reverse(if grown.matters() { grown.bytes } else { 0 }));
    let (places, histories): (Vec<Located>, Vec<Option<Grown>>) =
        all.into_iter().map(|(each, grown)| (each, Some(grown))).unzip();
    *found = places;
    histories
}

/// Adds what a place had in the dumps before, and what it has now.
pub(super) fn add(
    suspect: &mut Suspect,
    found: &Located,
    earlier: &[Earlier<'_>],
    last: &Dump<'_>,
    grown: Option<Grown>,
) {
    let Some(grown) = grown else { return };
    suspect.history = earlier.iter().map(|each| each.past(&found.path, suspect.address, &suspect.type_name)).collect();
    let count = suspect.accumulates.as_ref().map(|accumulated| accumulated.count);
    suspect.history.push(Past { dump: last.name.clone(), count, retained_bytes: Some(suspect.retained_bytes) });
    suspect.explanation += &growth(&suspect.history, &grown);
    suspect.grown = Some(grown);
}

/// The first figure and the last.
fn growth(history: &[Past], grown: &Grown) -> String {
    let known: Vec<(&Past, u64)> = history.iter().filter_map(|past| Some((past, past.retained_bytes?))).collect();
    let rate = grown.bytes_per_hour.filter(|_| grown.matters());
    let rate = rate.map(|rate| format!(", {} an hour", bytes(rate as u64))).unwrap_or_default();
    match (known.first(), known.last()) {
        (Some((first, before)), Some((_, now))) if known.len() > 1 => {
            let count =
                |past: &Past| past.count.map(|count| format!("{} objects, ", thousands(count))).unwrap_or_default();
            let steady = match grown.matters() {
                true => "",
                false if grown.is_handed_over() => ": hardly any of that is new, others have let go of it",
                false => ": it does not grow, and may be meant to be that large",
            };
            format!(
                " In {} it had {}{}; now it has {}{rate}{steady}.",
                first.dump,
                count(first),
                bytes(*before),
                bytes(*now)
            )
        }
        _ => " It was not there, or small, in the dumps before.".to_owned(),
    }
}
