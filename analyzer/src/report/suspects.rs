//! Suspects in words: what keeps the memory, the evidence, what dropping it frees, and what to type next.

use std::collections::HashMap;

use fixedbitset::FixedBitSet;
use serde::Serialize;

use super::study::Study;
use super::words::{bytes, module_of, objects, percent, place, thousands};
use crate::graph::{Amount, amount_of, kept_by};
use crate::heap::View;
use crate::owner::distribution;
use crate::suspects::{self, Group, Shape};

/// The `schema` of this version.
pub const SCHEMA: &str = "heapsee.suspects/1";

/// An object further above than this is not what a place belongs to.
const ABOVE: usize = 4;

/// Earlier dumps are searched for places with this much less in them.
const EARLIER: u64 = 20;

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
    /// `container`, `shared` (other containers hold the same objects), `object` (it is big itself) or `chain`.
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
    /// The object of the application's own class that it belongs to, if there is one.
    pub part_of: Option<Part>,
    /// Expressions of other containers that hold the same objects.
    pub also_held_by: Vec<String>,
    /// Another suspect that is much like it: the same may be there twice.
    pub twin: Option<Twin>,
    /// What the place had in each of several dumps, the earliest first.
    pub history: Vec<Past>,
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

/// What a place had in one of several dumps.
#[derive(Clone, Debug, Serialize)]
pub struct Past {
    /// The dump.
    pub dump: String,
    /// What had piled up; nothing if the place was not found or had little in it.
    pub count: Option<u64>,
    /// What it kept.
    pub retained_bytes: Option<u64>,
}

/// A dump to look at: how it was named, and what is in it.
pub struct Dump<'v> {
    /// The file.
    pub name: String,
    /// The heap.
    pub view: &'v View,
}

/// The suspects of a view that are not ordinary, with their paths.
fn find(study: &Study<'_>, threshold: u64) -> Vec<(suspects::Suspect, String)> {
    let found = suspects::find(&study.kinds, &study.dominators, threshold).into_iter();
    let named = found.map(|suspect| {
        let path = study.path(suspect.node);
        (suspect, path)
    });
    named.filter(|(suspect, path)| !suspects::is_ordinary(&place(path), suspect.amount.bytes)).collect()
}

/// Of two much alike the one further from the roots comes first: it is the one that nobody thinks of.
fn further_twin_first(study: &Study<'_>, found: &mut [(suspects::Suspect, String)]) {
    let near = |a: u64, b: u64| a.abs_diff(b) <= a.max(b) / 50;
    for i in 1..found.len() {
        let (one, other) = (&found[i - 1].0, &found[i].0);
        let of_a_kind = |suspect: &suspects::Suspect| suspect.contents.members.as_ref().map(|group| group.type_id);
        let alike = near(one.amount.bytes, other.amount.bytes) && of_a_kind(one) == of_a_kind(other);
        if alike && study.way(one.node).len() < study.way(other.node).len() {
            found.swap(i - 1, i);
        }
    }
}

/// What goes with a suspect.
fn frees(study: &Study<'_>, suspect: &suspects::Suspect) -> Amount {
    if suspect.shape != Shape::Shared {
        return study.dominators.retained(suspect.node);
    }
    let mut holders = FixedBitSet::with_capacity(study.view.node_bound() as usize);
    holders.extend(suspect.also.iter().chain([&suspect.node]).map(|&node| node as usize));
    amount_of(study.view, &kept_by(study.view, &holders))
}

