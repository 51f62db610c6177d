//! Telling others of each collected dump: a program, or an address that gets a POST. It waits for no answer but
//! success, and a failure stops nothing: it is tried a few times, and then said and left.

pub mod child;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::Hook;
use crate::files;
use crate::host;
use crate::intake::catalog::Entry;
use crate::stop::Stop;
use child::Bounds;

/// What stands beside a dump about its hook.
pub const STATE: &str = "hook.json";
/// So often a hook is tried.
pub const ATTEMPTS: u32 = 5;
/// No summary is longer.
const SUMMARY: u64 = 4 << 20;

/// How far the hook of a dump has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// `heapsee.hook/1`.
    pub schema: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Whether it has worked.
    pub done: bool,
    /// When it was tried last, as RFC 3339 in UTC.
    pub at: String,
    /// Why it has not worked.
    pub error: Option<String>,
}

impl State {
    /// That of a dump; a file that cannot be read is as none.
    pub fn read(entry: &Path) -> State {
        files::read_json(&entry.join(STATE)).ok().flatten().unwrap_or_default()
    }

    /// Whether there is something to do.
    pub fn is_due(&self) -> bool {
        !self.done && self.attempts < ATTEMPTS
    }
}

/// Tells of one dump, and notes beside it how that went. The attempt is counted first: a hook that takes the agent
/// down with it must not do so for ever.
pub fn run(hook: &Hook, entry: &Entry, stop: &Stop) -> Result<(), String> {
    let before = State::read(&entry.path);
    let mut state = State {
        schema: "heapsee.hook/1".into(),
        attempts: before.attempts + 1,
        done: false,
        at: Timestamp::now().to_string(),
        error: Some("it was interrupted".into()),
    };
    save(entry, &state)?;
    let message = message(hook, entry, stop);
    let mut told = Ok(());
    if !hook.command.is_empty() {
        told = command(hook, entry, &message, stop);
    }
    if let Some(address) = &hook.webhook {
        told = told.and(post(address, &message, hook.timeout));
    }
    state.done = told.is_ok();
    state.error = told.as_ref().err().cloned();
    if told.is_err() && stop.requested() {
        // That was us.
        state.attempts = before.attempts;
    }
    save(entry, &state)?;
    told
}

fn save(entry: &Entry, state: &State) -> Result<(), String> {
    files::replace_json(&entry.path.join(STATE), state)
        .map_err(|error| format!("{} cannot be written: {error}", entry.path.join(STATE).display()))
}

/// What is told: schema `heapsee.collected/1`.
fn message(hook: &Hook, entry: &Entry, stop: &Stop) -> Vec<u8> {
    let summary = hook.summary.as_ref().map(|program| summary(program, entry, hook.timeout, stop));
    let (summary, error) = match summary {
        Some(Ok(summary)) => (summary, None),
        Some(Err(error)) => (Value::Null, Some(error)),
        None => (Value::Null, None),
    };
    let message = json!({
        "schema": "heapsee.collected/1",
        "path": entry.file(),
        "directory": entry.path,
        "manifest": entry.manifest,
        "shipped": entry.shipped,
        "summary": summary,
        "summary_error": error,
    });
    format!("{message}\n").into_bytes()
}

/// What `heapsee summary --json` says of a dump. It may have half of the memory that is available to us.
fn summary(program: &Path, entry: &Entry, timeout: Duration, stop: &Stop) -> Result<Value, String> {
    if entry.manifest.stored.encryption == "age" {
        return Err("the dump is encrypted".into());
    }
    let mut command = Command::new(beside_us(program));
    command.args(["summary", "--json"]).arg(entry.file());
    let bounds = Bounds { timeout, output: Some(SUMMARY), memory: available_memory().map(|bytes| bytes / 2) };
    let output = child::run(command, Vec::new(), bounds, stop)?;
    serde_json::from_slice(&output).map_err(|error| format!("{} wrote no JSON: {error}", program.display()))
}

/// A program without a path is looked for beside this one first: they are installed together.
fn beside_us(program: &Path) -> PathBuf {
    let is_name = program.components().count() == 1;
    let own = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(program)));
    own.filter(|path| is_name && path.is_file()).unwrap_or_else(|| program.to_owned())
}

/// What the host has left, or our own cgroup, if that is less: a child is in it too, and whoever exceeds its limit may
/// be the end of us all.
fn available_memory() -> Option<u64> {
    let of_host = host::memory().map(|(available, _)| available);
    let of_group = host::cgroup::of(std::process::id()).left();
    [of_host, of_group].into_iter().flatten().min()
}

fn command(hook: &Hook, entry: &Entry, message: &[u8], stop: &Stop) -> Result<(), String> {
    let [program, arguments @ ..] = &hook.command[..] else { return Ok(()) };
    let mut command = Command::new(program);
    command.args(arguments).env("HEAPSEE_DUMP", entry.file()).env("HEAPSEE_APP", &entry.app);
    let bounds = Bounds { timeout: hook.timeout, output: None, memory: None };
    child::run(command, message.to_vec(), bounds, stop).map(|_| ())
}

/// Posts the message. Addresses may hold a secret in their path: only the host is ever told.
fn post(address: &str, message: &[u8], timeout: Duration) -> Result<(), String> {
    let host = address.split('/').nth(2).unwrap_or_default();
    let failed = |error: reqwest::Error| format!("{host} cannot be told: {}", causes(&error.without_url()));
    // Set already, if this is not the first: there is but one for a process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no event loop can be made: {error}"))?;
    runtime.block_on(async {
        let agent = concat!("heapsee-agent/", env!("CARGO_PKG_VERSION"));
        let client = reqwest::Client::builder().timeout(timeout).user_agent(agent);
        let client = client.redirect(reqwest::redirect::Policy::none()).build().map_err(failed)?;
        let request = client.post(address).header("content-type", "application/json").body(message.to_vec());
        match request.send().await.map_err(failed)?.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("{host} answered {status}")),
        }
    })
}

/// An error with its causes: of itself, reqwest's says very little.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    const TIMEOUT: Duration = Duration::from_secs(60);

    /// Answers one request; gives what was posted.
    fn server(answer: &'static str) -> (String, JoinHandle<String>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = format!("http://127.0.0.1:{}/a/secret?token=x", listener.local_addr().unwrap().port());
        let posted = thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(body).unwrap()
        });
        (address, posted)
    }

    #[test]
    fn an_address_gets_the_message() {
        let (address, posted) = server("HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(post(&address, b"{\"x\": 1}", TIMEOUT), Ok(()));
        assert_eq!(posted.join().unwrap(), "{\"x\": 1}");
    }

    #[test]
    fn an_address_that_does_not_take_it_is_told_without_its_secrets() {
        let refuse = |error: String| {
            assert!(
                error.starts_with("127.0.0.1:") && !error.contains("secret") && !error.contains("token"),
                "{error}"
            );
            error
        };
        let (address, _) = server("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n");
        assert!(refuse(post(&address, b"x", TIMEOUT).unwrap_err()).contains("answered 500"));
        let (address, _) = server("HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
        assert!(refuse(post(&address, b"x", TIMEOUT).unwrap_err()).contains("answered 302"));
        let (address, _) = server("");
        refuse(post(&address, b"x", TIMEOUT).unwrap_err());
        let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = format!("http://127.0.0.1:{}/a/secret?token=x", silent.local_addr().unwrap().port());
        assert!(refuse(post(&address, b"x", Duration::from_millis(100)).unwrap_err()).contains("cannot be told"));
    }
}
