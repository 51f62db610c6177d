//! What has changed from dump to dump: by type, by place, by package, and object by object.
//!
//! Dumps may be of one process over time or of several workers of one service; see [`Relation`] for what can be told of
//! single objects. It does not say whether growth is a leak.

mod matching;
mod places;
mod series;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

pub use matching::{Matching, Relation};
pub use series::{Grown, Series, Times, Trend};

use super::tally::{Group, Tally, text_of};
use crate::graph::{Amount, Tree};
use crate::heap::View;
use crate::naming::{Expression, NOWHERE, Places};
use crate::owner::Owners;
use places::Growth;

/// The `schema` of this version.
pub const SCHEMA: &str = "heapsee.diff/1";

/// The whole comparison.
///
/// ```
/// # use std::sync::Arc;
/// use heapsee_heap::answers::diff::Diff;
/// use heapsee_heap::heap::{Heap, View};
///
/// // A list of two equal texts.
/// let heap = Heap::from_text(
///     r#"{"address": 16, "type": "list", "size": 64, "len": 2, "refs": [32, 48]}
///        {"address": 32, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}
///        {"address": 48, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}"#,
/// )?;
/// let view = View::new(Arc::new(heap));
/// let later = View::new(Arc::new(Heap::from_text(r#"{"address": 16, "type": "list", "size": 64, "len": 0, "refs": []}"#)?));
/// let diff = Diff::of(&[&view, &later], 10).expect("two dumps can be compared");
/// assert_eq!(diff.dumps.len(), 2);
/// # Ok::<(), heapsee_heap::heap::TextError>(())
/// ```
#[derive(Debug, Serialize)]
pub struct Diff {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// What was compared, in the order given.
    pub dumps: Vec<Dump>,
    /// What the first and the last are to each other.
    pub relation: Relation,
    /// What trends are told by: an `hour`, or from `dump` to dump where dumps do not say when they were taken.
    pub trend_unit: Option<&'static str>,
    /// All objects together.
    pub total: Series,
    /// Objects of the last dump that are in the first, too.
    pub common: Amount,
    /// Objects of the last dump that are not in the first.
    pub new: Amount,
    /// Objects of the first dump that are not in the last.
    pub gone: Amount,
    /// What came after the first dump and is in all later ones; of three dumps or more that share objects.
    pub stayed: Option<Stayed>,
    /// Most grown first.
    pub types: Vec<TypeRow>,
    /// Most grown first; no object is in two rows, and all rows (not only those shown) are the whole difference.
    pub places: Vec<PlaceRow>,
    /// Most grown first.
    pub packages: Vec<PackageRow>,
    /// How many types, places and packages have changed, those not shown included.
    pub changed: Changed,
    /// What a reader should know, a sentence each.
    pub notes: Vec<String>,
}

/// One of the dumps.
#[derive(Debug, Serialize)]
pub struct Dump {
    /// As it was named.
    pub dump: String,
    /// From the sidecar.
    pub pid: Option<u32>,
    /// When it was asked for.
    pub requested_at: Option<String>,
    /// Resident memory.
    pub rss: Option<u64>,
    /// What it holds.
    #[serde(flatten)]
    pub amount: Amount,
}

/// Objects that came and did not go.
#[derive(Debug, Serialize)]
pub struct Stayed {
    /// All of them.
    #[serde(flatten)]
    pub amount: Amount,
    /// Where they hang in the last dump, most bytes first.
    pub places: Vec<Group>,
}

/// One type.
#[derive(Debug, Serialize)]
pub struct TypeRow {
    /// Its name.
    #[serde(rename = "type")]
    pub type_name: String,
    /// How it went.
    #[serde(flatten)]
    pub series: Series,
}

/// One place.
#[derive(Debug, Serialize)]
pub struct PlaceRow {
    /// A path with `[*]` for any element.
    pub path: Expression,
    /// The type of the objects there.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Whether all that hangs from the place counts with it.
    pub with_all_below: bool,
    /// Objects right at the place, dump by dump.
    pub times: Vec<u64>,
    /// How it went.
    #[serde(flatten)]
    pub series: Series,
}

