//! What an object refers to: the truth, which is more than its `tp_traverse` visits.

use crate::cpython::inline_values::InlineValues;
use crate::cpython::{Object, TypeObject, dict, frame};

use super::types::{LineShape, TypeInfo};

/// Finds referents; keeps its working space between calls.
#[derive(Default)]
pub struct Referents<'h> {
    found: Vec<Object<'h>>,
    scratch: Vec<Object<'h>>,
}

impl<'h> Referents<'h> {
    /// What `object` refers to, in the order its line has it:
    /// * a dict: key, value, key, value, … (its traverse leaves out the keys when all are strings);
    /// * an instance of a subclass of dict: the same, then what its traverse visits beyond the dict's part (and beyond
    ///   the keys that an `OrderedDict` refers to once more, from the nodes of its order);
    /// * an instance with inline attributes: what its traverse visits, with name, value, name, value, … in place of
    ///   the values, or its `__dict__` if there is one;
    /// * a running frame: what its traverse visits, then what its call holds;
    /// * anything else: what its traverse visits, in its order, repeats kept;
    ///
    /// and the type of an instance of a heap type, where its traverse forgets it.
    pub fn of(
        &mut self,
        object: Object<'h>,
        info: &TypeInfo<'h>,
        inline: Option<&InlineValues<'h>>,
        is_running: bool,
    ) -> &[Object<'h>] {
        self.found.clear();
        match info.kind {
            LineShape::Dict => self.add_entries(object),
            LineShape::DictSubclass => self.add_dict_subclass(object, info.ty, inline),
            _ => {
                object.traverse(&mut self.found);
                self.name_inline_values(object, info.ty, inline, 0);
                if is_running && info.kind == LineShape::Frame {
                    frame::running_referents(object, &mut self.found);
                }
            }
        }
        if info.is_heap_type && !self.found.contains(&info.ty.object()) {
            self.found.push(info.ty.object());
        }
        &self.found
    }

    fn add_entries(&mut self, object: Object<'h>) {
        self.found.extend(dict::entries(object).flat_map(|(key, value)| [key, value]));
    }

    fn add_dict_subclass(&mut self, object: Object<'h>, ty: TypeObject<'h>, inline: Option<&InlineValues<'h>>) {
        self.add_entries(object);
        let rest = self.found.len();
        object.traverse(&mut self.found);
        self.scratch.clear();
        dict::traverse_as_dict(object, &mut self.scratch);
        // A traverse in C calls its base's last; those that Cython makes call it first.
        let at = if self.found[rest..].ends_with(&self.scratch) {
            Some(self.found.len() - self.scratch.len())
        } else {
            find_run(&self.found[rest..], &self.scratch).map(|at| rest + at)
        };
        if let Some(at) = at {
            self.found.drain(at..at + self.scratch.len());
        }
        if ty.derives_from_ordered_dict() {
            self.drop_node_keys(rest);
        }
        self.name_inline_values(object, ty, inline, rest);
    }

    /// Drops the keys that the nodes of an `OrderedDict` refer to, the last that its own traverse visits. Entries and
    /// nodes are as many, unless somebody has gone behind its back; then all stays as it was visited.
    fn drop_node_keys(&mut self, rest: usize) {
        let nodes = self.found.len().saturating_sub(rest / 2);
        self.scratch.clear();
        self.scratch.extend(self.found[..rest].iter().step_by(2));
        self.scratch.sort_unstable_by_key(|key| key.address());
        let is_key =
            |node: &Object<'h>| self.scratch.binary_search_by_key(&node.address(), |key| key.address()).is_ok();
        if nodes >= rest && self.found[nodes..].iter().all(is_key) {
            self.found.truncate(nodes);
        }
    }

    /// Puts names and values in place of what a traverse has visited for the attributes, looking from index `from` on; or
    /// the dict that has been made of them, which has both.
    ///
    /// They follow the slots; only a type with a traverse of its own, written in C, may visit them elsewhere.
    fn name_inline_values(
        &mut self,
        object: Object<'h>,
        ty: TypeObject<'h>,
        inline: Option<&InlineValues<'h>>,
        from: usize,
    ) {
        let Some(inline) = inline else { return };
        self.scratch.clear();
        self.scratch.extend(inline.as_traversed());
        let after_slots = from + ty.slots_in_use(object);
        let is_after_slots = self.found.get(after_slots..).is_some_and(|rest| rest.starts_with(&self.scratch));
        let elsewhere = || find_run(&self.found[from..], &self.scratch).map(|at| from + at);
        // A traverse that forgets the values gets them all the same, in front.
        let (start, end) = if is_after_slots { Some(after_slots) } else { elsewhere() }
            .map_or((from, from), |start| (start, start + self.scratch.len()));
        match inline.dict() {
            Some(dict) => drop(self.found.splice(start..end, [dict])),
            None => drop(self.found.splice(start..end, inline.pairs().flat_map(|(name, value)| [name, value]))),
        }
    }
}

/// Where `run` stands in `all`, if it does.
fn find_run<'h>(all: &[Object<'h>], run: &[Object<'h>]) -> Option<usize> {
    if run.is_empty() {
        return Some(0);
    }
    all.windows(run.len()).position(|window| window == run)
}
