//! A session: an SQLite connection whose tables `obj` and `ref` are heaps, and the database file that remembers it.
//!
//! Every change is one transaction over both: the view in memory and what the file says of it change together or not
//! at all.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fixedbitset::FixedBitSet;
use rusqlite::{Connection, Params, Row, Transaction, TransactionBehavior};

use super::catalog::{Catalog, Generation, Loader};
use super::columns::{OBJ, OBJ_SHOWN};
use super::error::SessionError;
use super::store::{self, StoredGeneration};
use super::{obj, reference};
use heapsee_heap::heap::View;

/// Statements that would begin or end a transaction.
const TRANSACTION_WORDS: [&str; 6] = ["begin", "commit", "end", "rollback", "savepoint", "release"];
/// Statements that SQLite does not run inside a transaction.
const OUTSIDE_WORDS: [&str; 4] = ["vacuum", "pragma", "attach", "detach"];
/// SQLite's steps between two looks at whether the query is to stop: microseconds.
const STEPS_BETWEEN_LOOKS: i32 = 1000;

/// One connection and the heaps it shows.
pub struct Session {
    connection: Connection,
    catalog: Arc<Catalog>,
    /// None: an unnamed session, which is gone when it is dropped, or the program ends in whatever way.
    file: Option<PathBuf>,
    /// The file's [`store::data_version`] when its contents were taken into memory.
    data_version: i64,
    /// The backup of an unnamed session.
    kept: Option<Connection>,
}

impl Session {
    /// An unnamed session, gone when it is dropped.
    pub fn temporary(loader: impl Into<Loader>) -> Result<Self, SessionError> {
        Session::new(store::unnamed()?, None, loader.into())
    }

    /// A new session in a file that must not exist.
    pub fn create(file: &Path, loader: impl Into<Loader>) -> Result<Self, SessionError> {
        Session::new(store::create(file)?, Some(file), loader.into())
    }

    /// The session in an existing file. Dumps are read when they are first asked for: see [`Session::view`].
    pub fn open(file: &Path, loader: impl Into<Loader>) -> Result<Self, SessionError> {
        Session::new(store::open(file)?, Some(file), loader.into())
    }

    fn new(connection: Connection, file: Option<&Path>, loader: Loader) -> Result<Self, SessionError> {
        let data_version = store::data_version(&connection)?;
        let catalog = Arc::new(Catalog::new(loader, store::generations(&connection)?));
        obj::register(&connection, &catalog)?;
        reference::register(&connection, &catalog)?;
        let file = file.map(Path::to_owned);
        let session = Session { connection, catalog, file, data_version, kept: None };
        for generation in session.catalog.all() {
            session.make_tables(&generation.number().to_string(), generation.number())?;
        }
        if let Some(current) = session.current()? {
            session.make_tables("", current)?;
        }
        Ok(session)
    }

    /// Makes `obj<suffix>` and `ref<suffix>` show a generation. They live in SQLite's `temp` schema: no file of ours
    /// holds tables that another program could not open.
    fn make_tables(&self, suffix: &str, number: u32) -> Result<(), SessionError> {
        self.drop_tables(suffix)?;
        self.connection.execute_batch(&format!(
            "create virtual table temp.obj{suffix} using heapsee_obj({number});
             create virtual table temp.ref{suffix} using heapsee_ref({number});"
        ))?;
        Ok(())
    }

    fn drop_tables(&self, suffix: &str) -> Result<(), SessionError> {
        self.connection
            .execute_batch(&format!("drop table if exists temp.obj{suffix}; drop table if exists temp.ref{suffix};"))?;
        Ok(())
    }

    /// Reads a dump as a new generation and makes it the current one.
    pub fn read(&mut self, path: &Path, salvage: bool) -> Result<Arc<View>, SessionError> {
        let heap = self.catalog.load(path, salvage).map_err(SessionError::Load)?;
        self.show(path, salvage, Arc::new(View::new(Arc::new(heap))))
    }

