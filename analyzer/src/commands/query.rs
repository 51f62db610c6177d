//! `heapsee query`: one SQL query on a dump.

use std::io::{self, BufWriter, IsTerminal, Write};

use clap::Args;

use super::Reader;
use super::question::{DumpArgs, Question, failure};
use crate::exit::{Exit, Failure, written};
use crate::render::rows::{Format, RowError, Rows};
use crate::shell::Table;
use crate::shorthand::expand;
use crate::sql::SessionError;

/// Ask a dump one question in SQL.
#[derive(Debug, Args)]
#[command(after_help = "\
The tables are obj(address, type, name, value, size, len, mark, repr) and ref(parent, child); the children of 0 are the
roots. `ADDRESS&` stands for an object's children, `ADDRESS^` for its parents.

Examples:
  heapsee query worker.dump 'select count(*), sum(size), type from obj group by type order by 2 desc limit 20'
  heapsee query worker.dump 'select retained, * from obj order by retained desc limit 10'
  heapsee query worker.dump \"select * from obj where type = 'str' order by size desc limit 10\" --json
  heapsee query worker.dump 'select type, size from obj' --csv > objects.csv")]
pub struct QueryArgs {
    /// The dump.
    #[command(flatten)]
    pub dump: DumpArgs,
    /// A select.
    pub sql: String,
    /// Write JSON (schema heapsee.query/1): the columns' names, and each row as a list.
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Write CSV (RFC 4180): cells as they are. In a spreadsheet, import them as text: some may look like formulas.
    #[arg(long)]
    pub csv: bool,
}

/// Why no more rows come.
enum Stopped {
    Session(SessionError),
    Output(io::Error),
}

impl From<SessionError> for Stopped {
    fn from(error: SessionError) -> Self {
        Stopped::Session(error)
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Stopped::Output(error)
    }
}

impl From<RowError> for Stopped {
    fn from(error: RowError) -> Self {
        match error {
            RowError::Sql(error) => Stopped::Session(error.into()),
            RowError::Output(error) => Stopped::Output(error),
        }
    }
}

/// Runs the command.
pub fn run(args: &QueryArgs, reader: Reader) -> Result<(), Failure> {
    let question = Question::open(&args.dump, reader)?;
    let sql = expand(&args.sql).map_err(|error| Failure { exit: Exit::Failed, message: error.to_string() })?;
    let mut out = BufWriter::new(io::stdout().lock());
    let format = if args.json { Some(Format::Json) } else { args.csv.then_some(Format::Csv) };
    let done = match format {
        Some(format) => stream(&question, &sql, format, &mut out),
        None => table(&question, &sql, &mut out),
    };
    match done.and_then(|()| Ok(out.flush()?)) {
        Ok(()) => Ok(()),
        Err(Stopped::Session(error)) => Err(failure(error)),
        Err(Stopped::Output(error)) => written(Err(error)),
    }
}

fn stream(question: &Question, sql: &str, format: Format, out: &mut dyn Write) -> Result<(), Stopped> {
    let rows = question.session()?.query(
        sql,
        (),
        |columns| Rows::begin(format, &columns, out),
        |rows, row| match rows {
            Ok(rows) => Ok(rows.row(row)?),
            // What came before the rows could not be written: said at the end.
            Err(_) => Ok::<(), Stopped>(()),
        },
    )?;
    Ok(rows?.end()?)
}

fn table(question: &Question, sql: &str, out: &mut dyn Write) -> Result<(), Stopped> {
    let mut table =
        question.session()?.query(sql, (), Table::new, |table, row| -> Result<(), Stopped> { Ok(table.push(row)?) })?;
    if io::stdout().is_terminal() {
        table.fit_to(super::screen_width);
    }
    Ok(table.show(out)?)
}
