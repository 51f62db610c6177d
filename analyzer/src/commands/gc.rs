//! `heapsee gc`: what would be freed if something were let go.

use clap::Args;

use super::Reader;
use super::question::{DumpArgs, Question, print};
use crate::exit::Failure;
use crate::render::answers;
use heapsee_heap::answers::freed::Freed;

/// What would be freed if nothing referred to some objects any more.
#[derive(Debug, Args)]
#[command(after_help = "\
A CONDITION is what can stand behind `where` in `select * from obj`, or an address.

Examples:
  heapsee gc worker.dump --drop 'address = 140110777660304'
  heapsee gc worker.dump --drop \"type = 'LruCache'\" --json")]
pub struct GcArgs {
    /// The dump.
    #[command(flatten)]
    pub dump: DumpArgs,
    /// Drop every reference to these objects.
    #[arg(long, value_name = "CONDITION")]
    pub drop: String,
    /// Write JSON (schema heapsee.gc/1).
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(args: &GcArgs, reader: Reader) -> Result<(), Failure> {
    let question = Question::open(&args.dump, reader)?;
    let objects = question.some_matching(&args.drop)?;
    print(&Freed::without(&question.view, &objects), args.json, |out, freed| answers::freed(out, freed))
}
