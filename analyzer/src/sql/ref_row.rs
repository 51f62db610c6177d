//! A row of `ref`: a reference from an object, or the virtual root's to a root.

use heapsee_heap::heap::{Edge, View};
use heapsee_heap::naming::{Names, root_name};

/// One row of `ref`.
#[derive(Clone, Copy)]
pub struct RefRow {
    /// `None` for the virtual root's.
    pub(super) edge: Option<Edge>,
    pub(super) child: u32,
}

impl From<Edge> for RefRow {
    fn from(edge: Edge) -> Self {
        RefRow { edge: Some(edge), child: edge.child }
    }
}

impl RefRow {
    /// The virtual root's reference to a node.
    pub fn root(child: u32) -> Self {
        RefRow { edge: None, child }
    }

    /// The address of who refers.
    pub fn parent(&self, view: &View) -> u64 {
        self.edge.map_or(0, |edge| view.address(edge.parent))
    }

    /// The node referred to.
    pub fn child(&self) -> u32 {
        self.child
    }

    /// What the reference is called, as it would stand in an expression; for the virtual root's, what the root is
    /// called. Empty if it has no name.
    pub fn name(&self, names: &Names<'_>) -> String {
        match self.edge {
            Some(edge) => names.edge(edge).to_string(),
            None => root_name(names.view(), self.child).unwrap_or_default(),
        }
    }

    /// Positive for edges, negative for roots: neither changes as long as the row is there.
    pub fn rowid(&self) -> i64 {
        self.edge.map_or(-i64::from(self.child) - 1, |edge| i64::from(edge.id) + 1)
    }

    /// The row with this id, if it is there.
    pub fn with_rowid(view: &View, rowid: i64) -> Option<Self> {
        let id = u32::try_from(rowid.unsigned_abs().checked_sub(1)?).ok()?;
        if rowid > 0 {
            return view.edge(id).map(RefRow::from);
        }
        (id < view.node_bound() && view.is_root(id)).then(|| RefRow::root(id))
    }
}
