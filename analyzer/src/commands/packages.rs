//! `heapsee packages`: the heap by package.

use clap::Args;

use super::Reader;
use super::question::{DumpArgs, Question, most, print};
use crate::exit::Failure;
use crate::render;
use heapsee_heap::answers::packages::Packages;

/// Bytes by package: distributions, the application's own modules, the standard library.
#[derive(Debug, Args)]
#[command(after_help = "\
Shallow: what is a package's own (modules, functions, classes, instances), and what hangs from that without being
anybody else's. Retained: what would go if its own went.

Examples:
  heapsee packages worker.dump
  heapsee packages worker.dump --json | jq '.packages[] | select(.kind == \"application\")'")]
pub struct PackagesArgs {
    /// The dump.
    #[command(flatten)]
    pub dump: DumpArgs,
    /// Show this many packages; 0 for all.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub max_items: usize,
    /// Write JSON (schema heapsee.packages/1).
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(args: &PackagesArgs, reader: Reader) -> Result<(), Failure> {
    let question = Question::open(&args.dump, reader)?;
    let packages = Packages::of(&question.view, most(args.max_items));
    print(&packages, args.json, |out, packages| render::process::packages(out, packages))
}
