//! Small heaps in which something piles up, or nothing.

use std::fmt::Write;
use std::sync::Arc;

use super::{Finding, Kinds, SuspectKind, find};
use crate::graph::Dominators;
use crate::heap::{Heap, View};

/// The place, its shape, what piles up there and how many, and who holds the same.
type Found = (u64, SuspectKind, Option<(String, u64)>, Vec<u64>);

/// A heap in the making. Object 1 is a module with its dict, 2; whatever is to be found is an attribute.
#[derive(Default)]
struct Sketch {
    lines: String,
    attributes: Vec<u64>,
}

impl Sketch {
    fn object(&mut self, address: u64, kind: &str, size: u64, refs: &[u64]) {
        let len = match kind {
            "dict" => format!("\"len\": {}, ", refs.len() / 2),
            "list" | "tuple" => format!("\"len\": {}, ", refs.len()),
            _ => String::new(),
        };
        writeln!(
            self.lines,
            "{{\"address\": {address}, \"type\": \"{kind}\", \"size\": {size}, {len}\"refs\": {refs:?}}}"
        )
        .unwrap();
    }

    fn text(&mut self, address: u64, value: &str) {
        let length = value.len();
        writeln!(
            self.lines,
            "{{\"address\": {address}, \"type\": \"str\", \"size\": 60, \"len\": {length}, \"value\": \"{value}\", \"refs\": []}}"
        )
        .unwrap();
    }

    fn found(mut self, threshold: u64) -> Vec<Found> {
        let mut refs = Vec::new();
        for (i, &attribute) in self.attributes.clone().iter().enumerate() {
            let name = 100 + i as u64;
            self.object(name, "str", 50, &[]);
            refs.extend([name, attribute]);
        }
        self.object(1, "module", 64, &[2]);
        self.object(2, "dict", 232, &refs);
        let view = View::new(Arc::new(Heap::from_text(&self.lines).unwrap()));
        let kinds = Kinds::of(&view);
        let found = find(&kinds, &Dominators::of(&view), threshold).into_iter();
        let told = |suspect: Finding| {
            let members = suspect.contents.members;
            let members = members.map(|group| (view.type_name(group.type_id).to_owned(), group.count));
            let also = suspect.also.iter().map(|&node| view.address(node)).collect();
            (view.address(suspect.node), suspect.kind, members, also)
        };
        found.map(told).collect()
    }
}

fn members(heap: &mut Sketch, from: u64, count: u64, kind: &str) -> Vec<u64> {
    let all: Vec<u64> = (from..from + count).collect();
    all.iter().for_each(|&member| heap.object(member, kind, 1000, &[]));
    all
}

#[test]
fn a_list_that_grows() {
    let mut heap = Sketch { attributes: vec![3, 4], ..Sketch::default() };
    let all = members(&mut heap, 1000, 50, "Session");
    heap.object(3, "list", 500, &all);
    heap.object(4, "list", 500, &[]);
    assert_eq!(heap.found(40_000), [(3, SuspectKind::Container, Some(("Session".to_owned(), 50)), vec![])]);
}

#[test]
fn attributes_of_a_module_and_few_objects_are_nothing() {
    let mut heap = Sketch::default();
    heap.attributes = members(&mut heap, 1000, 50, "Session");
    assert_eq!(heap.found(40_000), [], "each is small, and the dict of a module is no container");
    let mut heap = Sketch { attributes: vec![3], ..Sketch::default() };
    let all = members(&mut heap, 1000, 50, "Session");
    heap.object(3, "list", 500, &all);
    assert_eq!(heap.found(51_000), [], "not enough");
}

#[test]
fn entries_that_a_dict_and_a_list_hold_are_one_suspect() {
    let mut heap = Sketch { attributes: vec![3, 4], ..Sketch::default() };
    let all = members(&mut heap, 1000, 50, "Entry");
    let pairs: Vec<u64> = all.iter().flat_map(|&entry| [100, entry]).collect();
    heap.object(3, "dict", 500, &pairs);
    heap.object(4, "list", 500, &all);
    assert_eq!(heap.found(40_000), [(3, SuspectKind::Shared, Some(("Entry".to_owned(), 50)), vec![4])]);
}

