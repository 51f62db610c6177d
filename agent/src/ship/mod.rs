//! Shipping collected dumps to object storage: every file sent, read back and compared before a dump counts as
//! shipped. It deletes nothing in the store and nothing at the destination.
//!
//! ```text
//! URL/APP/HOST/TIME-PID/X.dump.zst, X.dump.meta.json, manifest.json     in that order: with a manifest, it is whole
//! ```
//!
//! How far a dump has come stands beside it (`state`), so that whoever comes next goes on from there.

mod backoff;
mod bucket;
mod destination;
mod folder;
mod profile;
mod source;
mod throttle;
mod trouble;

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use heapsee_format::digest;
use jiff::Timestamp;
use object_store::path::Path as Key;
use tokio::runtime::Runtime;

use crate::config::Ship;
use crate::exit::{Exit, Failure};
use crate::files;
use crate::intake::catalog::Entry;
use crate::intake::manifest;
use crate::intake::shipped::{self, Object, SHIPPED, Shipped, UPLOAD, Upload};
use crate::stop::Stop;
pub use backoff::Backoff;
use bucket::Service;
use destination::{Destination, Place};
use throttle::Throttle;
pub use trouble::{Kind, Trouble};

/// Sends dumps to one destination.
pub struct Shipper {
    place: Place,
    part_size: u64,
    throttle: Throttle,
    runtime: Runtime,
}

impl Shipper {
    /// Opens the destination; nothing is sent yet.
    pub fn open(options: &Ship) -> Result<Shipper, Failure> {
        // Set already, if this is not the first: there is but one for a process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(Exit::Shipping, format!("no event loop can be made: {error}")))?;
        let place = {
            let _guard = runtime.enter();
            destination::open(options).map_err(|error| Failure::new(Exit::Shipping, error))?
        };
        Ok(Shipper { place, part_size: options.part_size, throttle: Throttle::new(options.bandwidth), runtime })
    }

    /// The address of the directory that a dump goes to.
    pub fn address(&self, entry: &Entry) -> String {
        format!("{}/{}/{}/{}", self.place.shown, entry.app, entry.host, entry.name)
    }

    /// Ships one dump, or what is missing of it, and says so beside it.
    pub fn ship(&mut self, entry: &Entry, stop: &Stop) -> Result<Shipped, Trouble> {
        let address = self.address(entry);
        let mut upload = Upload::read(&entry.path, &address);
        for object in objects(entry)? {
            if upload.done.contains(&object) {
                continue;
            }
            self.object(entry, &object, &mut upload, stop)?;
            upload.done.retain(|done| done.name != object.name);
            upload.done.push(object);
            upload.current = None;
            save(entry, &upload)?;
        }
        let at = Timestamp::now().to_string();
        let shipped =
            Shipped { schema: "heapsee.shipped/1".into(), destination: address, at, objects: upload.done.clone() };
        files::replace_json(&entry.path.join(SHIPPED), &shipped).map_err(|error| local(entry, &error))?;
        files::remove(&entry.path.join(UPLOAD)).map_err(|error| local(entry, &error))?;
        Ok(shipped)
    }

    /// Sends one file and reads it back.
    fn object(&mut self, entry: &Entry, object: &Object, upload: &mut Upload, stop: &Stop) -> Result<(), Trouble> {
        let key = format!("{}{}/{}/{}/{}", self.place.prefix, entry.app, entry.host, entry.name, object.name);
        let mut pace = Pace { throttle: &mut self.throttle, stop, since: Instant::now() };
        let right = match &self.place.destination {
            Destination::Folder(root) => {
                folder::put(root, &key, &entry.path, object, &mut pace)?;
                folder::verify(root, &key, object, &mut pace)?
            }
            Destination::Bucket(bucket) => {
                let service = Service { bucket: &**bucket, shown: &self.place.shown, part_size: self.part_size };
                self.runtime.block_on(to_bucket(&service, entry, object, &key, upload, &mut pace))?
            }
        };
        if !right {
            return Err(Trouble::new(
                Kind::Mismatch,
                format!(
                    "{}/{} reads back otherwise than it was sent: it will be sent again; check {}",
                    self.address(entry),
                    object.name,
                    self.place.shown
                ),
            ));
        }
        Ok(())
    }
}

