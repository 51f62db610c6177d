//! Names of references and expressions, on small heaps as each CPython lays them out.

use std::sync::Arc;

use heapsee_format::meta::{Frame, Meta, Root, Thread, Type};

use super::*;
use crate::heap::Heap;

/// Types' addresses: far from those of objects.
const SYSTEM: u64 = 9001;
const PAIR: u64 = 9002;
const CHAIN: u64 = 9003;
const DICT: u64 = 9004;
const ORDERED: u64 = 9005;
const TUPLE: u64 = 9006;
const NAMED: u64 = 9007;
const LOCAL: u64 = 9008;
const OWN_LOCAL: u64 = 9009;
const SETTINGS: u64 = 9010;
const FROZEN: u64 = 9011;

fn kind(module: &str, qualname: &str, base: Option<u64>, slots: &[&str]) -> Type {
    let slots = slots.iter().map(|&slot| slot.to_owned()).collect();
    Type { module: module.to_owned(), qualname: qualname.to_owned(), base, slots }
}

fn meta() -> Meta {
    let types = [
        (SYSTEM, kind("app", "System", None, &[])),
        (PAIR, kind("app", "Pair", None, &["left", "right"])),
        (CHAIN, kind("app", "Chain", Some(PAIR), &["own"])),
        (DICT, kind("builtins", "dict", None, &[])),
        (ORDERED, kind("app", "Ordered", Some(DICT), &[])),
        (TUPLE, kind("builtins", "tuple", None, &[])),
        (NAMED, kind("app", "Named", Some(TUPLE), &[])),
        (LOCAL, kind("_thread", "_local", None, &[])),
        (OWN_LOCAL, kind("app", "Own", Some(LOCAL), &[])),
        (FROZEN, kind("builtins", "frozendict", None, &[])),
        (SETTINGS, kind("app", "Settings", Some(FROZEN), &[])),
    ];
    let root = |label: &str, address| Root { label: label.to_owned(), addresses: vec![address] };
    let frame = Frame { address: 70, file: "/srv/app/views.py".into(), line: Some(12), function: "grade".into() };
    Meta {
        types: types.into(),
        roots: vec![root("sys.modules", 1), root("sys.__dict__", 5), root("interpreter", 6), root("thread 7", 70)],
        threads: vec![Thread { ident: 7, frames: vec![frame], ..Thread::default() }],
        ..Meta::default()
    }
}

/// Lines in short: `address type refs [len=…] [name=…] [value=…]`.
fn heap(lines: &[&str]) -> View {
    let line = |text: &&str| {
        let mut words = text.split_whitespace();
        let (address, type_name) = (words.next().unwrap(), words.next().unwrap());
        let refs = words.next().unwrap().trim_matches('-');
        let more: String = words
            .map(|word| {
                let (key, value) = word.split_once('=').unwrap();
                if key == "len" { format!("\"len\": {value}, ") } else { format!("\"{key}\": \"{value}\", ") }
            })
            .collect();
        format!("{{\"address\": {address}, \"type\": \"{type_name}\", \"size\": 1, {more}\"refs\": [{refs}]}}\n")
    };
    let text: String = lines.iter().map(line).collect();
    View::new(Arc::new(Heap::from_text_with_meta(&text, Some(meta())).unwrap()))
}

fn path_text(view: &View, addresses: &[u64]) -> String {
    let nodes: Vec<u32> = addresses.iter().map(|&address| view.node_of(address).unwrap()).collect();
    expression(view, &nodes, &Names::new(view).along(&nodes)).to_string()
}

fn edge_text(view: &View, parent: u64, child: u64) -> String {
    let node = |address| view.node_of(address).unwrap();
    Names::new(view).between(node(parent), node(child)).unwrap().to_string()
}

