//! The gauges: what is known at this moment. One whose value is not known is absent rather than 0.

use std::{fmt, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};
use sluice_core::{Decision, Direction, Flink, Hold, Job, Pool, ShortageCause};

use crate::{
    clock,
    report::status::{Shared, Status},
};

/// The gauges of the newest status, computed when they are asked for: ages are then true even if
/// the loop stands still.
#[derive(Debug)]
pub(super) struct Gauges(pub Shared);

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
