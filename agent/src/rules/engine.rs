//! The machine itself: it keeps a track for each rule and subject, chooses among what is wanted, and remembers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::gate::{self, Hold, Past, Recent};
use super::identity::Identity;
use crate::config::{Limits, Rule};
use crate::look::{Id, Look, Moment, Needs, Seen};
use crate::triggers::{Subject, Track, Wanted, Watch};

/// The pause after a first failure; it doubles with each.
const RETRY: Duration = Duration::from_secs(60);
/// After so many failures in a row a worker is left alone until it is clear again, or for good.
const FAILURES: u32 = 5;

/// The machine.
pub struct Engine {
    rules: Vec<Rule>,
    limits: Limits,
    dry_run: bool,
    state: State,
    /// Whether the order that is running was given before this program was started.
    inherited: bool,
    /// Of what is wanted and not done: what was seen, and what is in its way.
    held: BTreeMap<(String, Subject), (String, Hold)>,
}

/// What outlives a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The last order's number.
    orders: u64,
    /// The order that is being carried out.
    running: Option<Running>,
    /// No rule acts until then.
    paused: Option<Pause>,
    tracks: Vec<(String, Vec<(Subject, Track)>)>,
    campaigns: Vec<Campaign>,
    past: Vec<(Id, Past)>,
    recent: Vec<Recent>,
    /// What each rule was, to see which have changed.
    rules: BTreeMap<String, Identity>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Running {
    order: Order,
    subject: Subject,
    wanted: Option<Wanted>,
    since: Moment,
    /// How many dumps of the worker had ended.
    finished: u64,
    /// When the worker had been dumped last.
    dumped: Option<Moment>,
}

/// How long a pause is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Pause {
    Until(Moment),
    ForGood,
}

/// Dumps of one worker that are still to come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Campaign {
    rule: String,
    worker: Id,
    subject: Subject,
    taken: u32,
    next: Moment,
    why: String,
}

/// A dump to be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its number.
    pub number: u64,
    /// The worker.
    pub worker: Id,
    /// The worker's service.
    pub service: String,
    /// The rule; `None`: somebody asked.
    pub rule: Option<String>,
    /// What was seen.
    pub why: String,
    /// Of a campaign: which one, and of how many.
    pub campaign: Option<(u32, u32)>,
}

/// How an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// There is a dump.
    Dumped,
    /// There is none; it may be tried again.
    Failed,
    /// The worker has died.
    Gone,
}

/// What the machine decides.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Take this dump; then say how it ended.
    Dump(Order),
    /// A dry run: this dump would be taken.
    WouldDump(Order),
    /// A dump is wanted, but not now. Told once for each reason.
    Held(Want),
    /// A dump that was wanted will not be taken.
    Dropped {
        /// The rule.
        rule: String,
        /// Why.
        why: String,
    },
}

/// A dump that is wanted and not taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Want {
    /// The rule.
    pub rule: String,
    /// The worker, where there is one.
    pub worker: Option<Id>,
    /// What was seen.
    pub why: String,
    /// What is in its way.
    pub hold: Hold,
}

/// Something that is wanted, with the worker that would be dumped.
struct Candidate<'a> {
    rule: &'a Rule,
    subject: Subject,
    wanted: Wanted,
    taken: u32,
    worker: Result<&'a Seen, Hold>,
}

impl Engine {
    /// A machine with these rules that goes on from `state`.
    pub fn new(rules: Vec<Rule>, limits: Limits, dry_run: bool, state: State) -> Engine {
        let inherited = state.running.is_some();
        let mut engine = Engine { rules: Vec::new(), limits, dry_run, state, inherited, held: BTreeMap::new() };
        for track in engine.state.tracks.iter_mut().flat_map(|(_, tracks)| tracks) {
            track.1.resume();
        }
        engine.adopt(rules);
        engine
    }

    /// Goes on with other rules. One that is as it was remembers what it knew.
    pub fn reload(&mut self, rules: Vec<Rule>, limits: Limits, dry_run: bool) {
        (self.limits, self.dry_run) = (limits, dry_run);
        self.held.clear();
        self.adopt(rules);
    }

