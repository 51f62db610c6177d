//! Single situations, for what the model does not play: groups, dry runs, reloads, failures, requests by hand.

use super::*;
use crate::config::Config;
use crate::look::*;

const GIGABYTE: u64 = 1_000_000_000;

/// An engine with these rules, and limits that stand in nobody's way but for what `limits` says.
fn engine(limits: &str, rules: &str) -> Engine {
    let config = config(limits, rules);
    Engine::new(config.rules, config.limits, false, State::default())
}

fn config(limits: &str, rules: &str) -> Config {
    let text = format!("[limits]\n{limits}\n{rules}");
    Config::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn worker(pid: u32, rss: u64) -> Seen {
    Seen {
        id: Id { pid, start_time: 7 },
        unit: Some("shop.service".into()),
        command: format!("gunicorn: worker [shop] {pid}"),
        rss,
        ..Seen::example()
    }
}

/// A look that many seconds after boot.
fn look(seconds: u64, workers: &[Seen]) -> Look {
    Look { now: Moment(seconds * 1000), workers: workers.to_vec(), ..Look::default() }
}

/// The pid that is ordered to be dumped, if one is.
fn ordered(decisions: &[Decision]) -> Option<u32> {
    decisions.iter().find_map(|decision| match decision {
        Decision::Dump(order) => Some(order.worker.pid),
        _ => None,
    })
}

/// Why what is wanted is not done.
fn holds(decisions: &[Decision]) -> Vec<&'static str> {
    let kind = |decision: &Decision| match decision {
        Decision::Held(want) => Some(want.hold.kind()),
        _ => None,
    };
    decisions.iter().filter_map(kind).collect()
}

const FAT: &str = "[[rule]]\nname = 'fat'\ntrigger = 'rss'\nabove = '1GB'\npolls = 1\n";

#[test]
fn an_event_in_a_cgroup_has_its_fattest_armed_worker_dumped() {
    let mut engine = engine("", "[[rule]]\nname = 'x'\ntrigger = 'memory-events'\nevents = ['high']\n");
    assert!(engine.needs().groups);
    let workers = [worker(1, 5), worker(2, 9), Seen { armed: false, ..worker(3, 99) }];
    let mut at = |seconds, high| {
        let mut look = look(seconds, &workers);
        let events = Events { high, ..Events::default() };
        look.groups.insert("/shop".into(), Group { used: None, events });
        ordered(&engine.look(&look))
    };
    assert_eq!((at(0, 3), at(1, 3), at(2, 4), at(3, 4)), (None, None, Some(2), None));
}

#[test]
fn what_comes_at_a_moment_is_given_up_in_the_end() {
    let rule = "[[rule]]\nname = 'x'\ntrigger = 'schedule'\nevery = '1h'\n";
    let mut engine = engine("patience = '10m'", rule);
    let unarmed = [Seen { armed: false, ..worker(1, 5) }];
    engine.look(&look(0, &unarmed));
    assert_eq!(holds(&engine.look(&look(3600, &unarmed))), ["not-armed"]);
    assert_eq!(engine.look(&look(4200, &unarmed)), [], "told once");
    let decisions = engine.look(&look(4201, &unarmed));
    assert!(matches!(&decisions[..], [Decision::Dropped { rule, .. }] if rule == "x"), "{decisions:?}");
    assert_eq!(ordered(&engine.look(&look(4300, &[worker(1, 5)]))), None);
    assert_eq!(ordered(&engine.look(&look(7200, &[worker(1, 5)]))), Some(1));
}

#[test]
fn a_cgroup_near_its_limit_and_pressure_on_the_host() {
    let rules = "[[rule]]\nname = 'near'\ntrigger = 'cgroup'\nabove = '80%'\npolls = 2\n\
                 [[rule]]\nname = 'press'\ntrigger = 'pressure'\nresource = 'cpu'\nabove = '50%'\npolls = 1\n";
    let mut engine = engine("cooldown = '1s'\nshare_window = '1s'", rules);
    let workers = [worker(1, 5), worker(2, 9)];
    let mut at = |seconds, used, cpu| {
        let mut look = look(seconds, &workers);
        look.groups.insert("/shop".into(), Group { used: Some(used), events: Events::default() });
        look.host.cpu_pressure = Some(cpu);
        let decisions = engine.look(&look);
        decisions.into_iter().find_map(|decision| {
            let Decision::Dump(order) = decision else { return None };
            engine.done(order.number, Done::Dumped, look.now);
            Some(order.why)
        })
    };
    assert_eq!(at(0, 0.9, 0.0), None);
    assert_eq!(at(10, 0.9, 0.0).as_deref(), Some("its cgroup's memory at 90%"));
    assert_eq!(at(20, 0.9, 0.7).as_deref(), Some("cpu pressure at 70%"));
    assert_eq!((at(30, 0.9, 0.7), at(40, 0.1, 0.1)), (None, None));
}

