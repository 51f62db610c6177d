//! What is loaded twice, in words.

use serde::Serialize;

use super::study::Study;
use crate::graph::Amount;
use crate::naming::Expression;
use crate::twins::{self, Alike};

/// The `schema` of this version.
pub const SCHEMA: &str = "heapsee.twins/1";

/// Below this, nobody need look; nor below one in so many bytes of the heap.
const LEAST_BYTES: u64 = 10_000;
const LEAST_SHARE: u64 = 100;
/// More members of one group are counted, not listed.
const MOST_MEMBERS: usize = 10;

/// Everything that is there more than once.
///
/// ```
/// # use std::sync::Arc;
/// use heapsee_heap::answers::study::Study;
/// use heapsee_heap::answers::twins::Twins;
/// use heapsee_heap::heap::{Heap, View};
///
/// // A list of two equal texts.
/// let heap = Heap::from_text(
///     r#"{"address": 16, "type": "list", "size": 64, "len": 2, "refs": [32, 48]}
///        {"address": 32, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}
///        {"address": 48, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}"#,
/// )?;
/// let view = View::new(Arc::new(heap));
/// // Nothing here is large enough to be looked at.
/// let twins = Twins::of(&Study::of(&view), None, 10);
/// assert_eq!((twins.group_count, twins.heap.objects), (0, 3));
/// # Ok::<(), heapsee_heap::heap::TextError>(())
/// ```
#[derive(Debug, Serialize)]
pub struct Twins {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// What roots reach.
    pub heap: Amount,
    /// Twins with fewer bytes to spare were not looked for.
    pub least_bytes: u64,
    /// Most bytes to spare first.
    pub groups: Vec<Group>,
    /// How many groups there are.
    pub group_count: usize,
}

/// Parts that are alike.
#[derive(Debug, Serialize)]
pub struct Group {
    /// The type of what owns each.
    #[serde(rename = "type")]
    pub type_name: String,
    /// How many.
    pub count: usize,
    /// Whether they are equal, as far as the dump tells.
    pub equal: bool,
    /// How alike they are, if they are not equal.
    pub alike: Option<Alike>,
    /// What all but the largest keep: what having one would save.
    pub spare: Amount,
    /// The largest of them.
    pub members: Vec<Member>,
}

/// One of them.
#[derive(Debug, Serialize)]
pub struct Member {
    /// The owner's address.
    pub address: u64,
    /// Where it hangs, as a Python expression where there is one.
    pub path: Expression,
    /// What would go with it.
    pub retained: Amount,
}

impl Twins {
    /// Of a view; at most `limit` groups, each with at least `least_bytes` to spare (by default a hundredth of the heap).
    pub fn of(study: &Study<'_>, least_bytes: Option<u64>, limit: usize) -> Twins {
        let heap = study.dominators.total();
        let least_bytes = least_bytes.unwrap_or((heap.bytes / LEAST_SHARE).max(LEAST_BYTES));
        let found = twins::find(&study.kinds, &study.dominators, least_bytes.max(1));
        let groups = found.iter().take(limit).map(|twins| group(study, twins)).collect();
        Twins { schema: SCHEMA, heap, least_bytes, groups, group_count: found.len() }
    }
}

fn group(study: &Study<'_>, twins: &twins::Twins) -> Group {
    let view = study.view;
    let member = |&node: &u32| Member {
        address: view.address(node),
        path: study.path(node),
        retained: study.dominators.retained(node),
    };
    Group {
        type_name: view.type_name(view.type_id(twins.members[0])).to_owned(),
        count: twins.members.len(),
        equal: twins.alike.is_none(),
        alike: twins.alike,
        spare: twins.spare,
        members: twins.members.iter().take(MOST_MEMBERS).map(member).collect(),
    }
}
