//! The orders in which a pass over `obj` comes to its rows.
//!
//! They are the heap's own, as long as the session has not rewritten cells; objects that were deleted are passed over.

use std::ops::Range;

use heapsee_heap::heap::View;

/// Nodes that may be rows, one after the other.
pub enum Scan {
    /// The dump's objects in file order, then added ones.
    File(Range<u32>, std::vec::IntoIter<u32>),
    /// Objects type by type, in the order of the types' names.
    Types(Types),
    /// The heap's order by address.
    Addresses(Addresses),
    /// These.
    List(std::vec::IntoIter<u32>),
}

impl Scan {
    /// No nodes.
    pub fn nothing() -> Scan {
        Scan::list(Vec::new())
    }

    /// These nodes.
    pub fn list(nodes: Vec<u32>) -> Scan {
        Scan::List(nodes.into_iter())
    }

    /// Every object in the order of the ids.
    pub fn file_order(view: &View) -> Scan {
        let length = view.heap().len();
        let added: Vec<u32> = view.rewritten().filter(|&node| node >= length).collect();
        Scan::File(0..length, added.into_iter())
    }

    /// The objects of one type.
    pub fn of_type(view: &View, type_id: u32) -> Scan {
        let by_type = view.heap().objects_by_type();
        if !is_rewritten(view) {
            return Scan::Types(Types {
                types: 0..0,
                nodes: by_type.range(type_id),
                type_id,
                descending: false,
                once: false,
            });
        }
        let own = by_type.of_type(type_id).iter().copied();
        let others = view.rewritten().filter(|&node| node >= view.heap().len() || view.heap().type_id(node) != type_id);
        Scan::list(own.chain(others).filter(|&node| view.type_id(node) == type_id).collect())
    }

    /// Every object in the order of the types' names; if `once`, it will do to come to one object of each type.
    pub fn by_type(view: &View, descending: bool, once: bool) -> Scan {
        if is_rewritten(view) {
            return sorted(view, descending, |node| view.type_name(view.type_id(node)).to_owned());
        }
        let types = 0..view.heap().objects_by_type().types().len();
        Scan::Types(Types { types, nodes: 0..0, type_id: 0, descending, once })
    }

    /// Every object in the order of the addresses.
    pub fn by_address(view: &View, descending: bool) -> Scan {
        if is_rewritten(view) {
            return sorted(view, descending, |node| view.address(node).cast_signed());
        }
        Scan::Addresses(Addresses::of(view, descending))
    }

    /// The next object that there is. Always inlined: this is what counting objects by type consists of.
    #[inline(always)]
    pub fn next(&mut self, view: &View) -> Option<u32> {
        loop {
            let candidate = match self {
                Scan::Types(types) => types.next(view),
                Scan::File(nodes, added) => nodes.next().or_else(|| added.next()),
                Scan::Addresses(addresses) => addresses.next(view),
                Scan::List(nodes) => nodes.next(),
            };
            match candidate {
                Some(node) if !view.is_live(node) => {}
                other => {
                    self.found();
                    return other;
                }
            }
        }
    }

    /// The type of the object that was come to last, where the order tells it.
    #[inline]
    pub fn type_id(&self) -> Option<u32> {
        match self {
            Scan::Types(types) => Some(types.type_id),
            _ => None,
        }
    }

    #[inline]
    fn found(&mut self) {
        if let Scan::Types(types) = self
            && types.once
        {
            types.nodes = 0..0;
        }
    }
}

/// A stretch of the heap's order by type. So that a type is looked up once, and not for each of its objects.
pub struct Types {
    /// Types that are still to come, by their place in the order.
    types: Range<usize>,
    /// What is left of the present type.
    nodes: Range<usize>,
    type_id: u32,
    descending: bool,
    once: bool,
}

impl Types {
    #[inline(always)]
    fn next(&mut self, view: &View) -> Option<u32> {
        let by_type = view.heap().objects_by_type();
        loop {
            if let Some(at) = self.nodes.next() {
                return Some(by_type.nodes()[at]);
            }
            self.type_id = by_type.types()[next_in(&mut self.types, self.descending)?];
            self.nodes = by_type.range(self.type_id);
        }
    }
}

/// The heap's order by address as SQL has it: to SQLite, an address of 2^63 and above is a negative number.
pub struct Addresses {
    negative: Range<usize>,
    positive: Range<usize>,
    descending: bool,
}

impl Addresses {
    fn of(view: &View, descending: bool) -> Addresses {
        let heap = view.heap();
        let order = heap.by_address();
        let first_negative = order.partition_point(|&node| heap.address(node).cast_signed() >= 0);
        Addresses { negative: first_negative..order.len(), positive: 0..first_negative, descending }
    }

    fn next(&mut self, view: &View) -> Option<u32> {
        let (first, second) = if self.descending {
            (&mut self.positive, &mut self.negative)
        } else {
            (&mut self.negative, &mut self.positive)
        };
        let at = next_in(first, self.descending).or_else(|| next_in(second, self.descending))?;
        Some(view.heap().by_address()[at])
    }
}

fn next_in(range: &mut Range<usize>, descending: bool) -> Option<usize> {
    if descending { range.next_back() } else { range.next() }
}

/// Whether there are objects whose cells, or who themselves, are not in the heap's own orders.
fn is_rewritten(view: &View) -> bool {
    view.rewritten().next().is_some()
}

fn sorted<K: Ord>(view: &View, descending: bool, key: impl Fn(u32) -> K) -> Scan {
    let mut nodes: Vec<u32> = view.objects().collect();
    nodes.sort_by_cached_key(|&node| key(node));
    if descending {
        nodes.reverse();
    }
    Scan::list(nodes)
}
