//! How states of version 1 (`heapsee.agent.state/1`) told a rule by its text: the debugging output of types as they were
//! then. Those types stay here as they were, and nothing else uses them. A kind of trigger that came later has no such
//! text.
#![expect(dead_code, reason = "the fields are only ever written as text")]

use std::time::Duration;

use crate::config::Rule;
use crate::{look, triggers};

#[derive(Debug)]
enum Measure {
    Rss,
    Pss,
}

#[derive(Debug)]
struct Level {
    above: f64,
    clear: f64,
    polls: u32,
}

#[derive(Debug)]
enum Resource {
    Memory,
    Io,
    Cpu,
}

#[derive(Debug)]
enum Event {
    High,
    Max,
    Oom,
    OomKill,
}

struct Cron<'r>(&'r str);

impl std::fmt::Debug for Cron<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cron({:?})", self.0)
    }
}

#[derive(Debug)]
enum Trigger<'r> {
    Memory(Measure, Level),
    Cgroup(Level),
    Slope { above: f64, window: Duration, at_least: u64 },
    Pressure(Resource, Level),
    Events(Vec<Event>),
    Every(Duration),
    // The calendar itself was in brackets, too.
    Cron(Cron<'r>),
    Age(Duration),
    Requests { above: u64, stats: &'r str },
}

#[derive(Debug)]
struct Select<'r> {
    app: &'r Option<String>,
    server: &'r Option<String>,
    unit: &'r Option<String>,
    container: &'r Option<String>,
    cgroup: &'r Option<String>,
    command: &'r Option<String>,
    user: &'r Option<String>,
    label: &'r Option<String>,
}

/// What a state of version 1 has of this rule, if it could have it.
pub fn identity(rule: &Rule) -> Option<String> {
    let look::Select { app, server, unit, container, cgroup, command, user, label } = &rule.select;
    let select = Select { app, server, unit, container, cgroup, command, user, label };
    Some(format!("{:?} {select:?}", trigger(&rule.trigger)?))
}

// Of kinds that come later there is nothing to say: the last arm is theirs.
#[allow(unreachable_patterns, reason = "it is one as soon as there is a later kind")]
fn trigger(trigger: &triggers::Trigger) -> Option<Trigger<'_>> {
    use triggers::Schedule;
    Some(match trigger {
        triggers::Trigger::Rss(rss) => Trigger::Memory(Measure::Rss, level(&rss.0)),
        triggers::Trigger::Pss(pss) => Trigger::Memory(Measure::Pss, level(&pss.0)),
        triggers::Trigger::Cgroup(cgroup) => Trigger::Cgroup(level(&cgroup.0)),
        triggers::Trigger::Slope(triggers::Slope { above, window, at_least }) => {
            Trigger::Slope { above: *above, window: *window, at_least: *at_least }
        }
        triggers::Trigger::Pressure(pressure) => Trigger::Pressure(resource(pressure.resource), level(&pressure.level)),
        triggers::Trigger::MemoryEvents(events) => Trigger::Events(events.0.iter().copied().map(event).collect()),
        triggers::Trigger::Schedule(Schedule::Every(every)) => Trigger::Every(*every),
        triggers::Trigger::Schedule(Schedule::Cron(cron)) => Trigger::Cron(Cron(cron.text())),
        triggers::Trigger::Age(age) => Trigger::Age(age.0),
        triggers::Trigger::Requests(requests) => Trigger::Requests { above: requests.above, stats: &requests.stats },
        _ => return None,
    })
}

fn level(level: &triggers::Level) -> Level {
    Level { above: level.above, clear: level.clear, polls: level.polls }
}

fn resource(resource: look::Resource) -> Resource {
    match resource {
        look::Resource::Memory => Resource::Memory,
        look::Resource::Io => Resource::Io,
        look::Resource::Cpu => Resource::Cpu,
    }
}

fn event(event: look::Event) -> Event {
    match event {
        look::Event::High => Event::High,
        look::Event::Max => Event::Max,
        look::Event::Oom => Event::Oom,
        look::Event::OomKill => Event::OomKill,
    }
}

#[cfg(test)]
mod tests {
    use super::super::identity::Identity;
    use super::super::{Engine, State};
    use crate::config::Config;

    /// As an agent of version 1 wrote it, with one rule for each kind of trigger.
    const STATE: &str = include_str!("version_1/state.json");
    const RULES: &str = include_str!("version_1/rules.toml");

    fn engine(rules: &str, state: State) -> Engine {
        let config = Config::parse(rules).unwrap_or_else(|problems| panic!("{problems:?}"));
        Engine::new(config.rules, config.limits, false, state)
    }

    fn state() -> serde_json::Value {
        let mut kept: serde_json::Value = serde_json::from_str(STATE).unwrap();
        kept["rules"].take()
    }

    fn tracks(engine: &Engine) -> Vec<String> {
        let state = serde_json::to_value(engine.state()).unwrap();
        state["tracks"].as_array().unwrap().iter().map(|track| track[0].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_rule_of_version_1_is_recognised() {
        let rules = Config::parse(RULES).unwrap().rules;
        assert_eq!(rules.len(), 10);
        for rule in rules {
            let before: Identity = serde_json::from_value(state()["rules"][&rule.name].clone()).unwrap();
            assert!(matches!(before, Identity::Version1(_)) && before.is_of(&rule), "{}: {before:?}", rule.name);
        }
    }

    #[test]
    fn a_rule_that_is_as_it_was_goes_on_and_another_one_begins_anew() {
        let before: State = serde_json::from_value(state()).unwrap();
        assert_eq!(tracks(&engine(RULES, before.clone())), ["cron", "every", "pressure"]);
        let changed = RULES.replace("every = \"6h\"", "every = \"7h\"").replace("\"15%\"", "\"16%\"");
        assert_eq!(tracks(&engine(&changed, before)), ["cron"]);
    }

    #[test]
    fn what_is_written_then_is_of_today_and_means_the_same() {
        let first = engine(RULES, serde_json::from_value(state()).unwrap());
        let text = serde_json::to_string(first.state()).unwrap();
        assert!(
            text.contains(r#""slope":{"trigger":"slope","settings":{"above":"27777.777777777777","at_least""#),
            "{text}"
        );
        let second = engine(RULES, serde_json::from_str(&text).unwrap());
        assert_eq!(tracks(&second), ["cron", "every", "pressure"]);
        assert_eq!(second.state(), first.state());
        let elsewhere = RULES.replace("server = \"gunicorn\"", "server = \"uwsgi\"");
        assert_eq!(tracks(&engine(&elsewhere, serde_json::from_str(&text).unwrap())), ["every", "pressure"]);
    }
}
