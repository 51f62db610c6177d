//! What Prometheus is told. Names and help texts are part of the interface: alerts and dashboards rely on them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text::encode};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::taker::Ended;
use crate::exit::Exit;
use crate::look::Look;
use crate::pipeline::Pipeline;
use crate::rules::Want;

/// Labels of a dump.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfDump {
    app: String,
    rule: String,
    outcome: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfApp {
    app: String,
}

/// Of a dump that is there; the rule is empty if somebody asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSuccess {
    app: String,
    rule: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfWorkers {
    app: String,
    armed: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfHold {
    rule: String,
    reason: &'static str,
}

/// All metrics.
pub struct Metrics {
    registry: Mutex<Registry>,
    dumps: Family<OfDump, Counter>,
    seconds: Histogram,
    pause: Histogram,
    last: Family<OfSuccess, Gauge>,
    workers: Family<OfWorkers, Gauge>,
    rss: Family<OfApp, Gauge>,
    held: Family<OfHold, Counter>,
    /// 1 while a dump is being taken.
    pub running: Gauge,
    /// 1 while the agent is paused.
    pub paused: Gauge,
    /// 1 if the configuration file that was read last is the one in use.
    pub config_ok: Gauge,
    /// Looks at the workers.
    pub looks: Counter,
    /// Looks that failed.
    pub looks_failed: Counter,
}

impl Metrics {
    /// All at zero.
    pub fn new(pipeline: &Arc<Pipeline>) -> Metrics {
        let metrics = Metrics {
            registry: Mutex::new(Registry::with_prefix("heapsee_agent")),
            dumps: Family::default(),
            seconds: Histogram::new(exponential_buckets(0.25, 2.0, 12)),
            pause: Histogram::new(exponential_buckets(0.001, 2.0, 12)),
            last: Family::default(),
            workers: Family::default(),
            rss: Family::default(),
            held: Family::default(),
            running: Gauge::default(),
            paused: Gauge::default(),
            config_ok: Gauge::default(),
            looks: Counter::default(),
            looks_failed: Counter::default(),
        };
        metrics.config_ok.set(1);
        metrics.register(pipeline);
        metrics
    }

    fn register(&self, pipeline: &Arc<Pipeline>) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The agent's version", version);
        registry.register("dumps", "Dumps that were ordered, by how they ended", self.dumps.clone());
        let help = "From the order to the dump in the store";
        registry.register_with_unit("dump_duration", help, Unit::Seconds, self.seconds.clone());
        let help = "How long the worker's Python threads stood still";
        registry.register_with_unit("worker_pause", help, Unit::Seconds, self.pause.clone());
        let help = "When the last dump was stored, as Unix time";
        registry.register_with_unit("last_success_timestamp", help, Unit::Seconds, self.last.clone());
        registry.register("workers", "Workers that are seen", self.workers.clone());
        let help = "Resident set of the fattest worker";
        registry.register_with_unit("worker_max_rss", help, Unit::Bytes, self.rss.clone());
        registry.register("held", "Times that a dump was wanted, but could not be taken at once", self.held.clone());
        registry.register("dump_running", "1 while a dump is being taken", self.running.clone());
        registry.register("paused", "1 while no rule acts", self.paused.clone());
        let help = "1 if the configuration that was read last is in use, 0 if it was refused";
        registry.register("config_ok", help, self.config_ok.clone());
        registry.register("looks", "Looks at the workers", self.looks.clone());
        registry.register("looks_failed", "Looks at the workers that failed", self.looks_failed.clone());
        registry.register_collector(Box::new(OfPipeline(Arc::clone(pipeline))));
    }

    /// A dump has ended.
    pub fn ended(&self, ended: &Ended) {
        let outcome = match &ended.outcome {
            Ok(_) => "stored",
            Err(failure) => outcome(failure.exit),
        };
        let rule = ended.order.rule.clone().unwrap_or_default();
        let app = ended.app.clone();
        self.dumps.get_or_create(&OfDump { app: app.clone(), rule: rule.clone(), outcome: outcome.into() }).inc();
        if let Ok(taken) = &ended.outcome {
            self.seconds.observe(ended.took.as_secs_f64());
            self.pause.observe(taken.pause.as_secs_f64());
            self.last.get_or_create(&OfSuccess { app, rule }).set(jiff::Timestamp::now().as_second());
        }
    }

    /// A dump is wanted, but not taken now.
    pub fn held(&self, want: &Want) {
        self.held.get_or_create(&OfHold { rule: want.rule.clone(), reason: want.hold.kind() }).inc();
    }

    /// The workers, as they are.
    pub fn seen(&self, look: &Look) {
        self.looks.inc();
        self.workers.clear();
        self.rss.clear();
        for worker in &look.workers {
            let armed = if worker.armed { "yes" } else { "no" };
            self.workers.get_or_create(&OfWorkers { app: worker.app.clone(), armed }).inc();
            let fattest = self.rss.get_or_create(&OfApp { app: worker.app.clone() });
            let rss = i64::try_from(worker.rss).unwrap_or(i64::MAX);
            if rss > fattest.get() {
                fattest.set(rss);
            }
        }
    }

    /// All of them in OpenMetrics' text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

/// How a dump that is not in the store ended, as the exit code of `dump` would say it.
fn outcome(exit: Exit) -> &'static str {
    match exit {
        Exit::DumpFailed => "failed",
        Exit::NoSuchProcess => "worker-gone",
        Exit::NotArmed => "not-armed",
        Exit::Permission => "permission",
        Exit::Verification => "not-verified",
        Exit::Store => "store",
        Exit::Timeout => "timeout",
        Exit::Busy => "busy",
        Exit::Interrupted => "interrupted",
        Exit::Ok | Exit::Usage | Exit::Config | Exit::NoAgent | Exit::Shipping => "other",
    }
}

/// What the pipeline counts, read when somebody asks.
struct OfPipeline(Arc<Pipeline>);

impl fmt::Debug for OfPipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfPipeline")
    }
}

impl Collector for OfPipeline {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, value) in self.0.counters().metrics() {
            let counter = ConstCounter::new(value);
            let metric = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(metric)?;
        }
        for (name, help, value) in self.0.counters().gauges() {
            let gauge = ConstGauge::new(value);
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}
