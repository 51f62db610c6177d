//! Where the shell's lines come from: a person at a terminal, with editing, history and completion; or a pipe or a
//! script, without a prompt.

use std::cell::RefCell;
use std::io::{self, BufRead};
use std::path::PathBuf;
use std::rc::Rc;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};

use super::complete::{Completion, Vocabulary};

/// What a person sees when it is their turn.
const PROMPT: &str = "::> ";

/// What came from the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Input {
    /// A line, without its end.
    Line(String),
    /// Ctrl-C at the prompt: the line is given up.
    Interrupted,
    /// Nothing more will come.
    End,
}

/// A source of lines.
pub enum LineSource {
    /// A person, and what can be completed for them.
    Terminal(Box<Terminal>, Rc<RefCell<Vocabulary>>),
    /// A pipe or a file.
    Lines(Box<dyn BufRead>),
}

impl LineSource {
    /// The next line.
    pub fn next(&mut self) -> io::Result<Input> {
        match self {
            LineSource::Terminal(terminal, _) => terminal.next(),
            LineSource::Lines(lines) => {
                let mut line = Vec::new();
                if lines.read_until(b'\n', &mut line)? == 0 {
                    return Ok(Input::End);
                }
                let line = String::from_utf8_lossy(&line);
                Ok(Input::Line(line.trim_end_matches(['\n', '\r']).to_owned()))
            }
        }
    }

    /// Whether a person types.
    pub fn is_terminal(&self) -> bool {
        matches!(self, LineSource::Terminal(..))
    }
}

/// A person at a terminal.
pub struct Terminal {
    editor: Editor<Completion, FileHistory>,
    history: Option<PathBuf>,
}

impl Terminal {
    /// Takes over the terminal. History that cannot be read or kept is no reason not to work.
    pub fn new(completion: Completion) -> io::Result<Self> {
        let config = Config::builder().auto_add_history(true).completion_type(CompletionType::List);
        let config = config.max_history_size(10_000).map_err(other)?.build();
        let mut editor = Editor::with_config(config).map_err(other)?;
        editor.set_helper(Some(completion));
        let history = history_file();
        if let Some(path) = &history {
            // Missing on the first run.
            let _ = editor.load_history(path);
        }
        Ok(Terminal { editor, history })
    }

    fn next(&mut self) -> io::Result<Input> {
        match self.editor.readline(PROMPT) {
            Ok(line) => {
                self.save_history();
                Ok(Input::Line(line))
            }
            Err(ReadlineError::Interrupted) => Ok(Input::Interrupted),
            Err(ReadlineError::Eof) => Ok(Input::End),
            Err(ReadlineError::Io(error)) => Err(error),
            Err(error) => Err(other(error)),
        }
    }

    /// After every line, so that a crash loses nothing.
    fn save_history(&mut self) {
        if let Some(path) = &self.history {
            let _ = self.editor.append_history(path);
        }
    }
}

fn other(error: ReadlineError) -> io::Error {
    io::Error::other(error.to_string())
}

/// `$XDG_STATE_HOME/heapsee/history`, its folder made for its owner only: queries may hold what dumps hold.
fn history_file() -> Option<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let from_env = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = from_env("XDG_STATE_HOME").or_else(|| Some(from_env("HOME")?.join(".local/state")))?;
    let folder = state.join("heapsee");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).ok()?;
    Some(folder.join("history"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &'static [u8]) -> LineSource {
        LineSource::Lines(Box::new(text))
    }

    #[test]
    fn lines_end_any_way_and_the_last_may_not() {
        let mut source = lines(b"gc\r\n\nselect\xff 1");
        assert_eq!(source.next().unwrap(), Input::Line("gc".into()));
        assert_eq!(source.next().unwrap(), Input::Line(String::new()));
        assert_eq!(source.next().unwrap(), Input::Line("select\u{fffd} 1".into()));
        assert_eq!(source.next().unwrap(), Input::End);
        assert!(!source.is_terminal());
    }
}
