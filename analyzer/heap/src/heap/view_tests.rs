//! A [`View`] against a model that is too simple to be wrong, under random changes; and what gc and path make of it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use fixedbitset::FixedBitSet;
use proptest::prelude::*;

use super::testing::{heap_of_edges, node_edges};
use super::*;
use crate::graph;

/// Objects by address with their sizes; references and roots as they are.
#[derive(Clone, Default)]
struct Model {
    objects: BTreeMap<u64, u64>,
    refs: Vec<(u64, u64)>,
    roots: BTreeSet<u64>,
    deleted: BTreeSet<u64>,
}

impl Model {
    fn of(heap: &Heap) -> Model {
        let mut model = Model::default();
        for node in 0..heap.len() {
            model.objects.insert(heap.address(node), heap.size(node));
            model.refs.extend(heap.referents(node).iter().map(|&child| (heap.address(node), heap.address(child))));
        }
        model.roots = heap.roots().iter().map(|root| heap.address(root.node)).collect();
        model
    }

    fn delete(&mut self, address: u64) {
        if self.objects.remove(&address).is_some() {
            self.refs.retain(|&(parent, child)| parent != address && child != address);
            self.roots.remove(&address);
            self.deleted.insert(address);
        }
    }

    fn add(&mut self, address: u64, size: u64) {
        if let Entry::Vacant(entry) = self.objects.entry(address) {
            entry.insert(size);
            self.deleted.remove(&address);
        }
    }

    /// Depth of everything the roots reach.
    fn marks(&self) -> BTreeMap<u64, u32> {
        let mut depths: BTreeMap<u64, u32> = self.roots.iter().map(|&root| (root, 0)).collect();
        // Relaxed until nothing changes: no queue that could have the faults of the one under test.
        loop {
            let before = depths.clone();
            for &(parent, child) in self.refs.iter().filter(|(_, child)| self.objects.contains_key(child)) {
                if let Some(&depth) = before.get(&parent) {
                    let known = depths.entry(child).or_insert(depth + 1);
                    *known = (*known).min(depth + 1);
                }
            }
            if depths == before {
                return depths;
            }
        }
    }

    /// Objects on a shortest path.
    fn distance(&self, from: u64, to: u64) -> Option<usize> {
        let mut queue = VecDeque::from([(from, 1)]);
        let mut seen = BTreeSet::from([from]);
        while let Some((at, length)) = queue.pop_front() {
            if at == to {
                return Some(length);
            }
            for &(_, child) in self.refs.iter().filter(|&&(parent, _)| parent == at) {
                if self.objects.contains_key(&child) && seen.insert(child) {
                    queue.push_back((child, length + 1));
                }
            }
        }
        None
    }
}

#[derive(Clone, Debug)]
enum Change {
    DeleteObject(u64),
    DeleteObjects(Vec<u64>),
    AddObject(u64, u64),
    Resize(u64, u64),
    DeleteRef(usize),
    AddRef(u64, u64),
    DeleteRoot(u64),
    AddRoot(u64),
    Gc,
    ExportImport,
}

fn change() -> impl Strategy<Value = Change> {
    // The heaps have at most ten objects, at 16, 32, …, and dangling addresses just behind them.
    let address = || (1u64..15).prop_map(|place| place * 16);
    prop_oneof![
        3 => address().prop_map(Change::DeleteObject),
        1 => prop::collection::vec(address(), 0..4).prop_map(Change::DeleteObjects),
        2 => (address(), 0u64..99).prop_map(|(address, size)| Change::AddObject(address, size)),
        1 => (address(), any::<u64>()).prop_map(|(address, size)| Change::Resize(address, size >> 8)),
        3 => any::<usize>().prop_map(Change::DeleteRef),
        3 => (address(), address()).prop_map(|(parent, child)| Change::AddRef(parent, child)),
        2 => address().prop_map(Change::DeleteRoot),
        2 => address().prop_map(Change::AddRoot),
        1 => Just(Change::Gc),
        1 => Just(Change::ExportImport),
    ]
}

fn cells(size: u64) -> Cells {
    let (name, value) = (Some("n\u{e9}".to_owned()), Some(CellValue::Int(-1)));
    Cells { type_name: format!("new{}", size % 2), size, length: Some(7), name, value }
}

fn live(view: &View, address: u64) -> Option<u32> {
    view.node_of(address).filter(|&node| view.is_live(node))
}

