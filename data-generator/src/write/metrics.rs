//! The progress of a run as metrics, brought up to date with each sample.

use super::progress::Sample;
use crate::report::Latencies;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

type Number = Gauge<f64, AtomicU64>;

/// Upper bounds of the latency buckets, seconds.
const BOUNDS: [f64; 14] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0];

/// Everything that `/metrics` shows of a run.
#[derive(Debug, Default)]
pub(super) struct WriteMetrics {
    written: Counter,
    acknowledged: Counter,
    retries: Counter,
    outstanding: Gauge,
    failed: Gauge,
    wanted_rate: Number,
    behind: Number,
    max_behind: Number,
    segments: Gauge,
    controller_up: Gauge,
    latencies: Buckets,
}

impl WriteMetrics {
    /// Puts them into a registry, each at zero.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("write");
        let m = &metrics;
        registry.register(
            "events_written",
            "Events handed to Pravega; a retry does not count again",
            m.written.clone(),
        );
        registry.register("events_acknowledged", "Events that Pravega acknowledged", m.acknowledged.clone());
        registry.register("events_retried", "Events sent once more because the outcome was unknown", m.retries.clone());
        registry.register("events_outstanding", "Events written and not acknowledged yet", m.outstanding.clone());
        registry.register("events_failed", "Events that were given up", m.failed.clone());
        let help = "Events per second that the shape wants now; 0 when it wants as many as possible";
        registry.register("wanted_rate", help, m.wanted_rate.clone());
        let help = "How far the writer that is furthest behind is behind its intended times";
        registry.register_with_unit("behind", help, Unit::Seconds, m.behind.clone());
        let help = "The furthest behind that any writer has been";
        registry.register_with_unit("max_behind", help, Unit::Seconds, m.max_behind.clone());
        registry.register("segments", "Segments of the stream that take events", m.segments.clone());
        registry.register("controller_up", "Whether the controller answered when last asked", m.controller_up.clone());
        let help = "From the intended time of an event to its acknowledgement";
        registry.register_with_unit("ack_latency", help, Unit::Seconds, m.latencies.clone());
        metrics
    }

    /// Takes over a sample and the latencies since the one before.
    pub(super) fn update(&self, sample: &Sample, recent: &Latencies) {
        let up_to = |counter: &Counter, total: u64| {
            counter.inc_by(total.saturating_sub(counter.get()));
        };
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        up_to(&self.written, sample.written);
        up_to(&self.acknowledged, sample.acknowledged);
        up_to(&self.retries, sample.retries);
        self.outstanding.set(signed(sample.outstanding));
        self.failed.set(signed(sample.failed));
        self.wanted_rate.set(sample.wanted_rate.unwrap_or_default());
        self.behind.set(sample.behind_seconds);
        self.max_behind.set(sample.max_behind_seconds);
        self.segments.set(signed(sample.segments.unwrap_or_default() as u64));
        self.controller_up.set(i64::from(sample.controller_answers));
        self.latencies.add(recent);
    }
}

/// A histogram filled from another one: far cheaper than observing each event twice.
#[derive(Clone, Debug, Default)]
struct Buckets(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    sum: f64,
    count: u64,
    buckets: [u64; BOUNDS.len()],
    beyond: u64,
}

impl Buckets {
    fn add(&self, recent: &Latencies) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for value in recent.iter_recorded() {
            let seconds = value.value_iterated_to() as f64 / 1e6;
            let events = value.count_at_value();
            let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
            match counts.buckets.get_mut(bucket) {
                Some(bucket) => *bucket += events,
                None => counts.beyond += events,
            }
            counts.sum += seconds * events as f64;
            counts.count += events;
        }
    }
}

impl EncodeMetric for Buckets {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), std::fmt::Error> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bounded = BOUNDS.into_iter().zip(counts.buckets);
        let buckets: Vec<(f64, u64)> = bounded.chain([(f64::INFINITY, counts.beyond)]).collect();
        encoder.encode_histogram::<NoLabelSet>(counts.sum, counts.count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::no_latencies;
    use super::*;
    use prometheus_client::encoding::text::encode;

    #[test]
    fn samples_become_metrics() {
        let mut registry = Registry::with_prefix("data_generator");
        let metrics = WriteMetrics::register(&mut registry);
        let mut recent = no_latencies().expect("valid bounds");
        for us in [900, 1_500, 1_500, 70_000_000] {
            recent.saturating_record(us);
        }
        let sample =
            Sample { written: 10, acknowledged: 4, behind_seconds: 1.5, segments: Some(3), ..Sample::default() };
        metrics.update(&sample, &recent);
        metrics.update(&sample, &no_latencies().expect("valid bounds"));
        let mut text = String::new();
        encode(&mut text, &registry).expect("encodes");
        for line in [
            "data_generator_write_events_written_total 10",
            "data_generator_write_events_acknowledged_total 4",
            "data_generator_write_behind_seconds 1.5",
            "data_generator_write_segments 3",
            "data_generator_write_ack_latency_seconds_bucket{le=\"0.001\"} 1",
            "data_generator_write_ack_latency_seconds_bucket{le=\"0.002\"} 3",
            "data_generator_write_ack_latency_seconds_bucket{le=\"60.0\"} 3",
            "data_generator_write_ack_latency_seconds_bucket{le=\"+Inf\"} 4",
            "data_generator_write_ack_latency_seconds_count 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
    }
}