#[test]
fn the_seeds_path_is_one_expression() {
    let view = heap(&[
        "1 dict 10,2 len=1",
        "10 str - len=12 value=grader.utils",
        "2 module 3 name=grader.utils",
        "3 dict 11,20 len=1",
        "11 str - len=6 value=system",
        "20 System 12,21,9001",
        "12 str - len=9 value=_services",
        "21 dict 13,22,14,23 len=2",
        "13 str - len=13 value=library_tools",
        "14 str - len=8 value=a-b-c-de",
        "22 System 30,9001",
        "30 dict 15,31 len=1",
        "15 str - len=5 value=store",
        "31 list 33,32 len=2",
        "32 tuple 23 len=1",
        "33 System 9001",
        "23 int - value=5",
        "9001 type - name=System",
    ]);
    assert_eq!(
        path_text(&view, &[1, 2, 3, 20, 21, 22, 30, 31, 32]),
        "sys.modules['grader.utils'].system._services['library_tools'].store[0]"
    );
    assert_eq!(path_text(&view, &[1, 2, 3]), "sys.modules['grader.utils'].__dict__");
    assert_eq!(path_text(&view, &[22, 30, 31, 33]), "<System at 0x16>.store[1]");
    assert_eq!(edge_text(&view, 3, 11), "key 'system'");
    assert_eq!(edge_text(&view, 20, 12), "key _services");
    assert_eq!(edge_text(&view, 20, 9001), ".__class__");
    assert_eq!(edge_text(&view, 32, 23), "[0]", "the dict's value with that address is another reference");
}

#[test]
fn slots_dicts_and_elements_find_their_places() {
    let view = heap(&[
        "20 Chain 40,41,42,9003",
        "21 Chain 40,41,42,43,9003",
        "22 Chain 40,41,9003",
        "23 Chain 40,41,42,10,44,9003",
        "24 Ordered 10,41,45,42,9005 len=2",
        "25 Ordered 10,41,43,9005 len=1",
        "26 Named 9007,42,41 len=2",
        "27 Named 42,41,9007 len=2",
        "28 Named 43,9007,42,41 len=2",
        "10 str - len=3 value=key",
        "40 int - value=0",
        "41 int - value=1",
        "42 int - value=2",
        "43 dict - len=0",
        "44 int - value=4",
        "45 int - value=7",
        "9003 type - name=Chain",
        "9005 type - name=Ordered",
        "9007 type - name=Named",
    ]);
    for (parent, child, expect) in [
        (20, 40, ".own"),
        (20, 42, ".right"),
        (21, 41, ".left"),
        (21, 43, ".__dict__"),
        (22, 41, "slot"),
        (23, 42, ".right"),
        (23, 44, ".key"),
        (24, 42, "[7]"),
        (24, 41, "['key']"),
        (25, 43, ".__dict__"),
        (26, 41, "[0]"),
        (26, 42, "[1]"),
        (27, 42, "[1]"),
        (27, 9007, ".__class__"),
        (28, 43, ".__dict__"),
        (28, 41, "[0]"),
    ] {
        assert_eq!(edge_text(&view, parent, child), expect, "{parent} → {child}");
    }
}

#[test]
fn functions_frames_and_the_rest() {
    let view = heap(&[
        "5 dict 10,20 len=1",
        "10 str - len=4 value=hook",
        "20 function 30,31,12,32,35,12,10,33,34 name=hook",
        "30 code -",
        "31 dict 11,12 len=1",
        "11 str - len=8 value=__name__",
        "12 str - len=3 value=app",
        "32 tuple 40 len=1",
        "33 tuple 41 len=1",
        "34 dict 11,12 len=1",
        "35 dict 10,40 len=1",
        "40 int - value=1",
        "41 cell 42",
        "42 method 20,43",
        "43 set 44 len=1",
        "44 str - len=300 value=cut",
        "6 list 44 len=1",
        "70 frame 71,31,43,30 value=grade",
        "71 frame 43 value=main",
        "80 dict 44,40 len=1",
        "81 dict 40,41 len=2",
        "82 weakref 20",
    ]);
    assert_eq!(path_text(&view, &[5, 20, 33, 41, 42, 43]), "sys.hook.__closure__[0].cell_contents.__self__");
    assert_eq!(path_text(&view, &[43, 44]), "<set at 0x2b> → member: str");
    assert_eq!(
        path_text(&view, &[70, 43, 44]),
        "<frame grade() at views.py:12, thread 7> → local of grade(): set → member: str"
    );
    assert_eq!(path_text(&view, &[6, 44]), "<list of interpreter>[0]");
    for (parent, child, expect) in [
        (20, 30, ".__code__"),
        (20, 31, ".__globals__"),
        (20, 34, ".__builtins__"),
        (20, 32, ".__defaults__"),
        (20, 35, ".__kwdefaults__"),
        (42, 20, ".__func__"),
        (70, 71, ".f_back"),
        (70, 31, ".f_globals"),
        (70, 30, ".f_code"),
        (80, 40, "['cut…']"),
        (81, 41, "[…]"),
        (82, 20, "callback of the weak reference"),
    ] {
        assert_eq!(edge_text(&view, parent, child), expect, "{parent} → {child}");
    }
}

