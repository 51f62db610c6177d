//! The virtual table `obj`: one row an object.
//!
//! SQLite's planner may ask for the object at an address, for those of a type, or for an order by type or address;
//! everything else is a scan in file order. Cells are made when SQLite asks for them and not before.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ffi::{CStr, c_int};
use std::sync::Arc;

use rusqlite::types::{Null, ValueRef};
use rusqlite::vtab::{
    Context, CreateVTab, Filters, IndexFlags, IndexInfo, Inserts, TransactionVTab, UpdateVTab, Updates, VTab,
    VTabConfig, VTabConnection, VTabCursor, VTabKind, sqlite3_vtab, sqlite3_vtab_cursor,
};
use rusqlite::{Connection, Result};

use super::catalog::{Catalog, Generation};
use super::columns::{Look, OBJ, OBJ_SHOWN, number, schema};
use super::found::Found;
use super::module::MODULE;
use super::plan::{self, Order, ROWID, Text};
use super::scan::Scan;
use super::write;
use heapsee_heap::heap::View;

pub(super) const ADDRESS: c_int = number(&OBJ, "address");
pub(super) const TYPE: c_int = number(&OBJ, "type");

/// Makes the module known to a connection.
pub fn register(connection: &Connection, catalog: &Arc<Catalog>) -> Result<()> {
    connection.create_module(c"heapsee_obj", MODULE, Some(Arc::clone(catalog)))
}

/// One table over one generation.
#[repr(C)]
pub(super) struct ObjTable {
    base: sqlite3_vtab,
    catalog: Arc<Catalog>,
    generation: Arc<Generation>,
}

impl ObjTable {
    fn view(&self) -> Result<Arc<View>> {
        write::view(&self.catalog, &self.generation)
    }

    /// Whether an update leaves the hidden cells of a row as they were. One from a join hands them back: then they are
    /// what was found before the statement began to change things.
    fn leaves_hidden(&self, args: &Updates<'_>, view: &View, node: u32, cells: &[ValueRef<'_>]) -> bool {
        let last = self.generation.last_found();
        OBJ[OBJ_SHOWN..].iter().zip(cells).enumerate().all(|(hidden, (column, &cell))| {
            args.no_change(OBJ_SHOWN + hidden + 2)
                || match column.cell {
                    Look::Object(look) => look(view, node).is(cell),
                    Look::Graph(look) => last.as_deref().is_some_and(|found| look(found, view, node).is(cell)),
                }
        })
    }
}

/// How a cursor finds its rows: SQLite's `idxNum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    File,
    Row,
    Address,
    Type,
    ByType { descending: bool },
    OneOfEachType { descending: bool },
    ByAddress { descending: bool },
}

impl Plan {
    const ALL: [Plan; 10] = [
        Plan::File,
        Plan::Row,
        Plan::Address,
        Plan::Type,
        Plan::ByType { descending: false },
        Plan::ByType { descending: true },
        Plan::OneOfEachType { descending: false },
        Plan::OneOfEachType { descending: true },
        Plan::ByAddress { descending: false },
        Plan::ByAddress { descending: true },
    ];

    fn number(self) -> c_int {
        Plan::ALL.iter().position(|&plan| plan == self).unwrap_or(0) as c_int
    }

    fn of(number: c_int) -> Plan {
        usize::try_from(number).ok().and_then(|number| Plan::ALL.get(number).copied()).unwrap_or(Plan::File)
    }

    fn for_order(order: Order) -> Option<Plan> {
        let descending = order.descending;
        match order.column {
            ADDRESS => Some(Plan::ByAddress { descending }),
            TYPE if order.distinct => Some(Plan::OneOfEachType { descending }),
            TYPE => Some(Plan::ByType { descending }),
            ROWID if !descending => Some(Plan::File),
            _ => None,
        }
    }
}

