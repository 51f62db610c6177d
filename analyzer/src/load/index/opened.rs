//! An index whose heap is in use: its sections, and what to do when one of them turns out damaged.

use std::path::PathBuf;

use super::super::{LoadError, read_again};
use super::{Key, file};
use crate::exit::{Failure, say};
use crate::heap::{Heap, Numbers, Sections};

/// An index that goes with its dump, as far as can be told without reading either.
pub struct Opened {
    pub sections: file::Sections,
    pub key: Key,
    pub dump: PathBuf,
    pub numbers: Numbers,
}

impl Opened {
    fn dump_again(&self) -> Result<Heap, LoadError> {
        let heap = read_again(&self.dump, &self.key)?;
        if heap.numbers() == self.numbers { Ok(heap) } else { Err(LoadError::Changed(self.dump.clone())) }
    }

    /// In threads of its own, since whoever waits for this may be a task of rayon's, as `heap::shares` says.
    fn dump_apart(&self) -> Result<Heap, LoadError> {
        let io = |error| LoadError::Io { path: self.dump.clone(), error: std::io::Error::other(error) };
        let pool = rayon::ThreadPoolBuilder::new().build().map_err(io)?;
        let reading = || std::thread::scope(|scope| scope.spawn(|| pool.install(|| self.dump_again())).join());
        reading().unwrap_or_else(|_| Err(LoadError::Changed(self.dump.clone())))
    }
}

impl Sections for Opened {
    fn length(&self, name: &str) -> Option<u64> {
        self.sections.length(name)
    }

    fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.sections.read(name)
    }

    fn u32s(&self, name: &str) -> Option<Vec<u32>> {
        self.sections.read(name)
    }

    fn u64s(&self, name: &str) -> Option<Vec<u64>> {
        self.sections.read(name)
    }

    /// Ends the program if neither the index nor the dump is what it was a moment ago. That takes two misfortunes at
    /// once; the price of an error that every look at a cell could end in would be paid always.
    fn reread(&self) -> Heap {
        self.dump_apart().unwrap_or_else(|error| {
            let failure = Failure::from(error);
            say(&failure);
            std::process::exit(failure.exit as i32)
        })
    }
}
