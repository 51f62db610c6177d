//! The walk itself: from the roots to every object, each one a line.

use std::io;

use heapsee_format::line::{Charset, LineWriter};
use heapsee_format::meta::Counts;

use super::around::Around;
use super::referents::Referents;
use super::secrecy::{Names, Writer};
use super::types::{LineShape, TypeInfo, Types};
use super::visited::Visited;
use super::{Options, Sink};
use crate::cpython::sizeof::Sizer;
use crate::cpython::{Object, TypeObject, dict, long};

/// Lines are handed to the sink in pieces of about this many bytes.
const PIECE: usize = 1 << 20;

/// A walk under way.
pub struct Walk<'h, 's> {
    types: Types<'h>,
    visited: Visited,
    /// Met, but not written yet.
    pending: Vec<Object<'h>>,
    referents: Referents<'h>,
    /// Addresses of the frames that run at this moment, sorted.
    running: Vec<u64>,
    type_objects: Vec<TypeObject<'h>>,
    lines: Vec<u8>,
    lines_count: u64,
    bytes_written: u64,
    counts: Counts,
    around: &'s Around,
    writer: Writer<'s>,
    skipped_objects: Vec<u64>,
    sink: &'s mut dyn Sink,
}

/// What is left of a walk when all is written.
pub struct Walked<'h> {
    /// Objects, references, bytes.
    pub counts: Counts,
    /// What was found out about types.
    pub types: Types<'h>,
    /// The type objects among the objects.
    pub type_objects: Vec<TypeObject<'h>>,
    /// Objects that were stepped around each by itself.
    pub skipped_objects: Vec<u64>,
}

impl<'h, 's> Walk<'h, 's> {
    /// A walk that writes to `sink`. `running` are the addresses of the frames of running calls.
    pub fn new(mut running: Vec<u64>, options: &'s Options, names: Names, sink: &'s mut dyn Sink) -> Self {
        running.sort_unstable();
        Walk {
            types: Types::default(),
            visited: Visited::new(),
            pending: Vec::new(),
            referents: Referents::default(),
            running,
            type_objects: Vec::new(),
            lines: Vec::with_capacity(PIECE + PIECE / 4),
            lines_count: 0,
            bytes_written: 0,
            counts: Counts::default(),
            around: &options.around,
            writer: Writer { values: &options.values, names },
            skipped_objects: Vec::new(),
            sink,
        }
    }

    /// Writes `root` and all it leads to, as far as it is not written yet.
    pub fn follow(&mut self, root: Object<'h>) -> io::Result<()> {
        if Visited::is_plausible(root.address()) && self.visited.insert(root.address()) {
            self.pending.push(root);
        }
        while let Some(object) = self.pending.pop() {
            self.write(object)?;
        }
        Ok(())
    }