/// Sends one file into a bucket and reads it back.
async fn to_bucket(
    service: &Service<'_>,
    entry: &Entry,
    object: &Object,
    key: &str,
    upload: &mut Upload,
    pace: &mut Pace<'_>,
) -> Result<bool, Trouble> {
    let key = Key::parse(key).map_err(|error| Trouble::new(Kind::Damaged, format!("{key:?} is no key: {error}")))?;
    let current = upload.current.take();
    // Its last answer may have been lost: then all of it is there, and the upload is unknown.
    if current.as_ref().is_some_and(|current| current.object == *object) && service.verify(&key, object, pace).await? {
        return Ok(true);
    }
    let mut remember = |current: Option<shipped::Current>| {
        upload.current = current;
        save(entry, upload)
    };
    service.put(&key, &entry.path, object, current, &mut remember, pace).await?;
    let right = service.verify(&key, object, pace).await?;
    if !right {
        remember(None)?;
    }
    Ok(right)
}

/// The files of a dump, in the order in which they are sent.
fn objects(entry: &Entry) -> Result<Vec<Object>, Trouble> {
    let stored = &entry.manifest.stored;
    let dump = Object { name: stored.name.clone(), size: stored.size, sha256: stored.sha256.clone() };
    let mut objects = vec![dump];
    for name in [entry.manifest.sidecar.as_str(), manifest::NAME] {
        let digest =
            File::open(entry.path.join(name)).and_then(|mut file| digest::copy(&mut file, &mut std::io::sink()));
        let digest = digest.map_err(|error| {
            Trouble::new(Kind::Damaged, format!("{} cannot be read: {error}", entry.path.join(name).display()))
        })?;
        objects.push(Object { name: name.to_owned(), size: digest.size, sha256: digest.sha256 });
    }
    Ok(objects)
}

fn save(entry: &Entry, upload: &Upload) -> Result<(), Trouble> {
    files::replace_json(&entry.path.join(UPLOAD), upload).map_err(|error| local(entry, &error))
}

fn local(entry: &Entry, error: &std::io::Error) -> Trouble {
    Trouble::new(Kind::Damaged, format!("{} cannot be written: {error}", entry.path.display()))
}

/// A number that differs from host to host and from time to time, for pauses.
pub fn jitter() -> u64 {
    std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), std::process::id())
}

/// How fast it may go, and whether it should go on at all.
pub struct Pace<'a> {
    throttle: &'a mut Throttle,
    stop: &'a Stop,
    since: Instant,
}

impl Pace<'_> {
    /// How often a request to stop is looked for.
    const LOOK: Duration = Duration::from_millis(100);

    fn check(&self) -> Result<(), Trouble> {
        match self.stop.requested() {
            true => Err(Trouble::new(
                Kind::Stopped,
                "interrupted: what has been sent is remembered, and will be gone on with",
            )),
            false => Ok(()),
        }
    }

    fn pause(&mut self, bytes: u64) -> Duration {
        let now = Instant::now();
        let pause = self.throttle.spent(bytes, now - self.since, now);
        self.since = now + pause;
        pause
    }

    /// So many bytes have gone: waits for as long as the limit wants.
    fn spent(&mut self, bytes: u64) -> Result<(), Trouble> {
        let until = Instant::now() + self.pause(bytes);
        loop {
            self.check()?;
            match until.saturating_duration_since(Instant::now()) {
                Duration::ZERO => return Ok(()),
                left => thread::sleep(left.min(Pace::LOOK)),
            }
        }
    }
}