#[test]
fn the_share_of_a_service_is_kept_over_the_window() {
    let mut engine = engine("max_share = '50%'\nshare_window = '10m'", FAT);
    let workers: Vec<Seen> = (1..=4).map(|pid| worker(pid, 2 * GIGABYTE + u64::from(pid))).collect();
    let mut taken = Vec::new();
    for seconds in (0..1300).step_by(10) {
        let look = look(seconds, &workers);
        if let Some(pid) = ordered(&engine.look(&look)) {
            taken.push((seconds, pid));
            let number = engine.running().map(|order| order.number).unwrap_or_default();
            engine.done(number, Done::Dumped, look.now);
        }
    }
    // Two of four within ten minutes, the fattest first.
    assert_eq!(taken, [(0, 4), (10, 3), (600, 2), (610, 1)]);
}

#[test]
fn the_host_comes_first() {
    let mut engine = engine("min_memory = '1GB'\nmax_memory_pressure = '20%'", FAT);
    let workers = [worker(1, 2 * GIGABYTE)];
    let mut hold = |seconds, change: &dyn Fn(&mut Host)| {
        let mut look = look(seconds, &workers);
        change(&mut look.host);
        holds(&engine.look(&look))
    };
    assert_eq!(hold(0, &|host| host.memory = Some((GIGABYTE / 2, 8 * GIGABYTE))), ["memory"]);
    assert_eq!(hold(1, &|host| host.memory_pressure = Some(0.3)), ["pressure"]);
    assert_eq!(hold(2, &|host| host.store_full = Some("full".into())), ["store"]);
    assert_eq!(ordered(&engine.look(&look(3, &workers))), Some(1));
}

#[test]
fn a_dry_run_fires_once_and_orders_nothing() {
    let config = config("", FAT);
    let mut engine = Engine::new(config.rules, config.limits, true, State::default());
    let workers = [worker(1, 2 * GIGABYTE), worker(2, 2 * GIGABYTE)];
    let decisions = engine.look(&look(0, &workers));
    assert_eq!(decisions.iter().filter(|decision| matches!(decision, Decision::WouldDump(_))).count(), 2);
    assert_eq!(engine.look(&look(5, &workers)), []);
    assert!(engine.running().is_none());
}

#[test]
fn a_reload_keeps_what_is_as_it_was_and_begins_anew_with_what_is_not() {
    let mut engine = engine("cooldown = '1s'\nmax_share = '100%'", FAT);
    let workers = [worker(1, 2 * GIGABYTE)];
    assert_eq!(ordered(&engine.look(&look(0, &workers))), Some(1));
    engine.done(1, Done::Dumped, Moment(1000));
    let same = config("cooldown = '1s'\nmax_share = '100%'", &format!("{FAT}cooldown = '2s'\n"));
    engine.reload(same.rules, same.limits, false);
    assert_eq!(ordered(&engine.look(&look(100, &workers))), None, "it has had its dump");
    let other = config("cooldown = '1s'\nmax_share = '100%'", &FAT.replace("1GB", "1.5GB"));
    engine.reload(other.rules, other.limits, false);
    assert_eq!(ordered(&engine.look(&look(200, &workers))), Some(1), "this is another rule");
    engine.done(2, Done::Dumped, Moment(201_000));
    let none = config("", "");
    engine.reload(none.rules, none.limits, false);
    assert_eq!(engine.look(&look(300, &workers)), []);
}

#[test]
fn failures_are_tried_again_ever_later_and_not_for_ever() {
    let mut engine = engine("cooldown = '1h'", FAT);
    let workers = [worker(1, 2 * GIGABYTE)];
    let mut tries = Vec::new();
    for seconds in (0..20_000).step_by(5) {
        let look = look(seconds, &workers);
        if ordered(&engine.look(&look)).is_some() {
            tries.push(seconds);
            engine.done(tries.len() as u64, Done::Failed, look.now);
        }
    }
    assert_eq!(tries, [0, 60, 180, 420, 900]);
}

#[test]
fn of_a_group_whose_worker_has_died_another_is_taken() {
    let mut engine = engine("max_share = '100%'", "[[rule]]\nname = 'x'\ntrigger = 'schedule'\nevery = '1h'\n");
    let workers = [worker(1, 5), worker(2, 9)];
    engine.look(&look(0, &workers));
    assert_eq!(ordered(&engine.look(&look(3600, &workers))), Some(2));
    engine.done(1, Done::Gone, Moment(3_601_000));
    assert_eq!(ordered(&engine.look(&look(3605, &workers[..1]))), Some(1));
}

