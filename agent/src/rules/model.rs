//! The machine against a model of it: random lives of workers, crashes of the agent, failures and clocks that jump, and
//! what must hold of every decision, counted by other means than the machine's.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::look::*;

const CONFIG: &str = "
[limits]
cooldown = 'COOLDOWN'
max_share = '50%'
share_window = '2m'
min_memory = '1GB'
min_disk = '0%'
patience = '5m'

[[rule]]
name = 'fat'
trigger = 'rss'
above = 'ABOVE'
clear_below = 'CLEAR'
polls = 3
dumps = 2
apart = '1m'

[[rule]]
name = 'nightly'
trigger = 'schedule'
cron = '*/30 * * * *'
";
const POLL: Duration = Duration::from_secs(5);
const APART: Duration = Duration::from_secs(60);
const WINDOW: Duration = Duration::from_secs(120);
const PATIENCE: Duration = Duration::from_secs(300);
const LONGEST: Duration = Duration::from_secs(3600);

/// What differs between the configurations that the agent is given: a threshold and a lower one, and the rest after a
/// dump.
struct Variant {
    above: u64,
    clear: u64,
    cooldown: Duration,
}

const VARIANTS: [Variant; 2] = [
    Variant { above: 1_000_000_000, clear: 900_000_000, cooldown: Duration::from_secs(600) },
    Variant { above: 1_200_000_000, clear: 1_100_000_000, cooldown: Duration::from_secs(1200) },
];

impl Variant {
    fn config(&self) -> Config {
        let text = CONFIG.replace("COOLDOWN", &format!("{}s", self.cooldown.as_secs()));
        let text = text.replace("ABOVE", &format!("{}B", self.above)).replace("CLEAR", &format!("{}B", self.clear));
        Config::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"))
    }
}

/// What happens between two looks.
#[derive(Clone, Debug)]
enum Step {
    Nothing,
    Grow(usize, u64),
    Shrink(usize),
    Die(usize),
    /// It dies, and its copy writes on, if there is one.
    Orphan(usize),
    Disarm(usize, bool),
    /// The dump that is under way ends so; of a failure, whether the worker has counted it.
    Ends(Done, bool),
    DumpByHand(usize),
    Crash,
    Pause(bool),
    PauseFor(u64),
    Memory(u64),
    /// The store is full, or somebody has made room.
    Disk(bool),
    /// Another configuration, or the same once more.
    Reload(usize),
    /// Somebody asks for a dump of that one by the control socket, whatever the host is like if `true`.
    Ask(usize, bool),
    Sleep(u64),
    SetClock(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Nothing),
        8 => (0..6usize, 1..600u64).prop_map(|(worker, by)| Step::Grow(worker, by)),
        3 => (0..6usize).prop_map(Step::Shrink),
        1 => (0..6usize).prop_map(Step::Die),
        1 => (0..6usize).prop_map(Step::Orphan),
        1 => (0..6usize, any::<bool>()).prop_map(|(worker, armed)| Step::Disarm(worker, armed)),
        6 => (prop_oneof![4 => Just(Done::Dumped), 1 => Just(Done::Failed)], any::<bool>())
            .prop_map(|(done, counts)| Step::Ends(done, counts)),
        1 => (0..6usize).prop_map(Step::DumpByHand),
        1 => Just(Step::Crash),
        1 => any::<bool>().prop_map(Step::Pause),
        1 => (1..600u64).prop_map(Step::PauseFor),
        1 => any::<bool>().prop_map(Step::Disk),
        1 => (0..VARIANTS.len()).prop_map(Step::Reload),
        1 => (0..6usize, any::<bool>()).prop_map(|(worker, force)| Step::Ask(worker, force)),
        1 => (0..3u64).prop_map(Step::Memory),
        3 => (0..900u64).prop_map(Step::Sleep),
        1 => (-90..90i64).prop_map(Step::SetClock),
    ]
}

