//! The configuration of the daemon: a TOML file, taken whole or refused whole, with every mistake's line and its fix.
//!
//! Nothing here looks at the host: whether a directory exists or a bucket answers is found out by whoever uses it.

mod rule;
mod sections;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::exit::{Exit, Failure};
use crate::settings::{Problem, Sink, Table};
use crate::triggers::{self, Surroundings};
pub use rule::Rule;
pub use sections::{Agent, DEFAULT_SOCKET, Hook, Intake, Limits, Metrics, Quota, Retention, Ship, Store};

/// Where the configuration is, unless it is said.
pub const DEFAULT_PATH: &str = "/etc/heapsee/agent.toml";
/// No configuration is longer, unless the path is wrong.
const SIZE_LIMIT: u64 = 1 << 20;

/// Everything the daemon is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The daemon itself.
    pub agent: Agent,
    /// What keeps dumps from hurting the host.
    pub limits: Limits,
    /// Where collected dumps are kept.
    pub store: Store,
    /// Dumps that somebody else asked for.
    pub intake: Intake,
    /// How long dumps are kept.
    pub retention: Retention,
    /// Copies in object storage.
    pub ship: Option<Ship>,
    /// What is told of each dump.
    pub hook: Option<Hook>,
    /// Prometheus metrics.
    pub metrics: Option<Metrics>,
    /// When to dump.
    pub rules: Vec<Rule>,
}

/// A file that is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The file.
    pub path: PathBuf,
    /// Its mistakes, at least one.
    pub problems: Vec<Problem>,
}

impl Wrong {
    /// One line for each mistake.
    pub fn lines(&self) -> Vec<String> {
        self.problems.iter().map(|problem| format!("{}: {problem}", self.path.display())).collect()
    }
}

/// Why there is no configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// It cannot be read.
    Unreadable(String),
    /// It is wrong.
    Wrong(Wrong),
}

impl LoadError {
    /// On one line, as the end of a command.
    pub fn into_failure(self) -> Failure {
        let message = match self {
            LoadError::Unreadable(why) => why,
            LoadError::Wrong(wrong) => match &wrong.lines()[..] {
                [one] => one.clone(),
                [first, more @ ..] => {
                    format!("{first} (and {} more: `heapsee-agent check-config` shows all)", more.len())
                }
                [] => format!("{} is wrong", wrong.path.display()),
            },
        };
        Failure::new(Exit::Config, message)
    }
}

impl Config {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Config, LoadError> {
        let text = read(path).map_err(|error| {
            let advice = match error.kind() {
                io::ErrorKind::NotFound => "is the path right?",
                io::ErrorKind::PermissionDenied => "run as root, or let this user read it",
                io::ErrorKind::InvalidData => "save it as UTF-8",
                _ => "is it the right file?",
            };
            LoadError::Unreadable(format!("the configuration {} cannot be read: {error}; {advice}", path.display()))
        })?;
        Config::parse(&text).map_err(|problems| LoadError::Wrong(Wrong { path: path.to_owned(), problems }))
    }

    /// Reads a text.
    pub fn parse(text: &str) -> Result<Config, Vec<Problem>> {
        let sink = Sink::new(text);
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let at = error.span().unwrap_or(0..0);
            let reason = format!("this is no TOML: {}", error.message().replace('\n', ", "));
            sink.add(at, reason, "texts need quotes, lists brackets, and each key its own line");
        }
        if !errors.is_empty() {
            return Err(sink.into_problems());
        }
        let root = Table::new("", document.get_ref(), 0..0, &sink);
        let config = sections_of(&root);
        root.close(|_| None);
        drop(root);
        let problems = sink.into_problems();
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(problems),
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let found = fs::metadata(path)?;
    if !found.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if found.len() > SIZE_LIMIT {
        return Err(io::Error::other(format!("it is longer than {SIZE_LIMIT} bytes, which no configuration is")));
    }
    fs::read_to_string(path)
}

/// Reads every section, so that all mistakes are found; `None` if one of those that need something lacks it.
fn sections_of(root: &Table<'_>) -> Option<Config> {
    fn section<'t, T>(root: &Table<'t>, name: &'static str, read: impl FnOnce(Option<&Table<'t>>) -> T) -> T {
        let table = root.table(name);
        let value = read(table.as_ref());
        if let Some(table) = table {
            table.close(|key| elsewhere(name, key));
        }
        value
    }
    let ship = section(root, "ship", |table| table.map(sections::ship));
    let hook = section(root, "hook", |table| table.map(sections::hook));
    let metrics = section(root, "metrics", |table| table.map(sections::metrics));
    let mut rules: Vec<Rule> = Vec::new();
    for mut table in root.tables("rule") {
        let rule = rule::rule(&mut table);
        table.close(triggers::of_other_kind);
        let Some(rule) = rule else { continue };
        if rules.iter().any(|other| other.name == rule.name) {
            let reason = format!("there are two rules called {:?}", rule.name);
            table.problem(table.place("name"), reason, "give each a name of its own");
        }
        rules.push(rule);
    }
    let agent = section(root, "agent", sections::agent);
    let config = Config {
        limits: section(root, "limits", |table| sections::limits(table, agent.dump_limit)),
        agent,
        store: section(root, "store", sections::store),
        intake: section(root, "intake", sections::intake),
        retention: section(root, "retention", sections::retention),
        // A section that is there, but could not be read, has said why.
        ship: ship.flatten(),
        hook: hook.flatten(),
        metrics: metrics.flatten(),
        rules,
    };
    consistent(root, &config);
    Some(config)
}

/// What no section can know alone.
fn consistent(root: &Table<'_>, config: &Config) {
    let around = Surroundings {
        poll: config.agent.poll,
        max_memory_pressure: config.limits.max_memory_pressure,
        max_io_pressure: config.limits.max_io_pressure,
    };
    for rule in &config.rules {
        if let Some(conflict) = rule.trigger.conflict(&around) {
            root.problem(root.place("rule"), format!("rule {:?}{}", rule.name, conflict.reason), conflict.fix);
        }
    }
    if config.ship.is_none() && config.retention.delete_unshipped {
        let reason = "delete_unshipped of [retention] has no use without [ship]";
        root.problem(root.place("retention"), reason, "leave it out, or add [ship]");
    }
}

/// What to say of a key that people put into the wrong section.
fn elsewhere(section: &str, key: &str) -> Option<String> {
    let secret = ["key", "secret", "token", "password", "credential"].iter().any(|word| key.contains(word));
    if section == "ship" && secret {
        return Some(
            "secrets have no place in this file: use the provider's environment variables, files or instance roles"
                .to_owned(),
        );
    }
    None
}
