//! `heapsee-agent check-config`: every mistake of a configuration file, or that there is none.

use serde::Serialize;

use super::{json, print};
use crate::cli::CheckConfigArgs;
use crate::config::{Config, LoadError};
use crate::exit::{Exit, Failure};
use crate::settings::Problem;

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    file: String,
    ok: bool,
    problems: &'a [Problem],
}

/// Runs the command.
pub fn run(args: &CheckConfigArgs) -> Result<(), Failure> {
    let outcome = Config::load(&args.file);
    let problems = match &outcome {
        Ok(_) => &[][..],
        Err(LoadError::Wrong(wrong)) => &wrong.problems,
        Err(LoadError::Unreadable(why)) => return Err(Failure::new(Exit::Config, why)),
    };
    let file = args.file.display();
    if args.format.json {
        let ok = problems.is_empty();
        let report = Report { schema: "heapsee.agent.check-config/1", file: file.to_string(), ok, problems };
        print(&json(&report)?)?;
    } else if let Ok(config) = &outcome {
        let names: Vec<&str> = config.rules.iter().map(|rule| rule.name.as_str()).collect();
        let rules = match names.len() {
            0 => "no rules".to_owned(),
            1 => format!("the rule {}", names[0]),
            n => format!("{n} rules: {}", names.join(", ")),
        };
        print(format!("{file} is right; {rules}\n").as_bytes())?;
    } else {
        let lines: String = problems.iter().map(|problem| format!("{file}: {problem}\n")).collect();
        print(lines.as_bytes())?;
    }
    match problems.len() {
        0 => Ok(()),
        1 => Err(Failure::new(Exit::Config, format!("{file} has a mistake"))),
        n => Err(Failure::new(Exit::Config, format!("{file} has {n} mistakes"))),
    }
}
