//! `heapsee path`: what holds an object.

use clap::Args;
use fixedbitset::FixedBitSet;

use super::Reader;
use super::question::{DumpArgs, Question, print};
use crate::exit::Failure;
use crate::render::answers;
use heapsee_heap::answers::merged::Merged;
use heapsee_heap::answers::path::{Paths, Search};
use heapsee_heap::heap::View;

/// What holds some objects: shortest paths to them, each as a Python expression.
#[derive(Debug, Args)]
#[command(after_help = "\
A CONDITION is what can stand behind `where` in `select * from obj`, or an address; `0&` are the roots, `ADDRESS&` an object's
children.

Examples:
  heapsee path worker.dump --to \"type = 'XMLModuleStore'\"
  heapsee path worker.dump --to 'address = 140110777660304' --all 5
  heapsee path worker.dump --to \"type = 'Session'\" --avoid frame,module
  heapsee path worker.dump --to \"type = 'Session'\" --merge
  heapsee path worker.dump --from \"name = 'app.cache'\" --to \"type = 'dict' and size > 1000000\" --json")]
pub struct PathArgs {
    /// The dump.
    #[command(flatten)]
    pub dump: DumpArgs,
    /// Where paths start.
    #[arg(long, value_name = "CONDITION", default_value = "address in 0&")]
    pub from: String,
    /// Where they end.
    #[arg(long, value_name = "CONDITION")]
    pub to: String,
    /// Search against the references: from what is held to what holds it.
    #[arg(long)]
    pub reversed: bool,
    /// Show this many paths, each by another last reference.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub all: u32,
    /// Do not go through objects of these types (`weakref` stands for `weakref.weakref`, too).
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    pub avoid: Vec<String>,
    /// Show the ways to all objects at once, merged where they go through the same types.
    #[arg(long, conflicts_with_all = ["all", "reversed"])]
    pub merge: bool,
    /// Write JSON (schema heapsee.path/1; with --merge heapsee.merged-paths/1).
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(args: &PathArgs, reader: Reader) -> Result<(), Failure> {
    let question = Question::open(&args.dump, reader)?;
    if args.merge {
        let from = question.some_matching(&args.from)?;
        let to = question.some_matching(&args.to)?;
        let merged = Merged::find(&question.view, &from, &to, &of_types(&question.view, &args.avoid));
        return print(&merged, args.json, |out, merged| answers::merged(out, merged));
    }
    let search = Search {
        from: &question.some_matching(&args.from)?,
        to: &question.some_matching(&args.to)?,
        reversed: args.reversed,
        avoid: &of_types(&question.view, &args.avoid),
        most: args.all as usize,
    };
    print(&Paths::find(&question.view, &search), args.json, |out, paths| answers::paths(out, paths))
}

/// The objects of these types, named whole or by the last part of their name.
fn of_types(view: &View, names: &[String]) -> FixedBitSet {
    let mut nodes = FixedBitSet::with_capacity(view.node_bound() as usize);
    let heap = view.heap();
    for type_id in 0..heap.type_count() {
        let type_name = heap.type_name(type_id);
        let last = type_name.rsplit('.').next().unwrap_or_default();
        if names.iter().any(|name| name == type_name || name == last) {
            nodes.extend(heap.objects_by_type().of_type(type_id).iter().map(|&node| node as usize));
        }
    }
    nodes
}
