//! `[[rule]]`: when a worker is to be dumped. Only what is written; the rules at work are in `rules`.

use std::time::Duration;

use crate::look::Select;
use crate::settings::values::{DURATION, some_duration};
use crate::settings::{Table, choice};
use crate::triggers::{self, Trigger};

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name, for the log, the metrics and the manifest.
    pub name: String,
    /// Which workers it is about.
    pub select: Select,
    /// When it fires.
    pub trigger: Trigger,
    /// How many dumps of the worker are taken: more than one is a campaign.
    pub dumps: u32,
    /// The time between the dumps of a campaign.
    pub apart: Duration,
    /// Between two dumps of one worker by this rule, instead of the general one.
    pub cooldown: Option<Duration>,
    /// Whether it only says what it would do.
    pub dry_run: bool,
}

/// Reads a rule; `None` if something is wrong with it, which is then noted.
pub fn rule(table: &mut Table<'_>) -> Option<Rule> {
    const NAME: &str = "a name of letters, digits, \".\", \"_\" and \"-\"";
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name = table.parsed("name", NAME, |text| match text {
        "" => Err("it is empty".into()),
        text if text.len() > 64 => Err("it is longer than 64 characters".into()),
        text if text.chars().all(plain) => Ok(text.to_owned()),
        _ => Err("it has other characters".into()),
    });
    match &name {
        Some(name) => table.name = format!("rule {:?}", name.value),
        None if !table.has("name") => {
            table.problem(table.at.clone(), format!("{} has no name", table.name), "add name = \"…\"");
        }
        None => {}
    }
    let trigger = triggers::read(table);
    let dumps = table.integer("dumps", 1..=100).unwrap_or(1) as u32;
    let apart = table.parsed("apart", DURATION, some_duration);
    match (dumps, &apart) {
        (1, Some(_)) => {
            let reason = format!("{} has apart, but takes one dump only", table.name);
            table.problem(table.place("apart"), reason, "add dumps = 3, or leave apart out");
        }
        (2.., None) if !table.has("apart") => {
            let reason = format!("{} takes {dumps} dumps, but does not say how far apart", table.name);
            table.problem(table.place("dumps"), reason, "add apart = \"10m\"");
        }
        _ => {}
    }
    let rule = Rule {
        select: table.table("select").map(|table| select(&table)).unwrap_or_default(),
        dumps,
        apart: apart.map_or(Duration::ZERO, |apart| apart.value),
        cooldown: table.parsed("cooldown", DURATION, some_duration).map(|time| time.value),
        dry_run: table.boolean("dry_run").unwrap_or(false),
        name: name.map(|name| name.value).unwrap_or_default(),
        trigger: trigger?,
    };
    (!rule.name.is_empty()).then_some(rule)
}

fn select(table: &Table<'_>) -> Select {
    let pattern = |key| {
        let text = table.string(key, "a text in quotes, in which * stands for anything")?;
        if text.value.is_empty() {
            table.problem(text.at, format!("{} is empty", table.key(key)), "leave it out, or write \"*\"");
            return None;
        }
        Some(text.value)
    };
    let select = Select {
        app: pattern("app"),
        server: choice(Some(table), "server", &["gunicorn", "uwsgi", "celery", "uvicorn"]).map(str::to_owned),
        unit: pattern("unit"),
        container: pattern("container"),
        cgroup: pattern("cgroup"),
        command: pattern("command"),
        user: pattern("user"),
        label: pattern("label"),
    };
    table.close(|_| None);
    select
}
