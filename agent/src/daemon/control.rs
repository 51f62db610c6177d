//! The control socket: one JSON line asks, one JSON line answers. Only for the daemon's user and root.
//!
//! Here are the lines and both ends of the socket; what is asked for is done by the event loop.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Event;
use crate::exit::{Exit, Failure};
use crate::files;

/// A request is one short line, and comes at once.
const LINE: u64 = 1 << 16;
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections at once; more wait for nobody and are closed.
const CONNECTIONS: usize = 16;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// How things are.
    Status,
    /// A dump of that process, or of the fattest of that name, now.
    Dump {
        /// The process.
        pid: Option<u32>,
        /// The name.
        name: Option<String>,
        /// Whether the host's state does not matter.
        #[serde(default)]
        force: bool,
    },
    /// No rule is to act, for so many seconds or until somebody resumes.
    Pause {
        /// For so long.
        seconds: Option<u64>,
    },
    /// Rules are to act again.
    Resume,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Whether it was done.
    pub ok: bool,
    /// If not: the exit code that says why.
    pub exit: Option<u8>,
    /// If not: why, in a sentence.
    pub error: Option<String>,
    /// What there is to say.
    #[serde(default)]
    pub data: Value,
}

impl Reply {
    /// It was done.
    pub fn done(data: Value) -> Reply {
        Reply { ok: true, exit: None, error: None, data }
    }

    /// It was not.
    pub fn refused(failure: &Failure) -> Reply {
        Reply { ok: false, exit: Some(failure.exit.code()), error: Some(failure.message.clone()), data: Value::Null }
    }
}

/// The daemon's end of the socket; removed when it is dropped.
pub struct Socket {
    path: PathBuf,
}

impl Socket {
    /// Listens; every request goes to the event loop with a place for its answer.
    pub fn listen(path: &Path, events: Sender<Event>) -> Result<Socket, Failure> {
        let failed = |error: io::Error| {
            Failure::new(
                Exit::Store,
                format!("the control socket {} cannot be made: {error}; set socket in [agent]", path.display()),
            )
        };
        if let Some(parent) = path.parent() {
            files::make_directory(parent).map_err(failed)?;
        }
        if UnixStream::connect(path).is_ok() {
            let message =
                format!("another agent answers at {}: stop it first, or set socket in [agent]", path.display());
            return Err(Failure::new(Exit::Busy, message));
        }
        // Nobody may connect before its mode is right, and what a dead daemon left is replaced in one step.
        let temporary = path.with_extension("tmp");
        files::remove(&temporary).map_err(failed)?;
        let listener = UnixListener::bind(&temporary).map_err(failed)?;
        fs::set_permissions(&temporary, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        fs::rename(&temporary, path).map_err(failed)?;
        thread::spawn(move || serve(&listener, &events));
        Ok(Socket { path: path.to_owned() })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // If it cannot be removed, the next daemon replaces it.
        let _ = fs::remove_file(&self.path);
    }
}

fn serve(listener: &UnixListener, events: &Sender<Event>) {
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // Out of descriptors, most likely: that passes.
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        if open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS {
            open.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let (events, open) = (events.clone(), Arc::clone(&open));
        thread::spawn(move || {
            // Whoever asked and went away needs no answer.
            let _ = answer(&stream, &events);
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

fn answer(stream: &UnixStream, events: &Sender<Event>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream.take(LINE)).read_line(&mut line)?;
    let reply = match serde_json::from_str::<Request>(&line) {
        Ok(request) => {
            let (send, receive) = channel();
            let gone = || Reply::refused(&Failure::new(Exit::Interrupted, "the agent is stopping"));
            match events.send(Event::Asked(request, send)) {
                Ok(()) => receive.recv().unwrap_or_else(|_| gone()),
                Err(_) => gone(),
            }
        }
        Err(error) => Reply::refused(&Failure::new(Exit::Usage, format!("this is no request: {error}"))),
    };
    let mut stream = stream;
    let mut line = serde_json::to_vec(&reply)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// Asks the daemon at `path`.
pub fn ask(path: &Path, request: &Request) -> Result<Value, Failure> {
    let talk = || -> io::Result<String> {
        let mut stream = UnixStream::connect(path)?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        Ok(answer)
    };
    let answer = talk().map_err(|error| {
        let (exit, advice) = match error.kind() {
            io::ErrorKind::PermissionDenied => (Exit::Permission, "run as root or as the agent's user"),
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                (Exit::NoAgent, "is `heapsee-agent run` running, and is that its socket?")
            }
            _ => (Exit::NoAgent, "try again"),
        };
        Failure::new(exit, format!("no agent answers at {}: {error}; {advice}", path.display()))
    })?;
    let reply: Reply = serde_json::from_str(&answer).map_err(|error| {
        Failure::new(Exit::NoAgent, format!("what answers at {} is no heapsee-agent: {error}", path.display()))
    })?;
    if reply.ok {
        return Ok(reply.data);
    }
    let exit = Exit::ALL.into_iter().find(|exit| Some(exit.code()) == reply.exit).unwrap_or(Exit::NoAgent);
    Err(Failure::new(exit, reply.error.unwrap_or_else(|| "the agent refused, and did not say why".into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_what_is_documented() {
        for (line, request) in [
            (r#"{"do":"status"}"#, Request::Status),
            (r#"{"do":"dump","pid":7}"#, Request::Dump { pid: Some(7), name: None, force: false }),
            (r#"{"do":"pause","seconds":60}"#, Request::Pause { seconds: Some(60) }),
            (r#"{"do":"resume"}"#, Request::Resume),
        ] {
            assert_eq!(serde_json::from_str::<Request>(line).unwrap(), request);
        }
        for wrong in ["", "{}", r#"{"do":"stop"}"#, r#"{"do":"pause","second":1}"#, "[1]"] {
            assert!(serde_json::from_str::<Request>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_question_is_answered_and_nonsense_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/x.sock");
        assert_eq!(ask(&path, &Request::Status).unwrap_err().exit, Exit::NoAgent);
        let (send, receive) = channel();
        let socket = Socket::listen(&path, send.clone()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Socket::listen(&path, send).err().map(|failure| failure.exit), Some(Exit::Busy));
        let loop_thread = thread::spawn(move || {
            let Ok(Event::Asked(Request::Resume, reply)) = receive.recv() else { panic!() };
            reply.send(Reply::done(Value::from(7))).unwrap();
        });
        assert_eq!(ask(&path, &Request::Resume).unwrap(), Value::from(7));
        loop_thread.join().unwrap();
        assert_eq!(ask(&path, &Request::Resume).unwrap_err().exit, Exit::Interrupted);
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(b"nonsense\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("this is no request"), "{answer}");
        drop(socket);
        assert!(!path.exists());
    }
}
