//! What the verbs that ask one question share: a dump, read into a session that is gone afterwards.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use fixedbitset::FixedBitSet;
use serde::Serialize;

use super::load_with_progress;
use crate::exit::{Exit, Failure, written};
use crate::heap::View;
use crate::render;
use crate::shell::expand;
use crate::sql::{Session, SessionError};

/// Arguments of every such verb.
#[derive(Debug, Args)]
pub struct DumpArgs {
    /// The dump: plain, .gz or .zst.
    pub dump: PathBuf,
    /// Read what there is of a dump that was cut off or damaged.
    #[arg(long)]
    pub salvage: bool,
}

/// A dump that can be asked.
pub struct Question {
    pub session: Session,
    pub view: Arc<View>,
}

impl Question {
    /// Reads the dump.
    pub fn open(args: &DumpArgs) -> Result<Question, Failure> {
        let mut session = Session::temporary(load_with_progress).map_err(failure)?;
        let view = session.read(&args.dump, args.salvage).map_err(failure)?;
        Ok(Question { session, view })
    }

    /// The objects for which an SQL condition holds; `0&` and the like mean what they mean in the shell. A bare address
    /// stands for the object there: as SQL it would hold for every object.
    pub fn matching(&self, condition: &str) -> Result<FixedBitSet, Failure> {
        let sql = match number(condition.trim()) {
            Some(address @ 2..) => format!("address = {}", address.cast_signed()),
            _ => expand(condition).map_err(|error| failed(error.to_string()))?,
        };
        self.session.nodes_where(&self.view, &sql).map_err(failure)
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
        let node = self.view.node_of(number).filter(|&node| self.view.is_live(node));
        node.ok_or_else(|| failed(format!("no object has the address {address}")))
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
        SessionError::Load(error) => error.exit(),
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
