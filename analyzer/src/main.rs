//! The `heapsee` program: takes the command line apart and hands over to `heapsee::commands`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use heapsee::commands::{
    Reader, cut, diff, gc, info, packages, path, query, reconcile, shell, summary, suspects, threads, top, twins, waste,
};
use heapsee::exit::{Exit, report};

/// Finds out what holds the memory of a Python process, from a heap dump.
#[derive(Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  heapsee summary worker.dump              which types take up the memory
  heapsee suspects worker.dump             what holds the memory, in words
  heapsee diff 1.dump 2.dump 3.dump        what has grown, and where
  heapsee twins worker.dump                what is loaded twice
  heapsee path worker.dump --to \"type = 'Session'\"       what holds it, as a Python expression
  heapsee gc worker.dump --drop \"type = 'Session'\"       what letting go of it would free
  heapsee query worker.dump 'select * from obj where size > 1000000' --json
  heapsee shell                            then: read worker.dump

Dumps are read plain, gzipped or zstd-compressed; the sidecar worker.dump.meta.json is used if it is there.
What reading it found out is kept beside it as worker.dump.heapsee-index (or in $XDG_CACHE_HOME/heapsee), so that the
next command need not read it again; --no-index does without. It may be deleted at any time.

Exit codes: 0 all is well; 1 a command failed or the dump's content is bad; 2 the command line makes no sense;
3 an input cannot be read (missing, not permitted, a directory)."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Read the dump itself, and leave no index behind.
    #[arg(long, global = true)]
    no_index: bool,
}

#[derive(Subcommand)]
enum Command {
    Summary(summary::SummaryArgs),
    Suspects(suspects::SuspectsArgs),
    Top(top::TopArgs),
    Tree(top::TreeArgs),
    Cut(cut::CutArgs),
    Path(path::PathArgs),
    Info(info::InfoArgs),
    Refs(info::RefsArgs),
    Gc(gc::GcArgs),
    Query(query::QueryArgs),
    Shell(shell::ShellArgs),
    Reconcile(reconcile::ReconcileArgs),
    Threads(threads::ThreadsArgs),
    Twins(twins::TwinsArgs),
    Waste(waste::WasteArgs),
    Diff(diff::DiffArgs),
    Packages(packages::PackagesArgs),
    Duplicates(waste::DuplicatesArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let reader = Reader { index: !cli.no_index };
    let result = match cli.command {
        Command::Summary(args) => summary::run(&args, reader),
        Command::Suspects(args) => suspects::run(&args, reader),
        Command::Top(args) => top::run_top(&args, reader),
        Command::Tree(args) => top::run_tree(&args, reader),
        Command::Cut(args) => cut::run(&args, reader),
        Command::Path(args) => path::run(&args, reader),
        Command::Info(args) => info::run_info(&args, reader),
        Command::Refs(args) => info::run_refs(&args, reader),
        Command::Gc(args) => gc::run(&args, reader),
        Command::Query(args) => query::run(&args, reader),
        Command::Shell(args) => shell::run(&args, reader),
        Command::Diff(args) => diff::run(&args, reader),
        Command::Packages(args) => packages::run(&args, reader),
        Command::Reconcile(args) => reconcile::run(&args, reader),
        Command::Threads(args) => threads::run(&args, reader),
        Command::Twins(args) => twins::run(&args, reader),
        Command::Waste(args) => waste::run_waste(&args, reader),
        Command::Duplicates(args) => waste::run_duplicates(&args, reader),
    };
    match result {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            report(&failure);
            failure.exit.into()
        }
    }
}
