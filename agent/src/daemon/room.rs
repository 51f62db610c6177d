//! Whether the store would take a further dump, asked on a thread of its own: a disk that hangs must not keep the
//! workers from being looked at.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::pipeline::Pipeline;
use crate::render;

/// A disk that is well answers at once. So long it is waited for in a look.
const ANSWER: Duration = Duration::from_millis(500);

/// The question, and since when it has not been answered.
#[derive(Default)]
pub struct Room {
    asked: Option<(Receiver<Option<String>>, Instant)>,
}

impl Room {
    /// Why the store would take no further dump of about `size` bytes, if it would not.
    pub fn missing(&mut self, pipeline: &Arc<Pipeline>, size: u64) -> Option<String> {
        let (answer, since) = self.asked.take().unwrap_or_else(|| {
            let (sender, answer) = channel();
            let pipeline = Arc::clone(pipeline);
            // Nobody is left to hear it only if the program is ending.
            thread::spawn(move || drop(sender.send(pipeline.room(size).err())));
            (answer, Instant::now())
        });
        match answer.recv_timeout(ANSWER) {
            Ok(missing) => missing,
            Err(RecvTimeoutError::Timeout) => {
                self.asked = Some((answer, since));
                Some(format!("the store's disk has not answered for {}", render::age(since.elapsed())))
            }
            Err(RecvTimeoutError::Disconnected) => Some("the store could not be looked at".into()),
        }
    }
}