#[test]
fn what_is_local_to_threads_and_functions_of_a_class() {
    let view = heap(&[
        "5 dict 10,20,11,24,12,40,13,28 len=4",
        "10 str - len=5 value=store",
        "11 str - len=5 value=older",
        "12 str - len=4 value=load",
        "13 str - len=4 value=mine",
        // CPython 3.13: a dummy stands for the thread. The type, the arguments, the dict.
        "20 _thread._local 9008,30,21",
        "21 dict 22,23 len=1",
        "22 _thread._localdummy -",
        "23 dict 10,31 len=1",
        // Before, a weak reference to it; a class of one's own has its type in front.
        "24 Own 9009,30,25",
        "25 dict 26,27 len=1",
        "26 weakref -",
        "27 dict 10,31 len=1",
        // Weak references as keys of something else say nothing of threads.
        "28 dict 26,27 len=1",
        "30 tuple - len=0",
        "31 list - len=0",
        "40 staticmethod 41,42",
        "41 functools._lru_cache_wrapper 43,44,9001,42",
        "42 dict - len=0",
        "43 dict - len=0",
        "44 function - name=load",
        "9008 type - name=_thread._local",
        "9009 type - name=Own",
    ]);
    assert_eq!(path_text(&view, &[5, 20, 21, 23, 31]), "sys.store.store");
    assert_eq!(path_text(&view, &[5, 24, 25, 27, 31]), "sys.older.store");
    assert_eq!(path_text(&view, &[5, 28, 27, 31]), "sys.mine[<weakref at 0x1a>]['store']");
    assert_eq!(path_text(&view, &[5, 40, 41, 43]), "sys.load → cache of lru_cache: dict");
}

#[test]
fn what_waits_and_what_a_context_had_before() {
    let view = heap(&[
        "5 dict 10,20,11,30,12,31 len=3",
        "10 str - len=4 value=task",
        "11 str - len=5 value=token",
        "12 str - len=5 value=other",
        "20 _asyncio.Task 21,22,23",
        "21 _contextvars.Context -",
        // The names, the function and the code stand in front of the variables.
        "22 coroutine 13,14,24,25,26",
        "13 str - len=6 value=handle",
        "14 str - len=10 value=App.handle",
        "23 _asyncio.Future -",
        "24 function - name=handle",
        "25 code -",
        "26 list - len=0",
        "30 Token 33,32,26",
        "31 Token 26",
        "32 ContextVar -",
        "33 Context -",
    ]);
    assert_eq!(path_text(&view, &[5, 20, 22, 26]), "sys.task.get_coro() → local of handle(): list");
    assert_eq!(path_text(&view, &[5, 30, 26]), "sys.token.old_value");
    assert_eq!(path_text(&view, &[5, 30, 32]), "sys.token.var");
    assert_eq!(path_text(&view, &[5, 31, 26]), "sys.other → list");
    assert_eq!(edge_text(&view, 22, 14), ".__qualname__");
}

#[test]
fn links_that_repeat_are_folded() {
    let mut lines = vec!["5 dict 10,1000 len=1".to_owned(), "10 str - len=4 value=head".to_owned()];
    for link in 0..500 {
        let at = 1000 + 2 * link;
        lines.push(format!("{at} System 11,{},9001", at + 1));
        lines.push(format!("{} Pair 40,{},9002", at + 1, at + 2));
    }
    lines.push("2000 int - value=1".to_owned());
    lines.push("11 str - len=7 value=runtime".to_owned());
    lines.push("40 NoneType -".to_owned());
    lines.push("9001 type - name=System".to_owned());
    lines.push("9002 type - name=Pair".to_owned());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let view = heap(&lines);
    let path: Vec<u64> = std::iter::once(5).chain(1000..=2000).collect();
    assert_eq!(path_text(&view, &path), "sys.head(.runtime.right) ×500");
}