/// One package.
#[derive(Debug, Serialize)]
pub struct PackageRow {
    /// Its name.
    pub package: String,
    /// How what it owns or holds went.
    #[serde(flatten)]
    pub series: Series,
}

/// How many rows there are.
#[derive(Debug, Default, Serialize)]
pub struct Changed {
    /// Types.
    pub types: usize,
    /// Places.
    pub places: usize,
    /// Packages.
    pub packages: usize,
}

/// What is found out of each dump by itself.
struct Parts {
    /// By place.
    places: Vec<Amount>,
    /// By node.
    place_of: Vec<u32>,
    types: BTreeMap<String, Amount>,
    packages: BTreeMap<String, Amount>,
}

impl Parts {
    fn of(view: &View, places: &mut Places) -> Parts {
        let tree = Tree::of(view);
        let (place_of, owners) = rayon::join(|| places.assign(view, &tree), || Owners::of(view, &tree));
        let mut parts = Parts { places: Vec::new(), place_of, types: BTreeMap::new(), packages: BTreeMap::new() };
        parts.places.resize(places.len() as usize, Amount::default());
        let mut types = vec![Amount::default(); view.type_count() as usize];
        let mut packages = vec![Amount::default(); owners.packages().len()];
        for node in view.objects() {
            let one = Amount { objects: 1, bytes: view.size(node) };
            types[view.type_id(node) as usize] += one;
            if parts.place_of[node as usize] != NOWHERE {
                parts.places[parts.place_of[node as usize] as usize] += one;
            }
            if let Some(package) = owners.package(node) {
                packages[package as usize] += one;
            }
        }
        let of_type = |(id, amount)| (view.type_name(id as u32).to_owned(), amount);
        parts.types.extend(types.into_iter().enumerate().map(of_type).filter(|(_, amount)| amount.objects > 0));
        for (package, amount) in owners.packages().iter().zip(packages) {
            *parts.packages.entry(package.name.clone()).or_default() += amount;
        }
        parts
    }
}

impl Diff {
    /// Of two dumps or more, in the order of time; with at most `limit` rows of each kind.
    pub fn of(views: &[&View], limit: usize) -> Option<Diff> {
        let (&first, &last) = (views.first()?, views.last()?);
        let mut all_places = Places::default();
        let parts = || -> Vec<Parts> { views.iter().map(|view| Parts::of(view, &mut all_places)).collect() };
        let (parts, matching) = rayon::join(parts, || Matching::of(first, last));
        let mut notes = Vec::new();
        let (times, trend_unit) = times(views, matching.relation, &mut notes);
        let mut changed = Changed::default();

        let types = rows(&parts, |part| &part.types, &times, &mut changed.types);
        let packages = rows(&parts, |part| &part.packages, &times, &mut changed.packages);
        let stayed = stayed(views, &all_places, &parts, limit);
        let own: Vec<Vec<Amount>> = parts.into_iter().map(|part| part.places).collect();
        let growth = Growth::of(&mut all_places, &own).changed();
        changed.places = growth.len();
        let places = extremes(growth, limit).into_iter().map(|row| PlaceRow {
            path: all_places.expression(row.place),
            type_name: all_places.type_name(row.place).to_owned(),
            with_all_below: row.whole,
            series: Series::of(&row.amounts, &times),
            times: row.times,
        });
        let places = places.collect();
        let amounts: Vec<Amount> = views.iter().map(|view| amount(view)).collect();
        let common = matching.common(last);
        Some(Diff {
            schema: SCHEMA,
            dumps: views.iter().map(|view| dump(view)).collect(),
            relation: matching.relation,
            trend_unit,
            total: Series::of(&amounts, &times),
            new: less(amount(last), common),
            common,
            gone: matching.gone(first),
            stayed,
            types: extremes(types, limit)
                .into_iter()
                .map(|(type_name, series)| TypeRow { type_name, series })
                .collect(),
            places,
            packages: extremes(packages, limit)
                .into_iter()
                .map(|(package, series)| PackageRow { package, series })
                .collect(),
            changed,
            notes,
        })
    }
}

fn amount(view: &View) -> Amount {
    let counts = view.counts();
    Amount { objects: counts.objects, bytes: counts.bytes }
}