    fn adopt(&mut self, rules: Vec<Rule>) {
        let before = std::mem::take(&mut self.state.rules);
        let is_as_before = |rule: &&Rule| before.get(&rule.name).is_some_and(|identity| identity.is_of(rule));
        let as_before: BTreeSet<&str> = rules.iter().filter(is_as_before).map(|rule| &*rule.name).collect();
        let same = |name: &String| as_before.contains(&**name);
        self.state.tracks.retain(|(rule, _)| same(rule));
        self.state.campaigns.retain(|campaign| same(&campaign.rule));
        self.state.rules = rules.iter().map(|rule| (rule.name.clone(), Identity::of(rule))).collect();
        self.rules = rules;
    }

    /// What has to be kept for the next start.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What the next look should hold.
    pub fn needs(&self) -> Needs {
        let mut needs = Needs { copies: self.inherited, ..Needs::default() };
        for rule in &self.rules {
            rule.trigger.ask_for(&mut needs);
            needs.labels |= rule.select.label.is_some();
        }
        needs
    }

    /// Stops acting, for a time or until somebody says otherwise.
    pub fn pause(&mut self, now: Moment, time: Option<Duration>) {
        self.state.paused = Some(time.map_or(Pause::ForGood, |time| Pause::Until(now.after(time))));
    }

    /// Acts again.
    pub fn resume(&mut self) {
        self.state.paused = None;
    }

    /// Whether it is paused, and for how long yet, if that is known.
    pub fn paused(&self, now: Moment) -> Option<Option<Duration>> {
        match self.state.paused? {
            Pause::ForGood => Some(None),
            Pause::Until(end) if end > now => Some(Some(end.since(now))),
            Pause::Until(_) => None,
        }
    }

    /// What is wanted and not done: the rule, what was seen, and what is in its way.
    pub fn wants(&self) -> Vec<(&str, &str, String)> {
        self.held.iter().map(|((rule, _), (why, hold))| (&**rule, &**why, hold.to_string())).collect()
    }

    /// The order that is being carried out.
    pub fn running(&self) -> Option<&Order> {
        self.state.running.as_ref().map(|running| &running.order)
    }

    /// Takes in one look, and decides.
    pub fn look(&mut self, look: &Look) -> Vec<Decision> {
        self.forget(look);
        self.notice(look);
        let mut decisions = Vec::new();
        self.settle_inherited(look);
        self.watch(look, &mut decisions);
        self.choose(look, &mut decisions);
        decisions
    }

    /// Orders a dump that somebody asks for. Cooldown and share are theirs to judge, and with `force` the host's state.
    pub fn ask(&mut self, look: &Look, worker: Id, why: String, force: bool) -> Result<Order, Hold> {
        let seen = look.workers.iter().find(|seen| seen.id == worker).ok_or(Hold::NotArmed)?;
        if self.state.running.is_some() {
            return Err(Hold::Busy);
        }
        gate::ready(seen)?;
        if !force {
            gate::host(&look.host, &self.limits)?;
        }
        Ok(self.order(look, seen, None, Subject::Worker(worker), None, why, None))
    }

    /// Learns how the order of that number ended.
    pub fn done(&mut self, number: u64, outcome: Done, now: Moment) {
        let Some(running) = self.state.running.take_if(|running| running.order.number == number) else { return };
        self.inherited = false;
        self.finish(running, outcome, now);
    }

    fn finish(&mut self, running: Running, outcome: Done, now: Moment) {
        let Running { order, subject, wanted, since, finished, dumped } = running;
        if let Some(past) = self.past(order.worker) {
            // The dump that it has counted meanwhile was ours; of a failure it is not sure whether it was counted.
            past.finished = (outcome == Done::Dumped).then_some(finished + 1);
            if outcome == Done::Failed {
                past.dumped = dumped;
            }
        }
        let rule = order.rule.as_ref().and_then(|name| self.rules.iter().find(|rule| rule.name == *name)).cloned();
        match outcome {
            Done::Dumped => {
                if let Some(past) = self.past(order.worker) {
                    (past.failures, past.retry) = (0, None);
                }
                let taken = order.campaign.map_or(1, |(number, _)| number);
                if let Some(rule) = rule.filter(|rule| taken < rule.dumps) {
                    let next = since.after(rule.apart);
                    let (worker, why) = (order.worker, order.why);
                    self.state.campaigns.push(Campaign { rule: rule.name, worker, subject, taken, next, why });
                }
            }
            Done::Failed => self.failed(order, subject, wanted, rule, now),
            Done::Gone => {
                self.state.recent.retain(|recent| (recent.id, recent.at) != (order.worker, since));
                // A group has other workers.
                let is_first = order.campaign.is_none_or(|(number, _)| number == 1);
                if let (Some(rule), true) = (rule, is_first && !matches!(subject, Subject::Worker(_))) {
                    self.track(&rule.name, &subject).again(wanted);
                }
            }
        }
    }

