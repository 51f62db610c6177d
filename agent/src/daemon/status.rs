//! What `status` shows: how the daemon is, as JSON (schema `heapsee.agent.status/1`).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::taker::Ended;
use super::{Daemon, observer};

/// A dump that was taken, or was not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Past {
    /// When it ended.
    at: String,
    number: u64,
    pid: u32,
    app: String,
    rule: Option<String>,
    why: String,
    seconds: f64,
    path: Option<String>,
    error: Option<String>,
}

impl Past {
    /// What is remembered of an order that has ended.
    pub fn of(ended: &Ended) -> Past {
        let path = ended.outcome.as_ref().ok().map(|taken| taken.path.display().to_string());
        Past {
            at: jiff::Timestamp::now().to_string(),
            number: ended.order.number,
            pid: ended.order.worker.pid,
            app: ended.app.clone(),
            rule: ended.order.rule.clone(),
            why: ended.order.why.clone(),
            seconds: (ended.took.as_secs_f64() * 1000.0).round() / 1000.0,
            path,
            error: ended.outcome.as_ref().err().map(ToString::to_string),
        }
    }
}

impl Daemon {
    /// How it is.
    pub fn status(&self) -> Value {
        let workers = self.last.iter().flat_map(|look| &look.workers);
        let (armed, unarmed): (Vec<_>, Vec<_>) = workers.partition(|worker| worker.armed);
        let now = observer::now();
        let wants: Vec<Value> = self
            .engine
            .wants()
            .into_iter()
            .map(|(rule, why, hold)| json!({ "rule": rule, "why": why, "hold": hold }))
            .collect();
        let of_pipeline = self.pipeline.counters();
        let counts = of_pipeline.metrics().map(|(name, _, value)| (name.to_owned(), Value::from(value)));
        let gauges = of_pipeline.gauges().map(|(name, _, value)| (name.to_owned(), Value::from(value)));
        let counters: serde_json::Map<String, Value> = counts.into_iter().chain(gauges).collect();
        json!({
            "schema": "heapsee.agent.status/1",
            "agent": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "started_at": self.started.to_string(),
            "config": self.path,
            "config_refused": self.refused,
            "dry_run": self.config.agent.dry_run,
            "paused": self.engine.paused(now).is_some(),
            "paused_seconds": self.engine.paused(now).flatten().map(|left| left.as_secs()),
            "metrics": self.server.as_ref().map(|server| server.address.to_string()),
            "store": self.config.store.directory,
            "rules": self.config.rules.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>(),
            "workers": { "armed": armed.len(), "unarmed": unarmed.len() },
            "running": self.engine.running(),
            "wanted": wants,
            "pipeline": counters,
            "dumps": self.history,
        })
    }
}
