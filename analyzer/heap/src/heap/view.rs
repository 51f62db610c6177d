//! A heap plus what a session has changed: deletions, additions, rewritten cells, marks.
//!
//! One rule says which references there are, and everything goes by it: **an edge is there if it was not deleted
//! itself, its parent is there, and its child was not deleted**. (A child may dangle: the dump refers to it but has no
//! line of it.) So deleting an object takes along every reference from and to it, and no count goes stale. The edges
//! of the virtual root follow the same rule.
//!
//! An edge that is there *holds* its child, with one exception: the dict of interned strings does not hold a string that
//! somebody else holds (see [`Heap::interned`]). [`View::edges_from`] and [`View::edges_to`] tell which references there are;
//! [`View::children`] and [`View::parents`], by which all searches go, follow those that hold.
//!
//! A `View` without changes costs nothing. Cloning one is cheap too (what is big is shared until written to), which is
//! how a caller can undo.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use fixedbitset::FixedBitSet;

use super::{CellValue, Cells, Heap, Value};

/// In `marks`: not marked.
const UNMARKED: u32 = u32::MAX;

/// A reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Its id: below `heap().edge_count()` a reference of the dump, from there on an added one.
    pub id: u32,
    /// The node that refers.
    pub parent: u32,
    /// The node referred to.
    pub child: u32,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Objects.
    pub objects: u64,
    /// References, repeats counted, those of the virtual root not.
    pub refs: u64,
    /// References of the virtual root.
    pub roots: u64,
    /// Sum of the objects' shallow sizes.
    pub bytes: u64,
}

/// A heap and the changes of a session.
#[derive(Clone)]
pub struct View {
    heap: Arc<Heap>,
    pub(super) changes: Changes,
    counts: Counts,
    /// The dict of interned strings.
    interned: Option<u32>,
}

/// The changes alone: what a session has to keep.
#[derive(Clone, Default)]
pub(super) struct Changes {
    /// Deleted nodes. Empty (not only without ones) as long as nothing was deleted.
    pub deleted: Arc<FixedBitSet>,
    /// Deleted edges of the dump, likewise.
    pub cut: Arc<FixedBitSet>,
    /// Addresses of the nodes from `heap.node_count()` on.
    pub addresses: Vec<u64>,
    pub nodes: HashMap<u64, u32>,
    /// Rewritten and added objects.
    pub objects: BTreeMap<u32, (Cells, u32)>,
    /// Edges from `heap.edge_count()` on; `None` if deleted again.
    pub added: Vec<Option<(u32, u32)>>,
    pub added_from: HashMap<u32, Vec<u32>>,
    pub added_to: HashMap<u32, Vec<u32>>,
    /// Names of the types from `heap.type_count()` on.
    pub type_names: Vec<String>,
    /// Roots of the dump that were deleted, and nodes that were made roots.
    pub cut_roots: BTreeSet<u32>,
    pub added_roots: BTreeSet<u32>,
    /// By node; empty as long as nothing is marked. May be shorter than there are nodes.
    pub marks: Arc<Vec<u32>>,
}

impl View {
    /// A heap without changes.
    pub fn new(heap: Arc<Heap>) -> View {
        let counts = Counts {
            objects: u64::from(heap.len()),
            refs: u64::from(heap.edge_count()),
            roots: heap.roots().len() as u64,
            bytes: heap.total_size(),
        };
        let interned = heap.interned();
        View { heap, changes: Changes::default(), counts, interned }
    }

    pub(super) fn with_changes(heap: Arc<Heap>, changes: Changes) -> View {
        let interned = heap.interned();
        let mut view = View { heap, changes, counts: Counts::default(), interned };
        view.recount();
        view
    }

    /// The heap beneath.
    pub fn heap(&self) -> &Arc<Heap> {
        &self.heap
    }

    /// How much there is now.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    #[inline]
    fn edges_unchanged(&self) -> bool {
        let changes = &self.changes;
        changes.deleted.is_empty() && changes.cut.is_empty() && changes.added.is_empty()
    }

