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
use super::words::{percent, thousands};
use crate::graph::{Amount, amount_of, kept_by};
use crate::heap::{Root, RootReason, View};
use crate::naming::Expression;
use crate::owner::{Modules, PackageKind};
use crate::suspects::{self, Candidate, Finding, Keeping, TypeGroup};

pub use crate::suspects::SuspectKind;

pub use attribute::Attribute;
use history::Earlier;
pub use history::{Grown, Past};

/// The `schema` of this version.
pub const SCHEMA: &str = "heapsee.suspects/1";

/// An object further above than this is not what a place belongs to.
const ABOVE: usize = 4;

/// The few places that hold most.
///
/// ```
/// # use std::sync::Arc;
/// use heapsee_heap::answers::suspects::{Dump, Suspects};
/// use heapsee_heap::heap::{Heap, View};
///
/// // A list of two equal texts.
/// let heap = Heap::from_text(
///     r#"{"address": 16, "type": "list", "size": 64, "len": 2, "refs": [32, 48]}
///        {"address": 32, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}
///        {"address": 48, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}"#,
/// )?;
/// let view = View::new(Arc::new(heap));
/// let dump = Dump { name: "worker.dump".to_owned(), view: &view };
/// let suspects = Suspects::of(&[dump], Some(2000), None);
/// assert_eq!(suspects.heap.bytes, 2064);
/// assert_eq!(suspects.suspects[0].path.to_string(), "<list at 0x10>");
/// # Ok::<(), heapsee_heap::heap::TextError>(())
/// ```
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
    pub path: Expression,
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
    /// What kind of a place it is.
    pub kind: SuspectKind,
    /// The container, the object, or the first link of the chain.
    pub address: u64,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// A Python expression that leads to it from a root, as far as there is one.
    pub path: Expression,
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
    pub part_of: Option<PartOf>,
    /// Expressions of other containers that hold the same objects.
    pub also_held_by: Vec<Expression>,
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
pub struct PartOf {
    /// Its address.
    pub address: u64,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// An expression that leads to it.
    pub path: Expression,
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
    pub path: Expression,
}

/// A dump to look at: how it was named, and what is in it.
pub struct Dump<'v> {
    /// The file.
    pub name: String,
    /// The heap.
    pub view: &'v View,
}

/// A place in a view, and how to get there.
struct Located {
    finding: Finding,
    path: Expression,
    way: Vec<u32>,
    /// The module that the way leads through first.
    module: Option<String>,
    freed: OnceCell<Amount>,
}

impl Located {
    /// What goes with it: for containers that share their objects that is a search through the heap.
    fn frees(&self, study: &Study<'_>) -> Amount {
        *self.freed.get_or_init(|| frees(study, &self.finding))
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
        self.frees(study).bytes.max(self.finding.amount.bytes)
    }
}

/// The suspects of a view that are not ordinary, with their paths.
fn find(study: &Study<'_>, threshold: u64) -> Vec<Located> {
    let found = suspects::find(&study.kinds, &study.dominators, threshold).into_iter();
    let named = found.map(|finding| {
        let way = study.way(finding.node);
        let module = finding.kind.traits().has_owner.then(|| study.module_on(&way)).flatten();
        Located { path: study.expression(&way), module, way, finding, freed: OnceCell::new() }
    });
    named.filter(|found| !suspects::is_ordinary(&study.kinds, &found.path, &found.finding)).collect()
}

/// Of two much alike the one further from the roots comes first: it is the one that nobody thinks of.
fn further_twin_first(found: &mut [Located]) {
    let near = |a: u64, b: u64| a.abs_diff(b) <= a.max(b) / 50;
    for i in 1..found.len() {
        let (one, other) = (&found[i - 1].finding, &found[i].finding);
        let of_a_kind = |suspect: &Finding| suspect.contents.members.as_ref().map(|group| group.type_id);
        let alike = near(one.amount.bytes, other.amount.bytes) && of_a_kind(one) == of_a_kind(other);
        if alike && found[i - 1].way.len() < found[i].way.len() {
            found.swap(i - 1, i);
        }
    }
}

/// What goes with a finding.
fn frees(study: &Study<'_>, finding: &Finding) -> Amount {
    match finding.kind.traits().keeping {
        Keeping::Each => finding.amount,
        Keeping::Alone => study.dominators.retained(finding.node),
        Keeping::Together => amount_of(study.view, &kept_by(study.view, &holders(study, finding))),
    }
}

/// The places that hold the same objects.
fn holders(study: &Study<'_>, suspect: &Finding) -> FixedBitSet {
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
        let describer = Describer { study: &study, owners: &owners, dump: last };
        let ranked = accused.into_iter().take(shown).enumerate();
        let mut suspects: Vec<Suspect> = ranked
            .map(|(i, (found, grown))| {
                let mut suspect = describer.describe(i + 1, &found);
                history::add(&mut suspect, &found, &earlier, last, grown);
                suspect
            })
            .collect();
        find_twins(&mut suspects);
        let intended =
            intended.into_iter().take(shown).map(|(found, reason)| describer.intended(&found, reason)).collect();
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
fn reasons(study: &Study<'_>, owners: &Modules<'_>, found: &[Located]) -> Vec<Option<&'static str>> {
    let library = |found: &Located| {
        let package = owners.package(found.module.as_deref()?);
        (package.kind != PackageKind::Application).then_some(package.name)
    };
    let places = found.iter().map(|found| Candidate {
        finding: &found.finding,
        way: &found.way,
        library: library(found),
        is_limited: is_limited(study, owners, found.finding.node),
    });
    let places: Vec<Candidate<'_>> = places.collect();
    suspects::reasons(&study.kinds, &study.dominators, &places)
}

