//! The name of one reference.

use serde::Serialize;

/// The dict in which `threading.local` has one dict for each thread, and each of these.
const BY_THREAD: &str = "attributes by thread";

/// What a reference is to the object that refers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
pub enum EdgeName {
    /// An attribute: `.name`.
    Attribute(String),
    /// The value of a dict's entry; the key as Python writes it: `['name']`.
    Key(String),
    /// An element of a sequence: `[3]`.
    Index(u64),
    /// The value of a dict's entry whose key is not known: `[…]`.
    Item,
    /// A key of a dict, or the name of an attribute, itself.
    KeyItself(String),
    /// Something that no expression leads to, in words: `local of main()`.
    Part(String),
    /// Nothing is known of it.
    Unknown,
}

impl EdgeName {
    /// The more telling, the lower.
    pub(super) fn rank(&self) -> u8 {
        match self {
            // To find one's class by an instance of it is no answer to what holds the class.
            EdgeName::Attribute(name) if name == "__class__" => 3,
            EdgeName::Attribute(_) | EdgeName::Key(_) | EdgeName::Index(_) => 0,
            EdgeName::Item => 1,
            EdgeName::Part(_) => 2,
            EdgeName::KeyItself(_) => 4,
            EdgeName::Unknown => 5,
        }
    }

    /// What leads to the attributes of a `threading.local`: Python itself gives out those of the thread that asks.
    pub(super) fn by_thread() -> EdgeName {
        EdgeName::Part(BY_THREAD.to_owned())
    }

    /// Whether it is the dict behind an object's attributes.
    pub fn is_dict(&self) -> bool {
        match self {
            EdgeName::Attribute(name) => name == "__dict__",
            EdgeName::Part(words) => words == BY_THREAD,
            _ => false,
        }
    }
}

impl std::fmt::Display for EdgeName {
    /// As it would stand behind the object in an expression, if it can.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EdgeName::Attribute(name) => write!(f, ".{name}"),
            EdgeName::Key(key) => write!(f, "[{key}]"),
            EdgeName::Index(index) => write!(f, "[{index}]"),
            EdgeName::Item => write!(f, "[…]"),
            EdgeName::KeyItself(key) => write!(f, "key {key}"),
            EdgeName::Part(words) => write!(f, "{words}"),
            EdgeName::Unknown => Ok(()),
        }
    }
}
