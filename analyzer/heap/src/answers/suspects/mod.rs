//! Suspects in words: what keeps the memory, the evidence, what dropping it frees, and what to type next.

mod attribute;
mod history;
#[cfg(test)]
mod tests;
mod words;

use std::cell::OnceCell;

use fixedbitset::FixedBitSet;
use serde::Serialize;

use super::reconcile;
use super::study::Study;
use super::words::{percent, place, thousands};
use crate::graph::{Amount, amount_of, kept_by};
use crate::heap::{Root, RootReason, View};
use crate::owner::{Kind, Modules};
use crate::suspects::{self, Group, Shape};

pub use attribute::Attribute;
use history::Earlier;
pub use history::{Grown, Past};

/// The `schema` of this version.
pub const SCHEMA: &str = "heapsee.suspects/1";

/// An object further above than this is not what a place belongs to.
const ABOVE: usize = 4;

/// The few places that hold most.
#[derive(Debug, Serialize)]
pub struct Suspects {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The dump they are in; the last of those given.
    pub dump: String,
    /// All that the roots reach.
    pub heap: Amount,
    /// Modules, classes, functions, code, and what these alone are made of: the part that every process has.
    pub program: Amount,
    /// Places that keep less than this are not told of.
    pub threshold_bytes: u64,
    /// Empty if nothing stands out.
    pub suspects: Vec<Suspect>,
    /// How many more there are.
    pub left_out: usize,
    /// Large places that look as if they were meant to be, and have not grown: nobody is accused of these.
    pub intended: Vec<Intended>,
    /// What a reader should know, a sentence each: that most of the process is not in this heap.
    pub notes: Vec<String>,
}

/// A large place that looks as if it was meant to be.
#[derive(Debug, Serialize)]
pub struct Intended {
    /// What it is, in one line.
    pub title: String,
    /// Why it may be meant to be.
    pub reason: &'static str,
    /// Its address.
    pub address: u64,
    /// A Python expression that leads to it.
    pub path: String,
    /// What would go with it.
    pub retained_bytes: u64,
}

/// One place.
#[derive(Debug, Serialize)]
pub struct Suspect {
    /// From 1 on, in the order of importance.
    pub rank: usize,
    /// The finding in one line.
    pub title: String,
    /// The same with its evidence.
    pub explanation: String,
    /// `container`, `shared` (other containers hold the same objects), `object` (it is big itself), `chain`, `unreached`
    /// (no root leads to them), `threads` (many are in the same function) or `modules` (made again and again).
    pub kind: &'static str,
    /// The container, the object, or the first link of the chain.
    pub address: u64,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// A Python expression that leads to it from a root, as far as there is one.
    pub path: String,
    /// What would go with it or, if it is shared, with all that hold the same objects.
    pub retained_bytes: u64,
    /// The same in objects.
    pub objects: u64,
    /// `retained_bytes` in percent of the heap.
    pub share: f64,
    /// What piles up there.
    pub accumulates: Option<Accumulated>,
    /// The repeating link of a chain.
    pub link: Option<String>,
    /// Whose it is.
    pub owner: Owner,
    /// If no root leads to it: how the dump has it all the same.
    #[serde(skip)]
    pub outside: Option<RootReason>,
    /// The object of the application's own class that it belongs to, if there is one.
    pub part_of: Option<Part>,
    /// Expressions of other containers that hold the same objects.
    pub also_held_by: Vec<String>,
    /// Another suspect that is much like it: the same may be there twice.
    pub twin: Option<Twin>,
    /// What the place had in each of several dumps, the earliest first.
    pub history: Vec<Past>,
    /// How it has grown over several dumps.
    pub grown: Option<Grown>,
    /// Commands that show more.
    pub next: Vec<String>,
}

/// What piles up.
#[derive(Debug, Serialize)]
pub struct Accumulated {
    /// The type that keeps most.
    #[serde(rename = "type")]
    pub type_name: String,
    /// How many.
    pub count: u64,
    /// What they keep together.
    pub bytes: u64,
    /// What each keeps on average.
    pub average_bytes: u64,
    /// What most of them is filled with, if they are containers or the like.
    pub inside: Option<Inside>,
    /// If they are calls that wait (tasks, generators, bound methods, callbacks): the function that most of them run.
    pub calls: Option<String>,
    /// How many objects of all types there are.
    pub total: u64,
    /// Of how many types.
    pub types: u64,
}

/// What containers are filled with.
#[derive(Debug, Serialize)]
pub struct Inside {
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// How many.
    pub count: u64,
}

/// Whose a place is.
#[derive(Debug, Serialize)]
pub struct Owner {
    /// The module at the beginning of the path.
    pub module: Option<String>,
    /// The distribution that the module came with, and its version.
    pub package: Option<String>,
    /// The file that the module was made from.
    pub file: Option<String>,
    /// The attribute that the place hangs from: what to look for in the source.
    pub attribute: Option<Attribute>,
}

