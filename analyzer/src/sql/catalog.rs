//! The generations of a session in memory, shared between the session and SQLite's virtual tables.
//!
//! A statement reads a snapshot (an [`Arc`] of the view as it was when the statement began), a change makes a new one:
//! so a statement never sees its own changes, and to roll back is to put the old snapshot in its place.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use super::error::SessionError;
use super::found::Found;
use super::store::StoredGeneration;
use heapsee_heap::heap::{Heap, View};
use heapsee_heap::load::LoadError;

/// Reads a dump: its path, and whether damage is to be passed over.
#[derive(Clone)]
pub struct Loader(Arc<LoadFn>);

type LoadFn = dyn Fn(&Path, bool) -> Result<Heap, LoadError> + Send + Sync;

impl<F: Fn(&Path, bool) -> Result<Heap, LoadError> + Send + Sync + 'static> From<F> for Loader {
    fn from(load: F) -> Loader {
        Loader(Arc::new(load))
    }
}

/// One dump that was read, with what the session has changed.
pub struct Generation {
    number: u32,
    stored: StoredGeneration,
    state: Mutex<State>,
    /// What was found out last, and of which view. A view that has changed is not that view any more.
    found: Mutex<Option<(Weak<View>, Arc<Found>)>>,
}

#[derive(Default)]
struct State {
    /// The heap with its changes; none until it is asked for after `open`.
    view: Option<Arc<View>>,
    /// The view at the beginning of the transaction that is going on.
    before: Option<Arc<View>>,
}

impl Generation {
    fn new(stored: StoredGeneration, view: Option<Arc<View>>) -> Self {
        let state = Mutex::new(State { view, before: None });
        Generation { number: stored.number, stored, state, found: Mutex::default() }
    }

    /// Counted from 1.
    pub fn number(&self) -> u32 {
        self.number
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs with this lock held half-changed: every change is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The view if it is in memory.
    fn loaded(&self) -> Option<Arc<View>> {
        self.state().view.clone()
    }

    /// Whether what a view of this generation said is true.
    #[inline]
    pub fn check(&self, view: &View) -> Result<(), SessionError> {
        view.heap().intact().map_err(|reason| SessionError::Lost { generation: self.number, reason })
    }

    /// Whether its heap is in memory.
    pub fn is_loaded(&self) -> bool {
        self.state().view.is_some()
    }

    /// Changes the view; whoever still reads the old one keeps it as it was.
    pub fn change<R>(&self, change: impl FnOnce(&mut View) -> R) -> Option<R> {
        self.state().view.as_mut().map(|view| change(Arc::make_mut(view)))
    }

    /// What is found out about a view of this generation: once, as long as the view stays as it is.
    pub fn found(&self, view: &Arc<View>) -> Arc<Found> {
        let mut known = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some((of, found)) if of.upgrade().is_some_and(|of| Arc::ptr_eq(&of, view)) => Arc::clone(found),
            _ => {
                let found = Arc::<Found>::default();
                *known = Some((Arc::downgrade(view), Arc::clone(&found)));
                found
            }
        }
    }

    /// What was found out last, of whatever view, if anything was.
    pub fn last_found(&self) -> Option<Arc<Found>> {
        let known = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().map(|(_, found)| Arc::clone(found))
    }

    /// A transaction begins; if one has begun already, this is part of it.
    pub fn begin(&self) {
        let mut state = self.state();
        if state.before.is_none() {
            state.before = state.view.clone();
        }
    }

    /// The transaction's changes stay.
    pub fn commit(&self) {
        self.state().before = None;
    }

    /// The transaction's changes go.
    pub fn roll_back(&self) {
        let mut state = self.state();
        if let Some(before) = state.before.take() {
            state.view = Some(before);
        }
    }

    /// Whether the running transaction has changed anything.
    pub fn is_changed(&self) -> bool {
        let state = self.state();
        match (&state.before, &state.view) {
            (Some(before), Some(view)) => !Arc::ptr_eq(before, view),
            _ => false,
        }
    }
}

/// All generations of a session.
pub struct Catalog {
    loader: Loader,
    generations: RwLock<Vec<Arc<Generation>>>,
}

impl Catalog {
    /// A catalog of stored generations; their dumps are read when they are first asked for.
    pub fn new(loader: Loader, stored: Vec<StoredGeneration>) -> Self {
        let generations = stored.into_iter().map(|stored| Arc::new(Generation::new(stored, None))).collect();
        Catalog { loader, generations: RwLock::new(generations) }
    }

    /// Every generation, in order.
    pub fn all(&self) -> Vec<Arc<Generation>> {
        self.generations.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The generation with this number.
    pub fn get(&self, number: u32) -> Option<Arc<Generation>> {
        self.all().into_iter().find(|generation| generation.number == number)
    }

    /// Adds a generation that has just been read.
    pub fn add(&self, stored: StoredGeneration, view: Arc<View>) {
        let generation = Arc::new(Generation::new(stored, Some(view)));
        self.generations.write().unwrap_or_else(PoisonError::into_inner).push(generation);
    }

    /// Reads a dump.
    pub fn load(&self, path: &Path, salvage: bool) -> Result<Heap, LoadError> {
        (self.loader.0)(path, salvage)
    }

    /// The heap of a generation with its changes; reads the dump again if it is not in memory.
    pub fn view(&self, generation: &Generation) -> Result<Arc<View>, SessionError> {
        if let Some(view) = generation.loaded() {
            generation.check(&view)?;
            return Ok(view);
        }
        let stored = &generation.stored;
        let heap = self
            .load(&stored.path, stored.salvage)
            .map_err(|reason| SessionError::DumpGone { generation: stored.number, reason })?;
        if heap.source().identity() != stored.fingerprint || stored.fingerprint.is_empty() {
            return Err(SessionError::DumpChanged { generation: stored.number, path: stored.path.clone() });
        }
        let view = Arc::new(import(Arc::new(heap), stored)?);
        generation.state().view = Some(Arc::clone(&view));
        Ok(view)
    }

    /// The heaps in memory, by generation.
    pub fn heaps(&self) -> Vec<(u32, Arc<Heap>)> {
        let loaded = |generation: &Arc<Generation>| Some((generation.number, Arc::clone(generation.loaded()?.heap())));
        self.all().iter().filter_map(loaded).collect()
    }

    /// Gives a generation that is not in memory the heap that another catalog of the same session has read.
    pub fn adopt(&self, number: u32, heap: &Arc<Heap>) -> Result<(), SessionError> {
        let Some(generation) = self.get(number) else { return Ok(()) };
        if !generation.is_loaded() && generation.stored.fingerprint == heap.source().identity() {
            generation.state().view = Some(Arc::new(import(Arc::clone(heap), &generation.stored)?));
        }
        Ok(())
    }
}

fn import(heap: Arc<Heap>, stored: &StoredGeneration) -> Result<View, SessionError> {
    if stored.changes.is_empty() {
        return Ok(View::new(heap));
    }
    View::import(heap, &stored.changes)
        .map_err(|error| SessionError::Damaged { generation: stored.number, reason: error.to_string() })
}
