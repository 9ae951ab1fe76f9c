//! The agent's Prometheus metrics. Counters have closed label sets that start at 0; a gauge whose
//! value is not known is absent rather than 0.

use std::{fmt, sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text::encode},
    metrics::{MetricType, counter::Counter, family::Family, gauge::ConstGauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};
use sluice_core::{
    Change, Decision, Direction, Ended, Flink, Hold, Job, Outcome, Pool, ShortageCause, Strategy, TaskManagers,
};

use crate::{
    act::ACTIONS,
    clock,
    observe::Trouble,
    report::status::{Shared, Status},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    decision: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChangeLabels {
    strategy: &'static str,
    direction: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CostLabels {
    strategy: &'static str,
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    strategy: &'static str,
    direction: &'static str,
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActionLabels {
    action: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TroubleLabels {
    source: &'static str,
    kind: &'static str,
}

/// The phases of a change, each measured from its decision.
const PHASES: [&str; 5] = ["replicas_set", "slots_there", "requirements_set", "running", "ended"];

/// Seconds: from one look to the longest deadline.
const PHASE_BUCKETS: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0];

/// Seconds: from a restart that nobody notices to one that goes back minutes.
const COST_BUCKETS: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0];

/// Restarts: one is what a change should cost, and none if it touches only idle TaskManagers.
const RESTART_BUCKETS: [f64; 6] = [0.0, 1.0, 2.0, 3.0, 5.0, 10.0];

/// Records: from none worth speaking of to minutes of a busy stream.
const RECORD_BUCKETS: [f64; 8] = [0.0, 100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0, 10_000_000.0, 100_000_000.0];

/// Seconds: from a loopback answer to the request timeout.
const LOOK_BUCKETS: [f64; 8] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5];

impl CostLabels {
    fn of(change: &Change) -> Self {
        Self { strategy: change.strategy.as_str(), direction: change.direction.as_str() }
    }
}

fn strategies_and_directions() -> impl Iterator<Item = (&'static str, &'static str)> {
    let directions = |strategy: Strategy| Direction::ALL.map(|direction| (strategy.as_str(), direction.as_str()));
    Strategy::ALL.into_iter().flat_map(directions)
}

/// All metrics of one agent.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    decisions: Family<DecisionLabels, Counter>,
    changes: Family<ChangeLabels, Counter>,
    phases: Family<PhaseLabels, Histogram>,
    restarts: Family<CostLabels, Counter>,
    restarts_each: Family<CostLabels, Histogram>,
    replayed_records: Family<CostLabels, Histogram>,
    downtime: Family<CostLabels, Histogram>,
    replayed: Family<CostLabels, Histogram>,
    rescale: Family<CostLabels, Histogram>,
    recovery: Family<CostLabels, Histogram>,
    idle: Counter<f64, AtomicU64>,
    actions: Family<ActionLabels, Counter>,
    troubles: Family<TroubleLabels, Counter>,
    looks: Histogram,
}