fn apply(view: &mut View, model: &mut Model, change: Change) {
    match change {
        Change::DeleteObject(address) => {
            let deleted = view.node_of(address).is_some_and(|node| view.delete_object(node));
            assert_eq!(deleted, model.objects.contains_key(&address));
            model.delete(address);
        }
        Change::DeleteObjects(addresses) => {
            let mut nodes = FixedBitSet::with_capacity(view.node_bound() as usize);
            addresses.iter().filter_map(|&address| view.node_of(address)).for_each(|node| nodes.insert(node as usize));
            let before = model.objects.len();
            addresses.iter().for_each(|&address| model.delete(address));
            assert_eq!(view.delete_objects(&nodes), (before - model.objects.len()) as u64);
        }
        Change::AddObject(address, size) => {
            let added = view.add_object(address, cells(size));
            assert_eq!(added.is_some(), !model.objects.contains_key(&address));
            model.add(address, size);
        }
        Change::Resize(address, size) => {
            if let Some(node) = live(view, address) {
                assert!(view.set_cells(node, cells(size)));
                assert_eq!(view.cells(node), cells(size));
                model.objects.insert(address, size);
            }
        }
        Change::DeleteRef(which) => {
            let edges: Vec<Edge> = (0..view.edge_bound()).filter_map(|id| view.edge(id)).collect();
            if let Some(edge) = (!edges.is_empty()).then(|| edges[which % edges.len()]) {
                assert!(view.delete_edge(edge.id) && !view.delete_edge(edge.id));
                let pair = (view.address(edge.parent), view.address(edge.child));
                let at = model.refs.iter().position(|&known| known == pair).unwrap();
                model.refs.remove(at);
            }
        }
        Change::AddRef(parent, child) => {
            let possible = model.objects.contains_key(&parent) && !model.deleted.contains(&child);
            assert_eq!(view.add_edge(parent, child).is_some(), possible);
            if possible {
                model.refs.push((parent, child));
            }
        }
        Change::DeleteRoot(address) => {
            let deleted = view.node_of(address).is_some_and(|node| view.delete_root(node));
            assert_eq!(deleted, model.roots.remove(&address));
        }
        Change::AddRoot(address) => {
            let added = view.node_of(address).is_some_and(|node| view.add_root(node));
            assert_eq!(added, model.objects.contains_key(&address) && model.roots.insert(address));
        }
        Change::Gc => {
            let gc = graph::gc(view, |_, _| {});
            view.set_marks(gc.marks);
            view.delete_objects(&gc.unmarked);
            let marks = model.marks();
            let unmarked: Vec<u64> =
                model.objects.keys().filter(|address| !marks.contains_key(address)).copied().collect();
            unmarked.into_iter().for_each(|address| model.delete(address));
            for (&address, &depth) in &marks {
                assert_eq!(live(view, address).and_then(|node| view.mark(node)), Some(depth));
            }
        }
        Change::ExportImport => *view = View::import(Arc::clone(view.heap()), &view.export().unwrap()).unwrap(),
    }
}

fn compare(view: &View, model: &Model) {
    let objects: BTreeMap<u64, u64> = view.objects().map(|node| (view.address(node), view.size(node))).collect();
    assert_eq!(objects, model.objects);
    let mut expected = model.refs.clone();
    expected.sort_unstable();
    let mut by_id: Vec<Edge> = (0..view.edge_bound()).filter_map(|id| view.edge(id)).collect();
    let (mut from, mut to) = (Vec::new(), Vec::new());
    for node in 0..view.node_bound() {
        view.edges_from(node, |edge| from.push(edge));
        view.edges_to(node, |edge| to.push(edge));
    }
    for edges in [&mut by_id, &mut from, &mut to] {
        edges.sort_unstable_by_key(|edge| edge.id);
        let mut pairs: Vec<(u64, u64)> =
            edges.iter().map(|edge| (view.address(edge.parent), view.address(edge.child))).collect();
        pairs.sort_unstable();
        assert_eq!(pairs, expected);
    }
    assert!(by_id == from && from == to);
    let roots: BTreeSet<u64> = view.roots().map(|node| view.address(node)).collect();
    assert_eq!(roots, model.roots);
    let counts = Counts {
        objects: model.objects.len() as u64,
        refs: model.refs.len() as u64,
        roots: model.roots.len() as u64,
        bytes: model.objects.values().sum(),
    };
    assert_eq!(view.counts(), counts);
}

