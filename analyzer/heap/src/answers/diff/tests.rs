//! Comparisons of small heaps, against what the definitions say.

use std::collections::HashSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::heap::Heap;

/// What stands at an address: type, size, value if it is a `str`, and references.
type Object = (u8, u64, u8, Vec<usize>);

/// At some of ten addresses, objects of four types; a `list` has elements, a `dict` entries.
fn objects() -> impl Strategy<Value = Vec<Option<Object>>> {
    let object = (0..4u8, 1..50u64, 0..2u8, prop::collection::vec(0..10usize, 0..4));
    prop::collection::vec(prop::option::weighted(0.8, object), 10)
}

fn view(objects: &[Option<Object>]) -> View {
    let mut text = String::new();
    for (i, object) in objects.iter().enumerate() {
        let Some((kind, size, value, refs)) = object else { continue };
        let mut refs: Vec<usize> = refs.iter().map(|i| 16 * (i + 1)).collect();
        let (name, more) = match kind {
            0 => ("str", format!("\"len\": 1, \"value\": \"{value}\", ")),
            1 => ("list", format!("\"len\": {}, ", refs.len())),
            2 => ("dict", format!("\"len\": {}, ", refs.len() / 2)),
            _ => ("Thing", String::new()),
        };
        match kind {
            0 => refs.clear(),
            2 => refs.truncate(refs.len() / 2 * 2),
            _ => {}
        }
        let address = 16 * (i + 1);
        text +=
            &format!("{{\"address\": {address}, \"type\": \"{name}\", \"size\": {size}, {more}\"refs\": {refs:?}}}\n");
    }
    View::new(Arc::new(Heap::from_text(&text).unwrap()))
}

/// By address: the objects of `later` that are those of `earlier`, by the definition for one process.
fn same(earlier: &[Option<Object>], later: &[Option<Object>]) -> HashSet<usize> {
    let is_same = |&i: &usize| match (&earlier[i], &later[i]) {
        (Some(a), Some(b)) => a.0 == b.0 && (a.0 != 0 || a.2 == b.2),
        _ => false,
    };
    (0..earlier.len()).filter(is_same).collect()
}

fn bytes(objects: &[Option<Object>], of: impl Fn(usize) -> bool) -> u64 {
    objects.iter().enumerate().filter(|&(i, _)| of(i)).filter_map(|(_, object)| Some(object.as_ref()?.1)).sum()
}

proptest! {
    #[test]
    fn rows_are_the_whole_difference(all in prop::collection::vec(objects(), 2..4)) {
        let views: Vec<View> = all.iter().map(|objects| view(objects)).collect();
        let diff = Diff::of(&views.iter().collect::<Vec<_>>(), usize::MAX).unwrap();
        let sum = |rows: &mut dyn Iterator<Item = &Series>| {
            rows.fold((0, 0), |sum, row| (sum.0 + row.grown.objects, sum.1 + row.grown.bytes))
        };
        let whole = (diff.total.grown.objects, diff.total.grown.bytes);
        prop_assert_eq!(sum(&mut diff.places.iter().map(|row| &row.series)), whole);
        prop_assert_eq!(sum(&mut diff.types.iter().map(|row| &row.series)), whole);
        prop_assert_eq!(diff.changed.places, diff.places.len());
    }

    #[test]
    fn objects_of_one_process_are_matched_as_defined(first in objects(), other in objects(), changed in 0..4usize) {
        let mut last = first.clone();
        last[..changed].clone_from_slice(&other[..changed]);
        let (a, b) = (view(&first), view(&last));
        let common = same(&first, &last);
        let matching = Matching::of(&a, &b);
        prop_assume!(matching.relation == Relation::ProbablySameProcess);
        let found: HashSet<usize> =
            b.objects().filter(|&node| matching.earlier(node).is_some()).map(|node| b.address(node) as usize / 16 - 1).collect();
        prop_assert_eq!(&found, &common);
        prop_assert_eq!(matching.common(&b).bytes, bytes(&last, |i| common.contains(&i)));
        prop_assert_eq!(matching.gone(&a).bytes, bytes(&first, |i| !common.contains(&i)));
    }

    #[test]
    fn what_stayed_is_not_in_the_first_and_in_all_others(base in objects(), changes in prop::collection::vec((0..10usize, objects()), 2)) {
        // Each dump is the one before with some objects replaced, so that they are of one process.
        let mut all = vec![base];
        for (count, other) in changes {
            let mut next = all[all.len() - 1].clone();
            next[..count / 4].clone_from_slice(&other[..count / 4]);
            all.push(next);
        }
        let views: Vec<View> = all.iter().map(|objects| view(objects)).collect();
        let diff = Diff::of(&views.iter().collect::<Vec<_>>(), usize::MAX).unwrap();
        prop_assume!(diff.stayed.is_some());
        let (appeared, kept) = (same(&all[0], &all[1]), same(&all[1], &all[2]));
        let expect = bytes(&all[2], |i| kept.contains(&i) && !appeared.contains(&i));
        prop_assert_eq!(diff.stayed.unwrap().amount.bytes, expect);
    }
}