/// Whether a place is part of an object of a library whose class says that it forgets what was not used for long.
fn is_limited(study: &Study<'_>, owners: &Modules<'_>, node: u32) -> bool {
    let Some(own) = owner_above(study, node).filter(|&own| study.kinds.type_name(own).contains("LRU")) else {
        return false;
    };
    let module = study.kinds.module_of_class(own);
    module.is_some_and(|module| owners.package(module).kind == PackageKind::Distribution)
}

/// Makes suspects of findings.
struct Describer<'a, 'v> {
    study: &'a Study<'v>,
    owners: &'a Modules<'v>,
    dump: &'a Dump<'v>,
}

impl Describer<'_, '_> {
    fn describe(&self, rank: usize, found: &Located) -> Suspect {
        let (study, finding, view) = (self.study, &found.finding, self.study.view);
        let traits = finding.kind.traits();
        let frees = found.frees(study);
        let all = match traits.keeping {
            Keeping::Together => Amount {
                objects: finding.amount.objects.max(frees.objects),
                bytes: finding.amount.bytes.max(frees.bytes),
            },
            Keeping::Alone | Keeping::Each => frees,
        };
        let mut suspect = Suspect {
            rank,
            title: String::new(),
            explanation: String::new(),
            kind: finding.kind.clone(),
            address: view.address(finding.node),
            type_name: study.kinds.type_name(finding.node).to_owned(),
            path: found.path.clone(),
            retained_bytes: all.bytes,
            objects: all.objects,
            share: percent(all.bytes, study.dominators.total().bytes),
            accumulates: accumulated(view, finding),
            link: link(view, &finding.kind),
            owner: self.owner(found),
            outside: found.outside(study),
            part_of: traits.may_be_part.then(|| part_of(study, finding.node)).flatten(),
            also_held_by: finding.also.iter().map(|&node| study.path(node)).collect(),
            twin: None,
            history: Vec::new(),
            grown: None,
            next: Vec::new(),
        };
        let holders = || finding.also.iter().chain([&finding.node]);
        let facts = words::Facts {
            dump: &self.dump.name,
            length: view.length(finding.node),
            frees,
            alone: holders().map(|&node| study.dominators.retained(node).bytes).max().unwrap_or(0),
            holders: holders().map(|&node| view.address(node)).collect(),
        };
        let words = words::describe(&suspect, &facts);
        (suspect.title, suspect.explanation, suspect.next) = (words.title, words.explanation, words.next);
        suspect
    }

    fn intended(&self, found: &Located, reason: &'static str) -> Intended {
        let Suspect { title, address, path, retained_bytes, .. } = self.describe(0, found);
        Intended { title, reason, address, path, retained_bytes }
    }

    fn owner(&self, found: &Located) -> Owner {
        let module = found.module.as_deref();
        let package = module
            .map(|module| self.owners.package(module))
            .filter(|package| package.kind == PackageKind::Distribution);
        let package = package.map(|package| match package.version {
            Some(version) => format!("{} {version}", package.name),
            None => package.name,
        });
        let file = module.and_then(|module| self.owners.file(module)).map(str::to_owned);
        let attribute = attribute::last(self.study, self.owners, &found.way);
        Owner { module: module.map(str::to_owned), package, file, attribute }
    }
}

fn accumulated(view: &View, suspect: &Finding) -> Option<Accumulated> {
    let members = suspect.contents.members.as_ref()?;
    let inner = suspect.contents.inner.as_ref();
    Some(Accumulated {
        type_name: view.type_name(members.type_id).to_owned(),
        count: members.count,
        bytes: members.bytes,
        average_bytes: members.bytes / members.count.max(1),
        inside: inner.map(|inner: &TypeGroup| Inside {
            type_name: view.type_name(inner.type_id).to_owned(),
            count: inner.count,
        }),
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

fn part_of(study: &Study<'_>, node: u32) -> Option<PartOf> {
    let own = owner_above(study, node)?;
    Some(PartOf {
        address: study.view.address(own),
        type_name: study.kinds.type_name(own).to_owned(),
        path: study.path(own),
        retained_bytes: study.dominators.retained(own).bytes,
    })
}

/// The types of one link of a chain, with how often they are there.
fn link(view: &View, kind: &SuspectKind) -> Option<String> {
    let SuspectKind::Chain { link, links, others } = kind else { return None };
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
            twin.path.place()
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
            one.kind.name() == other.kind.name()
                && one.type_name == other.type_name
                && a.type_name == b.type_name
                && near(a.count, b.count)
                && near(one.retained_bytes, other.retained_bytes)
        }
        _ => false,
    }
}
