//! A comparison of dumps as text.

use std::io::{self, Write};

use super::grid::Align::{self, Left, Right};
use super::table::table_of_paths;

use super::waste::notes;
use heapsee_heap::answers::diff::{Diff, Relation, Series};
use heapsee_heap::answers::words::bytes;

/// Totals, then what has grown.
pub fn diff(out: &mut dyn Write, diff: &Diff) -> io::Result<()> {
    dumps(out, diff)?;
    writeln!(out, "\n{}", relation(diff.relation))?;
    let amount = |what: &str, amount: heapsee_heap::graph::Amount| {
        format!("{what} {} objects, {} bytes ({})", amount.objects, amount.bytes, bytes(amount.bytes))
    };
    writeln!(out, "{}", amount("in the first and the last:", diff.common))?;
    writeln!(out, "{}", amount("new in the last:          ", diff.new))?;
    writeln!(out, "{}", amount("gone from the first:      ", diff.gone))?;
    let unit = diff.trend_unit;
    section(
        out,
        "By place",
        diff.changed.places,
        unit,
        &["type", "where"],
        diff.places.iter().map(|row| {
            let times = match (row.times.first(), row.times.last()) {
                (Some(first), Some(last)) if row.with_all_below && first != last => {
                    format!("{} ({first} → {last}, and what they hold)", row.type_name)
                }
                _ => row.type_name.clone(),
            };
            (&row.series, vec![times, row.path.to_string()])
        }),
    )?;
    section(out, "By type", diff.changed.types, unit, &["type"], {
        diff.types.iter().map(|row| (&row.series, vec![row.type_name.clone()]))
    })?;
    section(out, "By package", diff.changed.packages, unit, &["package"], {
        diff.packages.iter().map(|row| (&row.series, vec![row.package.clone()]))
    })?;
    stayed(out, diff)?;
    notes(out, &diff.notes)
}

fn dumps(out: &mut dyn Write, diff: &Diff) -> io::Result<()> {
    let row = |dump: &heapsee_heap::answers::diff::Dump| {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        vec![
            dump.amount.objects.to_string(),
            dump.amount.bytes.to_string(),
            or_dash(dump.rss.map(|rss| rss.to_string())),
            or_dash(dump.pid.map(|pid| pid.to_string())),
            or_dash(dump.requested_at.clone()),
            dump.dump.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = diff.dumps.iter().map(row).collect();
    let headers =
        [("objects", Right), ("bytes", Right), ("resident", Right), ("pid", Right), ("taken at", Left), ("dump", Left)];
    table_of_paths(out, &headers, &rows)
}

fn relation(relation: Relation) -> &'static str {
    match relation {
        Relation::SameProcess => "One process. Objects are the same if address, type and unchangeable content are:",
        Relation::SameService => {
            "Two processes that share what their parent had. Objects are the same if address, type, size and content are:"
        }
        Relation::OtherProcess => "Processes that have nothing to do with each other; what looks the same is chance:",
        Relation::ProbablySameProcess => "There are no sidecars, but most addresses agree: taken for one process.",
    }
}

fn section<'d>(
    out: &mut dyn Write,
    title: &str,
    changed: usize,
    unit: Option<&str>,
    names: &[&str],
    rows: impl Iterator<Item = (&'d Series, Vec<String>)>,
) -> io::Result<()> {
    let rows: Vec<(&Series, Vec<String>)> = rows.collect();
    writeln!(out, "\n{title}: {changed} changed")?;
    if rows.is_empty() {
        return Ok(());
    }
    let trends = rows.iter().any(|(series, _)| series.trend.is_some());
    let per = format!("bytes/{}", unit.unwrap_or("dump"));
    let mut headers: Vec<(&str, Align)> = vec![("bytes", Right), ("objects", Right), ("from", Right), ("to", Right)];
    if trends {
        headers.extend([(per.as_str(), Right), ("r²", Right)]);
    }
    headers.extend(names.iter().map(|&name| (name, Left)));
    let row = |(series, names): &(&Series, Vec<String>)| {
        let end = |bytes: Option<&u64>| bytes.copied().unwrap_or_default().to_string();
        let mut row = vec![
            format!("{:+}", series.grown.bytes),
            format!("{:+}", series.grown.objects),
            end(series.bytes.first()),
            end(series.bytes.last()),
        ];
        if trends {
            row.extend(match series.trend {
                Some(trend) => [format!("{:+.0}", trend.slope), format!("{:.2}", trend.r_squared)],
                None => [String::new(), String::new()],
            });
        }
        row.extend(names.iter().cloned());
        row
    };
    let shown: Vec<Vec<String>> = rows.iter().map(row).collect();
    table_of_paths(out, &headers, &shown)?;
    let hidden = changed.saturating_sub(rows.len());
    if hidden > 0 { writeln!(out, "… and {hidden} more in between (--max-items 0 shows all)") } else { Ok(()) }
}

fn stayed(out: &mut dyn Write, diff: &Diff) -> io::Result<()> {
    let Some(stayed) = &diff.stayed else { return Ok(()) };
    writeln!(
        out,
        "\nStayed (not in the first dump, in all later ones): {} objects, {} bytes ({})",
        stayed.amount.objects,
        stayed.amount.bytes,
        bytes(stayed.amount.bytes)
    )?;
    let row = |group: &heapsee_heap::answers::tally::Group| {
        let amount = group.amount;
        vec![amount.bytes.to_string(), amount.objects.to_string(), group.type_name.clone(), group.path.clone()]
    };
    let rows: Vec<Vec<String>> = stayed.places.iter().map(row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    table_of_paths(out, &[("bytes", Right), ("objects", Right), ("type", Left), ("where", Left)], &rows)
}
