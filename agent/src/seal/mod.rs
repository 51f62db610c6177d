//! Encryption of what is stored, to age recipients (age-encryption.org/v1): who holds a private key can read it with
//! any age tool. The agent holds none, so it can read back what it wrote but not what that means.
//!
//! An agent that is built without the feature `age` reads no recipients, so nothing can be encrypted to them.

#[cfg(feature = "age")]
mod with_age;
#[cfg(not(feature = "age"))]
mod without_age;

#[cfg(feature = "age")]
pub use with_age::{FIX, Recipients, Sealing, parse};
#[cfg(not(feature = "age"))]
pub use without_age::{FIX, Recipients, Sealing, parse};

/// What an encrypted file has behind its name.
pub const SUFFIX: &str = ".age";
