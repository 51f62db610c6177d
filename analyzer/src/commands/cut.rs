//! `heapsee cut`: which references to drop.

use clap::Args;

use super::Reader;
use super::question::{DumpArgs, Question, print};
use crate::exit::Failure;
use crate::render;
use heapsee_heap::answers::cut::Cut;
use heapsee_heap::answers::study::Study;

/// Which references to drop so that some objects are freed: the best single one, and the fewest for all of them.
#[derive(Debug, Args)]
#[command(after_help = "\
A CONDITION is what can stand behind `where` in `select * from obj`, or an address. What is said to be freed was checked: the references
are dropped in a copy, and a collection is run there.

Examples:
  heapsee cut worker.dump \"type = 'Session'\"
  heapsee cut worker.dump 'address = 140110777660304' --json
  heapsee cut worker.dump \"type = 'Session' and size > 1000\" --max-refs 50")]
pub struct CutArgs {
    /// The dump.
    #[command(flatten)]
    pub dump: DumpArgs,
    /// The objects that are to go.
    #[arg(value_name = "CONDITION")]
    pub condition: String,
    /// Look for no set with more references than these.
    #[arg(long, visible_alias = "max-items", value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub max_refs: u16,
    /// Write JSON (schema heapsee.cut/1).
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(args: &CutArgs, reader: Reader) -> Result<(), Failure> {
    let question = Question::open(&args.dump, reader)?;
    let wanted = question.some_matching(&args.condition)?;
    let cut = Cut::of(&Study::of(&question.view), &args.condition, &wanted, usize::from(args.max_refs));
    print(&cut, args.json, |out, cut| render::dominators::cut(out, cut))
}
