//! What a session keeps in its database file: generations, the changes made to them, and names.
//!
//! Dumps themselves stay where they are; a generation remembers its dump's path and fingerprint. All tables begin with
//! `heapsee_`, so a user's own tables can live beside them.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::error::SessionError;

/// The format this program writes; it reads all up to this one.
const FORMAT: i64 = 1;
/// What every SQLite database begins with.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

const SCHEMA: &str = "
    create table heapsee_meta (key text primary key, value) without rowid;
    create table heapsee_generation (
        num integer primary key,
        path blob not null,
        fingerprint text not null,
        salvage integer not null,
        changes blob
    );
    create table heapsee_name (name text primary key, value text not null) without rowid;
";

/// A generation as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredGeneration {
    /// Counted from 1.
    pub number: u32,
    /// The dump, as an absolute path.
    pub path: PathBuf,
    /// Tells whether the dump is still the same.
    pub fingerprint: String,
    /// Whether the dump was read although it was damaged.
    pub salvage: bool,
    /// What the session changed, as [`heapsee_heap::heap::View::export`] writes it.
    pub changes: Vec<u8>,
}

/// Makes a new session database.
pub fn create(path: &Path) -> Result<Connection, SessionError> {
    // Made by hand first: SQLite would silently open what is there already.
    fs::OpenOptions::new().write(true).create_new(true).open(path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => SessionError::Exists(path.to_owned()),
        _ => SessionError::Io { path: path.to_owned(), source },
    })?;
    let connection = connect(path)?;
    begin(&connection)?;
    Ok(connection)
}

fn begin(connection: &Connection) -> Result<(), SessionError> {
    connection.execute_batch(SCHEMA)?;
    connection.execute("insert into heapsee_meta values ('format', ?)", [FORMAT])?;
    Ok(())
}

/// Makes a session database that has no name: what it does not hold in memory is in a file that SQLite has deleted
/// already, so that nothing is left behind however the program ends.
pub fn unnamed() -> Result<Connection, SessionError> {
    let connection = nameless()?;
    begin(&connection)?;
    Ok(connection)
}

/// An unnamed copy.
pub fn copy(connection: &Connection) -> Result<Connection, SessionError> {
    let mut copy = nameless()?;
    Backup::new(connection, &mut copy)?.step(-1)?;
    Ok(copy)
}

fn nameless() -> Result<Connection, SessionError> {
    let connection = Connection::open_with_flags("", OpenFlags::default())?;
    // Nobody will read it after a crash.
    connection.pragma_update(None, "journal_mode", "memory")?;
    connection.pragma_update(None, "synchronous", "off")?;
    Ok(connection)
}

/// Opens a session database, and only that.
pub fn open(path: &Path) -> Result<Connection, SessionError> {
    if !is_sqlite(path)? {
        return Err(SessionError::NotADatabase(path.to_owned()));
    }
    let connection = connect(path)?;
    let tables = |name: &str| -> rusqlite::Result<bool> {
        connection.query_row("select count(*) from sqlite_master where name = ?", [name], |row| row.get(0))
    };
    if !tables("heapsee_meta")? {
        let memsee = (tables("gen")? && tables("env")?) || (tables("object")? && tables("ref")?);
        return Err(if memsee { SessionError::Memsee } else { SessionError::Foreign }(path.to_owned()));
    }
    let format: Option<i64> =
        connection.query_row("select value from heapsee_meta where key = 'format'", [], |row| row.get(0)).optional()?;
    match format {
        Some(found) if found > FORMAT => Err(SessionError::TooNew { path: path.to_owned(), found, known: FORMAT }),
        Some(_) => Ok(connection),
        None => Err(SessionError::Foreign(path.to_owned())),
    }
}

/// Whether `path` is an SQLite database, by its first bytes.
pub fn is_sqlite(path: &Path) -> Result<bool, SessionError> {
    let mut magic = Vec::new();
    fs::File::open(path).and_then(|file| file.take(SQLITE_MAGIC.len() as u64).read_to_end(&mut magic)).map_err(
        |source| match source.kind() {
            io::ErrorKind::NotFound => SessionError::Missing(path.to_owned()),
            _ => SessionError::Io { path: path.to_owned(), source },
        },
    )?;
    Ok(magic == SQLITE_MAGIC)
}

fn connect(path: &Path) -> Result<Connection, SessionError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(connection)
}

/// A number that changes when another connection has changed the database, and only then.
pub fn data_version(connection: &Connection) -> Result<i64, SessionError> {
    Ok(connection.query_row("pragma data_version", [], |row| row.get(0))?)
}

