//! `heapsee-agent`: finds Python workers, asks them for heap dumps safely, and collects the files.
//!
//! Only the frame: arguments in, exit code out. The verbs are in `commands`.
#![deny(unsafe_code)]

mod armed;
mod asking;
mod block;
mod check;
mod cli;
mod commands;
mod config;
mod daemon;
mod discovery;
mod exit;
mod files;
mod hook;
mod host;
mod intake;
mod look;
mod pipeline;
mod procfs;
mod progress;
mod render;
mod retention;
mod rules;
mod seal;
mod settings;
mod ship;
mod stop;
mod sweep;
mod triggers;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use exit::Exit;

fn main() -> ExitCode {
    // clap ends the program itself when the command line is wrong, with 2: `Exit::Usage`.
    let outcome = match Cli::parse().command {
        Command::List(args) => commands::list::run(&args),
        Command::Dump(args) => commands::dump::run(&args),
        Command::Prune(args) => commands::prune::run(&args),
        Command::Collect(args) => commands::collect::run(&args),
        Command::Sweep(args) => commands::sweep::run(&args),
        Command::Ship(args) => commands::ship::run(&args),
        Command::Run(args) => commands::daemon::run(&args),
        Command::Status(args) => commands::daemon::status(&args),
        Command::DumpNow(args) => commands::daemon::dump_now(&args),
        Command::Pause(args) => commands::daemon::pause(&args),
        Command::Resume(args) => commands::daemon::resume(&args),
        Command::CheckConfig(args) => commands::check_config::run(&args),
    };
    let exit = match outcome {
        Ok(()) => Exit::Ok,
        Err(failure) => {
            // Nobody left to read it changes nothing.
            let _ = writeln!(io::stderr(), "heapsee-agent: {}", render::one_line(&failure.message));
            failure.exit
        }
    };
    ExitCode::from(exit.code())
}
