//! `heapsee top` and `heapsee tree`: what keeps most, and the way down from there.

use clap::{Args, ValueEnum};

use super::Reader;
use super::question::{DumpArgs, Question, limit, most, print};
use crate::exit::Failure;
use crate::render;
use heapsee_heap::answers::study::Study;
use heapsee_heap::answers::top::{By, Top};
use heapsee_heap::answers::tree::{Extent, Tree};

/// What the rows stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RowsAre {
    /// Single objects.
    Object,
    /// Types.
    Type,
    /// Modules.
    Module,
}

impl From<RowsAre> for By {
    fn from(key: RowsAre) -> By {
        match key {
            RowsAre::Object => By::Object,
            RowsAre::Type => By::Type,
            RowsAre::Module => By::Module,
        }
    }
}

/// The objects, types or modules that keep most: what would be freed if each went.
#[derive(Debug, Args)]
#[command(after_help = "\
An object that keeps nearly all of what the object above it keeps has no row of its own: `leads to` says where such a
way ends. Of a type, what its objects keep each alone is added up; together they may keep more.

Examples:
  heapsee top worker.dump
  heapsee top worker.dump --by type --max-items 50
  heapsee top worker.dump --by module --json | jq '.items[0]'")]
pub struct TopArgs {
    /// The dump.
    #[command(flatten)]
    pub dump: DumpArgs,
    /// What the rows stand for.
    #[arg(long, value_enum, default_value_t = RowsAre::Object, value_name = "KEY")]
    pub by: RowsAre,
    /// Show this many; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub max_items: usize,
    /// Write JSON (schema heapsee.top/1).
    #[arg(long)]
    pub json: bool,
}

/// The dominator tree below an object, or below the virtual root: what keeps what.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  heapsee tree worker.dump
  heapsee tree worker.dump 140110777660304 --depth 4 --max-items 5
  heapsee tree worker.dump 140110777660304 --json")]
pub struct TreeArgs {
    /// The dump.
    #[command(flatten)]
    pub dump: DumpArgs,
    /// The object to begin with, its address in decimal or as 0x….
    pub address: Option<String>,
    /// Levels below it.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=60))]
    pub depth: u32,
    /// Show this many of the objects below each; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub max_items: usize,
    /// Write JSON (schema heapsee.tree/1).
    #[arg(long)]
    pub json: bool,
}

/// Runs `heapsee top`.
pub fn run_top(args: &TopArgs, reader: Reader) -> Result<(), Failure> {
    let question = Question::open(&args.dump, reader)?;
    let top = Top::of(&Study::of(&question.view), args.by.into(), limit(args.max_items));
    print(&top, args.json, |out, top| render::dominators::top(out, top))
}

/// Runs `heapsee tree`.
pub fn run_tree(args: &TreeArgs, reader: Reader) -> Result<(), Failure> {
    let question = Question::open(&args.dump, reader)?;
    let node = args.address.as_deref().map(|address| question.object(address)).transpose()?;
    let extent = Extent { depth: args.depth, most: most(args.max_items) };
    let tree = Tree::of(&Study::of(&question.view), node, extent);
    print(&tree, args.json, |out, tree| render::dominators::tree(out, tree))
}
