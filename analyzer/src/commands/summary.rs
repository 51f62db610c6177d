//! `heapsee summary`: what is in a dump, by type.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Reader;
use crate::exit::{Failure, written};
use crate::render;
use heapsee_heap::answers::summary::{Order, Summary};

/// By what the types are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TypesBy {
    /// Most objects first.
    Count,
    /// Most bytes first.
    Size,
}

impl From<TypesBy> for Order {
    fn from(key: TypesBy) -> Order {
        match key {
            TypesBy::Count => Order::Count,
            TypesBy::Size => Order::Size,
        }
    }
}

/// What is in a dump: totals, process, and objects and bytes by type.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  heapsee summary meliae.2026-01-31T12:00:00.4711.dump
  heapsee summary worker.dump.zst --by count --limit 50
  heapsee summary worker.dump --json | jq '.types[0]'
  heapsee summary worker.dump --json --limit 0 > types.json")]
pub struct SummaryArgs {
    /// The dump: plain, .gz or .zst.
    pub dump: PathBuf,
    /// Write JSON (schema heapsee.summary/1).
    #[arg(long)]
    pub json: bool,
    /// Sort the types by their number of objects or by their bytes.
    #[arg(long, value_enum, default_value_t = TypesBy::Size, value_name = "KEY")]
    pub by: TypesBy,
    /// Show this many types; 0 for all.
    #[arg(long, visible_alias = "max-items", default_value_t = 20, value_name = "N")]
    pub limit: usize,
    /// Read what there is of a dump that was cut off or damaged.
    #[arg(long)]
    pub salvage: bool,
}

/// Runs the command.
pub fn run(args: &SummaryArgs, reader: Reader) -> Result<(), Failure> {
    let heap = reader.read(&args.dump, args.salvage)?;
    let limit = (args.limit > 0).then_some(args.limit);
    let summary = Summary::of(&heap, args.by.into(), limit);
    let mut out = BufWriter::new(io::stdout().lock());
    let result =
        if args.json { render::json::write(&mut out, &summary) } else { render::text::summary(&mut out, &summary) };
    written(result.and_then(|()| out.flush()))
}
