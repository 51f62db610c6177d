//! The process's memory against what is in the dump: is what grows Python's at all?
//!
//! Resident memory is what the kernel counts, in pages; a heap is what objects say they take. Between them are the
//! allocator's rounding, memory that was freed and not given back, whatever C code holds, and mapped files. What can be
//! told apart is; the rest is called that. It does not look into C memory.

mod outside;

use std::collections::HashMap;

use serde::Serialize;

use super::tally::Whereabouts;
use super::words::objects;
use crate::graph::Amount;
use crate::heap::View;
use crate::naming::Expression;

/// The `schema` of this version.
pub const SCHEMA: &str = "heapsee.reconcile/1";

/// Requests up to this many bytes are the small-object allocator's, in steps of 16.
const SMALL: u64 = 512;
/// What `malloc` adds to a larger one: a header, and half a step of 16 on average.
const LARGE_OVERHEAD: u64 = 16;
/// An interpreter with nothing in it has about this much that is no object.
const INTERPRETER: u64 = 8 << 20;
/// As few objects that point outside are not told of beside suspects.
const FEW: u64 = 16;
/// Less than this is not worth a verdict.
const WORTH: u64 = 32 << 20;

/// Where resident memory is.
///
/// ```
/// # use std::sync::Arc;
/// use heapsee_heap::answers::reconcile::Reconcile;
/// use heapsee_heap::heap::{Heap, View};
///
/// // A list of two equal texts.
/// let heap = Heap::from_text(
///     r#"{"address": 16, "type": "list", "size": 64, "len": 2, "refs": [32, 48]}
///        {"address": 32, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}
///        {"address": 48, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}"#,
/// )?;
/// let view = View::new(Arc::new(heap));
/// // Only a sidecar says what the process has beside the heap.
/// let reconcile = Reconcile::of(&view, 10);
/// assert_eq!((reconcile.rss, reconcile.heap.bytes), (None, 2064));
/// # Ok::<(), heapsee_heap::heap::TextError>(())
/// ```
#[derive(Debug, Serialize)]
pub struct Reconcile {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// What it comes to.
    pub verdict: Verdict,
    /// The same in words, a sentence each.
    pub explanation: Vec<String>,
    /// Resident memory; none without a sidecar.
    pub rss: Option<u64>,
    /// What it is made of; adds up to it (with what is swapped out), as far as the parts are known.
    pub parts: Vec<Part>,
    /// All objects of the dump.
    pub heap: Amount,
    /// Objects that point at memory outside of themselves, or may: most objects first.
    pub outside: Vec<Outside>,
    /// How many such types there are.
    pub outside_count: usize,
    /// What a reader should know, a sentence each.
    pub notes: Vec<String>,
}

/// Where most of it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// In Python objects.
    PythonHeap,
    /// In anonymous memory that is no Python object.
    NotPython,
    /// In mapped files.
    MappedFiles,
    /// In shared memory.
    SharedMemory,
    /// No part has most of it, or there is too little to say.
    Mixed,
    /// There are no figures.
    Unknown,
}

/// One part of resident memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// `objects`, `allocator`, `other`, `files`, `shared` or `swapped`.
    pub part: &'static str,
    /// Its bytes; below 0 for `swapped`, and for `other` if objects say more than there is.
    pub bytes: i64,
    /// What it is.
    pub what: &'static str,
}

/// A type whose objects point outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outside {
    /// Its name.
    #[serde(rename = "type")]
    pub type_name: String,
    /// How many, and what they count in the dump.
    #[serde(flatten)]
    pub amount: Amount,
    /// What each holds; none if it is only known to be of a C extension.
    pub holds: Option<&'static str>,
    /// Where most of them hang, as far as rows are shown; a path with `[*]` for any element.
    pub path: Option<Expression>,
}

/// What the sidecar says, in bytes.
#[derive(Clone, Copy, Debug)]
struct Figures {
    rss: u64,
    anonymous: u64,
    file: u64,
    shared: u64,
    swap: u64,
}

impl Reconcile {
    /// Of a view; with at most `limit` types that point outside.
    pub fn of(view: &View, limit: usize) -> Reconcile {
        let counts = view.counts();
        let heap = Amount { objects: counts.objects, bytes: counts.bytes };
        let meta = view.heap().meta();
        let rss = meta.map(|meta| meta.memory.rss).filter(|&rss| rss > 0);
        let figures = meta.and_then(|meta| figures(&meta.memory));
        let mut notes = Vec::new();
        match (rss, figures) {
            (None, _) => notes.push("there is no sidecar that says how large the process was".to_owned()),
            (Some(_), None) => notes.push(
                "the sidecar has only the sum of resident memory: mapped files and shared memory are among \"other\""
                    .to_owned(),
            ),
            _ => {}
        }
        let figures = figures.or_else(|| rss.map(|rss| Figures { rss, anonymous: rss, file: 0, shared: 0, swap: 0 }));
        let allocator = allocator_estimate(view);
        let parts = figures.map(|figures| parts(figures, heap.bytes, allocator)).unwrap_or_default();
        let (verdict, explanation) = match figures {
            Some(figures) => judge(figures, heap.bytes.saturating_add(allocator)),
            None => (Verdict::Unknown, vec!["Nothing can be said of memory outside of the dump.".to_owned()]),
        };
        let mut outside = outside(view);
        let outside_count = outside.len();
        outside.truncate(limit);
        find_places(view, &mut outside);
        Reconcile { schema: SCHEMA, verdict, explanation, rss, parts, heap, outside, outside_count, notes }
    }
}

