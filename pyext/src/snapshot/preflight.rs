//! Refusing a dump that would hurt: before it begins, with the reason.

use std::fs::File;
use std::io;
use std::path::Path;

use heapsee_format::meta;
use nix::sys::statvfs::{Statvfs, fstatvfs, statvfs};

use super::{Request, Target};
use crate::problem::Problem;
use crate::{address_space, arena, gate, process_info};

/// What a dump may come to cost in memory, as a fraction of the worker's resident set: the child's own buffers, and the
/// pages that the worker writes to while the child reads its copies.
const MEMORY_SHARE: u64 = 5;
/// The same, in bytes, for a worker of any size.
const MEMORY_BASE: u64 = 32 << 20;
/// What the worker's own part in a dump may take of its limits.
const OWN_ADDRESS_SPACE: u64 = 16 << 20;
/// What glibc reserves for a new thread's `malloc`: the one that asks for the GIL. It keeps that for threads to come.
const THREAD_ADDRESS_SPACE: u64 = 64 << 20;

/// Do the limits leave room for the copy's own memory, or, without one, for a walk in the worker? To be asked before
/// anything else, and before an inline walk once more with what that may take, for its failing allocations would be the
/// worker's.
///
/// # Errors
/// They do not.
pub fn within_limits(from_signal: bool, inline: u64) -> Result<(), Problem> {
    let thread = if from_signal { THREAD_ADDRESS_SPACE } else { 0 };
    let data = OWN_ADDRESS_SPACE + inline;
    let space = arena::REGION_MIN as u64 + thread + data;
    let _gate = gate::hold();
    let limits = [
        ("address space", "ulimit -v", address_space::left(), space),
        ("memory for data", "ulimit -d", address_space::data_left(), data),
    ];
    for (what, limit, left, need) in limits {
        if let Some(left) = left.filter(|&left| left < need) {
            return Err(Problem(format!(
                "not enough {what}: a dump may take {} MiB, the worker's limit ({limit}) leaves it {} MiB; raise the limit",
                mebibytes(need),
                left >> 20
            )));
        }
    }
    Ok(())
}

/// What an inline walk may take of a worker's memory, in bytes.
pub fn inline_share(memory: &meta::Memory) -> u64 {
    memory.rss / MEMORY_SHARE
}

/// Is there room for the dump?
///
/// # Errors
/// Memory or disk is short.
pub fn check(request: &Request, memory: &meta::Memory, last_size: u64) -> Result<(), Problem> {
    enough_memory(memory, process_info::available_memory())?;
    enough_disk(&request.target, last_size + last_size / 4, request.min_free)
}

fn enough_memory(memory: &meta::Memory, available: Option<u64>) -> Result<(), Problem> {
    let need = MEMORY_BASE + memory.rss / MEMORY_SHARE;
    let cgroup = memory.cgroup_limit.zip(memory.cgroup_usage).map(|(limit, usage)| limit.saturating_sub(usage));
    for (whose, room) in [("the worker's cgroup", cgroup), ("the machine", available)] {
        if let Some(room) = room.filter(|&room| room < need) {
            let (need, room) = (mebibytes(need), mebibytes(room));
            return Err(Problem(format!(
                "not enough memory: a dump may take {need} MiB, {whose} has {room} MiB left; raise the limit or dump a \
                 smaller worker"
            )));
        }
    }
    Ok(())
}

/// `need` is 0 when nothing is known of the size to come; how much stays free is also watched while it is written.
fn enough_disk(target: &Target, need: u64, min_free: u64) -> Result<(), Problem> {
    let stat = match target {
        Target::Directory(directory) => statvfs(directory.as_path()),
        Target::Path(path) => statvfs(path.parent().unwrap_or(Path::new("/"))),
        // SAFETY: the caller of the dump keeps this file open until the dump has ended.
        Target::File(fd) => fstatvfs(unsafe { std::os::fd::BorrowedFd::borrow_raw(*fd) }),
    };
    let Some(room) = stat.ok().and_then(|stat| room(&stat)) else { return Ok(()) };
    if room < need.saturating_add(min_free) {
        let place = match target {
            Target::Directory(directory) => directory.display().to_string(),
            Target::Path(path) => path.display().to_string(),
            Target::File(_) => "the file".to_owned(),
        };
        let (need, room) = (mebibytes(need), mebibytes(room));
        return Err(Problem(format!(
            "not enough disk: a dump may take {need} MiB and {} MiB are to stay free (min_free), {place} has {room} MiB \
             left; free some space there or have dumps written elsewhere",
            mebibytes(min_free)
        )));
    }
    Ok(())
}

/// Would writing `more` bytes to `file` leave less than `min_free` on its disk?
///
/// # Errors
/// It would; the text says so.
pub fn stays_free(file: &File, more: u64, min_free: u64) -> io::Result<()> {
    let Some(room) = fstatvfs(file).ok().and_then(|stat| room(&stat)) else { return Ok(()) };
    if min_free == 0 || room >= min_free.saturating_add(more) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::StorageFull,
        format!(
            "{} MiB are left there, and {} are to stay free (min_free): free some space there or have dumps written \
             elsewhere",
            room >> 20,
            mebibytes(min_free)
        ),
    ))
}

/// Bytes that may still be written. `None`: what has no size (a pipe, some network file systems) will say so itself.
fn room(stat: &Statvfs) -> Option<u64> {
    (stat.blocks() > 0).then(|| stat.blocks_available().saturating_mul(stat.fragment_size()))
}

fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}