    /// Hands the rest to the sink.
    pub fn finish(mut self) -> io::Result<Walked<'h>> {
        self.flush()?;
        Ok(Walked {
            counts: self.counts,
            types: self.types,
            type_objects: self.type_objects,
            skipped_objects: self.skipped_objects,
        })
    }

    fn write(&mut self, object: Object<'h>) -> io::Result<()> {
        let address = object.address();
        self.sink.visiting(address);
        if self.around.is_nowhere(address) {
            self.leave_out();
            return Ok(());
        }
        let ty = object.ty();
        let bytes = self.bytes_written + self.lines.len() as u64;
        self.sink.progress(self.counts.objects, bytes, ty.object().address());
        let Some(info) = self.types.of(ty, self.around) else {
            self.leave_out();
            return Ok(());
        };
        if info.is_skipped || self.around.skips_object(address) {
            let referent = info.is_heap_type.then(|| ty.object());
            self.counts.refs += u64::from(referent.is_some());
            self.counts.bytes += write_around(object, info, &mut self.lines);
            if !info.is_skipped {
                self.skipped_objects.push(address);
            }
            return self.written(referent);
        }
        let inline = object.inline_values(info.ty);
        let is_running = self.running.binary_search(&address).is_ok();
        let size = info.sizer.size(object).saturating_add(inline.as_ref().map_or(0, |values| values.extra_size()));
        let referents = self.referents.of(object, info, inline.as_ref(), is_running);

        let mut line = LineWriter::start(&mut self.lines, address, &info.encoded_name, size);
        describe(object, info, &self.writer, &mut line);
        line.refs(referents.iter().map(|referent| referent.address()));

        if info.kind == LineShape::Type {
            self.type_objects.extend(object.as_type());
        }
        self.counts.bytes = self.counts.bytes.saturating_add(size);
        self.counts.refs += referents.len() as u64;
        for &referent in referents {
            self.pending.extend(meet(&mut self.visited, &mut self.counts, referent));
        }
        self.written(None)
    }

    /// A line is whole; `referent` may not have been met yet.
    fn written(&mut self, referent: Option<Object<'h>>) -> io::Result<()> {
        self.pending.extend(referent.and_then(|referent| meet(&mut self.visited, &mut self.counts, referent)));
        self.counts.objects += 1;
        self.lines_count += 1;
        if self.lines.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    /// What should be an object is none: at least the reference that led to it leads nowhere.
    fn leave_out(&mut self) {
        self.counts.dangling_refs += 1;
        self.counts.damaged_objects += 1;
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.write(&self.lines, self.lines_count)?;
        self.bytes_written += self.lines.len() as u64;
        self.lines.clear();
        self.lines_count = 0;
        Ok(())
    }
}

/// The referent if it is new, and could be an object at all.
fn meet<'h>(visited: &mut Visited, counts: &mut Counts, referent: Object<'h>) -> Option<Object<'h>> {
    if Visited::is_plausible(referent.address()) {
        return visited.insert(referent.address()).then_some(referent);
    }
    counts.dangling_refs += 1;
    None
}

/// Writes the line of an object that is stepped around; returns its size.
fn write_around<'h>(object: Object<'h>, info: &TypeInfo<'h>, lines: &mut Vec<u8>) -> u64 {
    let size = Sizer::Structure.size(object);
    let line = LineWriter::start(lines, object.address(), &info.encoded_name, size);
    line.refs(info.is_heap_type.then(|| info.ty.object().address()).into_iter());
    size
}

/// Writes `name`, `len` and `value`, where the object has them.
fn describe<'h>(object: Object<'h>, info: &TypeInfo<'h>, writer: &Writer<'_>, line: &mut LineWriter<'_>) {
    match info.kind {
        LineShape::Dict | LineShape::DictSubclass => line.len(dict::len(object)),
        LineShape::Sequence => line.len(object.item_count()),
        LineShape::Set => line.len(object.set_len()),
        LineShape::Str | LineShape::StrSubclass => {
            if let Some(characters) = object.characters() {
                let charset = if info.kind == LineShape::Str { Charset::Unicode } else { Charset::Latin1 };
                line.len(characters.len() as u64);
                writer.text(object, characters, charset, line);
            }
        }
        LineShape::Bytes => {
            line.len(object.item_count());
            writer.bytes(object.bytes(), line);
        }
        LineShape::Int => {
            if let Some(value) = long::value(object) {
                writer.int(value, line);
            }
        }
        LineShape::Bool => line.bool(long::is_true(object)),
        LineShape::Module => {
            if let Some(name) = object.module_name() {
                writer.module(name, line);
            }
        }
        LineShape::Function => {
            if let Some(name) = object.function_name() {
                writer.function(name, line);
            }
        }
        LineShape::Type => {
            if let Some(ty) = object.as_type() {
                line.name(ty.tp_name().chars().map(u32::from));
            }
        }
        LineShape::Frame => {
            if let Some(name) = object.frame_code().and_then(Object::code_name)
                && let Some(characters) = name.characters()
            {
                writer.text(name, characters, Charset::Latin1, line);
            }
        }
        LineShape::Other => {}
    }
}
