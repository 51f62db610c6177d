//! The talk of a dump: a live line on a terminal, a sentence now and then elsewhere, always on stderr.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use heapsee_format::control::{ControlView, State};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::render;

/// The live line while a dump is written, once it is known how many objects to expect.
const DUMP_TEMPLATE: &str = "{spinner} {wide_bar} {percent}% {msg}";
/// The live line while a file is read.
const FILE_TEMPLATE: &str = "{spinner} {msg} {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}";

/// Shows how a dump is going.
pub struct Progress {
    bar: ProgressBar,
    quiet: bool,
}

impl Progress {
    /// Shows a live line if stderr is a terminal, and says nothing at all if `quiet`.
    pub fn new(quiet: bool) -> Progress {
        let bar = if quiet || !io::stderr().is_terminal() { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        Progress { bar, quiet }
    }

    /// Says a sentence.
    pub fn say(&self, sentence: &str) {
        if !self.quiet {
            // Nobody left to read it is no reason to stop.
            self.bar.suspend(|| drop(writeln!(io::stderr(), "heapsee-agent: {}", render::one_line(sentence))));
        }
    }

    /// Shows what the control block says.
    pub fn dump(&self, view: &ControlView) {
        if self.bar.is_hidden() {
            return;
        }
        if view.state == State::Walking && view.expected_objects > 0 && self.bar.length() != Some(view.expected_objects)
        {
            self.bar.set_length(view.expected_objects);
            self.bar.set_style(style(DUMP_TEMPLATE));
        }
        if view.state != State::Idle {
            self.bar.set_position(view.objects);
        }
        self.bar.set_message(describe(view));
        self.bar.tick();
    }

    /// Shows how far a file has been read: `what` is being done with it.
    pub fn file(&self, what: &'static str, done: u64, size: u64) {
        if self.bar.is_hidden() {
            return;
        }
        if self.bar.length() != Some(size) || self.bar.message() != what {
            self.bar.reset();
            self.bar.set_length(size);
            self.bar.set_message(what);
            self.bar.set_style(style(FILE_TEMPLATE));
        }
        self.bar.set_position(done);
    }

    /// Takes the live line away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// What the dump machinery is doing, in words that go on a sentence.
pub fn state(state: State) -> &'static str {
    match state {
        State::Idle => "idle",
        State::WaitingForGil => "waiting for the GIL",
        State::Snapshotting => "taking the snapshot",
        State::Walking => "writing",
        State::Publishing => "syncing the file",
    }
}

fn describe(view: &ControlView) -> String {
    // The numbers in an idle block are those of the dump before.
    if view.state == State::Idle {
        return "waiting for the worker's answer".to_owned();
    }
    let mut text = state(view.state).to_owned();
    if view.objects > 0 {
        text += &format!(" {}", HumanCount(view.objects));
        if view.expected_objects > 0 {
            text += &format!(" of about {}", HumanCount(view.expected_objects));
        }
        text += &format!(" objects, {}{}", render::bytes(view.bytes), rate(view));
    }
    text
}

/// Bytes a second since the dump was asked for.
fn rate(view: &ControlView) -> String {
    let asked = Duration::from_nanos(view.started_at);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seconds = now.saturating_sub(asked).as_secs_f64();
    if seconds < 0.1 { String::new() } else { format!(", {}/s", render::bytes((view.bytes as f64 / seconds) as u64)) }
}

/// A style from a template that is a constant of this file; indicatif's own is used should it not parse.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;
    use heapsee_format::control::{MAGIC, PAGE_SIZE, VERSION};

    #[test]
    fn the_line_tells_state_objects_and_bytes() {
        let mut page = vec![0; PAGE_SIZE];
        page[..8].copy_from_slice(&MAGIC.to_ne_bytes());
        page[8..12].copy_from_slice(&VERSION.to_ne_bytes());
        let mut view = ControlView::decode(&page).unwrap();
        view.objects = 7;
        assert_eq!(describe(&view), "waiting for the worker's answer");
        (view.objects, view.state) = (0, State::WaitingForGil);
        assert_eq!(describe(&view), "waiting for the GIL");
        view.state = State::Walking;
        (view.objects, view.expected_objects, view.bytes) = (1500, 3000, 1 << 20);
        assert!(describe(&view).starts_with("writing 1,500 of about 3,000 objects, 1.00 MiB"), "{}", describe(&view));
    }

    #[test]
    fn the_templates_parse() {
        for template in [DUMP_TEMPLATE, FILE_TEMPLATE] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