    fn failed(&mut self, order: Order, subject: Subject, wanted: Option<Wanted>, rule: Option<Rule>, now: Moment) {
        let cooldown = rule.as_ref().and_then(|rule| rule.cooldown).unwrap_or(self.limits.cooldown);
        let Some(past) = self.past(order.worker) else { return };
        past.failures += 1;
        let failures = past.failures;
        let pause = RETRY.saturating_mul(1 << (failures - 1).min(10));
        past.retry = Some(now.after(pause.min(cooldown.max(RETRY))));
        let Some(rule) = rule.filter(|_| failures < FAILURES) else { return };
        match order.campaign {
            Some((number, _)) if number > 1 => {
                let (worker, why) = (order.worker, order.why);
                self.state.campaigns.push(Campaign {
                    rule: rule.name,
                    worker,
                    subject,
                    taken: number - 1,
                    next: now,
                    why,
                });
            }
            _ => self.track(&rule.name, &subject).again(wanted),
        }
    }

    /// Drops what is known of workers that have died, and of times that have gone by.
    fn forget(&mut self, look: &Look) {
        let alive: BTreeSet<Id> = look.workers.iter().map(|worker| worker.id).collect();
        let groups: BTreeSet<&str> = look.workers.iter().map(|worker| &*worker.cgroup).collect();
        for (_, tracks) in &mut self.state.tracks {
            tracks.retain(|(subject, _)| match subject {
                Subject::Worker(id) => alive.contains(id),
                Subject::Cgroup(path) => groups.contains(&**path),
                Subject::All => true,
            });
        }
        let window = self.limits.share_window;
        self.state.campaigns.retain(|campaign| alive.contains(&campaign.worker));
        self.state.past.retain(|(id, _)| alive.contains(id));
        self.state.recent.retain(|recent| look.now.since(recent.at) < window);
        if self.state.paused.is_some() && self.paused(look.now).is_none() {
            self.state.paused = None;
        }
    }

    /// Notices dumps that somebody else had made: they count for the cooldown.
    fn notice(&mut self, look: &Look) {
        let ours = self.state.running.as_ref().map(|running| running.order.worker);
        // Of one that is not armed, or whose block was just being written, nothing is known.
        for worker in look.workers.iter().filter(|worker| worker.armed) {
            let past = entry(&mut self.state.past, worker.id);
            let is_new = past.finished.is_some_and(|before| worker.finished > before);
            past.finished = Some(worker.finished);
            if is_new && ours != Some(worker.id) {
                past.dumped = Some(look.now);
            }
        }
    }

    /// What became of an order that was given before a restart shows in the worker itself.
    fn settle_inherited(&mut self, look: &Look) {
        if !self.inherited {
            return;
        }
        let Some(running) = &self.state.running else { return };
        let id = running.order.worker;
        let worker = look.workers.iter().find(|worker| worker.id == id);
        let waited = look.now.since(running.since);
        let is_late = waited > self.limits.longest;
        let outcome = match worker {
            // The worker's copy outlives it, and nothing is known of it but that.
            None if look.copying && !is_late => return,
            None => Done::Gone,
            Some(worker) if worker.dumping && !is_late => return,
            // Not known yet, which may only mean that its block was just being written; not to be waited for for ever.
            Some(worker) if !worker.armed && waited <= self.limits.patience => return,
            // Whoever else had one made meanwhile: the first was the order's.
            Some(worker) if worker.has_published(running.finished + 1) => Done::Dumped,
            Some(_) => Done::Failed,
        };
        self.done(running.order.number, outcome, look.now);
        // After a failure it is not sure what was counted; here it is, and whatever is counted from now on is news.
        let counted = worker.filter(|worker| worker.armed).map(|worker| worker.finished);
        if let (Done::Failed, Some(counted), Some(past)) = (outcome, counted, self.past(id)) {
            past.finished = Some(counted);
        }
    }