#[test]
fn what_a_session_added_has_no_name_and_breaks_none() {
    let mut view = heap(&["20 list 30,31 len=2", "30 int - value=1", "31 int - value=2", "32 int - value=3"]);
    let ids: Vec<u32> = view.heap().edges(0).collect();
    assert!(view.delete_edge(ids[0]));
    assert!(view.add_edge(20, 32).is_some());
    assert_eq!(edge_text(&view, 20, 31), "[0]", "as it was in the dump");
    assert_eq!(edge_text(&view, 20, 32), "");
    assert!(view.delete_object(1));
    assert_eq!(Names::new(&view).between(0, 1), None);
}

#[test]
fn lines_that_contradict_themselves_get_no_names() {
    let view = heap(&[
        "20 list 30,31 len=7",
        "21 dict 30,31,32 len=9",
        "22 System 30",
        "23 list 30 len=18446744073709551615",
        "24 Ordered 30,9005 len=9223372036854775808",
        "30 int - value=1",
        "31 int -",
        "32 Named 9007,99 len=18446744073709551615",
        "9005 type - name=Ordered",
        "9007 type - name=Named",
    ]);
    for (parent, child) in [(20, 30), (21, 31), (22, 30), (23, 30), (32, 99)] {
        assert_eq!(edge_text(&view, parent, child), "", "{parent} → {child}");
    }
    // Nine quintillion entries are not there, but those that are may be entries.
    assert_eq!(edge_text(&view, 24, 30), "");
}

#[test]
fn an_lru_cache_visits_what_it_holds_before_the_function_and_attributes_last() {
    let view = heap(&[
        "20 functools._lru_cache_wrapper 30,31,40,50,9001,60",
        "21 functools._lru_cache_wrapper 50,40,60",
        "30 int - value=1",
        "31 dict - len=0",
        "40 dict 30,31 len=1",
        "50 function - name=render",
        "60 dict - len=0",
        "9001 type - name=CacheInfo",
    ]);
    assert_eq!(edge_text(&view, 20, 31), "key or result in the cache");
    for wrapper in [20, 21] {
        assert_eq!(edge_text(&view, wrapper, 40), "cache of lru_cache");
        assert_eq!(edge_text(&view, wrapper, 50), ".__wrapped__");
        assert_eq!(edge_text(&view, wrapper, 60), ".__dict__");
    }
    assert_eq!(edge_text(&view, 20, 9001), "");
}

#[test]
fn an_attribute_that_is_no_identifier_hides_no_other() {
    let view = heap(&[
        "9001 type - name=System",
        "30 System 11,40,12,41,13,42,9001",
        "11 str - len=2 value=ok",
        "12 str - len=3 value=x-y",
        "13 str - len=2 value=zz",
        "40 x -",
        "41 x -",
        "42 x -",
    ]);
    assert_eq!(edge_text(&view, 30, 40), ".ok");
    assert_eq!(edge_text(&view, 30, 41), ".__dict__['x-y']");
    assert_eq!(edge_text(&view, 30, 42), ".zz");
    assert_eq!(path_text(&view, &[30, 41]), "<System at 0x1e>.__dict__['x-y']");
}

#[test]
fn a_frozendict_has_keys_and_values() {
    let view = heap(&[
        "9010 type - name=Settings",
        "1 dict 10,30,10,31 len=2",
        "10 str - len=4 value=kept",
        "30 frozendict 11,40 len=1",
        // A subclass has them in front of its attributes.
        "31 Settings 11,40,12,41,9010 len=1",
        "11 str - len=5 value=alpha",
        "12 str - len=4 value=more",
        "40 list - len=0",
        "41 list - len=0",
    ]);
    assert_eq!(path_text(&view, &[1, 30, 40]), "sys.modules['kept']['alpha']");
    assert_eq!(edge_text(&view, 30, 11), "key 'alpha'");
    assert_eq!(edge_text(&view, 31, 40), "['alpha']");
    assert_eq!(edge_text(&view, 31, 41), ".more");
}
