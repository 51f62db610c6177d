//! What stands beside a collected dump about its shipping: how far it has come, and that it is done.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files;

/// The file of a dump that is shipped and verified.
pub const SHIPPED: &str = "shipped.json";
/// The file of a dump that is being shipped.
pub const UPLOAD: &str = "upload.json";

/// That a dump is shipped: every file of it was read back from there, and was right.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shipped {
    /// `heapsee.shipped/1`.
    pub schema: String,
    /// Where to: the address of the directory.
    pub destination: String,
    /// When it was verified, as RFC 3339 in UTC.
    pub at: String,
    /// The files.
    pub objects: Vec<Object>,
}

/// A file that is shipped and verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
}

/// How far the shipping of a dump has come: what a new process needs to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Upload {
    /// `heapsee.upload/1`.
    pub schema: String,
    /// Where to: the address of the directory.
    pub destination: String,
    /// The files that are done.
    pub done: Vec<Object>,
    /// The file that is under way.
    pub current: Option<Current>,
}

/// A multipart upload that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Current {
    /// The file.
    pub object: Object,
    /// The service's name of the upload.
    pub id: String,
    /// Bytes of each part but the last.
    pub part_size: u64,
    /// What the service calls the parts that it has, in their order.
    pub parts: Vec<String>,
}

impl Upload {
    /// How far the dump in `entry` has come on its way to `destination`. A file that cannot be read is as none: the
    /// work begins anew.
    pub fn read(entry: &Path, destination: &str) -> Upload {
        let found: Option<Upload> = files::read_json(&entry.join(UPLOAD)).ok().flatten();
        found.filter(|upload| upload.destination == destination).unwrap_or_else(|| Upload {
            schema: "heapsee.upload/1".into(),
            destination: destination.to_owned(),
            ..Upload::default()
        })
    }
}
