//! What each thread holds through its stack and nobody else does, frame by frame; and what asyncio tasks and greenlets
//! keep.
//!
//! Threads and their stacks are the sidecar's. It does not say what a thread has made: only what would go if it ended.

mod claims;
mod request;

use fixedbitset::FixedBitSet;
use serde::Serialize;

use super::study::Study;
use crate::graph::Amount;
use crate::heap::{Value, View};
use crate::naming::type_of;
use claims::Claims;

/// The `schema` of this version.
pub const SCHEMA: &str = "heapsee.threads/1";

/// What is shown of each frame.
const PARTS: usize = 3;

/// All threads.
///
/// ```
/// # use std::sync::Arc;
/// use heapsee_heap::answers::study::Study;
/// use heapsee_heap::answers::threads::Threads;
/// use heapsee_heap::heap::{Heap, View};
///
/// // A list of two equal texts.
/// let heap = Heap::from_text(
///     r#"{"address": 16, "type": "list", "size": 64, "len": 2, "refs": [32, 48]}
///        {"address": 32, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}
///        {"address": 48, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}"#,
/// )?;
/// let view = View::new(Arc::new(heap));
/// // Only a sidecar says what threads there are.
/// let threads = Threads::of(&Study::of(&view), 10);
/// assert_eq!((threads.thread_count, threads.heap.objects), (0, 3));
/// # Ok::<(), heapsee_heap::heap::TextError>(())
/// ```
#[derive(Debug, Serialize)]
pub struct Threads {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// What roots reach, threads included.
    pub heap: Amount,
    /// What several threads hold together, and nothing else.
    pub several: Amount,
    /// Most bytes first.
    pub threads: Vec<ThreadRow>,
    /// How many there are.
    pub thread_count: usize,
    /// asyncio tasks and greenlets, those that keep most first.
    pub tasks: Vec<TaskRow>,
    /// How many there are.
    pub task_count: usize,
    /// What a reader should know, a sentence each.
    pub notes: Vec<String>,
}

/// One thread.
#[derive(Debug, Serialize)]
pub struct ThreadRow {
    /// `threading.get_ident()`.
    pub ident: u64,
    /// The kernel's thread id.
    pub native_id: Option<u64>,
    /// The request it works on, if a frame tells.
    pub request: Option<String>,
    /// What it alone holds.
    pub alone: Amount,
    /// Its stack, the innermost frame first.
    pub frames: Vec<FrameRow>,
}

/// One frame.
#[derive(Debug, Serialize)]
pub struct FrameRow {
    /// `co_name`.
    pub function: String,
    /// `co_filename`.
    pub file: String,
    /// Line number.
    pub line: Option<u32>,
    /// Of what the thread alone holds: what this frame holds and no frame that called it does.
    pub alone: Amount,
    /// What most of it hangs from.
    pub largest: Vec<Part>,
}

/// Something a frame refers to.
#[derive(Debug, Serialize)]
pub struct Part {
    /// Its address.
    pub address: u64,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What it brings.
    #[serde(flatten)]
    pub amount: Amount,
}

/// One task or greenlet.
#[derive(Debug, Serialize)]
pub struct TaskRow {
    /// Its address.
    pub address: u64,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The request it works on, if a variable of what it waits for tells.
    pub request: Option<String>,
    /// What would go with it.
    pub retained: Amount,
}

