//! The kinds of suspects, and all that the search and the answer do differently for each. What a kind is called in
//! sentences is in `answers::suspects::words`.

use serde::{Serialize, Serializer};

/// What kind of a place a suspect is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SuspectKind {
    /// It alone holds what is in it.
    Container,
    /// Others hold what is in it, too.
    Shared,
    /// One object that is big itself.
    Object,
    /// No place at all: many objects of a type that no root leads to.
    Unreached,
    /// Frames of many threads that are in the same function.
    Threads,
    /// Modules that were made of the same file again and again, or of none.
    Modules,
    /// Each link keeps the next.
    Chain {
        /// The types of one link's objects.
        link: Vec<u32>,
        /// How many links there are.
        links: u64,
        /// How many types the first object of a link has beside the one in `link`, which is the most frequent.
        others: u64,
    },
}

/// Who keeps what piles up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// One object keeps all of it: what it dominates.
    Alone,
    /// Several objects keep it together.
    Together,
    /// There are many objects, each keeps its own part.
    Each,
}

/// What a kind is like.
pub(crate) struct Traits {
    /// The name in JSON.
    pub name: &'static str,
    /// Who keeps what piles up.
    pub keeping: Keeping,
    /// Whether the way to it says whose it is.
    pub has_owner: bool,
    /// Whether it may be part of an object of the application.
    pub may_be_part: bool,
    /// Whether it may have been meant to be large.
    pub may_be_intended: bool,
}

impl SuspectKind {
    /// The name in JSON.
    pub fn name(&self) -> &'static str {
        self.traits().name
    }

    pub(crate) fn traits(&self) -> Traits {
        let usual = |name, may_be_intended| Traits {
            name,
            keeping: Keeping::Alone,
            has_owner: true,
            may_be_part: true,
            may_be_intended,
        };
        match self {
            SuspectKind::Container => usual("container", true),
            SuspectKind::Shared => Traits { keeping: Keeping::Together, ..usual("shared", true) },
            SuspectKind::Object => usual("object", true),
            SuspectKind::Chain { .. } => usual("chain", false),
            SuspectKind::Unreached => Traits { keeping: Keeping::Each, has_owner: false, ..usual("unreached", false) },
            SuspectKind::Threads => Traits { keeping: Keeping::Each, ..usual("threads", false) },
            SuspectKind::Modules => Traits { keeping: Keeping::Each, may_be_part: false, ..usual("modules", false) },
        }
    }
}

impl Serialize for SuspectKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
