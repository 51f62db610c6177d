//! Commands about the shell itself: names, substitution, column widths, debugging.

use crate::render::grid::{Align, Cell, Column, Grid};
use crate::shell::{CommandError, Flow, Shell};

pub(in crate::shell) const SET: &str = "set   or   set NAME VALUE";
pub(in crate::shell) const WIDTH: &str = "width COLUMN N [COLUMN N …]";

/// `set`, `set NAME VALUE`
pub(in crate::shell) fn set(shell: &mut Shell<'_>, argument: &str) -> Result<Flow, CommandError> {
    if argument.is_empty() {
        return list(shell);
    }
    let (name, value) = argument.split_once(char::is_whitespace).ok_or(CommandError::Usage(SET))?;
    if !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | ':')) {
        return Err(CommandError::Said(format!(
            "{name:?} cannot be a name: letters, digits, `_`, `.` and `:` make one"
        )));
    }
    let value = shell.substitute(value.trim())?;
    shell.session.set_name(name, &value)?;
    shell.names.set(name.to_owned(), value);
    Ok(Flow::Continue)
}

fn list(shell: &mut Shell<'_>) -> Result<Flow, CommandError> {
    let column = |header: &str, width| Column { header: header.to_owned(), width, align: Align::Left };
    let columns = [column("name", 15), column("value", 30)];
    let mut names: Vec<_> = shell.names.values.iter().collect();
    names.sort();
    let mut grid = Grid::new(&columns, shell.out);
    grid.header()?;
    for (name, value) in names {
        // Whole: a value cut short would be another value.
        grid.row(&[Cell::Number(name), Cell::Number(value)])?;
    }
    Ok(Flow::Continue)
}

/// `echo EXPR`
pub(in crate::shell) fn echo(shell: &mut Shell<'_>, argument: &str) -> Result<Flow, CommandError> {
    let text = shell.substitute(argument)?;
    writeln!(shell.out, "{text}")?;
    Ok(Flow::Continue)
}

/// `width COL N …`
pub(in crate::shell) fn width(shell: &mut Shell<'_>, argument: &str) -> Result<Flow, CommandError> {
    let words: Vec<&str> = argument.split_whitespace().collect();
    let (pairs, rest) = words.as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        return Err(CommandError::Usage(WIDTH));
    }
    for [name, width] in pairs {
        // Padding is written out: a width beyond any screen is a mistake.
        match width.parse() {
            Ok(width @ 1..=10_000) => shell.widths.set(name, width),
            _ => return Err(CommandError::Said(format!("{width:?} is not a width: 1 to 10000 characters"))),
        }
    }
    Ok(Flow::Continue)
}

/// `debug`
pub(in crate::shell) fn debug(shell: &mut Shell<'_>, _argument: &str) -> Result<Flow, CommandError> {
    shell.debug = !shell.debug;
    writeln!(shell.out, "DEBUG MODE {}", if shell.debug { "ON" } else { "OFF" })?;
    Ok(Flow::Continue)
}
