//! Shows what is longer than the screen in a pager: `$PAGER`, or `less`.
//!
//! What fits on the screen is written as it is. A pager that cannot be started is none; one that is left early takes no
//! more, which is no failure: the rows are still wanted as a result that later commands refer to.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};

/// For `less`, unless the person has wishes of their own: end at once if all fits, leave it on the screen, cut lines
/// that are too long instead of folding a table.
const LESS: &str = "-FRSX";

/// A writer in front of another one.
pub struct Pager<'o> {
    out: &'o mut dyn Write,
    /// Lines that fit on the screen; none if nobody is watching.
    height: Option<usize>,
    lines: usize,
    held: Vec<u8>,
    child: Option<Child>,
}

impl<'o> Pager<'o> {
    /// Pages what is longer than `height` lines, if there is a height.
    pub fn new(out: &'o mut dyn Write, height: Option<usize>) -> Self {
        Pager { out, height, lines: 0, held: Vec::new(), child: None }
    }

    /// Shows what is still held back, and waits until the person has left the pager.
    pub fn finish(self) -> io::Result<()> {
        self.out.write_all(&self.held)?;
        if let Some(mut child) = self.child {
            drop(child.stdin.take());
            child.wait()?;
        }
        Ok(())
    }

    fn start(&mut self) -> io::Result<()> {
        self.height = None;
        // What was written before must not appear in the middle.
        self.out.flush()?;
        self.child = command().and_then(|mut command| command.stdin(Stdio::piped()).spawn().ok());
        let held = std::mem::take(&mut self.held);
        self.pass_on(&held)
    }

    fn pass_on(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.child.as_mut().and_then(|child| child.stdin.as_mut()) {
            Some(pager) => match pager.write_all(bytes) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                other => other,
            },
            None => self.out.write_all(bytes),
        }
    }
}

impl Write for Pager<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(height) = self.height else {
            self.pass_on(bytes)?;
            return Ok(bytes.len());
        };
        self.held.extend_from_slice(bytes);
        self.lines += bytes.iter().filter(|&&byte| byte == b'\n').count();
        // The prompt behind it needs a line, too.
        if self.lines >= height {
            self.start()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The pager that the person has chosen; none if they want none.
fn command() -> Option<Command> {
    let chosen = std::env::var("PAGER").unwrap_or_else(|_| "less".to_owned());
    if matches!(chosen.trim(), "" | "cat") {
        return None;
    }
    let mut command = Command::new("sh");
    command.args(["-c", &chosen]);
    if std::env::var_os("LESS").is_none() {
        command.env("LESS", LESS);
    }
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_or_is_not_watched_is_passed_on() {
        for (height, lines) in [(None, 100), (Some(24), 23), (Some(24), 0)] {
            let mut out = Vec::new();
            let mut pager = Pager::new(&mut out, height);
            (0..lines).for_each(|_| writeln!(pager, "line").unwrap());
            assert!(pager.child.is_none());
            pager.finish().unwrap();
            assert_eq!(out, "line\n".repeat(lines).as_bytes());
        }
    }
}
