//! Shipping into object storage: in parts, of which each is remembered, so that another process can go on; and
//! reading back. Never more than one part is in memory.

use std::future::Future;
use std::path::Path as FilePath;
use std::pin::pin;

use heapsee_format::digest::Digester;
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, PutOptions, PutPayload};

use super::Pace;
use super::destination::Bucket;
use super::source::Source;
use super::trouble::{Kind, Trouble};
use crate::intake::shipped::{Current, Object};

/// S3 takes no more than 10,000 parts.
const MOST_PARTS: u64 = 9_000;
/// What is read back with one request.
const RANGE: u64 = 8 << 20;

/// A service, and what we call it.
pub struct Service<'a> {
    /// The service.
    pub bucket: &'a dyn Bucket,
    /// Its address, for people.
    pub shown: &'a str,
    /// Wanted size of a part.
    pub part_size: u64,
}

/// Keeps what is known of an upload that is under way.
pub type Remember<'a> = &'a mut dyn FnMut(Option<Current>) -> Result<(), Trouble>;

impl Service<'_> {
    /// Sends `object` from the directory `from`; `current` is how far another process has come with it.
    pub async fn put(
        &self,
        key: &Path,
        from: &FilePath,
        object: &Object,
        current: Option<Current>,
        remember: Remember<'_>,
        pace: &mut Pace<'_>,
    ) -> Result<(), Trouble> {
        let part_size = self.part_size.max(object.size.div_ceil(MOST_PARTS));
        let usable = |current: &Current| current.object == *object && current.part_size == part_size;
        if object.size <= part_size {
            let payload = Source::open(from, object)?.piece(object.size)?;
            let sent = payload.len() as u64;
            let put = self.bucket.put_opts(key, PutPayload::from(payload), PutOptions::default());
            self.answer(pace.unless_stopped(put).await?)?;
            return pace.spent_async(sent).await;
        }
        let mut upload = match current {
            Some(current) if usable(&current) => current,
            Some(other) => {
                self.abort(key, &other, pace).await?;
                self.begin(key, object, part_size, remember, pace).await?
            }
            None => self.begin(key, object, part_size, remember, pace).await?,
        };
        match self.parts(key, from, &mut upload, remember, pace).await {
            // Aborted by a rule of the bucket, or by somebody: what it had is gone.
            Ok(false) => {
                upload = self.begin(key, object, part_size, remember, pace).await?;
                if self.parts(key, from, &mut upload, remember, pace).await? {
                    return Ok(());
                }
                // Azure knows no beginning: that there is no such container shows with the first part.
                let what =
                    "is not there, or forgets an upload that has just begun: create the bucket, or correct the url";
                Err(Trouble::new(Kind::Refused, format!("{} {what}", self.shown)))
            }
            sent => sent.map(|_| ()),
        }
    }

    async fn begin(
        &self,
        key: &Path,
        object: &Object,
        part_size: u64,
        remember: Remember<'_>,
        pace: &mut Pace<'_>,
    ) -> Result<Current, Trouble> {
        let id = self.answer(pace.unless_stopped(self.bucket.create_multipart(key)).await?)?;
        let current = Current { object: object.clone(), id, part_size, parts: Vec::new() };
        remember(Some(current.clone()))?;
        Ok(current)
    }

    /// Sends the parts that are missing and completes the upload. False: the service does not know it any more.
    async fn parts(
        &self,
        key: &Path,
        from: &FilePath,
        upload: &mut Current,
        remember: Remember<'_>,
        pace: &mut Pace<'_>,
    ) -> Result<bool, Trouble> {
        let mut source = Source::open(from, &upload.object)?;
        let mut number = 0;
        while source.left() > 0 {
            // Those that are there already are read too: the digest is of the whole file.
            let piece = source.piece(upload.part_size)?;
            if number >= upload.parts.len() {
                let sent = piece.len() as u64;
                let part = self.bucket.put_part(key, &upload.id, number, PutPayload::from(piece));
                match pace.unless_stopped(part).await? {
                    Err(Error::NotFound { .. }) => return Ok(false),
                    part => upload.parts.push(self.answer(part)?.content_id),
                }
                remember(Some(upload.clone()))?;
                pace.spent_async(sent).await?;
            }
            number += 1;
        }
        let parts = upload.parts.iter().map(|id| PartId { content_id: id.clone() }).collect();
        match pace.unless_stopped(self.bucket.complete_multipart(key, &upload.id, parts)).await? {
            Err(Error::NotFound { .. }) => Ok(false),
            completed => self.answer(completed).map(|_| true),
        }
    }

    /// Tells the service that an upload will not go on. One that it does not know is as good.
    pub async fn abort(&self, key: &Path, upload: &Current, pace: &mut Pace<'_>) -> Result<(), Trouble> {
        match pace.unless_stopped(self.bucket.abort_multipart(key, &upload.id)).await? {
            Err(Error::NotFound { .. }) => Ok(()),
            aborted => self.answer(aborted),
        }
    }

    /// Whether `key` reads as `object`; an error if that cannot be found out.
    pub async fn verify(&self, key: &Path, object: &Object, pace: &mut Pace<'_>) -> Result<bool, Trouble> {
        let head = GetOptions { head: true, ..GetOptions::default() };
        match pace.unless_stopped(self.bucket.get_opts(key, head)).await? {
            Err(Error::NotFound { .. }) => return Ok(false),
            found => {
                if self.answer(found)?.meta.size != object.size {
                    return Ok(false);
                }
            }
        }
        let mut digester = Digester::default();
        let mut done = 0;
        while done < object.size {
            let end = object.size.min(done + RANGE);
            let options = GetOptions { range: Some(GetRange::Bounded(done..end)), ..GetOptions::default() };
            let whole = async { self.bucket.get_opts(key, options).await?.bytes().await };
            let bytes = self.answer(pace.unless_stopped(pin!(whole)).await?)?;
            if bytes.len() as u64 != end - done {
                return Ok(false);
            }
            digester.update_counted(&bytes, 0);
            done = end;
            pace.spent_async(bytes.len() as u64).await?;
        }
        Ok(digester.finish().sha256.eq_ignore_ascii_case(&object.sha256))
    }

    fn answer<T>(&self, answer: Result<T, Error>) -> Result<T, Trouble> {
        answer.map_err(|error| Trouble::of_service(&error, self.shown))
    }
}

impl Pace<'_> {
    /// Waits for `work`, unless we are asked to stop.
    async fn unless_stopped<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Trouble> {
        let mut work = pin!(work);
        loop {
            match tokio::time::timeout(Pace::LOOK, work.as_mut()).await {
                Ok(done) => return Ok(done),
                Err(_) => self.check()?,
            }
        }
    }

    async fn spent_async(&mut self, bytes: u64) -> Result<(), Trouble> {
        let pause = self.pause(bytes);
        self.unless_stopped(tokio::time::sleep(pause)).await
    }
}