/// An object that keeps the place.
#[derive(Debug, Serialize)]
pub struct Part {
    /// Its address.
    pub address: u64,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// An expression that leads to it.
    pub path: String,
    /// What would go with it.
    pub retained_bytes: u64,
}

/// Another suspect like it.
#[derive(Debug, Serialize)]
pub struct Twin {
    /// Its rank.
    pub rank: usize,
    /// Its address.
    pub address: u64,
    /// Its path.
    pub path: String,
}

/// A dump to look at: how it was named, and what is in it.
pub struct Dump<'v> {
    /// The file.
    pub name: String,
    /// The heap.
    pub view: &'v View,
}

/// A place in a view, and how to get there.
struct Found {
    suspect: suspects::Suspect,
    path: String,
    way: Vec<u32>,
    /// The module that the way leads through first.
    module: Option<String>,
    freed: OnceCell<Amount>,
}

impl Found {
    /// What goes with it: for containers that share their objects that is a search through the heap.
    fn frees(&self, study: &Study<'_>) -> Amount {
        *self.freed.get_or_init(|| frees(study, &self.suspect))
    }

    /// Why the way to it begins where it does, if no root leads to it.
    fn outside(&self, study: &Study<'_>) -> Option<RootReason> {
        let roots = study.view.heap().roots();
        let first = self.way.first().and_then(|first| roots.binary_search_by_key(first, |root| root.node).ok());
        let is_outside = |reason: &RootReason| matches!(reason, RootReason::Cycle | RootReason::NoReferrer);
        first.map(|at| roots[at].reason).filter(is_outside).filter(|_| has_named_roots(roots))
    }

    /// Bytes that go with it, or with all that hold the same objects.
    fn bytes(&self, study: &Study<'_>) -> u64 {
        self.frees(study).bytes.max(self.suspect.amount.bytes)
    }
}

/// The suspects of a view that are not ordinary, with their paths.
fn find(study: &Study<'_>, threshold: u64) -> Vec<Found> {
    let found = suspects::find(&study.kinds, &study.dominators, threshold).into_iter();
    let named = found.map(|suspect| {
        let way = study.way(suspect.node);
        let module = if suspect.shape == Shape::Unreached { None } else { study.module_on(&way) };
        Found { path: study.expression(&way), module, way, suspect, freed: OnceCell::new() }
    });
    named.filter(|found| !suspects::is_ordinary(&study.kinds, &place(&found.path), &found.suspect)).collect()
}

/// Of two much alike the one further from the roots comes first: it is the one that nobody thinks of.
fn further_twin_first(found: &mut [Found]) {
    let near = |a: u64, b: u64| a.abs_diff(b) <= a.max(b) / 50;
    for i in 1..found.len() {
        let (one, other) = (&found[i - 1].suspect, &found[i].suspect);
        let of_a_kind = |suspect: &suspects::Suspect| suspect.contents.members.as_ref().map(|group| group.type_id);
        let alike = near(one.amount.bytes, other.amount.bytes) && of_a_kind(one) == of_a_kind(other);
        if alike && found[i - 1].way.len() < found[i].way.len() {
            found.swap(i - 1, i);
        }
    }
}

/// What goes with a suspect.
fn frees(study: &Study<'_>, suspect: &suspects::Suspect) -> Amount {
    match suspect.shape {
        Shape::Shared => {}
        Shape::Unreached | Shape::Threads | Shape::Remade => return suspect.amount,
        _ => return study.dominators.retained(suspect.node),
    }
    amount_of(study.view, &kept_by(study.view, &holders(study, suspect)))
}

/// The places that hold the same objects.
fn holders(study: &Study<'_>, suspect: &suspects::Suspect) -> FixedBitSet {
    let mut holders = FixedBitSet::with_capacity(study.view.node_bound() as usize);
    holders.extend(suspect.also.iter().chain([&suspect.node]).map(|&node| node as usize));
    holders
}

/// Without a sidecar no root is known, and everything may hang from a circle.
fn has_named_roots(roots: &[Root]) -> bool {
    roots.iter().any(|root| matches!(root.reason, RootReason::Sidecar(_)))
}

