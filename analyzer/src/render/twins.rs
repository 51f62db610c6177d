//! What is loaded twice, as text.

use std::io::{self, Write};

use super::printable;
use heapsee_heap::answers::twins::{Group, Twins};
use heapsee_heap::answers::words::{bytes, percent, thousands};

/// Each group with its members.
pub fn twins(out: &mut dyn Write, twins: &Twins) -> io::Result<()> {
    if twins.groups.is_empty() {
        return writeln!(
            out,
            "Nothing large is there twice (of {} and more to spare; --min-bytes looks for less)",
            bytes(twins.least_bytes)
        );
    }
    for (number, each) in twins.groups.iter().enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        group(out, number + 1, each, twins)?;
    }
    let hidden = twins.group_count - twins.groups.len();
    if hidden > 0 { writeln!(out, "\n… and {hidden} smaller groups (--max-items 0 shows all)") } else { Ok(()) }
}

fn group(out: &mut dyn Write, number: usize, group: &Group, twins: &Twins) -> io::Result<()> {
    let how = match group.alike {
        None => "equal".to_owned(),
        Some(alike) => {
            let content = alike.content_percent.map(|content| format!(", content {content:.1} %")).unwrap_or_default();
            format!("alike: shape {:.1} %{content}", alike.shape_percent)
        }
    };
    let share = percent(group.spare.bytes, twins.heap.bytes);
    writeln!(
        out,
        "{number}. {} × {}, {how}; having one would save {} ({share:.1} % of the heap)",
        thousands(group.count as u64),
        printable(&group.type_name),
        bytes(group.spare.bytes)
    )?;
    for member in &group.members {
        let kept = format!("{} in {} objects", bytes(member.retained.bytes), thousands(member.retained.objects));
        writeln!(out, "   {:>16}  {kept:<28}  {}", member.address, printable(&member.path))?;
    }
    let hidden = group.count - group.members.len();
    if hidden > 0 {
        writeln!(out, "   … and {} more like these", thousands(hidden as u64))?;
    }
    Ok(())
}
