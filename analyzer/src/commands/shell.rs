//! `heapsee shell`: ask a dump questions in SQL and in memsee's commands.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::Reader;
use crate::exit::{Exit, Failure};
use crate::shell::{CommandError, Outcome, Shell};

/// Ask a dump questions in SQL and in memsee's commands.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  heapsee shell                          then: read worker.dump
  heapsee shell worker.dump              an unnamed session, gone at the end
  heapsee shell incident.db              a session that `create incident.db` made
  echo 'select count(*), type from obj group by type order by 1' | heapsee shell worker.dump
  heapsee shell worker.dump --script investigation.txt --strict")]
pub struct ShellArgs {
    /// A session database to open, or a dump to read.
    #[arg(value_name = "DB|DUMP")]
    pub file: Option<PathBuf>,
    /// Take commands from this file.
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// Stop at the first command that fails, with exit status 1.
    #[arg(long)]
    pub strict: bool,
    /// Read what there is of a DUMP that was cut off or damaged.
    #[arg(long)]
    pub salvage: bool,
}

/// Runs the command.
pub fn run(args: &ShellArgs, reader: Reader) -> Result<(), Failure> {
    let script = args.script.as_ref().map(|path| {
        File::open(path).map_err(|error| Failure {
            exit: Exit::Input,
            message: format!("{}: the script cannot be read: {error}", path.display()),
        })
    });
    let script = script.transpose()?;
    let mut out = BufWriter::new(io::stdout());
    let mut shell =
        Shell::new(&mut out, move |path: &Path, salvage| reader.read_for_session(path, salvage)).map_err(failure)?;
    if io::stdout().is_terminal() {
        shell.fit_to(super::screen_width);
    }
    if let Some(file) = &args.file
        && let Err(error) = shell.begin_with(file, args.salvage)
    {
        // A reader of the output that has left already wants nothing more.
        return if is_closed(&error) { Ok(()) } else { Err(failure(error)) };
    }
    let outcome = match script {
        Some(script) => shell.run_lines(Box::new(BufReader::new(script)), args.strict),
        None if io::stdin().is_terminal() && io::stdout().is_terminal() => {
            shell.page_by(super::screen_height);
            shell.run_terminal()
        }
        None => shell.run_lines(Box::new(BufReader::new(io::stdin())), args.strict),
    };
    match outcome.map_err(|error| failure(CommandError::Output(error)))? {
        Outcome::Failed => Err(Failure { exit: Exit::Failed, message: "stopped at a command that failed".to_owned() }),
        Outcome::Done | Outcome::OutputClosed => written(&mut out),
    }
}

fn written(out: &mut impl Write) -> Result<(), Failure> {
    crate::exit::written(out.flush())
}

fn is_closed(error: &CommandError) -> bool {
    matches!(error, CommandError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
}

fn failure(error: CommandError) -> Failure {
    match error {
        CommandError::Session(error) => super::question::failure(error),
        other => Failure { exit: Exit::Failed, message: other.to_string() },
    }
}
