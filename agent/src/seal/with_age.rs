//! With the `age` crate: the format, and its checks of keys.

use std::io::{self, Write};

use age::x25519::Recipient;

use crate::exit::{Exit, Failure};

/// What to do about a key that [`parse`] refuses.
pub const FIX: &str = "write the public key, which begins with age1";

/// What encrypts: closed by its `finish`.
pub type Sealing<W> = age::stream::StreamWriter<W>;

/// Who can read it: at least one.
#[derive(Clone)]
pub struct Recipients(Vec<Recipient>);

impl Recipients {
    /// Reads public keys; none if there are none.
    pub fn parse(keys: &[String]) -> Result<Option<Recipients>, Failure> {
        let parse = |key: &String| parse(key).map_err(|error| Failure::new(Exit::Config, error));
        let recipients = keys.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok((!recipients.is_empty()).then_some(Recipients(recipients)))
    }

    /// Encrypts what is written, into `output`.
    pub fn wrap<W: Write>(&self, output: W) -> io::Result<Sealing<W>> {
        let recipients = self.0.iter().map(|recipient| recipient as &dyn age::Recipient);
        age::Encryptor::with_recipients(recipients).map_err(io::Error::other)?.wrap_output(output)
    }

    /// Encrypts something small.
    pub fn seal(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut writer = self.wrap(Vec::new())?;
        writer.write_all(bytes)?;
        writer.finish()
    }
}

/// Reads a public key. Of one that is wrong, only the beginning is told: it could be a private key.
pub fn parse(key: &str) -> Result<Recipient, String> {
    key.trim().parse().map_err(|error| {
        let beginning: String = key.chars().take(8).collect();
        format!("\"{beginning}…\" is no age recipient ({error}): it begins with age1; age-keygen -y shows it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_keys_are_told() {
        let key = age::x25519::Identity::generate();
        assert!(Recipients::parse(&[]).unwrap().is_none());
        assert!(Recipients::parse(&[key.to_public().to_string()]).unwrap().is_some());
        for wrong in ["", "age1", "age1qqqq", "ssh-ed25519 AAAA", "AGE-SECRET-KEY-1"] {
            let failure = Recipients::parse(&[wrong.to_owned()]).err().unwrap();
            assert!(failure.message.contains("age-keygen -y") && !failure.message.contains("KEY-1"), "{failure}");
        }
    }

    #[test]
    fn each_recipient_can_read_it() {
        let keys = [age::x25519::Identity::generate(), age::x25519::Identity::generate()];
        let recipients = Recipients::parse(&keys.each_ref().map(|key| key.to_public().to_string())).unwrap().unwrap();
        let sealed = recipients.seal(b"secret").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        for key in &keys {
            assert_eq!(age::decrypt(key, &sealed).unwrap(), b"secret");
        }
        assert!(age::decrypt(&age::x25519::Identity::generate(), &sealed).is_err());
    }
}
