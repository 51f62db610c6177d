//! The virtual table `ref`: one row a reference, repeats kept; the virtual root's references have parent 0.
//!
//! A third column, `edge`, is hidden: `select *` is as in memsee. It says what the reference is called.
//!
//! SQLite's planner may ask for the references of a parent or to a child, or for an order or a grouping by either.
//! Rows are produced in batches, each the references of one object or a stretch of the file.

use std::borrow::Cow;
use std::ffi::{CStr, c_int};
use std::rc::Rc;
use std::sync::Arc;

use rusqlite::types::{Null, ValueRef};
use rusqlite::vtab::{
    Context, CreateVTab, Filters, IndexFlags, IndexInfo, Inserts, Module, TransactionVTab, UpdateVTab, Updates, VTab,
    VTabConfig, VTabConnection, VTabCursor, VTabKind, sqlite3_vtab, sqlite3_vtab_cursor,
};
use rusqlite::{Connection, Result};

use super::catalog::{Catalog, Generation};
use super::columns::{Cell, REF, REF_SHOWN, number, schema};
use super::plan::{self, Order, ROWID};
use super::ref_row::RefRow;
use super::write;
use heapsee_heap::heap::View;
use heapsee_heap::naming::{Known, Names};

const PARENT: c_int = number(&REF, "parent");
const CHILD: c_int = number(&REF, "child");
/// Edges taken at a time when all are wanted.
const BATCH: u32 = 1024;

/// Makes the module known to a connection.
pub fn register(connection: &Connection, catalog: &Arc<Catalog>) -> Result<()> {
    const MODULE: &Module<'static, RefTable> = &Module::update_module_with_tx();
    connection.create_module(c"heapsee_ref", MODULE, Some(Arc::clone(catalog)))
}

/// One table over one generation.
#[repr(C)]
struct RefTable {
    base: sqlite3_vtab,
    catalog: Arc<Catalog>,
    generation: Arc<Generation>,
}

impl RefTable {
    fn view(&self) -> Result<Arc<View>> {
        write::view(&self.catalog, &self.generation)
    }
}

/// How a cursor finds its rows: SQLite's `idxNum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    File,
    Row,
    Parent,
    Child,
    ParentAndChild,
    GroupedByParent,
    GroupedByChild,
    SortedByParent,
    SortedByChild,
}

impl Plan {
    const ALL: [Plan; 9] = [
        Plan::File,
        Plan::Row,
        Plan::Parent,
        Plan::Child,
        Plan::ParentAndChild,
        Plan::GroupedByParent,
        Plan::GroupedByChild,
        Plan::SortedByParent,
        Plan::SortedByChild,
    ];

    fn number(self) -> c_int {
        Plan::ALL.iter().position(|&plan| plan == self).unwrap_or(0) as c_int
    }

    fn of(number: c_int) -> Plan {
        usize::try_from(number).ok().and_then(|number| Plan::ALL.get(number).copied()).unwrap_or(Plan::File)
    }

    fn for_order(order: Order) -> Option<Plan> {
        match (order.column, order.grouping, order.descending) {
            (PARENT, true, _) => Some(Plan::GroupedByParent),
            (CHILD, true, _) => Some(Plan::GroupedByChild),
            (PARENT, false, false) => Some(Plan::SortedByParent),
            (CHILD, false, false) => Some(Plan::SortedByChild),
            _ => None,
        }
    }
}

// SAFETY: `#[repr(C)]` with `sqlite3_vtab` as the first field, as the trait demands.
unsafe impl VTab<'_> for RefTable {
    type Aux = Arc<Catalog>;
    type Cursor = RefCursor;

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
        Ok((Cow::Owned(schema("ref", &REF)), RefTable { base: sqlite3_vtab::default(), catalog, generation }))
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        let counts = self.view()?.counts();
        let all = (counts.refs + counts.roots) as f64;
        // An object has this many references on average; many of a few objects hardly change it.
        let some = all / (counts.objects as f64 + 1.0) + 1.0;
        if let Some(i) = plan::equality(info, ROWID) {
            plan::pass(info, i, 1);
            info.set_idx_flags(IndexFlags::SQLITE_INDEX_SCAN_UNIQUE);
            return Ok(choose(info, Plan::Row, false, 1.0));
        }
        let keys = (plan::equality(info, PARENT), plan::equality(info, CHILD));
        if let (Some(parent), Some(child)) = keys {
            plan::pass(info, parent, 1);
            plan::pass(info, child, 2);
            return Ok(choose(info, Plan::ParentAndChild, false, 1.0));
        }
        for (key, plan) in [(keys.0, Plan::Parent), (keys.1, Plan::Child)] {
            if let Some(i) = key {
                plan::pass(info, i, 1);
                return Ok(choose(info, plan, false, some));
            }
        }
        let plan = Order::wanted(info).and_then(Plan::for_order);
        Ok(choose(info, plan.unwrap_or(Plan::File), plan.is_some(), all))
    }

    fn open(&mut self) -> Result<RefCursor> {
        let view = self.view()?;
        Ok(RefCursor {
            base: sqlite3_vtab_cursor::default(),
            catalog: Arc::clone(&self.catalog),
            generation: Arc::clone(&self.generation),
            view,
            source: Upcoming::Nothing,
            batch: Vec::new(),
            at: 0,
            known: Rc::default(),
        })
    }
}

