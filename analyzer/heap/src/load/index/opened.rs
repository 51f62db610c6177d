//! An index whose heap is in use: its sections, and what to do when one of them turns out damaged.

use std::path::PathBuf;

use super::super::{LoadError, read_again};
use super::{Key, file};
use crate::heap::{Heap, Lost, Numbers, Sections};

/// An index that goes with its dump, as far as can be told without reading either.
pub struct Opened {
    pub sections: file::Sections,
    pub key: Key,
    pub dump: PathBuf,
    pub numbers: Numbers,
    /// Told why, should the heap be lost.
    pub on_loss: Option<fn(&LoadError)>,
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

    fn reread(&self) -> Result<Heap, Lost> {
        self.dump_apart().map_err(|error| {
            if let Some(tell) = self.on_loss {
                tell(&error);
            }
            Lost(error.to_string())
        })
    }
}
