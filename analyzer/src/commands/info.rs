//! `heapsee info` and `heapsee refs`: one object, and what is around it.

use clap::Args;

use super::Reader;
use super::question::{DumpArgs, Question, limit, print};
use crate::exit::Failure;
use crate::render::answers;
use heapsee_heap::answers::object::{Info, Refs};

/// One object: what it is, and what holds it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  heapsee info worker.dump 140110777660304")]
pub struct InfoArgs {
    /// The dump.
    #[command(flatten)]
    pub dump: DumpArgs,
    /// The object's address, in decimal or as 0x….
    pub address: String,
    /// Write JSON (schema heapsee.info/1).
    #[arg(long)]
    pub json: bool,
}

/// What an object refers to, or what refers to it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  heapsee refs worker.dump 140110777660304
  heapsee refs worker.dump 140110777660304 --parents --limit 0 --json")]
pub struct RefsArgs {
    /// The dump.
    #[command(flatten)]
    pub dump: DumpArgs,
    /// The object's address, in decimal or as 0x….
    pub address: String,
    /// What refers to it instead of what it refers to.
    #[arg(long)]
    pub parents: bool,
    /// Show this many; 0 for all.
    #[arg(long, visible_alias = "max-items", value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Write JSON (schema heapsee.refs/1).
    #[arg(long)]
    pub json: bool,
}

/// Runs `heapsee info`.
pub fn run_info(args: &InfoArgs, reader: Reader) -> Result<(), Failure> {
    let question = Question::open(&args.dump, reader)?;
    let node = question.object(&args.address)?;
    print(&Info::of(&question.view, node), args.json, |out, info| answers::info(out, info))
}

/// Runs `heapsee refs`.
pub fn run_refs(args: &RefsArgs, reader: Reader) -> Result<(), Failure> {
    let question = Question::open(&args.dump, reader)?;
    let node = question.object(&args.address)?;
    let refs = Refs::of(&question.view, node, args.parents, limit(args.limit));
    print(&refs, args.json, |out, refs| answers::refs(out, refs))
}
