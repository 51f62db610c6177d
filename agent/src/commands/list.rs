//! `heapsee-agent list`: the workers of this host, as a table or as JSON (schema `heapsee.agent.list/1`).

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use heapsee_format::control::State;
use jiff::Timestamp;
use serde::Serialize;

use super::{json, print, say};
use crate::armed::{Refusal, Unarmed, signal_name, user_name};
use crate::cli::ListArgs;
use crate::discovery::{LABEL, Process, Role, Scope, Server, named, scan};
use crate::exit::{Exit, Failure};
use crate::host::{self, cgroup};
use crate::procfs;
use crate::render;

/// Runs the command.
pub fn run(args: &ListArgs) -> Result<(), Failure> {
    let scope = if args.all { Scope::AllPython } else { Scope::Workers };
    let mut processes = scan(scope)
        .map_err(|error| Failure::new(Exit::Permission, format!("/proc cannot be read: {error}; is it mounted?")))?;
    if let Some(name) = &args.name {
        processes = named(processes, name);
        if processes.is_empty() {
            return Err(Failure::new(
                Exit::NoSuchProcess,
                format!("there is no Python worker called {name:?}: try without --name, or --all"),
            ));
        }
    }
    processes.sort_by_key(|process| (process.master.unwrap_or(process.pid), process.master.is_some(), process.pid));
    if args.format.json {
        let workers = processes.iter().map(|process| Row::of(process, args.pss)).collect();
        let list = List {
            schema: "heapsee.agent.list/1",
            agent: env!("CARGO_PKG_VERSION"),
            host: host::name(),
            at: Timestamp::now().to_string(),
            workers,
        };
        return print(&json(&list)?);
    }
    if processes.is_empty() {
        say("there are no Python workers on this host that this user can see; --all shows every Python process");
        return Ok(());
    }
    print(format!("{}\n", table(&processes, args.pss)).as_bytes())?;
    explain(&processes);
    Ok(())
}

/// The whole JSON.
#[derive(Serialize)]
struct List {
    schema: &'static str,
    agent: &'static str,
    host: String,
    at: String,
    workers: Vec<Row>,
}

/// One process, as `list --help` explains it.
#[derive(Serialize)]
struct Row {
    pid: u32,
    own_pid: Option<u32>,
    parent_pid: u32,
    start_time_ticks: u64,
    server: Option<Server>,
    role: Role,
    master_pid: Option<u32>,
    app: Option<String>,
    title: String,
    uid: u32,
    user: String,
    unit: Option<String>,
    container: Option<String>,
    cgroup: String,
    label: Option<String>,
    rss_bytes: u64,
    pss_bytes: Option<u64>,
    age_seconds: u64,
    python: Option<String>,
    armed: Option<bool>,
    signal: Option<String>,
    signal_number: Option<u32>,
    directory: Option<String>,
    mode: Option<String>,
    heapsee: Option<String>,
    state: Option<&'static str>,
    dumps_started: Option<u64>,
    dumps_finished: Option<u64>,
    reason: Option<String>,
    advice: Option<&'static str>,
}

impl Row {
    fn of(process: &Process, pss: bool) -> Row {
        let view = process.armed.as_ref().ok();
        let refusal = process.armed.as_ref().err();
        let group = cgroup::of(process.pid);
        Row {
            pid: process.pid,
            own_pid: process.status.own_pid(),
            parent_pid: process.stat.parent,
            start_time_ticks: process.stat.start_time,
            server: process.server,
            role: process.role,
            master_pid: process.master,
            app: process.app.clone(),
            title: process.argv.join(" "),
            uid: process.status.uid,
            user: user_name(process.status.uid),
            unit: group.unit,
            container: group.container,
            cgroup: group.memory.path,
            label: procfs::environment(process.pid, LABEL).ok().flatten(),
            rss_bytes: process.status.rss,
            pss_bytes: pss.then(|| procfs::pss(process.pid).ok()).flatten(),
            age_seconds: procfs::age(process.stat.start_time).as_secs(),
            python: process.python.clone(),
            armed: match refusal {
                None => Some(true),
                Some(Refusal::Unarmed(_)) => Some(false),
                Some(_) => None,
            },
            signal: view.map(|view| signal_name(view.signal)),
            signal_number: view.map(|view| view.signal),
            directory: view.map(|view| view.directory.clone()),
            mode: view.map(|view| view.mode.clone()),
            heapsee: view.map(|view| view.heapsee.clone()),
            state: view.map(|view| state_name(view.state)),
            dumps_started: view.map(|view| view.started),
            dumps_finished: view.map(|view| view.finished),
            reason: refusal.map(Refusal::to_string),
            advice: refusal.and_then(advice),
        }
    }
}

