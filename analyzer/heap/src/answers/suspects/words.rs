//! The words for each kind of suspect: its title, its explanation, and the commands to type next. This is the one place
//! for them. It finds nothing out: all figures are given.

use super::{Accumulated, Attribute, Inside, Suspect};
use crate::answers::words::{bytes, objects, thousands};
use crate::graph::Amount;
use crate::heap::RootReason;
use crate::naming::Expression;
use crate::suspects::SuspectKind;

/// What the words need beside the suspect itself.
pub(super) struct Facts<'a> {
    /// The dump, as it was named.
    pub dump: &'a str,
    /// The elements of the object, if it has any.
    pub length: Option<u64>,
    /// What goes with all places that hold it.
    pub frees: Amount,
    /// What goes with one of them at most.
    pub alone: u64,
    /// The addresses of all places that have to go.
    pub holders: Vec<u64>,
}

/// What is said of one suspect.
pub(super) struct Words {
    /// The finding in one line.
    pub title: String,
    /// The same with its evidence.
    pub explanation: String,
    /// Commands that show more.
    pub next: Vec<String>,
}

/// The words for a suspect of any kind.
pub(super) fn describe(suspect: &Suspect, facts: &Facts<'_>) -> Words {
    let piled = suspect.accumulates.as_ref();
    match (&suspect.kind, piled) {
        (SuspectKind::Unreached, Some(piled)) => unreached(suspect, piled, facts),
        (SuspectKind::Threads, Some(piled)) => threads(suspect, piled, facts),
        (SuspectKind::Modules, Some(piled)) => modules(suspect, piled, facts),
        (SuspectKind::Chain { .. }, Some(piled)) => chain(suspect, piled, facts),
        (SuspectKind::Container | SuspectKind::Shared, Some(piled)) => container(suspect, piled, facts),
        (SuspectKind::Object, _)
        | (
            SuspectKind::Unreached
            | SuspectKind::Threads
            | SuspectKind::Modules
            | SuspectKind::Chain { .. }
            | SuspectKind::Container
            | SuspectKind::Shared,
            None,
        ) => object(suspect, facts),
    }
}

/// Something piles up in a place.
fn container(suspect: &Suspect, piled: &Accumulated, facts: &Facts<'_>) -> Words {
    let whose = if is_mixed(piled) { &piled.type_name } else { "each" };
    let explanation = format!(
        "It holds {}; {whose} keeps {} on average, {} together. ",
        contents(piled),
        bytes(piled.average_bytes),
        bytes(piled.bytes)
    );
    Words {
        title: format!("{} keeps {}, {}", whole(suspect), contents(piled), size(suspect)),
        explanation: explanation + &whereabouts(suspect, facts),
        next: with_members(suspect, facts),
    }
}

/// One object is big.
fn object(suspect: &Suspect, facts: &Facts<'_>) -> Words {
    let (whole, own) = (whole(suspect), bytes(suspect.retained_bytes));
    let title = match facts.length {
        Some(length) => format!("{whole} is a single object of length {}, {own}", thousands(length)),
        None => format!("{whole} is a single object of {own}"),
    };
    let explanation = "Most of its bytes are its own, not those of other objects. ".to_owned();
    let next = with_members(suspect, facts);
    Words { title, explanation: explanation + &whereabouts(suspect, facts), next }
}

/// Each link keeps the next.
fn chain(suspect: &Suspect, piled: &Accumulated, facts: &Facts<'_>) -> Words {
    let link = suspect.link.as_deref().unwrap_or_default();
    let explanation = format!(
        "Every link of this chain holds the next one: {link}. Nothing but the link before holds a link, so all of \
         them live as long as the first: {} links of about {} each. ",
        thousands(piled.count),
        bytes(piled.average_bytes)
    );
    let mut next = around(suspect, facts).to_vec();
    next.push(dropping(facts));
    next.extend(source(suspect));
    Words {
        title: format!(
            "{} begins a chain in which each link keeps the next: {link}, {}",
            whole(suspect),
            size(suspect)
        ),
        explanation: explanation + &whereabouts(suspect, facts),
        next,
    }
}

