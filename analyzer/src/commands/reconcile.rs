//! `heapsee reconcile`: the process's memory against the heap.

use clap::Args;

use super::Reader;
use super::question::{DumpArgs, Question, most, print};
use crate::exit::Failure;
use crate::render;
use heapsee_heap::answers::reconcile::Reconcile;

/// Whether resident memory is in Python objects at all: objects, allocator, mapped files, and the rest.
#[derive(Debug, Args)]
#[command(after_help = "\
Needs the sidecar, which has what the kernel counted when the dump was taken.

Examples:
  heapsee reconcile worker.dump
  heapsee reconcile worker.dump --json | jq '.verdict'")]
pub struct ReconcileArgs {
    /// The dump.
    #[command(flatten)]
    pub dump: DumpArgs,
    /// Show this many types that point at memory outside of the heap; 0 for all.
    #[arg(long, default_value_t = 15, value_name = "N")]
    pub max_items: usize,
    /// Write JSON (schema heapsee.reconcile/1).
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(args: &ReconcileArgs, reader: Reader) -> Result<(), Failure> {
    let question = Question::open(&args.dump, reader)?;
    let reconcile = Reconcile::of(&question.view, most(args.max_items));
    print(&reconcile, args.json, |out, reconcile| render::process::reconcile(out, reconcile))
}