fn choose(info: &mut IndexInfo, plan: Plan, ordered: bool, rows: f64) -> bool {
    info.set_idx_num(plan.number());
    info.set_order_by_consumed(ordered);
    info.set_estimated_cost(rows + 1.0);
    info.set_estimated_rows(rows as i64);
    true
}

impl CreateVTab<'_> for RefTable {
    const KIND: VTabKind = VTabKind::Default;
}

impl UpdateVTab<'_> for RefTable {
    fn delete(&mut self, rowid: ValueRef<'_>) -> Result<()> {
        write::reference_deleted(&self.generation, plan::integer(rowid))
    }

    fn insert(&mut self, args: &Inserts<'_>) -> Result<i64> {
        let cells: Vec<ValueRef<'_>> = args.iter().skip(2).collect();
        let (cells, hidden) = cells.split_at(REF_SHOWN.min(cells.len()));
        write::refuse_hidden(hidden.iter().all(|&cell| cell == ValueRef::Null))?;
        write::reference_inserted(&self.generation, cells)
    }

    fn update(&mut self, args: &Updates<'_>) -> Result<()> {
        let values: Vec<ValueRef<'_>> = args.iter().collect();
        let Some(([old, new], cells)) = values.split_first_chunk() else { return Ok(()) };
        if plan::integer(*old) != plan::integer(*new) {
            return Err(write::refused("the rowid of a reference cannot be changed"));
        }
        let (cells, hidden) = cells.split_at(REF_SHOWN.min(cells.len()));
        let view = self.view()?;
        let row = plan::integer(*old).and_then(|rowid| RefRow::with_rowid(&view, rowid));
        let names = Names::new(&view);
        let mut hidden = REF[REF_SHOWN..].iter().zip(hidden);
        let unchanged =
            hidden.all(|(column, &cell)| row.as_ref().map_or(Cell::Null, |row| (column.cell)(row, &names)).is(cell));
        write::refuse_hidden(unchanged)?;
        write::reference_updated(&self.generation, plan::integer(*old), cells)
    }
}

impl TransactionVTab<'_> for RefTable {
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

/// Where the next batch comes from.
enum Upcoming {
    /// Edges from this id on, then the root's.
    File(u32),
    /// The references of each of these, the root's being those of `None`.
    Parents(std::vec::IntoIter<Option<u32>>),
    /// The references to each of these.
    Children(std::vec::IntoIter<u32>),
    /// The batch is all there is.
    Nothing,
}

/// One pass over the rows, of the view as it was when the pass began.
#[repr(C)]
struct RefCursor {
    base: sqlite3_vtab_cursor,
    catalog: Arc<Catalog>,
    generation: Arc<Generation>,
    view: Arc<View>,
    source: Upcoming,
    batch: Vec<RefRow>,
    at: usize,
    known: Rc<Known>,
}

