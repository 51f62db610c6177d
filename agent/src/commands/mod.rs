//! The verbs, one file each.

pub mod check_config;
pub mod dump;
pub mod list;

use std::io::{self, Write};

use crate::exit::{Exit, Failure};

/// Writes data to stdout. A reader that has gone away (`| head`) is no error.
fn print(data: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(data).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Store, format!("stdout cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// A value as JSON, for stdout.
fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, Failure> {
    let mut json = serde_json::to_vec_pretty(value)
        .map_err(|error| Failure::new(Exit::Store, format!("the JSON cannot be written: {error}")))?;
    json.push(b'\n');
    Ok(json)
}

/// The host's name.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