fn compare_searches(view: &View, model: &Model) {
    let marks = model.marks();
    let gc = graph::gc(view, |_, _| {});
    for node in view.objects() {
        let mark = Some(gc.marks[node as usize]).filter(|&mark| mark != u32::MAX);
        assert_eq!(mark, marks.get(&view.address(node)).copied());
        assert_eq!(gc.unmarked.contains(node as usize), mark.is_none());
    }
    for (depth, &count) in gc.levels.iter().enumerate() {
        assert_eq!(count, marks.values().filter(|&&mark| mark as usize == depth).count() as u64);
    }
    let only = |node: u32| {
        let mut set = FixedBitSet::with_capacity(view.node_bound() as usize);
        set.insert(node as usize);
        set
    };
    for from in view.objects() {
        for to in view.objects() {
            let expected = model.distance(view.address(from), view.address(to));
            let forward = graph::path(view, &only(from), &only(to), false, |_| {});
            let backward = graph::path(view, &only(to), &only(from), true, |_| {});
            for path in [forward, backward.map(|path| path.into_iter().rev().collect())] {
                assert_eq!(path.as_ref().map(Vec::len), expected);
                let path = path.unwrap_or_default();
                for step in path.windows(2) {
                    assert!(model.refs.contains(&(view.address(step[0]), view.address(step[1]))));
                }
                assert!(path.first().is_none_or(|&first| first == from) && path.last().is_none_or(|&last| last == to));
            }
        }
    }
}

proptest! {
    #[test]
    fn a_view_does_as_the_model_does(
        (nodes, edges) in node_edges(11),
        changes in prop::collection::vec(change(), 0..25),
    ) {
        let heap = Arc::new(heap_of_edges(nodes, &edges));
        let mut model = Model::of(&heap);
        let mut view = View::new(heap);
        compare(&view, &model);
        for change in changes {
            let undo = (view.clone(), model.clone());
            apply(&mut view, &mut model, change);
            compare(&view, &model);
            compare(&undo.0, &undo.1);
        }
        compare_searches(&view, &model);
    }

    #[test]
    fn gc_of_an_untouched_heap_deletes_nothing((nodes, edges) in node_edges(11)) {
        let view = View::new(Arc::new(heap_of_edges(nodes, &edges)));
        let gc = graph::gc(&view, |_, _| {});
        prop_assert!(gc.unmarked.is_clear());
    }

    #[test]
    fn damaged_changes_are_refused_and_do_no_harm(
        (nodes, edges) in node_edges(8),
        changes in prop::collection::vec(change(), 0..10),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let heap = Arc::new(heap_of_edges(nodes, &edges));
        let (mut view, mut model) = (View::new(Arc::clone(&heap)), Model::of(&heap));
        changes.into_iter().for_each(|change| apply(&mut view, &mut model, change));
        let bytes = view.export().unwrap();
        let cut_off = View::import(Arc::clone(&heap), &bytes[..at.index(bytes.len())]);
        prop_assert!(cut_off.is_err());
        // Damage inside, where no checksum of the compression sees it.
        let mut inside = zstd::stream::decode_all(&bytes[8..]).unwrap();
        let at = at.index(inside.len());
        inside[at] = byte;
        let mut damaged = bytes[..8].to_vec();
        zstd::stream::copy_encode(inside.as_slice(), &mut damaged, 1).unwrap();
        if let Ok(view) = View::import(heap, &damaged) {
            graph::gc(&view, |_, _| {});
        }
    }
}

#[test]
fn changes_of_another_dump_are_refused() {
    let bytes = View::new(Arc::new(heap_of_edges(3, &[(0, 1)]))).export().unwrap();
    let other = Arc::new(heap_of_edges(4, &[(0, 1)]));
    assert!(matches!(View::import(other, &bytes), Err(ImportError::OtherDump { .. })));
    assert!(matches!(View::import(Arc::new(heap_of_edges(1, &[])), b"memsee"), Err(ImportError::Version)));
}

#[test]
fn a_path_takes_the_first_in_file_order() {
    // Two ways of the same length from 0 to 3.
    let view = View::new(Arc::new(heap_of_edges(4, &[(0, 2), (0, 1), (1, 3), (2, 3)])));
    let set = |node: usize| {
        let mut set = FixedBitSet::with_capacity(4);
        set.insert(node);
        set
    };
    let mut levels = Vec::new();
    let path = graph::path(&view, &set(0), &set(3), false, |met| levels.push(met));
    assert_eq!((path, levels), (Some(vec![0, 2, 3]), vec![2, 1]));
    assert_eq!(graph::path(&view, &set(3), &set(0), false, |_| {}), None);
    assert_eq!(graph::path(&view, &set(2), &set(2), false, |_| {}), Some(vec![2]));
}
