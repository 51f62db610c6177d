//! That every kind of trigger fires, and can be told apart on disk.

use super::*;
use crate::config::Config;

/// A look at one worker.
pub fn look_at(worker: Seen) -> Look {
    Look { workers: vec![worker], ..Look::default() }
}

/// A look at one worker's cgroup.
pub fn look_at_group(group: Group) -> Look {
    Look { groups: [("/shop".to_owned(), group)].into(), ..look_at(Seen::example()) }
}

fn rule(name: &str, keys: &str) -> crate::config::Rule {
    let text = format!("[agent]\npoll = '1s'\n[[rule]]\nname = 'x'\ntrigger = {name:?}\n{keys}\n");
    let config = Config::parse(&text).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
    config.rules.into_iter().next().unwrap()
}

#[test]
fn every_kind_wants_a_dump_at_the_last_look_of_its_example_and_not_before() {
    assert_eq!(examples().len(), KINDS.len());
    for (name, (keys, looks)) in examples() {
        let trigger = rule(name, keys).trigger;
        let mut track = Track::default();
        let wants: Vec<bool> = looks
            .into_iter()
            .zip(0..)
            .map(|(look, second)| {
                let look = Look { now: Moment(second * 1000), ..look };
                match trigger.watch() {
                    Watch::Worker(kind) => kind.see(&mut track, &look.workers[0], look.now),
                    Watch::Cgroup(kind) => kind.see(&mut track, &look.groups["/shop"], look.now),
                    Watch::Host(kind) => kind.see(&mut track, &look, Duration::from_secs(900)),
                }
                track.wanted.is_some()
            })
            .collect();
        assert!(wants.last() == Some(&true) && !wants[..wants.len() - 1].contains(&true), "{name}: {wants:?}");
    }
}

#[test]
fn what_a_kind_asks_for_is_what_its_example_shows() {
    for (name, (keys, looks)) in examples() {
        let mut needs = Needs::default();
        rule(name, keys).trigger.ask_for(&mut needs);
        let last = looks.last().unwrap();
        assert_eq!(needs.groups, !last.groups.is_empty(), "{name}");
        assert_eq!(!needs.stats.is_empty(), last.workers[0].requests.is_some(), "{name}");
        assert!(needs.pss_above.is_none() || last.workers[0].pss.is_some(), "{name}");
    }
}

#[test]
fn every_key_of_an_example_is_part_of_the_identity() {
    for (name, (keys, _)) in examples() {
        let (kind, settings) = rule(name, keys).trigger.identity();
        assert_eq!(kind, name);
        for line in keys.lines() {
            let (key, _) = line.split_once(" = ").unwrap();
            assert!(settings.contains_key(key), "{name}: {key} in {settings:?}");
        }
    }
}

#[test]
fn what_to_write_for_a_needed_key_can_be_written() {
    for kind in KINDS {
        // A schedule needs one of its two other keys.
        let other = if kind.needed.is_empty() { "every = '6h'" } else { "" };
        let keys: Vec<String> = kind.needed.iter().map(|(key, example)| format!("{key} = {example}")).collect();
        let text = format!("[limits]\nmax_memory_pressure = '90%'\n[[rule]]\nname = 'x'\ntrigger = {:?}\n", kind.name);
        let parsed = Config::parse(&format!("{text}{}\n{other}\n", keys.join("\n")));
        assert!(parsed.is_ok(), "{}: {parsed:?}", kind.name);
    }
}
