//! Reading a TOML table with the place of everything that is wrong in it: all mistakes of a file at once, each with
//! its line, the reason and the fix. It knows nothing of what the keys mean.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One mistake in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Its line, from 1.
    pub line: usize,
    /// Its column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}; {}", self.line, self.column, self.reason, self.fix)
    }
}

/// Where mistakes are gathered while a file is read.
pub struct Sink<'a> {
    text: &'a str,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Sink<'a> {
    /// A sink for mistakes in `text`.
    pub fn new(text: &'a str) -> Sink<'a> {
        Sink { text, problems: RefCell::default() }
    }

    /// Notes a mistake at a place, given in bytes.
    pub fn add(&self, at: Range<usize>, reason: impl Into<String>, fix: impl Into<String>) {
        let before = self.text.get(..at.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        self.problems.borrow_mut().push(Problem { line, column, reason: reason.into(), fix: fix.into() });
    }

    /// All mistakes, in the order of their places.
    pub fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems
    }
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Its place in bytes.
    pub at: Range<usize>,
}

/// A table being read. What was asked for is what may be in it.
pub struct Table<'a> {
    /// How it is called: `limits`, `rule "fat"`.
    pub name: String,
    /// Its place in bytes.
    pub at: Range<usize>,
    entries: &'a DeTable<'a>,
    sink: &'a Sink<'a>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    /// A table of that name.
    pub fn new(name: impl Into<String>, entries: &'a DeTable<'a>, at: Range<usize>, sink: &'a Sink<'a>) -> Table<'a> {
        Table { name: name.into(), at, entries, sink, asked: RefCell::default() }
    }

    /// Notes a mistake.
    pub fn problem(&self, at: Range<usize>, reason: impl Into<String>, fix: impl Into<String>) {
        self.sink.add(at, reason, fix);
    }

    /// Where that key stands; the table's own place if it is not there.
    pub fn place(&self, key: &str) -> Range<usize> {
        self.entries.get_key_value(key).map_or(self.at.clone(), |(key, _)| key.span())
    }

    /// Whether it has that key.
    pub fn has(&self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    fn get(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().push(key);
        self.entries.get(key)
    }

    fn wrong_type(&self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) {
        let found = value.get_ref().type_str();
        let article = if found.starts_with(['a', 'i']) { "an" } else { "a" };
        self.problem(value.span(), format!("{} is {article} {found}", self.key(key)), format!("write {expected}"));
    }

    /// A key's full name.
    pub fn key(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{} of {}", key, self.name) }
    }

    /// A text.
    pub fn string(&self, key: &'static str, expected: &str) -> Option<Located<String>> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(Located { value: text.clone().into_owned(), at: value.span() }),
            _ => {
                self.wrong_type(key, value, expected);
                None
            }
        }
    }

    /// A text that means something: `parse` says why it does not, if so; `expected` is what to write.
    pub fn parsed<T>(
        &self,
        key: &'static str,
        expected: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Located<T>> {
        let text = self.string(key, expected)?;
        match parse(&text.value) {
            Ok(value) => Some(Located { value, at: text.at }),
            Err(reason) => {
                self.problem(
                    text.at,
                    format!("{} = {:?}: {reason}", self.key(key), text.value),
                    format!("write {expected}"),
                );
                None
            }
        }
    }

    /// `true` or `false`.
    pub fn boolean(&self, key: &'static str) -> Option<bool> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => {
                self.wrong_type(key, value, "true or false, without quotes");
                None
            }
        }
    }

    /// A whole number of that range.
    pub fn integer(&self, key: &'static str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let value = self.get(key)?;
        let expected = format!("a whole number from {} to {}, without quotes", range.start(), range.end());
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_type(key, value, &expected);
            return None;
        };
        let parsed = u64::from_str_radix(number.as_str(), number.radix()).ok().filter(|number| range.contains(number));
        if parsed.is_none() {
            let reason = format!("{} = {} is out of range", self.key(key), number.as_str());
            self.problem(value.span(), reason, format!("write {expected}"));
        }
        parsed
    }

    /// A list of texts.
    pub fn strings(&self, key: &'static str, expected: &str) -> Option<Vec<Located<String>>> {
        let value = self.get(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(key, value, expected);
            return None;
        };
        let mut texts = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::String(text) => texts.push(Located { value: text.clone().into_owned(), at: item.span() }),
                _ => self.wrong_type(key, item, expected),
            }
        }
        Some(texts)
    }

    /// A table in this one.
    pub fn table(&self, key: &'static str) -> Option<Table<'a>> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Table(entries) => {
                let name = if self.name.is_empty() { format!("[{key}]") } else { format!("{key} of {}", self.name) };
                Some(Table::new(name, entries, value.span(), self.sink))
            }
            DeValue::Array(_) if self.name.is_empty() => {
                self.problem(value.span(), format!("[[{key}]] is given as a list"), format!("write [{key}], once"));
                None
            }
            _ => {
                self.wrong_type(key, value, &format!("a table: [{key}]"));
                None
            }
        }
    }

    /// The tables of a list of tables: `[[key]]`.
    pub fn tables(&self, key: &'static str) -> Vec<Table<'a>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let expected = format!("[[{key}]] above each {key}, with two brackets");
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(key, value, &expected);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (i, item) in items.iter().enumerate() {
            match item.get_ref() {
                DeValue::Table(entries) => {
                    tables.push(Table::new(format!("{key} {}", i + 1), entries, item.span(), self.sink));
                }
                _ => self.wrong_type(key, item, &expected),
            }
        }
        tables
    }

    /// The tables in this one whose names are the user's to choose.
    pub fn children(&self) -> Vec<(String, Table<'a>)> {
        let mut tables = Vec::new();
        for (key, value) in self.entries.iter() {
            match value.get_ref() {
                DeValue::Table(entries) => {
                    let name = format!("{:?} of {}", key.get_ref(), self.name);
                    tables.push((key.get_ref().to_string(), Table::new(name, entries, value.span(), self.sink)));
                }
                _ => self.wrong_type(key.get_ref(), value, "a table for each name"),
            }
        }
        tables
    }

    /// Notes every key that was not asked for. `elsewhere` says more of a key that has its place somewhere else.
    pub fn close(&self, elsewhere: impl Fn(&str) -> Option<String>) {
        let asked = self.asked.borrow();
        for (key, _) in self.entries.iter() {
            let name: &str = key.get_ref();
            if asked.contains(&name) {
                continue;
            }
            let fix = elsewhere(name).unwrap_or_else(|| match nearest(name, &asked) {
                Some(near) => format!("did you mean {near}?"),
                None => {
                    let mut known: Vec<&str> = asked.clone();
                    known.sort_unstable();
                    known.dedup();
                    format!("known here: {}", known.join(", "))
                }
            });
            let place = if self.name.is_empty() { String::new() } else { format!(" in {}", self.name) };
            self.problem(key.span(), format!("unknown key {name}{place}"), fix);
        }
    }
}

/// One of a few words.
pub fn choice(table: Option<&Table<'_>>, key: &'static str, words: &[&'static str]) -> Option<&'static str> {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    let found = table?.parsed(key, &quoted.join(" or "), |text| {
        words.iter().find(|&&word| word == text).copied().ok_or_else(|| "it is not known".to_owned())
    });
    Some(found?.value)
}

/// The known name that looks most like `name`, if one looks much like it.
pub fn nearest<'n>(name: &str, known: &[&'n str]) -> Option<&'n str> {
    let name = name.to_lowercase().replace('-', "_");
    let mistakes = |candidate: &&str| strsim::damerau_levenshtein(&name, candidate);
    let best = known.iter().min_by_key(|candidate| mistakes(candidate))?;
    (mistakes(best) <= (name.len() / 3).max(1)).then_some(*best)
}