#[test]
fn somebody_may_ask_for_what_no_rule_would() {
    let mut engine = engine("min_memory = '1GB'", "");
    let short = |seconds| {
        let mut look = look(seconds, &[worker(1, 5), Seen { armed: false, ..worker(2, 5) }]);
        look.host.memory = Some((5, 8 * GIGABYTE));
        look
    };
    let id = |pid| Id { pid, start_time: 7 };
    let mut ask = |seconds, pid, force| engine.ask(&short(seconds), id(pid), "asked".into(), force);
    assert_eq!(ask(0, 1, false).map_err(|hold| hold.kind()), Err("memory"));
    assert_eq!(ask(0, 2, true).map_err(|hold| hold.kind()), Err("not-armed"));
    assert_eq!(ask(0, 3, true).map_err(|hold| hold.kind()), Err("not-armed"));
    assert_eq!(ask(0, 1, true).map(|order| order.rule), Ok(None));
    assert_eq!(ask(1, 1, true).map_err(|hold| hold.kind()), Err("busy"));
    engine.done(1, Done::Dumped, Moment(2000));
    assert!(engine.ask(&short(3), id(1), "again".into(), true).is_ok(), "no cooldown for who asks");
}

#[test]
fn selections_mean_what_they_say() {
    let fits = |select: &str, seen: &Seen| {
        let config = config("", &format!("{FAT}select = {{ {select} }}\n"));
        seen.is_meant(&config.rules[0].select)
    };
    let seen = Seen { container: Some("abc123".into()), label: Some("blue".into()), ..worker(1, 5) };
    for select in ["app = 'sh*'", "unit = 'shop.service'", "container = 'abc*'", "user = 'www'", "label = 'b?ue'"] {
        assert!(fits(select, &seen), "{select}");
    }
    for select in
        ["app = 'lms'", "container = 'x*'", "label = 'green'", "app = 'shop', user = 'root'", "server = 'uwsgi'"]
    {
        assert!(!fits(select, &seen), "{select}");
    }
    assert!(!fits("label = '*'", &worker(1, 5)), "what is not there fits no pattern");
}

/// An order is given, the agent restarted, and the worker is found as `then` has it: whether it is tried again.
fn is_tried_again_after_a_restart(then: impl FnOnce(&mut Seen)) -> bool {
    let mut engine = engine("cooldown = '1s'", FAT);
    let mut fat = Seen { finished: 3, published: 0b111, ..worker(1, 2 * GIGABYTE) };
    assert_eq!(ordered(&engine.look(&look(1000, &[fat.clone()]))), Some(1));
    let config = config("cooldown = '1s'", FAT);
    let mut engine = Engine::new(config.rules, config.limits, false, engine.state().clone());
    then(&mut fat);
    engine.look(&look(1005, &[fat.clone()]));
    assert!(engine.running().is_none(), "how it ended is known");
    ordered(&engine.look(&look(1200, &[fat]))).is_some()
}

/// An engine that was restarted after it had ordered a dump of the worker 1, at second 1000.
fn restarted_in_a_dump() -> Engine {
    let limits = "max_share = '100%'";
    let mut engine = engine(limits, FAT);
    assert_eq!(ordered(&engine.look(&look(1000, &[worker(1, 2 * GIGABYTE)]))), Some(1));
    let config = config(limits, FAT);
    Engine::new(config.rules, config.limits, false, engine.state().clone())
}

#[test]
fn after_a_restart_the_copy_of_a_dead_worker_is_waited_for_but_not_for_ever() {
    let see = |engine: &mut Engine, seconds, copying| {
        assert!(engine.needs().copies);
        ordered(&engine.look(&Look { copying, ..look(seconds, &[worker(2, 2 * GIGABYTE)]) }))
    };
    let mut engine = restarted_in_a_dump();
    assert_eq!((see(&mut engine, 1005, true), see(&mut engine, 1010, false)), (None, Some(2)), "it has ended");
    assert!(!engine.needs().copies);
    let mut engine = restarted_in_a_dump();
    assert_eq!((see(&mut engine, 4600, true), see(&mut engine, 4601, true)), (None, Some(2)), "it takes too long");
}

#[test]
fn after_a_restart_a_dump_that_never_ends_keeps_no_other_from_being_taken() {
    let mut engine = restarted_in_a_dump();
    let workers = [Seen { dumping: true, ..worker(1, 2 * GIGABYTE) }, worker(2, 2 * GIGABYTE)];
    let mut see = |seconds| ordered(&engine.look(&look(seconds, &workers)));
    assert_eq!((see(4600), see(4601)), (None, Some(2)));
}

#[test]
fn after_a_restart_the_orders_own_dump_counts_and_no_other() {
    let after = |finished, published| {
        is_tried_again_after_a_restart(|seen| (seen.finished, seen.published) = (finished, published))
    };
    assert!(!after(4, 0b1111), "it was published");
    assert!(after(4, 0b1110), "it failed");
    assert!(after(5, 0b11101), "it failed, and somebody had another one made");
    assert!(!after(5, 0b11110), "it was published, and somebody else's failed");
    assert!(after(3, 0b111), "it was never asked for");
    assert!(!after(3 + 65, 0), "too long ago to be known");
}
