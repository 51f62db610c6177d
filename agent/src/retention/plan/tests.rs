//! The plan against what it promises, for any dumps and limits.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::settings::values::Amount;

const NOW: i64 = 1_000_000;

fn item() -> impl Strategy<Value = Item> {
    // Some from the future: the clock was set back.
    (0..3_u8, 0..3_u32, 0..NOW + 50_000, 1..1000_u64, prop::bool::weighted(0.2), any::<bool>()).prop_map(
        |(app, pid, at, bytes, pinned, has_copy)| Item {
            app: format!("app{app}"),
            worker: (pid, 7),
            at: Timestamp::from_second(at).unwrap(),
            bytes,
            pinned,
            has_copy,
        },
    )
}

fn quota() -> impl Strategy<Value = Quota> {
    let (size, age, count) = (0..8000_u64, 1..NOW as u64, 1..12_u64);
    (prop::option::of(size), prop::option::of(age), prop::option::of(count)).prop_map(|(size, age, count)| Quota {
        max_size: size,
        max_age: age.map(Duration::from_secs),
        max_count: count,
    })
}

prop_compose! {
    fn retention()(quota in quota(), of_app in quota(), delete_unshipped in any::<bool>()) -> Retention {
        let apps = BTreeMap::from([("app1".to_owned(), of_app)]);
        Retention { quota, keep_free: Amount::Bytes(0), delete_unshipped, apps }
    }
}

prop_compose! {
    fn disk()(ships in any::<bool>(), free in 0..5000_u64, keep_free in 0..5000_u64, coming in prop::option::of(0..2000_u64))
        -> (bool, u64, u64, Option<u64>) {
        (ships, free, keep_free, coming)
    }
}

fn situation<'a>(limits: &'a Retention, disk: (bool, u64, u64, Option<u64>)) -> Situation<'a> {
    let (ships, free, keep_free, coming) = disk;
    let incoming = coming.map(|bytes| ("app1", bytes));
    Situation { limits, ships, free, keep_free, incoming, now: Timestamp::from_second(NOW).unwrap() }
}

/// What is left, and the disk as it then is.
fn after(items: &[Item], plan: &Plan, free: u64) -> (Vec<Item>, u64) {
    let is_gone = |i: &usize| plan.delete.iter().any(|(gone, _)| gone == i);
    let left = (0..items.len()).filter(|i| !is_gone(i)).map(|i| items[i].clone()).collect();
    (left, free + plan.delete.iter().map(|&(i, _)| items[i].bytes).sum::<u64>())
}

