//! The control block: one page, shared by worker, dump child and agent.
//!
//! The worker keeps it in a memfd called [`MEMFD_NAME`], so that it shows as `/proc/PID/fd/*` →
//! `/memfd:heapsee (deleted)`, needs no file system and dies with the process. The worker and its dump child map it;
//! the agent reads it with `pread`. All numbers are native-endian: the page never leaves its machine.
//!
//! Only atomics: whoever maps the page gets a `&ControlPage`, no `unsafe` here. Texts have a sequence number of
//! their own ([`Text::seq`], odd while being written); there is one writer at a time.

use std::mem::{offset_of, size_of};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::*, fence};

/// What the memfd is called.
pub const MEMFD_NAME: &str = "heapsee";
/// The first eight bytes of the page.
pub const MAGIC: u64 = u64::from_le_bytes(*b"HEAPSEE\0");
/// The layout's version.
pub const VERSION: u32 = 1;
/// The page's size in bytes.
pub const PAGE_SIZE: usize = 4096;

/// What the dump machinery of a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// Nothing: ready for a signal.
    Idle = 0,
    /// A signal came; waiting for the GIL.
    WaitingForGil = 1,
    /// Has the GIL; taking the snapshot.
    Snapshotting = 2,
    /// The child (or, inline, the worker) walks the heap and writes.
    Walking = 3,
    /// The file is whole; it is being synced and given its name.
    Publishing = 4,
}

/// How the last dump ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Outcome {
    /// There was none yet.
    None = 0,
    /// Published: see `last_path`.
    Published = 1,
    /// Failed on the way: see `last_error`.
    Failed = 2,
    /// Refused before it began (no memory, no disk, …): see `last_error`.
    Refused = 3,
}

/// A text of at most `N` bytes in shared memory.
#[repr(C)]
pub struct Text<const N: usize> {
    seq: AtomicU32,
    len: AtomicU32,
    bytes: [AtomicU8; N],
}

impl<const N: usize> Text<N> {
    /// Stores `text`, cut to `N` bytes at a character's border.
    pub fn set(&self, text: &str) {
        let mut end = text.len().min(N);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let seq = self.seq.load(Relaxed);
        self.seq.store(seq.wrapping_add(1) | 1, Relaxed);
        fence(Release);
        for (slot, &byte) in self.bytes.iter().zip(&text.as_bytes()[..end]) {
            slot.store(byte, Relaxed);
        }
        self.len.store(end as u32, Relaxed);
        self.seq.store((seq | 1).wrapping_add(1), Release);
    }