    // ---- nodes ----

    /// One above the highest node id; not all of these are live.
    pub fn node_bound(&self) -> u32 {
        self.heap.node_count() + self.changes.addresses.len() as u32
    }

    /// Whether the node is an object: has cells and was not deleted.
    #[inline]
    pub fn is_live(&self, node: u32) -> bool {
        (node < self.heap.len() || self.changes.objects.contains_key(&node)) && !self.is_deleted(node)
    }

    #[inline]
    fn is_deleted(&self, node: u32) -> bool {
        self.changes.deleted.contains(node as usize)
    }

    /// All objects in the order of their ids: file order, then added ones.
    pub fn objects(&self) -> impl Iterator<Item = u32> + '_ {
        let added = self.changes.objects.range(self.heap.len()..).map(|(&node, _)| node);
        (0..self.heap.len()).chain(added).filter(|&node| !self.is_deleted(node))
    }

    /// The objects whose cells are not those of the dump, deleted ones left out: rewritten and added ones.
    pub fn rewritten(&self) -> impl Iterator<Item = u32> + '_ {
        self.changes.objects.keys().copied().filter(|&node| !self.is_deleted(node))
    }

    /// The address of a node.
    pub fn address(&self, node: u32) -> u64 {
        match node.checked_sub(self.heap.node_count()) {
            Some(added) => self.changes.addresses[added as usize],
            None => self.heap.address(node),
        }
    }

    /// The node at an address, whether it is an object, dangles or was deleted.
    pub fn node_of(&self, address: u64) -> Option<u32> {
        self.heap.node_of(address).or_else(|| self.changes.nodes.get(&address).copied())
    }

    fn node_at(&mut self, address: u64) -> u32 {
        if let Some(node) = self.node_of(address) {
            return node;
        }
        let node = self.node_bound();
        self.changes.addresses.push(address);
        self.changes.nodes.insert(address, node);
        node
    }

    // ---- cells ----

    fn own_cells(&self, node: u32) -> Option<&(Cells, u32)> {
        if self.changes.objects.is_empty() { None } else { self.changes.objects.get(&node) }
    }

    /// The type of an object.
    pub fn type_id(&self, node: u32) -> u32 {
        self.own_cells(node).map_or_else(|| self.heap.type_id(node), |&(_, type_id)| type_id)
    }

    /// Number of types, those without objects included.
    pub fn type_count(&self) -> u32 {
        self.heap.type_count() + self.changes.type_names.len() as u32
    }

    /// The name of a type.
    pub fn type_name(&self, type_id: u32) -> &str {
        match type_id.checked_sub(self.heap.type_count()) {
            Some(added) => &self.changes.type_names[added as usize],
            None => self.heap.type_name(type_id),
        }
    }

    /// The type with this name.
    pub fn type_by_name(&self, name: &str) -> Option<u32> {
        self.heap.type_by_name(name).or_else(|| {
            let added = self.changes.type_names.iter().position(|known| known == name)?;
            Some(self.heap.type_count() + added as u32)
        })
    }

    /// Shallow size of an object in bytes.
    pub fn size(&self, node: u32) -> u64 {
        self.own_cells(node).map_or_else(|| self.heap.size(node), |(cells, _)| cells.size)
    }

    /// Characters or elements of an object.
    pub fn length(&self, node: u32) -> Option<u64> {
        self.own_cells(node).map_or_else(|| self.heap.length(node), |(cells, _)| cells.length)
    }

    /// The name of a module, function or type.
    pub fn name(&self, node: u32) -> Option<Cow<'_, str>> {
        match self.own_cells(node) {
            Some((cells, _)) => cells.name.as_deref().map(Cow::Borrowed),
            None => self.heap.name(node),
        }
    }

    /// What an object holds.
    pub fn value(&self, node: u32) -> Option<Value<'_>> {
        match self.own_cells(node) {
            Some((cells, _)) => cells.value.as_ref().map(CellValue::borrow),
            None => self.heap.value(node),
        }
    }

    /// All cells of an object.
    pub fn cells(&self, node: u32) -> Cells {
        Cells {
            type_name: self.type_name(self.type_id(node)).to_owned(),
            size: self.size(node),
            length: self.length(node),
            name: self.name(node).map(Cow::into_owned),
            value: self.value(node).map(CellValue::from),
        }
    }

    /// Rewrites the cells of an object; false if there is no such object.
    pub fn set_cells(&mut self, node: u32, cells: Cells) -> bool {
        if !self.is_live(node) {
            return false;
        }
        self.counts.bytes = self.counts.bytes.wrapping_sub(self.size(node)).wrapping_add(cells.size);
        self.put_cells(node, cells);
        true
    }

    fn put_cells(&mut self, node: u32, cells: Cells) {
        let type_id = self.type_by_name(&cells.type_name).unwrap_or_else(|| {
            self.changes.type_names.push(cells.type_name.clone());
            self.type_count() - 1
        });
        self.changes.objects.insert(node, (cells, type_id));
    }

    /// Adds an object and returns its node; `None` if there is an object at this address (or the address is 0, the
    /// virtual root's). References that dangled to the address now lead to it; those of an object deleted from there
    /// do not come back, nor does its mark.
    pub fn add_object(&mut self, address: u64, cells: Cells) -> Option<u32> {
        if address == 0 {
            return None;
        }
        let node = self.node_at(address);
        if self.is_live(node) {
            return None;
        }
        self.bury(node);
        if self.mark(node).is_some() {
            self.set_mark(node, None);
        }
        self.counts.objects += 1;
        self.counts.bytes = self.counts.bytes.wrapping_add(cells.size);
        self.put_cells(node, cells);
        Some(node)
    }

    /// Makes what touched a deleted node stay deleted when the node itself comes back.
    fn bury(&mut self, node: u32) {
        if !self.is_deleted(node) {
            return;
        }
        let heap = self.heap.clone();
        for edge in heap.edges(node).chain(heap.edges_into(node).iter().copied()) {
            self.cut_edge(edge);
        }
        let added = [self.changes.added_from.get(&node), self.changes.added_to.get(&node)];
        let added: Vec<u32> = added.into_iter().flatten().flatten().copied().collect();
        for edge in added {
            self.changes.added[(edge - heap.edge_count()) as usize] = None;
        }
        self.changes.added_roots.remove(&node);
        if self.is_heap_root(node) {
            self.changes.cut_roots.insert(node);
        }
        Arc::make_mut(&mut self.changes.deleted).set(node as usize, false);
    }

    /// Deletes an object and with it every reference from and to it; false if there is no such object.
    pub fn delete_object(&mut self, node: u32) -> bool {
        if !self.is_live(node) {
            return false;
        }
        let mut touching = 0;
        self.edges_from(node, |_| touching += 1);
        self.edges_to(node, |edge| touching += u64::from(edge.parent != node));
        self.counts.refs -= touching;
        self.forget(node);
        true
    }

    /// Deletes many objects at once. Ids that are no objects are passed over. Returns how many were deleted.
    pub fn delete_objects(&mut self, nodes: &FixedBitSet) -> u64 {
        let mut touching = 0;
        let doomed: Vec<u32> = nodes.ones().map(|node| node as u32).filter(|&node| self.is_live(node)).collect();
        for &node in &doomed {
            self.edges_from(node, |_| touching += 1);
            self.edges_to(node, |edge| touching += u64::from(!nodes.contains(edge.parent as usize)));
        }
        self.counts.refs -= touching;
        doomed.iter().for_each(|&node| self.forget(node));
        doomed.len() as u64
    }

    fn forget(&mut self, node: u32) {
        self.counts.objects -= 1;
        self.counts.bytes = self.counts.bytes.wrapping_sub(self.size(node));
        self.counts.roots -= u64::from(self.is_root(node));
        let bound = self.node_bound() as usize;
        let deleted = Arc::make_mut(&mut self.changes.deleted);
        deleted.grow(bound);
        deleted.insert(node as usize);
    }

    // ---- edges ----

    /// One above the highest edge id; not all of these are live.
    pub fn edge_bound(&self) -> u32 {
        self.heap.edge_count() + self.changes.added.len() as u32
    }

    /// The edge with this id, if it is there.
    pub fn edge(&self, id: u32) -> Option<Edge> {
        let (parent, child) = match id.checked_sub(self.heap.edge_count()) {
            Some(added) => (*self.changes.added.get(added as usize)?)?,
            None if self.changes.cut.contains(id as usize) => return None,
            None => (self.heap.edge_parent(id), self.heap.edge_child(id)),
        };
        (!self.is_deleted(parent) && !self.is_deleted(child)).then_some(Edge { id, parent, child })
    }

    /// Calls `f` with every edge from a node: those of the dump in file order, then the added ones.
    #[inline]
    pub fn edges_from(&self, node: u32, mut f: impl FnMut(Edge)) {
        if self.edges_unchanged() {
            for id in self.heap.edges(node) {
                f(Edge { id, parent: node, child: self.heap.edge_child(id) });
            }
            return;
        }
        if self.is_deleted(node) {
            return;
        }
        for id in self.heap.edges(node) {
            let child = self.heap.edge_child(id);
            if !self.changes.cut.contains(id as usize) && !self.is_deleted(child) {
                f(Edge { id, parent: node, child });
            }
        }
        let added = self.changes.added_from.get(&node).into_iter().flatten();
        added.filter_map(|&id| self.edge(id)).for_each(f);
    }

    /// Calls `f` with every edge to a node: those of the dump in file order, then the added ones.
    #[inline]
    pub fn edges_to(&self, node: u32, mut f: impl FnMut(Edge)) {
        if self.edges_unchanged() {
            for &id in self.heap.edges_into(node) {
                f(Edge { id, parent: self.heap.edge_parent(id), child: node });
            }
            return;
        }
        if self.is_deleted(node) {
            return;
        }
        for &id in self.heap.edges_into(node) {
            let parent = self.heap.edge_parent(id);
            if !self.changes.cut.contains(id as usize) && !self.is_deleted(parent) {
                f(Edge { id, parent, child: node });
            }
        }
        let added = self.changes.added_to.get(&node).into_iter().flatten();
        added.filter_map(|&id| self.edge(id)).for_each(f);
    }

    /// The interpreter's dict of interned strings, if it is in the dump.
    pub fn interned(&self) -> Option<u32> {
        self.interned
    }

    /// Whether a reference that is there keeps its child.
    #[inline]
    pub fn holds(&self, edge: Edge) -> bool {
        Some(edge.parent) != self.interned || !self.heap.is_held_beside_interned(edge.child)
    }

    /// Calls `f` with every node that this one holds, once a reference. Dangling ones are among them: see [`View::is_live`].
    #[inline]
    pub fn children(&self, node: u32, mut f: impl FnMut(u32)) {
        if Some(node) == self.interned {
            self.edges_from(node, |edge| _ = self.holds(edge).then(|| f(edge.child)));
        } else {
            self.edges_from(node, |edge| f(edge.child));
        }
    }

    /// Calls `f` with every node that holds this one, once a reference. The virtual root is not among them.
    #[inline]
    pub fn parents(&self, node: u32, mut f: impl FnMut(u32)) {
        self.edges_to(node, |edge| _ = self.holds(edge).then(|| f(edge.parent)));
    }

    /// Adds a reference and returns its id; `None` if there is no object at `parent` (for the virtual root there is
    /// [`View::add_root`]), or if an object was deleted at `child`.
    pub fn add_edge(&mut self, parent: u64, child: u64) -> Option<u32> {
        let parent = self.node_of(parent).filter(|&node| self.is_live(node))?;
        let child = self.node_at(child);
        if self.is_deleted(child) {
            return None;
        }
        let id = self.edge_bound();
        self.changes.added.push(Some((parent, child)));
        self.changes.added_from.entry(parent).or_default().push(id);
        self.changes.added_to.entry(child).or_default().push(id);
        self.counts.refs += 1;
        Some(id)
    }

    /// Deletes a reference; false if it is not there.
    pub fn delete_edge(&mut self, id: u32) -> bool {
        if self.edge(id).is_none() {
            return false;
        }
        self.cut_edge(id);
        self.counts.refs -= 1;
        true
    }

    fn cut_edge(&mut self, id: u32) {
        let base = self.heap.edge_count();
        match id.checked_sub(base) {
            Some(added) => self.changes.added[added as usize] = None,
            None => {
                let cut = Arc::make_mut(&mut self.changes.cut);
                cut.grow(base as usize);
                cut.insert(id as usize);
            }
        }
    }

    // ---- the virtual root ----

    fn is_heap_root(&self, node: u32) -> bool {
        self.heap.roots().binary_search_by_key(&node, |root| root.node).is_ok()
    }

    /// Whether the virtual root refers to this node.
    pub fn is_root(&self, node: u32) -> bool {
        !self.is_deleted(node)
            && (self.changes.added_roots.contains(&node)
                || (self.is_heap_root(node) && !self.changes.cut_roots.contains(&node)))
    }

    /// What the virtual root refers to: the dump's roots in file order, then the added ones.
    pub fn roots(&self) -> impl Iterator<Item = u32> + '_ {
        let own = self.heap.roots().iter().map(|root| root.node);
        let own = own.filter(|node| !self.changes.cut_roots.contains(node));
        own.chain(self.changes.added_roots.iter().copied()).filter(|&node| !self.is_deleted(node))
    }

    /// Lets the virtual root refer to an object; false if it does already or there is no such object.
    pub fn add_root(&mut self, node: u32) -> bool {
        if !self.is_live(node) || self.is_root(node) {
            return false;
        }
        if !self.changes.cut_roots.remove(&node) {
            self.changes.added_roots.insert(node);
        }
        self.counts.roots += 1;
        true
    }

    /// Deletes the virtual root's reference to an object; false if there is none.
    pub fn delete_root(&mut self, node: u32) -> bool {
        if !self.is_root(node) {
            return false;
        }
        if !self.changes.added_roots.remove(&node) {
            self.changes.cut_roots.insert(node);
        }
        self.counts.roots -= 1;
        true
    }

    // ---- marks ----

    /// The mark of an object: its depth below the virtual root, as `graph::gc` found it, or what a session has set.
    pub fn mark(&self, node: u32) -> Option<u32> {
        self.changes.marks.get(node as usize).copied().filter(|&mark| mark != UNMARKED)
    }

    /// Marks an object, or takes its mark away. Marks stay below `u32::MAX`.
    pub fn set_mark(&mut self, node: u32, mark: Option<u32>) {
        let marks = Arc::make_mut(&mut self.changes.marks);
        if marks.len() <= node as usize {
            marks.resize(node as usize + 1, UNMARKED);
        }
        marks[node as usize] = mark.unwrap_or(UNMARKED);
    }

    /// Replaces all marks: by node, `u32::MAX` for none.
    pub fn set_marks(&mut self, marks: Vec<u32>) {
        self.changes.marks = Arc::new(marks);
    }

    /// Counts anew, from the changes.
    fn recount(&mut self) {
        let mut counts = Counts { roots: self.roots().count() as u64, ..Counts::default() };
        for node in self.objects() {
            counts.objects += 1;
            counts.bytes = counts.bytes.wrapping_add(self.size(node));
            self.edges_from(node, |_| counts.refs += 1);
        }
        self.counts = counts;
    }
}
