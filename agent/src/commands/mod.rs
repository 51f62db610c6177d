//! The verbs, one file each.

pub mod check_config;
pub mod collect;
pub mod daemon;
pub mod dump;
pub mod list;
pub mod prune;
pub mod ship;
pub mod sweep;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use crate::cli::Quiet;
use crate::exit::{Exit, Failure};
use crate::render;

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

/// Says a sentence on stderr.
fn say(sentence: &str) {
    // Nobody left to read it is no error.
    let _ = writeln!(io::stderr(), "heapsee-agent: {}", render::one_line(sentence));
}

/// The same, if talk is wanted.
fn talk(quiet: Quiet, sentence: &str) {
    if !quiet.quiet {
        say(sentence);
    }
}

/// Where the store is: `given`, else from the environment.
fn store_path(given: Option<&Path>) -> Result<PathBuf, Failure> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let given = given.map(Path::to_path_buf).or_else(|| variable("HEAPSEE_STORE"));
    let of_root = || Uid::effective().is_root().then(|| PathBuf::from("/var/lib/heapsee/dumps"));
    let of_user = || {
        let data = variable("XDG_DATA_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/share")))?;
        Some(data.join("heapsee/dumps"))
    };
    let path = given.or_else(of_root).or_else(of_user).ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            "there is no place for the dump: neither $HEAPSEE_STORE nor $HOME is set; use --store DIR",
        )
    })?;
    // The path that is printed should lead there from anywhere.
    std::path::absolute(&path)
        .map_err(|error| Failure::new(Exit::Usage, format!("--store {}: {error}", path.display())))
}
