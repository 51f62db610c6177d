//! The commands: their names, what they do in words, and the code behind each.

use super::{CommandError, Flow, Shell, verbs};

/// One command.
pub(super) struct Verb {
    pub(super) name: &'static str,
    /// How it is typed.
    usage: &'static str,
    /// What it does; the first line is shown in the list.
    text: &'static str,
    pub(super) run: fn(&mut Shell<'_>, &str) -> Result<Flow, CommandError>,
}

/// Every command, in the order in which `help` shows them.
pub(super) const VERBS: &[Verb] = &[
    Verb {
        name: "read",
        usage: verbs::session::READ,
        text: "read a dump (plain, gzip or zstd); it becomes the current generation\n\
               Each dump read is a generation of its own: the current one is in the tables obj and ref, and every one \
               is in objN and refN.",
        run: verbs::session::read,
    },
    Verb {
        name: "create",
        usage: verbs::session::CREATE,
        text: "make a session database: it keeps generations, changes and names; dumps stay where they are",
        run: verbs::session::create,
    },
    Verb {
        name: "open",
        usage: verbs::session::OPEN,
        text: "open a session database; its dumps are read again from where they are",
        run: verbs::session::open,
    },
    Verb { name: "stats", usage: "stats", text: "count objects, references and bytes", run: verbs::graph::stats },
    Verb {
        name: "select",
        usage: "select … [--json | --csv]",
        text: "run a query and keep its rows as #N\n\
               obj(address, type, name, value, size, len, mark, repr), ref(parent, child); roots are children of 0.\n\
               Columns that * leaves out tell more (retained, module, thread, edge, …): see `schema`.\n\
               --json (schema heapsee.query/1) and --csv at the end write rows for programs.\n\
               X& children of X, X^ parents of X (0&& and so on); X is an address, $name, #N.i or #N.column.\n\
               #N.i is the address in row i of result N; #N.column is that column as a list; $name is a defined name.",
        run: verbs::query::select,
    },
    Verb { name: "schema", usage: "schema", text: "tell the tables, their columns and what these mean", run: schema },
    Verb {
        name: "path",
        usage: verbs::graph::PATH,
        text: "show a shortest path from objects to objects, along children (or parents)\n\
               Example: path from \"address in 0&\" to \"type = 'dict' and size > 100000\"",
        run: verbs::graph::path,
    },
    Verb { name: "info", usage: verbs::query::INFO, text: "show one object", run: verbs::query::info },
    Verb {
        name: "parents",
        usage: verbs::query::PARENTS,
        text: "show the objects that refer to an object",
        run: verbs::query::parents,
    },
    Verb {
        name: "kids",
        usage: verbs::query::KIDS,
        text: "show an object and what hangs on it, level by level\n\
               A level shows the referents of the level before; only those with one referrer are followed further.",
        run: verbs::query::kids,
    },
    Verb {
        name: "ancestor_types",
        usage: verbs::graph::ANCESTOR_TYPES,
        text: "count the types of all ancestors by distance, not going past modules",
        run: verbs::graph::ancestor_types,
    },
    Verb {
        name: "delete",
        usage: "delete from ref|obj where …",
        text: "delete references or objects (from the session, never from the dump)",
        run: verbs::query::delete,
    },
    Verb {
        name: "insert",
        usage: "insert into ref|obj (…) …",
        text: "add references or objects to the session",
        run: verbs::query::insert,
    },
    Verb {
        name: "update",
        usage: "update obj|ref set … where …",
        text: "change objects or references in the session",
        run: verbs::query::update,
    },
    Verb {
        name: "pin",
        usage: verbs::query::PIN,
        text: "make objects roots, so that gc keeps them",
        run: verbs::query::pin,
    },
    Verb {
        name: "gc",
        usage: "gc",
        text: "mark what is reachable from 0, delete the rest\n\
               After it, `mark` is each object's distance from 0.",
        run: verbs::graph::gc,
    },
    Verb {
        name: "continue_gc",
        usage: "continue_gc",
        text: "as gc, but what is marked stays marked",
        run: verbs::graph::continue_gc,
    },
    Verb {
        name: "gen",
        usage: verbs::session::GEN,
        text: "show or choose the current generation",
        run: verbs::session::generation,
    },
    Verb { name: "set", usage: verbs::names::SET, text: "list names, or define one", run: verbs::names::set },
    Verb { name: "echo", usage: "echo …", text: "show text after substitution", run: verbs::names::echo },
    Verb { name: "width", usage: verbs::names::WIDTH, text: "set columns' widths", run: verbs::names::width },
    Verb {
        name: "shell",
        usage: "shell SQL   or   !SQL",
        text: "run any SQL in the session database, showing nothing",
        run: verbs::query::shell,
    },
    Verb {
        name: "with", usage: "with … select …", text: "run a query that begins with with", run: verbs::query::with
    },
    Verb {
        name: "explain",
        usage: "explain query plan select …",
        text: "show how SQLite would run a query",
        run: verbs::query::explain,
    },
    Verb {
        name: "backup",
        usage: "backup",
        text: "keep a copy of the session database; there is one level of it",
        run: verbs::session::backup,
    },
    Verb { name: "restore", usage: "restore", text: "go back to the backup", run: verbs::session::restore },
    Verb { name: "debug", usage: "debug", text: "show SQL and its timing, or no more", run: verbs::names::debug },
    Verb { name: "help", usage: "help [COMMAND]   or   ?", text: "show this, or more of one command", run: help },
    Verb { name: "exit", usage: "exit   or end of input", text: "leave the shell", run: exit },
    Verb { name: "quit", usage: "quit", text: "leave the shell", run: exit },
    Verb { name: "EOF", usage: "EOF", text: "leave the shell", run: exit },
];

/// The command called `name`, in any case.
pub(super) fn find(name: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.name.eq_ignore_ascii_case(name))
}

fn help(shell: &mut Shell<'_>, topic: &str) -> Result<Flow, CommandError> {
    if topic.is_empty() {
        for verb in VERBS {
            let summary = verb.text.lines().next().unwrap_or_default();
            writeln!(shell.out, "{:<15} {summary}", verb.name)?;
        }
        writeln!(shell.out, "\n`help COMMAND` tells more.")?;
        return Ok(Flow::Continue);
    }
    let verb = find(topic).ok_or_else(|| CommandError::Unknown(topic.to_owned()))?;
    writeln!(shell.out, "{}\n\n{}", verb.usage, verb.text)?;
    Ok(Flow::Continue)
}

fn schema(shell: &mut Shell<'_>, _argument: &str) -> Result<Flow, CommandError> {
    shell.out.write_all(include_bytes!("../../docs/sql.md"))?;
    Ok(Flow::Continue)
}

fn exit(_shell: &mut Shell<'_>, _argument: &str) -> Result<Flow, CommandError> {
    Ok(Flow::Exit)
}