/// A worker as it is, and what the model remembers of it.
#[derive(Clone)]
struct Real {
    seen: Seen,
    /// Looks in a row above the threshold, since the machine was last started.
    above: u32,
    /// Whether a first dump for the rule was had, with no look below the lower threshold since.
    had: bool,
    /// When its last dump was ordered or found.
    dumped: Option<Moment>,
    /// The same, before the order that is running.
    dumped_before: Option<Moment>,
    failed: bool,
}

impl Real {
    /// As the worker itself counts its dumps.
    fn count(&mut self, is_published: bool) {
        self.seen.finished += 1;
        self.seen.published = self.seen.published << 1 | u64::from(is_published);
    }
}

/// The host, and the agent on it.
struct World {
    engine: Engine,
    now: Moment,
    wall: jiff::civil::DateTime,
    workers: Vec<Real>,
    next_pid: u32,
    memory: u64,
    is_full: bool,
    /// Until then, or until somebody resumes.
    paused: Option<Option<Moment>>,
    variant: usize,
    /// The order that the agent is carrying out, and whether it still is.
    running: Option<(Order, bool)>,
    orders: Vec<(String, Id, Moment)>,
    nightly: Vec<Moment>,
}

impl World {
    fn new() -> World {
        let config = VARIANTS[0].config();
        let mut world = World {
            engine: Engine::new(config.rules, config.limits, false, State::default()),
            now: Moment(1_000_000),
            wall: jiff::civil::date(2026, 11, 24).at(12, 1, 0, 0),
            workers: Vec::new(),
            next_pid: 1,
            memory: 4,
            is_full: false,
            paused: None,
            variant: 0,
            running: None,
            orders: Vec::new(),
            nightly: Vec::new(),
        };
        for i in 0..6 {
            let worker = world.worker(i);
            world.workers.push(worker);
        }
        world
    }

    fn worker(&mut self, i: usize) -> Real {
        self.next_pid += 1;
        let service = if i < 4 { "shop" } else { "lms" };
        let seen = Seen {
            id: Id { pid: self.next_pid, start_time: self.now.0 / 10 },
            app: service.into(),
            service: service.into(),
            cgroup: format!("/{service}"),
            rss: 300_000_000,
            age: Duration::ZERO,
            ..Seen::example()
        };
        Real { seen, above: 0, had: false, dumped: None, dumped_before: None, failed: false }
    }