    /// Shows every rule what it watches.
    fn watch(&mut self, look: &Look, decisions: &mut Vec<Decision>) {
        let patience = self.limits.patience;
        for rule in self.rules.clone() {
            let meant = || look.workers.iter().filter(|worker| worker.is_meant(&rule.select));
            match rule.trigger.watch() {
                Watch::Cgroup(trigger) => {
                    let paths: BTreeSet<&String> = meant().map(|worker| &worker.cgroup).collect();
                    for path in paths {
                        let Some(group) = look.groups.get(path) else { continue };
                        trigger.see(self.track(&rule.name, &Subject::Cgroup(path.clone())), group, look.now);
                    }
                }
                Watch::Host(trigger) => trigger.see(self.track(&rule.name, &Subject::All), look, patience),
                Watch::Worker(trigger) => {
                    for worker in meant() {
                        trigger.see(self.track(&rule.name, &Subject::Worker(worker.id)), worker, look.now);
                    }
                }
            }
        }
        for (rule, tracks) in &mut self.state.tracks {
            for (_, track) in tracks {
                let Some(wanted) = track.wanted.take_if(|want| want.passes && look.now.since(want.since) > patience)
                else {
                    continue;
                };
                let why = format!("{}, but no dump could be taken for {}", wanted.why, crate::render::age(patience));
                decisions.push(Decision::Dropped { rule: rule.clone(), why });
            }
        }
    }

    /// Gives one order at most: the first candidate that nothing stands in the way of.
    fn choose(&mut self, look: &Look, decisions: &mut Vec<Decision>) {
        let rules = self.rules.clone();
        let mut held = BTreeMap::new();
        for candidate in self.candidates(&rules, look) {
            let Candidate { rule, subject, wanted, taken, worker } = candidate;
            let dry = self.dry_run || rule.dry_run;
            let checked = worker.and_then(|worker| self.check(look, rule, worker, taken).map(|()| worker));
            match checked {
                Ok(worker) => {
                    let campaign = (rule.dumps > 1).then_some((taken + 1, rule.dumps));
                    if dry {
                        let order = Order {
                            number: 0,
                            worker: worker.id,
                            service: worker.service.clone(),
                            rule: Some(rule.name.clone()),
                            why: wanted.why,
                            campaign,
                        };
                        self.track(&rule.name, &subject).fire();
                        decisions.push(Decision::WouldDump(order));
                        continue;
                    }
                    let why = wanted.why.clone();
                    let order = self.order(look, worker, Some(rule), subject, Some(wanted), why, campaign);
                    decisions.push(Decision::Dump(order));
                }
                Err(hold) => {
                    let worker = match &subject {
                        Subject::Worker(id) => Some(*id),
                        _ => None,
                    };
                    let key = (rule.name.clone(), subject);
                    if self.held.get(&key).is_none_or(|(_, before)| before.kind() != hold.kind()) {
                        let (rule, why) = (rule.name.clone(), wanted.why.clone());
                        decisions.push(Decision::Held(Want { rule, worker, why, hold: hold.clone() }));
                    }
                    held.insert(key, (wanted.why, hold));
                }
            }
        }
        self.held = held;
    }

    /// All that is wanted: first what has begun and goes on, then by the order of the rules, the fattest first.
    fn candidates<'a>(&self, rules: &'a [Rule], look: &'a Look) -> Vec<Candidate<'a>> {
        let mut candidates = Vec::new();
        for campaign in self.state.campaigns.iter().filter(|campaign| campaign.next <= look.now) {
            let rule = rules.iter().find(|rule| rule.name == campaign.rule);
            let worker = look.workers.iter().find(|worker| worker.id == campaign.worker);
            if let (Some(rule), Some(worker)) = (rule, worker) {
                let wanted = Wanted { since: campaign.next, why: campaign.why.clone(), passes: false };
                let (subject, taken) = (campaign.subject.clone(), campaign.taken);
                candidates.push(Candidate { rule, subject, wanted, taken, worker: Ok(worker) });
            }
        }
        for rule in rules {
            let tracks = self.state.tracks.iter().find(|(name, _)| *name == rule.name).map(|(_, tracks)| tracks);
            let mut of_rule = Vec::new();
            for (subject, track) in tracks.into_iter().flatten() {
                let Some(wanted) = track.wanted.clone() else { continue };
                let worker = self.worker_for(rule, subject, look);
                of_rule.push(Candidate { rule, subject: subject.clone(), wanted, taken: 0, worker });
            }
            of_rule
                .sort_by_key(|candidate| std::cmp::Reverse(candidate.worker.as_ref().map_or(0, |worker| worker.rss)));
            candidates.extend(of_rule);
        }
        candidates
    }

