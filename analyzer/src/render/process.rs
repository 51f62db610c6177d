//! The heap by package and by thread, and the process's memory around it, as text.

use std::io::{self, Write};

use super::grid::Align::{Left, Right};
use super::printable;
use super::table::{table, table_of_paths};

use super::waste::notes;
use heapsee_heap::answers::packages::{PackageRow, Packages};
use heapsee_heap::answers::reconcile::Reconcile;
use heapsee_heap::answers::threads::{FrameRow, Part, TaskRow, Threads};
use heapsee_heap::answers::words::{bytes, thousands};

/// Packages, most bytes first.
pub fn packages(out: &mut dyn Write, packages: &Packages) -> io::Result<()> {
    let total = packages.total;
    writeln!(out, "{} objects, {} bytes ({})\n", total.objects, total.bytes, bytes(total.bytes))?;
    let row = |row: &PackageRow| {
        let retained = row.retained.map_or("-".to_owned(), |retained| retained.bytes.to_string());
        let version = row.package.version.clone().unwrap_or_default();
        let shallow = row.shallow;
        let kind = row.package.kind.to_string();
        vec![shallow.bytes.to_string(), shallow.objects.to_string(), retained, kind, row.package.name.clone(), version]
    };
    let rows: Vec<Vec<String>> = packages.packages.iter().map(row).collect();
    let headers = [
        ("shallow bytes", Right),
        ("objects", Right),
        ("retained bytes", Right),
        ("from", Left),
        ("package", Left),
        ("version", Left),
    ];
    table(out, &headers, &rows)?;
    let hidden = packages.package_count - packages.packages.len();
    if hidden > 0 {
        writeln!(out, "… and {hidden} more (--max-items 0 shows all)")?;
    }
    writeln!(out, "\nNobody's: {} objects, {} bytes", packages.nobody.objects, packages.nobody.bytes)?;
    notes(out, &packages.notes)
}

/// Threads with their stacks, then tasks.
pub fn threads(out: &mut dyn Write, threads: &Threads) -> io::Result<()> {
    let several = threads.several;
    writeln!(
        out,
        "{} threads; what several of them hold together and nobody else: {} in {} objects",
        threads.thread_count,
        bytes(several.bytes),
        thousands(several.objects)
    )?;
    for thread in &threads.threads {
        let native = thread.native_id.map(|id| format!(" (tid {id})")).unwrap_or_default();
        let request = thread.request.as_ref().map(|request| format!(", {}", printable(request))).unwrap_or_default();
        let (kept, count) = (bytes(thread.alone.bytes), thousands(thread.alone.objects));
        writeln!(out, "\nthread {}{native}{request}: {kept} in {count} objects through its stack alone", thread.ident)?;
        let rows: Vec<Vec<String>> = thread.frames.iter().map(frame).collect();
        table_of_paths(out, &[("bytes", Right), ("objects", Right), ("frame", Left), ("most of it", Left)], &rows)?;
    }
    hidden(out, threads.thread_count - threads.threads.len(), "threads")?;
    if !threads.tasks.is_empty() {
        writeln!(out, "\n{} tasks and greenlets; what would go with each:", threads.task_count)?;
        let row = |task: &TaskRow| {
            let (name, request) = (task.name.clone().unwrap_or_default(), task.request.clone().unwrap_or_default());
            let (kept, address) = (task.retained, task.address.to_string());
            vec![kept.bytes.to_string(), kept.objects.to_string(), address, task.type_name.clone(), name, request]
        };
        let rows: Vec<Vec<String>> = threads.tasks.iter().map(row).collect();
        let headers = [
            ("bytes", Right),
            ("objects", Right),
            ("address", Right),
            ("type", Left),
            ("name", Left),
            ("request", Left),
        ];
        table(out, &headers, &rows)?;
        hidden(out, threads.task_count - threads.tasks.len(), "tasks")?;
    }
    notes(out, &threads.notes)
}

fn frame(frame: &FrameRow) -> Vec<String> {
    let line = frame.line.map(|line| format!(":{line}")).unwrap_or_default();
    let part = |part: &Part| format!("{} {} ({})", part.type_name, part.address, bytes(part.amount.bytes));
    let file = frame.file.rsplit('/').next().unwrap_or_default();
    vec![
        frame.alone.bytes.to_string(),
        frame.alone.objects.to_string(),
        format!("{}() {file}{line}", frame.function),
        frame.largest.iter().map(part).collect::<Vec<_>>().join(", "),
    ]
}

fn hidden(out: &mut dyn Write, count: usize, what: &str) -> io::Result<()> {
    if count > 0 { writeln!(out, "… and {count} more {what} (--max-items 0 shows all)") } else { Ok(()) }
}

/// The verdict, the parts, and what points outside.
pub fn reconcile(out: &mut dyn Write, reconcile: &Reconcile) -> io::Result<()> {
    for sentence in &reconcile.explanation {
        writeln!(out, "{sentence}")?;
    }
    if let Some(rss) = reconcile.rss {
        writeln!(out, "\nResident: {rss} bytes ({})", bytes(rss))?;
        let share = |part: i64| if rss == 0 { 0.0 } else { 100.0 * part as f64 / rss as f64 };
        let row = |part: &heapsee_heap::answers::reconcile::Part| {
            let percent = format!("{:.1}", share(part.bytes));
            vec![part.bytes.to_string(), percent, part.part.to_owned(), part.what.to_owned()]
        };
        let rows: Vec<Vec<String>> = reconcile.parts.iter().map(row).collect();
        table(out, &[("bytes", Right), ("%", Right), ("part", Left), ("what it is", Left)], &rows)?;
    }
    if !reconcile.outside.is_empty() {
        writeln!(out, "\nObjects that point at memory outside of themselves:")?;
        let row = |outside: &heapsee_heap::answers::reconcile::Outside| {
            let amount = outside.amount;
            let holds = outside.holds.unwrap_or("unknown: a type of a C extension").to_owned();
            let path = outside.path.clone().unwrap_or_default();
            vec![
                amount.objects.to_string(),
                amount.bytes.to_string(),
                outside.type_name.clone(),
                holds,
                path.to_string(),
            ]
        };
        let rows: Vec<Vec<String>> = reconcile.outside.iter().map(row).collect();
        let headers = [
            ("objects", Right),
            ("bytes counted", Right),
            ("type", Left),
            ("what each holds", Left),
            ("where most of them hang", Left),
        ];
        table_of_paths(out, &headers, &rows)?;
        hidden(out, reconcile.outside_count - reconcile.outside.len(), "types")?;
    }
    notes(out, &reconcile.notes)
}
