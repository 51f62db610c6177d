//! The same names without the `age` crate: there are no recipients, and none can be made.

use std::convert::Infallible;
use std::io::{self, Write};
use std::marker::PhantomData;

use crate::exit::{Exit, Failure};

/// What to do about a key that [`parse`] refuses.
pub const FIX: &str = "install a heapsee-agent with that feature, or leave encrypt_to out";

/// Who can read it: nobody, so there is no value of it.
#[derive(Clone)]
pub struct Recipients(Infallible);

impl Recipients {
    /// Refuses public keys; none if there are none.
    pub fn parse(keys: &[String]) -> Result<Option<Recipients>, Failure> {
        match keys.first() {
            None => Ok(None),
            Some(key) => parse(key).map(|never| match never {}).map_err(|error| Failure::new(Exit::Config, error)),
        }
    }

    /// Is never called.
    pub fn wrap<W: Write>(&self, _: W) -> io::Result<Sealing<W>> {
        match self.0 {}
    }

    /// Is never called.
    pub fn seal(&self, _: &[u8]) -> io::Result<Vec<u8>> {
        match self.0 {}
    }
}

/// What encrypts: there is no value of it.
pub struct Sealing<W>(Infallible, PhantomData<W>);

impl<W> Sealing<W> {
    /// Is never called.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {}
    }
}

impl<W> Write for Sealing<W> {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        match self.0 {}
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0 {}
    }
}

/// Refuses any public key.
pub fn parse(_: &str) -> Result<Infallible, String> {
    Err("this heapsee-agent cannot encrypt: it was built without the feature `age`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_refused_with_the_name_of_the_feature() {
        assert!(Recipients::parse(&[]).is_ok_and(|none| none.is_none()));
        let failure = Recipients::parse(&["age1".to_owned()]).err().unwrap();
        assert!(failure.exit == Exit::Config && failure.message.contains("feature `age`"), "{failure}");
    }
}
