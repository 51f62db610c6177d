//! What Tab completes: commands, files, columns and tables, types of the heap, defined names.
//!
//! It goes by where the cursor is: the first word is a command, a word in single quotes a type, a word behind `$` a
//! name. It does not parse SQL.

use std::cell::RefCell;
use std::rc::Rc;

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

/// Words of SQL that are long or often needed.
const WORDS: [&str; 18] = [
    "address in",
    "and",
    "between",
    "count(*)",
    "delete",
    "distinct",
    "from",
    "group by",
    "having",
    "insert",
    "into",
    "like",
    "limit",
    "order by",
    "reversed",
    "select",
    "sum(size)",
    "where",
];

/// What there is to be completed to, as far as it changes while the shell runs.
#[derive(Default)]
pub struct Vocabulary {
    /// Types of the current heap.
    pub types: Vec<String>,
    /// Defined names.
    pub names: Vec<String>,
    /// Tables of the session.
    pub tables: Vec<String>,
    /// Their columns.
    pub columns: Vec<String>,
}

/// Completes words.
pub struct Completion {
    commands: Vec<&'static str>,
    vocabulary: Rc<RefCell<Vocabulary>>,
    files: FilenameCompleter,
}

impl Completion {
    /// With these commands, and whatever the vocabulary holds at the time.
    pub fn new(commands: Vec<&'static str>, vocabulary: Rc<RefCell<Vocabulary>>) -> Self {
        Completion { commands, vocabulary, files: FilenameCompleter::new() }
    }

    /// Where the word before the cursor begins, and what it can become.
    fn words(&self, typed: &str) -> (usize, Vec<Pair>) {
        let vocabulary = self.vocabulary.borrow();
        let Some((command, _)) = typed.split_once(' ') else {
            return (0, fitting(typed, self.commands.iter().copied(), " "));
        };
        if let Some(at) = open_quote(typed) {
            return (at, fitting(&typed[at..], vocabulary.types.iter().map(String::as_str), "'"));
        }
        let at = typed
            .rfind(|c: char| !is_word(c))
            .map_or(0, |at| at + typed[at..].chars().next().map_or(0, char::len_utf8));
        let word = &typed[at..];
        if let Some(name) = word.strip_prefix('$') {
            return (at + 1, fitting(name, vocabulary.names.iter().map(String::as_str), ""));
        }
        if command == "help" {
            return (at, fitting(word, self.commands.iter().copied(), ""));
        }
        if word.is_empty() {
            return (at, Vec::new());
        }
        let words = vocabulary.columns.iter().chain(&vocabulary.tables).map(String::as_str).chain(WORDS);
        (at, fitting(word, words, ""))
    }
}

fn fitting<'w>(typed: &str, words: impl Iterator<Item = &'w str>, behind: &str) -> Vec<Pair> {
    let mut words: Vec<&str> = words.filter(|word| word.starts_with(typed)).collect();
    words.sort_unstable();
    words.dedup();
    let pair = |word: &str| Pair { display: word.to_owned(), replacement: format!("{word}{behind}") };
    words.into_iter().map(pair).collect()
}

/// Where the text in single quotes that the cursor is in begins.
fn open_quote(typed: &str) -> Option<usize> {
    let quotes = typed.match_indices('\'');
    let (count, last) = quotes.fold((0, 0), |(count, _), (at, _)| (count + 1, at));
    (count % 2 == 1).then_some(last + 1)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

impl Helper for Completion {}

impl Hinter for Completion {
    type Hint = String;
}

impl Highlighter for Completion {}

impl Validator for Completion {}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, context: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = &line[..pos];
        match typed.split_once(' ') {
            Some(("read" | "create" | "open", _)) => self.files.complete(line, pos, context),
            _ => Ok(self.words(typed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustyline::history::FileHistory;

    fn completion() -> Completion {
        let vocabulary = Vocabulary {
            types: vec!["KvsFieldData".into(), "KvsOther".into(), "dict".into()],
            names: vec!["leak".into(), "left".into()],
            tables: vec!["obj".into(), "obj1".into(), "ref".into()],
            columns: vec!["address".into(), "type".into(), "name".into()],
        };
        Completion::new(vec!["select", "set", "gc", "help"], Rc::new(RefCell::new(vocabulary)))
    }

    /// The line as it is after Tab, for each possibility.
    fn check(line: &str, expect: &[&str]) {
        let (at, pairs) = completion().words(line);
        let lines: Vec<String> = pairs.iter().map(|pair| format!("{}{}", &line[..at], pair.replacement)).collect();
        assert_eq!(lines, expect, "{line}");
    }

    #[test]
    fn by_where_the_cursor_is() {
        check("se", &["select ", "set "]);
        check("help g", &["help gc"]);
        check("select na", &["select name"]);
        check("select o.na", &["select o.name"]);
        check("select * from ob", &["select * from obj", "select * from obj1"]);
        check("select * from obj where type = 'KvsF", &["select * from obj where type = 'KvsFieldData'"]);
        check("path from \"type='Kvs", &["path from \"type='KvsFieldData'", "path from \"type='KvsOther'"]);
        check("select 'it''s' na", &["select 'it''s' name"]);
        check(
            "select * from obj where address in $le",
            &["select * from obj where address in $leak", "select * from obj where address in $left"],
        );
        check("select é na", &["select é name"]);
        check("select ", &[]);
        check("nothing-like-it", &[]);
    }

    #[test]
    fn files_behind_the_commands_that_take_them() {
        let history = FileHistory::new();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("one.dump"), "").unwrap();
        let line = format!("read {}/on", folder.path().display());
        let (_, files) = completion().complete(&line, line.len(), &Context::new(&history)).unwrap();
        assert!(files[0].replacement.ends_with("one.dump"));
    }
}
