//! memsee's shell: one command a line, SQL with shorthands, results that can be referred to.
//!
//! This module reads lines, finds the command and says what went wrong; the commands are in `verbs`, the heap and
//! the SQL in [`crate::sql`].

mod complete;
mod help;
mod input;
mod interrupt;
mod layout;
mod number;
mod pager;
mod present;
mod results;
mod table;
mod verbs;
mod words;

use std::collections::HashMap;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Instant;

use rusqlite::types::ValueRef;
use rusqlite::{Params, Row};

use crate::render::rows::{Format, RowError, Rows};
use crate::shorthand::{References, SubstituteError, substitute};
use crate::sql::{Loader, Session, SessionError};
use complete::{Completion, Vocabulary};
use heapsee_heap::heap::View;
use input::{Input, LineSource};
use interrupt::Interrupt;
use layout::Widths;
use pager::Pager;
use present::Presenter;
use results::{ResultSet, Results, Value};
pub(crate) use table::Table;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The session refused.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A shorthand means nothing.
    #[error(transparent)]
    Substitute(#[from] SubstituteError),
    /// Quotes that do not match.
    #[error(transparent)]
    Words(#[from] words::OpenQuote),
    /// Arguments that do not fit; says how they should be.
    #[error("usage: {0}")]
    Usage(&'static str),
    /// Not a command.
    #[error("I don't understand {0:?}: `help` lists the commands")]
    Unknown(String),
    /// Anything else, in words.
    #[error("{0}")]
    Said(String),
    /// Nobody takes the output any more.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

impl From<RowError> for CommandError {
    fn from(error: RowError) -> Self {
        match error {
            RowError::Sql(error) => CommandError::Session(error.into()),
            RowError::Output(error) => CommandError::Output(error),
        }
    }
}

/// What comes after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Continue,
    Exit,
}

/// How a run of the shell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every command was tried.
    Done,
    /// Strict, and a command failed.
    Failed,
    /// Whoever read the output has gone.
    OutputClosed,
}

/// The shell: a session, what was shown, and how to show it.
pub struct Shell<'o> {
    session: Session,
    results: Results,
    names: Names,
    widths: Widths,
    /// Lines on the screen, if somebody sits before it.
    height: Option<fn() -> Option<usize>>,
    debug: bool,
    interrupt: Interrupt,
    out: &'o mut dyn Write,
    loader: Loader,
}

/// Names defined with `set`, both ways.
#[derive(Default)]
struct Names {
    values: HashMap<String, String>,
    by_value: HashMap<String, String>,
}

impl Names {
    fn of(session: &Session) -> Result<Self, SessionError> {
        let mut names = Names::default();
        session.names()?.into_iter().for_each(|(name, value)| names.set(name, value));
        Ok(names)
    }

    fn set(&mut self, name: String, value: String) {
        self.by_value.insert(value.clone(), name.clone());
        if let Some(old) = self.values.insert(name.clone(), value.clone())
            && old != value
            && self.by_value.get(&old) == Some(&name)
        {
            self.by_value.remove(&old);
        }
    }
}

/// The shorthands' meanings.
struct Known<'a> {
    results: &'a Results,
    names: &'a Names,
}

impl References for Known<'_> {
    fn row(&self, result: usize, row: usize) -> Result<String, SubstituteError> {
        self.results.row_address(result, row)
    }

    fn column(&self, result: usize, column: &str) -> Result<Vec<String>, SubstituteError> {
        self.results.column_values(result, column)
    }

    fn name(&self, name: &str) -> Option<String> {
        self.names.values.get(name).cloned()
    }
}

impl<'o> Shell<'o> {
    /// A shell with an unnamed session, which is gone when the shell is. `loader` reads dumps.
    pub fn new(out: &'o mut dyn Write, loader: impl Into<Loader>) -> Result<Self, CommandError> {
        let loader = loader.into();
        let mut session = Session::temporary(loader.clone())?;
        let interrupt = Interrupt::default();
        session.heed(interrupt.of_queries())?;
        Ok(Shell {
            session,
            results: Results::default(),
            names: Names::default(),
            widths: Widths::default(),
            height: None,
            debug: false,
            interrupt,
            out,
            loader,
        })
    }

