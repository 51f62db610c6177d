//! What a changed row means to a [`View`]: the rules behind insert, update and delete on the virtual tables, and what
//! the two tables share.
//!
//! A rule that is broken is a constraint violation to SQLite, which then undoes the whole statement.

use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Error, Result, ffi};

use super::catalog::{Catalog, Generation};
use super::columns::OBJ_SHOWN;
use super::plan;
use super::ref_row::RefRow;
use heapsee_heap::heap::{CellValue, Cells, View};
use heapsee_heap::naming::{plain, repr};

/// The generation that `using heapsee_obj(N)` names.
pub fn connect(catalog: Option<&Arc<Catalog>>, args: &[&[u8]]) -> Result<(Arc<Catalog>, Arc<Generation>)> {
    let number = args.first().and_then(|arg| std::str::from_utf8(arg).ok()?.trim().parse().ok());
    let found = catalog.zip(number).and_then(|(catalog, number)| Some((Arc::clone(catalog), catalog.get(number)?)));
    found.ok_or_else(|| Error::ModuleError("there is no such generation".to_owned()))
}

/// The heap as it is now, read from its dump if need be.
pub fn view(catalog: &Catalog, generation: &Generation) -> Result<Arc<View>> {
    catalog.view(generation).map_err(|error| Error::ModuleError(error.to_string()))
}

/// Whether what was taken from a view is true: to be asked after it was taken, and before SQLite gets it.
#[inline]
pub fn check(generation: &Generation, view: &View) -> Result<()> {
    generation.check(view).map_err(|error| Error::ModuleError(error.to_string()))
}

/// A constraint violation.
pub fn refused(message: &str) -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CONSTRAINT), Some(message.to_owned()))
}

/// Hidden columns are made of what the heap says.
pub fn refuse_hidden(unchanged: bool) -> Result<()> {
    if unchanged {
        Ok(())
    } else {
        Err(refused("what `help select` lists as columns that * leaves out is found out: leave it out"))
    }
}

fn change<R>(generation: &Generation, change: impl FnOnce(&mut View) -> R) -> Result<R> {
    // `begin` has read the dump before any row can change.
    generation.change(change).ok_or_else(|| refused("the heap is not loaded"))
}

/// The cells of a row of `obj` that can be written, and the hidden ones.
pub fn shown<'c, 'v>(cells: &'c [ValueRef<'v>]) -> Result<(&'c [ValueRef<'v>; OBJ_SHOWN], &'c [ValueRef<'v>])> {
    cells.split_first_chunk().ok_or_else(|| refused("a row of obj has more columns"))
}

/// A row of `obj` goes.
pub fn object_deleted(generation: &Generation, node: Option<u32>) -> Result<()> {
    // An object may have been deleted by the same statement in the meantime: then there is nothing left to do.
    change(generation, |view| node.is_some_and(|node| view.delete_object(node))).map(drop)
}

