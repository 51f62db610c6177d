//! How much a dump is to be trusted, by the way its heap was held still.

/// How much the dump is to be trusted; as the sidecar's `consistency` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// A clone taken with the GIL held: one moment, whole.
    Fork,
    /// A clone taken without the GIL: one moment, with whatever was just being changed half changed.
    ForkWithoutGil,
    /// The worker itself, with the GIL held: one moment, whole.
    Inline,
}

impl Consistency {
    /// As the sidecar says it.
    pub fn name(self) -> &'static str {
        match self {
            Consistency::Fork => "fork",
            Consistency::ForkWithoutGil => "fork-without-gil",
            Consistency::Inline => "inline",
        }
    }

    /// The sidecar's `mode`.
    pub fn mode(self) -> &'static str {
        if self == Consistency::Inline { "inline" } else { "fork" }
    }
}
