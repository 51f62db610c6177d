//! The summary of a dump: how much there is, of which types, and which process it was.
//!
//! The figures are those of meliae's `summarize`: objects as they were dumped, sizes shallow.

use heapsee_format::meta::Meta;
use serde::Serialize;

use crate::heap::Heap;

/// The `schema` of this version.
pub const SCHEMA: &str = "heapsee.summary/1";

/// By what the types are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Most objects first.
    Count,
    /// Most bytes first.
    Size,
}

/// The whole summary.
///
/// ```
/// use heapsee_heap::answers::summary::{Order, Summary};
/// use heapsee_heap::heap::Heap;
///
/// // A list of two equal texts.
/// let heap = Heap::from_text(
///     r#"{"address": 16, "type": "list", "size": 64, "len": 2, "refs": [32, 48]}
///        {"address": 32, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}
///        {"address": 48, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}"#,
/// )?;
/// let summary = Summary::of(&heap, Order::Size, Some(1));
/// assert_eq!((summary.totals.objects, summary.totals.bytes, summary.types.len()), (3, 2064, 1));
/// # Ok::<(), heapsee_heap::heap::TextError>(())
/// ```
#[derive(Debug, Serialize)]
pub struct Summary {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The dump, as it was named.
    pub dump: String,
    /// How much there is.
    pub totals: Totals,
    /// From the sidecar, if there is one.
    pub process: Option<Process>,
    /// By what `types` is sorted.
    pub order: Order,
    /// The first types in that order.
    pub types: Vec<TypeRow>,
    /// Lines skipped and the like, a sentence each.
    pub warnings: Vec<String>,
}

/// How much there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Objects.
    pub objects: u64,
    /// References, repeats counted.
    pub refs: u64,
    /// Those of them that lead to addresses without a line.
    pub dangling_refs: u64,
    /// Sum of all shallow sizes.
    pub bytes: u64,
    /// Types, told apart by name.
    pub types: u64,
    /// Lines that were skipped because they are no objects.
    pub broken_lines: u64,
    /// Lines that were left out because an earlier line has the same address.
    pub repeated_lines: u64,
}

/// One type.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TypeRow {
    /// Its name.
    #[serde(rename = "type")]
    pub name: String,
    /// Objects.
    pub count: u64,
    /// Their share of all objects.
    pub count_percent: f64,
    /// Sum of their shallow sizes.
    pub bytes: u64,
    /// Their share of all bytes.
    pub bytes_percent: f64,
    /// The share of this type and all before it: of the bytes or, if sorted by count, of the objects.
    pub cumulative_percent: f64,
    /// The size of the largest.
    pub max_bytes: u64,
    /// The address of the largest, the first one in the file if there are several.
    pub max_address: u64,
}

/// Which process it was, when and why.
#[derive(Debug, Serialize)]
pub struct Process {
    /// As it knew itself.
    pub pid: u32,
    /// Its command line.
    pub command_line: Vec<String>,
    /// gunicorn, uwsgi, …, where known.
    pub server: Option<String>,
    /// The machine.
    pub host: String,
    /// Version of Python.
    pub python: String,
    /// When the dump was asked for.
    pub requested_at: String,
    /// `signal` or `call`.
    pub reason: String,
    /// The signal.
    pub signal: Option<i32>,
    /// How the heap was held still.
    pub mode: String,
    /// How long the process was, in nanoseconds.
    pub pause_ns: u64,
    /// Resident memory at that moment.
    pub rss: u64,
}

impl Summary {
    /// Summarises a heap; `limit` types at most.
    pub fn of(heap: &Heap, order: Order, limit: Option<usize>) -> Summary {
        let source = heap.source();
        let totals = Totals {
            objects: u64::from(heap.len()),
            refs: u64::from(heap.edge_count()),
            dangling_refs: u64::from(heap.dangling_edge_count()),
            bytes: heap.total_size(),
            types: u64::from(heap.type_count()),
            broken_lines: source.broken_lines,
            repeated_lines: heap.repeated_lines(),
        };
        let mut types = count_types(heap);
        sort(&mut types, order);
        share(&mut types, &totals, order);
        types.truncate(limit.unwrap_or(usize::MAX));
        Summary {
            schema: SCHEMA,
            dump: source.path.display().to_string(),
            totals,
            process: heap.meta().map(process),
            order,
            types,
            warnings: source.warnings.clone(),
        }
    }
}