/// A container that has each of the objects in something of its own.
fn wrapped(heap: &mut Sketch, container: u64, from: u64, objects: &[u64]) {
    let wrappers: Vec<u64> = (from..).take(objects.len()).collect();
    wrappers.iter().zip(objects).for_each(|(&wrapper, &object)| heap.object(wrapper, "Wrapper", 10, &[object]));
    heap.object(container, "list", 500, &wrappers);
    heap.attributes.push(container);
}

fn entries(count: u64) -> Option<(String, u64)> {
    Some(("Entry".to_owned(), count))
}

#[test]
fn what_two_or_three_containers_hold_by_way_of_others_is_one_suspect() {
    for holders in [2, 3] {
        let mut heap = Sketch::default();
        let all = members(&mut heap, 1000, 50, "Entry");
        (0..holders).for_each(|holder| wrapped(&mut heap, 3 + holder, 2000 + 100 * holder, &all));
        let also = (4..3 + holders).collect();
        assert_eq!(heap.found(40_000), [(3, SuspectKind::Shared, entries(50), also)]);
    }
}

#[test]
fn what_is_in_use_all_over_the_program_is_no_suspect() {
    let mut heap = Sketch::default();
    let all = members(&mut heap, 1000, 50, "Entry");
    (0..5).for_each(|holder| wrapped(&mut heap, 3 + holder, 2000 + 100 * holder, &all));
    assert_eq!(heap.found(40_000), []);
}

#[test]
fn objects_that_refer_to_each_other_are_held_by_whoever_leads_to_one_of_them() {
    let mut heap = Sketch::default();
    // Orders know their user, and users their orders: one container has the users, another the orders.
    let pairs: Vec<(u64, u64)> = (0..40).map(|pair| (1000 + pair, 1500 + pair)).collect();
    for &(user, order) in &pairs {
        heap.object(user, "User", 100, &[order]);
        heap.object(order, "Entry", 1000, &[user]);
    }
    let (users, orders): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
    wrapped(&mut heap, 3, 2000, &users);
    wrapped(&mut heap, 4, 3000, &orders);
    assert_eq!(heap.found(40_000), [(3, SuspectKind::Shared, entries(40), vec![4])]);
}

#[test]
fn a_container_that_keeps_far_more_by_itself_is_told_of_as_it_is() {
    let mut heap = Sketch::default();
    let all = members(&mut heap, 1000, 50, "Entry");
    wrapped(&mut heap, 3, 2000, &all);
    let own = members(&mut heap, 4000, 200, "Session");
    let wrappers: Vec<u64> = (5000..5050).collect();
    wrappers.iter().zip(&all).for_each(|(&wrapper, &entry)| heap.object(wrapper, "Wrapper", 10, &[entry]));
    heap.object(4, "list", 500, &[own, wrappers].concat());
    heap.attributes.push(4);
    assert_eq!(heap.found(40_000), [(4, SuspectKind::Container, Some(("Session".to_owned(), 200)), vec![])]);
}

#[test]
fn what_is_much_of_a_pile_is_a_place_of_its_own() {
    let mut heap = Sketch::default();
    let mut all = members(&mut heap, 1000, 50, "Entry");
    let sessions = members(&mut heap, 4000, 45, "Session");
    heap.object(5000, "list", 500, &sessions);
    all.push(5000);
    wrapped(&mut heap, 3, 2000, &all);
    wrapped(&mut heap, 4, 3000, &all);
    let own = (5000, SuspectKind::Container, Some(("Session".to_owned(), 45)), vec![]);
    assert_eq!(heap.found(40_000), [(3, SuspectKind::Shared, entries(50), vec![4]), own]);
}

#[test]
fn what_is_in_a_pile_is_not_told_of_again() {
    let mut heap = Sketch::default();
    let all: Vec<u64> = (5000..5040).collect();
    for &list in &all {
        let sessions = members(&mut heap, 100_000 + 100 * (list - 5000), 40, "Session");
        heap.object(list, "list", 500, &sessions);
    }
    wrapped(&mut heap, 3, 2000, &all);
    wrapped(&mut heap, 4, 3000, &all);
    assert_eq!(heap.found(40_000), [(3, SuspectKind::Shared, Some(("list".to_owned(), 40)), vec![4])]);
}

