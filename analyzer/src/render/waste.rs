//! Waste and duplicates as text.

use std::io::{self, Write};

use super::grid::Align::{Left, Right};
use super::printable;
use super::table::{table, table_of_paths};

use heapsee_heap::answers::duplicates::{Copies, Duplicates};
use heapsee_heap::answers::waste::{KindOfWaste, Waste};
use heapsee_heap::answers::words::bytes;

/// Each kind with its places.
pub fn waste(out: &mut dyn Write, waste: &Waste) -> io::Result<()> {
    writeln!(out, "{} objects, {} bytes ({})", waste.heap.objects, waste.heap.bytes, bytes(waste.heap.bytes))?;
    for kind in &waste.kinds {
        writeln!(out)?;
        self::kind(out, kind)?;
    }
    notes(out, &waste.notes)
}

fn kind(out: &mut dyn Write, kind: &KindOfWaste) -> io::Result<()> {
    let title = kind.kind.replace('_', " ");
    let total = &kind.total;
    if total.objects == 0 {
        return writeln!(out, "{title}: none");
    }
    writeln!(out, "{title}: {} objects, {} bytes ({})", total.objects, total.bytes, bytes(total.bytes))?;
    writeln!(out, "  {}", kind.explanation)?;
    if !kind.values.is_empty() {
        return copies(out, &kind.values);
    }
    let row = |place: &heapsee_heap::answers::tally::Group| {
        let amount = place.amount;
        vec![amount.bytes.to_string(), amount.objects.to_string(), place.type_name.clone(), place.path.clone()]
    };
    let rows: Vec<Vec<String>> = kind.places.iter().map(row).collect();
    table_of_paths(out, &[("bytes", Right), ("objects", Right), ("type", Left), ("where", Left)], &rows)
}

/// By type, then the values with most bytes in copies.
pub fn duplicates(out: &mut dyn Write, duplicates: &Duplicates) -> io::Result<()> {
    if duplicates.groups.is_empty() {
        writeln!(out, "Nothing is there more than once")?;
        return notes(out, &duplicates.notes);
    }
    let row = |copies: &heapsee_heap::answers::duplicates::TypeCopies| {
        let share = if copies.shareable { "can be shared" } else { "may change" };
        let spare = copies.spare;
        vec![spare.bytes.to_string(), spare.objects.to_string(), copies.type_name.clone(), share.to_owned()]
    };
    let rows: Vec<Vec<String>> = duplicates.types.iter().map(row).collect();
    writeln!(out, "Copies beyond the first:")?;
    table(out, &[("bytes", Right), ("objects", Right), ("type", Left), ("", Left)], &rows)?;
    writeln!(out)?;
    copies(out, &duplicates.groups)?;
    let hidden = duplicates.group_count - duplicates.groups.len();
    if hidden > 0 {
        writeln!(out, "… and {hidden} more (--max-items 0 shows all)")?;
    }
    notes(out, &duplicates.notes)
}

fn copies(out: &mut dyn Write, copies: &[Copies]) -> io::Result<()> {
    let row = |copies: &Copies| {
        let (about, places) = (if copies.certain { "" } else { "≈ " }, copies.count - copies.count_there);
        let more = if places > 0 { format!(" and {places} elsewhere") } else { String::new() };
        let path = format!("{} ×{}{more}", copies.path, copies.count_there);
        let value: String = copies.value.chars().take(VALUE).collect();
        let cut = if value.len() < copies.value.len() { "…" } else { "" };
        vec![copies.spare_bytes.to_string(), copies.count.to_string(), format!("{about}{value}{cut}"), path]
    };
    let rows: Vec<Vec<String>> = copies.iter().map(row).collect();
    table_of_paths(out, &[("spare bytes", Right), ("count", Right), ("value", Left), ("where", Left)], &rows)
}

/// Characters shown of a value.
const VALUE: usize = 48;

pub(super) fn notes(out: &mut dyn Write, notes: &[String]) -> io::Result<()> {
    for note in notes {
        writeln!(out, "\nNote: {}", printable(note))?;
    }
    Ok(())
}
