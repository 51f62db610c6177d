//! What a walk found beside the lines: threads, roots, types, modules.

use std::collections::{BTreeMap, BTreeSet};

use heapsee_format::meta;

use super::emit::Walked;
use super::{Moment, Report};
use crate::cpython::interpreter::HeldThread;
use crate::cpython::{Object, StillHeap, TypeObject, dict};

/// Types are left out of the sidecar beyond about this many bytes, so that it stays below
/// [`meta::SIZE_LIMIT`] with all else it holds.
const TYPES_BUDGET: usize = meta::SIZE_LIMIT * 7 / 10;
/// What a type takes in the sidecar beside its names: keys, address, base.
const TYPE_OVERHEAD: usize = 80;

/// Puts the report together.
pub fn report(heap: &StillHeap, moment: &Moment, walked: Walked<'_>) -> Report {
    let (types, types_left_out) = types(&walked);
    Report {
        counts: walked.counts,
        threads: moment.threads.iter().map(|held| thread(heap, held)).collect(),
        roots: roots(heap, moment),
        types,
        types_left_out,
        modules: modules(heap, moment),
        skipped_types: walked.types.skipped(),
        skipped_objects: walked.skipped_objects,
    }
}

fn text(object: Option<Object<'_>>) -> String {
    object.and_then(Object::str_value).unwrap_or_default()
}

fn thread(heap: &StillHeap, held: &HeldThread) -> meta::Thread {
    let frames = held.frames(heap).map(|frame| {
        let code = frame.frame_code();
        meta::Frame {
            address: frame.address(),
            file: text(code.and_then(Object::code_filename)),
            line: frame.frame_line(),
            function: text(code.and_then(Object::code_name)),
        }
    });
    meta::Thread { ident: held.ident, native_id: held.native_id, frames: frames.collect() }
}

fn roots(heap: &StillHeap, moment: &Moment) -> Vec<meta::Root> {
    let dicts = moment
        .dicts
        .objects(heap)
        .map(|(label, object)| meta::Root { label: label.to_owned(), addresses: vec![object.address()] });
    let threads = moment.threads.iter().map(|held| meta::Root {
        label: format!("thread {}", held.ident),
        addresses: held.frames(heap).map(Object::address).collect(),
    });
    dicts.chain(threads).collect()
}

/// The types with most instances, as many as the budget allows; and how many were left out.
fn types(walked: &Walked<'_>) -> (BTreeMap<u64, meta::Type>, u64) {
    let mut by_instances = walked.type_objects.clone();
    by_instances.sort_by_key(|ty| std::cmp::Reverse(walked.types.instances(ty.object().address())));
    let mut room = TYPES_BUDGET;
    let mut types = BTreeMap::new();
    for ty in by_instances {
        let described = describe(ty);
        let slots: usize = described.slots.iter().map(|slot| slot.len() + 4).sum();
        let size = TYPE_OVERHEAD + described.module.len() + described.qualname.len() + slots;
        let Some(rest) = room.checked_sub(size) else { break };
        room = rest;
        types.insert(ty.object().address(), described);
    }
    let left_out = (walked.type_objects.len() - types.len()) as u64;
    (types, left_out)
}

fn describe(ty: TypeObject<'_>) -> meta::Type {
    meta::Type {
        module: ty.module(),
        qualname: ty.qualname(),
        base: ty.base().map(|base| base.object().address()),
        slots: ty.slots(),
    }
}

/// Names of the top-level modules in `sys.modules`.
fn modules(heap: &StillHeap, moment: &Moment) -> Vec<String> {
    let Some((_, modules)) = moment.dicts.objects(heap).find(|&(label, _)| label == "sys.modules") else {
        return Vec::new();
    };
    let names: BTreeSet<String> = dict::entries(modules)
        .filter_map(|(name, _)| name.str_value())
        .filter_map(|name| name.split('.').next().map(str::to_owned))
        .collect();
    names.into_iter().collect()
}
