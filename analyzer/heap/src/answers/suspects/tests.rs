//! What counts as growth between two dumps of one process.

use std::sync::Arc;

use heapsee_format::meta;

use super::{Dump, Suspects};
use crate::heap::Heap;
use crate::heap::View;

/// A process in which `app.kept` is a list of objects of this size, at these addresses; further lines as given.
fn process(kept: std::ops::Range<u64>, size: u64, more: &str) -> View {
    let line = |address: u64, kind: &str, size: u64, rest: &str, refs: &[u64]| {
        format!("{{\"address\": {address}, \"type\": \"{kind}\", \"size\": {size}, {rest}\"refs\": {refs:?}}}\n")
    };
    let key = |address, text: &str| {
        line(address, "str", 50, &format!("\"len\": {}, \"value\": \"{text}\", ", text.len()), &[])
    };
    let all: Vec<u64> = kept.clone().collect();
    let mut text = line(1, "dict", 100, "\"len\": 1, ", &[2, 3]) + &key(2, "app");
    text += &(line(3, "module", 100, "\"name\": \"app\", ", &[4]) + &line(4, "dict", 100, "\"len\": 1, ", &[5, 6]));
    text += &(key(5, "kept") + &line(6, "list", 500, &format!("\"len\": {}, ", all.len()), &all));
    all.iter().for_each(|&address| text += &line(address, "Record", size, "", &[]));
    let roots = vec![meta::Root { label: "sys.modules".to_owned(), addresses: vec![1] }];
    let process = meta::Process { pid: 7, ..meta::Process::default() };
    let meta = meta::Meta { roots, process, ..meta::Meta::default() };
    View::new(Arc::new(Heap::from_text_with_meta(&(text + more), Some(meta)).unwrap()))
}

/// An object that holds itself, and more: garbage.
fn circle(held: std::ops::Range<u64>) -> String {
    let refs: Vec<u64> = [9].into_iter().chain(held).collect();
    format!("{{\"address\": 9, \"type\": \"Request\", \"size\": 100, \"refs\": {refs:?}}}\n")
}

fn records(at: std::ops::Range<u64>) -> String {
    at.map(|address| format!("{{\"address\": {address}, \"type\": \"Record\", \"size\": 5000, \"refs\": []}}\n"))
        .collect()
}

fn told(before: &View, after: &View) -> Vec<(String, String)> {
    let dump = |name: &str, view| Dump { name: name.to_owned(), view };
    let found = Suspects::of(&[dump("1.dump", before), dump("2.dump", after)], None, None);
    found.suspects.into_iter().map(|suspect| (suspect.path.to_string(), suspect.explanation)).collect()
}

#[test]
fn what_others_let_go_of_is_no_growth() {
    // Few and large, so that they are no pile of their own as long as others hold them, too.
    let shared = process(1000..1020, 10_000, &circle(1000..1020));
    assert_eq!(told(&shared, &process(1000..1020, 10_000, "")), []);
    // The same number of bytes, but new ones.
    let found = told(&shared, &process(2000..2020, 10_000, ""));
    assert_eq!(found.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["sys.modules['app'].kept"]);
    assert!(found[0].1.ends_with("In 1.dump it had 500 bytes; now it has 200.5 kB."), "{found:?}");
    // Growth that is large for any heap is reported all the same, with a word that it is not recent.
    let large = told(&process(1000..1020, 50_000, &circle(1000..1020)), &process(1000..1020, 50_000, ""));
    assert!(large[0].1.ends_with("hardly any of that is new, others have let go of it."), "{large:?}");
}

#[test]
fn a_little_garbage_is_no_growth() {
    let before = process(1000..1010, 5000, "");
    let after = |count: u64| process(1000..1010, 5000, &(circle(3000..3000 + count) + &records(3000..3000 + count)));
    assert_eq!(told(&before, &after(60)), []);
    let large = told(&before, &after(200));
    assert!(large[0].1.contains("garbage that the collector has not met yet"), "{large:?}");
}
