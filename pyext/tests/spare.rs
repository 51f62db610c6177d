//! The worker's spare memory: blocks that overlap no other, whoever takes them at once.

#[path = "../src/spare.rs"]
mod spare;

use std::alloc::Layout;
use std::ptr;

use spare::{give_back, holds, set_aside, take};

/// As much as there is.
const SPARE: usize = 1 << 20;

/// One test, for there is one spare.
#[test]
fn blocks_do_not_overlap_and_all_given_back_begin_anew() {
    let layout = |size, align| Layout::from_size_align(size, align).expect("a layout");
    assert!(take(layout(1, 1)).is_null());
    set_aside().expect("address space");
    set_aside().expect("address space");
    let first = take(layout(3, 1));
    let second = take(layout(100, 64));
    assert!(holds(first) && holds(second) && !holds(ptr::null_mut()));
    assert_eq!(second as usize % 64, 0);
    assert!(second as usize >= first as usize + 3);
    assert!(take(layout(SPARE, 1)).is_null());
    let third = take(layout(SPARE - 1024, 8));
    assert!(third as usize >= second as usize + 100);
    assert!(take(layout(1024, 8)).is_null());
    (0..3).for_each(|_| give_back());
    assert_eq!(take(layout(8, 8)), first);
    give_back();
    let workers: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                for _ in 0..1000 {
                    let block = take(layout(16, 8)).cast::<u64>();
                    let address = block as u64;
                    // SAFETY: a block of 16 bytes, aligned to 8, of this thread's alone.
                    unsafe {
                        block.write(address);
                        std::thread::yield_now();
                        assert_eq!(block.read(), address);
                    }
                    give_back();
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().expect("no block of two threads"));
    assert_eq!(take(layout(8, 8)), first);
}
