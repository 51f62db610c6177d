//! Commands that are SQL, or little more: `select`, changes, and questions about single objects.

use std::collections::BTreeSet;

use crate::render::rows::Format;
use crate::shell::{CommandError, Flow, Shell};
use crate::sql::SessionError;

pub(in crate::shell) const INFO: &str = "info ADDRESS";
pub(in crate::shell) const PARENTS: &str = "parents ADDRESS";
pub(in crate::shell) const KIDS: &str = "kids ADDRESS";
pub(in crate::shell) const PIN: &str = "pin CONDITION";

/// `select …`
pub(in crate::shell) fn select(shell: &mut Shell<'_>, argument: &str) -> Result<Flow, CommandError> {
    show(shell, "select", argument)
}

/// `with … select …`
pub(in crate::shell) fn with(shell: &mut Shell<'_>, argument: &str) -> Result<Flow, CommandError> {
    show(shell, "with", argument)
}

/// `explain [query plan] …`
pub(in crate::shell) fn explain(shell: &mut Shell<'_>, argument: &str) -> Result<Flow, CommandError> {
    show(shell, "explain", argument)
}

fn show(shell: &mut Shell<'_>, verb: &str, argument: &str) -> Result<Flow, CommandError> {
    let (argument, format) = split_format(argument);
    let sql = format!("{verb} {}", shell.substitute(argument)?);
    match format {
        Some(format) => shell.write_rows(&sql, format)?,
        None => shell.show(&sql, (), true)?,
    }
    Ok(Flow::Continue)
}

/// A query, and the way of writing its rows that it ends with. To SQLite that would be a comment.
fn split_format(argument: &str) -> (&str, Option<Format>) {
    for (option, format) in [("--json", Format::Json), ("--csv", Format::Csv)] {
        if let Some(query) = argument.strip_suffix(option)
            && query.ends_with(char::is_whitespace)
        {
            return (query.trim_end().trim_end_matches(';'), Some(format));
        }
    }
    (argument, None)
}

/// `delete from …`
pub(in crate::shell) fn delete(shell: &mut Shell<'_>, argument: &str) -> Result<Flow, CommandError> {
    change(shell, "delete", argument, "deleted")
}

/// `insert into …`
pub(in crate::shell) fn insert(shell: &mut Shell<'_>, argument: &str) -> Result<Flow, CommandError> {
    change(shell, "insert", argument, "inserted")
}

/// `update …`
pub(in crate::shell) fn update(shell: &mut Shell<'_>, argument: &str) -> Result<Flow, CommandError> {
    change(shell, "update", argument, "updated")
}

fn change(shell: &mut Shell<'_>, verb: &str, argument: &str, done: &str) -> Result<Flow, CommandError> {
    let sql = format!("{verb} {}", shell.substitute(argument)?);
    let changed = shell.change(&sql)?;
    writeln!(shell.out, "{changed} rows {done}")?;
    Ok(Flow::Continue)
}

/// `pin COND`
pub(in crate::shell) fn pin(shell: &mut Shell<'_>, argument: &str) -> Result<Flow, CommandError> {
    if argument.is_empty() {
        return Err(CommandError::Usage(PIN));
    }
    let condition = shell.substitute(argument)?;
    let pinned =
        shell.change(&format!("insert into ref (parent, child) select 0, address from obj where {condition}"))?;
    writeln!(shell.out, "{pinned} rows pinned")?;
    Ok(Flow::Continue)
}

/// `shell SQL`, `!SQL`
pub(in crate::shell) fn shell(shell: &mut Shell<'_>, argument: &str) -> Result<Flow, CommandError> {
    let sql = shell.substitute(argument)?;
    shell.change(&sql)?;
    Ok(Flow::Continue)
}

/// `info A`
pub(in crate::shell) fn info(shell: &mut Shell<'_>, argument: &str) -> Result<Flow, CommandError> {
    let address = shell.address(argument, INFO)?;
    require_object(shell, address)?;
    shell.show("select * from obj where address = ?", [address], true)?;
    Ok(Flow::Continue)
}

/// `parents A`
pub(in crate::shell) fn parents(shell: &mut Shell<'_>, argument: &str) -> Result<Flow, CommandError> {
    let address = shell.address(argument, PARENTS)?;
    let sql =
        "select address, type, name, value, size, len from obj, ref where obj.address = ref.parent and ref.child = ?";
    shell.show(sql, [address], true)?;
    Ok(Flow::Continue)
}

/// `kids A`
pub(in crate::shell) fn kids(shell: &mut Shell<'_>, argument: &str) -> Result<Flow, CommandError> {
    let address = shell.address(argument, KIDS)?;
    require_object(shell, address)?;
    shell.show("select * from obj where address = ?", [address], true)?;
    let mut shown = BTreeSet::new();
    let mut level = BTreeSet::from([address]);
    while !level.is_empty() {
        let list = level.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
        shown.append(&mut level);
        let kids = format!("from obj where address in (select child from ref where parent in ({list}))");
        let referrers = "(select count(distinct parent) from ref where child = obj.address)";
        writeln!(shell.out)?;
        shell.show(&format!("select obj.*, {referrers} refs {kids}"), (), false)?;
        let only_held_here = format!("select address {kids} and {referrers} = 1");
        let next: Vec<i64> = shell.session.column(&only_held_here)?;
        level.extend(next.into_iter().filter(|address| !shown.contains(address)));
    }
    Ok(Flow::Continue)
}

fn require_object(shell: &Shell<'_>, address: i64) -> Result<(), CommandError> {
    let found: Vec<i64> = shell.session.column(&format!("select address from obj where address = {address}"))?;
    if found.is_empty() {
        return Err(CommandError::Session(SessionError::NoObject(address)));
    }
    Ok(())
}
