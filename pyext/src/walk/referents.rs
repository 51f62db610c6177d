//! What an object refers to: the truth, which is more than its `tp_traverse` visits.

use crate::cpython::inline_values::InlineValues;
use crate::cpython::{Object, dict, frame};

use super::types::{Kind, TypeInfo};

/// Finds referents; keeps its working space between calls.
#[derive(Default)]
pub struct Referents<'h> {
    found: Vec<Object<'h>>,
    scratch: Vec<Object<'h>>,
}

impl<'h> Referents<'h> {
    /// What `object` refers to, in the order its line has it:
    /// * a dict: key, value, key, value, … (its traverse leaves out the keys when all are strings);
    /// * an instance of a subclass of dict: the same, then what its traverse visits beyond the dict's part;
    /// * an instance with inline attributes: what its traverse visits, with name, value, name, value, … in place of
    ///   the values;
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
            Kind::Dict => self.add_entries(object),
            Kind::DictSubclass => self.add_dict_subclass(object, inline),
            _ => {
                object.traverse(&mut self.found);
                self.name_inline_values(inline, 0);
                if is_running && info.kind == Kind::Frame {
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

    fn add_dict_subclass(&mut self, object: Object<'h>, inline: Option<&InlineValues<'h>>) {
        self.add_entries(object);
        let rest = self.found.len();
        object.traverse(&mut self.found);
        self.scratch.clear();
        dict::traverse_as_dict(object, &mut self.scratch);
        if let Some(at) = find_run(&self.found[rest..], &self.scratch) {
            self.found.drain(rest + at..rest + at + self.scratch.len());
        }
        self.name_inline_values(inline, rest);
    }

    /// Puts names and values in place of the values that a traverse has visited, looking from index `from` on.
    fn name_inline_values(&mut self, inline: Option<&InlineValues<'h>>, from: usize) {
        let Some(inline) = inline else { return };
        self.scratch.clear();
        self.scratch.extend(inline.in_traverse_order());
        // A traverse that forgets the values gets them all the same, in front.
        let (start, end) = find_run(&self.found[from..], &self.scratch)
            .map_or((from, from), |at| (from + at, from + at + self.scratch.len()));
        self.found.splice(start..end, inline.pairs().flat_map(|(name, value)| [name, value]));
    }
}

/// Where `run` stands in `all`, if it does.
fn find_run<'h>(all: &[Object<'h>], run: &[Object<'h>]) -> Option<usize> {
    if run.is_empty() {
        return Some(0);
    }
    all.windows(run.len()).position(|window| window == run)
}
