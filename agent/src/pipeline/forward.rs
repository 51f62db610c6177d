//! Passing collected dumps on: hooks and shipping, on a thread of their own, so that a slow network keeps nobody from
//! taking dumps in. What has to be done is read from the store, so nothing is forgotten when the daemon ends.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Counters, count};
use crate::config::{Config, Hook, Ship};
use crate::hook;
use crate::intake::catalog::{Catalog, Entry};
use crate::intake::store;
use crate::ship::{Backoff, Kind, Shipper, jitter};
use crate::stop::Stop;

/// So often it is looked whether something is left to do, though nobody has said so.
const IDLE: Duration = Duration::from_secs(30);
/// A dump that is damaged here or there is not tried again before that.
const HOLD: Duration = Duration::from_secs(600);
/// A dump that was collected longer ago is not told of: a hook that is new need not hear of all that was before it.
const NEWS: Duration = Duration::from_secs(86_400);
/// The pause after a hook's first failure; it doubles with each.
const HOOK_PAUSE: Duration = Duration::from_secs(30);

/// Passes dumps on.
pub struct Forwarder {
    host: String,
    counters: Arc<Mutex<Counters>>,
    round: Arc<Mutex<Round>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    is_woken: AtomicBool,
}

/// What is known from one round to the next.
#[derive(Default)]
struct Round {
    next: Option<Instant>,
    shipper: Option<(Ship, Shipper, Backoff)>,
    /// Dumps that are left alone until then.
    held: HashMap<PathBuf, Instant>,
}

impl Forwarder {
    /// Nothing is done yet.
    pub fn new(host: String, counters: Arc<Mutex<Counters>>) -> Forwarder {
        Forwarder { host, counters, round: Arc::default(), thread: Mutex::default(), is_woken: AtomicBool::new(false) }
    }

    /// There is something new to pass on.
    pub fn wake(&self) {
        self.is_woken.store(true, Ordering::Relaxed);
    }

    /// Begins a round if it is time and none is under way.
    pub fn turn(&self, config: &Arc<Config>, stop: &Stop) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let is_busy = thread.as_ref().is_some_and(|thread| !thread.is_finished());
        let is_time = || self.round.try_lock().is_ok_and(|round| round.next.is_none_or(|next| Instant::now() >= next));
        let is_due = || self.is_woken.swap(false, Ordering::Relaxed) || is_time();
        if is_busy || (config.ship.is_none() && config.hook.is_none()) || stop.requested() || !is_due() {
            return;
        }
        let (host, config, stop) = (self.host.clone(), Arc::clone(config), stop.clone());
        let (counters, round) = (Arc::clone(&self.counters), Arc::clone(&self.round));
        *thread = Some(thread::spawn(move || {
            let mut round = round.lock().unwrap_or_else(PoisonError::into_inner);
            let pause = round.run(&host, &config, &counters, &stop);
            round.next = Some(Instant::now() + pause);
        }));
    }
}

impl Round {
    /// Does what there is to do; returns after how long to look again.
    fn run(&mut self, host: &str, config: &Config, counters: &Mutex<Counters>, stop: &Stop) -> Duration {
        let catalog = match Catalog::read(&config.store.directory, host) {
            Ok(catalog) => catalog,
            Err(error) => {
                tracing::warn!("the store {} cannot be read: {error}", config.store.directory.display());
                return IDLE;
            }
        };
        self.held.retain(|path, until| path.exists() && *until > Instant::now());
        if let Some(hook) = &config.hook {
            for entry in catalog.entries.iter().filter(|entry| is_due(entry)) {
                if stop.requested() {
                    return IDLE;
                }
                tell(hook, entry, counters, stop);
            }
        }
        let waiting: Vec<&Entry> = catalog.entries.iter().filter(|entry| entry.shipped.is_none()).collect();
        count(counters, |counters| counters.waiting = if config.ship.is_some() { waiting.len() as u64 } else { 0 });
        match &config.ship {
            Some(options) if !waiting.is_empty() => {
                let _lock = match store::lock_shipping(&config.store.directory, host) {
                    Ok(lock) => lock,
                    Err(failure) => {
                        tracing::info!("{failure}");
                        return IDLE;
                    }
                };
                self.ship(options, &waiting, counters, stop)
            }
            _ => IDLE,
        }
    }

    fn ship(&mut self, options: &Ship, waiting: &[&Entry], counters: &Mutex<Counters>, stop: &Stop) -> Duration {
        if self.shipper.as_ref().is_none_or(|(of, ..)| of != options) {
            self.shipper = match Shipper::open(options) {
                Ok(shipper) => Some((options.clone(), shipper, Backoff::new(options.retry_first, options.retry_max))),
                Err(failure) => {
                    tracing::error!("nothing can be shipped: {failure}");
                    return options.retry_max;
                }
            };
        }
        let Some((_, shipper, backoff)) = &mut self.shipper else { return IDLE };
        for entry in waiting {
            if self.held.contains_key(&entry.path) {
                continue;
            }
            let trouble = match shipper.ship(entry, stop) {
                Ok(shipped) => {
                    backoff.reset();
                    let bytes = shipped.objects.iter().map(|object| object.size).sum::<u64>();
                    count(counters, |counters| {
                        counters.shipped += 1;
                        counters.shipped_bytes += bytes;
                        counters.waiting = counters.waiting.saturating_sub(1);
                        counters.last_shipped = Timestamp::now().as_second();
                    });
                    tracing::info!(dump = %entry.path.display(), destination = shipped.destination, bytes, "shipped and verified");
                    continue;
                }
                Err(trouble) => trouble,
            };
            if trouble.kind == Kind::Stopped {
                return IDLE;
            }
            count(counters, |counters| counters.ship_failures += 1);
            if trouble.kind.concerns_all() {
                let pause = backoff.failed(jitter());
                tracing::warn!(dump = %entry.path.display(), "not shipped: {trouble}; trying again in {} s", pause.as_secs());
                return pause;
            }
            tracing::error!(dump = %entry.path.display(), "not shipped: {trouble}");
            self.held.insert(entry.path.clone(), Instant::now() + HOLD);
        }
        IDLE
    }
}

/// Whether there is to be told of a dump, and now.
fn is_due(entry: &Entry) -> bool {
    let age = |time: &str| {
        let time: Timestamp = time.parse().ok()?;
        Some(Timestamp::now().duration_since(time).unsigned_abs())
    };
    let state = hook::State::read(&entry.path);
    let pause = HOOK_PAUSE * 2_u32.saturating_pow(state.attempts.saturating_sub(1));
    let is_new = age(&entry.manifest.times.stored_at).is_some_and(|age| age < NEWS);
    state.is_due() && is_new && (state.attempts == 0 || age(&state.at).is_none_or(|age| age >= pause))
}

fn tell(hook: &Hook, entry: &Entry, counters: &Mutex<Counters>, stop: &Stop) {
    match hook::run(hook, entry, stop) {
        Ok(()) => {
            count(counters, |counters| counters.hooks += 1);
            tracing::info!(dump = %entry.path.display(), "the hook was told");
        }
        Err(_) if stop.requested() => {}
        Err(error) => {
            count(counters, |counters| counters.hook_failures += 1);
            let left = hook::ATTEMPTS.saturating_sub(hook::State::read(&entry.path).attempts);
            tracing::warn!(dump = %entry.path.display(), "the hook has failed: {error}; {left} attempts are left");
        }
    }
}
