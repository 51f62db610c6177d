//! What can go wrong in a session, in words a person can act on.

use std::path::PathBuf;

use heapsee_heap::heap::Lost;
use heapsee_heap::load::LoadError;

/// Why a session could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// SQLite's own complaint: a mistake in a query, a full disk.
    #[error("SQL error: {}", sqlite_message(.0))]
    Sqlite(rusqlite::Error),
    /// The query was interrupted.
    #[error("interrupted")]
    Interrupted,
    /// `create` of something that is there.
    #[error("{} exists already: `open` it, or choose another name", .0.display())]
    Exists(PathBuf),
    /// `open` of something that is not there.
    #[error("{}: no such file; `create {}` makes a new session database", .0.display(), .0.display())]
    Missing(PathBuf),
    /// The file system said no.
    #[error("{}: {source}", .path.display())]
    Io {
        /// What was to be opened, made or copied.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not SQLite.
    #[error("{} is not a database; if it is a dump, `read {}` it", .0.display(), .0.display())]
    NotADatabase(PathBuf),
    /// SQLite, but memsee's.
    #[error(
        "{} was made by memsee, which copies the heap into its database; `create` a new one here and `read` the dump again",
        .0.display()
    )]
    Memsee(PathBuf),
    /// SQLite, but somebody else's.
    #[error("{} is an SQLite database, but not a session of heapsee", .0.display())]
    Foreign(PathBuf),
    /// Made by a later version.
    #[error("{} was made by a later heapsee (session format {found}, this one knows {known}): update heapsee", .path.display())]
    TooNew {
        /// The session database.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest this program reads.
        known: i64,
    },
    /// The dump behind a generation cannot be read any more.
    #[error(
        "generation {generation} cannot be shown: {reason}; put the dump back, or `read` it again from where it is now"
    )]
    DumpGone {
        /// The generation.
        generation: u32,
        /// What reading it said.
        reason: LoadError,
    },
    /// The dump behind a generation is not the one that was read.
    #[error(
        "generation {generation} cannot be shown: {} has changed since it was read; put the old dump back, or `read` \
         the new one as a generation of its own", .path.display()
    )]
    DumpChanged {
        /// The generation.
        generation: u32,
        /// Where its dump was.
        path: PathBuf,
    },
    /// A heap that was opened from its index is lost.
    #[error(
        "generation {generation} cannot be shown: {reason}; what was asked of it last has no answer, its changes are kept"
    )]
    Lost {
        /// The generation.
        generation: u32,
        /// What happened to it.
        reason: Lost,
    },
    /// What was stored about a generation makes no sense.
    #[error("generation {generation}: the changes stored in the session database are damaged: {reason}")]
    Damaged {
        /// The generation.
        generation: u32,
        /// What is wrong.
        reason: String,
    },
    /// There is no heap to ask.
    #[error("no heap is loaded: `read DUMP` first")]
    NoHeap,
    /// Generations are there, but none is current.
    #[error("no generation is current: `gen N` chooses one")]
    NoCurrent,
    /// The address is not an object's.
    #[error("no object has the address {0}")]
    NoObject(i64),
    /// No generation has this number.
    #[error("not a valid generation number: {wanted} (there are {known})")]
    NoGeneration {
        /// As it was typed.
        wanted: String,
        /// How many there are.
        known: usize,
    },
    /// The dump could not be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A query was expected.
    #[error("this changes something, so it is no query: use delete, insert, update or shell")]
    NotAQuery,
    /// `backup` twice.
    #[error("backed up already: {} is kept until you remove it", .0.display())]
    BackedUp(PathBuf),
    /// `restore` without `backup`.
    #[error("no backup: {} does not exist, `backup` makes it", .0.display())]
    NoBackup(PathBuf),
    /// `restore` in an unnamed session without `backup`.
    #[error("no backup: `backup` makes it")]
    NothingKept,
    /// SQLite takes only Unicode names.
    #[error("{}: SQLite needs a file name in UTF-8", .0.display())]
    NotUnicode(PathBuf),
    /// Two shells at one session.
    #[error("another program has changed {} since it was opened here: `open` it again to go on from there", .0.display())]
    ChangedElsewhere(PathBuf),
    /// Transactions are the session's own.
    #[error("every command is a transaction of its own; `backup` and `restore` are the way back")]
    OwnTransactions,
}

impl From<rusqlite::Error> for SessionError {
    /// Sorts SQLite's interruptions from its errors.
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::OperationInterrupted) => SessionError::Interrupted,
            _ => SessionError::Sqlite(error),
        }
    }
}

/// The message without rusqlite's wrapping; a syntax error with the place.
fn sqlite_message(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::SqlInputError { msg, sql, offset, .. } => {
            let near: String =
                sql.get(usize::try_from(*offset).unwrap_or(0)..).unwrap_or("").chars().take(40).collect();
            if near.is_empty() { msg.clone() } else { format!("{msg}, at: {near}") }
        }
        rusqlite::Error::MultipleStatement => "one statement at a time".to_owned(),
        other => other.to_string(),
    }
}
