//! What was found in each block of a file, and what that says about the file as a whole.

use std::path::Path;

use heapsee_format::{parse, tolerant};

use super::LoadError;
use crate::heap::Rows;

/// In UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// How many broken lines are told of one by one.
const SHOWN: usize = 3;

/// A line that is no object.
struct Broken {
    /// Counted from 1, within the part.
    line: u64,
    /// Where it starts in the text.
    byte: u64,
    reason: String,
}

/// One block, parsed.
#[derive(Default)]
pub(super) struct Part {
    pub rows: Rows,
    /// Bytes.
    pub text_size: u64,
    /// Checksum of the text.
    sum: crc32fast::Hasher,
    lines: u64,
    broken_lines: u64,
    /// The first few.
    broken: Vec<Broken>,
    /// The block's last line has no line end and is no object.
    cut: Option<Broken>,
    /// Whether there are bytes that no text file has.
    binary: bool,
    /// Whether it begins as text of two bytes a character does.
    wide: bool,
}

impl Part {
    /// Parses whole lines; `offset` is where in the text they start. `scratch` is empty, and will be again.
    pub(super) fn parse(text: &[u8], offset: u64, scratch: &mut Rows) -> Part {
        let rows = std::mem::take(scratch);
        let mut part = Part { text_size: text.len() as u64, rows, ..Part::default() };
        part.sum.update(text);
        let mut at = 0;
        if offset == 0 {
            // What some editors put at the beginning of a file.
            at = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
            part.wide = text.starts_with(&[0xff, 0xfe]) || text.starts_with(&[0xfe, 0xff]);
        }
        while let Some(rest @ [first, ..]) = text.get(at..) {
            part.lines += 1;
            if *first == b'\n' {
                at += 1;
                continue;
            }
            at += match parse::parse(rest, part.rows.refs_mut()) {
                Some((line, taken)) => {
                    part.rows.push_parsed(&line);
                    taken
                }
                None => part.slow_line(rest, offset + at as u64),
            };
        }
        *scratch = std::mem::take(&mut part.rows);
        part.rows = scratch.take();
        part
    }

    /// A line that is not of the fixed shape; returns its length.
    fn slow_line(&mut self, rest: &[u8], byte: u64) -> usize {
        let end = rest.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
        let line = &rest[..end.unwrap_or(rest.len())];
        match tolerant::parse(line, self.rows.refs_mut()) {
            Ok(Some(parsed)) => self.rows.push_parsed(&parsed),
            Ok(None) => {}
            Err(error) => {
                self.binary |= line.contains(&0);
                let broken = Broken { line: self.lines, byte, reason: error.to_string() };
                if end.is_none() {
                    self.cut = Some(broken);
                } else {
                    self.broken_lines += 1;
                    if self.broken.len() < SHOWN {
                        self.broken.push(broken);
                    }
                }
            }
        }
        line.len()
    }
}

/// What is known about the file once all parts are read.
pub(super) struct Survey {
    /// Checksum of the whole text.
    pub sum: u32,
    pub objects: u64,
    pub broken_lines: u64,
    /// A line each, for a person.
    pub warnings: Vec<String>,
}

/// Looks at all parts together: refuses what is no dump, and what was cut off unless `salvage`.
pub(super) fn survey(path: &Path, parts: &[Part], salvage: bool) -> Result<Survey, LoadError> {
    let objects: u64 = parts.iter().map(|part| part.rows.len() as u64).sum();
    let broken_lines = parts.iter().map(|part| part.broken_lines).sum();
    let mut warnings = Vec::new();
    let mut line = 0;
    let mut first = Vec::new();
    let mut cut = None;
    for part in parts {
        let shown = part.broken.iter().take(SHOWN - first.len());
        first.extend(shown.map(|broken| format!("line {}: {}", line + broken.line, broken.reason)));
        // Blocks behind it may hold no line at all: it was longer than they.
        cut = part.cut.as_ref().map(|cut| (line + cut.line, cut)).or(cut);
        line += part.lines;
    }
    if objects == 0 {
        return Err(not_a_dump(path, parts, line, first.first().cloned(), cut.map(|(_, cut)| cut.reason.as_str())));
    }
    if let Some((line, cut)) = cut {
        if !salvage {
            let detail = format!("line {line} is cut off");
            return Err(LoadError::Truncated { path: path.to_path_buf(), byte: cut.byte, detail });
        }
        warnings.push(format!("truncated at byte {}: line {line} is cut off and was left out", cut.byte));
    }
    if broken_lines > 0 {
        let more = if broken_lines > first.len() as u64 { "; …" } else { "" };
        let lines = if broken_lines == 1 { "line that is" } else { "lines that are" };
        warnings.push(format!("skipped {broken_lines} {lines} no object: {}{more}", first.join("; ")));
    }
    Ok(Survey { sum: sum(parts), objects, broken_lines, warnings })
}

fn sum(parts: &[Part]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    parts.iter().for_each(|part| sum.combine(&part.sum));
    sum.finalize()
}

fn not_a_dump(path: &Path, parts: &[Part], lines: u64, first: Option<String>, cut: Option<&str>) -> LoadError {
    let detail = if parts.first().is_some_and(|part| part.wide) {
        "it is UTF-16 text, which `iconv -f UTF-16 -t UTF-8` makes readable".to_owned()
    } else if parts.iter().any(|part| part.binary) {
        "it is binary".to_owned()
    } else if let Some(first) = first {
        format!("none of its {lines} lines is an object ({first})")
    } else if let Some(reason) = cut {
        format!("its only line is no object ({reason})")
    } else {
        "it holds no objects".to_owned()
    };
    LoadError::NotADump { path: path.to_path_buf(), detail }
}