impl RefCursor {
    fn start(&mut self, plan: Plan, args: &[ValueRef<'_>]) {
        let view = Arc::clone(&self.view);
        let address = |i: usize| args.get(i).copied().and_then(plan::integer).map(i64::cast_unsigned);
        self.source = match plan {
            Plan::File => Upcoming::File(0),
            Plan::Row => {
                self.batch.extend(address(0).and_then(|rowid| RefRow::with_rowid(&view, rowid.cast_signed())));
                Upcoming::Nothing
            }
            Plan::Parent => parents(address(0).and_then(|address| parent_at(&view, address)).into_iter().collect()),
            Plan::Child => children(address(0).and_then(|address| view.node_of(address)).into_iter().collect()),
            Plan::ParentAndChild => self.narrower(address(0), address(1)),
            Plan::GroupedByParent => parents(std::iter::once(None).chain((0..view.node_bound()).map(Some)).collect()),
            Plan::GroupedByChild => children((0..view.node_bound()).collect()),
            Plan::SortedByParent => {
                parents(std::iter::once(None).chain(by_address(&view).into_iter().map(Some)).collect())
            }
            Plan::SortedByChild => children(by_address(&view)),
        };
    }

    /// SQLite checks both constraints anyway: the side with fewer references is enough.
    fn narrower(&self, parent: Option<u64>, child: Option<u64>) -> Upcoming {
        let view = &self.view;
        let (Some(parent), Some(child)) = (parent, child) else { return Upcoming::Nothing };
        let (Some(parent), Some(child)) = (parent_at(view, parent), view.node_of(child)) else {
            return Upcoming::Nothing;
        };
        let heap = view.heap();
        let from = parent.map_or(view.counts().roots as usize, |node| heap.edges(node).len());
        let into = if child < heap.node_count() { heap.edges_into(child).len() } else { 0 };
        if from <= into { parents(vec![parent]) } else { children(vec![child]) }
    }

    fn advance(&mut self) {
        self.at += 1;
        while self.at >= self.batch.len() && self.refill() {
            self.at = 0;
        }
    }

    /// Takes the next batch, which may be empty; false if there is none.
    fn refill(&mut self) -> bool {
        self.batch.clear();
        let (view, batch) = (&self.view, &mut self.batch);
        match &mut self.source {
            Upcoming::Nothing => return false,
            Upcoming::File(next) => {
                let end = view.edge_bound().min(next.saturating_add(BATCH));
                if *next == end {
                    batch.extend(view.roots().map(RefRow::root));
                    self.source = Upcoming::Nothing;
                } else {
                    batch.extend((*next..end).filter_map(|id| view.edge(id)).map(RefRow::from));
                    *next = end;
                }
            }
            Upcoming::Parents(nodes) => match nodes.next() {
                None => return false,
                Some(None) => batch.extend(view.roots().map(RefRow::root)),
                Some(Some(node)) => view.edges_from(node, |edge| batch.push(RefRow::from(edge))),
            },
            Upcoming::Children(nodes) => match nodes.next() {
                None => return false,
                Some(node) => {
                    view.edges_to(node, |edge| batch.push(RefRow::from(edge)));
                    batch.extend(view.is_root(node).then(|| RefRow::root(node)));
                }
            },
        }
        true
    }
}

fn parents(nodes: Vec<Option<u32>>) -> Upcoming {
    Upcoming::Parents(nodes.into_iter())
}

fn children(nodes: Vec<u32>) -> Upcoming {
    Upcoming::Children(nodes.into_iter())
}

/// The root for 0; else the node at an address, if there is one.
#[expect(clippy::option_option, reason = "no node, or the root, or a node")]
fn parent_at(view: &View, address: u64) -> Option<Option<u32>> {
    if address == 0 { Some(None) } else { view.node_of(address).map(Some) }
}

/// All nodes in the order in which SQL sees their addresses.
fn by_address(view: &View) -> Vec<u32> {
    let mut nodes: Vec<u32> = (0..view.node_bound()).collect();
    nodes.sort_by_cached_key(|&node| view.address(node).cast_signed());
    nodes
}

// SAFETY: `#[repr(C)]` with `sqlite3_vtab_cursor` as the first field, as the trait demands.
unsafe impl VTabCursor for RefCursor {
    fn filter(&mut self, plan: c_int, _idx_str: Option<&str>, args: &Filters<'_>) -> Result<()> {
        // A name depends on the heap beneath, which does not change.
        self.view = write::view(&self.catalog, &self.generation)?;
        self.batch.clear();
        self.start(Plan::of(plan), &args.iter().collect::<Vec<_>>());
        self.at = 0;
        while self.at >= self.batch.len() && self.refill() {}
        write::check(&self.generation, &self.view)
    }

    fn next(&mut self) -> Result<()> {
        self.advance();
        write::check(&self.generation, &self.view)
    }

    fn eof(&self) -> bool {
        self.at >= self.batch.len()
    }

    fn column(&self, context: &mut Context, column: c_int) -> Result<()> {
        let Some(row) = self.batch.get(self.at) else { return context.set_result(Null) };
        let Some(column) = usize::try_from(column).ok().and_then(|column| REF.get(column)) else {
            return context.set_result(Null);
        };
        context.set_result((column.cell)(row, &Names::knowing(&self.view, Rc::clone(&self.known))))?;
        write::check(&self.generation, &self.view)
    }

    fn rowid(&self) -> Result<i64> {
        Ok(self.batch.get(self.at).map_or(0, RefRow::rowid))
    }
}
