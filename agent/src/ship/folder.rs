//! Shipping into a directory: copied beside, synced, named, and read back.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use heapsee_format::digest::Digester;
use rustix::fs::{Advice, fadvise};

use super::Pace;
use super::source::Source;
use super::trouble::{Kind, Trouble};
use crate::files;
use crate::intake::shipped::Object;

/// How much is copied at a time.
const PIECE: u64 = 1 << 20;

/// Copies `object` from the directory `from` to `root`/`key`.
pub fn put(root: &Path, key: &str, from: &Path, object: &Object, pace: &mut Pace<'_>) -> Result<(), Trouble> {
    let to = root.join(key);
    let failed = |error: io::Error| {
        let advice = "is it mounted, is there space, and may this user write there?";
        Trouble::new(Kind::Outage, format!("{} cannot be written: {error}; {advice}", to.display()))
    };
    let directory = to.parent().unwrap_or(root);
    if !root.is_dir() {
        // Made by us, it would hide a file system that is not mounted, and fill another.
        return Err(Trouble::new(Kind::Refused, format!("{} is no directory: make it, or mount it", root.display())));
    }
    files::make_directory(directory).map_err(failed)?;
    let temporary = directory.join(format!(".{}.part", object.name));
    // Of an earlier try, which has died: there is one at a time.
    files::remove(&temporary).map_err(failed)?;
    let mut source = Source::open(from, object)?;
    let mut file = files::create(&temporary).map_err(failed)?;
    loop {
        let piece = source.piece(PIECE)?;
        file.write_all(&piece).map_err(failed)?;
        pace.spent(piece.len() as u64)?;
        if source.left() == 0 {
            break;
        }
    }
    file.sync_all().map_err(failed)?;
    fs::rename(&temporary, &to).map_err(failed)?;
    let names = directory.ancestors().take_while(|path| path.starts_with(root));
    names.into_iter().try_for_each(files::sync_directory).map_err(failed)
}

/// Whether `root`/`key` reads as `object`; an error if that cannot be found out.
pub fn verify(root: &Path, key: &str, object: &Object, pace: &mut Pace<'_>) -> Result<bool, Trouble> {
    let path = root.join(key);
    let failed = |error: io::Error| {
        Trouble::new(Kind::Outage, format!("the copy {} cannot be read back: {error}", path.display()))
    };
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened.map_err(failed)?,
    };
    // What is in the page cache was just written; what is on the disk is the question. Advice may be ignored.
    let _ = fadvise(&file, 0, None, Advice::DontNeed);
    let mut digester = Digester::default();
    let mut piece = vec![0; PIECE as usize];
    loop {
        let n = file.read(&mut piece).map_err(failed)?;
        if n == 0 {
            break;
        }
        digester.update_counted(&piece[..n], 0);
        pace.spent(n as u64)?;
    }
    let found = digester.finish();
    Ok(found.size == object.size && found.sha256.eq_ignore_ascii_case(&object.sha256))
}
