//! Which objects of two dumps are the same object.
//!
//! An object keeps its address and its type as long as it lives. What cannot change must have stayed as it was, too: the
//! value and length of a string, the name of a class. In another process of the same service nothing but copies of what
//! the parent had before it forked has the same address, type, size and content. An address that was freed and taken
//! again by an object of the same type and content looks as if the object had stayed.

use serde::Serialize;

use crate::graph::Amount;
use crate::heap::View;
use crate::naming::type_of;

/// What two dumps are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// Of one process, at different times.
    SameProcess,
    /// Of processes that share their parent, or one is the other's.
    SameService,
    /// Of processes that have nothing to do with each other.
    OtherProcess,
    /// No sidecar tells, but most addresses agree.
    ProbablySameProcess,
}

/// By node of one dump: the node of the other that is the same object.
pub struct Matching {
    /// How the dumps are related.
    pub relation: Relation,
    others: Vec<Option<u32>>,
}

impl Matching {
    /// Of every object of `later` with one of `earlier`.
    pub fn of(earlier: &View, later: &View) -> Matching {
        let strict = |relation| Matching { relation, others: others(earlier, later, true) };
        match relation(earlier, later) {
            Some(Relation::SameProcess) => {
                Matching { relation: Relation::SameProcess, others: others(earlier, later, false) }
            }
            Some(relation) => strict(relation),
            None => {
                let found = strict(Relation::OtherProcess);
                let matched = found.others.iter().flatten().count() as u64;
                if matched * 2 < earlier.counts().objects.min(later.counts().objects) {
                    return found;
                }
                Matching { relation: Relation::ProbablySameProcess, others: others(earlier, later, false) }
            }
        }
    }

    /// The object of the earlier dump that this one of the later is.
    pub fn earlier(&self, node: u32) -> Option<u32> {
        self.others.get(node as usize).copied().flatten()
    }

    /// What there is in both: of the later dump.
    pub fn common(&self, later: &View) -> Amount {
        let mut amount = Amount::default();
        for node in later.objects().filter(|&node| self.earlier(node).is_some()) {
            amount += Amount { objects: 1, bytes: later.size(node) };
        }
        amount
    }

    /// What there is in the earlier dump only.
    pub fn gone(&self, earlier: &View) -> Amount {
        let mut kept = vec![false; earlier.node_bound() as usize];
        self.others.iter().flatten().for_each(|&node| kept[node as usize] = true);
        let mut amount = Amount::default();
        for node in earlier.objects().filter(|&node| !kept[node as usize]) {
            amount += Amount { objects: 1, bytes: earlier.size(node) };
        }
        amount
    }
}

/// As the sidecars tell.
fn relation(earlier: &View, later: &View) -> Option<Relation> {
    let (a, b) = (earlier.heap().meta()?, later.heap().meta()?);
    let (one, two) = (&a.process, &b.process);
    if one.pid == 0 || two.pid == 0 {
        return None;
    }
    let same_host = a.host.hostname == b.host.hostname;
    let related = [one.pid, one.parent_pid].contains(&two.parent_pid) || one.parent_pid == two.pid;
    Some(match same_host {
        true if (one.pid, one.start_time_ticks) == (two.pid, two.start_time_ticks) => Relation::SameProcess,
        true if related => Relation::SameService,
        _ => Relation::OtherProcess,
    })
}

fn others(earlier: &View, later: &View, strict: bool) -> Vec<Option<u32>> {
    let same_type: Vec<Option<u32>> =
        (0..later.type_count()).map(|id| earlier.type_by_name(later.type_name(id))).collect();
    let mut others = vec![None; later.node_bound() as usize];
    for node in later.objects() {
        let Some(other) = earlier.node_of(later.address(node)).filter(|&other| earlier.is_live(other)) else {
            continue;
        };
        let type_agrees = same_type[later.type_id(node) as usize] == Some(earlier.type_id(other));
        if type_agrees && content_agrees(earlier, other, later, node, strict) {
            others[node as usize] = Some(other);
        }
    }
    others
}

fn content_agrees(earlier: &View, other: u32, later: &View, node: u32, strict: bool) -> bool {
    let immutable = matches!(
        type_of(later, node),
        "str"
            | "bytes"
            | "int"
            | "float"
            | "tuple"
            | "frozenset"
            | "frozendict"
            | "bool"
            | "function"
            | "module"
            | "type"
            | "code"
    );
    if !strict && !immutable {
        return true;
    }
    (!strict || later.size(node) == earlier.size(other))
        && later.length(node) == earlier.length(other)
        && later.name(node) == earlier.name(other)
        && later.value(node) == earlier.value(other)
}