#[test]
fn keys_are_not_what_piles_up_unless_they_keep_more() {
    for (size, piled) in [(100, "Entry"), (3000, "Key")] {
        let mut heap = Sketch { attributes: vec![3], ..Sketch::default() };
        let entries = members(&mut heap, 1000, 50, "Entry");
        let keys: Vec<u64> = (2000..2050).collect();
        keys.iter().for_each(|&key| heap.object(key, "Key", size, &[]));
        let pairs: Vec<u64> = keys.iter().zip(&entries).flat_map(|(&key, &entry)| [key, entry]).collect();
        heap.object(3, "dict", 500, &pairs);
        assert_eq!(heap.found(40_000), [(3, SuspectKind::Container, Some((piled.to_owned(), 50)), vec![])]);
    }
}

#[test]
fn threads_in_the_same_function_are_one_suspect() {
    let frame = |address| heapsee_format::meta::Frame {
        address,
        file: "/srv/app/pool.py".into(),
        line: Some(9),
        function: "work".into(),
    };
    for (threads, sizes, expect) in [(40, 1000, true), (40, 1, false), (20, 9000, false)] {
        let mut heap = Sketch::default();
        let mut meta = heapsee_format::meta::Meta::default();
        for thread in 0..threads {
            let at = 1000 + 10 * thread;
            heap.object(at, "frame", 100, &[at + 1]);
            heap.object(at + 1, "Job", sizes, &[]);
            let found = heapsee_format::meta::Thread { ident: thread, frames: vec![frame(at)], ..Default::default() };
            meta.threads.push(found);
        }
        let view = View::new(Arc::new(Heap::from_text_with_meta(&heap.lines, Some(meta)).unwrap()));
        let kinds = Kinds::of(&view);
        let found = find(&kinds, &Dominators::of(&view), 20_000);
        let told: Vec<_> = found
            .iter()
            .map(|suspect| (&suspect.kind, suspect.amount.bytes, suspect.contents.inner.as_ref().map(|i| i.count)))
            .collect();
        assert_eq!(
            told,
            if expect { vec![(&SuspectKind::Threads, 44_000, Some(40))] } else { vec![] },
            "{threads} {sizes}"
        );
    }
}

#[test]
fn a_chain_and_one_big_object() {
    let mut heap = Sketch { attributes: vec![1000, 5], ..Sketch::default() };
    for link in (1000..1200).step_by(2) {
        heap.object(link, "System", 300, &[link + 1]);
        let next: &[u64] = if link == 1198 { &[] } else { &[link + 2] };
        heap.object(link + 1, "Combined", 200, next);
    }
    heap.object(5, "bytes", 45_000, &[]);
    let found = heap.found(40_000);
    assert_eq!(found[1].1, SuspectKind::Object);
    let shapes: Vec<(u64, bool, u64)> = found
        .iter()
        .map(|(address, shape, members, _)| {
            (
                *address,
                matches!(shape, SuspectKind::Chain { links, .. } if *links == 100),
                members.as_ref().map_or(0, |m| m.1),
            )
        })
        .collect();
    assert_eq!(shapes, [(1000, true, 100), (5, false, 0)]);
}

#[test]
fn a_chain_whose_links_are_of_several_types() {
    let mut heap = Sketch { attributes: vec![1000], ..Sketch::default() };
    heap.object(99, "str", 50, &[]);
    heap.lines = heap.lines.replace("\"size\": 50, ", "\"size\": 50, \"len\": 8, \"value\": \"previous\", ");
    // No order in it: the digits of pi.
    for (link, kind) in "14159265358979323846264338327950288419716939937510582097494459".chars().enumerate() {
        let (event, next) = (1000 + 2 * link as u64, 1002 + 2 * link as u64);
        heap.object(event, &format!("Event{}", kind.to_digit(10).unwrap() % 4), 1000, &[event + 1]);
        let entry: &[u64] = if link == 61 { &[] } else { &[99, next] };
        heap.object(event + 1, "dict", 200, entry);
    }
    let found = heap.found(40_000);
    let [(1000, SuspectKind::Chain { link, links: 61, others: 3 }, Some((kind, 61)), also)] = &found[..] else {
        panic!("{found:?}")
    };
    assert!(kind.starts_with("Event") && link.len() == 2 && also.is_empty(), "{found:?}");
}

