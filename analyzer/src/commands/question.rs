//! What the verbs that ask one question share: a dump, read into a session that is gone afterwards.

use std::cell::OnceCell;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use fixedbitset::FixedBitSet;
use serde::Serialize;

use super::Reader;
use crate::exit::{Exit, Failure, written};
use crate::render;
use crate::shorthand::expand;
use crate::sql::{Session, SessionError};
use heapsee_heap::heap::View;

/// Arguments of every such verb.
#[derive(Clone, Debug, Args)]
pub struct DumpArgs {
    /// The dump: plain, .gz or .zst.
    pub dump: PathBuf,
    /// Read what there is of a dump that was cut off or damaged.
    #[arg(long)]
    pub salvage: bool,
}

/// A dump that can be asked.
pub struct Question {
    /// What is in it.
    pub view: Arc<View>,
    dump: DumpArgs,
    reader: Reader,
    /// Made when SQL is asked for: most questions can do without.
    session: OnceCell<Session>,
}

impl Question {
    /// Reads the dump.
    pub fn open(dump: &DumpArgs, reader: Reader) -> Result<Question, Failure> {
        let heap = reader.read(&dump.dump, dump.salvage)?;
        let view = Arc::new(View::new(Arc::new(heap)));
        Ok(Question { view, dump: dump.clone(), reader, session: OnceCell::new() })
    }

    /// SQL over the dump.
    pub fn session(&self) -> Result<&Session, SessionError> {
        if let Some(session) = self.session.get() {
            return Ok(session);
        }
        let reader = self.reader;
        let mut session = Session::temporary(move |path: &Path, salvage| reader.read(path, salvage))?;
        session.show(&self.dump.dump, self.dump.salvage, Arc::clone(&self.view))?;
        Ok(self.session.get_or_init(|| session))
    }

    /// The objects for which an SQL condition holds; `0&` and the like mean what they mean in the shell. A bare address
    /// stands for the object there: as SQL it would hold for every object.
    pub fn matching(&self, condition: &str) -> Result<FixedBitSet, Failure> {
        if let Some(address @ 2..) = number(condition.trim()) {
            let mut nodes = FixedBitSet::with_capacity(self.view.node_bound() as usize);
            nodes.extend(self.at(address).map(|node| node as usize));
            return Ok(nodes);
        }
        let sql = expand(condition).map_err(|error| failed(error.to_string()))?;
        self.session().and_then(|session| session.nodes_where(&self.view, &sql)).map_err(failure)
    }

    /// The object at an address.
    fn at(&self, address: u64) -> Option<u32> {
        self.view.node_of(address).filter(|&node| self.view.is_live(node))
    }

    /// As [`Question::matching`]; that nothing matches is a failure that names the condition.
    pub fn some_matching(&self, condition: &str) -> Result<FixedBitSet, Failure> {
        let found = self.matching(condition)?;
        if found.is_clear() {
            return Err(failed(format!("no object matches {condition:?}; `heapsee query` shows what there is")));
        }
        Ok(found)
    }

    /// The object at an address given as decimal or `0x…`.
    pub fn object(&self, address: &str) -> Result<u32, Failure> {
        let number = number(address).ok_or_else(|| Failure {
            exit: Exit::Usage,
            message: format!("{address:?} is no address: give it in decimal or as 0x…"),
        })?;
        self.at(number).ok_or_else(|| failed(format!("no object has the address {address}")))
    }
}

/// An address in decimal or as `0x…`.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn failed(message: String) -> Failure {
    Failure { exit: Exit::Failed, message }
}

/// A session's complaint with the exit code that goes with it.
pub fn failure(error: SessionError) -> Failure {
    let exit = match &error {
        SessionError::Load(error) => Exit::from(error),
        SessionError::DumpGone { .. } | SessionError::Missing(_) | SessionError::Io { .. } => Exit::Input,
        _ => Exit::Failed,
    };
    Failure { exit, message: error.to_string() }
}

/// Writes a report to standard output, as JSON or by `text`.
pub fn print<R: Serialize>(
    report: &R,
    json: bool,
    text: impl FnOnce(&mut dyn Write, &R) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let result = if json { render::json::write(&mut out, report) } else { text(&mut out, report) };
    written(result.and_then(|()| out.flush()))
}

/// `--limit 0` is no limit.
pub fn limit(limit: usize) -> Option<usize> {
    (limit > 0).then_some(limit)
}

/// The same where all are as many as there can be.
pub fn most(items: usize) -> usize {
    limit(items).unwrap_or(usize::MAX)
}
