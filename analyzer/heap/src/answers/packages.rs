//! The heap by package.

use rayon::prelude::*;
use serde::Serialize;

use crate::graph::{Amount, Tree, amount_of, reached_without};
use crate::heap::View;
use crate::owner::{Owners, Package, PackageKind};

/// The `schema` of this version.
pub const SCHEMA: &str = "heapsee.packages/1";

/// What each package has.
///
/// ```
/// # use std::sync::Arc;
/// use heapsee_heap::answers::packages::Packages;
/// use heapsee_heap::heap::{Heap, View};
///
/// // A list of two equal texts.
/// let heap = Heap::from_text(
///     r#"{"address": 16, "type": "list", "size": 64, "len": 2, "refs": [32, 48]}
///        {"address": 32, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}
///        {"address": 48, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}"#,
/// )?;
/// let view = View::new(Arc::new(heap));
/// // Without a sidecar nobody knows of packages.
/// let packages = Packages::of(&view, 10);
/// assert_eq!((packages.package_count, packages.nobody.objects), (0, 3));
/// # Ok::<(), heapsee_heap::heap::TextError>(())
/// ```
#[derive(Debug, Serialize)]
pub struct Packages {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Everything that roots reach.
    pub total: Amount,
    /// What has no owner: the interpreter's own, and what only C code holds.
    pub nobody: Amount,
    /// Most bytes first.
    pub packages: Vec<PackageRow>,
    /// How many there are.
    pub package_count: usize,
    /// What a reader should know, a sentence each.
    pub notes: Vec<String>,
}

/// One package.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct PackageRow {
    /// Which.
    #[serde(flatten)]
    pub package: Package,
    /// What is its own, or held by what is its own: adds up to the total over all packages.
    pub shallow: Amount,
    /// What would go if its modules, classes and their instances went. Not for the standard library, on which all rests.
    pub retained: Option<Amount>,
}

impl Packages {
    /// Of a view; with at most `limit` packages.
    pub fn of(view: &View, limit: usize) -> Packages {
        let tree = Tree::of(view);
        let owners = Owners::of(view, &tree);
        let mut shallow = vec![Amount::default(); owners.packages().len()];
        let (mut total, mut nobody) = (Amount::default(), Amount::default());
        for &node in tree.order() {
            let one = Amount { objects: 1, bytes: view.size(node) };
            total += one;
            match owners.package(node) {
                Some(package) => shallow[package as usize] += one,
                None => nobody += one,
            }
        }
        let mut order: Vec<u32> = (0..shallow.len() as u32).collect();
        let key = |id: u32| (std::cmp::Reverse(shallow[id as usize].bytes), &owners.packages()[id as usize].name);
        order.sort_by(|&a, &b| key(a).cmp(&key(b)));
        order.truncate(limit);
        let packages = order.into_par_iter().map(|id| {
            let package = owners.packages()[id as usize].clone();
            let retained = (package.kind != PackageKind::StandardLibrary).then(|| retained(view, &owners, id, total));
            PackageRow { package, shallow: shallow[id as usize], retained }
        });
        let packages = packages.collect();
        Packages { schema: SCHEMA, total, nobody, packages, package_count: shallow.len(), notes: notes(view) }
    }
}

/// What goes with a package is what the roots reach with it less what they reach without.
fn retained(view: &View, owners: &Owners, id: u32, total: Amount) -> Amount {
    let left = amount_of(view, &reached_without(view, &owners.own(id)));
    Amount { objects: total.objects - left.objects, bytes: total.bytes.saturating_sub(left.bytes) }
}

fn notes(view: &View) -> Vec<String> {
    let Some(meta) = view.heap().meta() else {
        return vec!["there is no sidecar: classes are not known by module, and distributions not by name".to_owned()];
    };
    let mut notes = Vec::new();
    if meta.distributions.is_empty() {
        notes.push("the sidecar names no distributions: packages go by the names of modules".to_owned());
    }
    if meta.types_left_out > 0 {
        notes.push(format!("the sidecar leaves out {} types: their instances are their holders'", meta.types_left_out));
    }
    notes
}