#[test]
fn modules_of_one_file_are_one_suspect() {
    for (files, sizes, expect) in [(1, 2000, true), (40, 2000, false), (1, 20, false)] {
        let mut heap = Sketch::default();
        heap.text(50, "__file__");
        (0..files).for_each(|file| heap.text(3000 + file, &format!("/srv/plugin{file}.py")));
        for number in 0..40 {
            let at = 1000 + 10 * number;
            heap.object(at, "module", 100, &[at + 1]);
            heap.object(at + 1, "dict", sizes, &[50, 3000 + number % files]);
        }
        let found: Vec<_> = heap.found(40_000).into_iter().map(|(_, shape, members, _)| (shape, members)).collect();
        let all = vec![(SuspectKind::Modules, Some(("module".to_owned(), 40)))];
        assert_eq!(found, if expect { all } else { vec![] }, "{files} {sizes}");
    }
}

#[test]
fn calls_are_named_by_their_function() {
    let mut heap = Sketch::default();
    heap.lines += "{\"address\": 90, \"type\": \"function\", \"size\": 100, \"name\": \"run_all\", \"refs\": []}\n";
    heap.lines += "{\"address\": 91, \"type\": \"function\", \"size\": 100, \"name\": \"paid\", \"refs\": []}\n";
    // A library's function is given the application's to call.
    let all: Vec<u64> = (1000..1100).step_by(2).collect();
    for &handle in &all {
        heap.object(handle, "TimerHandle", 1000, &[90, handle + 1]);
        heap.object(handle + 1, "tuple", 50, &[91]);
    }
    heap.object(3, "list", 500, &all);
    let view = View::new(Arc::new(Heap::from_text(&heap.lines).unwrap()));
    let kinds = Kinds::of(&view);
    let found = find(&kinds, &Dominators::of(&view), 40_000);
    let told: Vec<_> =
        found.iter().map(|suspect| (suspect.contents.count(), suspect.contents.calls.as_deref())).collect();
    assert_eq!(told, [(50, Some("paid"))]);
}

/// A list of texts that the interpreter has interned, and other interned texts that nothing else refers to.
fn interned(listed: u64, others: u64) -> View {
    let mut heap = Sketch::default();
    let all: Vec<u64> = (1000..1000 + listed + others).collect();
    all.iter().for_each(|&text| heap.object(text, "str", 1000, &[]));
    heap.object(3, "list", 500, &all[..listed as usize]);
    heap.object(4, "dict", 900_000, &all.iter().flat_map(|&text| [text, text]).collect::<Vec<_>>());
    heap.object(2, "dict", 232, &[5, 3]);
    heap.object(1, "module", 64, &[2]);
    heap.text(5, "names");
    View::new(Arc::new(Heap::from_text(&heap.lines).unwrap()))
}

#[test]
fn interned_strings_are_no_suspect_and_keep_what_nobody_else_does() {
    let view = interned(200, 5000);
    let (kinds, dominators) = (Kinds::of(&view), Dominators::of(&view));
    let retained = |address| dominators.retained(view.node_of(address).unwrap()).objects;
    assert_eq!((retained(4), retained(3)), (5001, 201));
    // Whatever their number, the table is the program's; a list of such texts is data, and keeps them.
    let found = |threshold| -> Vec<u64> {
        find(&kinds, &dominators, threshold).iter().map(|suspect| view.address(suspect.node)).collect()
    };
    assert_eq!(found(100_000), [3]);
    assert_eq!(found(300_000), [0; 0]);
    assert_eq!(kinds.program(&dominators).objects, 5001 + 3);
}

#[test]
fn a_text_that_was_interned_goes_with_its_last_holder() {
    let mut view = interned(200, 5000);
    assert!(crate::graph::gc(&view, |_, _| {}).unmarked.is_clear());
    let (list, counts) = (view.node_of(3).unwrap(), view.counts());
    assert!(view.delete_object(list));
    let gone = crate::graph::gc(&view, |_, _| {}).unmarked;
    assert_eq!(view.delete_objects(&gone), 200);
    assert_eq!(counts.objects - view.counts().objects, 201);
    // There they are all the same: the references are in the dump.
    assert_eq!(counts.refs - view.counts().refs, 1 + 200 + 2 * 200);
}