    /// The text, or `None` if it was being written just now.
    pub fn get(&self) -> Option<String> {
        let seq = self.seq.load(Acquire);
        let len = (self.len.load(Relaxed) as usize).min(N);
        let bytes: Vec<u8> = self.bytes[..len].iter().map(|byte| byte.load(Relaxed)).collect();
        fence(Acquire);
        (seq.is_multiple_of(2) && seq == self.seq.load(Relaxed)).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The page itself, as worker and child see it.
#[repr(C)]
#[cfg_attr(test, derive(Default))]
pub struct ControlPage {
    /// [`MAGIC`]; written last, so a page with it is a whole page.
    pub magic: AtomicU64,
    /// [`VERSION`].
    pub version: AtomicU32,
    /// The worker's pid, as it knows itself.
    pub pid: AtomicU32,
    /// The worker's start time, in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub start_time: AtomicU64,
    /// The signal that asks for a dump.
    pub signal: AtomicU32,
    /// 1: a signal will be answered; 0: not (uninstalled, shutting down, or, found out by a check, the signal has got
    /// another handler).
    pub armed: AtomicU32,
    /// A [`State`].
    pub state: AtomicU32,
    /// An [`Outcome`]: how the dump number `finished` ended.
    pub outcome: AtomicU32,
    /// Number of the last dump that was started, from 1.
    pub started: AtomicU64,
    /// Number of the last dump that has ended, in whatever way. Equal to `started` when idle.
    pub finished: AtomicU64,
    /// Signals that asked for a dump and came from somebody who may.
    pub signals: AtomicU64,
    /// Of those, how many came while a dump was under way and so made none of their own.
    pub signals_merged: AtomicU64,
    /// Signals that were not for us: a timer's, or another user's.
    pub signals_ignored: AtomicU64,
    /// The dump child's pid in the worker's pid namespace; 0 when there is none.
    pub child_pid: AtomicU32,
    /// A futex on which the watcher thread waits. Whoever wants something of it adds 1 and wakes it.
    pub wake: AtomicU32,
    /// When the dump number `started` was asked for: nanoseconds since the epoch.
    pub started_at: AtomicU64,
    /// Objects of the last dump that was published: what the one under way can be measured against. 0: unknown.
    pub expected_objects: AtomicU64,
    /// Objects written so far by the dump under way (or by the last one).
    pub objects: AtomicU64,
    /// Bytes written so far by the dump under way (or by the last one).
    pub bytes: AtomicU64,
    /// How long the last dump waited for the GIL, in nanoseconds.
    pub gil_wait_ns: AtomicU64,
    /// How long the last dump kept Python from running, in nanoseconds.
    pub pause_ns: AtomicU64,
    /// Address of the type whose object is being visited just now.
    pub current_type: AtomicU64,
    /// CPython's version, `3.11.7`.
    pub python: Text<24>,
    /// heapsee's version.
    pub heapsee: Text<24>,
    /// `fork`, `inline` or `auto`.
    pub mode: Text<24>,
    /// Where dumps go, as the worker sees the file system.
    pub directory: Text<1024>,
    /// The last dump that was published.
    pub last_path: Text<1200>,
    /// Why the last dump failed or was refused.
    pub last_error: Text<1024>,
    /// Address of the object that is being visited just now.
    pub current_object: AtomicU64,
    /// The number of the last question whether the handler is still the worker's own. Only somebody outside adds to it.
    pub checks_asked: AtomicU64,
    /// The number of the last such question that the watcher has answered, by setting `armed`.
    pub checks_answered: AtomicU64,
    /// Number of the last dump that no signal is merged into any more: it is getting its name, or was never meant for
    /// the directory. A signal from then on asks for another dump.
    pub closed: AtomicU64,
    /// How sure the last dump that was published is to be of one moment: the sidecar's `consistency`.
    pub consistency: Text<24>,
    /// The name that the dump under way is being given.
    pub naming: Text<96>,
    /// Inode of the file that is being given its name; 0: none yet. Between worker and child: a file of this inode under
    /// that name is whole, even if the child was killed before it could say so.
    pub naming_inode: AtomicU64,
    /// Inode of its sidecar, which gets its name first: who was killed between the two has left a sidecar without a dump.
    pub naming_sidecar: AtomicU64,
    /// Of the last 64 dumps that have ended, whether each was published: the lowest bit is that of `finished`.
    pub outcomes: AtomicU64,
}

const _: () = assert!(size_of::<ControlPage>() <= PAGE_SIZE);

impl ControlPage {
    /// Sets `state`.
    pub fn set_state(&self, state: State) {
        self.state.store(state as u32, Release);
    }

    /// Begins a dump: takes the next number, forgets the last one's progress. Returns the number.
    pub fn begin(&self, at_ns: u64) -> u64 {
        self.objects.store(0, Relaxed);
        self.bytes.store(0, Relaxed);
        self.current_type.store(0, Relaxed);
        self.current_object.store(0, Relaxed);
        self.naming_inode.store(0, Relaxed);
        self.naming_sidecar.store(0, Relaxed);
        self.started_at.store(at_ns, Relaxed);
        self.set_state(State::WaitingForGil);
        self.started.fetch_add(1, AcqRel) + 1
    }

    /// Is a dump under way that a signal would be merged into? Async-signal-safe.
    pub fn takes_signals_in(&self) -> bool {
        takes_signals_in(self.started.load(Acquire), self.finished.load(Acquire), self.closed.load(Acquire))
    }

    /// The file with this inode, which is whole, is about to get its name, and its sidecar before it. From now on signals
    /// ask for another dump than the one under way: who has seen its file and asks again wants a newer one.
    pub fn will_name(&self, name: &str, inode: u64, sidecar: u64) {
        self.naming.set(name);
        self.naming_sidecar.store(sidecar, Relaxed);
        self.naming_inode.store(inode, Release);
        self.closed.store(self.started.load(Relaxed), Release);
    }

    /// Makes the next [`ControlPage::begin`] one that no signal is merged into.
    pub fn close_next(&self) {
        self.closed.store(self.started.load(Relaxed) + 1, Release);
    }

    /// Ends the dump that [`ControlPage::begin`] began. `text` is the path for [`Outcome::Published`], else the reason.
    pub fn end(&self, outcome: Outcome, text: &str) {
        match outcome {
            Outcome::Published => self.last_path.set(text),
            _ => self.last_error.set(text),
        }
        self.child_pid.store(0, Relaxed);
        self.outcome.store(outcome as u32, Relaxed);
        let before = self.outcomes.load(Relaxed);
        self.outcomes.store(before << 1 | u64::from(outcome == Outcome::Published), Relaxed);
        self.set_state(State::Idle);
        self.finished.store(self.started.load(Relaxed), Release);
    }
}

/// The rule for merging, by numbers of dumps: one is under way, and nobody can have seen its file.
fn takes_signals_in(started: u64, finished: u64, closed: u64) -> bool {
    started > finished && started != closed
}

/// What a reader of the page sees: a copy of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of ControlPage")]
pub struct ControlView {
    pub pid: u32,
    pub start_time: u64,
    pub signal: u32,
    pub armed: bool,
    pub state: State,
    pub outcome: Outcome,
    pub started: u64,
    pub finished: u64,
    pub signals: u64,
    pub signals_merged: u64,
    pub signals_ignored: u64,
    pub child_pid: u32,
    pub started_at: u64,
    pub expected_objects: u64,
    pub objects: u64,
    pub bytes: u64,
    pub gil_wait_ns: u64,
    pub pause_ns: u64,
    pub current_type: u64,
    pub python: String,
    pub heapsee: String,
    pub mode: String,
    pub directory: String,
    pub last_path: String,
    pub last_error: String,
    pub current_object: u64,
    pub closed: u64,
    outcomes: u64,
}

/// Why bytes are no control page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Fewer bytes than a page has.
    #[error("the control block is {0} bytes long, not {PAGE_SIZE}")]
    Short(usize),
    /// Not ours, or not yet whole.
    #[error("the control block does not start with heapsee's magic number")]
    Magic,
    /// Of another version of heapsee.
    #[error(
        "the control block has layout version {0}, this program knows {VERSION}: use the heapsee-agent of the worker's version"
    )]
    Version(u32),
    /// A text was being written at that moment: read again.
    #[error("the control block was being written")]
    Torn,
    /// A number has no meaning.
    #[error("the control block has {0} = {1}, which means nothing")]
    Value(&'static str, u32),
}