    /// Opens a session database, or reads a dump into the unnamed session: whichever the file is.
    pub fn begin_with(&mut self, file: &Path, salvage: bool) -> Result<(), CommandError> {
        if crate::sql::is_session_file(file)? { self.open(file) } else { self.read(file, salvage) }
    }

    /// Keeps tables within the width of the screen, which may change: `screen` tells it, if it can.
    pub fn fit_to(&mut self, screen: fn() -> Option<usize>) {
        self.widths.fit_to(screen);
    }

    /// Shows what is longer than the screen in a pager; `height` tells how many lines there are, if it can.
    pub fn page_by(&mut self, height: fn() -> Option<usize>) {
        self.height = Some(height);
    }

    /// Takes lines from a person at the terminal until there are no more.
    pub fn run_terminal(&mut self) -> io::Result<Outcome> {
        let commands = help::VERBS.iter().map(|verb| verb.name).collect();
        let vocabulary = Rc::default();
        let completion = Completion::new(commands, Rc::clone(&vocabulary));
        let source = LineSource::Terminal(Box::new(input::Terminal::new(completion)?), vocabulary);
        self.interrupt.listen()?;
        self.run(source, false)
    }

    /// Takes lines from a pipe or a file until there are no more, or, if `strict`, until a command fails.
    pub fn run_lines(&mut self, lines: Box<dyn BufRead>, strict: bool) -> io::Result<Outcome> {
        self.run(LineSource::Lines(lines), strict)
    }

