//! Shorthands in SQL: `X&` and `X^` (children and parents of X, chainable), `#N.i` (the address of a row shown),
//! `#N.column` (a whole column as a list) and `$name`.
//!
//! String literals, quoted identifiers and comments are left alone, and so is `&` where it can only be SQL's bitwise
//! operator. What the shorthands stand for comes from a [`References`]; this module knows only how they are written.

use std::fmt::Write as _;

/// Where the values behind `#N.i`, `#N.column` and `$name` come from.
pub trait References {
    /// The address in row `row` of result `result`.
    fn row(&self, result: usize, row: usize) -> Result<String, SubstituteError>;
    /// Column `column` of result `result`, as SQL literals.
    fn column(&self, result: usize, column: &str) -> Result<Vec<String>, SubstituteError>;
    /// What `name` was set to.
    fn name(&self, name: &str) -> Option<String>;
}

/// Why a shorthand has no meaning here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubstituteError {
    /// No such result yet.
    #[error("#{0} is not a result yet: each query shown gets the next number, and its rows are labelled #N.i")]
    NoResult(usize),
    /// The result was dropped to bound the memory the shell keeps.
    #[error("#{0} was let go to save memory: run its query again")]
    ForgottenResult(usize),
    /// Row number too high.
    #[error("#{result}.{row} is out of range: result #{result} has {rows} rows")]
    NoRow {
        /// The result asked for.
        result: usize,
        /// The row asked for.
        row: usize,
        /// How many it has.
        rows: usize,
    },
    /// The row has no address to stand for.
    #[error("result #{0} has no address column, so #{0}.i means nothing: select the address too")]
    NoAddress(usize),
    /// No such column.
    #[error("result #{result} has no column {column}: it has {columns}")]
    NoColumn {
        /// The result asked for.
        result: usize,
        /// The column asked for.
        column: String,
        /// The columns it has.
        columns: String,
    },
    /// `$name` was never set.
    #[error("${0} is not defined: `set {0} VALUE` defines it, `set` lists the names")]
    NoName(String),
}

/// `text` with every shorthand replaced by the SQL it stands for.
pub fn substitute(text: &str, references: &dyn References) -> Result<String, SubstituteError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = if let Some(length) = literal_length(rest) {
            out.push_str(&rest[..length]);
            length
        } else if let Some(token) = Token::at(rest) {
            token.write(rest, references, &mut out)?
        } else {
            out.push(c);
            c.len_utf8()
        };
        rest = &rest[length..];
    }
    Ok(out)
}

/// Length of the string literal, quoted identifier or comment that `rest` begins with. A quote that is never closed is
/// an ordinary character (an apostrophe in `echo`; in SQL it is SQLite's error to report).
fn literal_length(rest: &str) -> Option<usize> {
    let ends_with = |open: usize, close: &str| rest[open..].find(close).map(|at| open + at + close.len());
    match rest.as_bytes() {
        [b'\'', ..] => ends_with(1, "'"),
        [b'"', ..] => ends_with(1, "\""),
        [b'`', ..] => ends_with(1, "`"),
        [b'[', ..] => ends_with(1, "]"),
        [b'-', b'-', ..] => Some(rest.find('\n').unwrap_or(rest.len())),
        [b'/', b'*', ..] => Some(ends_with(2, "*/").unwrap_or(rest.len())),
        _ => None,
    }
}