/// No root leads to many objects.
fn unreached(suspect: &Suspect, piled: &Accumulated, facts: &Facts<'_>) -> Words {
    let of_type = suspect.type_name.replace('\'', "''");
    let sql = format!("select address, size, repr from obj where type = '{of_type}' limit 10");
    let [path, tree] = around(suspect, facts);
    Words {
        title: format!("{} that no root leads to keep {}", contents(piled), size(suspect)),
        explanation: format!(
            "No module, frame or other root leads to them, and no container holds them: {}. Either they refer to each \
             other in circles that the collector has not met yet (is it turned off, or frozen?), or C code holds them, as it \
             does the callbacks of atexit. If \
             a later dump has them still and gc.collect() in the worker frees nothing, it is C code. {} is one of them.",
            share(suspect),
            suspect.path
        ),
        next: vec![query(facts, &sql), tree, path],
    }
}

/// Many threads are in one function.
fn threads(suspect: &Suspect, piled: &Accumulated, facts: &Facts<'_>) -> Words {
    let (count, call) = (thousands(piled.count), suspect.path.call());
    let inside = piled.inside.as_ref().map(|inside| inside_of(inside) + ", ").unwrap_or_default();
    let [_, tree] = around(suspect, facts);
    Words {
        title: format!("{count} threads in {call} keep {inside}{}", size(suspect)),
        explanation: format!(
            "{count} threads are in {call} at once, each with a frame and variables of its own, which keep {} on average and \
             {} together: {}. They keep them until the call ends; if these threads wait for something that never comes, \
             that is never. One of the frames is {}.",
            bytes(piled.average_bytes),
            bytes(suspect.retained_bytes),
            share(suspect),
            suspect.path
        ),
        next: vec![format!("heapsee threads {}", quoted(facts.dump)), tree],
    }
}

/// Modules are made again and again.
fn modules(suspect: &Suspect, piled: &Accumulated, facts: &Facts<'_>) -> Words {
    let count = thousands(piled.count);
    let of_file = match &suspect.owner.file {
        Some(file) => format!("All of them were made of {file}"),
        None => "None of them has a file, and no importer has made them".to_owned(),
    };
    let sql = "select address, name, retained from obj where type = 'module' order by retained desc limit 20";
    let [path, tree] = around(suspect, facts);
    Words {
        title: format!(
            "{count} modules that were made at run time, {} among them, keep {}",
            suspect.path.place(),
            size(suspect)
        ),
        explanation: format!(
            "{of_file}. A program makes one module of a file and keeps it; here there are {count}, which keep {} on average \
             and {} together: {}. They are kept under their names in sys.modules, or by whoever made them, until they are \
             removed there.",
            bytes(piled.average_bytes),
            bytes(suspect.retained_bytes),
            share(suspect)
        ),
        next: vec![query(facts, sql), tree, path],
    }
}

/// How to get to the place, and what it keeps.
fn around(suspect: &Suspect, facts: &Facts<'_>) -> [String; 2] {
    let (dump, address) = (quoted(facts.dump), suspect.address);
    [format!("heapsee path {dump} --to 'address = {address}'"), format!("heapsee tree {dump} {address}")]
}