fn state_name(state: State) -> &'static str {
    match state {
        State::Idle => "idle",
        State::WaitingForGil => "waiting-for-gil",
        State::Snapshotting => "snapshotting",
        State::Walking => "walking",
        State::Publishing => "publishing",
    }
}

fn advice(refusal: &Refusal) -> Option<&'static str> {
    match refusal {
        Refusal::Unarmed(why) => Some(why.advice()),
        _ => None,
    }
}

fn table(processes: &[Process], pss: bool) -> Table {
    let mut header = vec!["PID", "MASTER", "SERVER", "ROLE", "APP", "USER", "RSS"];
    if pss {
        header.push("PSS");
    }
    header.extend(["AGE", "PYTHON", "ARMED", "DIRECTORY"]);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(header);
    for process in processes {
        table.add_row(cells(process, pss));
    }
    table
}

fn cells(process: &Process, pss: bool) -> Vec<Cell> {
    let text = |text: Option<&str>| Cell::new(render::one_line(text.filter(|text| !text.is_empty()).unwrap_or("-")));
    let number = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let role = match process.role {
        Role::Master => "master",
        Role::Worker => "worker",
        Role::Helper => "helper",
        Role::Process => "process",
    };
    let mut cells = vec![
        number(process.pid.to_string()),
        number(process.master.map_or("-".to_owned(), |master| master.to_string())),
        text(process.server.map(Server::name)),
        text(Some(role)),
        text(process.app.as_deref().or(process.server.is_none().then_some(process.stat.comm.as_str()))),
        text(Some(&user_name(process.status.uid))),
        number(render::bytes(process.status.rss)),
    ];
    if pss {
        cells.push(number(procfs::pss(process.pid).map_or("-".to_owned(), render::bytes)));
    }
    cells.push(number(render::age(procfs::age(process.stat.start_time))));
    cells.push(text(process.python.as_deref()));
    cells.push(text(Some(&armed(process))));
    cells.push(text(process.armed.as_ref().ok().map(|view| view.directory.as_str())));
    cells
}

/// The signal of an armed process; else one word that `explain` explains.
fn armed(process: &Process) -> String {
    match &process.armed {
        Ok(view) if view.started > view.finished => format!("{}, dumping", signal_name(view.signal)),
        Ok(view) => signal_name(view.signal),
        Err(Refusal::Unarmed(Unarmed::NotInstalled)) if process.role == Role::Master => "no (master)".into(),
        Err(Refusal::Unarmed(_)) => "no".into(),
        Err(_) => "?".into(),
    }
}

/// Says, once for each reason, why processes are not armed and what to do. A master need not be.
fn explain(processes: &[Process]) {
    let mut pids_by_reason: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for process in processes {
        let Err(refusal) = &process.armed else { continue };
        if process.role == Role::Master && matches!(refusal, Refusal::Unarmed(_)) {
            continue;
        }
        let reason = match advice(refusal) {
            Some(advice) => format!("not armed: {refusal}; {advice}"),
            None => refusal.to_string(),
        };
        pids_by_reason.entry(reason).or_default().push(process.pid.to_string());
    }
    for (reason, pids) in pids_by_reason {
        say(&format!("{}: {reason}", pids.join(", ")));
    }
}
