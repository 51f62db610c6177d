//! How SQLite calls the cursor of `obj` where that matters: once for each row of a scan, millions of times.
//!
//! rusqlite's glue is right for everything else. Counting objects by type is nothing but stepping to the next row and
//! handing over the name of its type; there it would cost more than the heap does, most of all a copy of each name.

use std::ffi::c_int;

use rusqlite::ffi::{self, SQLITE_ERROR, SQLITE_OK, SQLITE_STATIC, SQLITE_UTF8, sqlite3_context, sqlite3_module};
use rusqlite::vtab::{Module, sqlite3_vtab_cursor};

use super::obj::{ObjCursor, ObjTable, TYPE};

// What is taken for granted below must be looked at again with every version of rusqlite: Cargo.toml pins it.
const _: () = assert!(
    size_of::<Module<'static, ObjTable>>() == size_of::<sqlite3_module>()
        && align_of::<Module<'static, ObjTable>>() == align_of::<sqlite3_module>()
);

/// rusqlite's, with two of its functions replaced.
pub const MODULE: &Module<'static, ObjTable> = &{
    let mut module = RUSQLITES;
    module.xNext = Some(next);
    module.xColumn = Some(column);
    // SAFETY: as below, the other way round; both functions are for the cursors that the others make.
    unsafe { std::mem::transmute::<sqlite3_module, Module<'static, ObjTable>>(module) }
};

// SAFETY: `Module` is `#[repr(transparent)]` over `sqlite3_module`.
const RUSQLITES: sqlite3_module =
    unsafe { std::mem::transmute::<Module<'static, ObjTable>, sqlite3_module>(Module::update_module_with_tx()) };

unsafe extern "C" fn next(cursor: *mut sqlite3_vtab_cursor) -> c_int {
    // SAFETY: SQLite passes what `xOpen` made, an `ObjCursor`, to one function at a time.
    unsafe { &mut *cursor.cast::<ObjCursor>() }.advance();
    SQLITE_OK
}

unsafe extern "C" fn column(cursor: *mut sqlite3_vtab_cursor, context: *mut sqlite3_context, column: c_int) -> c_int {
    // SAFETY: as in `next`.
    let this = unsafe { &*cursor.cast::<ObjCursor>() };
    if column == TYPE
        && let Some(name) = this.lasting_type_name()
    {
        let (text, length) = (name.as_ptr().cast(), name.len() as u64);
        // SAFETY: the text belongs to a heap that the catalog holds, which outlives the connection and so all statements;
        // the context is SQLite's own.
        unsafe { ffi::sqlite3_result_text64(context, text, length, SQLITE_STATIC(), SQLITE_UTF8 as _) };
        return SQLITE_OK;
    }
    match RUSQLITES.xColumn {
        // SAFETY: called as SQLite calls this function.
        Some(column_of) => unsafe { column_of(cursor, context, column) },
        None => SQLITE_ERROR,
    }
}
