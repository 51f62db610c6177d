//! The sentences about a suspect, and the commands to type next. It finds nothing out: all figures are given.

use super::{Accumulated, Attribute, Inside, Suspect};
use crate::answers::words::{bytes, objects, place, thousands};
use crate::graph::Amount;
use crate::heap::RootReason;

/// `holders` are the addresses of all places that have to go.
pub(super) fn next_commands(dump: &str, told: &Suspect, holders: &[u64]) -> Vec<String> {
    let (dump, address) = (quoted(dump), told.address);
    let path = format!("heapsee path {dump} --to 'address = {address}'");
    let tree = format!("heapsee tree {dump} {address}");
    if told.kind == "unreached" {
        let of_type = told.type_name.replace('\'', "''");
        let sql = format!("select address, size, repr from obj where type = '{of_type}' limit 10");
        return vec![format!("heapsee query {dump} {}", quoted(&sql)), tree, path];
    }
    if told.kind == "modules" {
        let sql = "select address, name, retained from obj where type = 'module' order by retained desc limit 20";
        return vec![format!("heapsee query {dump} {}", quoted(sql)), tree, path];
    }
    if told.kind == "threads" {
        return vec![format!("heapsee threads {dump}"), tree];
    }
    let all = match holders {
        [one] => format!("address = {one}"),
        _ => format!("address in ({})", holders.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
    };
    let mut commands = vec![path, tree, format!("heapsee gc {dump} --drop '{all}'")];
    if told.kind != "chain" {
        let sql =
            format!("select type, count(*), sum(size) from obj where address in {address}& group by 1 order by 3 desc");
        commands.push(format!("heapsee query {dump} '{sql}'"));
    }
    let source = told.owner.attribute.as_ref().and_then(|found| Some((&found.name, found.file.as_ref()?)));
    commands.extend(source.map(|(name, file)| format!("grep -nw -e {} {}", quoted(name), quoted(file))));
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

/// `worker() at app.py:12`, of the name of a frame.
fn call(path: &str) -> &str {
    let name = path.strip_prefix("<frame ").unwrap_or(path);
    name.split([',', '>']).next().unwrap_or(name)
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

pub(super) fn title(told: &Suspect, length: Option<u64>) -> String {
    let place = place(&told.path);
    let own = bytes(told.retained_bytes);
    let size = format!("{own} in {} objects", thousands(told.objects));
    let of = told.part_of.as_ref().map(|part| format!(" of {}", part.type_name)).unwrap_or_default();
    let whole = format!("{place} ({}{of})", told.type_name);
    match (&told.accumulates, &told.link) {
        (Some(accumulated), _) if told.kind == "unreached" => {
            format!("{} that no root leads to keep {size}", contents(accumulated))
        }
        (Some(accumulated), _) if told.kind == "threads" => format!(
            "{} threads in {} keep {}{size}",
            thousands(accumulated.count),
            call(&told.path),
            accumulated.inside.as_ref().map(|inside| inside_of(inside) + ", ").unwrap_or_default()
        ),
        (Some(accumulated), _) if told.kind == "modules" => format!(
            "{} modules that were made at run time, {place} among them, keep {size}",
            thousands(accumulated.count)
        ),
        (_, Some(link)) => format!("{whole} begins a chain in which each link keeps the next: {link}, {size}"),
        (Some(accumulated), None) if told.kind != "object" => {
            format!("{whole} keeps {}, {size}", contents(accumulated))
        }
        _ => match length {
            Some(length) => format!("{whole} is a single object of length {}, {own}", thousands(length)),
            None => format!("{whole} is a single object of {own}"),
        },
    }
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

/// `frees` is what goes with all places that hold it, `alone` what goes with one of them at most.
pub(super) fn explanation(told: &Suspect, frees: Amount, alone: u64) -> String {
    let mut text = String::new();
    let share = format!("{:.1} % of the heap", told.share);
    if told.kind == "unreached" {
        return format!(
            "No module, frame or other root leads to them, and no container holds them: {share}. Either they refer to each \
             other in circles that the collector has not met yet (is it turned off, or frozen?), or C code holds them, as it \
             does the callbacks of atexit. If \
             a later dump has them still and gc.collect() in the worker frees nothing, it is C code. {} is one of them.",
            told.path
        );
    }
    if let (Some(accumulated), "threads") = (&told.accumulates, told.kind) {
        return format!(
            "{} threads are in {} at once, each with a frame and variables of its own, which keep {} on average and {} \
             together: {share}. They keep them until the call ends; if these threads wait for something that never comes, \
             that is never. One of the frames is {}.",
            thousands(accumulated.count),
            call(&told.path),
            bytes(accumulated.average_bytes),
            bytes(told.retained_bytes),
            told.path
        );
    }
    if let (Some(accumulated), "modules") = (&told.accumulates, told.kind) {
        let of_file = match &told.owner.file {
            Some(file) => format!("All of them were made of {file}"),
            None => "None of them has a file, and no importer has made them".to_owned(),
        };
        return format!(
            "{of_file}. A program makes one module of a file and keeps it; here there are {}, which keep {} on average and {} \
             together: {share}. They are kept under their names in sys.modules, or by whoever made them, until they are \
             removed there.",
            thousands(accumulated.count),
            bytes(accumulated.average_bytes),
            bytes(told.retained_bytes)
        );
    }
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
            "The same objects are held by {}, too: dropping one of them frees at most {}, dropping all of them {} in {} objects. ",
            told.also_held_by.iter().map(|path| place(path)).collect::<Vec<_>>().join(" and by "),
            bytes(alone),
            bytes(frees.bytes),
            thousands(frees.objects)
        );
    }
    if let Some(part) = &told.part_of {
        let kept = bytes(part.retained_bytes);
        text += &format!("It belongs to {} at {}, which keeps {kept} in all. ", part.type_name, place(&part.path));
    }
    text += outside(told.outside);
    if let Some(module) = &told.owner.module {
        let package = told.owner.package.as_ref().map(|package| format!(" (package {package})")).unwrap_or_default();
        let file = told.owner.file.as_ref().map(|file| format!(", {file}")).unwrap_or_default();
        text += &format!("It is found from module {module}{package}{file}. ");
    }
    if let Some(Attribute { name, module, class, file, line }) = &told.owner.attribute {
        let whose = class.as_ref().map(|class| format!("class {class} of ")).unwrap_or_default();
        // The file of the module above need not be named twice.
        let line = line.map(|line| format!(":{line}"));
        let file = file.as_ref().filter(|_| line.is_some() || told.owner.module.as_ref() != Some(module));
        let file = file.map(|file| format!(", {file}{}", line.unwrap_or_default())).unwrap_or_default();
        text += &format!("What fills it goes by the name {name} of {whose}module {module}{file}. ");
    }
    text.trim_end().to_owned()
}