fn count_types(heap: &Heap) -> Vec<TypeRow> {
    let mut rows: Vec<TypeRow> = (0..heap.type_count())
        .map(|id| TypeRow {
            name: heap.type_name(id).to_owned(),
            count: 0,
            count_percent: 0.0,
            bytes: 0,
            bytes_percent: 0.0,
            cumulative_percent: 0.0,
            max_bytes: 0,
            max_address: 0,
        })
        .collect();
    for node in 0..heap.len() {
        let row = &mut rows[heap.type_id(node) as usize];
        let size = heap.size(node);
        if row.count == 0 || size > row.max_bytes {
            row.max_bytes = size;
            row.max_address = heap.address(node);
        }
        row.count += 1;
        row.bytes = row.bytes.saturating_add(size);
    }
    rows
}

/// As meliae does, with the name to settle what it leaves open.
fn sort(rows: &mut [TypeRow], order: Order) {
    rows.sort_by(|a, b| {
        let key = |row: &TypeRow| match order {
            Order::Size => (row.bytes, row.count),
            Order::Count => (row.count, row.bytes),
        };
        key(b).cmp(&key(a)).then_with(|| a.name.cmp(&b.name))
    });
}

fn share(rows: &mut [TypeRow], totals: &Totals, order: Order) {
    let mut sum = 0u64;
    for row in rows {
        let (part, whole) = match order {
            Order::Size => (row.bytes, totals.bytes),
            Order::Count => (row.count, totals.objects),
        };
        sum = sum.saturating_add(part);
        row.cumulative_percent = percent(sum, whole);
        row.count_percent = percent(row.count, totals.objects);
        row.bytes_percent = percent(row.bytes, totals.bytes);
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

fn process(meta: &Meta) -> Process {
    Process {
        pid: meta.process.pid,
        command_line: meta.process.command_line.clone(),
        server: meta.process.server.clone(),
        host: meta.host.hostname.clone(),
        python: meta.python.version.clone(),
        requested_at: meta.trigger.requested_at.clone(),
        reason: meta.trigger.reason.clone(),
        signal: meta.trigger.signal,
        mode: meta.snapshot.mode.clone(),
        pause_ns: meta.timings.pause_ns,
        rss: meta.memory.rss,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(order: Order, limit: Option<usize>) -> Summary {
        let heap = Heap::from_text(
            r#"{"address": 16, "type": "a", "size": 10, "refs": [32, 99]}
               {"address": 32, "type": "a", "size": 30, "refs": []}
               {"address": 48, "type": "b", "size": 60, "refs": []}
               {"address": 64, "type": "a", "size": 30, "refs": []}
               {"address": 48, "type": "c", "size": 60, "refs": [1, 2]}"#,
        );
        Summary::of(&heap.unwrap(), order, limit)
    }

    #[test]
    fn figures() {
        let summary = summary(Order::Size, None);
        let totals =
            Totals { objects: 4, refs: 2, dangling_refs: 1, bytes: 130, types: 2, broken_lines: 0, repeated_lines: 1 };
        assert_eq!(summary.totals, totals);
        let a = &summary.types[0];
        assert_eq!((a.name.as_str(), a.count, a.bytes, a.max_bytes, a.max_address), ("a", 3, 70, 30, 32));
        assert_eq!((a.count_percent, summary.types[1].cumulative_percent), (75.0, 100.0));
    }

    #[test]
    fn orders_and_limit() {
        let names =
            |order, limit| -> Vec<String> { summary(order, limit).types.into_iter().map(|row| row.name).collect() };
        assert_eq!(names(Order::Size, None), ["a", "b"]);
        assert_eq!(names(Order::Count, Some(1)), ["a"]);
    }

    #[test]
    fn nothing_is_divided_by_nothing() {
        let heap = Heap::from_text(r#"{"address": 16, "type": "a", "size": 0, "refs": []}"#).unwrap();
        let row = Summary::of(&heap, Order::Size, None).types.remove(0);
        assert_eq!((row.bytes_percent, row.cumulative_percent), (0.0, 0.0));
    }
}