impl Suspects {
    /// Of the last dump; the ones before it say since when, and what has grown comes first. Places with less than
    /// `at_least` bytes are left out; without it, what matters in a heap of this size is told.
    pub fn of(dumps: &[Dump<'_>], at_least: Option<u64>, most: Option<usize>) -> Suspects {
        let Some((last, before)) = dumps.split_last() else { return Suspects::none() };
        let study = Study::of(last.view);
        let heap = study.dominators.total();
        let threshold = at_least.unwrap_or_else(|| suspects::threshold(heap));
        let earlier: Vec<Earlier<'_>> = before.iter().map(|dump| Earlier::of(dump, last)).collect();
        let mut found = find(&study, threshold);
        further_twin_first(&mut found);
        let histories = history::add_growing(&study, &earlier, threshold, &mut found);
        let owners = Modules::of(last.view);
        let reasons = reasons(&study, &owners, &found);
        let (mut accused, mut intended) = (Vec::new(), Vec::new());
        for ((found, grown), reason) in found.into_iter().zip(histories).zip(reasons) {
            match reason {
                Some(reason) if !grown.as_ref().is_some_and(Grown::matters) => intended.push((found, reason)),
                _ => accused.push((found, grown)),
            }
        }
        let shown = most.unwrap_or(usize::MAX);
        let left_out = accused.len().saturating_sub(shown);
        let teller = Teller { study: &study, owners: &owners, dump: last };
        let ranked = accused.into_iter().take(shown).enumerate();
        let mut suspects: Vec<Suspect> = ranked
            .map(|(i, (found, grown))| {
                let mut told = teller.told(i + 1, &found);
                history::tell(&mut told, &found, &earlier, last, grown);
                told
            })
            .collect();
        find_twins(&mut suspects);
        let intended =
            intended.into_iter().take(shown).map(|(found, reason)| teller.intended(&found, reason)).collect();
        let program = study.kinds.program(&study.dominators);
        let dump = last.name.clone();
        let notes = reconcile::elsewhere(last.view).into_iter().collect();
        Suspects {
            schema: SCHEMA,
            dump,
            heap,
            program,
            threshold_bytes: threshold,
            suspects,
            left_out,
            intended,
            notes,
        }
    }

    fn none() -> Suspects {
        let (heap, program) = (Amount::default(), Amount::default());
        let (dump, suspects, intended, notes) = (String::new(), Vec::new(), Vec::new(), Vec::new());
        Suspects { schema: SCHEMA, dump, heap, program, threshold_bytes: 0, suspects, left_out: 0, intended, notes }
    }
}

/// Why each place may be meant to be as large as it is, if it looks so.
fn reasons(study: &Study<'_>, owners: &Modules<'_>, found: &[Found]) -> Vec<Option<&'static str>> {
    let library = |found: &Found| {
        let package = owners.package(found.module.as_deref()?);
        (package.kind != Kind::Application).then_some(package.name)
    };
    let places = found.iter().map(|found| suspects::Place {
        suspect: &found.suspect,
        way: &found.way,
        library: library(found),
        is_limited: is_limited(study, owners, found.suspect.node),
    });
    let places: Vec<suspects::Place<'_>> = places.collect();
    suspects::reasons(&study.kinds, &study.dominators, &places)
}

/// Whether a place is part of an object of a library whose class says that it forgets what was not used for long.
fn is_limited(study: &Study<'_>, owners: &Modules<'_>, node: u32) -> bool {
    let Some(own) = owner_above(study, node).filter(|&own| study.kinds.type_name(own).contains("LRU")) else {
        return false;
    };
    let module = study.kinds.module_of_class(own);
    module.is_some_and(|module| owners.package(module).kind == Kind::Distribution)
}

/// Makes findings of places.
struct Teller<'a, 'v> {
    study: &'a Study<'v>,
    owners: &'a Modules<'v>,
    dump: &'a Dump<'v>,
}

impl Teller<'_, '_> {
    fn told(&self, rank: usize, found: &Found) -> Suspect {
        let (study, suspect, view) = (self.study, &found.suspect, self.study.view);
        let address = view.address(suspect.node);
        let frees = found.frees(study);
        let all = if suspect.shape == Shape::Shared {
            Amount { objects: suspect.amount.objects.max(frees.objects), bytes: suspect.amount.bytes.max(frees.bytes) }
        } else {
            frees
        };
        let link = link(view, &suspect.shape);
        let mut told = Suspect {
            rank,
            title: String::new(),
            explanation: String::new(),
            kind: kind(&suspect.shape),
            address,
            type_name: study.kinds.type_name(suspect.node).to_owned(),
            path: found.path.clone(),
            retained_bytes: all.bytes,
            objects: all.objects,
            share: percent(all.bytes, study.dominators.total().bytes),
            accumulates: accumulated(view, suspect),
            link,
            owner: self.owner(found),
            outside: found.outside(study),
            part_of: if suspect.shape == Shape::Remade { None } else { part_of(study, suspect.node) },
            also_held_by: suspect.also.iter().map(|&node| study.path(node)).collect(),
            twin: None,
            history: Vec::new(),
            grown: None,
            next: Vec::new(),
        };
        told.title = words::title(&told, view.length(suspect.node));
        let holders = || suspect.also.iter().chain([&suspect.node]);
        let alone = holders().map(|&node| study.dominators.retained(node).bytes).max();
        told.explanation = words::explanation(&told, frees, alone.unwrap_or(0));
        let holders: Vec<u64> = holders().map(|&node| view.address(node)).collect();
        told.next = words::next_commands(&self.dump.name, &told, &holders);
        told
    }