    fn apply(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Nothing => {}
            Step::Grow(i, by) => self.workers[i].seen.rss += by * 1_000_000,
            Step::Shrink(i) => self.workers[i].seen.rss = 500_000_000,
            Step::Die(i) => {
                let id = self.workers[i].seen.id;
                if let Some((order, told)) = self.running.take_if(|(order, _)| order.worker == id) {
                    self.uncount(id);
                    if told {
                        self.engine.done(order.number, Done::Gone, self.now);
                    }
                }
                self.workers[i] = self.worker(i);
            }
            Step::Orphan(i) => {
                let id = self.workers[i].seen.id;
                if self.running.as_ref().is_some_and(|(order, _)| order.worker == id) {
                    self.workers[i] = self.worker(i);
                }
            }
            Step::Disarm(i, armed) => self.workers[i].seen.armed = armed,
            Step::Ends(done, counts) => self.end(done, counts),
            Step::DumpByHand(i) if self.workers[i].seen.armed && !self.workers[i].seen.dumping => {
                self.workers[i].count(true);
                self.workers[i].dumped = Some(self.now);
            }
            Step::DumpByHand(_) => {}
            Step::Crash => self.crash(),
            Step::Pause(true) => {
                self.engine.pause(self.now, None);
                self.paused = Some(None);
            }
            Step::Pause(false) => {
                self.engine.resume();
                self.paused = None;
            }
            Step::PauseFor(seconds) => {
                let time = Duration::from_secs(seconds);
                self.engine.pause(self.now, Some(time));
                self.paused = Some(Some(self.now.after(time)));
            }
            Step::Disk(is_full) => self.is_full = is_full,
            Step::Reload(variant) => self.reload(variant),
            Step::Ask(i, force) => self.ask(i, force)?,
            Step::Memory(gigabytes) => self.memory = gigabytes * 2,
            Step::Sleep(seconds) => self.pass(Duration::from_secs(seconds)),
            Step::SetClock(minutes) => self.wall = self.wall.saturating_add(SignedDuration::from_mins(minutes)),
        }
        Ok(())
    }

    /// A rule that is another one now knows nothing of what was before.
    fn reload(&mut self, variant: usize) {
        let config = VARIANTS[variant].config();
        self.engine.reload(config.rules, config.limits, false);
        if variant != self.variant {
            self.variant = variant;
            self.workers.iter_mut().for_each(|worker| (worker.above, worker.had) = (0, false));
        }
    }

    /// Whoever asks gets a dump, unless there is one under way, the worker would not answer, or the host is short of
    /// something and he does not insist.
    fn ask(&mut self, i: usize, force: bool) -> Result<(), TestCaseError> {
        let look = self.as_look();
        let seen = &self.workers[i].seen;
        let is_short = self.memory == 0 || self.is_full;
        let may = self.running.is_none() && seen.armed && !seen.dumping && (force || !is_short);
        let answer = self.engine.ask(&look, seen.id, "asked".into(), force);
        match answer {
            Ok(order) => {
                prop_assert!(may, "{order:?} although {:?} is running", self.running);
                self.begin(i, order);
            }
            // Of what was running before a crash, it may not know yet that it has ended.
            Err(hold) => prop_assert!(!may || self.engine.running().is_some(), "refused: {hold}"),
        }
        Ok(())
    }

    fn is_paused(&self) -> bool {
        self.paused.is_some_and(|until| until.is_none_or(|until| until > self.now))
    }

    /// The dump that is under way ends, and the agent learns of it if it is the one that ordered it.
    fn end(&mut self, done: Done, counts: bool) {
        let Some((order, told)) = self.running.take() else { return };
        let now = self.now;
        if let Some(worker) = self.workers.iter_mut().find(|worker| worker.seen.id == order.worker) {
            worker.seen.dumping = false;
            if done == Done::Dumped || counts {
                worker.count(done == Done::Dumped);
            }
            worker.failed = done == Done::Failed;
            if done == Done::Failed {
                worker.had &= order.campaign.is_none_or(|(number, _)| number != 1);
                worker.dumped = worker.dumped_before;
            }
        } else if !told {
            self.uncount(order.worker);
        }
        if told {
            self.engine.done(order.number, done, now);
        }
    }

    /// There is no dump after all, or nobody knows of one: the order counts for nothing.
    fn uncount(&mut self, worker: Id) {
        if let Some(last) = self.orders.iter().rposition(|(_, id, _)| *id == worker) {
            self.orders.remove(last);
        }
    }

    /// The agent is killed and started again with what it had written down.
    fn crash(&mut self) {
        let text = serde_json::to_string(self.engine.state()).unwrap();
        let state: State = serde_json::from_str(&text).unwrap();
        let config = VARIANTS[self.variant].config();
        self.engine = Engine::new(config.rules, config.limits, false, state);
        self.workers.iter_mut().for_each(|worker| worker.above = 0);
        if let Some((_, told)) = &mut self.running {
            *told = false;
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
        self.wall = self.wall.saturating_add(SignedDuration::try_from(time).unwrap());
    }

    fn look(&mut self) -> Result<(), TestCaseError> {
        self.pass(POLL);
        let Variant { above, clear, .. } = VARIANTS[self.variant];
        for worker in &mut self.workers {
            let rss = worker.seen.rss;
            worker.above = if rss > above { worker.above + 1 } else { 0 };
            worker.had &= rss >= clear;
        }
        let look = self.as_look();
        let must = self.must_order();
        let decisions = self.engine.look(&look);
        self.give_up()?;
        let orders: Vec<Order> = decisions
            .into_iter()
            .filter_map(|decision| if let Decision::Dump(order) = decision { Some(order) } else { None })
            .collect();
        prop_assert!(orders.len() <= 1, "{orders:?}");
        prop_assert!(!must || orders.len() == 1, "a trigger was missed at {:?}", self.now);
        orders.into_iter().try_for_each(|order| self.check(order))
    }

    fn as_look(&self) -> Look {
        let store_full = self.is_full.then(|| "the store is full".to_owned());
        let memory = Some((self.memory * 1_000_000_000, 8_000_000_000));
        Look {
            now: self.now,
            wall: self.wall,
            workers: self.workers.iter().map(|worker| as_seen(&worker.seen)).collect(),
            groups: BTreeMap::new(),
            copying: self.running.is_some(),
            host: Host { memory, store_full, ..Host::default() },
        }
    }

    /// An order from before a crash may be given up if its worker could not be read for too long, or if it takes too
    /// long itself, and only then.
    fn give_up(&mut self) -> Result<(), TestCaseError> {
        let Some((order, false)) = &self.running else { return Ok(()) };
        if self.engine.running().is_some_and(|running| running.number == order.number) {
            return Ok(());
        }
        let ordered = self.orders.iter().rfind(|(_, id, _)| *id == order.worker).map(|(_, _, at)| *at);
        let waited = ordered.map(|at| self.now.since(at));
        let is_unknown = self.workers.iter().any(|worker| worker.seen.id == order.worker && !worker.seen.armed);
        let patience = if is_unknown { PATIENCE } else { LONGEST };
        prop_assert!(waited > Some(patience), "given up after {waited:?}: {order:?}");
        self.end(Done::Failed, false);
        Ok(())
    }

    /// Whether there is a worker that has to be dumped now and about which nothing is doubtful.
    fn must_order(&self) -> bool {
        let is_bearable = !self.is_paused() && self.memory > 0 && !self.is_full;
        let free = is_bearable && self.running.is_none() && self.engine.running().is_none();
        let is_due = |worker: &Real| {
            // A dump by hand is noticed with the next look.
            let rested =
                worker.dumped.is_none_or(|dumped| self.now.since(dumped) >= VARIANTS[self.variant].cooldown + POLL);
            let clean = worker.seen.armed && !worker.failed && rested && self.lately(&worker.seen).is_empty();
            worker.above >= 3 && !worker.had && clean
        };
        free && self.workers.iter().any(is_due)
    }

    /// The workers of the same service that were dumped within the window.
    fn lately(&self, seen: &Seen) -> Vec<Id> {
        let of = |order: &&(String, Id, Moment)| order.0 == seen.service && self.now.since(order.2) < WINDOW;
        let mut ids: Vec<Id> = self.orders.iter().filter(of).map(|order| order.1).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// What must hold of every order.
    fn check(&mut self, order: Order) -> Result<(), TestCaseError> {
        prop_assert!(!self.is_paused() && self.memory > 0 && !self.is_full, "not now: {order:?}");
        prop_assert!(self.running.is_none(), "two at once: {order:?} and {:?}", self.running);
        let now = self.now;
        let at = self.workers.iter().position(|worker| worker.seen.id == order.worker);
        prop_assert!(at.is_some(), "of a dead worker: {order:?}");
        let at = at.unwrap_or_default();
        let lately = self.lately(&self.workers[at].seen);
        let workers = if self.workers[at].seen.service == "shop" { 4 } else { 2 };
        prop_assert!(lately.contains(&order.worker) || lately.len() < workers / 2, "too many: {lately:?}, {order:?}");
        let worker = &mut self.workers[at];
        prop_assert!(worker.seen.armed && !worker.seen.dumping, "{order:?}");
        let second = order.campaign.is_some_and(|(number, _)| number > 1);
        let gap = worker.dumped.map(|dumped| now.since(dumped));
        let least = if second { APART } else { VARIANTS[self.variant].cooldown };
        prop_assert!(gap.is_none_or(|gap| gap >= least), "{gap:?} after the last: {order:?}");
        if order.rule.as_deref() == Some("fat") && !second {
            prop_assert!(!worker.had, "twice for one reason: {order:?}");
            prop_assert!(worker.seen.rss >= VARIANTS[self.variant].clear, "for no reason: {order:?}");
            worker.had = true;
        }
        if order.rule.as_deref() == Some("nightly") {
            // Twice an hour, but for clocks that were set forward; and once more if a try has failed.
            self.nightly.push(now);
        }
        self.begin(at, order);
        Ok(())
    }

    /// The agent carries it out.
    fn begin(&mut self, at: usize, order: Order) {
        let worker = &mut self.workers[at];
        worker.seen.dumping = true;
        worker.dumped_before = worker.dumped.replace(self.now);
        self.orders.push((worker.seen.service.clone(), order.worker, self.now));
        self.running = Some((order, true));
    }
}

/// What the observer makes of a worker: of one that it cannot read, it knows neither dumps nor how many there were.
fn as_seen(seen: &Seen) -> Seen {
    let dumping = seen.armed && seen.dumping;
    Seen { dumping, finished: if seen.armed { seen.finished } else { 0 }, ..seen.clone() }
}

/// How many lives of a host are lived: `PROPTEST_CASES` of them, for whoever wants to know more.
fn lives() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|number| number.parse().ok()).unwrap_or(150)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: lives(), max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn every_decision_is_right_whatever_happens(steps in prop::collection::vec(step(), 1..300)) {
        let mut world = World::new();
        // What was before the first look nobody can know.
        world.look()?;
        for step in steps {
            world.apply(step)?;
            world.look()?;
        }
    }
}