impl ControlView {
    /// Was a dump under way that a signal would be merged into? See [`ControlPage::takes_signals_in`].
    pub fn takes_signals_in(&self) -> bool {
        takes_signals_in(self.started, self.finished, self.closed)
    }

    /// Of the last 64 dumps that have ended, whether each was published: the lowest bit is that of `finished`. A page that
    /// does not keep that (an older heapsee's) says of all what it says of the last.
    pub fn outcomes(&self) -> u64 {
        let last = self.outcome == Outcome::Published;
        if (self.outcomes & 1 == 1) == last {
            self.outcomes
        } else if last {
            u64::MAX
        } else {
            0
        }
    }

    /// Decodes a copy of the page, as `pread` gives it.
    ///
    /// A copy is not a moment: the caller reads twice when a text matters ([`ControlError::Torn`] means: again).
    pub fn decode(page: &[u8]) -> Result<ControlView, ControlError> {
        let page: &[u8; PAGE_SIZE] =
            page.get(..PAGE_SIZE).and_then(|page| page.try_into().ok()).ok_or(ControlError::Short(page.len()))?;
        if read_u64(page, offset_of!(ControlPage, magic)) != MAGIC {
            return Err(ControlError::Magic);
        }
        let version = read_u32(page, offset_of!(ControlPage, version));
        if version != VERSION {
            return Err(ControlError::Version(version));
        }
        macro_rules! u32_at {
            ($field:ident) => {
                read_u32(page, offset_of!(ControlPage, $field))
            };
        }
        macro_rules! u64_at {
            ($field:ident) => {
                read_u64(page, offset_of!(ControlPage, $field))
            };
        }
        macro_rules! text_at {
            ($field:ident, $n:literal) => {
                read_text::<$n>(page, offset_of!(ControlPage, $field))?
            };
        }
        Ok(ControlView {
            pid: u32_at!(pid),
            start_time: u64_at!(start_time),
            signal: u32_at!(signal),
            armed: u32_at!(armed) == 1,
            state: match u32_at!(state) {
                0 => State::Idle,
                1 => State::WaitingForGil,
                2 => State::Snapshotting,
                3 => State::Walking,
                4 => State::Publishing,
                other => return Err(ControlError::Value("state", other)),
            },
            outcome: match u32_at!(outcome) {
                0 => Outcome::None,
                1 => Outcome::Published,
                2 => Outcome::Failed,
                3 => Outcome::Refused,
                other => return Err(ControlError::Value("outcome", other)),
            },
            started: u64_at!(started),
            finished: u64_at!(finished),
            signals: u64_at!(signals),
            signals_merged: u64_at!(signals_merged),
            signals_ignored: u64_at!(signals_ignored),
            child_pid: u32_at!(child_pid),
            started_at: u64_at!(started_at),
            expected_objects: u64_at!(expected_objects),
            objects: u64_at!(objects),
            bytes: u64_at!(bytes),
            gil_wait_ns: u64_at!(gil_wait_ns),
            pause_ns: u64_at!(pause_ns),
            current_type: u64_at!(current_type),
            python: text_at!(python, 24),
            heapsee: text_at!(heapsee, 24),
            mode: text_at!(mode, 24),
            directory: text_at!(directory, 1024),
            last_path: text_at!(last_path, 1200),
            last_error: text_at!(last_error, 1024),
            current_object: u64_at!(current_object),
            closed: u64_at!(closed),
            outcomes: u64_at!(outcomes),
        })
    }
}