/// The limits that are exceeded, found in the plainest way.
fn exceeded(items: &[Item], situation: &Situation<'_>, free: u64) -> Vec<Reason> {
    let mut found = Vec::new();
    let (coming_app, coming) = situation.incoming.unwrap_or(("", 0));
    let old = |item: &Item, quota: &Quota| {
        let seconds = NOW - item.at.as_second();
        quota.max_age.is_some_and(|most| seconds > most.as_secs() as i64)
    };
    let of = |app: &str| situation.limits.apps.get(app).cloned().unwrap_or_default();
    if items.iter().any(|item| old(item, &situation.limits.quota) || old(item, &of(&item.app))) {
        found.push(Reason::Age);
    }
    for app in ["app0", "app1", "app2"] {
        let there: Vec<&Item> = items.iter().filter(|item| item.app == app).collect();
        let is_coming = situation.incoming.is_some() && coming_app == app;
        let count = there.len() as u64 + u64::from(is_coming);
        let is_over = |quota: &Quota| quota.max_count.is_some_and(|most| count > most);
        if (is_over(&situation.limits.quota) || is_over(&of(app))) && count > 0 {
            found.push(Reason::Count);
        }
        let bytes = there.iter().map(|item| item.bytes).sum::<u64>() + if is_coming { coming } else { 0 };
        if of(app).max_size.is_some_and(|most| bytes > most) {
            found.push(Reason::Size);
        }
    }
    let bytes = items.iter().map(|item| item.bytes).sum::<u64>() + coming;
    if situation.limits.quota.max_size.is_some_and(|most| bytes > most) {
        found.push(Reason::Size);
    }
    if free < situation.keep_free + coming {
        found.push(Reason::Disk);
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Nothing goes that may not go, and nothing twice.
    #[test]
    fn what_must_stay_stays(items in prop::collection::vec(item(), 0..25), limits in retention(), disk in disk()) {
        let plan = plan(&items, &situation(&limits, disk));
        let mut seen = std::collections::BTreeSet::new();
        for (i, _) in plan.delete {
            prop_assert!(seen.insert(i));
            prop_assert!(!items[i].pinned);
            prop_assert!(items[i].has_copy || !disk.0 || limits.delete_unshipped);
        }
    }

    /// Afterwards exactly those limits are exceeded that are said to be.
    #[test]
    fn the_limits_hold_or_are_said_not_to(items in prop::collection::vec(item(), 0..25), limits in retention(), disk in disk()) {
        let situation = situation(&limits, disk);
        let plan = plan(&items, &situation);
        let (left, free) = after(&items, &plan, situation.free);
        let found = exceeded(&left, &situation, free);
        for reason in &found {
            prop_assert!(plan.exceeded.contains(reason), "{reason:?} {plan:?}");
        }
        for reason in &plan.exceeded {
            // A limit of one application may be met after all by what the limits of all took.
            prop_assert!(found.contains(reason) || matches!(reason, Reason::Count | Reason::Size), "{reason:?} {plan:?}");
        }
    }

    /// Nothing goes without need: with the last one back, something is exceeded that is not without it.
    #[test]
    fn nothing_goes_without_need(items in prop::collection::vec(item(), 1..25), limits in retention(), disk in disk()) {
        let situation = situation(&limits, disk);
        let plan = plan(&items, &situation);
        if let Some(&(last, reason)) = plan.delete.last() {
            let mut shorter = plan.clone();
            shorter.delete.pop();
            let (left, free) = after(&items, &shorter, situation.free);
            prop_assert!(exceeded(&left, &situation, free).contains(&reason), "{last} {plan:?}");
        }
    }

    /// A second time there is nothing to do.
    #[test]
    fn it_is_done_at_once(items in prop::collection::vec(item(), 0..25), limits in retention(), disk in disk()) {
        let mut situation = situation(&limits, disk);
        let first = plan(&items, &situation);
        let (left, free) = after(&items, &first, situation.free);
        situation.free = free;
        prop_assert_eq!(plan(&left, &situation).delete, vec![]);
    }

    /// Of two dumps of which the disk needs one, the one that is less worth goes.
    #[test]
    fn the_least_worth_goes(items in prop::collection::vec(item(), 0..25), limits in retention(), disk in disk()) {
        let only_disk = Retention { quota: Quota::default(), apps: BTreeMap::new(), ..limits };
        let plan = plan(&items, &situation(&only_disk, disk));
        let gone: Vec<usize> = plan.delete.iter().map(|(i, _)| *i).collect();
        for &i in &gone {
            for (k, kept) in items.iter().enumerate().filter(|(k, _)| !gone.contains(k)) {
                let may_go = !kept.pinned && (kept.has_copy || !disk.0 || only_disk.delete_unshipped);
                let is_older = kept.at < items[i].at && kept.worker == items[i].worker && kept.app == items[i].app;
                let was_first = items.iter().all(|other| other.worker != kept.worker || other.app != kept.app || other.at >= kept.at);
                prop_assert!(!(may_go && kept.has_copy && !items[i].has_copy), "{k} has a copy, {i} has none");
                prop_assert!(!(may_go && is_older && kept.has_copy == items[i].has_copy && !was_first), "{k} is older than {i}");
            }
        }
    }
}

#[test]
fn a_full_disk_takes_no_only_copies_in_vain() {
    let only = |at| Item {
        app: "a".into(),
        worker: (1, 1),
        at: Timestamp::from_second(at).unwrap(),
        bytes: 10,
        pinned: false,
        has_copy: at == 3,
    };
    let limits = Retention {
        quota: Quota::default(),
        keep_free: Amount::Bytes(0),
        delete_unshipped: false,
        apps: BTreeMap::new(),
    };
    let items = [only(1), only(2), only(3)];
    let in_vain = plan(&items, &situation(&limits, (false, 0, 100, None)));
    assert_eq!((in_vain.delete, in_vain.exceeded), (vec![(2, Reason::Disk)], vec![Reason::Disk]));
    let useful = plan(&items, &situation(&limits, (false, 0, 20, None)));
    assert_eq!((useful.delete, useful.exceeded), (vec![(2, Reason::Disk), (1, Reason::Disk)], vec![]));
}

#[test]
fn the_ends_of_a_workers_life_outlive_its_middle() {
    let dump = |at| Item {
        app: "a".into(),
        worker: (1, 1),
        at: Timestamp::from_second(at).unwrap(),
        bytes: 10,
        pinned: false,
        has_copy: false,
    };
    let limits = Retention {
        quota: Quota { max_count: Some(2), ..Quota::default() },
        keep_free: Amount::Bytes(0),
        delete_unshipped: false,
        apps: BTreeMap::new(),
    };
    let items = [dump(1), dump(2), dump(3), dump(4)];
    let plan = plan(&items, &situation(&limits, (false, 1000, 0, None)));
    assert_eq!(plan.delete, [(1, Reason::Count), (2, Reason::Count)]);
}