impl Threads {
    /// Of a view; with at most `limit` threads and as many tasks.
    pub fn of(study: &Study<'_>, limit: usize) -> Threads {
        let view = study.view;
        let of_meta = view.heap().meta().map(|meta| meta.threads.as_slice()).unwrap_or_default();
        let live = |address: u64| view.node_of(address).filter(|&node| view.is_live(node));
        let frames = |thread: &heapsee_format::meta::Thread| -> Vec<u32> {
            thread.frames.iter().filter_map(|frame| live(frame.address)).collect()
        };
        let stacks: Vec<Vec<u32>> = of_meta.iter().map(frames).collect();
        let claims = Claims::of(view, &stacks);
        let mut threads: Vec<ThreadRow> =
            of_meta.iter().enumerate().map(|(i, thread)| row(view, &claims, i as u32, thread)).collect();
        threads.sort_by_key(|row| (std::cmp::Reverse(row.alone.bytes), row.ident));
        let mut tasks = tasks(study);
        let (thread_count, task_count) = (threads.len(), tasks.len());
        threads.truncate(limit);
        tasks.truncate(limit);
        let mut notes = Vec::new();
        if of_meta.is_empty() {
            notes.push("there is no sidecar that tells of threads".to_owned());
        }
        if stacks.iter().map(Vec::len).sum::<usize>() < of_meta.iter().map(|thread| thread.frames.len()).sum() {
            notes.push("some frames of the sidecar are not in the dump: what they hold is not known".to_owned());
        }
        let heap = study.dominators.total();
        Threads { schema: SCHEMA, heap, several: claims.of_several(), threads, thread_count, tasks, task_count, notes }
    }
}

fn row(view: &View, claims: &Claims<'_>, index: u32, thread: &heapsee_format::meta::Thread) -> ThreadRow {
    let mut taken = FixedBitSet::with_capacity(view.node_bound() as usize);
    // What a function was given belongs to its caller, who has it, too: so the outermost frame comes first.
    let frame = |frame: &heapsee_format::meta::Frame| {
        let node = view.node_of(frame.address).filter(|&node| view.is_live(node));
        let (alone, parts) = node.map(|node| claims.take(node, &mut taken)).unwrap_or_default();
        let part = |&(node, amount): &(u32, Amount)| Part {
            address: view.address(node),
            type_name: type_of(view, node).to_owned(),
            amount,
        };
        let largest = parts.iter().take(PARTS).map(part).collect();
        FrameRow { function: frame.function.clone(), file: frame.file.clone(), line: frame.line, alone, largest }
    };
    let mut frames: Vec<FrameRow> = thread.frames.iter().rev().map(frame).collect();
    frames.reverse();
    let request = thread.frames.iter().find_map(|frame| {
        let mut locals = Vec::new();
        view.children(view.node_of(frame.address)?, |child| locals.push(child));
        request::among(view, &locals)
    });
    let (ident, native_id) = (thread.ident, thread.native_id);
    ThreadRow { ident, native_id, request, alone: claims.of_thread(index), frames }
}

/// Every task and greenlet.
fn tasks(study: &Study<'_>) -> Vec<TaskRow> {
    let (view, dominators) = (study.view, &study.dominators);
    let mut rows = Vec::new();
    for name in ["_asyncio.Task", "Task", "uvloop.Task", "greenlet.greenlet", "Greenlet"] {
        let Some(id) = view.type_by_name(name) else { continue };
        for &node in view.heap().objects_by_type().of_type(id).iter().filter(|&&node| dominators.is_reached(node)) {
            // Anybody may call a class Task; those of asyncio refer to a coroutine.
            if name == "Task" && !refers_to_coroutine(view, node) {
                continue;
            }
            rows.push(TaskRow {
                address: view.address(node),
                type_name: name.to_owned(),
                name: task_name(view, node),
                request: request::of_task(view, node),
                retained: dominators.retained(node),
            });
        }
    }
    rows.sort_by_key(|row: &TaskRow| (std::cmp::Reverse(row.retained.bytes), row.address));
    rows
}

fn refers_to_coroutine(view: &View, node: u32) -> bool {
    let mut found = false;
    view.children(node, |child| found |= type_of(view, child) == "coroutine");
    found
}

/// The only string a task refers to itself.
fn task_name(view: &View, node: u32) -> Option<String> {
    let mut found = None;
    view.children(node, |child| {
        if let ("str", Some(Value::Text(text))) =
            (type_of(view, child), view.is_live(child).then(|| view.value(child)).flatten())
        {
            found = Some(text.into_owned());
        }
    });
    found
}