/// A row of `obj` comes; returns its node.
pub fn object_inserted(generation: &Generation, cells: &[ValueRef<'_>; OBJ_SHOWN]) -> Result<u32> {
    let row = ObjectRow::of(cells)?;
    let address = row.address.ok_or_else(|| refused("an object needs an address: a positive integer"))?;
    if row.repr.is_some() {
        return Err(refused("repr is made of type, name and value: leave it out"));
    }
    let (mark, cells) = (row.mark, row.cells);
    change(generation, |view| {
        let node = view.add_object(address, cells);
        node.inspect(|&node| {
            if mark.is_some() {
                view.set_mark(node, mark)
            }
        })
    })?
    .ok_or_else(|| refused(&format!("there is an object at address {address} already")))
}

/// A row of `obj` changes.
pub fn object_updated(generation: &Generation, node: Option<u32>, cells: &[ValueRef<'_>; OBJ_SHOWN]) -> Result<()> {
    let mut row = ObjectRow::of(cells)?;
    change(generation, |view| {
        let Some(node) = node.filter(|&node| view.is_live(node)) else { return Ok(()) };
        let old = view.cells(node);
        if row.address != Some(view.address(node)) {
            return Err(refused("the address of an object cannot be changed"));
        }
        let old_repr = repr(&old.type_name, view.name(node), view.value(node)).into_owned();
        if row.repr.as_ref() != Some(&old_repr) {
            return Err(refused("repr is made of type, name and value: change those"));
        }
        keep_integer(&mut row.cells, &old);
        if row.cells != old {
            view.set_cells(node, row.cells);
        }
        if row.mark != view.mark(node) {
            view.set_mark(node, row.mark);
        }
        Ok(())
    })?
}

/// The table shows integers as text; one that came back as it was is still an integer.
fn keep_integer(new: &mut Cells, old: &Cells) {
    if let (Some(CellValue::Text(text)), Some(value @ CellValue::Int(_))) = (&new.value, &old.value)
        && *text == plain(value.borrow())
    {
        new.value = Some(value.clone());
    }
}

/// A row of `ref` goes.
pub fn reference_deleted(generation: &Generation, rowid: Option<i64>) -> Result<()> {
    change(generation, |view| delete_reference(view, rowid)).map(drop)
}

fn delete_reference(view: &mut View, rowid: Option<i64>) -> bool {
    match rowid.and_then(|rowid| RefRow::with_rowid(view, rowid)) {
        Some(RefRow { edge: Some(edge), .. }) => view.delete_edge(edge.id),
        Some(RefRow { edge: None, child }) => view.delete_root(child),
        None => false,
    }
}

/// A row of `ref` comes; returns its rowid.
pub fn reference_inserted(generation: &Generation, cells: &[ValueRef<'_>]) -> Result<i64> {
    let (parent, child) = ends(cells)?;
    change(generation, |view| add_reference(view, parent, child))?.map(|row| row.rowid())
}

fn add_reference(view: &mut View, parent: u64, child: u64) -> Result<RefRow> {
    if parent != 0 {
        let id = view.add_edge(parent, child);
        let edge = id.and_then(|id| view.edge(id));
        return edge.map(RefRow::from).ok_or_else(|| refused(&format!("there is no object at {parent} or at {child}")));
    }
    let node = view.node_of(child).filter(|&node| view.is_live(node));
    let node = node.ok_or_else(|| refused(&format!("there is no object at {child}")))?;
    // The root refers to an object once; to say so again changes nothing.
    view.add_root(node);
    Ok(RefRow::root(node))
}

/// A row of `ref` changes: it becomes another reference.
pub fn reference_updated(generation: &Generation, rowid: Option<i64>, cells: &[ValueRef<'_>]) -> Result<()> {
    let (parent, child) = ends(cells)?;
    change(generation, |view| {
        let Some(old) = rowid.and_then(|rowid| RefRow::with_rowid(view, rowid)) else { return Ok(()) };
        if (old.parent(view), view.address(old.child)) == (parent, child) {
            return Ok(());
        }
        delete_reference(view, rowid);
        add_reference(view, parent, child).map(drop)
    })?
}

fn ends(cells: &[ValueRef<'_>]) -> Result<(u64, u64)> {
    let address = |i: usize, what: &str| {
        let value = cells.get(i).copied().and_then(plan::integer);
        value.map(i64::cast_unsigned).ok_or_else(|| refused(&format!("a reference needs a {what}: an address")))
    };
    Ok((address(0, "parent")?, address(1, "child")?))
}

/// A row of `obj` as it is to be.
struct ObjectRow {
    address: Option<u64>,
    cells: Cells,
    mark: Option<u32>,
    repr: Option<String>,
}

impl ObjectRow {
    fn of(cells: &[ValueRef<'_>; OBJ_SHOWN]) -> Result<Self> {
        let [address, type_name, name, value, size, length, mark, repr] = *cells;
        let value = match value {
            ValueRef::Integer(value) => Some(CellValue::Int(value)),
            other => text("value", other)?.map(CellValue::Text),
        };
        let type_name = text("type", type_name)?.ok_or_else(|| refused("an object needs a type"))?;
        let mark = natural("mark", mark)?.map(|mark| u32::try_from(mark).ok().filter(|&mark| mark < u32::MAX));
        Ok(ObjectRow {
            address: plan::integer(address).filter(|&address| address != 0).map(i64::cast_unsigned),
            cells: Cells {
                type_name,
                size: natural("size", size)?.unwrap_or(0),
                length: natural("len", length)?,
                name: text("name", name)?,
                value,
            },
            mark: match mark {
                Some(None) => return Err(refused("mark is too large")),
                other => other.flatten(),
            },
            repr: text("repr", repr)?,
        })
    }
}

fn natural(column: &str, value: ValueRef<'_>) -> Result<Option<u64>> {
    if value == ValueRef::Null {
        return Ok(None);
    }
    let number = plan::integer(value).and_then(|value| u64::try_from(value).ok());
    number.map(Some).ok_or_else(|| refused(&format!("{column} must be an integer from 0 on")))
}

fn text(column: &str, value: ValueRef<'_>) -> Result<Option<String>> {
    match value {
        ValueRef::Null => Ok(None),
        ValueRef::Text(text) => Ok(Some(String::from_utf8_lossy(text).into_owned())),
        ValueRef::Integer(value) => Ok(Some(value.to_string())),
        ValueRef::Real(value) => Ok(Some(format!("{value:?}"))),
        ValueRef::Blob(_) => Err(refused(&format!("{column} must be text"))),
    }
}
