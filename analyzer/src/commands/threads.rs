//! `heapsee threads`: what threads hold through their stacks.

use clap::Args;

use super::Reader;
use super::question::{DumpArgs, Question, most, print};
use crate::exit::Failure;
use crate::render;
use heapsee_heap::answers::study::Study;
use heapsee_heap::answers::threads::Threads;

/// What each thread holds through its stack and nobody else does, by frame; what asyncio tasks and greenlets keep.
#[derive(Debug, Args)]
#[command(after_help = "\
Needs the sidecar, which has the stacks. A request is shown where a frame or task has a WSGI environment or an ASGI scope.

Examples:
  heapsee threads worker.dump
  heapsee threads worker.dump --json | jq '.threads[] | {ident, request, bytes: .alone.bytes}'")]
pub struct ThreadsArgs {
    /// The dump.
    #[command(flatten)]
    pub dump: DumpArgs,
    /// Show this many threads, and as many tasks; 0 for all.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub max_items: usize,
    /// Write JSON (schema heapsee.threads/1).
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(args: &ThreadsArgs, reader: Reader) -> Result<(), Failure> {
    let question = Question::open(&args.dump, reader)?;
    let threads = Threads::of(&Study::of(&question.view), most(args.max_items));
    print(&threads, args.json, |out, threads| render::process::threads(out, threads))
}
