//! The agent's Prometheus metrics. Counters and histograms have closed label sets that start at 0; the gauges
//! are in `gauges.rs`.

use std::{fmt, sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};
use sluice_core::{Change, Decision, Direction, Ended, Outcome, Strategy, TaskManagers};

use crate::{
    act::ACTIONS,
    observe::Trouble,
    report::{gauges::Gauges, status::Shared},
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

type Costs = Family<CostLabels, Histogram>;

/// All metrics of one agent.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    decisions: Family<DecisionLabels, Counter>,
    changes: Family<ChangeLabels, Counter>,
    phases: Family<PhaseLabels, Histogram>,
    restarts: Family<CostLabels, Counter>,
    restarts_each: Costs,
    replayed_records: Costs,
    downtime: Costs,
    replayed: Costs,
    rescale: Costs,
    recovery: Costs,
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
        let restarts_each = Costs::new_with_constructor(|| Histogram::new(RESTART_BUCKETS));
        let replayed_records = Costs::new_with_constructor(|| Histogram::new(RECORD_BUCKETS));
        let [downtime, replayed, rescale, recovery] =
            [(); 4].map(|()| Costs::new_with_constructor(|| Histogram::new(COST_BUCKETS)));
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
        registry.register("changes", "Changes that ended, by strategy, direction and outcome", changes.clone());
        registry.register("job_restarts", "Restarts of the job seen during changes", restarts.clone());
        registry.register("change_restarts", "Restarts of the job that one change cost", restarts_each.clone());
        registry.register(
            "change_replayed_records",
            "Records that a change had read twice, about: the input read twice at the rate before the change",
            replayed_records.clone(),
        );
        let mut seconds = |name: &str, help: &str, family: &Costs| {
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