    /// The same with a dump that somebody has read: its path, whether damage was passed over, and what is in it.
    pub fn show(&mut self, path: &Path, salvage: bool, view: Arc<View>) -> Result<Arc<View>, SessionError> {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let stored = StoredGeneration {
            number: self.catalog.all().last().map_or(1, |last| last.number() + 1),
            path: absolute,
            fingerprint: view.heap().source().identity(),
            salvage,
            changes: Vec::new(),
        };
        let number = stored.number;
        view.heap().intact().map_err(|reason| SessionError::Lost { generation: number, reason })?;
        let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        self.require_unchanged(&transaction)?;
        store::add_generation(&transaction, &stored)?;
        store::set_current(&transaction, Some(number))?;
        transaction.commit()?;
        self.catalog.add(stored, view);
        self.make_tables(&number.to_string(), number)?;
        self.make_tables("", number)?;
        self.view()
    }

    /// How many generations there are.
    pub fn generations(&self) -> usize {
        self.catalog.all().len()
    }

    /// The number of the current generation.
    pub fn current(&self) -> Result<Option<u32>, SessionError> {
        store::current(&self.connection)
    }

    /// Makes another generation the current one, or none.
    pub fn use_generation(&self, number: Option<u32>) -> Result<(), SessionError> {
        if let Some(wanted) = number
            && self.catalog.get(wanted).is_none()
        {
            return Err(SessionError::NoGeneration { wanted: wanted.to_string(), known: self.generations() });
        }
        store::set_current(&self.connection, number)?;
        match number {
            Some(number) => self.make_tables("", number),
            None => self.drop_tables(""),
        }
    }

    fn current_generation(&self) -> Result<Arc<Generation>, SessionError> {
        let none = if self.generations() == 0 { SessionError::NoHeap } else { SessionError::NoCurrent };
        let number = self.current()?;
        number.and_then(|number| self.catalog.get(number)).ok_or(none)
    }

    /// The current generation's heap with its changes; reads the dump if that has not been done since `open`.
    pub fn view(&self) -> Result<Arc<View>, SessionError> {
        self.catalog.view(&*self.current_generation()?)
    }

    /// Whether what the current view said is true: to be asked before an answer is passed on.
    pub fn check(&self, view: &View) -> Result<(), SessionError> {
        self.current_generation()?.check(view)
    }

    /// The same, if the dump has been read already.
    pub fn view_in_memory(&self) -> Option<Arc<View>> {
        let generation = self.current_generation().ok().filter(|generation| generation.is_loaded())?;
        self.catalog.view(&generation).ok()
    }

    /// The names of the tables that show heaps, and of all their columns.
    pub fn tables_and_columns(&self) -> Result<(Vec<String>, Vec<String>), SessionError> {
        let list = |sql: &str| -> rusqlite::Result<Vec<String>> {
            self.connection.prepare(sql)?.query_map((), |row| row.get(0))?.collect()
        };
        let columns = "select distinct c.name from temp.sqlite_master t, pragma_table_xinfo(t.name, 'temp') c";
        Ok((list("select name from temp.sqlite_master where type = 'table'")?, list(columns)?))
    }