impl Metrics {
    /// Registers everything; the gauges are read from `shared` at each scrape.
    #[must_use]
    pub fn new(shared: Shared) -> Self {
        let mut registry = Registry::with_prefix("sluice");
        let decisions = Family::<DecisionLabels, Counter>::default();
        for (decision, reason) in Decision::labels() {
            let _ = decisions.get_or_create(&DecisionLabels { decision, reason });
        }
        registry.register("decisions", "Decisions, one at each look, by kind and reason", decisions.clone());

        let changes = Family::<ChangeLabels, Counter>::default();
        let phases = Family::<PhaseLabels, Histogram>::new_with_constructor(|| Histogram::new(PHASE_BUCKETS));
        let restarts = Family::<CostLabels, Counter>::default();
        let restarts_each = Family::<CostLabels, Histogram>::new_with_constructor(|| Histogram::new(RESTART_BUCKETS));
        let replayed_records = Family::<CostLabels, Histogram>::new_with_constructor(|| Histogram::new(RECORD_BUCKETS));
        let [downtime, replayed, rescale, recovery] =
            [(); 4].map(|()| Family::<CostLabels, Histogram>::new_with_constructor(|| Histogram::new(COST_BUCKETS)));
        for (strategy, direction) in strategies_and_directions() {
            for outcome in Outcome::LABELS {
                let _ = changes.get_or_create(&ChangeLabels { strategy, direction, outcome });
            }
            for phase in PHASES {
                let _ = phases.get_or_create(&PhaseLabels { strategy, direction, phase });
            }
            let labels = CostLabels { strategy, direction };
            let _ = restarts.get_or_create(&labels);
            for cost in [&restarts_each, &replayed_records, &downtime, &replayed, &rescale, &recovery] {
                let _ = cost.get_or_create(&labels);
            }
        }
        registry.register(
            "changes",
            "Changes of width that ended, by strategy, direction and outcome",
            changes.clone(),
        );
        registry.register("job_restarts", "Restarts of the job seen during changes", restarts.clone());
        registry.register("change_restarts", "Restarts of the job that one change cost", restarts_each.clone());
        registry.register(
            "change_replayed_records",
            "Records that a change had read twice, about: the input read twice at the rate before the change",
            replayed_records.clone(),
        );
        let mut seconds = |name: &str, help: &str, family: &Family<CostLabels, Histogram>| {
            registry.register_with_unit(name, help, Unit::Seconds, family.clone());
        };
        seconds(
            "change_downtime",
            "Silence: how long the job did not run in the last restart of a change, by Flink's data",
            &downtime,
        );
        seconds(
            "change_replayed_input",
            "Input that a change had read twice: from the trigger of the checkpoint that the job went back to, until it \
             stopped",
            &replayed,
        );
        seconds("change_rescale", "How long Flink says that a rescale took (Flink 2.3 and later)", &rescale);
        seconds("change_recovery", "Time from the end of a change until the job had caught up", &recovery);
        registry.register_with_unit(
            "change_phase",
            "Time from the decision until the replicas were set, the slots were there, the requirements were set, the job \
             ran at the new width, and the change ended",
            Unit::Seconds,
            phases.clone(),
        );
        let idle = Counter::<f64, AtomicU64>::default();
        registry.register_with_unit(
            "idle_task_manager",
            "What TaskManagers without work, such as spares, have cost: their number times the time",
            Unit::Seconds,
            idle.clone(),
        );

        let actions = Family::<ActionLabels, Counter>::default();
        for (action, result) in ACTIONS.into_iter().flat_map(|action| [(action, "ok"), (action, "error")]) {
            let _ = actions.get_or_create(&ActionLabels { action, result });
        }
        registry.register("actions", "Calls that change something, by action and result", actions.clone());
        let troubles = Family::<TroubleLabels, Counter>::default();
        for (source, kinds) in Trouble::KINDS {
            for kind in *kinds {
                let _ = troubles.get_or_create(&TroubleLabels { source, kind });
            }
        }
        registry.register("source_errors", "Failed calls to a peer, by peer and kind of error", troubles.clone());
        let looks = Histogram::new(LOOK_BUCKETS);
        registry.register_with_unit("look", "Time one look at all peers took", Unit::Seconds, looks.clone());
        registry.register("build", "Version of the agent", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        registry.register_collector(Box::new(Gauges(shared)));
        Self {
            registry,
            decisions,
            changes,
            phases,
            restarts,
            restarts_each,
            replayed_records,
            downtime,
            replayed,
            rescale,
            recovery,
            idle,
            actions,
            troubles,
            looks,
        }
    }

    /// Counts a decision.
    pub fn decided(&self, decision: &Decision) {
        let labels = DecisionLabels { decision: decision.kind(), reason: decision.reason() };
        self.decisions.get_or_create(&labels).inc();
    }

    /// Counts the end of a change and how long its phases took.
    pub fn ended(&self, ended: &Ended) {
        let change = &ended.change;
        let labels = CostLabels::of(change);
        let CostLabels { strategy, direction } = labels;
        self.changes.get_or_create(&ChangeLabels { strategy, direction, outcome: ended.outcome.as_str() }).inc();
        let requirements_set = change.requirements.and_then(|requirements| requirements.seen);
        let marks = [change.replicas_set, change.slots_there, requirements_set, change.running, Some(ended.at)];
        for (phase, mark) in PHASES.into_iter().zip(marks) {
            if let Some(mark) = mark {
                let took = mark.duration_since(change.started).as_secs_f64();
                self.phases.get_or_create(&PhaseLabels { strategy, direction, phase }).observe(took);
            }
        }
        let cost = &ended.cost;
        self.restarts.get_or_create(&labels).inc_by(cost.restarts.unwrap_or(0));
        for (family, count) in [(&self.restarts_each, cost.restarts), (&self.replayed_records, cost.replayed_records)] {
            if let Some(count) = count {
                family.get_or_create(&labels).observe(count as f64);
            }
        }
        for (family, cost) in
            [(&self.downtime, cost.downtime), (&self.replayed, cost.replayed), (&self.rescale, cost.rescale)]
        {
            if let Some(cost) = cost {
                family.get_or_create(&labels).observe(cost.as_secs_f64());
            }
        }
    }

    /// Notes that the job has caught up after a change.
    pub fn recovered(&self, ended: &Ended) {
        if let Some(recovered) = ended.recovered {
            let took = recovered.duration_since(ended.at).as_secs_f64();
            self.recovery.get_or_create(&CostLabels::of(&ended.change)).observe(took);
        }
    }

    /// Counts what TaskManagers without work have cost since the last look.
    pub fn idled(&self, task_managers: TaskManagers, since_the_last_look: Duration) {
        self.idle.inc_by(f64::from(task_managers.0) * since_the_last_look.as_secs_f64());
    }

    /// Counts a call that changes something.
    pub fn acted(&self, action: &'static str, ok: bool) {
        let result = if ok { "ok" } else { "error" };
        self.actions.get_or_create(&ActionLabels { action, result }).inc();
    }

    /// Notes how long one look took.
    pub fn looked(&self, took: Duration) {
        self.looks.observe(took.as_secs_f64());
    }

    /// Counts what went wrong.
    pub fn troubled(&self, troubles: &[Trouble]) {
        for trouble in troubles {
            self.troubles.get_or_create(&TroubleLabels { source: trouble.source, kind: trouble.kind }).inc();
        }
    }

    /// The OpenMetrics text.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(16 * 1024);
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// The gauges of the newest status, computed when they are asked for: ages are then true even if
/// the loop stands still.
#[derive(Debug)]
struct Gauges(Shared);

type Labels = Vec<(&'static str, String)>;
type Samples = Vec<(Labels, f64)>;

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Some(status) = self.0.status() else { return Ok(()) };
        for (name, help, unit, samples) in gauges(&status) {
            if samples.is_empty() {
                continue;
            }
            let mut family = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
            for (labels, value) in samples {
                let gauge = ConstGauge::new(value);
                gauge.encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn gauges(status: &Status) -> Vec<(&'static str, &'static str, Option<Unit>, Samples)> {
    let seen = &status.observation;
    let flink = seen.flink.as_ref().map(|flink| &flink.value);
    let job = flink.and_then(|flink| flink.job());
    let pool = seen.pool.as_ref().map(|pool| &pool.value);
    let labels = |pairs: &[(&'static str, &str)]| pairs.iter().map(|(k, v)| (*k, (*v).to_owned())).collect::<Labels>();
    let one = |value: Option<f64>| value.map(|value| (Labels::new(), value)).into_iter().collect::<Samples>();
    let flag = |value: bool| one(Some(f64::from(u8::from(value))));
    let streams = |value: fn(&sluice_core::StreamShape) -> Option<u32>| -> Samples {
        let known = seen.streams.iter().filter_map(|stream| Some((&stream.name, stream.shape.as_ref()?)));
        known
            .filter_map(|(name, shape)| {
                Some((labels(&[("scope", &name.scope), ("stream", &name.stream)]), f64::from(value(&shape.value)?)))
            })
            .collect()
    };
    let task_managers = [
        ("asked_for", pool.map(|pool| pool.replicas.0)),
        ("ready", pool.map(|pool| pool.ready.0)),
        ("registered", flink.map(|flink| flink.registered().0)),
        ("wanted", status.wanted.map(|wanted| wanted.width.task_managers.0)),
        ("idle", flink.and_then(Flink::idle).map(|idle| idle.0)),
    ];
    let task_managers =
        task_managers.iter().filter_map(|(state, n)| Some((labels(&[("state", state)]), f64::from((*n)?)))).collect();
    let parallelism = [
        ("running", job.map(|job| job.parallelism.0)),
        ("upper_bound", job.and_then(Job::upper_bound).map(|bound| bound.0)),
        ("wanted", status.wanted.map(|wanted| wanted.width.parallelism.0)),
        ("unbounded", status.wanted.map(|wanted| wanted.unbounded.0)),
    ];
    let parallelism =
        parallelism.iter().filter_map(|(state, n)| Some((labels(&[("state", state)]), f64::from((*n)?)))).collect();
    let held = match &status.decision {
        Decision::Hold(hold) => Some(hold.as_str()),
        _ => None,
    };
    let holding =
        Hold::REASONS.iter().map(|reason| (labels(&[("reason", reason)]), f64::from(u8::from(held == Some(*reason)))));
    vec![
        ("stream_segments", "Open segments of a stream", None, streams(|shape| Some(shape.segments.0))),
        ("stream_epoch", "Newest epoch of a stream's open segments", None, streams(|shape| shape.epoch)),
        (
            "task_managers",
            "TaskManagers asked for, ready, registered at Flink, wanted, and without work",
            None,
            task_managers,
        ),
        ("slots", "Task slots registered at Flink", None, one(flink.map(|flink| f64::from(flink.slots().0)))),
        (
            "parallelism",
            "Parallelism of the job: running, allowed by its resource requirements, wanted, and wanted before any bound",
            None,
            parallelism,
        ),
        (
            "job_records_per_second",
            "Records that the job reads in a second, as Flink's meter says",
            None,
            one(job.and_then(|job| job.records_per_second).map(|rate| rate as f64)),
        ),
        (
            "job_pending_records",
            "Records that wait at the job's source",
            None,
            one(job.and_then(|job| job.pending_records).map(|pending| pending as f64)),
        ),
        ("observation_age", "Age of the last good reading of a source", Some(Unit::Seconds), ages(status)),
        ("holding", "1 for the reason that the agent holds for now, 0 for the others", None, holding.collect()),
        ("change_in_flight", "1 while a change is carried out", None, flag(status.change.is_some())),
        (
            "restart_budget_left",
            "Changes that may still restart the job within this hour",
            None,
            one(Some(f64::from(status.restart_budget_left))),
        ),
        (
            "cooldown_left",
            "How long changes that restart the job still rest after the last one",
            Some(Unit::Seconds),
            cooldowns(status),
        ),
        (
            "capacity_task_managers",
            "How many TaskManagers are believed to be had at most, after fewer came than were asked for",
            None,
            one(status.capacity.map(|capacity| f64::from(capacity.task_managers.0))),
        ),
        ("ready", "1 when everything the agent reads is known and fresh, and there is a job", None, flag(status.ready)),
        ("dry_run", "1 if nothing is carried out", None, flag(status.dry_run)),
        ("leader", "1 if this agent is the one that may act", None, flag(seen.leadership.may_act())),
        ("shortage", "1 for the reason that pods do not come or do not stay", None, shortages(pool)),
    ]
}

fn cooldowns(status: &Status) -> Samples {
    let now = clock::now();
    let left = |until: Option<jiff::Timestamp>| {
        until.and_then(|until| Duration::try_from(until.duration_since(now)).ok()).unwrap_or_default().as_secs_f64()
    };
    let of = |direction: Direction, until| (vec![("direction", direction.as_str().to_owned())], left(until));
    vec![of(Direction::Up, status.cooldown_until.up), of(Direction::Down, status.cooldown_until.down)]
}

fn shortages(pool: Option<&Pool>) -> Samples {
    let Some(pool) = pool else { return Samples::new() };
    let cause = pool.shortage.as_ref().map(|shortage| shortage.cause);
    let sample =
        |known: ShortageCause| (vec![("cause", known.as_str().to_owned())], f64::from(u8::from(cause == Some(known))));
    ShortageCause::ALL.into_iter().map(sample).collect()
}

fn ages(status: &Status) -> Samples {
    let now = clock::now();
    let seen = &status.observation;
    let streams = seen.streams.iter().filter_map(|stream| {
        let name = &stream.name;
        let labels =
            vec![("source", "pravega".to_owned()), ("scope", name.scope.clone()), ("stream", name.stream.clone())];
        Some((labels, stream.shape.as_ref()?.age(now)))
    });
    let other = |source: &str, age: Option<Duration>| age.map(|age| (vec![("source", source.to_owned())], age));
    let flink = other("flink", seen.flink.as_ref().map(|reading| reading.age(now)));
    let pool = other("task_managers", seen.pool.as_ref().map(|reading| reading.age(now)));
    streams.chain(flink).chain(pool).map(|(labels, age)| (labels, age.as_secs_f64())).collect()
}
