//! Whether a dump that is wanted may be taken now: one at a time, not too often, not of too many workers of a service,
//! and not while the host is short of something.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Limits;
use crate::look::{Host, Id, Look, Moment, Seen};
use crate::render;

/// Why a dump that is wanted is not taken now.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Hold {
    /// Somebody has paused the agent.
    #[error("the agent is paused")]
    Paused,
    /// One at a time.
    #[error("another dump is being taken")]
    Busy,
    /// Nobody would answer.
    #[error("no worker that is meant is armed")]
    NotArmed,
    /// Somebody else is having a dump made.
    #[error("a dump of it is under way already")]
    UnderWay,
    /// It had one lately.
    #[error("its last dump was {} ago, and the cooldown is {}", render::age(*.0), render::age(*.1))]
    Cooldown(Duration, Duration),
    /// The last try failed.
    #[error("its last dump failed; the next try is in {}", render::age(*.0))]
    Failed(Duration),
    /// Enough of the service.
    #[error("{0} of the {1} workers of {2} were dumped lately, which is as many as may be")]
    Share(usize, usize, String),
    /// The host is short of memory.
    #[error("the host has {} of memory available, less than {}", render::bytes(*.0), render::bytes(*.1))]
    Memory(u64, u64),
    /// Tasks wait.
    #[error("{0} pressure is {1:.0}%, more than {2:.0}%")]
    Pressure(&'static str, f64, f64),
    /// The store is full.
    #[error("{0}")]
    Store(String),
}

impl Hold {
    /// Its kind, which does not change from one look to the next as the numbers do.
    pub fn kind(&self) -> &'static str {
        match self {
            Hold::Paused => "paused",
            Hold::Busy => "busy",
            Hold::NotArmed => "not-armed",
            Hold::UnderWay => "under-way",
            Hold::Cooldown(..) => "cooldown",
            Hold::Failed(_) => "failed",
            Hold::Share(..) => "share",
            Hold::Memory(..) => "memory",
            Hold::Pressure(..) => "pressure",
            Hold::Store(_) => "store",
        }
    }
}

/// What is remembered of a worker that was dumped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// When its last dump was ordered, or seen to have been made by somebody else.
    pub dumped: Option<Moment>,
    /// How many dumps had ended when it was last looked at.
    pub finished: Option<u64>,
    /// Failures in a row.
    pub failures: u32,
    /// Not before.
    pub retry: Option<Moment>,
}

/// A dump that was taken lately, of a worker that may be dead by now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recent {
    /// The worker's service.
    pub service: String,
    /// The worker.
    pub id: Id,
    /// When.
    pub at: Moment,
}

/// Whether the host can bear a dump.
pub fn host(host: &Host, limits: &Limits) -> Result<(), Hold> {
    if let Some((available, total)) = host.memory {
        let least = limits.min_memory.of(total);
        if available < least {
            return Err(Hold::Memory(available, least));
        }
    }
    let pressures = [
        ("memory", host.memory_pressure, limits.max_memory_pressure),
        ("io", host.io_pressure, limits.max_io_pressure),
    ];
    for (name, pressure, most) in pressures {
        if let Some(pressure) = pressure.filter(|&pressure| pressure > most) {
            return Err(Hold::Pressure(name, pressure * 100.0, most * 100.0));
        }
    }
    host.store_full.clone().map_or(Ok(()), |why| Err(Hold::Store(why)))
}

/// Whether this worker would answer now.
pub fn ready(worker: &Seen) -> Result<(), Hold> {
    if !worker.armed {
        return Err(Hold::NotArmed);
    }
    if worker.dumping { Err(Hold::UnderWay) } else { Ok(()) }
}

/// Whether a worker has rested since its last dump, and since its last failure.
pub fn rested(past: Option<&Past>, now: Moment, cooldown: Duration) -> Result<(), Hold> {
    let Some(past) = past else { return Ok(()) };
    if let Some(retry) = past.retry.filter(|&retry| retry > now) {
        return Err(Hold::Failed(retry.since(now)));
    }
    match past.dumped.map(|dumped| now.since(dumped)) {
        Some(since) if since < cooldown => Err(Hold::Cooldown(since, cooldown)),
        _ => Ok(()),
    }
}

/// Whether another worker of that service may be dumped; one that was dumped lately itself counts no twice.
pub fn share(recent: &[Recent], look: &Look, worker: &Seen, limits: &Limits) -> Result<(), Hold> {
    let of_service = look.workers.iter().filter(|other| other.service == worker.service).count();
    let allowed = ((of_service as f64 * limits.max_share) as usize).max(1);
    let mut dumped: Vec<Id> = recent
        .iter()
        .filter(|recent| recent.service == worker.service && look.now.since(recent.at) < limits.share_window)
        .map(|recent| recent.id)
        .collect();
    dumped.sort_unstable();
    dumped.dedup();
    if dumped.contains(&worker.id) || dumped.len() < allowed {
        return Ok(());
    }
    Err(Hold::Share(dumped.len(), of_service, worker.service.clone()))
}
