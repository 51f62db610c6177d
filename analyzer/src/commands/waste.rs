//! `heapsee waste` and `heapsee duplicates`: memory that could be had without letting go of anything.

use clap::Args;

use super::Reader;
use super::question::{DumpArgs, Question, most, print};
use crate::exit::Failure;
use crate::render;
use heapsee_heap::answers::duplicates::Duplicates;
use heapsee_heap::answers::waste::Waste;

/// What could be saved: unused room, empty containers, attribute dicts, copies, boxed numbers; and where.
#[derive(Debug, Args)]
#[command(after_help = "\
A path with [*] stands for all elements of a container.

Examples:
  heapsee waste worker.dump
  heapsee waste worker.dump --max-items 3
  heapsee waste worker.dump --json | jq '.kinds[] | {kind, bytes}'")]
pub struct WasteArgs {
    /// The dump.
    #[command(flatten)]
    pub dump: DumpArgs,
    /// Show this many places of each kind; 0 for all.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub max_items: usize,
    /// Write JSON (schema heapsee.waste/1).
    #[arg(long)]
    pub json: bool,
}

/// What is there more than once: equal strings, bytes, ints, tuples, and lists, sets and dicts as they are now.
#[derive(Debug, Args)]
#[command(after_help = "\
Sizes are shallow, so that nothing is counted twice. Lists, sets and dicts may change and cannot simply be shared.

Examples:
  heapsee duplicates worker.dump
  heapsee duplicates worker.dump --json --max-items 0 > copies.json")]
pub struct DuplicatesArgs {
    /// The dump.
    #[command(flatten)]
    pub dump: DumpArgs,
    /// Show this many values; 0 for all.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub max_items: usize,
    /// Write JSON (schema heapsee.duplicates/1).
    #[arg(long)]
    pub json: bool,
}

/// Runs `heapsee waste`.
pub fn run_waste(args: &WasteArgs, reader: Reader) -> Result<(), Failure> {
    let question = Question::open(&args.dump, reader)?;
    let waste = Waste::of(&question.view, most(args.max_items));
    print(&waste, args.json, |out, waste| render::waste::waste(out, waste))
}

/// Runs `heapsee duplicates`.
pub fn run_duplicates(args: &DuplicatesArgs, reader: Reader) -> Result<(), Failure> {
    let question = Question::open(&args.dump, reader)?;
    let duplicates = Duplicates::of(&question.view, most(args.max_items));
    print(&duplicates, args.json, |out, duplicates| render::waste::duplicates(out, duplicates))
}