    /// Runs a query. `begin` gets the columns' names and makes what `each` then collects the rows in.
    pub fn query<S, E: From<SessionError>>(
        &self,
        sql: &str,
        params: impl Params,
        begin: impl FnOnce(Vec<String>) -> S,
        mut each: impl FnMut(&mut S, &Row<'_>) -> Result<(), E>,
    ) -> Result<S, E> {
        let explain = |error| self.explain(error);
        let mut statement = self.connection.prepare(sql).map_err(explain)?;
        if !statement.readonly() {
            return Err(SessionError::NotAQuery.into());
        }
        let mut collected = begin(statement.column_names().map(str::to_owned).collect());
        let mut rows = statement.query(params).map_err(explain)?;
        while let Some(row) = rows.next().map_err(explain)? {
            each(&mut collected, row)?;
        }
        Ok(collected)
    }

    /// The first column of a query's rows, integers only; other rows are passed over.
    pub fn column(&self, sql: &str) -> Result<Vec<i64>, SessionError> {
        self.query(
            sql,
            (),
            |_| Vec::new(),
            |values, row| {
                if let rusqlite::types::ValueRef::Integer(value) = row.get_ref(0)? {
                    values.push(value);
                }
                Ok(())
            },
        )
    }

    /// The objects for which an SQL condition holds, as a set of nodes of `view`, the current one.
    pub fn nodes_where(&self, view: &View, condition: &str) -> Result<FixedBitSet, SessionError> {
        let mut nodes = FixedBitSet::with_capacity(view.node_bound() as usize);
        for address in self.column(&format!("select address from obj where {condition}"))? {
            if let Some(node) = view.node_of(address.cast_unsigned()) {
                nodes.insert(node as usize);
            }
        }
        Ok(nodes)
    }

    /// Calls `each` with the row of every address's object, in this order.
    pub fn objects<E: From<SessionError>>(
        &self,
        addresses: &[i64],
        mut each: impl FnMut(&Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = "select * from obj where address = ?";
        let mut statement = self.connection.prepare(sql).map_err(|error| self.explain(error))?;
        for address in addresses {
            let mut rows = statement.query([address]).map_err(SessionError::from)?;
            while let Some(row) = rows.next().map_err(SessionError::from)? {
                each(row)?;
            }
        }
        Ok(())
    }

    /// The names of the columns of `obj`.
    pub fn object_columns(&self) -> Vec<String> {
        OBJ[..OBJ_SHOWN].iter().map(|column| column.name.to_owned()).collect()
    }

    /// Runs a statement that may change something; returns how many rows it changed.
    pub fn execute(&self, sql: &str) -> Result<usize, SessionError> {
        let word: String = sql.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
        let is_one_of = |words: &[&str]| words.iter().any(|other| other.eq_ignore_ascii_case(&word));
        if is_one_of(&TRANSACTION_WORDS) {
            return Err(SessionError::OwnTransactions);
        }
        if is_one_of(&OUTSIDE_WORDS) {
            return self.run(sql);
        }
        self.transact(|| self.run(sql))
    }

    fn run(&self, sql: &str) -> Result<usize, SessionError> {
        let explain = |error| self.explain(error);
        let mut statement = self.connection.prepare(sql).map_err(explain)?;
        let reads_only = statement.readonly();
        let mut rows = statement.query(()).map_err(explain)?;
        while rows.next().map_err(explain)?.is_some() {}
        drop(rows);
        Ok(if reads_only { 0 } else { self.connection.changes() as usize })
    }

    /// Changes the current view directly.
    pub fn change<R>(&self, change: impl FnOnce(&mut View) -> R) -> Result<R, SessionError> {
        let generation = self.current_generation()?;
        self.catalog.view(&generation)?;
        self.transact(|| {
            generation.begin();
            generation.change(change).ok_or(SessionError::NoHeap)
        })
    }

    /// Runs `change` in a transaction; what it leaves changed in memory is stored, too.
    fn transact<R>(&self, change: impl FnOnce() -> Result<R, SessionError>) -> Result<R, SessionError> {
        self.connection.execute_batch("begin immediate")?;
        let unchanged = self.require_unchanged(&self.connection);
        let done = unchanged.and_then(|()| change()).and_then(|result| {
            for generation in self.catalog.all().iter().filter(|generation| generation.is_changed()) {
                // What was made of a heap that is lost is no change.
                self.catalog.view(generation)?;
                self.save(generation)?;
            }
            self.connection.execute_batch("commit")?;
            Ok(result)
        });
        if done.is_err() && !self.connection.is_autocommit() {
            self.connection.execute_batch("rollback")?;
        }
        // Tables that SQLite wrote to have done this already; a view that was changed directly has not.
        for generation in self.catalog.all() {
            if done.is_ok() { generation.commit() } else { generation.roll_back() }
        }
        done
    }

    /// Two shells may have one session open. What one has in memory would overwrite what the other has stored: whoever
    /// comes second has to open it again. To be called inside a transaction, so that it stays true.
    fn require_unchanged(&self, connection: &Connection) -> Result<(), SessionError> {
        match &self.file {
            Some(file) if store::data_version(connection)? != self.data_version => {
                Err(SessionError::ChangedElsewhere(file.clone()))
            }
            _ => Ok(()),
        }
    }

    fn save(&self, generation: &Generation) -> Result<(), SessionError> {
        if self.file.is_none() {
            // Nobody will open it again; only `backup` wants the changes, and asks for them itself.
            return Ok(());
        }
        self.save_always(generation)
    }

    fn save_always(&self, generation: &Generation) -> Result<(), SessionError> {
        let view = self.catalog.view(generation)?;
        let changes =
            view.export().map_err(|source| SessionError::Io { path: self.file.clone().unwrap_or_default(), source })?;
        store::save_changes(&self.connection, generation.number(), &changes)
    }

    /// All names and their values, sorted.
    pub fn names(&self) -> Result<Vec<(String, String)>, SessionError> {
        store::names(&self.connection)
    }

    /// Defines a name.
    pub fn set_name(&self, name: &str, value: &str) -> Result<(), SessionError> {
        store::set_name(&self.connection, name, value)
    }

    /// Copies the database: beside itself, where a backup is never overwritten, or, of an unnamed session, to where the
    /// session itself is. There is one level.
    pub fn backup(&mut self) -> Result<(), SessionError> {
        let backup = self.file.as_deref().map(backup_of);
        if let Some(backup) = backup.as_deref().filter(|backup| backup.exists()) {
            return Err(SessionError::BackedUp(backup.to_owned()));
        }
        for generation in self.catalog.all().iter().filter(|generation| generation.is_loaded()) {
            self.save_always(generation)?;
        }
        match backup {
            Some(backup) => {
                let name = backup.to_str().ok_or_else(|| SessionError::NotUnicode(backup.clone()))?;
                self.connection.execute("vacuum into ?", [name])?;
            }
            None => self.kept = Some(store::copy(&self.connection)?),
        }
        Ok(())
    }

    /// Goes back to the backup, which stays. Heaps in memory are kept, so that no dump is read again.
    pub fn restore(&mut self, loader: Loader) -> Result<(), SessionError> {
        let heaps = self.catalog.heaps();
        let mut restored = match &self.file {
            Some(file) => {
                replace_by_backup(file)?;
                Session::open(file, loader)?
            }
            None => {
                let kept = self.kept.as_ref().ok_or(SessionError::NothingKept)?;
                Session::new(store::copy(kept)?, None, loader)?
            }
        };
        for (number, heap) in &heaps {
            restored.catalog.adopt(*number, heap)?;
        }
        restored.kept = self.kept.take();
        *self = restored;
        Ok(())
    }

    /// From now on a raised `flag` interrupts the query that runs, or the next one, and is lowered by that.
    ///
    /// Asked for by the query itself, now and then: `sqlite3_interrupt` is without effect on one that is just beginning.
    pub fn heed(&mut self, flag: Arc<AtomicBool>) -> Result<(), SessionError> {
        self.connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || flag.swap(false, Ordering::Relaxed)))?;
        Ok(())
    }

    /// A table that is not there yet deserves better words than SQLite's.
    fn explain(&self, error: rusqlite::Error) -> SessionError {
        let text = error.to_string();
        let missing = ["no such table: obj", "no such table: ref"].iter().any(|start| {
            text.split(*start).nth(1).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        });
        match self.current_generation() {
            Err(reason) if missing => reason,
            _ => SessionError::from(error),
        }
    }
}

fn backup_of(file: &Path) -> PathBuf {
    let mut name = file.to_owned().into_os_string();
    name.push(".bak");
    name.into()
}

/// By renaming a copy: a crash leaves the one or the other.
fn replace_by_backup(file: &Path) -> Result<(), SessionError> {
    let backup = backup_of(file);
    if !backup.exists() {
        return Err(SessionError::NoBackup(backup));
    }
    // Checked before anything is overwritten.
    drop(store::open(&backup)?);
    let mut copy = file.to_owned().into_os_string();
    copy.push(".restoring");
    let copy = PathBuf::from(copy);
    std::fs::copy(backup, &copy)
        .and_then(|_| std::fs::rename(&copy, file))
        .map_err(|source| SessionError::Io { path: file.to_owned(), source })
}