fn read_u32(page: &[u8; PAGE_SIZE], at: usize) -> u32 {
    u32::from_ne_bytes(std::array::from_fn(|i| page[at + i]))
}

fn read_u64(page: &[u8; PAGE_SIZE], at: usize) -> u64 {
    u64::from_ne_bytes(std::array::from_fn(|i| page[at + i]))
}

fn read_text<const N: usize>(page: &[u8; PAGE_SIZE], at: usize) -> Result<String, ControlError> {
    if !read_u32(page, at + offset_of!(Text<N>, seq)).is_multiple_of(2) {
        return Err(ControlError::Torn);
    }
    let len = (read_u32(page, at + offset_of!(Text<N>, len)) as usize).min(N);
    let start = at + offset_of!(Text<N>, bytes);
    Ok(String::from_utf8_lossy(&page[start..start + len]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_merged_until_the_file_shows() {
        let page = ControlPage::default();
        assert!(!page.takes_signals_in());
        page.begin(1);
        assert!(page.takes_signals_in());
        page.will_name("a", 1, 2);
        assert!(!page.takes_signals_in());
        page.end(Outcome::Published, "a");
        page.begin(2);
        assert!(page.takes_signals_in());
        page.end(Outcome::Failed, "b");
        page.close_next();
        assert!(!page.takes_signals_in());
        page.begin(3);
        assert!(!page.takes_signals_in());
        page.end(Outcome::Published, "c");
        page.begin(4);
        assert!(page.takes_signals_in());
    }

    #[test]
    fn anything_but_a_page_is_refused() {
        assert_eq!(ControlView::decode(&[0; 10]), Err(ControlError::Short(10)));
        assert_eq!(ControlView::decode(&[0; PAGE_SIZE]), Err(ControlError::Magic));
        let mut page = [0; PAGE_SIZE];
        page[..8].copy_from_slice(&MAGIC.to_ne_bytes());
        page[8] = 9;
        assert_eq!(ControlView::decode(&page), Err(ControlError::Version(9)));
        page[8..12].copy_from_slice(&VERSION.to_ne_bytes());
        assert!(ControlView::decode(&page).is_ok());
        page[offset_of!(ControlPage, state)] = 99;
        assert_eq!(ControlView::decode(&page), Err(ControlError::Value("state", 99)));
    }

    #[test]
    fn the_outcomes_of_the_last_dumps_are_kept() {
        let page = ControlPage::default();
        for outcome in [Outcome::Published, Outcome::Failed, Outcome::Refused, Outcome::Published] {
            page.begin(1);
            page.end(outcome, "x");
        }
        assert_eq!(page.outcomes.load(Relaxed), 0b1001);
        // A page of an older heapsee does not have them.
        let mut bytes = [0; PAGE_SIZE];
        bytes[..8].copy_from_slice(&MAGIC.to_ne_bytes());
        bytes[8..12].copy_from_slice(&VERSION.to_ne_bytes());
        assert_eq!(ControlView::decode(&bytes).unwrap().outcomes(), 0);
        bytes[offset_of!(ControlPage, outcome)] = Outcome::Published as u8;
        assert_eq!(ControlView::decode(&bytes).unwrap().outcomes(), u64::MAX);
        bytes[offset_of!(ControlPage, outcomes)] = 0b101;
        assert_eq!(ControlView::decode(&bytes).unwrap().outcomes(), 0b101);
    }

    impl<const N: usize> Default for Text<N> {
        fn default() -> Self {
            Text { seq: AtomicU32::new(0), len: AtomicU32::new(0), bytes: [const { AtomicU8::new(0) }; N] }
        }
    }

    #[test]
    fn texts_are_cut_at_a_character() {
        let text: Text<4> = Text::default();
        text.set("abc\u{e9}");
        assert_eq!(text.get().as_deref(), Some("abc"));
        text.set("");
        assert_eq!(text.get().as_deref(), Some(""));
    }
}
