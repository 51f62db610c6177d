//! `heapsee-agent run`, and the verbs that talk to it: `status`, `dump-now`, `pause`, `resume`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::{json as to_json, print};
use crate::cli::{DumpNowArgs, PauseArgs, ResumeArgs, RunArgs, SocketArgs, StatusArgs};
use crate::config::{Config, DEFAULT_PATH, DEFAULT_SOCKET, LoadError};
use crate::daemon::{self, Request, ask};
use crate::exit::Failure;
use crate::render;

/// Runs the daemon.
pub fn run(args: &RunArgs) -> Result<(), Failure> {
    daemon::run(&args.config)
}

/// Shows how it is.
pub fn status(args: &StatusArgs) -> Result<(), Failure> {
    let status = ask(&socket(&args.socket)?, &Request::Status)?;
    if args.format.json {
        return print(&to_json(&status)?);
    }
    print(text(&status).as_bytes())
}

/// Has the daemon take a dump.
pub fn dump_now(args: &DumpNowArgs) -> Result<(), Failure> {
    let request = Request::Dump { pid: args.pid, name: args.name.clone(), force: args.force };
    let done = ask(&socket(&args.socket)?, &request)?;
    if args.format.json {
        let mut report = json!({ "schema": "heapsee.agent.dump-now/1" });
        if let (Some(report), Some(done)) = (report.as_object_mut(), done.as_object()) {
            report.extend(done.clone());
        }
        return print(&to_json(&report)?);
    }
    print(format!("{}\n", word(&done["path"])).as_bytes())
}

/// Has the daemon's rules rest.
pub fn pause(args: &PauseArgs) -> Result<(), Failure> {
    let seconds = args.time.map(|time| time.as_secs());
    ask(&socket(&args.socket)?, &Request::Pause { seconds }).map(drop)
}

/// Has them act again.
pub fn resume(args: &ResumeArgs) -> Result<(), Failure> {
    ask(&socket(&args.socket)?, &Request::Resume).map(drop)
}

/// The socket that is given, or that of the configuration; without one, where it is by default.
fn socket(args: &SocketArgs) -> Result<PathBuf, Failure> {
    if let Some(socket) = &args.socket {
        return Ok(socket.clone());
    }
    let system = Path::new(DEFAULT_PATH);
    match args.config.as_deref().or_else(|| system.exists().then_some(system)) {
        Some(path) => Ok(Config::load(path).map_err(LoadError::into_failure)?.agent.socket),
        None => Ok(DEFAULT_SOCKET.into()),
    }
}

/// A value of the status in words.
fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => render::one_line(text),
        Value::Array(items) => items.iter().map(word).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// What has become of dumps since the agent was started: what there is nothing of is left out.
fn pipeline(status: &Value) -> Vec<(&'static str, String)> {
    let number = |name: &str| status["pipeline"][name].as_u64().unwrap_or(0);
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0);
    let last = |name: &str| match number(name) {
        0 => String::new(),
        at => format!(", the last {} ago", render::age(Duration::from_secs(now.saturating_sub(at)))),
    };
    let size = |name: &str| render::bytes(number(name));
    let store = word(&status["store"]);
    let mut lines = vec![("store", format!("{store}: {} dumps, {}", number("store_dumps"), size("store_bytes")))];
    if number("collected_dumps") > 0 {
        let found = number("found_dumps");
        let last = last("last_collected_seconds");
        lines.push(("collected", format!("{} dumps, {found} of them found{last}", number("collected_dumps"))));
    }
    if number("shipped_dumps") + number("ship_waiting_dumps") > 0 {
        let (shipped, waiting) = (number("shipped_dumps"), number("ship_waiting_dumps"));
        lines.push(("shipped", format!("{shipped} dumps{}; {waiting} wait", last("last_shipped_seconds"))));
    }
    if number("deleted_dumps") > 0 {
        lines.push(("deleted", format!("{} dumps, {}", number("deleted_dumps"), size("deleted_bytes"))));
    }
    let failures =
        [("refused_dumps", "dumps not taken in"), ("ship_failures", "of shipping"), ("hook_failures", "of the hook")];
    let failures: Vec<String> = failures
        .into_iter()
        .filter(|(name, _)| number(name) > 0)
        .map(|(name, what)| format!("{} {what}", number(name)))
        .collect();
    if !failures.is_empty() {
        lines.push(("failures", failures.join(", ")));
    }
    lines
}

fn text(status: &Value) -> String {
    let mut lines = Vec::new();
    let mut say = |name: &str, value: String| lines.push(format!("{name:<10} {value}\n"));
    say("agent", format!("{} (pid {}), since {}", word(&status["agent"]), status["pid"], word(&status["started_at"])));
    say("config", word(&status["config"]));
    if !status["config_refused"].is_null() {
        say("REFUSED", format!("the new configuration: {}", word(&status["config_refused"])));
    }
    let mode = match (status["paused"] == true, status["dry_run"] == true) {
        (true, _) if status["paused_seconds"].is_null() => "paused until somebody resumes".to_owned(),
        (true, _) => format!("paused, for {} s yet", status["paused_seconds"]),
        (false, true) => "dry run".to_owned(),
        (false, false) => "rules act".to_owned(),
    };
    say("mode", mode);
    say("rules", Some(word(&status["rules"])).filter(|names| !names.is_empty()).unwrap_or_else(|| "none".to_owned()));
    let workers = &status["workers"];
    say("workers", format!("{} armed, {} not armed", workers["armed"], workers["unarmed"]));
    let running = &status["running"];
    if !running.is_null() {
        let (pid, why) = (&running["worker"]["pid"], word(&running["why"]));
        say("dumping", format!("process {pid}: {why}"));
    }
    for want in status["wanted"].as_array().into_iter().flatten() {
        let [rule, why, hold] = ["rule", "why", "hold"].map(|key| word(&want[key]));
        say("wanted", format!("by {rule}: {why}; not now: {hold}"));
    }
    pipeline(status).into_iter().for_each(|(name, value)| say(name, value));
    for dump in status["dumps"].as_array().into_iter().flatten() {
        let end = if dump["error"].is_null() { word(&dump["path"]) } else { word(&dump["error"]) };
        say("dump", format!("{} process {} ({}): {end}", word(&dump["at"]), dump["pid"], word(&dump["app"])));
    }
    lines.concat()
}