// SAFETY: `#[repr(C)]` with `sqlite3_vtab` as the first field, as the trait demands.
unsafe impl VTab<'_> for ObjTable {
    type Aux = Arc<Catalog>;
    type Cursor = ObjCursor;

    fn connect(
        db: &mut VTabConnection,
        catalog: Option<&Arc<Catalog>>,
        _module: &[u8],
        _database: &[u8],
        _table: &[u8],
        args: &[&[u8]],
    ) -> Result<(Cow<'static, CStr>, Self)> {
        db.config(VTabConfig::ConstraintSupport)?;
        let (catalog, generation) = write::connect(catalog, args)?;
        Ok((Cow::Owned(schema("obj", &OBJ)), ObjTable { base: sqlite3_vtab::default(), catalog, generation }))
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        let view = self.view()?;
        let objects = view.counts().objects as f64;
        let order = Order::wanted(info);
        for (column, plan) in [(ROWID, Plan::Row), (ADDRESS, Plan::Address)] {
            if let Some(i) = plan::equality(info, column) {
                plan::pass(info, i, 1);
                info.set_idx_num(plan.number());
                info.set_idx_flags(IndexFlags::SQLITE_INDEX_SCAN_UNIQUE);
                info.set_order_by_consumed(order.is_some());
                estimate(info, 1.0);
                return Ok(true);
            }
        }
        if let Some(i) = plan::equality(info, TYPE) {
            let rows = rows_of_type(&view, info, i).unwrap_or(objects / 20.0);
            plan::pass(info, i, 1);
            info.set_idx_num(Plan::Type.number());
            estimate(info, rows);
            return Ok(true);
        }
        let plan = order.and_then(Plan::for_order);
        info.set_order_by_consumed(plan.is_some());
        info.set_idx_num(plan.unwrap_or(Plan::File).number());
        estimate(info, objects);
        Ok(true)
    }

    fn open(&mut self) -> Result<ObjCursor> {
        let view = self.view()?;
        Ok(ObjCursor {
            base: sqlite3_vtab_cursor::default(),
            catalog: Arc::clone(&self.catalog),
            generation: Arc::clone(&self.generation),
            view,
            found: OnceCell::new(),
            scan: Scan::nothing(),
            node: None,
        })
    }
}

fn estimate(info: &mut IndexInfo, rows: f64) {
    info.set_estimated_cost(rows + 1.0);
    info.set_estimated_rows(rows as i64);
}

/// How many objects the type has that constraint `i` names, if it is a constant.
fn rows_of_type(view: &View, info: &IndexInfo, i: usize) -> Option<f64> {
    let Text::Is(name) = plan::text(info.rhs_value(i).ok()??) else { return None };
    let heap = view.heap();
    Some(heap.type_by_name(&name).map_or(1.0, |type_id| heap.objects_by_type().of_type(type_id).len() as f64))
}

impl CreateVTab<'_> for ObjTable {
    const KIND: VTabKind = VTabKind::Default;
}

impl UpdateVTab<'_> for ObjTable {
    fn delete(&mut self, rowid: ValueRef<'_>) -> Result<()> {
        write::object_deleted(&self.generation, node_of_rowid(plan::integer(rowid)))
    }

    fn insert(&mut self, args: &Inserts<'_>) -> Result<i64> {
        let cells: Vec<ValueRef<'_>> = args.iter().skip(2).collect();
        let (cells, hidden) = write::shown(&cells)?;
        write::refuse_hidden(hidden.iter().all(|&cell| cell == ValueRef::Null))?;
        write::object_inserted(&self.generation, cells).map(rowid_of_node)
    }

    fn update(&mut self, args: &Updates<'_>) -> Result<()> {
        let values: Vec<ValueRef<'_>> = args.iter().collect();
        let Some(([old, new], cells)) = values.split_first_chunk() else { return Ok(()) };
        if plan::integer(*old) != plan::integer(*new) {
            return Err(write::refused("the rowid of an object cannot be changed"));
        }
        let node = node_of_rowid(plan::integer(*old));
        let (cells, hidden) = write::shown(cells)?;
        let view = self.view()?;
        let found = node.filter(|&node| view.is_live(node));
        write::refuse_hidden(found.is_none_or(|node| self.leaves_hidden(args, &view, node, hidden)))?;
        write::object_updated(&self.generation, node, cells)
    }
}

