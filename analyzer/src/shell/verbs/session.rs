//! Commands about sessions: their databases, their dumps, their generations.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::shell::number::both;
use crate::shell::{CommandError, Flow, Names, Shell, words};
use crate::sql::{Session, SessionError};

pub(in crate::shell) const READ: &str = "read FILE [--salvage]";
pub(in crate::shell) const CREATE: &str = "create FILE";
pub(in crate::shell) const OPEN: &str = "open FILE";
pub(in crate::shell) const GEN: &str = "gen   or   gen N   or   gen none";

impl Shell<'_> {
    /// Takes another session in the place of the present one.
    fn adopt(&mut self, mut session: Session) -> Result<(), CommandError> {
        self.names = Names::of(&session)?;
        session.heed(self.interrupt.of_queries())?;
        self.session = session;
        self.results.clear();
        Ok(())
    }

    /// Opens a session database.
    pub(in crate::shell) fn open(&mut self, file: &Path) -> Result<(), CommandError> {
        let session = Session::open(file, self.loader.clone())?;
        self.adopt(session)?;
        // Now, so that a dump that has gone is told of now; one that nobody asks about is no reason to refuse.
        match self.session.view() {
            Ok(_) | Err(SessionError::NoHeap | SessionError::NoCurrent) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a dump as a new generation and says what is in it.
    pub(in crate::shell) fn read(&mut self, file: &Path, salvage: bool) -> Result<(), CommandError> {
        let started = Instant::now();
        writeln!(self.out, "Reading {}", file.display())?;
        self.out.flush()?;
        let view = self.session.read(file, salvage)?;
        let counts = view.counts();
        writeln!(self.out, "Marking top objects... {}", counts.roots)?;
        writeln!(
            self.out,
            "{} objects and {} references totalling {} bytes ({:.1}s)",
            both(counts.objects),
            both(counts.refs),
            both(counts.bytes),
            started.elapsed().as_secs_f64()
        )?;
        Ok(())
    }
}

/// `~` and `~/…` as a shell would have it.
fn expand(name: &str) -> PathBuf {
    match (name.strip_prefix('~'), std::env::var_os("HOME")) {
        (Some(""), Some(home)) => home.into(),
        (Some(rest), Some(home)) if rest.starts_with('/') => Path::new(&home).join(&rest[1..]),
        _ => name.into(),
    }
}

fn one_file(argument: &str, usage: &'static str) -> Result<PathBuf, CommandError> {
    match words::split(argument)?.as_slice() {
        [name] if !name.is_empty() => Ok(expand(name)),
        _ => Err(CommandError::Usage(usage)),
    }
}

/// `read F`
pub(in crate::shell) fn read(shell: &mut Shell<'_>, argument: &str) -> Result<Flow, CommandError> {
    let words = words::split(argument)?;
    let (flags, names): (Vec<&String>, Vec<&String>) = words.iter().partition(|word| *word == "--salvage");
    let [name] = names[..] else { return Err(CommandError::Usage(READ)) };
    shell.read(&expand(name), !flags.is_empty())?;
    Ok(Flow::Continue)
}

/// `create F`
pub(in crate::shell) fn create(shell: &mut Shell<'_>, argument: &str) -> Result<Flow, CommandError> {
    let file = one_file(argument, CREATE)?;
    let session = Session::create(&file, shell.loader.clone())?;
    shell.adopt(session)?;
    Ok(Flow::Continue)
}

/// `open F`
pub(in crate::shell) fn open(shell: &mut Shell<'_>, argument: &str) -> Result<Flow, CommandError> {
    let file = one_file(argument, OPEN)?;
    shell.open(&file)?;
    Ok(Flow::Continue)
}

/// `gen`, `gen N`, `gen none`
pub(in crate::shell) fn generation(shell: &mut Shell<'_>, argument: &str) -> Result<Flow, CommandError> {
    let known = shell.session.generations();
    let chosen = match argument {
        "" => {
            let current = shell.session.current()?.map_or("-none-".to_owned(), |number| number.to_string());
            writeln!(shell.out, "{known} generations, current is {current}")?;
            return Ok(Flow::Continue);
        }
        "none" => None,
        wanted => Some(wanted.parse().map_err(|_| SessionError::NoGeneration { wanted: wanted.to_owned(), known })?),
    };
    shell.session.use_generation(chosen)?;
    match chosen {
        Some(number) => writeln!(shell.out, "Using generation {number} of {known}")?,
        None => writeln!(shell.out, "Using no generation, of {known}")?,
    }
    Ok(Flow::Continue)
}

/// `backup`
pub(in crate::shell) fn backup(shell: &mut Shell<'_>, _argument: &str) -> Result<Flow, CommandError> {
    shell.session.backup()?;
    writeln!(shell.out, "Backed up")?;
    Ok(Flow::Continue)
}

/// `restore`
pub(in crate::shell) fn restore(shell: &mut Shell<'_>, _argument: &str) -> Result<Flow, CommandError> {
    shell.session.restore(shell.loader.clone())?;
    shell.names = Names::of(&shell.session)?;
    shell.session.heed(shell.interrupt.of_queries())?;
    writeln!(shell.out, "Restored")?;
    Ok(Flow::Continue)
}
