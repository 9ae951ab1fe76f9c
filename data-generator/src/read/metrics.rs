//! The metrics of `read`, taken from the newest sample at each scrape. A value that is not known is
//! absent rather than 0.

use super::progress::Newest;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::Arc;

/// A registry with everything that `read` tells.
pub(super) fn registry(newest: &Arc<Newest>) -> Registry {
    let mut registry = Registry::with_prefix("data_generator_read");
    registry.register_collector(Box::new(Scrape(Arc::clone(newest))));
    registry
}

#[derive(Debug)]
struct Scrape(Arc<Newest>);

impl Collector for Scrape {
    fn encode(&self, mut to: DescriptorEncoder) -> Result<(), fmt::Error> {
        self.0.with(|sample, latencies| {
            let counts = &sample.counts;
            for (name, help, value) in [
                ("events", "Events processed, with those that were so twice", counts.events),
                ("event_bytes", "Bytes of the events processed", counts.bytes),
                ("redelivered", "Events processed again from the same place of the stream", counts.redelivered),
                ("duplicates", "Events processed whose id was processed before from another place", counts.duplicates),
                ("out_of_order", "Events that came after a later one of the same routing key", counts.out_of_order),
                ("foreign", "Events that are not in the format of this program", counts.foreign),
                ("saves", "Times that positions were saved", sample.saves),
                ("readers_struck_off", "Readers of other processes found dead by this one", sample.struck_off),
                ("readers_evicted", "Readers of this process that others took for dead", sample.evicted),
                ("troubles", "Times that the store or the controller could not be used", sample.troubles),
            ] {
                counter(&mut to, name, help, value)?;
            }
            let segments = i64::try_from(sample.segments).unwrap_or(i64::MAX);
            gauge(&mut to, "segments", "Segments that the readers of this process hold", None, segments)?;
            if let Some(bytes) = sample.lag_bytes {
                let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
                gauge(&mut to, "lag", "Bytes in those segments that are not processed", Some(&Unit::Bytes), bytes)?;
            }
            if let Some(events) = sample.lag_events {
                let events = i64::try_from(events).unwrap_or(i64::MAX);
                gauge(
                    &mut to,
                    "lag_events",
                    "The lag as a number of events of the size of those processed",
                    None,
                    events,
                )?;
            }
            if latencies.is_empty() {
                return Ok(());
            }
            for (name, quantile) in
                [("latency_p50", 0.5), ("latency_p90", 0.9), ("latency_p99", 0.99), ("latency_max", 1.0)]
            {
                let seconds = latencies.value_at_quantile(quantile) as f64 / 1e6;
                let metric = ConstGauge::new(seconds);
                let help = "From the intended time of an event to the end of its processing, over the whole run";
                let encoder = to.encode_descriptor(name, help, Some(&Unit::Seconds), metric.metric_type())?;
                metric.encode(encoder)?;
            }
            Ok(())
        })
    }
}

fn counter(to: &mut DescriptorEncoder, name: &str, help: &str, value: u64) -> Result<(), fmt::Error> {
    let metric = ConstCounter::new(value);
    metric.encode(to.encode_descriptor(name, help, None, metric.metric_type())?)
}

fn gauge(
    to: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    value: i64,
) -> Result<(), fmt::Error> {
    let metric = ConstGauge::new(value);
    metric.encode(to.encode_descriptor(name, help, unit, metric.metric_type())?)
}
