//! `heapsee suspects`: what holds the memory, without a question being asked.

use std::path::PathBuf;

use clap::Args;

use super::Reader;
use super::question::{DumpArgs, Question, limit, print};
use crate::exit::Failure;
use crate::render;
use heapsee_heap::answers::suspects::{Dump, Suspects};

/// What holds the memory: the few containers, objects and chains that keep most of it, and what to do next.
#[derive(Debug, Args)]
#[command(after_help = "\
What every Python process has (modules, classes, functions, code, docstrings) is never a suspect. If nothing stands out,
it says so, and the exit code is 0. Of several dumps of one application, give the latest last: the ones before it say
since when, and what has grown comes first.

Examples:
  heapsee suspects worker.dump
  heapsee suspects monday.dump tuesday.dump wednesday.dump
  heapsee suspects worker.dump --json --max-items 3 | jq -r '.suspects[].title'")]
pub struct SuspectsArgs {
    /// The dumps: plain, .gz or .zst; the latest last.
    #[arg(required = true)]
    pub dumps: Vec<PathBuf>,
    /// Read what there is of a dump that was cut off or damaged.
    #[arg(long)]
    pub salvage: bool,
    /// Tell of places from so many bytes on, instead of what matters in a heap of this size (at least 0.75 MB).
    #[arg(long, value_name = "BYTES")]
    pub at_least: Option<u64>,
    /// Show this many; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub max_items: usize,
    /// Write JSON (schema heapsee.suspects/1).
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(args: &SuspectsArgs, reader: Reader) -> Result<(), Failure> {
    let open = |dump: &PathBuf| Question::open(&DumpArgs { dump: dump.clone(), salvage: args.salvage }, reader);
    let questions = args.dumps.iter().map(open).collect::<Result<Vec<Question>, Failure>>()?;
    let named = args.dumps.iter().zip(&questions);
    let dumps: Vec<Dump<'_>> =
        named.map(|(path, question)| Dump { name: path.display().to_string(), view: &question.view }).collect();
    let report = Suspects::of(&dumps, args.at_least, limit(args.max_items));
    print(&report, args.json, |out, report| render::suspects::suspects(out, report))
}
