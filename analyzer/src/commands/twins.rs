//! `heapsee twins`: what is loaded twice.

use clap::Args;

use super::Reader;
use super::question::{DumpArgs, Question, most, print};
use crate::exit::Failure;
use crate::render;
use heapsee_heap::answers::study::Study;
use heapsee_heap::answers::twins::Twins;

/// What is loaded twice: large parts of the heap that are equal or nearly so, and where each of them hangs.
#[derive(Debug, Args)]
#[command(after_help = "\
A part is an object with all it alone keeps. Shape: types, below which types, how many. Content: strings, bytes, ints.
For equal strings and containers see `heapsee duplicates`.

Examples:
  heapsee twins worker.dump
  heapsee twins worker.dump --min-bytes 100000
  heapsee twins worker.dump --json | jq '.groups[0].members[].path'")]
pub struct TwinsArgs {
    /// The dump.
    #[command(flatten)]
    pub dump: DumpArgs,
    /// Leave out twins with fewer bytes to spare [default: a hundredth of the heap].
    #[arg(long, value_name = "BYTES")]
    pub min_bytes: Option<u64>,
    /// Show this many groups; 0 for all.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub max_items: usize,
    /// Write JSON (schema heapsee.twins/1).
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(args: &TwinsArgs, reader: Reader) -> Result<(), Failure> {
    let question = Question::open(&args.dump, reader)?;
    let study = Study::of(&question.view);
    let twins = Twins::of(&study, args.min_bytes, most(args.max_items));
    print(&twins, args.json, |out, twins| render::twins::twins(out, twins))
}
