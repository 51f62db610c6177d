//! `heapsee diff`: what has changed between dumps.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::Reader;
use super::question::{DumpArgs, Question, most, print};
use crate::exit::{Exit, Failure};
use crate::render;
use heapsee_heap::answers::diff::Diff;
use heapsee_heap::heap::View;

/// What has grown between dumps: by type, by place, by package; and which objects came, went and stayed.
#[derive(Debug, Args)]
#[command(after_help = "\
Give the dumps in the order in which they were taken. They may be of one process, or of workers of one service. Of three
and more there are also trends (bytes an hour and r², the share of the ups and downs that a straight line explains), and
what stayed: objects that are not in the first dump, and are in all later ones.

A path with [*] stands for all elements of a container.

Examples:
  heapsee diff morning.dump evening.dump
  heapsee diff 1.dump.zst 2.dump.zst 3.dump.zst --max-items 5
  heapsee diff a.dump b.dump --json | jq '.places[0] | {path, grown}'")]
pub struct DiffArgs {
    /// The dumps, the earliest first: plain, .gz or .zst.
    #[arg(num_args = 2.., required = true)]
    pub dumps: Vec<PathBuf>,
    /// Read what there is of dumps that were cut off or damaged.
    #[arg(long)]
    pub salvage: bool,
    /// Show this many rows of each kind; 0 for all.
    #[arg(long, default_value_t = 15, value_name = "N")]
    pub max_items: usize,
    /// Write JSON (schema heapsee.diff/1).
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(args: &DiffArgs, reader: Reader) -> Result<(), Failure> {
    let open = |dump: &PathBuf| Question::open(&DumpArgs { dump: dump.clone(), salvage: args.salvage }, reader);
    let questions = args.dumps.iter().map(open).collect::<Result<Vec<Question>, Failure>>()?;
    let views: Vec<Arc<View>> = questions.iter().map(|question| Arc::clone(&question.view)).collect();
    let views: Vec<&View> = views.iter().map(Arc::as_ref).collect();
    let Some(diff) = Diff::of(&views, most(args.max_items)) else {
        return Err(Failure { exit: Exit::Usage, message: "give at least two dumps to compare".to_owned() });
    };
    print(&diff, args.json, |out, diff| render::diff::diff(out, diff))
}