impl Suspects {
    /// Of the last dump; the ones before it say since when. Places with less than `at_least` bytes are left out; without
    /// it, what matters in a heap of this size is told.
    pub fn of(dumps: &[Dump<'_>], at_least: Option<u64>, most: Option<usize>) -> Suspects {
        let Some((last, earlier)) = dumps.split_last() else { return Suspects::none() };
        let study = Study::of(last.view);
        let heap = study.dominators.total();
        let threshold = at_least.unwrap_or_else(|| suspects::threshold(heap));
        let mut found = find(&study, threshold);
        further_twin_first(&study, &mut found);
        let most = most.unwrap_or(usize::MAX);
        let left_out = found.len().saturating_sub(most);
        let shown = found.into_iter().take(most).enumerate();
        let mut suspects: Vec<Suspect> =
            shown.map(|(i, (suspect, path))| told(&study, last, i + 1, &suspect, path)).collect();
        find_twins(&mut suspects);
        remember(&mut suspects, earlier, last);
        let program = study.kinds.program(&study.dominators);
        Suspects {
            schema: SCHEMA,
            dump: last.name.clone(),
            heap,
            program,
            threshold_bytes: threshold,
            suspects,
            left_out,
        }
    }

    fn none() -> Suspects {
        let (heap, program) = (Amount::default(), Amount::default());
        let (dump, suspects) = (String::new(), Vec::new());
        Suspects { schema: SCHEMA, dump, heap, program, threshold_bytes: 0, suspects, left_out: 0 }
    }
}

fn told(study: &Study<'_>, dump: &Dump<'_>, rank: usize, suspect: &suspects::Suspect, path: String) -> Suspect {
    let view = study.kinds.view();
    let type_name = study.kinds.type_name(suspect.node).to_owned();
    let address = view.address(suspect.node);
    let frees = frees(study, suspect);
    let also_held_by: Vec<String> = suspect.also.iter().map(|&node| study.path(node)).collect();
    let accumulates = suspect.contents.members.as_ref().map(|members| Accumulated {
        type_name: view.type_name(members.type_id).to_owned(),
        count: members.count,
        bytes: members.bytes,
        average_bytes: members.bytes / members.count.max(1),
        inside: suspect
            .contents
            .inner
            .as_ref()
            .map(|inner: &Group| Inside { type_name: view.type_name(inner.type_id).to_owned(), count: inner.count }),
        total: suspect.contents.total,
        types: suspect.contents.types,
    });
    let link = link(view, &suspect.shape);
    let kind = match suspect.shape {
        Shape::Container => "container",
        Shape::Shared => "shared",
        Shape::Single => "object",
        Shape::Chain { .. } => "chain",
    };
    let module = module_of(&path).map(str::to_owned);
    let package = module.as_deref().and_then(|module| package(view, module));
    let mut told = Suspect {
        rank,
        title: String::new(),
        explanation: String::new(),
        kind,
        address,
        type_name,
        path,
        retained_bytes: if suspect.shape == Shape::Shared {
            suspect.amount.bytes.max(frees.bytes)
        } else {
            frees.bytes
        },
        objects: if suspect.shape == Shape::Shared { suspect.amount.objects.max(frees.objects) } else { frees.objects },
        share: 0.0,
        accumulates,
        link,
        owner: Owner { module, package },
        part_of: part_of(study, suspect.node),
        also_held_by,
        twin: None,
        history: Vec::new(),
        next: next_commands(&dump.name, address, &suspect.shape),
    };
    told.share = percent(told.retained_bytes, study.dominators.total().bytes);
    told.title = title(&told, view.length(suspect.node));
    told.explanation = explanation(&told, frees);
    told
}

/// The nearest object above that is neither a container nor part of the program: a store, a session, a manager.
fn part_of(study: &Study<'_>, node: u32) -> Option<Part> {
    let above = std::iter::successors(study.dominators.dominator(node), |&node| study.dominators.dominator(node));
    let mut near = above.take(ABOVE).take_while(|&node| !study.kinds.is_program(node));
    let own = near.find(|&node| !study.kinds.is_container(node) && study.kinds.module_of_class(node).is_some())?;
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

fn package(view: &View, module: &str) -> Option<String> {
    let distribution = distribution(view, module)?;
    Some(format!("{} {}", distribution.name, distribution.version))
}

fn next_commands(dump: &str, address: u64, shape: &Shape) -> Vec<String> {
    let dump = quoted(dump);
    let mut commands = vec![
        format!("heapsee path {dump} --to 'address = {address}'"),
        format!("heapsee tree {dump} {address}"),
        format!("heapsee gc {dump} --drop 'address = {address}'"),
    ];
    if !matches!(shape, Shape::Chain { .. }) {
        let sql =
            format!("select type, count(*), sum(size) from obj where address in {address}& group by 1 order by 3 desc");
        commands.push(format!("heapsee query {dump} '{sql}'"));
    }
    commands
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "/._-+=:@%".contains(c));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// Half of the objects of one type speak for all.
fn is_mixed(accumulated: &Accumulated) -> bool {
    accumulated.types > 1 && accumulated.count * 2 < accumulated.total
}

/// What piles up, in words.
fn contents(accumulated: &Accumulated) -> String {
    let inside =
        accumulated.inside.as_ref().map(|inside| format!(" with {}", objects(inside.count, &inside.type_name)));
    let most = format!("{}{}", objects(accumulated.count, &accumulated.type_name), inside.unwrap_or_default());
    if is_mixed(accumulated) {
        format!("{} objects of {} types, among them {most}", thousands(accumulated.total), thousands(accumulated.types))
    } else {
        most
    }
}

fn title(told: &Suspect, length: Option<u64>) -> String {
    let (place, size) = (place(&told.path), bytes(told.retained_bytes));
    let of = told.part_of.as_ref().map(|part| format!(" of {}", part.type_name)).unwrap_or_default();
    let whole = format!("{place} ({}{of})", told.type_name);
    match (&told.accumulates, &told.link) {
        (_, Some(link)) => format!("{whole} begins a chain in which each link keeps the next: {link}, {size}"),
        (Some(accumulated), None) if told.kind != "object" => {
            format!("{whole} keeps {}, {size}", contents(accumulated))
        }
        _ => match length {
            Some(length) => format!("{whole} is a single object of length {}, {size}", thousands(length)),
            None => format!("{whole} is a single object of {size}"),
        },
    }
}

fn explanation(told: &Suspect, frees: Amount) -> String {
    let mut text = String::new();
    let share = format!("{:.1} % of the heap", told.share);
    match (&told.accumulates, &told.link) {
        (Some(accumulated), Some(link)) => {
            text += &format!(
                "Every link of this chain holds the next one: {link}. Nothing but the link before holds a link, so all of \
                 them live as long as the first: {} links of about {} each. ",
                thousands(accumulated.count),
                bytes(accumulated.average_bytes)
            );
        }
        (Some(accumulated), None) if told.kind != "object" => {
            let whose = if is_mixed(accumulated) { &accumulated.type_name } else { "each" };
            text += &format!(
                "It holds {}; {whose} keeps {} on average, {} together. ",
                contents(accumulated),
                bytes(accumulated.average_bytes),
                bytes(accumulated.bytes)
            );
        }
        _ => text += "Most of its bytes are its own, not those of other objects. ",
    }
    if told.kind == "shared" && told.also_held_by.is_empty() {
        text += &format!(
            "Each of them is held by others, too: dropping this place alone frees {}, all of them together keep {} ({share}). \
             `heapsee cut` says which references to drop. ",
            bytes(frees.bytes),
            bytes(told.retained_bytes)
        );
    } else if told.also_held_by.is_empty() {
        text +=
            &format!("Dropping it frees {} in {} objects ({share}). ", bytes(frees.bytes), thousands(frees.objects));
    } else {
        text += &format!(
            "The same objects are held by {}, too: dropping one of them frees little, dropping all of them {} in {} objects. ",
            told.also_held_by.iter().map(|path| place(path)).collect::<Vec<_>>().join(" and by "),
            bytes(frees.bytes),
            thousands(frees.objects)
        );
    }
    if let Some(part) = &told.part_of {
        let kept = bytes(part.retained_bytes);
        text += &format!("It belongs to {} at {}, which keeps {kept} in all. ", part.type_name, place(&part.path));
    }
    if let Some(module) = &told.owner.module {
        let package = told.owner.package.as_ref().map(|package| format!(" (package {package})")).unwrap_or_default();
        text += &format!("It is found from module {module}{package}. ");
    }
    text.trim_end().to_owned()
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

/// Looks the places up in earlier dumps.
fn remember(suspects: &mut [Suspect], earlier: &[Dump<'_>], last: &Dump<'_>) {
    if earlier.is_empty() {
        return;
    }
    for dump in earlier {
        let study = Study::of(dump.view);
        let threshold = suspects::threshold(study.dominators.total()) / EARLIER;
        let found: HashMap<String, (u64, u64)> = find(&study, threshold)
            .into_iter()
            .map(|(suspect, path)| (path, (suspect.contents.count(), frees(&study, &suspect).bytes)))
            .collect();
        for suspect in suspects.iter_mut() {
            let past = found.get(&suspect.path);
            let (count, retained_bytes) = (past.map(|past| past.0), past.map(|past| past.1));
            suspect.history.push(Past { dump: dump.name.clone(), count, retained_bytes });
        }
    }
    for suspect in suspects {
        let count = suspect.accumulates.as_ref().map(|accumulated| accumulated.count);
        let now = Past { dump: last.name.clone(), count, retained_bytes: Some(suspect.retained_bytes) };
        suspect.history.push(now);
        suspect.explanation += &growth(&suspect.history);
    }
}

/// The first figure and the last.
fn growth(history: &[Past]) -> String {
    let known = history.iter().filter_map(|past| Some((past, past.retained_bytes?)));
    let known: Vec<(&Past, u64)> = known.collect();
    match (known.first(), known.last()) {
        (Some((first, before)), Some((_, now))) if known.len() > 1 => {
            let count =
                |past: &Past| past.count.map(|count| format!("{} objects, ", thousands(count))).unwrap_or_default();
            format!(" In {} it had {}{}; now it has {}.", first.dump, count(first), bytes(*before), bytes(*now))
        }
        _ => " It was not there, or small, in the dumps before.".to_owned(),
    }
}