    fn intended(&self, found: &Found, reason: &'static str) -> Intended {
        let told = self.told(0, found);
        let Suspect { title, address, path, retained_bytes, .. } = told;
        Intended { title, reason, address, path, retained_bytes }
    }

    fn owner(&self, found: &Found) -> Owner {
        let module = found.module.as_deref();
        let package =
            module.map(|module| self.owners.package(module)).filter(|package| package.kind == Kind::Distribution);
        let package = package.map(|package| match package.version {
            Some(version) => format!("{} {version}", package.name),
            None => package.name,
        });
        let file = module.and_then(|module| self.owners.file(module)).map(str::to_owned);
        let attribute = attribute::last(self.study, self.owners, &found.way);
        Owner { module: module.map(str::to_owned), package, file, attribute }
    }
}

fn kind(shape: &Shape) -> &'static str {
    match shape {
        Shape::Container => "container",
        Shape::Shared => "shared",
        Shape::Single => "object",
        Shape::Chain { .. } => "chain",
        Shape::Unreached => "unreached",
        Shape::Threads => "threads",
        Shape::Remade => "modules",
    }
}

fn accumulated(view: &View, suspect: &suspects::Suspect) -> Option<Accumulated> {
    let members = suspect.contents.members.as_ref()?;
    let inner = suspect.contents.inner.as_ref();
    Some(Accumulated {
        type_name: view.type_name(members.type_id).to_owned(),
        count: members.count,
        bytes: members.bytes,
        average_bytes: members.bytes / members.count.max(1),
        inside: inner
            .map(|inner: &Group| Inside { type_name: view.type_name(inner.type_id).to_owned(), count: inner.count }),
        calls: suspect.contents.calls.clone(),
        total: suspect.contents.total,
        types: suspect.contents.types,
    })
}

/// The nearest object above that is neither a container nor part of the program: a store, a session, a manager.
fn owner_above(study: &Study<'_>, node: u32) -> Option<u32> {
    let above = std::iter::successors(study.dominators.dominator(node), |&node| study.dominators.dominator(node));
    let mut near = above.take(ABOVE).take_while(|&node| !study.kinds.is_program(node));
    near.find(|&node| !study.kinds.is_container(node) && study.kinds.module_of_class(node).is_some())
}

fn part_of(study: &Study<'_>, node: u32) -> Option<Part> {
    let own = owner_above(study, node)?;
    Some(Part {
        address: study.view.address(own),
        type_name: study.kinds.type_name(own).to_owned(),
        path: study.path(own),
        retained_bytes: study.dominators.retained(own).bytes,
    })
}

/// The types of one link of a chain, with how often they are there.
fn link(view: &View, shape: &Shape) -> Option<String> {
    let Shape::Chain { link, links, others } = shape else { return None };
    let mut types: Vec<String> = link.iter().map(|&type_id| view.type_name(type_id).to_owned()).collect();
    if let (Some(first), 1..) = (types.first_mut(), *others) {
        *first += &format!(" or {} other {}", thousands(*others), if *others == 1 { "type" } else { "types" });
    }
    Some(format!("({}) ×{}", types.join(" → "), thousands(*links)))
}

/// Suspects that are alike and have different places: what is there twice.
fn find_twins(suspects: &mut [Suspect]) {
    for i in 0..suspects.len() {
        let twin = (0..suspects.len()).find(|&j| j != i && alike(&suspects[i], &suspects[j]));
        let Some(twin) = twin.map(|j| &suspects[j]) else { continue };
        let twin = Twin { rank: twin.rank, address: twin.address, path: twin.path.clone() };
        let text = format!(
            " Suspect {} is much like it ({}): the same may have been loaded twice, and one of the two is enough.",
            twin.rank,
            place(&twin.path)
        );
        suspects[i].title += &format!(", much like suspect {}", twin.rank);
        suspects[i].explanation += &text;
        suspects[i].twin = Some(twin);
    }
}

fn alike(one: &Suspect, other: &Suspect) -> bool {
    let near = |a: u64, b: u64| a.abs_diff(b) <= a.max(b) / 5;
    match (&one.accumulates, &other.accumulates) {
        (Some(a), Some(b)) => {
            one.kind == other.kind
                && one.type_name == other.type_name
                && a.type_name == b.type_name
                && near(a.count, b.count)
                && near(one.retained_bytes, other.retained_bytes)
        }
        _ => false,
    }
}