    /// The worker itself; of a group the fattest that nothing stands in the way of, else why the fattest must wait.
    fn worker_for<'a>(&self, rule: &Rule, subject: &Subject, look: &'a Look) -> Result<&'a Seen, Hold> {
        let is_in = |worker: &&Seen| match subject {
            Subject::Worker(id) => worker.id == *id,
            Subject::Cgroup(path) => worker.cgroup == *path && worker.is_meant(&rule.select),
            Subject::All => worker.is_meant(&rule.select),
        };
        let mut workers: Vec<&Seen> = look.workers.iter().filter(is_in).collect();
        workers.sort_by_key(|worker| (std::cmp::Reverse(worker.armed), std::cmp::Reverse(worker.rss)));
        let free = workers.iter().find(|worker| self.check(look, rule, worker, 0).is_ok());
        free.or(workers.first()).copied().ok_or(Hold::NotArmed)
    }

    /// Whether a dump of that worker may be taken now, `taken` being how many of its campaign there are.
    fn check(&self, look: &Look, rule: &Rule, worker: &Seen, taken: u32) -> Result<(), Hold> {
        if self.paused(look.now).is_some() {
            return Err(Hold::Paused);
        }
        gate::ready(worker)?;
        let past = self.state.past.iter().find(|(id, _)| *id == worker.id).map(|(_, past)| past);
        // The dumps of a campaign are as far apart as it says.
        let cooldown = if taken > 0 { rule.apart } else { rule.cooldown.unwrap_or(self.limits.cooldown) };
        gate::rested(past, look.now, cooldown)?;
        gate::share(&self.state.recent, look, worker, &self.limits)?;
        gate::host(&look.host, &self.limits)?;
        if self.state.running.is_some() { Err(Hold::Busy) } else { Ok(()) }
    }

    #[expect(clippy::too_many_arguments, reason = "an order has that many parts")]
    fn order(
        &mut self,
        look: &Look,
        worker: &Seen,
        rule: Option<&Rule>,
        subject: Subject,
        wanted: Option<Wanted>,
        why: String,
        campaign: Option<(u32, u32)>,
    ) -> Order {
        self.state.orders += 1;
        let order = Order {
            number: self.state.orders,
            worker: worker.id,
            service: worker.service.clone(),
            rule: rule.map(|rule| rule.name.clone()),
            why,
            campaign,
        };
        if let Some(rule) = rule {
            // A later dump of a campaign is not the answer to what may be wanted anew by now.
            if campaign.is_none_or(|(number, _)| number == 1) {
                self.track(&rule.name, &subject).fire();
            }
            self.state.campaigns.retain(|campaign| campaign.worker != worker.id || campaign.rule != rule.name);
        }
        let past = entry(&mut self.state.past, worker.id);
        let dumped = past.dumped.replace(look.now);
        past.retry = None;
        self.state.recent.push(Recent { service: worker.service.clone(), id: worker.id, at: look.now });
        let (since, finished) = (look.now, worker.finished);
        self.state.running = Some(Running { order: order.clone(), subject, wanted, since, finished, dumped });
        self.inherited = false;
        order
    }

    fn track(&mut self, rule: &str, subject: &Subject) -> &mut Track {
        let tracks = entry(&mut self.state.tracks, rule.to_owned());
        entry(tracks, subject.clone())
    }

    fn past(&mut self, worker: Id) -> Option<&mut Past> {
        self.state.past.iter_mut().find(|(id, _)| *id == worker).map(|(_, past)| past)
    }
}

/// The value of a key in a list of pairs (JSON has no other keys than texts), made if there is none.
fn entry<K: Ord + Clone, V: Default>(pairs: &mut Vec<(K, V)>, key: K) -> &mut V {
    let at = match pairs.binary_search_by(|(other, _)| other.cmp(&key)) {
        Ok(at) => at,
        Err(at) => {
            pairs.insert(at, (key, V::default()));
            at
        }
    };
    &mut pairs[at].1
}