/// What can stand before `&` or `^`, or for itself.
enum Token<'a> {
    Row { result: usize, row: usize },
    Column { result: usize, column: &'a str },
    Name(&'a str),
    Plain(&'a str),
}

impl<'a> Token<'a> {
    fn at(rest: &'a str) -> Option<Self> {
        match rest.chars().next()? {
            '#' => Self::result_at(rest),
            '$' => Some(run(&rest[1..], is_name)).filter(|name| !name.is_empty()).map(Token::Name),
            c if is_name(c) => Some(Token::Plain(run(rest, is_name))),
            _ => None,
        }
    }

    fn result_at(rest: &'a str) -> Option<Self> {
        let result = run(&rest[1..], |c| c.is_ascii_digit());
        let column = run(rest[1 + result.len()..].strip_prefix('.')?, is_word);
        let result = result.parse().ok()?;
        if column.is_empty() {
            None
        } else if let Ok(row) = column.parse() {
            Some(Token::Row { result, row })
        } else {
            Some(Token::Column { result, column })
        }
    }

    /// Appends what the token and the operators behind it stand for; returns how much of `rest` they take.
    fn write(&self, rest: &str, references: &dyn References, out: &mut String) -> Result<usize, SubstituteError> {
        let (mut value, length) = self.value(rest, references)?;
        let operators = run(&rest[length..], |c| c == '&' || c == '^');
        let after = &rest[length + operators.len()..];
        if operators.is_empty() || (operators == "&" && self.is_bitwise(after)) {
            out.push_str(&value);
            return Ok(length);
        }
        for operator in operators.chars() {
            let condition = if value.starts_with('(') { "in" } else { "=" };
            let (found, given) = if operator == '^' { ("parent", "child") } else { ("child", "parent") };
            value = format!("(select {found} from ref where {given} {condition} {value})");
        }
        out.push_str(&value);
        Ok(length + operators.len())
    }

    /// What the token alone stands for, and its length.
    fn value(&self, rest: &str, references: &dyn References) -> Result<(String, usize), SubstituteError> {
        match *self {
            Token::Row { result, row } => Ok((references.row(result, row)?, self.result_length(rest))),
            Token::Column { result, column } => {
                let values = references.column(result, column)?.join(", ");
                Ok((format!("({values})"), self.result_length(rest)))
            }
            Token::Name(name) => {
                // A name may hold dots and colons, a sentence ends with one: the longest defined name wins.
                let known = [name, name.trim_end_matches(['.', ':'])];
                let found = known.iter().find_map(|name| Some((references.name(name)?, 1 + name.len())));
                found.ok_or_else(|| SubstituteError::NoName(name.to_owned()))
            }
            Token::Plain(text) => Ok((text.to_owned(), text.len())),
        }
    }

    fn result_length(&self, rest: &str) -> usize {
        let digits = run(&rest[1..], |c| c.is_ascii_digit()).len();
        2 + digits + run(&rest[2 + digits..], is_word).len()
    }

    /// Whether a single `&` behind this token is SQL's operator: it is when an operand follows.
    fn is_bitwise(&self, after: &str) -> bool {
        let trimmed = after.trim_start();
        let adjacent = trimmed.len() == after.len();
        let Some(next) = trimmed.chars().next() else { return false };
        let word = run(trimmed, is_word);
        if word.is_empty() {
            matches!(next, '(' | '\'' | '"' | '`' | '[' | '#' | '$' | '~' | '@' | '?' | ':' | '.')
                || (adjacent && matches!(next, '-' | '+'))
        } else {
            adjacent || next.is_ascii_digit() || (self.is_identifier() && !is_keyword(word))
        }
    }

    fn is_identifier(&self) -> bool {
        matches!(self, Token::Plain(text) if !text.starts_with(|c: char| c.is_ascii_digit()))
    }
}

fn run(text: &str, accept: impl Fn(char) -> bool) -> &str {
    &text[..text.find(|c| !accept(c)).unwrap_or(text.len())]
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_name(c: char) -> bool {
    is_word(c) || c == '.' || c == ':'
}

/// Words that can follow a complete operand in SQL or in the shell's own commands, so what stands before is one.
fn is_keyword(word: &str) -> bool {
    const KEYWORDS: &[&str] = &[
        "and",
        "as",
        "asc",
        "between",
        "collate",
        "cross",
        "desc",
        "else",
        "end",
        "escape",
        "except",
        "from",
        "full",
        "glob",
        "group",
        "having",
        "in",
        "inner",
        "intersect",
        "is",
        "isnull",
        "join",
        "left",
        "like",
        "limit",
        "match",
        "natural",
        "not",
        "notnull",
        "offset",
        "on",
        "or",
        "order",
        "regexp",
        "reversed",
        "right",
        "then",
        "to",
        "union",
        "using",
        "when",
        "where",
    ];
    KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word))
}

/// `text` as an SQL string literal.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    // Writing to a String cannot fail.
    let _ = write!(out, "'{}'", text.replace('\'', "''"));
    out
}

/// Shorthands where no results and no names are known: `X&` and `X^` are all there is.
struct Nothing;

impl References for Nothing {
    fn row(&self, result: usize, _row: usize) -> Result<String, SubstituteError> {
        Err(SubstituteError::NoResult(result))
    }

    fn column(&self, result: usize, _column: &str) -> Result<Vec<String>, SubstituteError> {
        Err(SubstituteError::NoResult(result))
    }

    fn name(&self, _name: &str) -> Option<String> {
        None
    }
}

/// `text` with `X&` and `X^` replaced by the SQL they stand for, outside of a shell.
pub fn expand(text: &str) -> Result<String, SubstituteError> {
    substitute(text, &Nothing)
}

#[cfg(test)]
#[path = "shorthand_tests.rs"]
mod tests;