/// All generations in their order.
pub fn generations(connection: &Connection) -> Result<Vec<StoredGeneration>, SessionError> {
    let sql = "select num, path, fingerprint, salvage, coalesce(changes, x'') from heapsee_generation order by num";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        Ok(StoredGeneration {
            number: row.get(0)?,
            path: path_from_bytes(row.get(1)?),
            fingerprint: row.get(2)?,
            salvage: row.get(3)?,
            changes: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Adds a generation.
pub fn add_generation(connection: &Connection, generation: &StoredGeneration) -> Result<(), SessionError> {
    connection.execute(
        "insert into heapsee_generation (num, path, fingerprint, salvage) values (?, ?, ?, ?)",
        params![generation.number, path_to_bytes(&generation.path), generation.fingerprint, generation.salvage],
    )?;
    Ok(())
}

/// Stores what the session has changed in a generation.
pub fn save_changes(connection: &Connection, number: u32, changes: &[u8]) -> Result<(), SessionError> {
    connection.execute("update heapsee_generation set changes = ? where num = ?", params![changes, number])?;
    Ok(())
}

/// The current generation, if there is one.
pub fn current(connection: &Connection) -> Result<Option<u32>, SessionError> {
    let sql = "select value from heapsee_meta where key = 'current'";
    Ok(connection.query_row(sql, [], |row| row.get(0)).optional()?.flatten())
}

/// Makes `number` the current generation, or none.
pub fn set_current(connection: &Connection, number: Option<u32>) -> Result<(), SessionError> {
    connection.execute("insert or replace into heapsee_meta values ('current', ?)", [number])?;
    Ok(())
}

/// All names and what they stand for, sorted.
pub fn names(connection: &Connection) -> Result<Vec<(String, String)>, SessionError> {
    let mut statement = connection.prepare("select name, value from heapsee_name order by name")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Defines a name, or gives it a new value.
pub fn set_name(connection: &Connection, name: &str, value: &str) -> Result<(), SessionError> {
    connection.execute("insert or replace into heapsee_name values (?, ?)", [name, value])?;
    Ok(())
}

/// Paths need not be UTF-8.
fn path_to_bytes(path: &Path) -> Vec<u8> {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec()
}

fn path_from_bytes(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let stored = StoredGeneration {
            number: 1,
            path: path_from_bytes(b"/d/\xff.dump".to_vec()),
            fingerprint: "f".into(),
            salvage: true,
            changes: vec![1, 2, 3],
        };
        {
            let connection = create(&path).unwrap();
            add_generation(&connection, &stored).unwrap();
            save_changes(&connection, 1, &stored.changes).unwrap();
            set_current(&connection, Some(1)).unwrap();
            set_name(&connection, "b", "1").unwrap();
            set_name(&connection, "a", "2").unwrap();
            set_name(&connection, "b", "3").unwrap();
        }
        let connection = open(&path).unwrap();
        assert_eq!(generations(&connection).unwrap(), [stored]);
        assert_eq!(current(&connection).unwrap(), Some(1));
        assert_eq!(names(&connection).unwrap(), [("a".into(), "2".into()), ("b".into(), "3".into())]);
        set_current(&connection, None).unwrap();
        assert_eq!(current(&connection).unwrap(), None);
    }

    #[test]
    fn only_sessions_are_opened_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(matches!(open(&at("none")), Err(SessionError::Missing(_))));
        fs::write(at("dump"), "{\"address\": 1}\n").unwrap();
        assert!(matches!(open(&at("dump")), Err(SessionError::NotADatabase(_))));
        assert!(matches!(create(&at("dump")), Err(SessionError::Exists(_))));
        assert!(matches!(open(folder.path()), Err(SessionError::Io { .. })));
        assert!(matches!(create(&at("no/such")), Err(SessionError::Io { .. })));

        let make = |name: &str, sql: &str| Connection::open(at(name)).unwrap().execute_batch(sql).unwrap();
        make("memsee", "create table gen (num int, current int); create table env (name text, value text)");
        assert!(matches!(open(&at("memsee")), Err(SessionError::Memsee(_))));
        make("old-memsee", "create table object (address int); create table ref (parent int)");
        assert!(matches!(open(&at("old-memsee")), Err(SessionError::Memsee(_))));
        make("other", "create table t (x)");
        assert!(matches!(open(&at("other")), Err(SessionError::Foreign(_))));

        create(&at("new")).unwrap().execute("update heapsee_meta set value = 99 where key = 'format'", []).unwrap();
        assert!(matches!(open(&at("new")), Err(SessionError::TooNew { found: 99, known: FORMAT, .. })));
    }
}