impl TransactionVTab<'_> for ObjTable {
    fn begin(&mut self) -> Result<()> {
        self.view()?;
        self.generation.begin();
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.generation.commit();
        Ok(())
    }

    fn rollback(&mut self) -> Result<()> {
        self.generation.roll_back();
        Ok(())
    }
}

fn rowid_of_node(node: u32) -> i64 {
    i64::from(node) + 1
}

fn node_of_rowid(rowid: Option<i64>) -> Option<u32> {
    u32::try_from(rowid?.checked_sub(1)?).ok()
}

/// One pass over the rows, of the view as it was when the pass began.
#[repr(C)]
pub(super) struct ObjCursor {
    base: sqlite3_vtab_cursor,
    catalog: Arc<Catalog>,
    generation: Arc<Generation>,
    view: Arc<View>,
    found: OnceCell<Arc<Found>>,
    scan: Scan,
    node: Option<u32>,
}

impl ObjCursor {
    fn found(&self) -> &Found {
        self.found.get_or_init(|| self.generation.found(&self.view))
    }

    fn scan(&self, plan: Plan, argument: Option<ValueRef<'_>>) -> Scan {
        let view = &self.view;
        let one = |node: Option<u32>| Scan::list(node.into_iter().collect());
        let argument = argument.unwrap_or(ValueRef::Null);
        match plan {
            Plan::File => Scan::file_order(view),
            Plan::Row => one(node_of_rowid(plan::integer(argument))),
            Plan::Address => one(plan::integer(argument).and_then(|value| view.node_of(value.cast_unsigned()))),
            Plan::Type => match plan::text(argument) {
                Text::Is(name) => {
                    view.type_by_name(&name).map_or_else(Scan::nothing, |type_id| Scan::of_type(view, type_id))
                }
                Text::Nothing => Scan::nothing(),
                Text::Unknown => Scan::file_order(view),
            },
            Plan::ByType { descending } => Scan::by_type(view, descending, false),
            Plan::OneOfEachType { descending } => Scan::by_type(view, descending, true),
            Plan::ByAddress { descending } => Scan::by_address(view, descending),
        }
    }

    /// The next row.
    #[inline]
    pub(super) fn advance(&mut self) {
        self.node = self.scan.next(&self.view);
    }

    /// The name of the type that the scan is at, if it goes by the heap's own types: they are there as long as the heap.
    #[inline]
    pub(super) fn lasting_type_name(&self) -> Option<&str> {
        self.scan.type_id().map(|type_id| self.view.heap().type_name(type_id))
    }
}

// SAFETY: `#[repr(C)]` with `sqlite3_vtab_cursor` as the first field, as the trait demands.
unsafe impl VTabCursor for ObjCursor {
    fn filter(&mut self, plan: c_int, _idx_str: Option<&str>, args: &Filters<'_>) -> Result<()> {
        self.view = write::view(&self.catalog, &self.generation)?;
        self.found = OnceCell::new();
        self.scan = self.scan(Plan::of(plan), args.iter().next());
        self.advance();
        write::check(&self.generation, &self.view)
    }

    fn next(&mut self) -> Result<()> {
        self.advance();
        Ok(())
    }

    fn eof(&self) -> bool {
        self.node.is_none()
    }

    fn column(&self, context: &mut Context, column: c_int) -> Result<()> {
        let Some(node) = self.node else { return context.set_result(Null) };
        let view = &self.view;
        let Some(column) = usize::try_from(column).ok().and_then(|column| OBJ.get(column)) else {
            return context.set_result(Null);
        };
        match column.cell {
            // An update that leaves it alone need not find it out.
            _ if column.is_hidden && context.no_change() => Ok(()),
            Look::Object(look) => context.set_result(look(view, node)),
            Look::Graph(look) => context.set_result(look(self.found(), view, node)),
        }?;
        write::check(&self.generation, view)
    }

    fn rowid(&self) -> Result<i64> {
        Ok(self.node.map_or(0, rowid_of_node))
    }
}
