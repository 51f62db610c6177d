//! `heapsee-agent run`: one event loop that looks at the workers, lets the rules decide, and has their orders carried
//! out. It takes no dump and moves no file itself: threads do, and report back as events.

mod control;
mod http;
mod keep;
mod log;
mod metrics;
mod observer;
mod room;
mod status;
mod taker;

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use serde_json::{Value, json};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing::{error, info, warn};

pub use control::{Request, ask};

use crate::armed::open_pidfd;
use crate::config::{Config, LoadError};
use crate::discovery::{Process, named};
use crate::exit::{Exit, Failure};
use crate::host;
use crate::look::{Id, Look};
use crate::pipeline::Pipeline;
use crate::render;
use crate::rules::{Decision, Engine, Order, State};
use crate::stop::Stop;
use control::{Reply, Socket};
use keep::{Found, Keep};
use metrics::Metrics;
use observer::Observer;
use room::Room;
use status::Past;
use taker::{Ended, Job};

/// How often the pipeline is given a turn.
const TURN: Duration = Duration::from_secs(1);
/// How many dumps `status` remembers.
const HISTORY: usize = 20;

/// What the loop waits for.
pub enum Event {
    /// A signal.
    Signal(i32),
    /// Somebody asks at the control socket.
    Asked(Request, Sender<Reply>),
    /// An order has ended.
    Ended(Box<Ended>),
}

/// An order that is being carried out.
struct Taking {
    thread: JoinHandle<()>,
    number: u64,
    /// Since when its dump is being stored.
    storing: Arc<OnceLock<Instant>>,
    /// Whether it was said that this takes long.
    is_told: bool,
}

/// The daemon.
struct Daemon {
    path: PathBuf,
    config: Arc<Config>,
    engine: Engine,
    observer: Observer,
    keep: Keep,
    pipeline: Arc<Pipeline>,
    metrics: Arc<Metrics>,
    server: Option<http::Server>,
    stop: Stop,
    sender: Sender<Event>,
    /// The processes as they were seen last, for the pipeline.
    seen: Arc<Mutex<Arc<Vec<Process>>>>,
    /// When it last looked, in milliseconds since boot; 0: not yet.
    looked: Arc<AtomicU64>,
    last: Option<Look>,
    room: Room,
    taking: Option<Taking>,
    turns: Option<JoinHandle<()>>,
    /// Who waits for the end of which order.
    waiting: HashMap<u64, Sender<Reply>>,
    history: VecDeque<Past>,
    /// Why the configuration that was read last is not in use.
    refused: Option<String>,
    started: jiff::Timestamp,
}

/// Runs until it is told to stop.
pub fn run(path: &Path) -> Result<(), Failure> {
    let config = Arc::new(Config::load(path).map_err(LoadError::into_failure)?);
    log::start(log::Style::of(config.agent.log_json));
    let signals = |error| Failure::new(Exit::Store, format!("signals cannot be caught: {error}"));
    let stop = Stop::without_signals().map_err(signals)?;
    can_hold_processes()?;
    let (sender, events) = channel();
    catch_signals(sender.clone()).map_err(signals)?;
    let keep = Keep::open(&config.agent.state)?;
    let pipeline = Arc::new(Pipeline::open(Arc::clone(&config), host::name())?);
    let metrics = Arc::new(Metrics::new(&pipeline));
    let socket = Socket::listen(&config.agent.socket, sender.clone())?;
    let state = found(&keep);
    let engine = Engine::new(config.rules.clone(), config.limits.clone(), config.agent.dry_run, state);
    let mut daemon = Daemon {
        path: path.to_owned(),
        config,
        engine,
        observer: Observer::default(),
        keep,
        pipeline,
        metrics,
        server: None,
        stop,
        sender,
        seen: Arc::default(),
        looked: Arc::default(),
        last: None,
        room: Room::default(),
        taking: None,
        turns: None,
        waiting: HashMap::new(),
        history: VecDeque::new(),
        refused: None,
        started: jiff::Timestamp::now(),
    };
    daemon.serve_metrics()?;
    raise_file_limit();
    daemon.turns = Some(daemon.give_turns());
    daemon.hello();
    let outcome = daemon.events(&events);
    info!("stopping");
    tell(&[NotifyState::Stopping]);
    daemon.stop.request();
    if let Some(taking) = daemon.taking.take() {
        let _ = taking.thread.join();
    }
    if let Some(turns) = daemon.turns.take() {
        turns.thread().unpark();
        let _ = turns.join();
    }
    drop(socket);
    daemon.save();
    outcome
}

