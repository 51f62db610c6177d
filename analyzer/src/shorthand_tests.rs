//! Tests of the shorthands: a table of what each shorthand becomes, and properties on any text.

use proptest::prelude::*;

use super::*;

struct Fake;

impl References for Fake {
    fn row(&self, result: usize, row: usize) -> Result<String, SubstituteError> {
        match (result, row) {
            (0, 0..3) => Ok((100 + row).to_string()),
            (0, _) => Err(SubstituteError::NoRow { result, row, rows: 3 }),
            (1, _) => Err(SubstituteError::NoAddress(1)),
            _ => Err(SubstituteError::NoResult(result)),
        }
    }

    fn column(&self, result: usize, column: &str) -> Result<Vec<String>, SubstituteError> {
        match (result, column) {
            (0, "address") => Ok(vec!["100".into(), "101".into(), "102".into()]),
            (0, "name") => Ok(vec!["'it''s'".into(), "NULL".into()]),
            (0, _) => Err(SubstituteError::NoColumn {
                result,
                column: column.to_owned(),
                columns: "address, name".to_owned(),
            }),
            _ => Err(SubstituteError::NoResult(result)),
        }
    }

    fn name(&self, name: &str) -> Option<String> {
        match name {
            "x" => Some("7".into()),
            "a.b:c" => Some("8".into()),
            "list" => Some("(1, 2)".into()),
            _ => None,
        }
    }
}

fn check(text: &str, expect: &str) {
    assert_eq!(substitute(text, &Fake).as_deref(), Ok(expect), "{text}");
}

const CHILDREN_OF_0: &str = "(select child from ref where parent = 0)";

#[test]
fn children_and_parents() {
    check("0&", CHILDREN_OF_0);
    check("5^", "(select parent from ref where child = 5)");
    check("0&&", &format!("(select child from ref where parent in {CHILDREN_OF_0})"));
    check("7^&", "(select child from ref where parent in (select parent from ref where child = 7))");
    check("address in 0& and size > 1", &format!("address in {CHILDREN_OF_0} and size > 1"));
    check("address in 0&\n order by 1", &format!("address in {CHILDREN_OF_0}\n order by 1"));
    check("(address in 0&)", &format!("(address in {CHILDREN_OF_0})"));
    check("0&, 0&", &format!("{CHILDREN_OF_0}, {CHILDREN_OF_0}"));
    check("select * from 0& x", &format!("select * from {CHILDREN_OF_0} x"));
    check("exists o.address& limit 1", "exists (select child from ref where parent = o.address) limit 1");
}

#[test]
fn results_and_names() {
    check("address = #0.1", "address = 101");
    check("#0.1&", "(select child from ref where parent = 101)");
    check("in #0.address", "in (100, 101, 102)");
    check("#0.address^", "(select parent from ref where child in (100, 101, 102))");
    check("#0.name", "('it''s', NULL)");
    check("$x + $a.b:c", "7 + 8");
    check("it is $x.", "it is 7.");
    check("$list&", "(select child from ref where parent in (1, 2))");
    check("$x^", "(select parent from ref where child = 7)");
}

#[test]
fn literals_and_comments_are_left_alone() {
    for text in [
        "'$x #0.1 0&'",
        "'it''s $x'",
        "\"0&\"",
        "[0&]",
        "`$x`",
        "1 -- $nothing 0&",
        "/* #9.9 */ 1",
        "value like '%&%' and name = '0^'",
    ] {
        check(text, text);
    }
    check("don't $x", "don't 7");
    check("1 -- '\n + $x", "1 -- '\n + 7");
}

#[test]
fn the_bitwise_operator_is_left_alone() {
    for text in
        ["size & 1", "size&1", "5&3", "size&len", "size& 7", "address & size", "len&(1)", "size&~1", "flags& mask"]
    {
        check(text, text);
    }
    check("#0.1&#0.2", "101&102");
    check("$x&$x", "7&7");
    check("size & $x", "size & 7");
}

#[test]
fn what_is_not_a_shorthand_stays() {
    for text in ["", "#", "#0", "#a.b", "$", "a $ b", "#.1", "select * from obj where name = 1.5", "x => é&é"] {
        check(text, text);
    }
}

#[test]
fn mistakes_are_named() {
    let error = |text: &str| substitute(text, &Fake).unwrap_err().to_string();
    assert!(error("#4.0").starts_with("#4 is not a result yet"));
    assert_eq!(error("#0.9"), "#0.9 is out of range: result #0 has 3 rows");
    assert!(error("#1.0").contains("no address column"));
    assert_eq!(error("#0.foo"), "result #0 has no column foo: it has address, name");
    assert!(error("$y&").starts_with("$y is not defined"));
}

#[test]
fn quoting_doubles_quotes() {
    assert_eq!(quote("it's"), "'it''s'");
}

proptest! {
    /// Whatever is typed: an answer or an error, never a panic; and quoted text always comes through.
    #[test]
    fn any_text_is_taken(text in "[ -~é\n]{0,40}") {
        let _ = substitute(&text, &Fake);
    }

    #[test]
    fn any_literal_comes_through(text in "[ -~é\n]{0,40}") {
        let literal = quote(&text);
        prop_assert_eq!(substitute(&literal, &Fake).unwrap(), literal);
    }

    /// Text without any of the shorthands' characters is never changed.
    #[test]
    fn plain_text_is_unchanged(text in "[a-z0-9 .:,()'\"=<>+*/-]{0,40}") {
        prop_assert_eq!(substitute(&text, &Fake).unwrap(), text);
    }
}
