//! How many records wait at the source and how many it reads in a second, read from the metrics of the
//! source vertices.
//!
//! Flink gathers metrics every 10 s, so they are asked for every few looks only. The metric's name
//! begins with the operator's, and an unknown name is answered with an empty list; so the name is
//! looked up once for each run of the job and again when it no longer answers.

use std::time::Duration;

use jiff::Timestamp;
use sluice_core::Job;
use tokio::time::Instant;
use url::Url;

use super::{
    FlinkError,
    exchange::Rest,
    replies::{Details, Metric},
};

/// How often to ask while there are answers.
const EVERY: Duration = Duration::from_secs(3);
/// How often to look for the metric while there is none: its list is long.
const EVERY_SEARCH: Duration = Duration::from_secs(15);
/// `metrics.fetcher.update-interval`: for as long after a restart, Flink may still show the numbers
/// from before it.
const FETCHED_EVERY: Duration = Duration::from_secs(10);

/// What is known of one run of one job.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    /// When the run began that the rest is about.
    run: Option<Timestamp>,
    /// Vertex and metric, for every source.
    names: Vec<(String, String)>,
    records: Option<u64>,
    rate: Option<u64>,
    next: Option<Instant>,
}

/// The run is old enough for its metrics to be its own.
pub(super) fn has_settled(job: &Job, details: &Details) -> bool {
    job.all_subtasks_run && details.running_for().is_some_and(|running| running >= FETCHED_EVERY)
}

impl Pending {
    /// The last answer.
    pub(super) fn records(&self) -> Option<u64> {
        self.records
    }

    /// The last answer as to how many records are read in a second.
    pub(super) fn rate(&self) -> Option<u64> {
        self.rate
    }

    /// It is time to ask again.
    pub(super) fn is_due(&self, job: &Job, now: Instant) -> bool {
        !self.is_about(job) || self.next.is_none_or(|next| next <= now)
    }

    fn is_about(&self, job: &Job) -> bool {
        self.run.is_some() && self.run == job.running_since
    }

    /// Asks, and looks the names up before if they are not known.
    pub(super) async fn read(mut self, rest: &Rest, job: &Job, details: &Details, now: Instant) -> Self {
        if !self.is_about(job) {
            self = Self { run: job.running_since, ..Self::default() };
        }
        // However many sources there are, a look is not held up for longer than by one request.
        self.records = match tokio::time::timeout(rest.timeout(), self.ask(rest, job, details)).await {
            Ok(Ok(records)) => records,
            Ok(Err(error)) => {
                tracing::debug!(job = job.id, %error, "the pending records are unknown");
                None
            }
            Err(_) => None,
        };
        let names: Vec<_> = self.names.iter().map(|(vertex, name)| (vertex.clone(), rate_beside(name))).collect();
        let rate = tokio::time::timeout(rest.timeout(), sum_of(rest, job, &names)).await;
        self.rate = rate.ok().and_then(Result::ok).flatten().filter(|_| self.records.is_some());
        if self.records.is_none() {
            self.names.clear();
        }
        self.next = Some(now + if self.records.is_some() { EVERY } else { EVERY_SEARCH });
        self
    }

    /// The sum over all sources; `None` if one of them does not say.
    async fn ask(&mut self, rest: &Rest, job: &Job, details: &Details) -> Result<Option<u64>, FlinkError> {
        if self.names.is_empty() {
            for vertex in details.reading_sources() {
                let metrics: Vec<Metric> = rest.get(&path(&job.id, vertex)).await?;
                let names = metrics.into_iter().map(|metric| metric.id).filter(|id| is_pending_records(id));
                let before = self.names.len();
                self.names.extend(names.map(|name| (vertex.to_owned(), name)));
                if self.names.len() == before {
                    return Ok(None);
                }
            }
        }
        sum_of(rest, job, &self.names).await
    }
}

/// The sum of these metrics of these vertices; `None` if one of them is not told.
async fn sum_of(rest: &Rest, job: &Job, names: &[(String, String)]) -> Result<Option<u64>, FlinkError> {
    let mut total = None;
    for (vertex, name) in names {
        let metrics: Vec<Metric> = rest.query(&path(&job.id, vertex), &query(name)).await?;
        let Some(sum) = metrics.into_iter().find(|metric| metric.id == *name).and_then(|metric| metric.sum) else {
            return Ok(None);
        };
        let Some(sum) = whole(sum) else { return Ok(None) };
        total = Some(total.unwrap_or(0_u64).saturating_add(sum));
    }
    Ok(total)
}

/// The meter of the same operator: what a source has read is what it gives on.
fn rate_beside(pending: &str) -> String {
    format!("{}numRecordsOutPerSecond", pending.trim_end_matches("pendingRecords"))
}

fn path<'a>(job: &'a str, vertex: &'a str) -> [&'a str; 6] {
    ["jobs", job, "vertices", vertex, "subtasks", "metrics"]
}

fn is_pending_records(name: &str) -> bool {
    name == "pendingRecords" || name.ends_with(".pendingRecords")
}

/// The name is an operator's, with whatever a person called it.
fn query(name: &str) -> String {
    let mut url = Url::parse("http://x/").ok();
    if let Some(url) = &mut url {
        url.query_pairs_mut().append_pair("get", name).append_pair("agg", "sum");
    }
    url.as_ref().and_then(Url::query).unwrap_or_default().to_owned()
}

/// Flink writes every number as a floating one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a number of records")]
fn whole(sum: f64) -> Option<u64> {
    (sum.is_finite() && sum >= 0.0).then_some(sum as u64)
}