/// Its cooldown holds, although the failure before it was only found after a restart.
#[test]
fn a_dump_by_hand_counts_right_after_a_failure() {
    let mut world = World::new();
    world.look().unwrap();
    let steps = [Step::Grow(4, 701), Step::Nothing, Step::Nothing, Step::Crash, Step::Ends(Done::Failed, false)];
    for step in steps.into_iter().chain([Step::DumpByHand(4)]).chain((0..130).map(|_| Step::Nothing)) {
        world.apply(step).unwrap();
        world.look().unwrap_or_else(|error| panic!("{error}"));
    }
    assert!(world.orders.len() >= 2, "{:?}", world.orders);
}

/// A day of looks: every worker that grows fat is dumped, and the number of dumps is what it has to be.
#[test]
fn a_day_of_thousands_of_lives() {
    let mut world = World::new();
    let looks = 24 * 3600 / 5;
    let mut lives = 0;
    for i in 0..looks {
        let at = i % 6;
        let worker = &mut world.workers[at];
        worker.seen.rss += 20_000_000;
        // One service's workers live until they have both their dumps, and then some; the other's are soon recycled.
        if worker.seen.service == "lms" || worker.seen.finished >= 2 {
            world.apply(Step::Die(at)).unwrap();
            lives += 1;
        }
        world.apply(Step::Ends(Done::Dumped, true)).unwrap();
        if i % 997 == 0 {
            world.apply(Step::Crash).unwrap();
        }
        world.look().unwrap_or_else(|error| panic!("{error}"));
    }
    assert!(lives > 5000, "{lives}");
    let fat = world.orders.iter().filter(|(service, ..)| service == "shop").count();
    assert!(fat > 200, "{fat}");
    assert!((46..=49).contains(&world.nightly.len()), "{}", world.nightly.len());
    // What is remembered does not grow with time.
    let state = serde_json::to_string(world.engine.state()).unwrap();
    assert!(state.len() < 10_000, "{}", state.len());
}
