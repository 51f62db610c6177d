//! Splits an argument line into words the way a POSIX shell would: blanks separate, quotes hold together.
//!
//! `path` needs it for its two quoted conditions, file names for blanks in them. It expands nothing.

/// A quote was opened and not closed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the quote {0} is opened but not closed")]
pub struct OpenQuote(pub char);

/// The words of `line`. In `"…"` a backslash protects `"` and `\`; in `'…'` everything is literal; outside quotes a
/// backslash protects any character.
pub fn split(line: &str) -> Result<Vec<String>, OpenQuote> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => single_quoted(&mut chars, word.get_or_insert_default())?,
            '"' => double_quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().push(chars.next().unwrap_or('\\')),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn single_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), OpenQuote> {
    for c in chars {
        match c {
            '\'' => return Ok(()),
            c => word.push(c),
        }
    }
    Err(OpenQuote('\''))
}

fn double_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), OpenQuote> {
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok(()),
            '\\' => match chars.next() {
                Some(c @ ('"' | '\\')) => word.push(c),
                Some(c) => word.extend(['\\', c]),
                None => return Err(OpenQuote('"')),
            },
            c => word.push(c),
        }
    }
    Err(OpenQuote('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expect: &[&str]) {
        assert_eq!(split(line).unwrap(), expect, "{line}");
    }

    #[test]
    fn blanks_separate_and_quotes_hold() {
        check("", &[]);
        check("  a  b ", &["a", "b"]);
        check("'a b'c", &["a bc"]);
        check(r#""" x"#, &["", "x"]);
        check(r"a\ b", &["a b"]);
        check(r#""say \"hi\" \n""#, &[r#"say "hi" \n"#]);
    }

    #[test]
    fn the_seeds_path_commands() {
        check(
            r#"from "address in 0&" to "type = 'KvsFieldData'""#,
            &["from", "address in 0&", "to", "type = 'KvsFieldData'"],
        );
        check(
            r#"from "address = 110810832" to "address in 0&" reversed"#,
            &["from", "address = 110810832", "to", "address in 0&", "reversed"],
        );
    }

    #[test]
    fn an_open_quote_is_an_error() {
        assert_eq!(split("a 'b"), Err(OpenQuote('\'')));
        assert_eq!(split(r#"a "b\"#), Err(OpenQuote('"')));
    }
}