fn figures(memory: &heapsee_format::meta::Memory) -> Option<Figures> {
    Some(Figures {
        rss: memory.rss,
        anonymous: memory.rss_anonymous?,
        file: memory.rss_file?,
        shared: memory.rss_shared.unwrap_or(0),
        swap: memory.swap.unwrap_or(0),
    })
}

/// What the allocators add to objects: steps of 16 for small ones, headers for larger ones.
fn allocator_estimate(view: &View) -> u64 {
    let of = |node| match view.size(node) {
        size @ 0..=SMALL => size.next_multiple_of(16) - size,
        _ => LARGE_OVERHEAD,
    };
    view.objects().map(of).sum()
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Adds up to resident memory: what is swapped out is not in it, though objects count it.
fn parts(figures: Figures, heap: u64, allocator: u64) -> Vec<Part> {
    let anonymous = signed(figures.anonymous).saturating_add(signed(figures.swap));
    let other = anonymous.saturating_sub(signed(heap)).saturating_sub(signed(allocator));
    let part = |part, bytes, what| Part { part, bytes, what };
    // The kernel counts these four one after the other: what they differ by from their sum is nobody's.
    let rest = signed(figures.rss)
        .saturating_sub(signed(figures.anonymous))
        .saturating_sub(signed(figures.file))
        .saturating_sub(signed(figures.shared));
    let mut parts = vec![
        part("objects", signed(heap), "Python objects, as the dump counts them"),
        part("allocator", signed(allocator), "rounding and headers of the allocators, by rule of thumb"),
        part(
            "other",
            other.saturating_add(rest),
            "memory of C code, freed memory that was not given back, stacks, the interpreter itself",
        ),
        part("files", signed(figures.file), "mapped files: libraries, data files"),
        part("shared", signed(figures.shared), "shared memory"),
        part("swapped", -signed(figures.swap), "of the above, swapped out and so not resident"),
    ];
    parts.retain(|part| part.bytes != 0 || part.part == "objects");
    parts
}

fn judge(figures: Figures, python: u64) -> (Verdict, Vec<String>) {
    let megabytes = |bytes: u64| super::words::bytes(bytes);
    let all = figures.rss.saturating_add(figures.swap);
    let other = figures.anonymous.saturating_add(figures.swap).saturating_sub(python);
    let percent = |part: u64| super::words::percent(part, all);
    let mut words = vec![format!(
        "Python objects account for {} of {} ({:.0} %), allocators included.",
        megabytes(python),
        megabytes(all),
        percent(python)
    )];
    let unexpected = other.saturating_sub(INTERPRETER);
    let verdict = if all < WORTH && unexpected < WORTH {
        words.push("The process is small: much of it is the interpreter and its libraries.".to_owned());
        if python.saturating_mul(2) >= all { Verdict::PythonHeap } else { Verdict::Mixed }
    } else if python.saturating_mul(2) >= all {
        words.push("If it grows, look in the heap: heapsee suspects, heapsee diff.".to_owned());
        Verdict::PythonHeap
    } else if unexpected.saturating_mul(2) >= all {
        words.push(format!(
            "{} ({:.0} %) is anonymous memory that no Python object accounts for: if that is what grows, the leak is not in \
             Python's heap.",
            megabytes(other),
            percent(other)
        ));
        words.push(
            "It is held by C code (see the objects below that point at such memory), or was freed and is kept by the \
             allocator: compare two dumps, and try MALLOC_TRIM_THRESHOLD_, MALLOC_ARENA_MAX or jemalloc."
                .to_owned(),
        );
        Verdict::NotPython
    } else if figures.file.saturating_mul(2) >= all {
        words.push("Most of it are mapped files, which the kernel can take back: no leak of memory.".to_owned());
        Verdict::MappedFiles
    } else if figures.shared.saturating_mul(2) >= all {
        words.push("Most of it is shared memory, which is counted in every process that maps it.".to_owned());
        Verdict::SharedMemory
    } else {
        words.push("No part has most of it: compare two dumps to see which one grows.".to_owned());
        Verdict::Mixed
    };
    if python > figures.anonymous.saturating_add(figures.swap) {
        words.push(
            "Objects say more than is resident: memory that was asked for and never touched, or files that objects count."
                .to_owned(),
        );
    }
    (verdict, words)
}

/// That most of the process is not in Python's heap, if so: in a sentence, with the objects that point there.
pub(super) fn elsewhere(view: &View) -> Option<String> {
    let told = Reconcile::of(view, 0);
    let what = match told.verdict {
        Verdict::NotPython => "anonymous memory that no Python object accounts for",
        Verdict::SharedMemory => "shared memory",
        _ => return None,
    };
    let mut pointing = outside(view);
    pointing.retain(|row| row.holds.is_some() && row.amount.objects >= FEW);
    pointing.truncate(1);
    find_places(view, &mut pointing);
    let pointing = pointing.first().map(|row| {
        let place = row.path.as_ref().map(|path| format!(", most of them at {}", path.place()));
        let counted = objects(row.amount.objects, &row.type_name);
        format!(" {counted} point at such memory{}.", place.unwrap_or_default())
    });
    Some(format!(
        "Most of the process, {} resident, is not in this heap but {what}: `heapsee reconcile` says more.{}",
        super::words::bytes(told.rss.unwrap_or_default()),
        pointing.unwrap_or_default()
    ))
}

/// Types that are known to point outside, or derive from such, and other types of C extensions that came with a
/// distribution.
fn outside(view: &View) -> Vec<Outside> {
    let meta = view.heap().meta();
    let distributions = meta.map(|meta| &meta.distributions);
    let is_extension = |name: &str| {
        outside::top_module(name).is_some_and(|top| distributions.is_some_and(|known| known.contains_key(top)))
    };
    let mut amounts = vec![Amount::default(); view.type_count() as usize];
    for node in view.objects() {
        amounts[view.type_id(node) as usize] += Amount { objects: 1, bytes: view.size(node) };
    }
    let derived = meta.map(|meta| outside::derived(view, meta)).unwrap_or_default();
    let found = amounts.into_iter().enumerate().filter(|(_, amount)| amount.objects > 0);
    let mut found: Vec<Outside> = found
        .filter_map(|(id, amount)| {
            let type_name = view.type_name(id as u32).to_owned();
            let holds = outside::of_type(&type_name).or_else(|| derived.get(&(id as u32)).copied());
            let is_one = holds.is_some() || is_extension(&type_name);
            is_one.then_some(Outside { type_name, amount, holds, path: None })
        })
        .collect();
    found.sort_by(|a, b| {
        let key = |row: &Outside| (row.holds.is_some(), row.amount.objects);
        key(b).cmp(&key(a)).then_with(|| a.type_name.cmp(&b.type_name))
    });
    found
}

/// Where most objects of each type hang.
fn find_places(view: &View, rows: &mut [Outside]) {
    if rows.is_empty() {
        return;
    }
    let whereabouts = Whereabouts::of(view);
    for row in rows {
        let Some(type_id) = view.type_by_name(&row.type_name) else { continue };
        let mut counts: HashMap<u32, u64> = HashMap::new();
        for node in view.objects().filter(|&node| view.type_id(node) == type_id) {
            *counts.entry(whereabouts.place(node)).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|&(place, count)| (count, std::cmp::Reverse(place)));
        row.path = most.map(|(place, _)| whereabouts.text(place));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MB: u64 = 1 << 20;

    fn verdict(rss: u64, anonymous: u64, file: u64, shared: u64, python: u64) -> Verdict {
        let figures =
            Figures { rss: rss * MB, anonymous: anonymous * MB, file: file * MB, shared: shared * MB, swap: 0 };
        judge(figures, python * MB).0
    }

    #[test]
    fn where_most_of_it_is() {
        assert_eq!(verdict(1000, 950, 50, 0, 800), Verdict::PythonHeap);
        assert_eq!(verdict(1000, 950, 50, 0, 100), Verdict::NotPython);
        assert_eq!(verdict(1000, 100, 900, 0, 50), Verdict::MappedFiles);
        assert_eq!(verdict(1000, 100, 100, 800, 50), Verdict::SharedMemory);
        assert_eq!(verdict(1000, 600, 400, 0, 300), Verdict::Mixed);
        assert_eq!(verdict(20, 12, 8, 0, 4), Verdict::Mixed);
    }

    proptest! {
        #[test]
        fn parts_add_up(rss in 0..1u64 << 40, a in 0..1u64 << 40, f in 0..1u64 << 40, s in 0..1u64 << 40, swap in 0..1u64 << 40, heap: u64, more in 0..1u64 << 40) {
            let figures = Figures { rss, anonymous: a, file: f, shared: s, swap };
            let heap = heap >> 20;
            let sum: i64 = parts(figures, heap, more).iter().map(|part| part.bytes).sum();
            prop_assert_eq!(sum, signed(rss));
            judge(figures, heap + more);
        }
    }
}
