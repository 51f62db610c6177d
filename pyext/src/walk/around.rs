//! What a walk steps around: the types and objects that earlier walks of this process have crashed on.
//!
//! Of a type that an extension or Python code has made, every instance is stepped around: its traverse is broken. Of
//! CPython's own types only the very object, which is damaged. Stepped around means: a line without `len` and `value`,
//! and with no reference but the one to its type. Decides nothing about when a crash is worth remembering.

use crate::cpython::TypeObject;
use crate::cpython::peek::{self, Seen};

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// Address and name: another type may get the address later.
    types: Vec<(u64, String)>,
    objects: Vec<u64>,
    /// Addresses at which there is no object.
    nowhere: Vec<u64>,
}

/// What a walk was visiting when it crashed.
#[derive(Clone, Debug)]
pub struct Culprit {
    object: u64,
    ty: u64,
    seen: Seen,
}

impl Culprit {
    /// Looks at what a walk was visiting: an object (0: none yet) of a type (0: not read yet).
    pub fn look(object: u64, ty: u64) -> Option<Culprit> {
        (object != 0).then(|| Culprit { object, ty, seen: if ty == 0 { Seen::Nonsense } else { peek::type_at(ty) } })
    }

    /// Says what it is, for people.
    pub fn describe(&self) -> String {
        let Culprit { object, ty, seen } = self;
        match seen {
            _ if *ty == 0 => format!("what should be an object at {object:#x}"),
            Seen::Type { name, .. } => format!("an object of the type {name} (object at {object:#x}, type at {ty:#x})"),
            Seen::Nonsense => format!("an object at {object:#x} whose type, at {ty:#x}, is none"),
            Seen::Unknown => format!("an object at {object:#x} of the type at {ty:#x}"),
        }
    }
}

impl Around {
    /// From now on, steps around `culprit`.
    pub fn add(&mut self, culprit: &Culprit) {
        match &culprit.seen {
            Seen::Type { name, is_builtin: false } => self.types.push((culprit.ty, name.clone())),
            Seen::Type { .. } | Seen::Unknown => self.objects.push(culprit.object),
            Seen::Nonsense => self.nowhere.push(culprit.object),
        }
    }

    /// Names of the types, for people.
    pub fn type_names(&self) -> Vec<String> {
        self.types.iter().map(|(_, name)| name.clone()).collect()
    }

    /// Is `ty` one of the types?
    pub fn skips_type(&self, ty: TypeObject<'_>) -> bool {
        let address = ty.object().address();
        self.types.iter().any(|(skipped, name)| *skipped == address && name == ty.tp_name())
    }

    /// Is the object at `address` one of the objects?
    pub fn skips_object(&self, address: u64) -> bool {
        self.objects.contains(&address)
    }

    /// Is there no object at `address`, although something refers to it?
    pub fn is_nowhere(&self, address: u64) -> bool {
        self.nowhere.contains(&address)
    }
}