    fn run(&mut self, mut source: LineSource, strict: bool) -> io::Result<Outcome> {
        let mut of_view = Weak::new();
        // What was said at the beginning, before somebody is asked for more.
        match self.out.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Outcome::OutputClosed),
            other => other?,
        }
        loop {
            if let LineSource::Terminal(_, vocabulary) = &source {
                self.tell_words(&mut vocabulary.borrow_mut(), &mut of_view);
            }
            let line = match source.next()? {
                Input::Line(line) => line,
                Input::Interrupted => continue,
                Input::End => break,
            };
            self.interrupt.clear();
            let done = self.command(&line).and_then(|flow| {
                self.out.flush()?;
                Ok(flow)
            });
            match done {
                Ok(Flow::Continue) => {}
                Ok(Flow::Exit) => return Ok(Outcome::Done),
                Err(CommandError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Ok(Outcome::OutputClosed);
                }
                Err(CommandError::Output(error)) => return Err(error),
                Err(error) => {
                    self.complain(&error, (!source.is_terminal()).then_some(&line))?;
                    if strict {
                        return Ok(Outcome::Failed);
                    }
                }
            }
        }
        if source.is_terminal() {
            writeln!(self.out)?;
        }
        Ok(Outcome::Done)
    }

    /// What can be completed now. That something cannot be found out is no reason to bother anybody.
    fn tell_words(&self, vocabulary: &mut Vocabulary, of_view: &mut Weak<View>) {
        vocabulary.names = self.names.values.keys().cloned().collect();
        let Some(view) = self.session.view_in_memory() else { return };
        if std::ptr::eq(of_view.as_ptr(), Arc::as_ptr(&view)) {
            return;
        }
        *of_view = Arc::downgrade(&view);
        vocabulary.types = (0..view.type_count()).map(|id| view.type_name(id).to_owned()).collect();
        (vocabulary.tables, vocabulary.columns) = self.session.tables_and_columns().unwrap_or_default();
    }

    /// Errors go where talk goes; in a script they name the line they come from.
    fn complain(&mut self, error: &CommandError, line: Option<&String>) -> io::Result<()> {
        match self.out.flush() {
            // The next command will notice.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            other => other?,
        }
        match line {
            Some(line) => eprintln!("*** {error}\n    in: {}", line.trim()),
            None => eprintln!("*** {error}"),
        }
        Ok(())
    }

    fn command(&mut self, line: &str) -> Result<Flow, CommandError> {
        // A transcript can be pasted with its prompts.
        let line = line.trim().trim_start_matches("::>").trim();
        let line = line.strip_suffix(';').unwrap_or(line).trim_end();
        if line.is_empty() || line.starts_with('#') {
            return Ok(Flow::Continue);
        }
        let (name, argument) = match line.as_bytes()[0] {
            b'!' => ("shell", &line[1..]),
            b'?' => ("help", &line[1..]),
            _ => line.split_at(line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(line.len())),
        };
        let verb = help::find(name).ok_or_else(|| CommandError::Unknown(line.to_owned()))?;
        (verb.run)(self, argument.trim())
    }

    fn substitute(&self, text: &str) -> Result<String, SubstituteError> {
        substitute(text, &Known { results: &self.results, names: &self.names })
    }

    /// The one address that `text`, with its shorthands, stands for.
    fn address(&self, text: &str, usage: &'static str) -> Result<i64, CommandError> {
        let text = self.substitute(text)?;
        text.trim().parse().map_err(|_| CommandError::Usage(usage))
    }

    /// Runs a query, shows its rows and keeps them.
    fn show(&mut self, sql: &str, params: impl Params, header: bool) -> Result<(), CommandError> {
        let started = self.announce(sql)?;
        let number = self.results.next_number();
        let height = self.height.and_then(|height| height());
        let _at_pager = self.interrupt.at_pager(height.is_some());
        let mut pager = Pager::new(self.out, height);
        let (widths, known) = (&self.widths, &self.names.by_value);
        let presenter = self.session.query(
            sql,
            params,
            |names| Presenter::new(names, number, header, widths, known, &mut pager),
            |presenter, row| -> Result<(), CommandError> {
                push_cells(row, |value| presenter.push(value))?;
                Ok(presenter.end_row()?)
            },
        );
        let result = presenter.and_then(|presenter| Ok(presenter.finish()?));
        pager.finish()?;
        self.results.keep(result?);
        self.announce_time(started)?;
        Ok(())
    }

    /// Runs a query, writes its rows for a program to read, and keeps them.
    fn write_rows(&mut self, sql: &str, format: Format) -> Result<(), CommandError> {
        let started = self.announce(sql)?;
        let out = &mut *self.out;
        let (rows, kept) = self.session.query(
            sql,
            (),
            |names| (Rows::begin(format, &names, out), ResultSet::new(names)),
            |(rows, kept), row| -> Result<(), CommandError> {
                if let Ok(rows) = rows {
                    rows.row(row)?;
                }
                push_cells(row, |value| kept.push(value)).map_err(CommandError::from)
            },
        )?;
        rows?.end()?;
        self.results.keep(kept);
        Ok(self.announce_time(started)?)
    }

    /// Shows rows that were made without a query, and keeps them.
    fn show_rows(&mut self, rows: &ResultSet) -> Result<(), CommandError> {
        let (number, known) = (self.results.next_number(), &self.names.by_value);
        let mut presenter = Presenter::new(rows.names().to_vec(), number, true, &self.widths, known, self.out);
        for row in 0..rows.rows() {
            (0..rows.names().len()).for_each(|column| presenter.push(rows.value(row, column)));
            presenter.end_row()?;
        }
        let kept = presenter.finish()?;
        self.results.keep(kept);
        Ok(())
    }

    /// Runs a statement that changes something; returns how many rows it changed.
    fn change(&mut self, sql: &str) -> Result<usize, CommandError> {
        let started = self.announce(sql)?;
        let changed = self.session.execute(sql)?;
        self.announce_time(started)?;
        Ok(changed)
    }

    fn announce(&mut self, sql: &str) -> io::Result<Instant> {
        if self.debug {
            writeln!(self.out, "{sql}")?;
            // It may take long to run.
            self.out.flush()?;
        }
        Ok(Instant::now())
    }

    fn announce_time(&mut self, started: Instant) -> io::Result<()> {
        if self.debug { writeln!(self.out, "({:.2}s)", started.elapsed().as_secs_f64()) } else { Ok(()) }
    }
}

/// Hands over the cells of a row from left to right.
fn push_cells(row: &Row<'_>, mut push: impl FnMut(Value<'_>)) -> Result<(), SessionError> {
    for column in 0..row.as_ref().column_count() {
        match row.get_ref(column)? {
            ValueRef::Null => push(Value::Null),
            ValueRef::Integer(value) => push(Value::Integer(value)),
            ValueRef::Real(value) => push(Value::Real(value)),
            ValueRef::Text(text) => push(Value::Text(&String::from_utf8_lossy(text))),
            ValueRef::Blob(blob) => push(Value::Blob(blob)),
        }
    }
    Ok(())
}
