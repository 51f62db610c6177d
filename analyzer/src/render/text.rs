//! Reports as text for a terminal.

use std::io::{self, Write};

use super::printable;
use heapsee_heap::answers::summary::{Order, Process, Summary};

/// The summary: the process, if known, the totals, and a table of types with meliae's columns.
pub fn summary(out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
    if let Some(process) = &summary.process {
        self::process(out, process)?;
    }
    let totals = &summary.totals;
    writeln!(
        out,
        "{} objects, {} references, {} types, {} bytes ({})",
        totals.objects,
        totals.refs,
        totals.types,
        totals.bytes,
        mebibytes(totals.bytes)
    )?;
    if totals.dangling_refs > 0 {
        let lead = if totals.dangling_refs == 1 { "reference leads" } else { "references lead" };
        writeln!(out, "{} {lead} to addresses that are not in the dump", totals.dangling_refs)?;
    }
    if totals.repeated_lines > 0 {
        let were = if totals.repeated_lines == 1 {
            "line repeats an address and was"
        } else {
            "lines repeat an address and were"
        };
        writeln!(out, "{} {were} left out", totals.repeated_lines)?;
    }
    writeln!(out)?;
    types(out, summary)
}

fn process(out: &mut dyn Write, process: &Process) -> io::Result<()> {
    let mut line = |label: &str, value: String| {
        if value.is_empty() { Ok(()) } else { writeln!(out, "{label:<9}{}", printable(&value)) }
    };
    let server = process.server.as_ref().map(|server| format!(" ({server})")).unwrap_or_default();
    line("process", format!("{}{server} on {}", process.pid, process.host))?;
    line("command", process.command_line.join(" "))?;
    line("python", process.python.clone())?;
    let signal = process.signal.map(|signal| format!(" {signal}")).unwrap_or_default();
    line("dumped", format!("{} by {}{signal}, mode {}", process.requested_at, process.reason, process.mode))?;
    line("paused", format!("{:.1} ms", process.pause_ns as f64 / 1e6))?;
    line("resident", mebibytes(process.rss))
}

fn types(out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
    // Columns are as wide as their widest number, so that none is cut and none runs into its neighbour.
    let widest = |digits: &dyn Fn(usize) -> usize, title: &str| {
        (0..summary.types.len()).map(digits).chain([title.len()]).max().unwrap_or(0)
    };
    let count = widest(&|i| digits(summary.types[i].count), "Count");
    let size = widest(&|i| digits(summary.types[i].bytes), "Size");
    let max = widest(&|i| digits(summary.types[i].max_bytes), "Max");
    writeln!(
        out,
        "{:>5} {:>count$} {:>5} {:>size$} {:>5} {:>5} {:>max$} Kind",
        "Index", "Count", "%", "Size", "%", "Cum", "Max"
    )?;
    for (i, row) in summary.types.iter().enumerate() {
        writeln!(
            out,
            "{i:>5} {:>count$} {:>5.1} {:>size$} {:>5.1} {:>5.1} {:>max$} {}",
            row.count,
            row.count_percent,
            row.bytes,
            row.bytes_percent,
            row.cumulative_percent,
            row.max_bytes,
            printable(&row.name)
        )?;
    }
    let hidden = summary.totals.types.saturating_sub(summary.types.len() as u64);
    if hidden > 0 {
        let order = match summary.order {
            Order::Size => "smaller",
            Order::Count => "rarer",
        };
        writeln!(out, "… and {hidden} {order} types (--limit 0 shows all)")?;
    }
    Ok(())
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