/// Where no process can be held at all, that is said when the agent is set up, and not when a dump is needed.
fn can_hold_processes() -> Result<(), Failure> {
    open_pidfd(std::process::id()).map(drop).map_err(|refusal| {
        Failure::new(Exit::Permission, format!("no worker can be asked for a dump: {refusal}; let the agent have it"))
    })
}

/// Each worker that is known is held by two descriptors, and the usual limit is meant for programs that use `select`.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised =
        getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        warn!(%error, "the limit of open files cannot be raised: with very many workers, some will not be seen");
    }
}

fn catch_signals(sender: Sender<Event>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || {
        for signal in signals.forever() {
            if sender.send(Event::Signal(signal)).is_err() {
                break;
            }
        }
    });
    Ok(())
}

fn found(keep: &Keep) -> State {
    match keep.load() {
        Found::Nothing => State::default(),
        Found::State(state) => {
            info!("going on from the state of an earlier run");
            *state
        }
        Found::Useless(why) => {
            warn!(%why, "the state of an earlier run cannot be used: beginning anew");
            State::default()
        }
    }
}

/// Tells systemd, if it started us.
fn tell(states: &[NotifyState<'_>]) {
    // Nobody listens if it did not.
    let _ = sd_notify::notify(states);
}

impl Daemon {
    fn hello(&self) {
        let rules = self.config.rules.len();
        let (config, store) = (self.path.display(), self.config.store.directory.display());
        info!(version = env!("CARGO_PKG_VERSION"), %config, rules, %store, "running");
        if rules == 0 {
            warn!("there are no rules: nothing is dumped unless somebody asks");
        }
        if self.config.agent.dry_run {
            warn!("dry run: rules only say what they would do");
        }
        tell(&[NotifyState::Ready]);
    }

    /// The loop: events as they come, a look whenever it is time.
    fn events(&mut self, events: &Receiver<Event>) -> Result<(), Failure> {
        let mut next = Instant::now();
        loop {
            match events.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Event::Signal(SIGHUP)) => self.reload(),
                Ok(Event::Signal(_)) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Ok(Event::Asked(request, reply)) => self.answer(request, reply),
                Ok(Event::Ended(ended)) => self.ended(*ended),
                Err(RecvTimeoutError::Timeout) => {
                    self.check_threads()?;
                    self.look();
                    tell(&[NotifyState::Watchdog]);
                    next = Instant::now() + self.config.agent.poll;
                }
            }
        }
    }

    /// A thread that has died of a mistake of ours must not pass unseen.
    fn check_threads(&mut self) -> Result<(), Failure> {
        if self.turns.as_ref().is_some_and(JoinHandle::is_finished) {
            return Err(Failure::new(
                Exit::Store,
                "the thread that keeps and ships dumps has died: start the agent again",
            ));
        }
        // One that is done has sent its event, which was taken in before this.
        if let Some(taking) = self.taking.take_if(|taking| taking.thread.is_finished()) {
            let _ = taking.thread.join();
            error!("the thread that was taking a dump has died");
            self.metrics.running.set(0);
            if let Some(number) = self.engine.running().map(|order| order.number) {
                self.engine.done(number, crate::rules::Done::Failed, observer::now());
                self.waiting.remove(&number);
            }
        }
        Ok(())
    }

    /// The pipeline's thread.
    fn give_turns(&self) -> JoinHandle<()> {
        let (pipeline, stop, seen) = (Arc::clone(&self.pipeline), self.stop.clone(), Arc::clone(&self.seen));
        thread::spawn(move || {
            while !stop.requested() {
                let workers = Arc::clone(&seen.lock().unwrap_or_else(PoisonError::into_inner));
                pipeline.tick(&workers, &stop);
                thread::park_timeout(TURN);
            }
        })
    }

    fn serve_metrics(&mut self) -> Result<(), Failure> {
        let wanted = self.config.metrics.as_ref().map(|metrics| metrics.listen);
        self.server = None;
        let Some(address) = wanted else { return Ok(()) };
        let (looked, patience) = (Arc::clone(&self.looked), self.config.agent.poll * 3 + Duration::from_secs(30));
        let health = move || {
            let since = observer::now().since(crate::look::Moment(looked.load(Ordering::Relaxed)));
            if since < patience { Ok(()) } else { Err("it has not looked at the workers for too long".to_owned()) }
        };
        let pages = http::Pages { metrics: Arc::clone(&self.metrics), health: Box::new(health) };
        let server = http::Server::start(address, pages).map_err(|error| {
            Failure::new(
                Exit::Store,
                format!("metrics cannot be served at {address}: {error}; set listen in [metrics]"),
            )
        })?;
        info!(address = %server.address, "metrics and health are served");
        self.server = Some(server);
        Ok(())
    }

    fn reload(&mut self) {
        match Config::load(&self.path) {
            Ok(config) => self.adopt(config),
            Err(refusal) => {
                if let LoadError::Wrong(wrong) = &refusal {
                    wrong.lines().iter().for_each(|line| error!("{line}"));
                }
                let why = refusal.into_failure().message;
                error!(%why, "the new configuration is refused, and the old one goes on");
                self.refused = Some(why);
                self.metrics.config_ok.set(0);
            }
        }
    }

    fn adopt(&mut self, config: Config) {
        let (old, config) = (Arc::clone(&self.config), Arc::new(config));
        let fixed = [
            ("state", old.agent.state != config.agent.state),
            ("socket", old.agent.socket != config.agent.socket),
            ("log", old.agent.log_json != config.agent.log_json),
        ];
        for (key, _) in fixed.iter().filter(|(_, changed)| *changed) {
            warn!("{key} of [agent] has changed, which takes effect with the next start");
        }
        self.engine.reload(config.rules.clone(), config.limits.clone(), config.agent.dry_run);
        self.pipeline.reload(Arc::clone(&config));
        self.config = config;
        self.refused = None;
        let serves_otherwise = old.metrics != self.config.metrics || old.agent.poll != self.config.agent.poll;
        if serves_otherwise && let Err(failure) = self.serve_metrics() {
            error!("{failure}");
            self.refused = Some(failure.message);
        }
        self.metrics.config_ok.set(i64::from(self.refused.is_none()));
        info!(rules = self.config.rules.len(), "the new configuration is in use");
    }

    fn look(&mut self) {
        let mut look = match self.observer.look(&self.engine.needs()) {
            Ok(look) => look,
            Err(error) => {
                self.metrics.looks_failed.inc();
                error!(%error, "the workers cannot be looked at");
                return;
            }
        };
        let fattest = look.workers.iter().map(|worker| worker.rss).max().unwrap_or(0);
        look.host.store_full = self.room.missing(&self.pipeline, fattest / 4);
        self.watch_store();
        self.looked.store(look.now.0, Ordering::Relaxed);
        if self.observer.has_scanned() {
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(self.observer.processes());
        }
        self.metrics.seen(&look);
        self.metrics.paused.set(i64::from(self.engine.paused(look.now).is_some()));
        let decisions = self.engine.look(&look);
        self.last = Some(look);
        // Written down before it is done: whatever happens then, it is not done twice.
        self.save();
        for decision in decisions {
            self.carry_out(decision);
        }
    }

    fn carry_out(&mut self, decision: Decision) {
        match decision {
            Decision::Dump(order) => self.take(order),
            Decision::WouldDump(order) => {
                let (pid, service) = (order.worker.pid, &order.service);
                let (rule, why) = (order.rule.as_deref().unwrap_or_default(), &order.why);
                info!(rule, pid, %service, %why, "dry run: this worker would be dumped");
            }
            Decision::Held(want) => {
                self.metrics.held(&want);
                let pid = want.worker.map(|worker| worker.pid);
                info!(rule = %want.rule, pid, why = %want.why, hold = %want.hold, "a dump is wanted, but not now");
            }
            Decision::Dropped { rule, why } => warn!(%rule, %why, "a dump that was wanted is given up"),
        }
    }

    fn take(&mut self, order: Order) {
        let (pid, service) = (order.worker.pid, order.service.clone());
        let rule = order.rule.as_deref().unwrap_or("-");
        info!(number = order.number, rule, pid, %service, why = %order.why, "taking a dump");
        self.metrics.running.set(1);
        let Some(process) = self.observer.process(order.worker).cloned() else {
            // It was there a moment ago.
            self.engine.done(order.number, crate::rules::Done::Gone, observer::now());
            self.metrics.running.set(0);
            self.waiting.remove(&order.number);
            return;
        };
        let (number, storing) = (order.number, Arc::default());
        let job = Job { order, process, config: Arc::clone(&self.config), storing: Arc::clone(&storing) };
        let (pipeline, stop, sender) = (Arc::clone(&self.pipeline), self.stop.clone(), self.sender.clone());
        let thread = thread::spawn(move || {
            // Nobody is left to hear it only if the program is ending.
            let _ = sender.send(Event::Ended(Box::new(job.run(&pipeline, &stop))));
        });
        self.taking = Some(Taking { thread, number, storing, is_told: false });
    }

    /// Says once that a dump takes long to store.
    fn watch_store(&mut self) {
        let Some(taking) = self.taking.as_mut().filter(|taking| !taking.is_told) else { return };
        let patience = self.config.agent.dump_timeout;
        if let Some(time) = taking.storing.get().map(Instant::elapsed).filter(|time| *time > patience) {
            taking.is_told = true;
            let (number, time) = (taking.number, render::age(time));
            warn!(
                number, %time,
                "a dump takes long to store: is the store's disk slow? It is waited for, and the workers are looked at"
            );
        }
    }

    fn ended(&mut self, ended: Ended) {
        self.metrics.running.set(0);
        self.metrics.ended(&ended);
        let (number, pid, took) = (ended.order.number, ended.order.worker.pid, ended.took);
        if let Some(done) = ended.done {
            self.engine.done(number, done, observer::now());
        }
        self.save();
        match &ended.outcome {
            Ok(taken) => {
                let (path, pause) = (taken.path.display(), render::milliseconds(nanoseconds(taken.pause)));
                let (objects, stored) = (taken.objects, render::bytes(taken.stored));
                let took = format!("{:.1}s", took.as_secs_f64());
                info!(number, pid, app = %ended.app, %path, objects, %stored, %pause, %took, "a dump is in the store");
            }
            Err(failure) => warn!(number, pid, app = %ended.app, error = %failure, "there is no dump"),
        }
        if let Some(reply) = self.waiting.remove(&number) {
            let answer = match &ended.outcome {
                Ok(taken) => Reply::done(json!({ "number": number, "pid": pid, "path": taken.path })),
                Err(failure) => Reply::refused(failure),
            };
            // Whoever asked may have gone away.
            let _ = reply.send(answer);
        }
        self.history.push_back(Past::of(&ended));
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
        if let Some(taking) = self.taking.take() {
            // It has sent its last event.
            let _ = taking.thread.join();
        }
    }

    fn answer(&mut self, request: Request, reply: Sender<Reply>) {
        let now = observer::now();
        let answer = match request {
            Request::Status => Ok(self.status()),
            Request::Pause { seconds } => {
                self.engine.pause(now, seconds.map(Duration::from_secs));
                info!(seconds, "paused: no rule acts");
                Ok(Value::Null)
            }
            Request::Resume => {
                self.engine.resume();
                info!("resumed: rules act again");
                Ok(Value::Null)
            }
            Request::Dump { pid, name, force } => match self.ask(pid, name.as_deref(), force) {
                Ok(order) => {
                    self.waiting.insert(order.number, reply);
                    self.save();
                    self.take(order);
                    return;
                }
                Err(failure) => Err(failure),
            },
        };
        self.save();
        // Whoever asked may have gone away.
        let _ = reply.send(answer.map_or_else(|failure| Reply::refused(&failure), Reply::done));
    }

    fn ask(&mut self, pid: Option<u32>, name: Option<&str>, force: bool) -> Result<Order, Failure> {
        self.observer.look_closely();
        self.look();
        let worker = self.choose(pid, name)?;
        let look = self.last.as_ref().ok_or_else(|| Failure::new(Exit::Store, "the workers cannot be looked at"))?;
        self.engine.ask(look, worker, "somebody asked".into(), force).map_err(|hold| {
            Failure::new(Exit::Busy, format!("process {} cannot be dumped now: {hold}; try later", worker.pid))
        })
    }

    /// The worker that is meant: the one with that pid, or the fattest armed one of that name, or of all.
    fn choose(&self, pid: Option<u32>, name: Option<&str>) -> Result<Id, Failure> {
        let processes = self.observer.processes();
        let found = match (pid, name) {
            (Some(pid), _) => processes.into_iter().filter(|process| process.pid == pid).collect(),
            (None, Some(name)) => named(processes, name),
            (None, None) => processes,
        };
        let refusal =
            found.iter().find_map(|process| process.armed.as_ref().err().cloned().map(|why| (process.pid, why)));
        let fattest = found.iter().filter(|process| process.is_armed()).max_by_key(|process| process.status.rss);
        fattest.map(observer::id).ok_or_else(|| match refusal {
            Some((pid, refusal)) => refusal.into_failure(pid),
            None => {
                Failure::new(Exit::NoSuchProcess, "there is no such worker: `heapsee-agent list` shows those there are")
            }
        })
    }

    fn save(&mut self) {
        if let Err(error) = self.keep.save(self.engine.state()) {
            error!(%error, "the state cannot be written: after a crash, a dump may be taken twice");
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
