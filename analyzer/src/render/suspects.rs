//! Suspects as text: a heading each, the explanation, and what to type next.

use std::io::{self, Write};

use super::printable;
use heapsee_heap::answers::suspects::{Suspect, Suspects};
use heapsee_heap::answers::words::{bytes, percent};

/// Lines of explanations are broken at this width.
const WIDTH: usize = 100;

/// All of them, or that nothing stands out.
pub fn suspects(out: &mut dyn Write, report: &Suspects) -> io::Result<()> {
    if report.suspects.is_empty() {
        writeln!(out, "Nothing stands out.\n")?;
        let text = format!(
            "Of {} in the heap, {} ({:.0} %) are modules, classes, functions and code with their names and docstrings, \
             which every process has. No container, object or chain of the rest that looks like a leak keeps as much as {}.",
            bytes(report.heap.bytes),
            bytes(report.program.bytes),
            percent(report.program.bytes, report.heap.bytes),
            bytes(report.threshold_bytes)
        );
        paragraph(out, &text, "")?;
        intended(out, report)?;
        return notes(out, report);
    }
    for (i, each) in report.suspects.iter().enumerate() {
        if i > 0 {
            writeln!(out)?;
        }
        suspect(out, each)?;
    }
    if report.left_out > 0 {
        writeln!(out, "\n… and {} smaller (--max-items 0 shows all)", report.left_out)?;
    }
    intended(out, report)?;
    notes(out, report)
}

/// What else there is to know.
fn notes(out: &mut dyn Write, report: &Suspects) -> io::Result<()> {
    for note in &report.notes {
        writeln!(out)?;
        paragraph(out, note, "")?;
    }
    Ok(())
}

/// What nobody is accused of.
fn intended(out: &mut dyn Write, report: &Suspects) -> io::Result<()> {
    if report.intended.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nLarge, but this may be intended:")?;
    for each in &report.intended {
        paragraph(out, &format!("- {}: {}.", each.title, each.reason), "  ")?;
    }
    writeln!(out, "\nTwo dumps with load between them tell whether it grows: heapsee suspects EARLIER.dump LATER.dump")
}

fn suspect(out: &mut dyn Write, suspect: &Suspect) -> io::Result<()> {
    writeln!(out, "{}. {}\n", suspect.rank, printable(&suspect.title))?;
    paragraph(out, &suspect.explanation, "   ")?;
    writeln!(out, "\n   path     {}", printable(&suspect.path))?;
    writeln!(out, "   address  {}", suspect.address)?;
    for past in &suspect.history {
        let bytes = past.retained_bytes.map_or("not found, or small".to_owned(), bytes);
        writeln!(out, "   in       {}: {bytes}", printable(&past.dump))?;
    }
    for command in &suspect.next {
        writeln!(out, "   next     {}", printable(command))?;
    }
    Ok(())
}

/// Text in lines of bearable length.
fn paragraph(out: &mut dyn Write, text: &str, indent: &str) -> io::Result<()> {
    let mut line = String::new();
    for word in printable(text).split(' ') {
        if !line.is_empty() && indent.len() + line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(out, "{indent}{line}")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(out, "{indent}{line}")
}