/// What letting go of all places would free.
fn dropping(facts: &Facts<'_>) -> String {
    let all = match &facts.holders[..] {
        [one] => format!("address = {one}"),
        holders => format!("address in ({})", holders.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
    };
    format!("heapsee gc {} --drop '{all}'", quoted(facts.dump))
}

/// The attribute in the source.
fn source(suspect: &Suspect) -> Option<String> {
    let attribute = suspect.owner.attribute.as_ref()?;
    Some(format!("grep -nw -e {} {}", quoted(&attribute.name), quoted(attribute.file.as_ref()?)))
}

fn query(facts: &Facts<'_>, sql: &str) -> String {
    format!("heapsee query {} {}", quoted(facts.dump), quoted(sql))
}

/// The commands for a place whose members can be looked at.
fn with_members(suspect: &Suspect, facts: &Facts<'_>) -> Vec<String> {
    let mut commands = around(suspect, facts).to_vec();
    commands.push(dropping(facts));
    let address = suspect.address;
    let sql =
        format!("select type, count(*), sum(size) from obj where address in {address}& group by 1 order by 3 desc");
    commands.push(format!("heapsee query {} '{sql}'", quoted(facts.dump)));
    commands.extend(source(suspect));
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

fn inside_of(inside: &Inside) -> String {
    objects(inside.count, &inside.type_name)
}

/// What piles up, in words.
fn contents(accumulated: &Accumulated) -> String {
    let inside = accumulated.inside.as_ref().map(|inside| format!(" with {}", inside_of(inside)));
    let most = match &accumulated.inside {
        Some(inside) if inside.type_name == accumulated.type_name => {
            let tops = objects(accumulated.count, &accumulated.type_name);
            format!("{tops} ({} with those below)", thousands(inside.count))
        }
        _ => {
            let calls = accumulated.calls.as_ref().map(|name| format!(" of {name}()")).unwrap_or_default();
            let most = objects(accumulated.count, &accumulated.type_name);
            format!("{most}{calls}{}", inside.unwrap_or_default())
        }
    };
    if is_mixed(accumulated) {
        format!("{} objects of {} types, among them {most}", thousands(accumulated.total), thousands(accumulated.types))
    } else {
        most
    }
}

/// The place with its type, and whose it is.
fn whole(suspect: &Suspect) -> String {
    let of = suspect.part_of.as_ref().map(|part| format!(" of {}", part.type_name)).unwrap_or_default();
    format!("{} ({}{of})", suspect.path.place(), suspect.type_name)
}

fn size(suspect: &Suspect) -> String {
    format!("{} in {} objects", bytes(suspect.retained_bytes), thousands(suspect.objects))
}

fn share(suspect: &Suspect) -> String {
    format!("{:.1} % of the heap", suspect.share)
}

/// What it means that no root leads to a place.
fn outside(reason: Option<RootReason>) -> &'static str {
    match reason {
        Some(RootReason::NoReferrer) => {
            "No root leads to it and no object holds it: C code does, as it does the callbacks of atexit. "
        }
        Some(_) => "No root leads to it: it is garbage that the collector has not met yet, unless C code holds it. ",
        None => "",
    }
}

/// What dropping a place frees, and whose it is.
fn whereabouts(suspect: &Suspect, facts: &Facts<'_>) -> String {
    let mut text = freed(suspect, facts);
    if let Some(part) = &suspect.part_of {
        let kept = bytes(part.retained_bytes);
        text += &format!("It belongs to {} at {}, which keeps {kept} in all. ", part.type_name, part.path.place());
    }
    text += outside(suspect.outside);
    if let Some(module) = &suspect.owner.module {
        let package = suspect.owner.package.as_ref().map(|package| format!(" (package {package})")).unwrap_or_default();
        let file = suspect.owner.file.as_ref().map(|file| format!(", {file}")).unwrap_or_default();
        text += &format!("It is found from module {module}{package}{file}. ");
    }
    if let Some(Attribute { name, module, class, file, line }) = &suspect.owner.attribute {
        let whose = class.as_ref().map(|class| format!("class {class} of ")).unwrap_or_default();
        // The file of the module above need not be named twice.
        let line = line.map(|line| format!(":{line}"));
        let file = file.as_ref().filter(|_| line.is_some() || suspect.owner.module.as_ref() != Some(module));
        let file = file.map(|file| format!(", {file}{}", line.unwrap_or_default())).unwrap_or_default();
        text += &format!("What fills it goes by the name {name} of {whose}module {module}{file}. ");
    }
    text.trim_end().to_owned()
}

fn freed(suspect: &Suspect, facts: &Facts<'_>) -> String {
    let (frees, share) = (facts.frees, share(suspect));
    let is_shared = matches!(suspect.kind, SuspectKind::Shared);
    if is_shared && suspect.also_held_by.is_empty() {
        return format!(
            "Each of them is held by others, too: dropping this place alone frees {}, all of them together keep {} ({share}). \
             `heapsee cut` says which references to drop. ",
            bytes(frees.bytes),
            bytes(suspect.retained_bytes)
        );
    }
    if suspect.also_held_by.is_empty() {
        return format!("Dropping it frees {} in {} objects ({share}). ", bytes(frees.bytes), thousands(frees.objects));
    }
    format!(
        "The same objects are held by {}, too: dropping one of them frees at most {}, dropping all of them {} in {} objects. ",
        suspect.also_held_by.iter().map(Expression::place).collect::<Vec<_>>().join(" and by "),
        bytes(facts.alone),
        bytes(frees.bytes),
        thousands(frees.objects)
    )
}