fn less(all: Amount, part: Amount) -> Amount {
    Amount { objects: all.objects - part.objects, bytes: all.bytes.saturating_sub(part.bytes) }
}

fn dump(view: &View) -> Dump {
    let meta = view.heap().meta();
    Dump {
        dump: view.heap().source().path.display().to_string(),
        pid: meta.map(|meta| meta.process.pid),
        requested_at: meta.map(|meta| meta.trigger.requested_at.clone()),
        rss: meta.map(|meta| meta.memory.rss),
        amount: amount(view),
    }
}

/// What has changed of something that has names, the most grown first.
fn rows(
    parts: &[Parts],
    of: impl Fn(&Parts) -> &BTreeMap<String, Amount>,
    times: &Times,
    changed: &mut usize,
) -> Vec<(String, Series)> {
    let mut all: BTreeMap<&str, Vec<Amount>> = BTreeMap::new();
    for (dump, part) in parts.iter().enumerate() {
        for (name, &amount) in of(part) {
            all.entry(name).or_insert_with(|| vec![Amount::default(); parts.len()])[dump] = amount;
        }
    }
    let series = all.into_iter().map(|(name, amounts)| (name.to_owned(), Series::of(&amounts, times)));
    let mut rows: Vec<(String, Series)> = series.filter(|(_, series)| series.grown != Grown::default()).collect();
    rows.sort_by_key(|(_, series)| std::cmp::Reverse((series.grown.bytes, series.grown.objects)));
    *changed = rows.len();
    rows
}

/// The first and the last of rows that are sorted by growth: what has grown most, and what has shrunk most.
fn extremes<T>(mut rows: Vec<T>, limit: usize) -> Vec<T> {
    if rows.len() > limit {
        let shrunk = limit / 4;
        rows.drain(limit - shrunk..rows.len() - shrunk);
    }
    rows
}

fn stayed(views: &[&View], places: &Places, parts: &[Parts], limit: usize) -> Option<Stayed> {
    let [first, between @ .., last] = views else { return None };
    if between.is_empty() {
        return None;
    }
    let (last_part, later) = (parts.last()?, [between, &[*last]].concat());
    let steps: Vec<Matching> = later.windows(2).map(|pair| Matching::of(pair[0], pair[1])).collect();
    let appeared = Matching::of(first, later.first()?);
    if [&appeared].into_iter().chain(&steps).any(|step| step.relation == Relation::OtherProcess) {
        return None;
    }
    let mut tally: Tally<u32> = Tally::default();
    for node in last.objects() {
        // Back through all later dumps, to the second.
        let origin = steps.iter().rev().try_fold(node, |node, step| step.earlier(node));
        if origin.is_some_and(|node| appeared.earlier(node).is_none()) {
            tally.add(last_part.place_of[node as usize], node, last.size(node));
        }
    }
    Some(Stayed { amount: tally.total, places: tally.groups(last, |place| text_of(places, place).to_string(), limit) })
}

/// When the dumps were taken, and in what that is told, where it means something.
fn times(views: &[&View], relation: Relation, notes: &mut Vec<String>) -> (Times, Option<&'static str>) {
    if !matches!(relation, Relation::SameProcess | Relation::ProbablySameProcess) {
        return (None, None);
    }
    let stamp = |view: &&View| view.heap().meta()?.trigger.requested_at.parse::<jiff::Timestamp>().ok();
    let stamps: Option<Vec<jiff::Timestamp>> = views.iter().map(stamp).collect();
    let Some(stamps) = stamps else {
        if views.len() > 2 {
            notes.push(
                "the dumps do not say when they were taken: trends are from dump to dump, not an hour".to_owned(),
            );
        }
        return (Some((0..views.len()).map(|dump| dump as f64).collect()), Some("dump"));
    };
    if !stamps.is_sorted() {
        notes.push("the dumps are not in the order in which they were taken".to_owned());
    }
    let hours = |stamp: &jiff::Timestamp| stamp.duration_since(stamps[0]).as_secs_f64() / 3600.0;
    (Some(stamps.iter().map(hours).collect()), Some("hour"))
}
